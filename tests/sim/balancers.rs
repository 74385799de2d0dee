//! Those who balance requests over tasks: they ask for tasks again and again, and send to what they were last shown. None of
//! them is sent to an instance that was asked to end, as long as it asks often enough (I6).
//!
//! Who has been shown what is production's own [`Room`]; what it releases comes to the brain as a fact.

use std::collections::BTreeSet;

use stayer::agent::runtime::SandboxId;
use stayer::logic::audience::{Draining, Reader, Room, UNKNOWN};
use stayer::model::commit::Commit;
use stayer::model::condition::Condition;
use stayer::model::fact::Fact;
use stayer::model::id::CommitNo;
use stayer::model::instance::{Goal, Instance};
use stayer::model::path::AppPath;
use stayer::model::row::Row;
use stayer::model::time::{Span, Timestamp};
use stayer::model::world::World;

use crate::faults::Kind;
use crate::hands::short;
use crate::rng::Rng;
use crate::sim::{Event, Sim};

/// All who balance, and what the server knows of them.
pub struct Balancers {
    /// Their chance.
    pub rng: Rng,
    room: Room,
    attended: bool,
    all: Vec<Balancer>,
    /// Lives that failed when their end was decided.
    sick: BTreeSet<SandboxId>,
}

/// One of them.
struct Balancer {
    /// Between two of its requests at most.
    pause: u64,
    /// The first request to this server of those that came in time.
    since: Option<Timestamp>,
    last: Timestamp,
    /// To what it sends.
    table: BTreeSet<SandboxId>,
}

// === impl Balancers ===

impl Balancers {
    /// Those of a seed; most have none.
    pub fn new(seed: u64) -> Balancers {
        let mut rng = Rng::new(seed ^ 0x0062_616c);
        let many = if rng.chance(450) { rng.between(1, 3) } else { 0 };
        let one = |rng: &mut Rng| Balancer {
            pause: *rng.pick(&[200, 700, 1_500, 9_000]),
            since: None,
            last: Timestamp::default(),
            table: BTreeSet::new(),
        };
        let all = (0..many).map(|_| one(&mut rng)).collect();
        Balancers { rng, room: Room::default(), attended: false, all, sick: BTreeSet::new() }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }
}

// === impl Sim ===

impl Sim {
    /// A server begins: it knows nobody, and what runs may be watched.
    pub fn balancers_anew(&mut self, world: &World, no: CommitNo) {
        let balancers = &mut self.balancers;
        balancers.attended = false;
        balancers.room = Room::default();
        if balancers.all.is_empty() {
            return;
        }
        let rows = || world.instances.iter().map(|(_, row)| row);
        if rows().any(Instance::is_live) {
            balancers.room.begin(self.now);
            self.later(UNKNOWN.as_millis(), Event::Released);
        }
        let waiting = rows().filter_map(|row| Draining::of(row, world, no)).collect();
        self.balancers.room.wait(waiting);
        for balancer in &mut self.balancers.all {
            balancer.since = None;
        }
        self.release();
    }

    /// An end is decided: of what fails then, whatever becomes of it, and whatever else it is stopped for in the end.
    pub fn balancers_note(&mut self, before: &World, commit: &Commit) {
        for write in &commit.writes {
            let Some(Row::Instance(row)) = &write.row else { continue };
            let ran = before.instances.get(&row.key).is_some_and(|row| row.goal == Goal::Run);
            if ran && row.goal != Goal::Run && row.fails() {
                let id = SandboxId { instance: row.id, incarnation: row.incarnation };
                self.balancers.sick.insert(id);
            }
        }
    }

    /// A commit is durable.
    pub fn balancers_wait(&mut self, commit: &Commit) {
        if self.balancers.all.is_empty() {
            return;
        }
        let draining = commit.writes.iter().filter_map(|write| match &write.row {
            Some(Row::Instance(row)) => Draining::of(row, &commit.world, commit.no),
            Some(_) | None => None,
        });
        let draining: Vec<Draining> = draining.collect();
        if !draining.is_empty() {
            self.seen.met(Kind::Drained);
            self.balancers.room.wait(draining);
        }
        self.release();
    }

    /// One of them asks for all tasks.
    pub fn balances(&mut self, number: usize) {
        let pause = self.balancers.all[number].pause;
        let next = self.balancers.rng.between(pause / 2, pause);
        self.later(next, Event::Balances(number));
        let Some(up) = &self.server.up else { return };
        let view = up.view.clone();
        let reader =
            Reader { address: number.to_string(), agent: String::new(), of: AppPath::root() };
        self.balancers.room.read(self.now, reader, view.no);
        let runs = view.world.instances.iter().map(|(_, row)| row);
        let runs = runs.filter(|row| row.condition() == Some(Condition::Running));
        let now = self.now;
        let balancer = &mut self.balancers.all[number];
        balancer.table =
            runs.map(|row| SandboxId { instance: row.id, incarnation: row.incarnation }).collect();
        let in_time = now.since(balancer.last) <= DRAIN;
        balancer.since = balancer.since.filter(|_| in_time).or(Some(now));
        balancer.last = now;
        self.release();
    }

    /// What need not wait any longer, and whether anybody balances, is told.
    pub fn release(&mut self) {
        let (now, balancers) = (self.now, &mut self.balancers);
        if self.server.up.is_none() || balancers.all.is_empty() {
            return;
        }
        let attended = balancers.room.is_attended(now);
        let told = std::mem::replace(&mut balancers.attended, attended);
        let lives = balancers.room.release(now);
        if told != attended {
            self.tell_server(Fact::Attended { by_anybody: attended });
        }
        if !lives.is_empty() {
            self.tell_server(Fact::Released { lives });
        }
    }

    /// An instance is asked to end on its host: nobody sends to it who would have been told in time.
    pub fn check_unwatched(&mut self, id: SandboxId) {
        let is_it = |row: &&Instance| row.id == id.instance && row.incarnation == id.incarnation;
        let Some(row) = self.history.world.instances.iter().map(|(_, row)| row).find(is_it) else {
            return;
        };
        let Goal::Stop { why, since, .. } = row.goal else { return };
        // Nobody need be sent to one that failed, and one whose agent is or was lost meanwhile has been out of reach.
        let is_lost = row.condition().is_some_and(Condition::is_unreachable);
        if self.balancers.sick.contains(&id)
            || is_lost
            || row.tasks.iter().any(|task| task.since != since)
        {
            return;
        }
        let version = self.history.world.versions.get(&(row.key.app, row.version));
        let served = version.is_some_and(|row| !row.spec.service_ports().is_empty());
        // The clocks of server and world differ; how long ago a row was written does not.
        let Some(up) = &self.server.up else { return };
        let age = up.clock(self.now).since(since);
        if !why.drains() || !served || age >= DRAIN || up.started_at() + age > self.now {
            return;
        }
        let begun = self.now.as_millis() - i64::try_from(age.as_millis()).expect("small");
        let begun = Timestamp::from_millis(begun);
        // It was known as one of those who balance when the end was decided: its second request came before.
        let sends = |one: &&Balancer| {
            let known = one.since.is_some_and(|at| at + MARGIN + Span::millis(one.pause) < begun);
            known && self.now.since(one.last) <= DRAIN && one.table.contains(&id)
        };
        let last = self.balancers.all.iter().find(sends).map(|one| one.last);
        if let Some(ago) = last.map(|last| self.now.since(last)) {
            let id = short(id);
            let text =
                format!("{id} is asked to end, and somebody who asked {ago:?} ago sends to it");
            self.fail("I6", text);
        }
    }
}

/// As long as every app here is drained.
const DRAIN: Span = stayer::model::spec::Spec::DEFAULT_DRAIN;

/// A brain may be told so much later than it could be.
const MARGIN: Span = Span::secs(1);
