//! Agents that are lost, come back, or never do: timers, surplus, the brake, forgetting.

use uuid::Uuid;

use crate::logic::tests::rig::{Rig, app, path};
use crate::model::condition::Condition;
use crate::model::event::Event;
use crate::model::fact::{Answer, Change, Fact, KillHow, Loss, Refusal, Ticket};
use crate::model::have::{Have, TaskHave};
use crate::model::id::{AgentId, AgentKey, InstanceId, RunId, Seq};
use crate::model::instance::{Goal, Instance};
use crate::model::spec::{KillSelection, Spec, UnreachableStrategy};
use crate::model::time::{Span, Timestamp};

fn after(mut spec: Spec, inactive_seconds: u64, expunge_seconds: u64) -> Spec {
    spec.unreachable = UnreachableStrategy::After { inactive_seconds, expunge_seconds };
    spec
}

// === impl Rig ===

impl Rig {
    fn lose(&mut self, agent: u32) {
        self.tell(Fact::Lost { agent: AgentKey(agent), why: Loss::Silence });
    }

    fn placed(&self, agent: u32) -> Vec<Instance> {
        let all = self.brain.world().instances.iter().map(|(_, row)| row.clone());
        let here =
            |row: &Instance| row.place.as_ref().is_some_and(|place| place.agent == AgentKey(agent));
        all.filter(here).collect()
    }

    /// The agent is back and says that all it had runs.
    fn return_with_all(&mut self, agent: u32) {
        let there = self.placed(agent);
        self.attach(u128::from(agent), 64, 65_536);
        for instance in there {
            self.have(&instance, self.running());
        }
    }

    fn held(&self) -> Option<Timestamp> {
        self.brain.world().meta.as_ref().expect("a brain has one").brake.held
    }

    /// Moves time to one millisecond before a moment, then onto it.
    fn to(&mut self, moment: Timestamp) {
        self.pass(moment.since(self.now));
    }
}

/// SM-9: 60/120, to the millisecond.
#[test]
fn the_timeline_of_what_is_not_heard_is_exact() {
    let mut rig = Rig::with_agents(2);
    rig.put(after(app("/web", 2), 60, 120));
    rig.run();
    let gone = rig.placed(1)[0].clone();
    let began = rig.now;
    rig.lose(1);
    let of = |rig: &Rig| rig.instances("/web").into_iter().find(|one| one.id == gone.id);
    rig.to(began + Span::millis(59_999));
    assert_eq!(of(&rig).expect("there").condition(), Some(Condition::Unreachable));
    assert_eq!(rig.instances("/web").len(), 2, "not replaced");
    rig.to(began + Span::millis(60_001));
    assert_eq!(of(&rig).expect("there").condition(), Some(Condition::UnreachableInactive));
    assert_eq!(rig.instances("/web").len(), 3, "replaced");
    rig.run();
    rig.to(began + Span::millis(119_999));
    assert_eq!(of(&rig).expect("there").goal, Goal::Run);
    rig.to(began + Span::millis(120_001));
    assert!(!of(&rig).expect("kept until its agent confirms").is_wanted(), "expunged");
}

/// SM-9: `disabled` is never replaced, however long it takes (I6).
#[test]
fn what_must_not_run_twice_is_never_replaced() {
    let mut rig = Rig::with_agents(2);
    let mut spec = app("/db", 1);
    spec.unreachable = UnreachableStrategy::Disabled;
    rig.put(spec);
    rig.run();
    let before = rig.instances("/db")[0].clone();
    let agent = before.place.as_ref().expect("placed").agent;
    rig.lose(agent.0);
    rig.pass(Span::secs(604_800));
    let after = rig.instances("/db");
    assert_eq!((after.len(), after[0].condition()), (1, Some(Condition::Unreachable)));
    rig.return_with_all(agent.0);
    assert_eq!((rig.healthy("/db"), rig.instances("/db")[0].id), (1, before.id));
}

/// SM-10: back before it is inactive, the same task goes on; back before it is expunged, the surplus goes by
/// `killSelection`.
#[test]
fn the_surplus_of_a_returning_agent_is_chosen_by_kill_selection() {
    for (selection, the_old_one_stays) in
        [(KillSelection::YoungestFirst, true), (KillSelection::OldestFirst, false)]
    {
        let mut rig = Rig::with_agents(2);
        let mut spec = after(app("/web", 1), 10, 1_000);
        spec.kill_selection = selection;
        rig.put(spec);
        rig.run();
        let first = rig.instances("/web")[0].clone();
        let agent = first.place.as_ref().expect("placed").agent;
        rig.lose(agent.0);
        rig.pass(Span::secs(9));
        rig.return_with_all(agent.0);
        assert_eq!(rig.instances("/web").len(), 1, "not replaced within 10 s");
        rig.lose(agent.0);
        rig.pass(Span::secs(11));
        rig.run();
        rig.return_with_all(agent.0);
        rig.run();
        let left: Vec<InstanceId> = rig.instances("/web").iter().map(|one| one.id).collect();
        assert_eq!(left.len(), 1);
        assert_eq!(left[0] == first.id, the_old_one_stays, "{selection:?}");
    }
}

/// U11, SC-9, MARATHON-8422: the kill of what is not heard is kept and delivered, and what takes its place does not wait.
#[test]
fn a_kill_for_an_agent_that_is_not_heard_is_delivered_when_it_is_back() {
    let mut rig = Rig::with_agents(2);
    rig.put(after(app("/web", 1), 600, 600));
    rig.run();
    let victim = rig.instances("/web")[0].clone();
    let agent = victim.place.as_ref().expect("placed").agent;
    rig.lose(agent.0);
    rig.ask(Change::Kill { instances: vec![victim.key], how: KillHow::Restart }, false);
    rig.run();
    assert_eq!(rig.healthy("/web"), 1, "replaced at once");
    rig.return_with_all(agent.0);
    let killed = rig.instances("/web").into_iter().find(|one| one.id == victim.id);
    assert!(matches!(killed.expect("kept").goal, Goal::Stop { .. }), "it is still told to end");
    rig.run();
    assert!(rig.instances("/web").iter().all(|one| one.id != victim.id));
}

/// I19: three of nine, within a minute.
#[test]
fn too_many_losses_at_once_hold_all_replacement() {
    let mut rig = Rig::with_agents(8);
    rig.put(after(app("/web", 8), 5, 5));
    rig.run();
    (1..=3).for_each(|agent| rig.lose(agent));
    let held = rig.held().expect("it holds");
    assert_eq!(held, rig.now);
    rig.pass(Span::secs(3_600));
    rig.run();
    let lost: Vec<Instance> = (1..=3).flat_map(|agent| rig.placed(agent)).collect();
    assert!(lost.iter().all(|one| one.condition() == Some(Condition::Unreachable)));
    assert_eq!((lost.len(), rig.instances("/web").len(), rig.held()), (3, 8, Some(held)));

    rig.return_with_all(1);
    rig.pass(Span::secs(9));
    assert_eq!(rig.held(), Some(held), "they do not all come at once");
    rig.pass(Span::secs(2));
    assert_eq!(rig.held(), None, "two of eight are not too many: it ends by itself");
    rig.run();
    assert_eq!(rig.healthy("/web"), 8, "and what is still lost is replaced");
}

/// When all are back, nothing has been replaced.
#[test]
fn a_network_that_was_away_for_an_hour_moves_nothing() {
    let mut rig = Rig::with_agents(8);
    rig.put(app("/web", 16));
    rig.run();
    // With 0/0 the first two were replaced before there were three.
    (1..=6).for_each(|agent| rig.lose(agent));
    let before = rig.instances("/web").len();
    rig.pass(Span::secs(3_600));
    for agent in 1..=6 {
        rig.pass(Span::millis(1_500));
        rig.attach(agent, 64, 65_536);
        rig.pass(Span::millis(400));
        for instance in rig.placed(u32::try_from(agent).expect("small")) {
            rig.have(&instance, rig.running());
        }
    }
    rig.pass(Span::secs(60));
    assert_eq!((rig.held(), before), (None, rig.instances("/web").len()));
    rig.run();
    assert_eq!(rig.healthy("/web"), 16);
}

/// What is on an agent that is heard again waits for what that says, however long it was away; lost once more, its time
/// counts from the first loss.
#[test]
fn what_is_heard_again_is_not_given_up_before_it_has_spoken() {
    let mut rig = Rig::with_agents(2);
    rig.put(after(app("/web", 2), 10, 1_000));
    rig.run();
    rig.lose(1);
    rig.pass(Span::secs(9));
    rig.attach(1, 64, 65_536);
    rig.pass(Span::secs(30));
    assert_eq!(rig.placed(1)[0].condition(), Some(Condition::Unreachable));
    rig.lose(1);
    assert_eq!(rig.placed(1)[0].condition(), Some(Condition::UnreachableInactive));
}

#[test]
fn what_people_ask_for_goes_on_while_the_brake_holds() {
    let mut rig = Rig::with_agents(5);
    rig.put(app("/web", 2));
    rig.run();
    (1..=3).for_each(|agent| rig.lose(agent));
    assert!(rig.held().is_some());
    rig.put(app("/new", 2));
    rig.run();
    assert_eq!(rig.healthy("/new"), 2);
}

#[test]
fn a_release_replaces_and_does_not_hold_again_for_the_same_losses() {
    let mut rig = Rig::with_agents(8);
    rig.put(after(app("/web", 8), 5, 5));
    rig.run();
    (1..=3).for_each(|agent| rig.lose(agent));
    rig.pass(Span::secs(10));
    assert_eq!(rig.ask(Change::ReleaseBrake, false), Answer::Done);
    rig.run();
    assert_eq!((rig.held(), rig.healthy("/web")), (None, 8));
    rig.lose(4);
    assert_eq!(rig.held(), None, "one more loss is one loss");
    rig.lose(5);
    rig.lose(6);
    assert!(rig.held().is_some(), "three more of five are too many again");
    assert_eq!(rig.ask(Change::ReleaseBrake, false), Answer::Done);
}

#[test]
fn losses_far_apart_hold_nothing() {
    let mut rig = Rig::with_agents(5);
    for agent in 1..=4 {
        rig.lose(agent);
        rig.pass(Span::secs(31));
    }
    assert_eq!(rig.held(), None);
}

#[test]
fn a_drain_is_held_by_the_brake_as_well() {
    let mut rig = Rig::with_agents(8);
    rig.put(app("/web", 8));
    rig.run();
    (1..=3).for_each(|agent| rig.lose(agent));
    let deadline = Some(Span::secs(5));
    rig.ask(Change::Drain { agent: AgentKey(8), deadline }, false);
    rig.pass(Span::secs(60));
    assert_eq!(rig.placed(8)[0].goal, Goal::Run);
    rig.ask(Change::ReleaseBrake, false);
    rig.run();
    assert_eq!(rig.placed(8), []);
}

/// U12: what an operator gives up is replaced at once, its row leaves, and if it comes back it is a new one.
#[test]
fn a_forgotten_agent_leaves_with_all_it_had() {
    let mut rig = Rig::with_agents(2);
    let mut spec = app("/db", 2);
    spec.unreachable = UnreachableStrategy::Disabled;
    rig.put(spec);
    rig.run();
    let forget = Change::Forget { agent: AgentKey(1) };
    let in_use = Refusal::AgentInUse { hostname: "host-1".to_owned(), instances: 1 };
    assert_eq!(rig.ask(forget.clone(), false), Answer::Refused(in_use));
    let gone = rig.placed(1)[0].clone();
    rig.lose(1);
    assert_eq!(rig.ask(forget.clone(), false), Answer::Done);
    assert!(rig.brain.world().agents.get(&AgentKey(1)).is_none());
    assert!(rig.instances("/db").iter().all(|one| one.id != gone.id));
    let told = |event: &Event| {
        matches!(event, Event::Status(update)
            if update.instance == gone.id && update.condition == Condition::Gone)
    };
    assert!(rig.events.iter().any(told));
    let failure = rig.brain.world().app(&path("/db")).and_then(|app| app.last_failure.clone());
    assert_eq!(failure.map(|failure| failure.condition), Some(Condition::Gone));
    rig.run();
    assert_eq!(rig.healthy("/db"), 2, "replaced, also what was never to be");
    assert_eq!(rig.attach(1, 64, 65_536), AgentKey(3), "a new one");
    let task = TaskHave {
        task: gone.tasks[0].name.as_str().to_owned(),
        phase: rig.running(),
        findings: None,
    };
    let have = Have {
        instance: gone.id,
        key: gone.key,
        incarnation: gone.incarnation,
        rev_seen: gone.rev,
        tasks: vec![task],
    };
    let (id, run) = (AgentId(Uuid::from_u128(1)), RunId(Uuid::from_u128(1)));
    let ticket = Ticket::Agent(id, run, Seq(1));
    rig.tell(Fact::Has { ticket, agent: AgentKey(3), haves: vec![have] });
    assert_eq!((rig.healthy("/db"), rig.instances("/db").len()), (2, 2), "what it had is a stray");
    let again = rig.ask(forget, false);
    assert_eq!(again, Answer::Refused(Refusal::NoAgent { agent: AgentKey(1) }));
}

#[test]
fn an_empty_agent_can_be_forgotten_although_it_is_heard() {
    let mut rig = Rig::with_agents(1);
    assert_eq!(rig.ask(Change::Forget { agent: AgentKey(1) }, false), Answer::Done);
    assert!(rig.brain.world().agents.is_empty());
}
