//! What checks find, as rows and events; who is killed for it, and when nobody is (behaviour §7, I19).

use crate::logic::brain::Brain;
use crate::logic::draft::Limits;
use crate::logic::health;
use crate::logic::tests::events::told;
use crate::logic::tests::rig::{Rig, app, failing, path, proven};
use crate::model::check::{HealthCheck, HealthProtocol};
use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::event::Event;
use crate::model::fact::Change;
use crate::model::have::Phase;
use crate::model::id::{CommitNo, Epoch};
use crate::model::instance::{Goal, Instance, StopWhy};
use crate::model::spec::{Spec, UpgradeStrategy};
use crate::model::time::Span;
use crate::model::unit::Ratio;

/// A check with Marathon's defaults.
pub fn check(protocol: HealthProtocol) -> HealthCheck {
    HealthCheck {
        protocol,
        path: None,
        port: None,
        port_index: Some(0),
        command: (protocol == HealthProtocol::Command).then(|| "true".to_owned()),
        grace_period_seconds: 300,
        interval_seconds: 60,
        timeout_seconds: 20,
        max_consecutive_failures: 3,
        ignore_http_1xx: false,
        ipv6: false,
        delay_seconds: 15,
    }
}

/// An app with a check.
pub fn checked(id: &str, instances: u32) -> Spec {
    let mut spec = app(id, instances);
    spec.health_checks.insert(check(HealthProtocol::Http));
    spec
}

/// Without room for more than are wanted.
fn tight(mut spec: Spec) -> Spec {
    spec.upgrade = UpgradeStrategy { minimum_health: Ratio::ONE, over_capacity: Ratio::ZERO };
    spec
}

fn fails(rig: &mut Rig, instance: &Instance, failures: u32) {
    let running = rig.running();
    let current = rig.brain.world().instances.get(&instance.key).cloned().expect("a row");
    let findings = failing(&current, rig.now, failures);
    rig.find(&current, running, Some(findings));
}

fn succeeds(rig: &mut Rig, instance: &Instance) {
    let running = rig.running();
    let current = rig.brain.world().instances.get(&instance.key).cloned().expect("a row");
    let findings = proven(&current, rig.now);
    rig.find(&current, running, Some(findings));
}

fn killed(rig: &Rig) -> usize {
    let is_kill = |event: &&Event| matches!(event, Event::UnhealthyKill { .. });
    rig.events.iter().filter(is_kill).count()
}

/// HC-6: with a limit of 3 the fourth failure kills, an executor killed at the third; 0 never kills.
#[test]
fn the_failure_that_kills() {
    use HealthProtocol::{Command, Http, Https, MesosHttp, MesosHttps, MesosTcp, Tcp};
    for (protocol, most, deadly) in [
        (Http, 3, Some(4)),
        (Https, 1, Some(2)),
        (Tcp, 2, Some(3)),
        (MesosHttp, 3, Some(3)),
        (MesosHttps, 1, Some(1)),
        (MesosTcp, 2, Some(2)),
        (Command, 3, Some(3)),
        (Http, 0, None),
        (Command, 0, None),
    ] {
        let mut rig = Rig::with_agents(1);
        let mut spec = app("/web", 1);
        spec.health_checks
            .insert(HealthCheck { max_consecutive_failures: most, ..check(protocol) });
        rig.put(spec);
        rig.run();
        let instance = rig.instances("/web").remove(0);
        for failures in 1..=10 {
            if deadly.is_none_or(|deadly| failures <= deadly) {
                assert_eq!(killed(&rig), 0, "{protocol:?} {most}: {failures}");
                fails(&mut rig, &instance, failures);
            }
        }
        assert_eq!(killed(&rig), usize::from(deadly.is_some()), "{protocol:?} {most}");
    }
}

/// HC-12: what is told of first successes, failures and returns.
#[test]
fn transitions_are_told_once_each() {
    let mut rig = Rig::with_agents(1);
    rig.put(checked("/web", 1));
    rig.proves = |_| false;
    rig.run();
    let instance = rig.instances("/web").remove(0);
    rig.events.clear();
    fails(&mut rig, &instance, 1);
    assert_eq!(told(&rig), ["failed HTTP", "health Some(false)"], "a first failure is no flip");
    rig.events.clear();
    succeeds(&mut rig, &instance);
    assert_eq!(told(&rig)[..2], ["alive true", "health Some(true)"]);
    rig.events.clear();
    succeeds(&mut rig, &instance);
    assert_eq!(told(&rig), [] as [&str; 0], "a further success is no news");
    rig.pass(Span::secs(1));
    fails(&mut rig, &instance, 1);
    assert_eq!(told(&rig), ["failed HTTP", "alive false", "health Some(false)"]);
    rig.events.clear();
    rig.pass(Span::secs(1));
    fails(&mut rig, &instance, 2);
    assert_eq!(told(&rig), ["failed HTTP"]);
}

/// HC-12: of two checks one that fails is enough; one without a result says nothing.
#[test]
fn the_aggregate_is_told_when_it_changes() {
    let mut rig = Rig::with_agents(1);
    let mut spec = checked("/web", 1);
    spec.health_checks.insert(check(HealthProtocol::Tcp));
    rig.put(spec);
    rig.run();
    let instance = rig.instances("/web").remove(0);
    let mut findings = proven(&instance, rig.now);
    rig.events.clear();
    if let Some(record) = &mut findings.health[1] {
        record.failed(rig.now, "refused");
    }
    let running = rig.running();
    rig.find(&instance, running.clone(), Some(findings.clone()));
    assert_eq!(told(&rig), ["failed TCP", "alive false", "health Some(false)"]);
    assert_eq!(rig.healthy("/web"), 0);
    // An agent that says nothing, or of other checks, changes nothing.
    findings.health.pop();
    for other in [None, Some(findings)] {
        rig.events.clear();
        rig.find(&instance, running.clone(), other);
        assert_eq!(told(&rig), [] as [&str; 0]);
    }
}

/// HC-7: no delay, in place where there is no room for more; the reason stays with the app.
#[test]
fn a_kill_leaves_its_reason_and_no_delay() {
    let mut rig = Rig::with_agents(1);
    rig.put(tight(checked("/web", 1)));
    rig.run();
    let instance = rig.instances("/web").remove(0);
    rig.events.clear();
    fails(&mut rig, &instance, 4);
    let told = told(&rig);
    assert!(told.contains(&"kill HTTP status 503".to_owned()), "{told:?}");
    let row = rig.instances("/web").remove(0);
    assert!(matches!(row.goal, Goal::Stop { why: StopWhy::Unhealthy, .. }));
    let failure = rig.brain.world().app(&path("/web")).and_then(|app| app.last_failure.clone());
    let failure = failure.expect("kept");
    assert_eq!(failure.condition, Condition::Killed);
    let message = "Task was killed since health check failed. Reason: HTTP status 503";
    assert_eq!(failure.message, message);
    rig.have(&row, Phase::Exited { at: rig.now, end: End::Signal(15) });
    let next = rig.instances("/web").remove(0);
    assert_eq!((next.id, next.incarnation), (instance.id, instance.incarnation.next()));
    assert_eq!(next.condition(), Some(Condition::Provisioned), "at once");
    let app = rig.brain.world().app(&path("/web")).expect("an app");
    assert_eq!((app.backoffs.len(), app.last_failure.as_ref()), (0, Some(&failure)));
    let fresh = next.findings().next().expect("checks");
    assert_eq!(fresh.health, [None], "HC-9, BETTER: a new life has no past");
}

/// Where an app may have more for a while, the next one does not wait for the end of one that fails.
#[test]
fn a_replacement_comes_first_where_there_is_room() {
    let mut rig = Rig::with_agents(1);
    let mut spec = checked("/web", 4);
    spec.upgrade.over_capacity = Ratio::micro(250_000);
    rig.put(spec);
    rig.run();
    let all = rig.instances("/web");
    for instance in &all[..2] {
        fails(&mut rig, instance, 4);
    }
    let live = rig.instances("/web").into_iter().filter(Instance::is_live).count();
    assert_eq!(live, 5, "one more, for one of the two");
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.instances("/web").len()), (4, 4));
    assert!(rig.instances("/web").iter().any(|one| one.id == all[1].id), "in place");
}

/// HC-7: who cannot be reached is not killed.
#[test]
fn only_what_runs_is_condemned() {
    let mut rig = Rig::with_agents(1);
    rig.put(checked("/web", 1));
    rig.run();
    let mut row = rig.instances("/web").remove(0);
    row.tasks[0].findings = Some(Box::new(failing(&row, rig.now, 9)));
    for condition in Condition::ALL {
        row.tasks[0].condition = condition;
        let condemned = health::condemned(rig.brain.world(), &row).is_some();
        assert_eq!(condemned, condition == Condition::Running, "{condition:?}");
    }
}

/// HC-13, BETTER: a new leader knows what was counted.
#[test]
fn a_new_leader_kills_at_the_same_failure() {
    let mut rig = Rig::with_agents(1);
    rig.put(checked("/web", 1));
    rig.run();
    let instance = rig.instances("/web").remove(0);
    fails(&mut rig, &instance, 3);
    let world = rig.brain.world().clone();
    rig.brain = Brain::load(world, Epoch(2), CommitNo(1_000), rig.now, Limits::default());
    rig.settle();
    assert_eq!(killed(&rig), 0);
    fails(&mut rig, &instance, 4);
    assert_eq!(killed(&rig), 1);
}

fn ten(change: impl FnOnce(&mut HealthCheck)) -> (Rig, Vec<Instance>) {
    let mut rig = Rig::with_agents(1);
    let mut spec = app("/web", 10);
    let mut check = check(HealthProtocol::Http);
    change(&mut check);
    spec.health_checks.insert(check);
    rig.put(spec);
    rig.run();
    rig.events.clear();
    let all = rig.instances("/web");
    (rig, all)
}

/// I19: more than three in ten that turn at once are not killed; an alarm says so, and somebody may release them.
#[test]
fn the_brake_holds_where_many_turn_at_once() {
    let (mut rig, all) = ten(|_| {});
    for failures in 1..=4 {
        for instance in &all[..4] {
            fails(&mut rig, instance, failures);
        }
        rig.pass(Span::secs(60));
    }
    assert_eq!(killed(&rig), 0);
    let brakes = |rig: &Rig| -> Vec<String> {
        told(rig).into_iter().filter(|word| word.starts_with("brake")).collect()
    };
    assert_eq!(brakes(&rig), ["brake true 4"]);
    rig.ask(Change::ReleaseBrake, false);
    assert_eq!((killed(&rig), brakes(&rig).len()), (4, 2));
    rig.run();
    assert_eq!(rig.healthy("/web"), 10);
}

/// I19: three in ten, or as many one after another, are killed as ever; those that recover end the brake.
#[test]
fn the_brake_lets_go() {
    let (mut rig, all) = ten(|_| {});
    for failures in 1..=4 {
        for instance in &all[..3] {
            fails(&mut rig, instance, failures);
        }
    }
    assert_eq!(killed(&rig), 3, "three in ten are no mass");
    let (mut rig, all) = ten(|_| {});
    for instance in &all[..5] {
        fails(&mut rig, instance, 1);
    }
    for instance in &all[..2] {
        succeeds(&mut rig, instance);
    }
    let app = rig.brain.world().app(&path("/web")).expect("an app");
    assert_eq!(app.health_brake.held, None, "three are left");
    fails(&mut rig, &all[4], 4);
    assert_eq!(killed(&rig), 1);
}

/// I19: also where the first failure kills, no more than three in ten go within an interval.
#[test]
fn kills_count_for_the_brake() {
    let (mut rig, all) = ten(|check| {
        check.protocol = HealthProtocol::MesosHttp;
        check.max_consecutive_failures = 1;
    });
    for instance in &all {
        fails(&mut rig, instance, 1);
        rig.pass(Span::secs(1));
    }
    assert_eq!(killed(&rig), 3);
}

/// A version that was never alive is killed as ever.
#[test]
fn what_was_never_alive_does_not_hold_the_brake() {
    let mut rig = Rig::with_agents(1);
    rig.proves = |_| false;
    rig.put(checked("/web", 5));
    rig.run_launches();
    for instance in rig.instances("/web") {
        fails(&mut rig, &instance, 4);
    }
    assert_eq!(killed(&rig), 5);
}
