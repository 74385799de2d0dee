//! Agents that are emptied: replaced first, never below the floor, in time, whatever else goes on.

use crate::logic::decide::drain::{WaitsFor, progress};
use crate::logic::tests::rig::{Rig, app, bound, deployment, path, with_cmd};
use crate::model::agent::Drain;
use crate::model::constraint::Operator;
use crate::model::end::End;
use crate::model::fact::{Answer, Change, Fact, Loss, Refusal};
use crate::model::have::Phase;
use crate::model::id::AgentKey;
use crate::model::instance::{Goal, Instance};
use crate::model::spec::{Spec, UnreachableStrategy, UpgradeStrategy};
use crate::model::time::Span;
use crate::model::unit::Ratio;

fn strategy(mut spec: Spec, minimum: u64, over: u64) -> Spec {
    spec.upgrade = UpgradeStrategy {
        minimum_health: Ratio::micro(minimum * 10_000),
        over_capacity: Ratio::micro(over * 10_000),
    };
    spec
}

// === impl Rig ===

impl Rig {
    fn drain(&mut self, agent: AgentKey, seconds: Option<u64>) {
        let deadline = seconds.map(Span::secs);
        assert_eq!(self.ask(Change::Drain { agent, deadline }, false), Answer::Done);
    }

    fn on(&self, agent: AgentKey) -> Vec<Instance> {
        let all = self.brain.world().instances.iter().map(|(_, row)| row.clone());
        all.filter(|row| row.place.as_ref().is_some_and(|place| place.agent == agent)).collect()
    }

    /// Agents act one at a time; gives the fewest that were healthy and the most that lived on the way.
    fn run_watched(&mut self, id: &str) -> (usize, usize) {
        let (mut fewest, mut most) = (self.healthy(id), 0);
        for _ in 0..400 {
            let live: Vec<Instance> =
                self.instances(id).into_iter().filter(Instance::is_live).collect();
            (fewest, most) = (fewest.min(self.healthy(id)), most.max(live.len()));
            let Some(next) = live.iter().find(|one| !one.is_healthy()) else {
                if self.settles() {
                    self.pass(crate::logic::decide::rollout::SETTLE);
                    continue;
                }
                return (fewest, most);
            };
            let phase = match next.goal {
                Goal::Run => self.running(),
                Goal::Stop { .. } => Phase::Exited { at: self.now, end: End::Signal(15) },
            };
            self.have(next, phase);
            self.pass(Span::millis(5));
        }
        panic!("it never comes to rest");
    }

    fn waits(&self, agent: AgentKey) -> Vec<WaitsFor> {
        let world = self.brain.world();
        let row = world.agents.get(&agent).expect("there");
        progress(world, row, self.now).into_iter().map(|(_, waits)| waits).collect()
    }
}

/// I4, U21: (n, minimumHealthCapacity, maximumOverCapacity) → the fewest healthy and the most there on the way.
#[test]
fn what_must_leave_is_replaced_first_wherever_there_may_be_more() {
    let rows = [
        (4, 100, 100, 4, 6),
        (4, 50, 100, 4, 6),
        (4, 100, 0, 4, 5),
        (4, 50, 0, 2, 4),
        (1, 100, 100, 1, 2),
        (1, 100, 0, 1, 2),
        (1, 0, 0, 0, 1),
        (3, 100, 30, 3, 4),
    ];
    for (count, minimum, over, fewest, most) in rows {
        let context = format!("{count} instances, {minimum} %, {over} %");
        let mut rig = Rig::with_agents(2);
        rig.put(strategy(app("/web", count), minimum, over));
        rig.run();
        let agent = rig.instances("/web")[0].place.as_ref().expect("placed").agent;
        rig.drain(agent, None);
        assert_eq!(rig.run_watched("/web"), (fewest, most), "{context}");
        assert_eq!((rig.on(agent), rig.healthy("/web")), (vec![], count as usize), "{context}");
        assert_eq!(rig.deployments(), [], "a drain is no deployment");
    }
}

#[test]
fn nothing_new_goes_to_an_agent_that_is_emptied_until_that_is_taken_back() {
    let mut rig = Rig::with_agents(2);
    rig.drain(AgentKey(1), None);
    rig.put(app("/web", 4));
    rig.run();
    assert_eq!((rig.on(AgentKey(1)).len(), rig.on(AgentKey(2)).len()), (0, 4));
    rig.drain(AgentKey(2), None);
    assert_eq!(rig.waits(AgentKey(2)), [WaitsFor::Place; 4], "there is nowhere to go");
    assert_eq!(rig.ask(Change::Undrain { agent: AgentKey(1) }, false), Answer::Done);
    rig.run();
    assert_eq!((rig.on(AgentKey(1)).len(), rig.on(AgentKey(2)).len()), (4, 0));
}

#[test]
fn a_drain_that_is_taken_back_half_way_leaves_no_surplus() {
    let mut rig = Rig::with_agents(2);
    rig.put(app("/web", 4));
    rig.run();
    rig.drain(AgentKey(1), None);
    assert_eq!(rig.instances("/web").len(), 6, "two replacements are on their way");
    assert!(rig.waits(AgentKey(1)).iter().all(|waits| *waits == WaitsFor::Replacement));
    rig.ask(Change::Undrain { agent: AgentKey(1) }, false);
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.instances("/web").len()), (4, 4));
    assert_eq!(rig.on(AgentKey(1)).len(), 2, "what did not run yet goes first (SC-4)");
}

#[test]
fn at_the_deadline_what_is_left_ends() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 2));
    rig.run();
    rig.drain(AgentKey(1), Some(600));
    rig.pass(Span::secs(599));
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.on(AgentKey(1)).len()), (2, 2), "nowhere to go, in time");
    rig.pass(Span::secs(2));
    assert_eq!(rig.waits(AgentKey(1)), [WaitsFor::End; 2]);
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.on(AgentKey(1)).len()), (0, 0));
    rig.attach(2, 64, 65_536);
    rig.run();
    assert_eq!(rig.healthy("/web"), 2, "what waited is launched where there is room");
}

#[test]
fn an_agent_that_is_lost_meanwhile_goes_on_being_emptied_when_it_is_back() {
    let mut rig = Rig::with_agents(1);
    let mut spec = app("/web", 2);
    spec.unreachable = UnreachableStrategy::Disabled;
    rig.put(spec);
    rig.run();
    rig.drain(AgentKey(1), Some(60));
    let drain = rig.brain.world().agents.get(&AgentKey(1)).and_then(|row| row.drain);
    rig.tell(Fact::Lost { agent: AgentKey(1), why: Loss::Silence });
    rig.attach(2, 64, 65_536);
    rig.pass(Span::secs(600));
    let there = rig.on(AgentKey(1));
    assert!(there.iter().all(|one| one.goal == Goal::Run), "I6: what is not heard is not moved");
    assert_eq!(rig.waits(AgentKey(1)), [WaitsFor::Agent; 2]);
    rig.attach(1, 64, 65_536);
    let row = rig.brain.world().agents.get(&AgentKey(1)).expect("there").clone();
    assert_eq!((row.drain, row.is_heard(), row.takes_work()), (drain, true, false));
    for one in &there {
        rig.have(one, rig.running());
    }
    rig.run();
    assert_eq!((rig.on(AgentKey(1)).len(), rig.healthy("/web")), (0, 2));
}

/// BO-4: what is moved by a drain does not wait for what failed before.
#[test]
fn a_drain_forgets_the_delay_of_what_it_moves() {
    let mut rig = Rig::with_agents(2);
    rig.put(app("/web", 2));
    rig.run();
    let other = rig.on(AgentKey(2))[0].clone();
    rig.have(&other, Phase::Exited { at: rig.now, end: End::Code(1) });
    rig.drain(AgentKey(1), Some(0));
    assert_eq!(rig.brain.world().app(&path("/web")).expect("there").backoffs, []);
}

/// A deployment ends by its own terms, and a drain goes on beside it.
#[test]
fn deployments_and_drains_go_on_side_by_side() {
    let mut rig = Rig::with_agents(3);
    rig.put(strategy(app("/web", 3), 100, 0));
    rig.run();
    rig.drain(AgentKey(1), None);
    deployment(&rig.put(strategy(with_cmd(app("/web", 3), "sleep 2"), 100, 0)));
    let (fewest, most) = rig.run_watched("/web");
    assert_eq!((fewest, rig.deployments()), (3, vec![]));
    assert!(most <= 4, "{most} at once");
    assert_eq!((rig.on(AgentKey(1)).len(), rig.healthy("/web")), (0, 3));

    deployment(&rig.put(strategy(with_cmd(app("/web", 6), "sleep 2"), 100, 0)));
    rig.drain(AgentKey(2), None);
    rig.run();
    assert_eq!((rig.on(AgentKey(2)).len(), rig.healthy("/web")), (0, 6));
    assert_eq!(rig.deployments(), []);
}

/// A deployment is not held by a drain that cannot go on.
#[test]
fn a_drain_that_waits_holds_no_deployment() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 2));
    rig.run();
    rig.drain(AgentKey(1), None);
    deployment(&rig.put(app("/web", 1)));
    rig.run();
    assert_eq!((rig.deployments(), rig.healthy("/web")), (vec![], 1));
}

/// Where nothing else can work the old one ends first, and that is said.
#[test]
fn what_stands_in_its_own_way_ends_first() {
    let mut rig = Rig::new();
    let first = rig.attach_in(1, "rack", "a");
    rig.attach_in(2, "rack", "a");
    rig.put(bound(app("/web", 1), "rack", Operator::Unique, "-"));
    rig.run();
    let agent = rig.instances("/web")[0].place.as_ref().expect("placed").agent;
    assert_eq!(rig.on(first).len(), usize::from(agent == first));
    rig.drain(agent, None);
    assert_eq!(rig.waits(agent), [WaitsFor::EndFirst]);
    assert_eq!(rig.instances("/web").iter().filter(|one| one.is_live()).count(), 1, "I6");
    rig.run();
    assert_eq!((rig.on(agent).len(), rig.healthy("/web")), (0, 1));
}

#[test]
fn draining_again_moves_the_deadline_and_nothing_else() {
    let mut rig = Rig::with_agents(1);
    rig.drain(AgentKey(1), Some(5));
    let began = rig.now;
    rig.pass(Span::secs(1));
    rig.drain(AgentKey(1), None);
    let row = rig.brain.world().agents.get(&AgentKey(1)).expect("there").clone();
    assert_eq!(row.drain, Some(Drain { since: began, deadline: None }));
    let unknown = rig.ask(Change::Drain { agent: AgentKey(9), deadline: None }, false);
    assert_eq!(unknown, Answer::Refused(Refusal::NoAgent { agent: AgentKey(9) }));
}
