//! Deployments: plans, locks, force, cancel, rollback, removal.

use crate::logic::decide::rollout::SETTLE;
use crate::logic::tests::rig::{Rig, app, deployment, path, with_cmd};
use crate::model::app::Action;
use crate::model::event::{Event, PlanAction};
use crate::model::fact::{Answer, Change, KillHow, Refusal};
use crate::model::spec::{KillSelection, Spec};
use crate::model::time::Span;

/// DP-7, T1: a new app is two steps, Start and Scale; the events come in order.
#[test]
fn a_new_app_starts_then_scales_and_succeeds() {
    let mut rig = Rig::with_agents(1);
    let id = deployment(&rig.put(app("/web", 2)));
    assert_eq!(rig.deployments(), [id]);
    rig.run();
    assert_eq!(rig.healthy("/web"), 2);
    assert_eq!(rig.deployments(), []);
    let plan = rig.events.iter().find_map(|event| match event {
        Event::DeploymentDone(plan) => Some(plan.steps.clone()),
        _ => None,
    });
    let web = path("/web");
    assert_eq!(
        plan,
        Some(vec![vec![(PlanAction::Start, web.clone())], vec![(PlanAction::Scale, web)]])
    );
}

/// DP-3, T13: a change that changes nothing is a deployment that is over at once, and keeps the version.
#[test]
fn a_change_without_effect_keeps_the_version() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 1));
    rig.run();
    let before = rig.brain.world().app(&path("/web")).expect("there").version;
    deployment(&rig.put(app("/web", 1)));
    assert_eq!(rig.deployments(), []);
    assert_eq!(rig.brain.world().app(&path("/web")).expect("there").version, before);
}

/// DP-4, T3: a change of count keeps the time of the configuration.
#[test]
fn scaling_keeps_the_configuration() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 1));
    rig.run();
    let ids = rig.instances("/web");
    rig.put(app("/web", 3));
    rig.run();
    assert_eq!(rig.healthy("/web"), 3);
    assert_eq!(rig.instances("/web")[0].id, ids[0].id, "the first goes on");
    let world = rig.brain.world();
    let row = world.current(world.app(&path("/web")).expect("there")).expect("there");
    assert!(row.last_scaling_at > row.last_config_change_at);
}

/// DP-11, T7, T8: a locked app is refused with who holds it; force cancels that.
#[test]
fn a_lock_refuses_and_force_overrides() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 1));
    rig.run();
    let first = deployment(&rig.put(with_cmd(app("/web", 1), "sleep 2")));
    let refused = rig.put(with_cmd(app("/web", 1), "sleep 3"));
    assert_eq!(refused, Answer::Refused(Refusal::Locked { deployments: vec![first] }));
    assert_eq!(rig.deployments(), [first], "the first goes on unharmed");
    let second = deployment(&rig.put_forced(with_cmd(app("/web", 1), "sleep 3"), true));
    assert_eq!(rig.deployments(), [second]);
    assert!(rig.events.iter().any(|event| matches!(
        event,
        Event::DeploymentFailed { plan, reason } if plan.id == first && reason == "The upgrade has been cancelled"
    )));
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.instances("/web").len()), (1, 1));
}

/// T9, I17: an app can be removed whatever runs; its rows leave when their agents have confirmed it.
#[test]
fn removal_ends_what_runs_and_hides_the_app_at_once() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 2));
    rig.agents_act();
    deployment(&rig.ask(Change::Remove { path: path("/web") }, true));
    assert!(rig.brain.world().app(&path("/web")).is_none());
    assert_eq!(rig.instances("/web").len(), 2, "rows stay until the agents confirm");
    rig.run();
    assert_eq!(rig.instances("/web").len(), 0);
    assert_eq!(rig.deployments(), []);
    assert!(rig.events.contains(&Event::AppTerminated { path: path("/web") }));
}

/// An app that was removed can be made again under its id, and starts a new history.
#[test]
fn a_removed_app_can_be_made_again() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 1));
    rig.run();
    rig.ask(Change::Remove { path: path("/web") }, true);
    rig.run();
    rig.pass(Span::millis(5));
    deployment(&rig.put(app("/web", 1)));
    rig.run();
    let app = rig.brain.world().app(&path("/web")).expect("there").clone();
    assert_eq!(rig.healthy("/web"), 1);
    assert_eq!((app.visible_from, app.priors.len()), (app.version, 1));
}

/// DP-17: a rolled back creation removes the app, a rolled back upgrade returns to what still runs.
#[test]
fn rollback_puts_back_what_was() {
    let mut rig = Rig::with_agents(1);
    let created = deployment(&rig.put(app("/new", 1)));
    deployment(&rig.ask(Change::Cancel { deployment: created }, false));
    rig.run();
    assert!(rig.brain.world().app(&path("/new")).is_none());

    rig.put(app("/web", 3));
    rig.run();
    let before = rig.instances("/web");
    let upgrade = deployment(&rig.put(with_cmd(app("/web", 3), "false")));
    let first = rig
        .instances("/web")
        .into_iter()
        .find(|one| one.is_live() && !one.is_healthy())
        .expect("one");
    rig.have(&first, rig.running());
    rig.pass(SETTLE);
    deployment(&rig.ask(Change::Cancel { deployment: upgrade }, false));
    rig.run();
    let after = rig.instances("/web");
    assert_eq!(rig.healthy("/web"), 3);
    assert_eq!(rig.deployments(), []);
    // DP-18, BETTER: instances that already run what is put back are not restarted.
    let kept = after.iter().filter(|one| before.iter().any(|old| old.id == one.id)).count();
    assert_eq!(kept, 2, "only what the upgrade had ended is new");
}

/// DP-18, BETTER: a bare restart that is rolled back ends.
#[test]
fn a_restart_can_be_rolled_back() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 2));
    rig.run();
    let restart = deployment(&rig.ask(Change::Restart { path: path("/web") }, false));
    let action = rig
        .brain
        .world()
        .app(&path("/web"))
        .and_then(|app| app.part.clone())
        .map(|part| part.action);
    assert_eq!(action, Some(Action::Restart));
    deployment(&rig.ask(Change::Cancel { deployment: restart }, false));
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.instances("/web").len()), (2, 2));
}

/// DP-16: forced, a deployment just ends where it stands.
#[test]
fn a_forced_cancel_leaves_things_half_way() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 2));
    rig.run();
    let upgrade = deployment(&rig.put(with_cmd(app("/web", 2), "sleep 5")));
    assert_eq!(rig.ask(Change::Cancel { deployment: upgrade }, true), Answer::Cancelled);
    assert_eq!(rig.deployments(), []);
    rig.run();
    assert_eq!(rig.healthy("/web"), 2, "the count is kept");
}

/// SC-12, SC-13: a plain kill relaunches the same instance, kill and scale makes the app smaller at once.
#[test]
fn kills_relaunch_or_scale() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 3));
    rig.run();
    let victim = rig.instances("/web")[1].clone();
    rig.ask(Change::Kill { instances: vec![victim.key], how: KillHow::Restart }, false);
    rig.run();
    let same = rig.instances("/web").into_iter().find(|one| one.id == victim.id).expect("same id");
    assert_eq!(same.incarnation, victim.incarnation.next());
    assert_eq!(rig.healthy("/web"), 3);

    deployment(&rig.ask(Change::Kill { instances: vec![victim.key], how: KillHow::Scale }, false));
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.deployments().len()), (2, 0));
    assert!(rig.instances("/web").iter().all(|one| one.id != victim.id));
}

/// SC-4, BETTER: when fewer are wanted, one that is ending to be launched again goes before one that serves.
#[test]
fn a_smaller_count_ends_what_is_ending_before_what_serves() {
    for selection in [KillSelection::YoungestFirst, KillSelection::OldestFirst] {
        let mut rig = Rig::with_agents(1);
        rig.put(Spec { kill_selection: selection, ..app("/web", 3) });
        rig.run();
        let victim = rig.instances("/web")[1].clone();
        rig.ask(Change::Kill { instances: vec![victim.key], how: KillHow::Restart }, false);
        rig.put(Spec { kill_selection: selection, ..app("/web", 2) });
        assert_eq!(rig.healthy("/web"), 2, "{selection:?}");
        rig.run();
        assert!(rig.instances("/web").iter().all(|one| one.id != victim.id), "{selection:?}");
    }
}

/// 300 versions leave 25 definitions (contract 3.4).
#[test]
fn versions_are_bounded() {
    let mut rig = Rig::with_agents(1);
    for number in 0..40 {
        rig.put(with_cmd(app("/web", 1), &format!("sleep {number}")));
        rig.run();
    }
    let world = rig.brain.world();
    assert_eq!(world.versions.len(), 25);
    assert_eq!(world.app(&path("/web")).expect("there").priors.len(), 24);
}

/// T5, T6: dependencies layer the plan; a circle is refused.
#[test]
fn dependencies_layer_and_circles_are_refused() {
    use crate::model::fact::{Announce, Expect, Put};
    let depends = |mut spec: crate::model::spec::Spec, on: &str| {
        spec.dependencies.insert(path(on));
        spec
    };
    let mut rig = Rig::with_agents(1);
    let specs = [
        app("/product/db", 1),
        depends(app("/product/service", 1), "/product/db"),
        depends(app("/product/frontend", 1), "/product/service"),
    ];
    let puts = specs.into_iter().map(|spec| Put { spec, expect: Expect::None }).collect();
    deployment(&rig.ask(Change::Put { apps: puts, announce: Announce::No }, false));
    assert_eq!(rig.instances("/product/service").len(), 0, "it waits for what it depends on");
    rig.run();
    assert_eq!(rig.healthy("/product/frontend"), 1);
    let steps = rig.events.iter().find_map(|event| match event {
        Event::DeploymentDone(plan) => Some(plan.steps.len()),
        _ => None,
    });
    assert_eq!(steps, Some(4), "start, then three layers");
    let circle = depends(app("/product/db", 1), "/product/frontend");
    assert_eq!(rig.put(circle), Answer::Refused(Refusal::Cycle));
}
