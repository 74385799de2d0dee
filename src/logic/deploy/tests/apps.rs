//! Other people: a second deploy, changes by hand, names that are taken, apps that are left over.

use super::rig::{blue_green, canary, percent, plan, refusal, second, serving};
use crate::logic::tests::rig::{app, deployment, path, with_cmd};
use crate::model::colour::GROUP;
use crate::model::deploy::{Cause, Ending, Plan, State, Strategy};
use crate::model::deployment::OnFailure;
use crate::model::fact::{Change, Refusal, Steer};
use crate::model::spec::Spec;
use crate::model::time::Span;

fn third(instances: u32) -> Spec {
    with_cmd(app("/web", instances), "sleep 3")
}

/// A second deploy of the same app is refused with who is first, by either of its ids.
#[test]
fn a_second_deploy_is_refused_with_the_first() {
    let mut rig = serving(4);
    let first = rig.deploy(second(4), canary());
    let refused = Refusal::Deploying { deploys: vec![first] };
    assert_eq!(refusal(rig.propose(third(4), canary(), false)), refused);
    let rolling = plan(Strategy::Rolling, &[percent(100)]);
    assert_eq!(refusal(rig.propose(third(4), rolling.clone(), false)), refused);
    let blue = with_cmd(app("/web-blue", 1), "sleep 9");
    assert_eq!(refusal(rig.propose(blue, rolling, false)), refused);
    assert_eq!(rig.ending(first), Ending::Done, "the first goes on unharmed");
}

/// By force the new one goes on with both apps, and never below the count.
#[test]
fn by_force_a_second_deploy_takes_the_place_of_the_first() {
    let mut rig = serving(4);
    let first = rig.deploy(second(4), Plan { hold: Span::secs(60), ..blue_green() });
    rig.until_held(first, 1);
    let next = rig.deploy_forced(third(4), blue_green(), true);
    assert_eq!(rig.state(first), State::Over(Ending::Replaced(next)));
    let row = rig.row(next);
    let old = row.old.clone().expect("the same one");
    assert_eq!((old.hand.path.as_str(), old.whole), ("/web", 4));
    assert_eq!((row.new.hand.path.as_str(), row.counts), ("/web-blue", vec![2, 4]));
    for _ in 0..500 {
        if rig.row(next).is_over() {
            break;
        }
        rig.agents_act();
        rig.pass(Span::millis(50));
        assert!(rig.healthy("/web") + rig.healthy("/web-blue") >= 4);
    }
    assert_eq!(rig.ending(next), Ending::Done);
    let cmd = |one: &crate::model::instance::Instance| {
        let row = rig.brain.world().versions.get(&(one.key.app, one.version)).expect("stored");
        row.spec.container().cmd.clone().expect("a command")
    };
    assert!(rig.instances("/web-blue").iter().all(|one| cmd(one) == "sleep 3"));
}

/// Somebody scales, changes or restarts one of the apps: it ends with that, and touches nothing any more.
#[test]
fn a_change_by_hand_ends_it() {
    let scale_old = |_| (Change::Restart { path: path("/web") }, "/web");
    let restart_new = |_| (Change::Restart { path: path("/web-blue") }, "/web-blue");
    for (no, change) in
        [scale_old as fn(u8) -> (Change, &'static str), restart_new].iter().enumerate()
    {
        let mut rig = serving(4);
        let id = rig.deploy(second(4), Plan { hold: Span::secs(60), ..blue_green() });
        rig.until_held(id, 0);
        let (change, by) = change(0);
        deployment(&rig.ask(change, false));
        assert_eq!(rig.state(id), State::Over(Ending::Failed(Cause::Changed(path(by)))), "{no}");
        rig.run();
        rig.pass(Span::secs(600));
        assert_eq!((rig.healthy("/web-blue"), rig.healthy("/web")), (1, 3), "{no}");
    }
}

/// A deployment forced over one of ours is such a change too.
#[test]
fn a_deployment_forced_over_ours_ends_it() {
    let mut rig = serving(4);
    let id = rig.deploy(second(4), blue_green());
    let spec = with_cmd(app("/web-blue", 7), "sleep 7");
    deployment(&rig.put_forced(spec, true));
    assert_eq!(rig.state(id), State::Over(Ending::Failed(Cause::Changed(path("/web-blue")))));
    rig.run();
    assert_eq!((rig.healthy("/web-blue"), rig.healthy("/web")), (7, 4));
}

/// Somebody removes one of the apps.
#[test]
fn a_removal_by_hand_ends_it() {
    for removed in ["/web", "/web-blue"] {
        let mut rig = serving(4);
        let id = rig.deploy(second(4), Plan { hold: Span::secs(60), ..blue_green() });
        rig.until_held(id, 0);
        deployment(&rig.ask(Change::Remove { path: path(removed) }, true));
        let cause = Cause::Removed(path(removed));
        assert_eq!(rig.state(id), State::Over(Ending::Failed(cause)));
        rig.run();
        let left = rig.healthy("/web-blue") + rig.healthy("/web");
        assert_eq!(left, if removed == "/web" { 1 } else { 3 });
    }
}

/// While it goes back a change by hand ends it as well.
#[test]
fn a_change_by_hand_ends_a_rollback_too() {
    let mut rig = serving(4);
    let id = rig.deploy(second(4), Plan { hold: Span::secs(60), ..blue_green() });
    rig.until_held(id, 1);
    rig.steer(id, Steer::RollBack);
    let restart = Change::Restart { path: path("/web") };
    rig.ask(restart, true);
    assert_eq!(rig.ending(id), Ending::Failed(Cause::Changed(path("/web"))));
}

/// The name of the second app is somebody else's.
#[test]
fn a_name_that_is_taken_refuses_it() {
    let mut rig = serving(2);
    rig.put(app("/web-blue", 1));
    rig.run();
    let taken = Refusal::Exists { path: path("/web-blue") };
    assert_eq!(refusal(rig.propose(second(2), blue_green(), true)), taken);
    assert_eq!(rig.brain.world().deploys.len(), 0);
    assert_eq!(rig.deployments(), []);
}

/// A deployment that holds the old app refuses it; by force it is ended.
#[test]
fn a_lock_refuses_it_and_force_overrides() {
    let mut rig = serving(2);
    let held = deployment(&rig.put(with_cmd(app("/web", 2), "sleep 5")));
    let locked = Refusal::Locked { deployments: vec![held] };
    assert_eq!(refusal(rig.propose(second(2), blue_green(), false)), locked);
    let id = rig.deploy_forced(second(2), blue_green(), true);
    assert_eq!(rig.ending(id), Ending::Done);
}

/// Two apps that are left over from a deploy that failed: nobody guesses which one serves, unless told to.
#[test]
fn what_is_left_over_is_taken_up_by_force() {
    let mut rig = serving(4);
    let none = Plan { on_failure: OnFailure::None, hold: Span::secs(60), ..blue_green() };
    let id = rig.deploy(second(4), none);
    rig.until_held(id, 0);
    rig.crash("/web-blue");
    assert!(matches!(rig.ending(id), Ending::Failed(Cause::Failures(_))));
    rig.run();
    let several = Refusal::Several { paths: vec![path("/web"), path("/web-blue")] };
    assert_eq!(refusal(rig.propose(third(4), blue_green(), false)), several);
    let next = rig.deploy_forced(third(4), blue_green(), true);
    assert_eq!(rig.ending(next), Ending::Done);
    assert_eq!((rig.wanted("/web"), rig.wanted("/web-blue")), (None, Some(4)));
}

/// What serves is found by its group, whatever it is called.
#[test]
fn what_serves_is_found_by_its_group() {
    let grouped = |id: &str, cmd: &str| {
        let mut spec = with_cmd(app(id, 2), cmd);
        spec.labels.insert(GROUP.to_owned(), "shop".to_owned());
        spec
    };
    let mut rig = serving(0);
    rig.put(grouped("/shop-green", "sleep 1"));
    rig.run();
    let id = rig.deploy(grouped("/shop", "sleep 2"), blue_green());
    let old = rig.row(id).old.expect("found");
    assert_eq!(old.hand.path.as_str(), "/shop-green");
    assert_eq!(rig.ending(id), Ending::Done);
    assert_eq!((rig.wanted("/shop-green"), rig.wanted("/shop-blue")), (None, Some(2)));
}
