//! Back again: failures at each step, by each cause, with each `onFailure`.

use super::rig::{
    blue_green, canary, is_paused, is_restoring, is_rolling_back, judged, measured, percent, plan,
    refusal, second, serving,
};
use crate::logic::tests::rig::{Rig, app, inventory};
use crate::model::agent::Inventory;
use crate::model::deploy::{Cause, Ending, Plan, State, Strategy, Undo};
use crate::model::deployment::{FailurePolicy, OnFailure};
use crate::model::end::End;
use crate::model::fact::{Change, Refusal, Steer};
use crate::model::have::Phase as TaskPhase;
use crate::model::spec::Spec;
use crate::model::time::Span;
use crate::model::unit::{Cpus, Ratio};

/// All is as it was.
fn is_as_before(rig: &mut Rig, count: u32) {
    rig.run();
    assert_eq!((rig.wanted("/web"), rig.wanted("/web-blue")), (Some(count), None));
    assert_eq!(rig.healthy("/web"), count as usize);
    assert_eq!(rig.instances("/web-blue").len(), 0);
    assert_eq!(rig.deployments(), []);
}

/// U5: a failure in any step takes all back, and the old ones serve all the while.
#[test]
fn a_failure_in_any_step_takes_all_back() {
    for step in 0..3 {
        let mut rig = serving(20);
        let id = rig.deploy(second(20), canary());
        rig.until_held(id, step);
        let (before, kept) = (rig.healthy("/web"), rig.healthy("/web-blue"));
        rig.crash("/web-blue");
        if step == 0 {
            // It was the only one: its place is given back at once.
            assert!(matches!(rig.rolled_back(id), Cause::Failures(_)));
            is_as_before(&mut rig, 20);
            continue;
        }
        rig.until(id, "restoring", is_rolling_back);
        for _ in 0..200 {
            if !is_restoring(&rig.state(id)) {
                break;
            }
            assert!(rig.healthy("/web-blue") + 1 >= kept, "nothing is given up in step {step}");
            assert!(rig.healthy("/web") >= before, "step {step}");
            rig.agents_act();
            rig.pass(Span::millis(10));
        }
        assert_eq!(rig.healthy("/web"), 20, "whole before the new one goes, in step {step}");
        assert!(matches!(rig.rolled_back(id), Cause::Failures(_)));
        is_as_before(&mut rig, 20);
    }
}

/// What never becomes healthy is taken back at the deadline, and costs no old instance (U5).
#[test]
fn what_never_becomes_healthy_is_taken_back_at_the_deadline() {
    let mut rig = serving(4);
    let id = rig.deploy(second(4), blue_green());
    // Agents that never start anything of it.
    rig.pass(Span::secs(59));
    assert_eq!((rig.healthy("/web"), rig.wanted("/web")), (4, Some(4)));
    assert!(!is_rolling_back(&rig.state(id)));
    rig.pass(Span::secs(2));
    let Cause::Overdue(text) = rig.rolled_back(id) else { panic!("{:?}", rig.state(id)) };
    assert_eq!(text, "0 of 1 new instances are healthy");
    is_as_before(&mut rig, 4);
}

/// A version that runs for a moment and ends takes the place of nothing (RU-8).
#[test]
fn a_version_that_ends_at_once_takes_the_place_of_nothing() {
    let mut rig = serving(1);
    let id = rig.deploy(second(1), blue_green());
    rig.run_launches();
    rig.pass(Span::millis(200));
    assert_eq!(rig.wanted("/web"), Some(1));
    rig.crash("/web-blue");
    assert!(matches!(rig.rolled_back(id), Cause::Failures(_)));
    is_as_before(&mut rig, 1);
}

/// An analysis out of bounds takes back; with `pause` it waits, with `none` it ends where it stands.
#[test]
fn an_analysis_out_of_bounds_does_what_was_said() {
    for on_failure in [OnFailure::Rollback, OnFailure::Pause, OnFailure::None] {
        let mut rig = serving(20);
        let id = rig.deploy(second(20), Plan { on_failure, ..judged() });
        rig.until_judged(id, 0);
        rig.find_out(id, measured(0));
        rig.until_judged(id, 1);
        rig.find_out(id, measured(10_001));
        let cause = Cause::Analysis("the query gave 0.010001, at most 0.01 passes".to_owned());
        match on_failure {
            OnFailure::Rollback => {
                assert_eq!(rig.rolled_back(id), cause);
                is_as_before(&mut rig, 20);
            }
            OnFailure::Pause => {
                assert!(matches!(rig.state(id), State::Paused { cause: why, .. } if why == cause));
                assert_eq!((rig.healthy("/web-blue"), rig.healthy("/web")), (5, 15));
                rig.steer(id, Steer::RollBack);
                assert_eq!(rig.rolled_back(id), Cause::Asked);
                is_as_before(&mut rig, 20);
            }
            OnFailure::None => {
                assert_eq!(rig.ending(id), Ending::Failed(cause));
                rig.run();
                assert_eq!((rig.healthy("/web-blue"), rig.healthy("/web")), (5, 15));
            }
        }
    }
}

/// A rollback that somebody asks for, in each phase.
#[test]
fn it_can_be_taken_back_at_any_time() {
    for step in 0..3 {
        let mut rig = serving(20);
        let id = rig.deploy(second(20), canary());
        rig.until_held(id, step);
        rig.steer(id, Steer::RollBack);
        assert_eq!(rig.rolled_back(id), Cause::Asked);
        is_as_before(&mut rig, 20);
        let again = refusal(rig.steer(id, Steer::RollBack));
        assert_eq!(again, Refusal::NotNow { deploy: id, how: Steer::RollBack });
    }
    // While the first new instance is on its way.
    let mut rig = serving(2);
    let id = rig.deploy(second(2), blue_green());
    rig.steer(id, Steer::RollBack);
    assert_eq!(rig.rolled_back(id), Cause::Asked);
    is_as_before(&mut rig, 2);
}

/// An end leaves everything as it stands.
#[test]
fn an_end_touches_nothing() {
    let mut rig = serving(20);
    let id = rig.deploy(second(20), canary());
    rig.until_held(id, 1);
    rig.steer(id, Steer::End);
    assert_eq!(rig.ending(id), Ending::Failed(Cause::Asked));
    rig.run();
    assert_eq!((rig.healthy("/web-blue"), rig.healthy("/web")), (5, 15));
    assert_eq!(refusal(rig.steer(id, Steer::End)), Refusal::NotNow { deploy: id, how: Steer::End });
}

/// A first deploy that fails leaves nothing.
#[test]
fn a_first_deploy_that_fails_is_removed() {
    let mut rig = Rig::with_agents(1);
    let id = rig.deploy(app("/web", 2), blue_green());
    rig.run_launches();
    rig.crash("/web-blue");
    assert!(matches!(rig.rolled_back(id), Cause::Failures(_)));
    rig.run();
    assert_eq!(rig.brain.world().live_apps().count(), 0);
}

/// A rolling one gets its definition back: by a rollback of its deployment, or by an ordinary change afterwards.
#[test]
fn rolling_is_taken_back_during_and_after_its_deployment() {
    let rolling = || Plan { hold: Span::secs(30), ..plan(Strategy::Rolling, &[percent(100)]) };
    let mut rig = serving(4);
    let first =
        rig.brain.world().app(&crate::logic::tests::rig::path("/web")).expect("there").version;
    let config = rig.instances("/web")[0].config;
    let id = rig.deploy(second(4), rolling());
    let new = rig.instances("/web").into_iter().find(|one| one.config != config).expect("one");
    rig.have(&new, TaskPhase::Exited { at: rig.now, end: End::Code(1) });
    assert!(matches!(rig.rolled_back(id), Cause::Failures(_)));
    rig.run();
    assert!(rig.instances("/web").iter().all(|one| one.config == config && one.is_healthy()));

    let id = rig.deploy(second(4), rolling());
    rig.until_held(id, 0);
    rig.crash("/web");
    assert!(matches!(rig.rolled_back(id), Cause::Failures(_)));
    rig.run();
    let world = rig.brain.world();
    let app = world.app(&crate::logic::tests::rig::path("/web")).expect("there");
    let spec = |version| world.versions.get(&(app.key, version)).map(|row| row.spec.clone());
    assert_eq!(spec(app.version), spec(first));
    assert_eq!(rig.healthy("/web"), 4);
}

/// Where the old one cannot become whole, nothing that serves is given up: it says so and goes on (I4).
#[test]
fn a_rollback_without_room_is_stuck_and_gives_nothing_up() {
    let mut rig = Rig::new();
    let room = |cpus: u64| Inventory { cpus: Cpus::micro(cpus * 100_000), ..inventory(1) };
    rig.attach_as(1, room(5));
    let mut spec = app("/web", 4);
    spec.upgrade.over_capacity = Ratio::default();
    rig.put(spec);
    rig.run();
    let id = rig.deploy(second(4), Plan { hold: Span::secs(60), ..blue_green() });
    rig.until_held(id, 1);
    let agent = rig.brain.world().agents.iter().map(|(key, _)| *key).next().expect("one");
    rig.change_agent(agent, |offers| offers.cpus = Cpus::micro(400_000));
    rig.steer(id, Steer::RollBack);
    let stuck = |state: &State| {
        matches!(state, State::RollingBack { undo: Undo::Restoring { stuck: true, .. }, .. })
    };
    rig.until(id, "stuck", stuck);
    assert_eq!((rig.healthy("/web-blue"), rig.healthy("/web")), (2, 2));
    rig.change_agent(agent, |offers| offers.cpus = Cpus::micro(800_000));
    assert_eq!(rig.rolled_back(id), Cause::Asked);
    is_as_before(&mut rig, 4);
}

/// Where nothing of the new one serves, its places are given to the old one at once.
#[test]
fn a_new_one_of_which_nothing_serves_makes_room() {
    let mut rig = Rig::new();
    rig.attach_as(1, Inventory { cpus: Cpus::micro(500_000), ..inventory(1) });
    rig.put(app("/web", 4));
    rig.run();
    let id = rig.deploy(second(4), Plan { hold: Span::secs(60), ..blue_green() });
    rig.until_held(id, 1);
    rig.crash("/web-blue");
    rig.crash("/web-blue");
    assert!(matches!(rig.rolled_back(id), Cause::Failures(_)));
    is_as_before(&mut rig, 4);
}

/// A sick old app is no reason to keep the one that cures it from coming, and a rollback asks no more of it than it had.
#[test]
fn an_old_app_that_is_sick_neither_stops_nor_holds() {
    let sick = || {
        let mut rig = serving(2);
        let one = rig.instances("/web").remove(0);
        // It ends again and again; its delay holds it back.
        rig.have(&one, TaskPhase::Exited { at: rig.now, end: End::Code(1) });
        rig
    };
    let mut rig = sick();
    let hold =
        Plan { hold: Span::secs(60), ..plan(Strategy::BlueGreen, &[percent(50), percent(100)]) };
    let id = rig.deploy(second(2), hold.clone());
    let old = rig.row(id).old.expect("there was one");
    assert_eq!((old.whole, old.serving), (2, 1));
    assert_eq!(rig.ending(id), Ending::Done);

    let mut rig = sick();
    let id = rig.deploy(second(2), hold);
    rig.until_held(id, 0);
    rig.steer(id, Steer::RollBack);
    assert_eq!(rig.rolled_back(id), Cause::Asked);
}

/// An instance that fails while nothing is asked of it does not count against a paused one.
#[test]
fn a_paused_one_counts_no_failures() {
    let mut rig = serving(4);
    let id = rig.deploy(second(4), plan(Strategy::Canary, &[percent(50)]));
    rig.until(id, "paused", is_paused);
    rig.crash("/web-blue");
    rig.pass(Span::secs(1));
    assert!(is_paused(&rig.state(id)));
    rig.steer(id, Steer::Promote);
    assert_eq!(rig.ending(id), Ending::Done);
}

/// A deployment of ours that is taken back by hand is somebody else's change.
#[test]
fn a_deployment_taken_back_by_hand_ends_it() {
    let mut rig = serving(4);
    let id = rig.deploy(second(4), blue_green());
    let deployment = rig.deployments()[0];
    rig.ask(Change::Cancel { deployment }, false);
    let ending = rig.ending(id);
    let blue = crate::logic::tests::rig::path("/web-blue");
    assert_eq!(ending, Ending::Failed(Cause::Removed(blue)));
    rig.run();
    assert_eq!(rig.healthy("/web"), 4);
}

/// The limits that an app has for a single deployment do not take back behind its back what is one step of several.
#[test]
fn limits_of_the_app_itself_do_not_interfere() {
    let limits = FailurePolicy {
        deadline_seconds: Some(5),
        max_failures: Some(0),
        on_failure: Some(OnFailure::Rollback),
    };
    let mut rig = serving(4);
    let id = rig.deploy(Spec { failure: limits, ..second(4) }, blue_green());
    rig.pass(Span::secs(59));
    assert!(!rig.row(id).is_over() && !is_rolling_back(&rig.state(id)), "its own deadline counts");
    rig.pass(Span::secs(2));
    assert!(matches!(rig.rolled_back(id), Cause::Overdue(_)));
    is_as_before(&mut rig, 4);
}
