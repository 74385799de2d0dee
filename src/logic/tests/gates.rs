//! What waits for healthy and ready instances: upgrades, scaling, rollbacks (behaviour §2.4, §2.7).

use crate::logic::tests::health::{check, checked};
use crate::logic::tests::rig::{Rig, app, deployment, failing, path, proven, with_cmd};
use crate::model::check::{HealthProtocol, ReadinessCheck};
use crate::model::condition::Condition;
use crate::model::fact::Change;
use crate::model::id::{InstanceId, Version};
use crate::model::instance::{Goal, Instance};
use crate::model::network::PortDefinition;
use crate::model::spec::{Spec, UpgradeStrategy};
use crate::model::time::Span;
use crate::model::unit::Ratio;

fn strategy(mut spec: Spec, minimum: u64, over: u64) -> Spec {
    spec.upgrade = UpgradeStrategy {
        minimum_health: Ratio::micro(minimum * 10_000),
        over_capacity: Ratio::micro(over * 10_000),
    };
    spec
}

fn ready(mut spec: Spec) -> Spec {
    let port = PortDefinition { name: Some("http-api".to_owned()), ..PortDefinition::default() };
    spec.port_definitions = Some(vec![port]);
    spec.readiness_checks.push(ReadinessCheck {
        name: "readinessCheck".to_owned(),
        https: false,
        path: "/".to_owned(),
        port_name: "http-api".to_owned(),
        interval_seconds: 30,
        timeout_seconds: 10,
        ready_codes: [200].into(),
        preserve_last_response: false,
    });
    spec
}

fn ids(rig: &Rig) -> Vec<InstanceId> {
    rig.instances("/web").iter().map(|one| one.id).collect()
}

/// Those of `old` that nobody has asked to end.
fn left(rig: &Rig, old: &[InstanceId]) -> usize {
    let stays = |one: &&Instance| old.contains(&one.id) && one.goal == Goal::Run;
    rig.instances("/web").iter().filter(stays).count()
}

fn old_one(rig: &Rig, old: &[InstanceId]) -> Instance {
    rig.instances("/web").into_iter().find(|one| old.contains(&one.id)).expect("an old one")
}

/// All that are not proven are found failing so often.
fn all_unproven_fail(rig: &mut Rig, failures: u32) {
    for one in rig.instances("/web").into_iter().filter(|one| one.is_live() && !one.is_healthy()) {
        let (running, findings) = (rig.running(), failing(&one, rig.now, failures));
        rig.find(&one, running, Some(findings));
    }
}

/// RU-10: what a new instance needs before an old one goes.
#[test]
fn healthy_and_ready_as_far_as_there_are_checks() {
    for (has_health, has_readiness) in [(true, false), (false, true), (true, true)] {
        let make = |cmd: &str| {
            let spec = if has_health { checked("/web", 1) } else { app("/web", 1) };
            with_cmd(if has_readiness { ready(spec) } else { spec }, cmd)
        };
        let mut rig = Rig::with_agents(1);
        rig.put(make("one"));
        rig.run();
        let old = ids(&rig);
        rig.proves = |_| false;
        rig.put(make("two"));
        rig.run();
        rig.pass(Span::secs(5));
        assert_eq!(left(&rig, &old), 1, "it runs and nothing is known");
        let new = rig.instances("/web").into_iter().find(|one| !old.contains(&one.id));
        let new = new.expect("a new one");
        let (running, all) = (rig.running(), proven(&new, rig.now));
        let mut half = all.clone();
        if has_readiness {
            half.readiness = vec![None];
        } else {
            half.health = vec![None];
        }
        rig.find(&new, running.clone(), Some(half));
        rig.pass(Span::secs(5));
        assert_eq!(left(&rig, &old), 1, "one of the two is not enough");
        rig.find(&new, running, Some(all));
        rig.pass(Span::secs(5));
        assert_eq!(left(&rig, &old), 0, "health {has_health}, readiness {has_readiness}");
        rig.run();
        assert_eq!((rig.deployments().len(), rig.healthy("/web")), (0, 1));
    }
}

/// DP-21, RU-11: a new app and a bigger count are there when all are healthy.
#[test]
fn scaling_waits_for_health() {
    let mut rig = Rig::with_agents(1);
    rig.proves = |_| false;
    rig.put(checked("/web", 2));
    rig.run();
    assert_eq!(rig.deployments().len(), 1);
    rig.proves = |_| true;
    rig.run();
    assert_eq!(rig.deployments(), []);
    rig.proves = |_| false;
    rig.put(checked("/web", 3));
    rig.run();
    assert_eq!(rig.deployments().len(), 1);
    rig.proves = |_| true;
    rig.run();
    assert_eq!(rig.deployments(), []);
}

/// RU-7: a version that never becomes healthy leaves the old ones alone, at every strategy as far as its floor says.
#[test]
fn a_version_that_never_becomes_healthy() {
    for (minimum, over, floor) in [(100, 100, 4), (100, 0, 4), (50, 0, 2), (75, 25, 3)] {
        let mut rig = Rig::with_agents(1);
        rig.put(strategy(checked("/web", 4), minimum, over));
        rig.run();
        let old = ids(&rig);
        rig.proves = |_| false;
        let upgrade =
            deployment(&rig.put(strategy(with_cmd(checked("/web", 4), "two"), minimum, over)));
        for _ in 0..12 {
            rig.run_launches();
            rig.pass(Span::secs(60));
            all_unproven_fail(&mut rig, 4);
            assert!(left(&rig, &old) >= floor, "{minimum}/{over}: {}", left(&rig, &old));
        }
        assert_eq!(rig.deployments(), [upgrade], "{minimum}/{over}");
        // Taken back: what still runs as it did is not started again.
        let before: Vec<_> = rig
            .instances("/web")
            .iter()
            .filter(|one| old.contains(&one.id) && one.goal == Goal::Run)
            .map(|one| (one.id, one.incarnation))
            .collect();
        rig.ask(Change::Cancel { deployment: upgrade }, false);
        rig.proves = |_| true;
        rig.run();
        let after: Vec<_> =
            rig.instances("/web").iter().map(|one| (one.id, one.incarnation)).collect();
        assert!(before.iter().all(|one| after.contains(one)), "{minimum}/{over}");
        assert_eq!((rig.healthy("/web"), rig.deployments().len()), (4, 0));
    }
}

/// A rollback never kills the last healthy old one, whatever becomes of the new ones.
#[test]
fn a_rollback_keeps_the_last_one_that_serves() {
    let mut rig = Rig::with_agents(1);
    rig.put(strategy(checked("/web", 2), 50, 0));
    rig.run();
    let old = ids(&rig);
    rig.proves = |_| false;
    let upgrade = deployment(&rig.put(strategy(with_cmd(checked("/web", 2), "two"), 50, 0)));
    rig.run();
    assert_eq!(left(&rig, &old), 1);
    let last = old_one(&rig, &old);
    rig.ask(Change::Cancel { deployment: upgrade }, false);
    for failures in 1..=4 {
        all_unproven_fail(&mut rig, failures);
        rig.run_launches();
        assert_eq!(left(&rig, &[last.id]), 1);
    }
    rig.proves = |_| true;
    rig.run();
    assert!(rig.instances("/web").iter().any(|one| one.id == last.id && one.is_healthy()));
    assert_eq!((rig.healthy("/web"), rig.deployments().len()), (2, 0));
}

/// The version that is wanted.
fn newest(rig: &Rig) -> Version {
    rig.brain.world().app(&path("/web")).expect("it is there").version
}

/// All that a definition has running and unproven are found well, as often as more come.
fn those_of_prove(rig: &mut Rig, config: Version) {
    for _ in 0..20 {
        rig.run();
        let running = |one: &Instance| one.condition() == Some(Condition::Running);
        for one in rig.instances("/web") {
            if one.config == config && running(&one) && !one.is_healthy() {
                let (running, findings) = (rig.running(), proven(&one, rig.now));
                rig.find(&one, running, Some(findings));
            }
        }
    }
}

/// A way back, and another way on, at every step of an upgrade of which nothing is known yet: what was never healthy keeps
/// no place for as long as its grace may be, and those that serve stay.
#[test]
fn what_was_never_healthy_is_not_waited_for() {
    for (minimum, over) in [(100, 100), (100, 50), (100, 0), (50, 0), (0, 0)] {
        for (first_proves, forced) in [(false, false), (false, true), (true, false), (true, true)] {
            let context = format!("{minimum}/{over}, {first_proves}, {forced}");
            let make = |cmd: &str| strategy(with_cmd(checked("/web", 2), cmd), minimum, over);
            let mut rig = Rig::with_agents(1);
            rig.put(make("one"));
            rig.run();
            let (old, config) = (ids(&rig), rig.instances("/web")[0].config);
            rig.proves = |_| false;
            let upgrade = deployment(&rig.put(make("two")));
            rig.run();
            let new = rig.instances("/web").into_iter().find(|one| !old.contains(&one.id));
            if let Some(new) = new.filter(|_| first_proves) {
                let (running, findings) = (rig.running(), proven(&new, rig.now));
                rig.find(&new, running, Some(findings));
                rig.run();
            }
            let least =
                rig.healthy("/web").min(usize::from(minimum > 0) + usize::from(minimum > 50));
            let stay = left(&rig, &old);
            let config = if forced {
                rig.put_forced(make("three"), true);
                newest(&rig)
            } else {
                rig.ask(Change::Cancel { deployment: upgrade }, false);
                config
            };
            rig.run();
            assert!(rig.healthy("/web") >= least, "{context}: what serves goes on");
            those_of_prove(&mut rig, config);
            assert_eq!((rig.healthy("/web"), rig.deployments().len()), (2, 0), "{context}");
            assert!(
                forced || left(&rig, &old) == stay,
                "{context}: what was left is not started again"
            );
        }
    }
}

/// The same where the old ones have not proven themselves either, and there is no room but theirs.
#[test]
fn what_has_not_proven_itself_yet_gives_its_place_up() {
    for (count, minimum) in [(1, 0), (1, 100), (3, 100), (3, 50)] {
        let make = |cmd: &str| strategy(with_cmd(checked("/web", count), cmd), minimum, 0);
        let mut rig = Rig::with_agents(1);
        rig.proves = |_| false;
        rig.put(make("one"));
        rig.run();
        rig.put_forced(make("two"), true);
        let config = newest(&rig);
        those_of_prove(&mut rig, config);
        let all = (rig.healthy("/web"), rig.deployments().len());
        assert_eq!(all, (count as usize, 0), "{count} at {minimum}");
    }
}

/// U21: what does not serve on an agent that is emptied goes once as many serve elsewhere as must.
#[test]
fn what_does_not_serve_holds_up_no_drain() {
    for over in [100, 0] {
        let mut rig = Rig::with_agents(2);
        rig.put(strategy(checked("/web", 2), 100, over));
        rig.run();
        let ill = rig.instances("/web").remove(0);
        let agent = ill.place.as_ref().expect("it runs").agent;
        let (running, findings) = (rig.running(), failing(&ill, rig.now, 1));
        rig.find(&ill, running, Some(findings));
        rig.proves = |_| false;
        rig.ask(Change::Drain { agent, deadline: None }, false);
        for _ in 0..5 {
            rig.run();
            let new = rig.instances("/web").into_iter().filter(|one| {
                let there = one.place.as_ref().is_some_and(|place| place.agent != agent);
                there && one.condition() == Some(Condition::Running) && !one.is_healthy()
            });
            for one in new.collect::<Vec<_>>() {
                let (running, findings) = (rig.running(), proven(&one, rig.now));
                rig.find(&one, running, Some(findings));
            }
        }
        let on_it = |one: &Instance| one.place.as_ref().is_some_and(|at| at.agent == agent);
        assert!(!rig.instances("/web").iter().any(on_it), "{over}");
        assert_eq!(rig.healthy("/web"), 2, "{over}");
    }
}

/// Forced over at every step: what failed goes before what worked (behaviour 2.3).
#[test]
fn a_forced_change_takes_what_fails_first() {
    let mut rig = Rig::with_agents(1);
    rig.put(checked("/web", 4));
    rig.run();
    let old = ids(&rig);
    rig.proves = |_| false;
    rig.put(with_cmd(checked("/web", 4), "two"));
    rig.run();
    all_unproven_fail(&mut rig, 2);
    rig.put_forced(with_cmd(checked("/web", 4), "three"), true);
    rig.run();
    assert_eq!(left(&rig, &old), 4, "those that serve");
    rig.proves = |_| true;
    rig.run();
    assert_eq!((rig.healthy("/web"), left(&rig, &old), rig.deployments().len()), (4, 0, 0));
}

/// RU-2, BETTER: old ones that fail do not stop an upgrade that has no room, nor are all of them given up at once.
#[test]
fn what_fails_gives_its_place_up_where_there_is_no_room() {
    let mut rig = Rig::with_agents(1);
    rig.put(strategy(checked("/web", 3), 100, 0));
    rig.run();
    let old = rig.instances("/web");
    let running = rig.running();
    let findings = failing(&old[0], rig.now, 1);
    rig.find(&old[0], running, Some(findings));
    rig.proves = |_| false;
    rig.put(strategy(with_cmd(checked("/web", 3), "two"), 100, 0));
    rig.run();
    rig.pass(Span::secs(5));
    let ids: Vec<InstanceId> = old.iter().map(|one| one.id).collect();
    assert_eq!(left(&rig, &ids), 2, "only the one that fails");
    rig.proves = |_| true;
    rig.run();
    assert_eq!((rig.healthy("/web"), left(&rig, &ids), rig.deployments().len()), (3, 0, 0));
}

/// `{0,0}` with a fixed host port on one agent: the old one goes first, and the deployment ends when the new one is
/// healthy. Never two at once.
#[test]
fn one_instance_with_a_fixed_port_never_overlaps() {
    let make = |cmd: &str| {
        let mut spec = strategy(with_cmd(checked("/web", 1), cmd), 0, 0);
        spec.port_definitions =
            Some(vec![PortDefinition { port: 31_500, ..PortDefinition::default() }]);
        spec.require_ports = true;
        spec
    };
    let mut rig = Rig::with_agents(1);
    rig.put(make("one"));
    rig.run();
    rig.proves = |_| false;
    rig.put(make("two"));
    for _ in 0..10 {
        let live = rig.instances("/web").iter().filter(|one| one.is_live()).count();
        assert!(live <= 1);
        rig.agents_act();
    }
    rig.pass(Span::secs(5));
    assert_eq!(rig.deployments().len(), 1, "it runs and is not healthy");
    rig.proves = |_| true;
    rig.run();
    assert_eq!((rig.deployments().len(), rig.healthy("/web")), (0, 1));
}

/// Count and configuration changed together, up and down, with health.
#[test]
fn instances_and_configuration_at_once() {
    for (before, after) in [(5, 3), (3, 5)] {
        let mut rig = Rig::with_agents(1);
        rig.put(checked("/web", before));
        rig.run();
        rig.put(with_cmd(checked("/web", after), "two"));
        rig.run();
        assert_eq!((rig.healthy("/web"), rig.deployments().len()), (after as usize, 0));
        assert_eq!(rig.instances("/web").len(), after as usize);
    }
}

/// RU-8, BETTER: health that comes and goes during an upgrade never takes the healthy ones below the floor.
#[test]
fn health_that_flaps_costs_no_old_one() {
    let mut rig = Rig::with_agents(1);
    rig.put(strategy(checked("/web", 4), 100, 25));
    rig.run();
    rig.proves = |_| false;
    let mut spec = strategy(with_cmd(checked("/web", 4), "two"), 100, 25);
    spec.health_checks = [crate::model::check::HealthCheck {
        max_consecutive_failures: 0,
        ..check(HealthProtocol::Http)
    }]
    .into();
    rig.put(spec);
    for round in 0..40 {
        rig.run_launches();
        let new: Vec<Instance> = rig
            .instances("/web")
            .into_iter()
            .filter(|one| one.goal == Goal::Run && one.is_live())
            .collect();
        let Some(new) = new.iter().max_by_key(|one| one.key) else { continue };
        let good = round % 2 == 0;
        let found = if good { proven(new, rig.now) } else { failing(new, rig.now, 1) };
        let running = rig.running();
        let before = rig.healthy("/web");
        rig.find(new, running, Some(found));
        rig.pass(Span::secs(1));
        let after = rig.healthy("/web");
        // The flap itself may take one; no decision of ours takes another.
        assert!(after + usize::from(!good) >= before.min(4), "{before} then {after}");
    }
}
