//! The server: production's brain, log and books, wired as `control::turn` and `control::writer` wire them, with a crash
//! at every place where something could be lost.

use std::collections::VecDeque;

use stayer::logic::brain::{Brain, MAX_PENDING};
use stayer::logic::draft::Limits;
use stayer::model::agent::GpuScheduling;
use stayer::model::brake::Brake;
use stayer::model::commit::Commit;
use stayer::model::fact::{Answer, Fact, Ticket};
use stayer::model::id::{AgentKey, AppKey, ClusterId, InstanceKey, Position};
use stayer::model::meta::Meta;
use stayer::model::row::Row;
use stayer::model::time::{Span, Timestamp};
use stayer::model::view::View;
use stayer::model::world::World;
use stayer::store::ledger::Ledger;
use stayer::store::log::{AppendError, Bid, Lead};
use stayer::store::memory::{Fault, MemoryLog};
use stayer::store::record::Record;
use stayer::store::replay::load_world;

use crate::faults::Kind;
use crate::fleet::Fleet;
use crate::sim::{Event, Sim};
use crate::trace;

/// As the writer's group.
const GROUP: usize = 64;
/// As the writer's pause between two tries.
const RETRY: Span = Span::millis(500);
/// More steps than that at one moment are a busy loop.
const STEPS_AT_ONCE: u32 = 2_000;
/// More instances than that are nobody's wish.
const ROWS: usize = 300;
const DAY: i64 = 86_400_000;

/// What outlives a server, and the server when there is one.
pub struct Server {
    /// The log.
    pub log: MemoryLog,
    /// The running one.
    pub up: Option<Leading>,
    /// Counts starts.
    pub generation: u64,
    /// What is wrong with the wall clock.
    pub wall: i64,
    /// Commits in the log or on their way to it that nobody knows to be durable, with the position after each.
    unsettled: VecDeque<(Commit, Position)>,
    /// What strikes in the next append.
    pub armed: Option<Kind>,
    /// Appends that are still to fail.
    pub faults: u64,
    /// Commits made in all.
    pub commits: u64,
}

/// A server that leads.
pub struct Leading {
    /// The brain.
    pub brain: Brain,
    /// What readers hold.
    pub view: View,
    /// The agents.
    pub fleet: Fleet,
    /// Facts that wait.
    pub inbox: VecDeque<Fact>,
    /// Since when clients can expect answers.
    pub fine_since: Timestamp,
    lead: Lead,
    ledger: Ledger,
    facts: VecDeque<Fact>,
    waiting: VecDeque<Commit>,
    writing: Option<Group>,
    began: Timestamp,
    started: Timestamp,
}

/// What is being appended.
struct Group {
    commits: Vec<Commit>,
    records: Vec<Record>,
}

// === impl Server ===

impl Server {
    /// A server that was never started.
    pub fn new(cluster: ClusterId) -> Server {
        let mut log = MemoryLog::new(cluster);
        log.hold();
        Server {
            log,
            up: None,
            generation: 0,
            wall: 0,
            unsettled: VecDeque::new(),
            armed: None,
            faults: 0,
            commits: 0,
        }
    }
}

// === impl Leading ===

impl Leading {
    /// The leader's time.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        self.began + now.since(self.started)
    }

    /// When it started, in true time.
    pub fn started_at(&self) -> Timestamp {
        self.started
    }

    /// When the brain is to be turned although nothing came, in true time.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        if self.brain.pending() >= MAX_PENDING {
            return None;
        }
        let leader = self.clock(now);
        self.brain.next_wake().map(|wake| now + wake.since(leader))
    }

    /// Whether a commit of several records is being stored.
    fn writes_parts(&self) -> bool {
        let records = self.writing.iter().flat_map(|group| &group.records);
        let mut records = records;
        records.any(|record| !record.last)
    }

    /// Whether anything is being stored.
    pub fn is_writing(&self) -> bool {
        self.writing.is_some()
    }
}

// === impl Sim: the server ===

impl Sim {
    /// A server starts on what the log holds.
    pub fn server_starts(&mut self) {
        if self.server.up.is_some() {
            return;
        }
        self.jump_clock();
        let lead = match self.server.log.lead(Bid::IfVacant) {
            Ok(lead) => lead,
            Err(error) => {
                return self.fail("I10", format!("the leadership is not to be had: {error}"));
            }
        };
        let loaded = match load_world(&self.server.log.load()) {
            Ok(loaded) => loaded,
            Err(error) => return self.fail("I1", format!("the log cannot be loaded: {error}")),
        };
        if loaded.world != self.history.world || loaded.no != self.history.no {
            let (found, durable) = (loaded.no, self.history.no);
            return self.fail("I1", format!("loaded commit {found} is not the durable {durable}"));
        }
        let wall = Timestamp::from_millis(self.now.as_millis() + self.server.wall);
        let began = wall.max(loaded.at + Span::millis(1));
        let world = with_meta(loaded.world, lead.head.cluster);
        let scheduling = self.plan.gpus.map(|gpus| gpus.scheduling);
        let limits = Limits {
            gpu_scheduling: scheduling.unwrap_or(GpuScheduling::Unrestricted),
            ..Limits::default()
        };
        let brain = Brain::load(world, lead.epoch, loaded.no, loaded.at, limits);
        let view = brain.view();
        let seen = view.clone();
        let fleet = Fleet::inherit(began, &view);
        self.server.generation += 1;
        self.server.up = Some(Leading {
            brain,
            view,
            fleet,
            inbox: VecDeque::new(),
            fine_since: self.now,
            lead,
            ledger: loaded.ledger,
            facts: VecDeque::new(),
            waiting: VecDeque::new(),
            writing: None,
            began,
            started: self.now,
        });
        trace!(self, "server starts under epoch {} at commit {}", lead.epoch, loaded.no);
        self.settle_doubts(&seen);
        self.balancers_anew(&seen.world, seen.no);
        self.turn();
    }

    fn jump_clock(&mut self) {
        if self.server.generation == 0 || !self.plan.clocks || !self.rng.chance(500) {
            return;
        }
        let millis = i64::try_from(self.rng.below(2 * DAY.unsigned_abs())).expect("small") - DAY;
        let ahead = millis > self.server.wall;
        self.server.wall = millis;
        self.seen.met(if ahead { Kind::ClockJumpedAhead } else { Kind::ClockJumpedBack });
    }

    /// The server dies; of what is appended and not durable the first `kept` records survive.
    pub fn server_dies(&mut self, kept: usize) {
        if self.server.up.take().is_none() {
            return;
        }
        trace!(self, "server dies");
        self.server.log.tear(kept);
        self.settle_log();
        self.server.unsettled.clear();
        self.forget_answers();
        self.cut_all_wires();
        let away = if self.rng.chance(150) {
            self.rng.between(4_000, 20_000)
        } else {
            self.rng.between(5, 2_000)
        };
        self.later(away, Event::ServerStarts);
    }

    /// The brain takes what waits and steps until there is nothing to do; the writer takes its commits.
    pub fn turn(&mut self) {
        let Some(up) = &mut self.server.up else { return };
        if up.brain.pending() < MAX_PENDING {
            let taken = std::mem::take(&mut up.inbox);
            if !taken.is_empty() && self.trace.is_on() {
                for fact in &taken {
                    let text = format!("  fact {}", brief(fact));
                    self.trace.line(self.now, &text);
                }
            }
            up.facts.extend(taken);
        }
        let mut steps = 0;
        loop {
            let Some(up) = &mut self.server.up else { return };
            let (clock, before) = (up.clock(self.now), up.brain.world().clone());
            let Some(commit) = up.brain.step(clock, &mut up.facts) else { break };
            steps += 1;
            self.server.commits += 1;
            let broken = up.brain.check().err();
            up.waiting.push_back(commit.clone());
            if let Some(broken) = broken {
                return self.fail("check", format!("{broken:?}"));
            }
            trace!(self, "  commit {}: {}", commit.no, brief_commit(&commit));
            self.check_decisions(&before, &commit);
            self.check_health(&before, &commit);
            self.check_operations(&before, &commit);
            self.balancers_note(&before, &commit);
            let rows = commit.world.instances.len();
            if rows > ROWS {
                return self.fail("I18", format!("there are {rows} instances"));
            }
            if steps > STEPS_AT_ONCE {
                return self.fail("I18", "the brain steps without end".to_owned());
            }
        }
        self.look_at_all();
        self.write();
    }

    /// At rest, looking at everything changes nothing (I7).
    fn look_at_all(&mut self) {
        let look = self.rng.chance(120);
        let Some(up) = &mut self.server.up else { return };
        if up.brain.pending() >= MAX_PENDING {
            return;
        }
        if look {
            up.brain.mark_all();
            let clock = up.clock(self.now);
            if let Some(commit) = up.brain.step(clock, &mut up.facts) {
                let text = format!("a second look gives {}", brief_commit(&commit));
                return self.fail("I7", text);
            }
        }
        let missed = up.brain.missed_wakes();
        if up.brain.pending() == 0 {
            up.view = up.brain.view();
        }
        if missed > 0 {
            self.fail("I7", format!("{missed} wake-ups were missed"));
        }
    }

    /// The writer begins an append when it has none.
    fn write(&mut self) {
        let Some(up) = &mut self.server.up else { return };
        if up.writing.is_some() || up.waiting.is_empty() {
            return;
        }
        let count = up.waiting.len().min(GROUP);
        let commits: Vec<Commit> = up.waiting.drain(..count).collect();
        let mut records = Vec::new();
        for commit in &commits {
            match up.ledger.encode(commit, up.lead.epoch) {
                Ok(encoded) => records.extend(encoded),
                Err(error) => return self.fail("store", format!("{error}")),
            }
            self.server.unsettled.push_back((commit.clone(), up.ledger.next()));
        }
        up.writing = Some(Group { commits, records });
        self.append();
    }

    /// Tries the append.
    pub fn append(&mut self) {
        let parts = self.server.up.as_ref().is_some_and(Leading::writes_parts);
        if parts && self.faulty && self.rng.chance(300) {
            self.server.armed = Some(Kind::ServerKilledAppendTorn);
        }
        let armed = self.server.armed;
        match armed {
            Some(Kind::ServerKilledBeforeAppend) => return self.strike_append(0),
            Some(Kind::StoreAnswerLost) => self.server.log.fail_next(Fault::AnswerLost),
            Some(Kind::StoreTorn) => {
                let records = self.server.up.as_ref().and_then(|up| up.writing.as_ref());
                let count = records.map_or(1, |group| group.records.len());
                let kept = self.rng.index(count);
                self.server.log.fail_next(Fault::Torn(kept));
            }
            Some(_) | None => {}
        }
        let Some(up) = &mut self.server.up else { return };
        let Some(group) = &up.writing else { return };
        let result = self.server.log.append(&up.lead, &group.records);
        let generation = self.server.generation;
        match result {
            Ok(()) => {
                let torn = [Kind::ServerKilledAppendLost, Kind::ServerKilledAppendTorn];
                if armed.is_some_and(|kind| torn.contains(&kind)) {
                    return self.tear();
                }
                let slow = armed == Some(Kind::StoreSlow);
                if slow {
                    self.server.armed = None;
                    self.seen.met(Kind::StoreSlow);
                }
                let millis =
                    if slow { self.rng.between(200, 3_000) } else { self.rng.between(0, 6) };
                if let Some(up) = self.server.up.as_mut().filter(|_| slow) {
                    up.fine_since = self.now + Span::millis(millis);
                }
                self.later(millis, Event::Synced(generation));
            }
            Err(AppendError::Full | AppendError::Unavailable(_)) => {
                up.fine_since = self.now + RETRY;
                self.server.faults = self.server.faults.saturating_sub(1);
                if let Some(kind @ (Kind::StoreAnswerLost | Kind::StoreTorn)) = armed {
                    self.server.armed = None;
                    self.seen.met(kind);
                }
                trace!(self, "  the store takes nothing");
                self.later(RETRY.as_millis(), Event::Append(generation));
            }
            Err(error) => self.fail("I10", format!("an append is refused: {error}")),
        }
    }

    /// The server dies with records that are not durable: some of them survive.
    fn tear(&mut self) {
        let Some(group) = self.server.up.as_ref().and_then(|up| up.writing.as_ref()) else {
            return;
        };
        let count = group.records.len();
        let kept = match self.server.armed {
            Some(Kind::ServerKilledAppendTorn) => self.rng.between(1, count as u64),
            Some(_) | None => 0,
        };
        let kept = usize::try_from(kept).expect("small");
        let torn = kept > 0 && group_is_torn(group, kept);
        if torn {
            self.seen.met(Kind::ServerKilledCommitTorn);
        }
        self.strike_append(kept);
    }

    fn strike_append(&mut self, kept: usize) {
        if let Some(kind) = self.server.armed.take() {
            self.seen.met(kind);
            trace!(self, "{kind} with {kept} records kept");
        }
        self.server_dies(kept);
    }

    /// The append is durable: the brain is told, then everybody else.
    pub fn synced(&mut self) {
        self.server.log.sync();
        self.settle_log();
        if self.server.armed == Some(Kind::ServerKilledDurable) {
            return self.strike_append(0);
        }
        let Some(up) = &mut self.server.up else { return };
        let Some(group) = up.writing.take() else { return };
        let Some(newest) = group.commits.last().map(|commit| commit.no) else { return };
        let view = up.brain.durable(newest);
        if self.server.armed == Some(Kind::ServerKilledUntold) {
            return self.strike_append(0);
        }
        up.view = view;
        let (mut clients, mut agents, mut changed) = (Vec::new(), Vec::new(), Vec::new());
        for commit in &group.commits {
            for (ticket, answer) in &commit.answers {
                match ticket {
                    Ticket::Client(number) => clients.push((*number, answer.clone())),
                    Ticket::Agent(..) => agents.push((*ticket, answer.clone())),
                }
            }
            changed.extend(changed_in(commit));
        }
        self.move_head(&group.commits);
        self.answer_clients(clients);
        self.hand_out(&agents, &changed);
        for commit in &group.commits {
            self.balancers_wait(commit);
        }
        self.turn();
    }

    /// A sweep is complete: what lies before it may go.
    fn move_head(&mut self, commits: &[Commit]) {
        let Some(began) = commits.iter().filter_map(|commit| commit.swept_from).max() else {
            return;
        };
        let Some(up) = &mut self.server.up else { return };
        let Some(start) = up.ledger.position_of(began) else { return };
        match self.server.log.move_head(&up.lead, start) {
            Ok(()) => up.ledger.forget_before(start),
            Err(error) => self.fail("store", format!("the head is not moved: {error}")),
        }
        self.seen.met(Kind::Sweep);
    }

    /// What has become durable is history.
    fn settle_log(&mut self) {
        let durable = self.server.log.durable();
        while self.server.unsettled.front().is_some_and(|(_, end)| *end <= durable) {
            let Some((commit, _)) = self.server.unsettled.pop_front() else { return };
            self.observe(&commit);
        }
    }

    fn answer_clients(&mut self, answers: Vec<(u64, Answer)>) {
        for (ticket, answer) in answers {
            self.answered(ticket, &answer);
        }
    }

    /// Where commits are, for a client that asks.
    pub fn tell_server(&mut self, fact: Fact) {
        if let Some(up) = &mut self.server.up {
            up.inbox.push_back(fact);
        }
    }
}

/// Whether the first `kept` records end within a commit.
fn group_is_torn(group: &Group, kept: usize) -> bool {
    group.records.get(kept - 1).is_some_and(|record| !record.last)
}

/// Instances whose wants may have changed, as `control::turn::Told` has it.
fn changed_in(commit: &Commit) -> Vec<(AgentKey, InstanceKey)> {
    let rows = commit.writes.iter().filter_map(|write| match &write.row {
        Some(Row::Instance(row)) => row.place.as_ref().map(|place| (place.agent, row.key)),
        Some(_) | None => None,
    });
    rows.collect()
}

/// As `control::leader` has it.
fn with_meta(mut world: World, cluster: ClusterId) -> World {
    let fresh = Meta {
        cluster,
        next_app: AppKey(1),
        next_agent: AgentKey(1),
        next_id: 0,
        brake: Brake::default(),
        gpu_scheduling: GpuScheduling::default(),
    };
    world.meta.get_or_insert(fresh);
    world
}

fn brief(fact: &Fact) -> String {
    match fact {
        Fact::Asked { ticket, change, how, .. } => {
            format!(
                "{ticket:?} asks{} {}",
                if how.force { " by force" } else { "" },
                crate::client::brief(change)
            )
        }
        Fact::Attached { ticket, run, .. } => format!("attached {ticket:?} run {run}"),
        Fact::Has { agent, haves, ticket } => {
            let haves: Vec<String> = haves.iter().map(crate::agent::brief_have).collect();
            let Ticket::Agent(_, _, seq) = ticket else { return String::new() };
            format!("agent {agent} has #{seq} {}", haves.join(", "))
        }
        Fact::Synced { agent, instances } => {
            format!("agent {agent} synced with {} instances", instances.len())
        }
        Fact::Attended { by_anybody } => format!("attended: {by_anybody}"),
        Fact::Released { lives } => format!("released {lives:?}"),
        Fact::Lost { agent, why } => format!("agent {agent} lost: {why:?}"),
        Fact::Analysed { deploy, finding, .. } => format!("{deploy} analysed: {finding:?}"),
    }
}

fn brief_commit(commit: &Commit) -> String {
    let mut words: Vec<String> = Vec::new();
    for write in &commit.writes {
        words.push(match &write.row {
            Some(Row::Instance(row)) => format!(
                "[{}/{}.{} {:?} {} v{}]",
                row.key.app,
                row.key.no,
                row.incarnation,
                row.condition(),
                match row.goal {
                    stayer::model::instance::Goal::Run => "run".to_owned(),
                    stayer::model::instance::Goal::Stop { then, why, .. } =>
                        format!("{why:?}/{then:?}"),
                },
                row.version.0.as_millis() % 10_000_000
            ),
            Some(Row::App(row)) => format!(
                "[app {}{} v{}{}{}]",
                row.key,
                row.path.as_str(),
                row.version.0.as_millis() % 10_000_000,
                if row.removed.is_some() { " removed" } else { "" },
                row.part.as_ref().map_or(String::new(), |part| format!(" {:?}", part.action))
            ),
            Some(Row::Deployment(row)) => format!("[deployment {}/{}]", row.step, row.steps),
            Some(Row::Deploy(row)) => format!("[deploy {:?}]", row.state),
            Some(Row::Outcome(row)) => format!("[outcome {}]", row.ending.as_str()),
            Some(Row::Agent(row)) => format!("[agent {} {:?} {:?}]", row.key, row.state, row.drain),
            Some(Row::Meta(row)) if row.brake.held.is_some() => "[brake]".to_owned(),
            Some(Row::AppVersion(_) | Row::Meta(_) | Row::Autopsy(_)) => continue,
            None => format!("[-{:?}]", write.key),
        });
    }
    words.extend(commit.answers.iter().filter_map(|(ticket, answer)| match ticket {
        Ticket::Client(number) => Some(format!("answer {number}: {answer:?}")),
        Ticket::Agent(..) => None,
    }));
    words.join(" ")
}
