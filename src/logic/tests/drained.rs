//! Asked to end only once those who balance know (users.md U2; I6): out of every answer first, then the agent is told.

use std::collections::BTreeMap;

use crate::logic::tests::rig::{Rig, app, path, with_cmd};
use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::event::Event;
use crate::model::fact::{Change, Fact, KillHow, Loss};
use crate::model::have::Phase;
use crate::model::id::{AgentKey, InstanceKey};
use crate::model::instance::{Goal, Instance, StopWhy};
use crate::model::network::{PortDefinition, Protocol};
use crate::model::spec::{Spec, UnreachableStrategy};
use crate::model::time::Span;

/// An app that can be reached.
fn served(count: u32) -> Spec {
    let port =
        PortDefinition { port: 0, protocol: Protocol::Tcp, name: None, labels: BTreeMap::new() };
    Spec { port_definitions: Some(vec![port]), ..app("/web", count) }
}

/// It runs, and somebody balances over it if `by_anybody`.
fn running(spec: Spec, by_anybody: bool) -> Rig {
    let mut rig = Rig::with_agents(1);
    rig.put(spec);
    rig.run();
    rig.tell(Fact::Attended { by_anybody });
    rig
}

fn drains(rig: &Rig) -> Vec<InstanceKey> {
    let all = rig.instances("/web").into_iter();
    all.filter(|one| one.drains_until().is_some()).map(|one| one.key).collect()
}

fn released(rig: &mut Rig, keys: &[InstanceKey]) {
    let life = |key: &InstanceKey| {
        let row = rig.brain.world().instances.get(key).expect("it is there");
        (*key, row.incarnation)
    };
    let lives = keys.iter().map(life).collect();
    rig.tell(Fact::Released { lives });
}

#[test]
fn it_is_out_of_every_answer_and_its_agent_is_told_when_it_is_released() {
    let mut rig = running(served(2), true);
    rig.events.clear();
    rig.put(served(1));
    let going = drains(&rig);
    assert_eq!(going.len(), 1);
    let row = rig.brain.world().instances.get(&going[0]).expect("it is there").clone();
    assert_eq!(row.condition(), Some(Condition::Killing));
    assert!(rig.events.iter().any(|event| matches!(
        event,
        Event::Status(update) if update.condition == Condition::Killing
    )));
    released(&mut rig, &going);
    let row = rig.brain.world().instances.get(&going[0]).expect("it is there").clone();
    assert!(matches!(row.goal, Goal::Stop { why: StopWhy::Surplus, drains_until: None, .. }));
    rig.run();
    assert_eq!((rig.instances("/web").len(), rig.healthy("/web")), (1, 1));
    assert!(rig.deployments().is_empty());
}

#[test]
fn who_is_never_seen_again_is_waited_for_no_longer_than_the_app_says() {
    let mut spec = served(2);
    spec.drain_seconds = Some(7);
    let mut rig = running(spec.clone(), true);
    rig.put(Spec { instances: 1, ..spec });
    rig.pass(Span::millis(6_990));
    assert_eq!(drains(&rig).len(), 1);
    rig.pass(Span::millis(20));
    assert_eq!(drains(&rig).len(), 0);
}

/// With nobody who balances, with 0 seconds, without a port, or before it runs, nothing waits.
#[test]
fn where_nobody_would_notice_nothing_waits() {
    let worker = Spec { port_definitions: Some(Vec::new()), ..served(2) };
    let mut none = served(2);
    none.drain_seconds = Some(0);
    for (spec, by_anybody) in [(served(2), false), (none, true), (worker, true)] {
        let mut rig = running(spec.clone(), by_anybody);
        rig.put(Spec { instances: 1, ..spec });
        assert_eq!(drains(&rig), []);
    }
    let mut rig = Rig::with_agents(1);
    rig.tell(Fact::Attended { by_anybody: true });
    rig.put(served(2));
    rig.ask(Change::Remove { path: path("/web") }, true);
    assert_eq!(drains(&rig), []);
}

#[test]
fn every_end_that_is_a_choice_waits() {
    let kill = |rig: &Rig, how| {
        let instances = vec![rig.instances("/web")[0].key];
        Change::Kill { instances, how }
    };
    for case in 0..5 {
        let mut rig = running(served(2), true);
        let change = match case {
            0 => kill(&rig, KillHow::Restart),
            1 => kill(&rig, KillHow::Wipe),
            2 => kill(&rig, KillHow::Scale),
            3 => Change::Remove { path: path("/web") },
            _ => Change::Restart { path: path("/web") },
        };
        rig.ask(change, false);
        if case == 4 {
            rig.agents_act();
            rig.pass(Span::secs(1));
        }
        assert!(!drains(&rig).is_empty(), "case {case}");
        // It goes on as ever when they are released.
        let going = drains(&rig);
        released(&mut rig, &going);
        assert_eq!(drains(&rig), [], "case {case}");
    }
}

#[test]
fn one_that_ends_meanwhile_is_not_waited_for() {
    let mut rig = running(served(2), true);
    rig.put(served(1));
    let going = drains(&rig);
    let row = rig.brain.world().instances.get(&going[0]).expect("it is there").clone();
    rig.have(&row, Phase::Exited { at: rig.now, end: End::Code(0) });
    assert_eq!(rig.instances("/web").len(), 1);
    assert!(rig.deployments().is_empty());
}

/// A release of an earlier life says nothing about this one.
#[test]
fn a_release_is_for_one_life() {
    let mut rig = running(served(1), true);
    let key = rig.instances("/web")[0].key;
    rig.ask(Change::Remove { path: path("/web") }, true);
    let life = rig.instances("/web")[0].incarnation;
    let other = crate::model::id::Incarnation(life.0 + 1);
    rig.tell(Fact::Released { lives: vec![(key, other)] });
    assert_eq!(drains(&rig), [key]);
}

#[test]
fn one_whose_agent_is_lost_leaves_when_it_is_back() {
    let mut rig = running(served(2), true);
    rig.put(served(1));
    let going = drains(&rig);
    rig.tell(Fact::Lost { agent: AgentKey(1), why: Loss::Silence });
    rig.pass(Span::secs(30));
    assert_eq!(drains(&rig), []);
    let row: Instance = rig.brain.world().instances.get(&going[0]).expect("it stays").clone();
    assert!(!row.is_wanted());
}

/// It was out of every answer, and does not get back into one with its agent.
#[test]
fn one_that_comes_back_with_its_agent_is_not_shown_as_running() {
    let mut spec = served(2);
    spec.unreachable = UnreachableStrategy::Disabled;
    let mut rig = running(spec.clone(), true);
    rig.put(Spec { instances: 1, ..spec });
    let going = drains(&rig);
    rig.tell(Fact::Lost { agent: AgentKey(1), why: Loss::Silence });
    let row = rig.brain.world().instances.get(&going[0]).expect("it stays").clone();
    rig.have(&row, rig.running());
    let row = rig.brain.world().instances.get(&going[0]).expect("it stays").clone();
    assert_eq!(row.condition(), Some(Condition::Killing));
}

/// A rolling upgrade keeps its floor while the old ones drain: what drains no longer counts.
#[test]
fn an_upgrade_waits_and_ends() {
    let mut rig = running(served(3), true);
    rig.put(with_cmd(served(3), "sleep 2"));
    for _ in 0..100 {
        assert!(rig.healthy("/web") >= 3, "what drains is replaced already");
        let going = drains(&rig);
        if !going.is_empty() {
            released(&mut rig, &going);
        }
        if rig.deployments().is_empty() {
            return;
        }
        rig.agents_act();
        rig.pass(Span::millis(310));
    }
    panic!("it never ends: {:?}", rig.instances("/web"));
}
