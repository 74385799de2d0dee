//! Rehearsals (U7): what a change would come to is what it comes to, and nothing is changed by asking.

use proptest::prelude::*;

use crate::logic::draft::Limits;
use crate::logic::rehearse::doubt::Doubt;
use crate::logic::rehearse::{Course, Rehearsal, rehearse};
use crate::logic::tests::rig::{Rig, app, deployment, path, with_cmd};
use crate::model::event::PlanAction;
use crate::model::fact::{Announce, Caller, Change, Expect, How, Put, Refusal};
use crate::model::instance::Instance;
use crate::model::spec::{Spec, UpgradeStrategy};
use crate::model::unit::{Mem, Ratio};

fn put(rig: &Rig, spec: Spec) -> Change {
    let app = rig.brain.world().app(&spec.path);
    let expect = app.map_or(Expect::None, |app| Expect::Version(app.version));
    Change::Put { apps: vec![Put { spec, expect }], announce: Announce::No }
}

fn play(rig: &Rig, change: Change, force: bool) -> Result<Rehearsal, Refusal> {
    let before = format!("{:?}", rig.brain.view().world.rows().collect::<Vec<_>>());
    let view = rig.brain.view();
    let how = How { force, ..How::default() };
    let played = rehearse(&view, Limits::default(), &Caller::default(), change, how, rig.now);
    let after = format!("{:?}", rig.brain.view().world.rows().collect::<Vec<_>>());
    assert_eq!(before, after, "nothing is changed by asking");
    played
}

fn plan(rig: &Rig, spec: Spec) -> Course {
    let mut played = play(rig, put(rig, spec), false).expect("it would be taken");
    assert!(played.complete);
    played.courses.remove(0)
}

fn kinds(course: &Course) -> Vec<&'static str> {
    course.doubts.iter().map(Doubt::kind).collect()
}

fn downtime(mut spec: Spec) -> Spec {
    spec.upgrade = UpgradeStrategy { minimum_health: Ratio::ZERO, over_capacity: Ratio::ZERO };
    spec
}

#[test]
fn a_new_app_says_where_it_goes() {
    let rig = Rig::with_agents(2);
    let played = play(&rig, put(&rig, app("/web", 3)), false).expect("it would be taken");
    let steps: Vec<Vec<PlanAction>> =
        played.steps.iter().map(|step| step.iter().map(|(action, _)| *action).collect()).collect();
    assert_eq!(steps, [vec![PlanAction::Start], vec![PlanAction::Scale]], "DP-6");
    let course = &played.courses[0];
    assert_eq!((course.kept, course.ended, course.waiting), (0, 0, 0));
    assert_eq!(course.starts.values().sum::<u32>(), 3);
    assert!(course.before.is_none() && course.doubts.is_empty(), "{course:?}");
}

#[test]
fn what_finds_no_place_says_why_as_explain_does() {
    let mut rig = Rig::new();
    rig.attach(1, 64, 100);
    let course = plan(&rig, app("/web", 5));
    assert_eq!((course.starts.values().sum::<u32>(), course.waiting), (3, 2), "32 MiB each");
    assert_eq!(kinds(&course), ["noPlace"]);
    let explanation = course.explanation.expect("something waits");
    assert_eq!(explanation.agents[0].reasons.len(), 1, "{explanation:?}");
}

#[test]
fn a_new_configuration_restarts_and_a_new_count_does_not() {
    let mut rig = Rig::with_agents(2);
    rig.put(app("/web", 3));
    rig.run();
    let course = plan(&rig, with_cmd(app("/web", 3), "sleep 2"));
    assert_eq!(course.action, Some(PlanAction::Restart));
    assert_eq!((course.kept, course.ended, course.lowest), (0, 3, 3), "RU-1: never fewer");
    assert_eq!(kinds(&course), ["restarts"]);
    let course = plan(&rig, app("/web", 5));
    assert_eq!(course.action, Some(PlanAction::Scale));
    assert_eq!((course.kept, course.ended, course.starts.values().sum::<u32>()), (3, 0, 2));
    let course = plan(&rig, app("/web", 1));
    assert_eq!((course.kept, course.ended, course.lowest), (1, 2, 1));
    assert_eq!(kinds(&course), ["ends"]);
    let same = plan(&rig, app("/web", 3));
    assert_eq!((same.action, same.kept, kinds(&same)), (None, 3, vec![]));
}

#[test]
fn an_upgrade_that_stops_everything_first_is_downtime() {
    let mut rig = Rig::with_agents(1);
    rig.put(downtime(app("/web", 2)));
    rig.run();
    let course = plan(&rig, downtime(with_cmd(app("/web", 2), "sleep 2")));
    assert_eq!((course.served, course.lowest), (2, 0));
    assert_eq!(kinds(&course), ["downtime", "restarts"]);
    let mut half = with_cmd(app("/web", 2), "sleep 2");
    half.upgrade =
        UpgradeStrategy { minimum_health: Ratio::micro(500_000), over_capacity: Ratio::ZERO };
    let course = plan(&rig, half);
    assert_eq!(course.doubts[0], Doubt::FewerServe { lowest: 1, of: 2 });
}

#[test]
fn a_lock_refuses_and_force_says_what_it_would_cancel() {
    let mut rig = Rig::new();
    let held = deployment(&rig.put(app("/web", 1)));
    let change = put(&rig, app("/web", 2));
    let refused = play(&rig, change.clone(), false).expect_err("DP-11");
    assert_eq!(refused, Refusal::Locked { deployments: vec![held] });
    assert_eq!(play(&rig, change, true).expect("forced").cancels, [held]);
}

#[test]
fn a_removal_ends_what_runs_and_a_shared_service_port_is_a_doubt() {
    let mut rig = Rig::with_agents(1);
    let with_port = |id: &str, port: u16| {
        let mut spec = app(id, 1);
        spec.port_definitions.as_mut().expect("it has one")[0].port = port;
        spec
    };
    rig.put(with_port("/web", 10_500));
    rig.run();
    let played = play(&rig, Change::Remove { path: path("/web") }, false).expect("taken");
    let course = &played.courses[0];
    assert!(course.after.is_none());
    assert_eq!((course.ended, kinds(course)), (1, vec!["ends"]));
    let course = plan(&rig, with_port("/other", 10_500));
    assert_eq!(course.doubts, [Doubt::ServicePort { port: 10_500, holder: path("/web") }]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// What was said is what comes: agents that do as they are told bring the app where its rehearsal had it.
    #[test]
    fn what_a_rehearsal_says_comes_true(
        (was, wants, mem) in (0_u32..5, 0_u32..6, 64_u64..300),
        (minimum, over) in (0_u64..=100, 0_u64..=100),
        restart in any::<bool>(),
    ) {
        let mut rig = Rig::new();
        rig.attach(1, 64, mem);
        rig.attach(2, 64, mem);
        let strategy = UpgradeStrategy {
            minimum_health: Ratio::micro(minimum * 10_000),
            over_capacity: Ratio::micro(over * 10_000),
        };
        let mut first = app("/web", was);
        first.upgrade = strategy;
        first.containers[0].mem = Mem::whole(32);
        rig.put(first.clone());
        rig.run();
        let mut next = if restart { with_cmd(first, "sleep 2") } else { first };
        next.instances = wants;
        let change = put(&rig, next.clone());
        let Ok(played) = play(&rig, change, true) else {
            return Err(TestCaseError::fail("forced, so taken"));
        };
        let course = &played.courses[0];
        rig.put_forced(next, true);
        rig.run();
        let live = |one: &&Instance| one.is_live() && one.is_wanted();
        let there = rig.instances("/web").iter().filter(live).count();
        let said = course.kept + course.starts.values().sum::<u32>();
        prop_assert_eq!(there, said as usize);
        prop_assert_eq!(rig.healthy("/web"), there);
    }
}
