//! Rolling upgrades: the floor and the ceiling hold at every step (I3, I4), and every one ends.

use proptest::prelude::*;

use crate::logic::decide::drain::Leaving;
use crate::logic::decide::rollout::{self, Capacity, SETTLE, Situation};
use crate::logic::tests::rig::{Rig, app, deployment, with_cmd};
use crate::model::end::End;
use crate::model::have::Phase;
use crate::model::instance::{Goal, Instance};
use crate::model::spec::{KillSelection, Spec, UpgradeStrategy};
use crate::model::time::Span;
use crate::model::unit::Ratio;

fn strategy(mut spec: Spec, minimum: u64, over: u64) -> Spec {
    spec.upgrade = UpgradeStrategy {
        minimum_health: Ratio::micro(minimum * 10_000),
        over_capacity: Ratio::micro(over * 10_000),
    };
    spec
}

/// RU-1: a kill that is not needed never happens, and both bounds hold in every state on the way.
fn upgrade_holds(count: u32, next: u32, minimum: u64, over: u64, choices: &[bool]) {
    let mut rig = Rig::with_agents(3);
    rig.put(strategy(app("/web", count), minimum, over));
    rig.run();
    deployment(&rig.put(strategy(with_cmd(app("/web", next), "sleep 2"), minimum, over)));
    let upgrade = strategy(app("/web", 1), minimum, over).upgrade;
    let floor = Capacity::of(upgrade, next, 0, false).floor;
    let ceiling = Capacity::of(upgrade, next, u32::MAX, false).ceiling.max(count);
    let mut choices = choices.iter().copied().cycle();
    for _ in 0..400 {
        let live: Vec<Instance> =
            rig.instances("/web").into_iter().filter(Instance::is_live).collect();
        assert!(live.len() <= ceiling as usize, "{} of at most {ceiling}", live.len());
        let healthy = u32::try_from(rig.healthy("/web")).expect("few");
        assert!(healthy >= floor.min(count), "{healthy} of at least {floor}");
        let Some(instance) = live
            .iter()
            .filter(|one| !one.is_healthy())
            .find(|_| choices.next().unwrap_or(true))
            .or(live.iter().find(|one| !one.is_healthy()))
        else {
            if rig.settles() {
                rig.pass(SETTLE);
                continue;
            }
            break;
        };
        let phase = match instance.goal {
            Goal::Run => rig.running(),
            Goal::Stop { .. } => Phase::Exited { at: rig.now, end: End::Signal(15) },
        };
        rig.have(instance, phase);
        rig.pass(Span::millis(3));
    }
    assert_eq!(rig.healthy("/web"), next as usize);
    assert_eq!(rig.deployments(), []);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]
    #[test]
    fn every_upgrade_holds_its_bounds_and_ends(
        count in 1_u32..8,
        next in 1_u32..8,
        minimum in 0_u64..=100,
        over in 0_u64..=100,
        choices in proptest::collection::vec(any::<bool>(), 1..20),
    ) {
        upgrade_holds(count, next, minimum, over, &choices);
    }
}

/// RU-7, RU-8: a version that never runs leaves the old ones as far as the floor says, and can be taken back.
#[test]
fn a_version_that_crashes_leaves_the_old_ones() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 4));
    rig.run();
    let upgrade = deployment(&rig.put(with_cmd(app("/web", 4), "false")));
    for _ in 0..6 {
        let new: Vec<Instance> = rig
            .instances("/web")
            .into_iter()
            .filter(|one| one.is_live() && !one.is_healthy())
            .collect();
        for instance in new {
            rig.have(&instance, Phase::Exited { at: rig.now, end: End::Code(1) });
        }
        rig.pass(Span::secs(5));
        assert_eq!(rig.healthy("/web"), 4);
    }
    assert_eq!(rig.deployments(), [upgrade]);
}

/// RU-8, BETTER: new instances that run and crash again and again do not eat up the old ones.
#[test]
fn a_version_that_runs_and_crashes_does_not_eat_the_old_ones() {
    let mut rig = Rig::with_agents(1);
    rig.put(strategy(app("/web", 4), 100, 25));
    rig.run();
    let old: Vec<_> = rig.instances("/web").iter().map(|one| one.id).collect();
    rig.put(strategy(with_cmd(app("/web", 4), "sleep 5; false"), 100, 25));
    for _ in 0..10 {
        let instances = rig.instances("/web");
        if let Some(new) = instances.iter().find(|one| one.is_live() && !old.contains(&one.id)) {
            rig.have(new, rig.running());
            rig.have(new, Phase::Exited { at: rig.now, end: End::Code(1) });
        }
        for leaving in rig.instances("/web").iter().filter(|one| !one.is_wanted()) {
            rig.have(leaving, Phase::Exited { at: rig.now, end: End::Signal(15) });
        }
        let left = rig
            .instances("/web")
            .iter()
            .filter(|one| one.is_healthy() && old.contains(&one.id))
            .count();
        assert!(left >= 3, "{left} old ones are left");
        rig.pass(Span::secs(10));
    }
}

/// A version that ends as soon as it runs costs no old instance, however many of it run for a moment (BETTER).
#[test]
fn a_version_that_ends_at_once_costs_nothing() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 4));
    rig.run();
    let old: Vec<_> = rig.instances("/web").iter().map(|one| one.id).collect();
    rig.put(with_cmd(app("/web", 4), "exit 3"));
    let new: Vec<Instance> =
        rig.instances("/web").into_iter().filter(|one| !old.contains(&one.id)).collect();
    assert_eq!(new.len(), 4);
    for instance in &new {
        rig.have(instance, rig.running());
    }
    rig.pass(Span::millis(SETTLE.as_millis() / 2));
    for instance in &new {
        rig.have(instance, Phase::Exited { at: rig.now, end: End::Code(3) });
    }
    rig.pass(Span::millis(500));
    assert_eq!(rig.healthy("/web"), 4);
    assert!(
        rig.instances("/web").iter().filter(|one| old.contains(&one.id)).all(Instance::is_healthy)
    );
}

/// One that is too many ends once the one beside it is relied on: that moment is looked for also when nothing older is
/// left (I7).
#[test]
fn a_surplus_is_looked_at_again_when_the_other_has_settled() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 2));
    rig.run();
    rig.pass(SETTLE);
    let mut instances = rig.instances("/web");
    instances[0].tasks[0].started_at = Some(rig.now);
    let all: Vec<&Instance> = instances.iter().collect();
    let leaving = Leaving::default();
    let situation = |now| Situation {
        wanted: 1,
        config: instances[0].config,
        rolling: true,
        upgrade: strategy(app("/web", 1), 100, 100).upgrade,
        resident: false,
        now,
        kill_selection: KillSelection::YoungestFirst,
        instances: &all,
        leaving: &leaving,
        held: false,
    };
    let before = rollout::roll(&situation(rig.now));
    assert_eq!((before.stop.len(), before.look_again), (0, Some(rig.now + SETTLE)));
    let after = rollout::roll(&situation(rig.now + SETTLE));
    assert_eq!((after.stop.len(), after.look_again), (1, None));
}
