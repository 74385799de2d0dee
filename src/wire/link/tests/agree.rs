//! Whatever is cut, doubled, delayed or forgotten on the way: in the end both sides agree, and no end was lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proptest::prelude::*;

use super::rig::{
    AGENT, KEY, RUN, Rows, absent, agent, exited, id, instance, key, open, preparing, running,
    world,
};
use crate::model::fact::{Fact, Ticket};
use crate::model::have::{Have, Phase, Want};
use crate::model::id::{Incarnation, InstanceId, InstanceKey};
use crate::model::instance::{Goal, StopWhy};
use crate::model::time::{Span, Timestamp};
use crate::wire::link::agent::{AgentLink, Session};
use crate::wire::link::leader::{ATTACH, LeaderLink};
use crate::wire::link::want::want_in;
use crate::wire::message::{Down, Up};

const INSTANCES: u32 = 4;

type Life = (InstanceId, Incarnation);

/// Something that happens.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// The row of an instance changes, durably.
    Row(u32),
    /// A task of an instance goes on to its next phase.
    Task(u32),
    /// The leader, or the agent, puts a frame on the wire, with room for so many bytes.
    Say(bool, usize),
    /// The oldest frame on the wire arrives at the agent, or at the leader; perhaps it stays and arrives again.
    Arrive(bool, bool),
    /// What the leader was told becomes durable.
    Commit,
    /// The session is cut; what is on the wire is lost, or comes when a later session is open.
    Cut,
    /// The leader dies with all that is not durable; another follows.
    Fail,
    /// The leader opens a session.
    Connect,
    /// Time passes.
    Wait(u64),
}

/// Both ends, what lies between, and what is behind either.
struct Rig {
    now: Timestamp,
    epoch: u64,
    leader: Option<(LeaderLink, Session)>,
    agent: AgentLink,
    down: VecDeque<(Session, Down)>,
    up: VecDeque<Up>,
    late: Vec<(Session, Down)>,
    rows: Rows,
    /// Told to the core, not durable.
    waiting: Vec<Fact>,
    /// What is durable: the newest of each life, and how lives ended.
    known: BTreeMap<Life, Have>,
    ends: BTreeMap<Life, Have>,
    synced: Option<Vec<(InstanceKey, InstanceId)>>,
    /// What really is, and how lives really ended.
    tasks: BTreeMap<InstanceId, Have>,
    ended: BTreeMap<Life, Have>,
    wants: BTreeMap<InstanceId, Want>,
    acked: BTreeSet<Life>,
}

impl Rig {
    fn new() -> Rig {
        let mut agent = agent();
        agent.complete();
        Rig {
            now: Timestamp::default(),
            epoch: 1,
            leader: None,
            agent,
            down: VecDeque::new(),
            up: VecDeque::new(),
            late: Vec::new(),
            rows: world(),
            waiting: Vec::new(),
            known: BTreeMap::new(),
            ends: BTreeMap::new(),
            synced: None,
            tasks: BTreeMap::new(),
            ended: BTreeMap::new(),
            wants: BTreeMap::new(),
            acked: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Row(no) => self.change_row(no),
            Step::Task(no) => self.advance_task(no),
            Step::Say(true, budget) => self.say_down(budget),
            Step::Say(false, budget) => self.say_up(budget),
            Step::Arrive(true, again) => self.arrive_down(again),
            Step::Arrive(false, again) => self.arrive_up(again),
            Step::Commit => self.commit(),
            Step::Cut => self.cut(),
            Step::Fail => {
                self.cut();
                self.waiting.clear();
                self.epoch += 1;
            }
            Step::Connect => self.connect(),
            Step::Wait(millis) => self.wait(Span::millis(millis)),
        }
        self.collect();
    }

    fn change_row(&mut self, no: u32) {
        let mut row = self.rows.rows.instances.get(&key(no)).cloned().unwrap_or(instance(no, 1));
        let stop = Goal::Stop {
            then: crate::model::instance::Then::Leave,
            why: StopWhy::Killed,
            since: self.now,
            drains_until: None,
        };
        if row.is_wanted() {
            row.goal = stop;
        } else {
            row.goal = Goal::Run;
            row.incarnation = row.incarnation.next();
            row.version = super::version(1 + row.incarnation.0 % 5);
        }
        self.rows.put(row);
        if let Some((leader, _)) = &mut self.leader {
            leader.changed([key(no)]);
        }
    }

    fn advance_task(&mut self, no: u32) {
        let next = match self.tasks.get(&id(no)) {
            None => preparing(no, 1),
            Some(have) => {
                let life = have.incarnation.0;
                match have.tasks[0].phase {
                    Phase::Preparing { .. } => running(no, life),
                    Phase::Exited { .. } if life % 2 == 0 => absent(no, life),
                    Phase::Exited { .. } | Phase::Absent => preparing(no, life + 1),
                    Phase::Running { .. } | Phase::Starting | Phase::Stopping { .. } => {
                        let end = exited(no, life, i32::try_from(life).expect("few lives"));
                        self.ended.insert((id(no), Incarnation(life)), end.clone());
                        end
                    }
                }
            }
        };
        self.tasks.insert(id(no), next.clone());
        self.agent.have(next);
    }

    fn say_down(&mut self, budget: usize) {
        let Some((leader, session)) = &mut self.leader else { return };
        if let Some(frame) = leader.pull(self.now, &self.rows.rows, budget) {
            self.down.push_back((*session, frame));
        }
    }

    fn say_up(&mut self, budget: usize) {
        let Some((_, session)) = self.leader else { return };
        self.up.extend(self.agent.pull(self.now, session, budget));
    }

    fn arrive_down(&mut self, again: bool) {
        if let Some((session, frame)) = self.late.pop() {
            self.agent.down(self.now, session, frame);
        }
        let Some((session, frame)) = self.down.front().cloned() else { return };
        if !again {
            self.down.pop_front();
        }
        self.agent.down(self.now, session, frame);
    }

    fn arrive_up(&mut self, again: bool) {
        let Some((leader, _)) = &mut self.leader else { return };
        let Some(frame) = self.up.front().cloned() else { return };
        if !again {
            self.up.pop_front();
        }
        leader.up(self.now, frame);
    }

    fn commit(&mut self) {
        for fact in std::mem::take(&mut self.waiting) {
            match fact {
                Fact::Attached { ticket, .. } => self.answer(ticket),
                Fact::Has { ticket, haves, .. } => {
                    for have in haves {
                        self.know(have);
                    }
                    self.answer(ticket);
                }
                Fact::Synced { instances, .. } => self.synced = Some(instances),
                Fact::Asked { .. }
                | Fact::Lost { .. }
                | Fact::Analysed { .. }
                | Fact::Attended { .. }
                | Fact::Released { .. } => {}
            }
        }
    }

    fn know(&mut self, have: Have) {
        let life = (have.instance, have.incarnation);
        if matches!(have.tasks[0].phase, Phase::Exited { .. }) {
            self.ends.insert(life, have.clone());
        }
        self.known.insert(life, have);
    }

    /// An answer may come when another session is open.
    fn answer(&mut self, ticket: Ticket) {
        let (Ticket::Agent(_, run, seq), Some((leader, _))) = (ticket, &mut self.leader) else {
            return;
        };
        if seq == ATTACH {
            let placed = self.rows.rows.instances.iter().map(|(key, _)| *key).collect();
            leader.attached(KEY, placed);
        } else {
            leader.answered(run, seq);
        }
    }

    fn cut(&mut self) {
        if let Some((_, session)) = self.leader.take() {
            self.agent.closed(session);
        }
        self.late.extend(self.down.drain(..));
        self.up.clear();
    }

    fn connect(&mut self) {
        if self.leader.is_none() {
            let stored = self.agent.open(&open(self.epoch)).expect("the newest leader");
            let session = self.agent.opened(self.now, stored).expect("the newest leader");
            self.leader = Some((LeaderLink::new(AGENT, RUN, self.now), session));
            self.synced = None;
        }
    }

    fn wait(&mut self, span: Span) {
        self.now = self.now + span;
        self.agent.tick(self.now);
        if let Some((leader, _)) = &mut self.leader {
            leader.tick(self.now);
        }
    }

    /// What the shells do after each input.
    fn collect(&mut self) {
        if let Some((leader, session)) = &mut self.leader {
            self.waiting.extend(leader.facts());
            if leader.over().is_some() || self.agent.session() != Some(*session) {
                self.cut();
            }
        }
        for want in self.agent.take_wants() {
            let before = self.wants.insert(want.instance, want.clone());
            assert!(before.is_none_or(|before| before.rev <= want.rev), "an older want (I12)");
        }
        for life in self.agent.take_acked() {
            let have = self.ends.get(&life).or(self.known.get(&life));
            assert!(have.is_some(), "{life:?} was acknowledged and is not durable");
            assert_eq!(self.ends.get(&life), self.ended.get(&life), "its end is known first");
            self.acked.insert(life);
        }
    }

    /// From now on nothing goes wrong, and in the end both sides agree.
    fn heal(&mut self) {
        let owed = self.ended.keys().filter(|life| !self.acked.contains(life));
        let owed = owed.map(|(instance, _)| *instance).collect();
        self.come_to_rest();
        self.assert_agreed(&owed);
    }

    fn come_to_rest(&mut self) {
        self.step(Step::Cut);
        self.step(Step::Connect);
        for _ in 0..400 {
            self.step(Step::Say(true, 64 * 1024));
            self.step(Step::Say(false, 64 * 1024));
            if self.up.is_empty() && self.down.is_empty() && self.waiting.is_empty() {
                return;
            }
            self.step(Step::Arrive(true, false));
            self.step(Step::Arrive(false, false));
            self.step(Step::Commit);
        }
        panic!("they do not come to rest")
    }

    /// `owed` are the instances with an end that was not acknowledged before the last session.
    fn assert_agreed(&self, owed: &BTreeSet<InstanceId>) {
        assert!(self.agent.is_synced());
        for (key, _) in self.rows.rows.instances.iter() {
            let want = want_in(&self.rows.rows, *key, KEY).expect("all of them live");
            assert_eq!(self.wants.get(&want.instance), Some(&want));
        }
        for (instance, have) in &self.tasks {
            let known = self.known.get(&(*instance, have.incarnation));
            assert_eq!(known, Some(have));
        }
        assert_eq!(self.ends, self.ended, "no end is lost");
        assert!(self.ended.keys().all(|life| self.acked.contains(life)), "each is acknowledged");
        let left = self.tasks.values().filter(|have| have.tasks[0].phase != Phase::Absent);
        let left: BTreeSet<_> = left.map(|have| (have.key, have.instance)).collect();
        let told = self.synced.clone().expect("both have said all");
        let told: BTreeSet<_> = told.into_iter().collect();
        assert!(told.is_superset(&left), "{told:?} hides some of {left:?}");
        let more = told.difference(&left).all(|(_, instance)| owed.contains(instance));
        assert!(more, "only what ended and waits for its acknowledgement counts as left: {told:?}");
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let budget = prop_oneof![Just(1_usize), Just(64 * 1024)];
    let step = prop_oneof![
        3 => (1..=INSTANCES).prop_map(Step::Row),
        6 => (1..=INSTANCES).prop_map(Step::Task),
        8 => (any::<bool>(), budget).prop_map(|(down, budget)| Step::Say(down, budget)),
        10 => (any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(down, again)| Step::Arrive(down, again)),
        4 => Just(Step::Commit),
        1 => Just(Step::Cut),
        1 => Just(Step::Fail),
        4 => Just(Step::Connect),
        2 => (1_u64..2_000).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn both_ends_agree_whatever_happened(steps in steps()) {
        let mut rig = Rig::new();
        for step in steps {
            rig.step(step);
        }
        rig.heal();
    }
}

#[test]
fn the_rig_reaches_what_it_is_to_test() {
    let mut rig = Rig::new();
    rig.step(Step::Connect);
    for _ in 0..3 {
        rig.step(Step::Task(1));
    }
    rig.step(Step::Row(1));
    rig.heal();
    assert_eq!(rig.acked, BTreeSet::from([(id(1), Incarnation(1))]));
    assert!(rig.known.len() == 1 && rig.wants.len() == 1);
}
