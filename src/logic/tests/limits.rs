//! Deployments that may fail: deadline, failures, what follows, and what is kept of it (users.md U1, U4; I16).

use crate::logic::decide::rollout::SETTLE;
use crate::logic::tests::rig::{Rig, app, deployment, path, with_cmd};
use crate::model::deployment::{CauseKind, Deployment, FailurePolicy, OnFailure, State};
use crate::model::end::End;
use crate::model::event::{DeploymentStands, Event};
use crate::model::fact::{Answer, Change, Refusal};
use crate::model::have::Phase;
use crate::model::id::DeploymentId;
use crate::model::instance::Instance;
use crate::model::outcome::{Ending, MAX_OUTCOMES, Outcome};
use crate::model::spec::Spec;
use crate::model::time::Span;

fn within(mut spec: Spec, seconds: u32, follows: OnFailure) -> Spec {
    spec.failure.deadline_seconds = Some(seconds);
    spec.failure.on_failure = Some(follows);
    spec
}

fn bearing(mut spec: Spec, failures: u32, follows: OnFailure) -> Spec {
    spec.failure.max_failures = Some(failures);
    spec.failure.on_failure = Some(follows);
    spec
}

fn broken() -> Spec {
    with_cmd(app("/web", 2), "false")
}

/// Everything new that is launched ends with 1.
fn crash(rig: &mut Rig, old: &[Instance]) {
    let is_new = |one: &Instance| one.is_live() && !old.iter().any(|old| old.key == one.key);
    let new: Vec<Instance> = rig.instances("/web").into_iter().filter(is_new).collect();
    for instance in new {
        rig.have(&instance, Phase::Exited { at: rig.now, end: End::Code(1) });
    }
}

fn running(rig: &Rig, id: DeploymentId) -> Deployment {
    rig.brain.world().deployments.get(&id).expect("it runs").clone()
}

fn outcome(rig: &Rig, id: DeploymentId) -> Outcome {
    let all = rig.brain.world().outcomes.iter();
    all.map(|(_, outcome)| outcome.clone()).find(|outcome| outcome.id == id).expect("it is kept")
}

/// A rig on which two instances of a good version run.
fn served() -> (Rig, Vec<Instance>) {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 2));
    rig.run();
    let old = rig.instances("/web");
    (rig, old)
}

#[test]
fn without_limits_it_goes_on_for_ever() {
    let (mut rig, old) = served();
    let upgrade = deployment(&rig.put(broken()));
    for _ in 0..20 {
        crash(&mut rig, &old);
        rig.pass(Span::secs(600));
    }
    let row = running(&rig, upgrade);
    assert_eq!((&row.state, row.deadline()), (&State::Going, None));
    assert!(row.failures >= 10, "what failed is counted all the same: {}", row.failures);
}

#[test]
fn one_that_is_done_is_kept_as_such() {
    let mut rig = Rig::with_agents(1);
    let id = deployment(&rig.put(within(app("/web", 2), 60, OnFailure::Rollback)));
    rig.run();
    rig.pass(Span::secs(120));
    let outcome = outcome(&rig, id);
    assert_eq!((outcome.ending, outcome.failures), (Ending::Done, 0));
    assert_eq!(outcome.apps.len(), 1, "an app is named once: {:?}", outcome.apps);
    assert_eq!(rig.healthy("/web"), 2);
}

/// A change without effect is done as well: whoever waits for its id finds it.
#[test]
fn one_without_steps_is_kept_too() {
    let (mut rig, _) = served();
    let id = deployment(&rig.put(app("/web", 2)));
    assert_eq!(outcome(&rig, id).ending, Ending::Done);
}

#[test]
fn late_with_rollback_it_is_taken_back_and_the_old_ones_stay() {
    let (mut rig, old) = served();
    let upgrade = deployment(&rig.put(within(broken(), 60, OnFailure::Rollback)));
    crash(&mut rig, &old);
    rig.pass(Span::secs(59));
    assert_eq!(running(&rig, upgrade).state, State::Going);
    rig.pass(Span::secs(2));
    let Ending::RolledBack { cause: Some(cause), by } = outcome(&rig, upgrade).ending else {
        panic!("{:?}", outcome(&rig, upgrade));
    };
    assert_eq!(cause.kind, CauseKind::Overdue);
    assert!(cause.message.contains("60 s") && cause.message.contains("/web"), "{cause}");
    assert!(cause.message.contains("the last failure"), "{cause}");
    rig.run();
    let back = outcome(&rig, by);
    assert_eq!((back.ending, back.reverts), (Ending::Done, Some(upgrade)));
    let left: Vec<_> = rig.instances("/web").iter().map(|one| one.key).collect();
    assert_eq!(left, old.iter().map(|one| one.key).collect::<Vec<_>>(), "nothing was restarted");
    let told = rig.events.iter().any(|event| {
        matches!(event, Event::DeploymentFailed { plan, reason }
            if plan.id == upgrade && reason.contains("rolled back") && reason.contains("60 s"))
    });
    assert!(told, "a rollback does not read as success");
}

#[test]
fn one_failure_more_than_is_borne_is_too_many() {
    let (mut rig, old) = served();
    let upgrade = deployment(&rig.put(bearing(broken(), 2, OnFailure::Pause)));
    crash(&mut rig, &old);
    assert_eq!((running(&rig, upgrade).failures, running(&rig, upgrade).state), (2, State::Going));
    rig.pass(Span::secs(5));
    crash(&mut rig, &old);
    let row = running(&rig, upgrade);
    let State::Paused(cause) = row.state else { panic!("{row:?}") };
    assert_eq!(cause.kind, CauseKind::TooManyFailures);
    assert!(cause.message.starts_with("3 of its instances failed"), "{cause}");
}

/// What the old configuration does is no argument against the new one.
#[test]
fn failures_of_what_is_replaced_do_not_count() {
    let (mut rig, old) = served();
    let upgrade = deployment(&rig.put(bearing(broken(), 0, OnFailure::Rollback)));
    rig.have(&old[0], Phase::Exited { at: rig.now, end: End::Code(1) });
    assert_eq!(running(&rig, upgrade).failures, 0);
}

#[test]
fn paused_it_starts_and_stops_nothing_but_replaces_what_is_lost() {
    let (mut rig, old) = served();
    let upgrade = deployment(&rig.put(bearing(broken(), 0, OnFailure::Pause)));
    crash(&mut rig, &old);
    assert!(running(&rig, upgrade).is_paused());
    let told = |rig: &Rig| {
        let of = |event: &Event| match event {
            Event::DeploymentStands(DeploymentStands { state, .. }) => Some(state.as_str()),
            _ => None,
        };
        rig.events.iter().filter_map(of).collect::<Vec<_>>()
    };
    assert_eq!(told(&rig), ["paused"]);
    let before = rig.instances("/web").len();
    rig.pass(Span::secs(3_600));
    assert_eq!((rig.healthy("/web"), rig.instances("/web").len()), (2, before));
    // An old one that ends is launched again where it was: its definition is the one that served.
    rig.have(&old[0], Phase::Exited { at: rig.now, end: End::Code(1) });
    rig.pass(Span::secs(5));
    rig.have(&rig.instances("/web")[0].clone(), rig.running());
    assert_eq!(rig.instances("/web")[0].config, old[0].config);
    assert_eq!(rig.healthy("/web"), 2);

    assert_eq!(rig.ask(Change::Resume { deployment: upgrade }, false), Answer::Done);
    let row = running(&rig, upgrade);
    assert_eq!((row.state, row.failures), (State::Going, 0));
    assert_eq!(told(&rig), ["paused", "going"]);
    let refused = rig.ask(Change::Resume { deployment: upgrade }, false);
    assert_eq!(refused, Answer::Refused(Refusal::NotPaused { deployment: upgrade }));
    // This time it comes up.
    rig.pass(Span::secs(60));
    rig.run();
    assert_eq!(outcome(&rig, upgrade).ending, Ending::Done);
}

#[test]
fn paused_it_can_be_taken_back() {
    let (mut rig, old) = served();
    let upgrade = deployment(&rig.put(bearing(broken(), 0, OnFailure::Pause)));
    crash(&mut rig, &old);
    let back = deployment(&rig.ask(Change::Cancel { deployment: upgrade }, false));
    rig.run();
    assert_eq!(outcome(&rig, upgrade).ending, Ending::RolledBack { cause: None, by: back });
    assert_eq!(outcome(&rig, back).ending, Ending::Done);
}

#[test]
fn with_none_it_is_over_and_lets_go() {
    let (mut rig, old) = served();
    let upgrade = deployment(&rig.put(within(broken(), 10, OnFailure::None)));
    crash(&mut rig, &old);
    rig.pass(Span::secs(11));
    assert!(rig.deployments().is_empty());
    let ending = outcome(&rig, upgrade).ending;
    assert!(matches!(&ending, Ending::Failed(cause) if cause.kind == CauseKind::Overdue));
    assert_eq!(rig.healthy("/web"), 2, "what served serves");
    deployment(&rig.put(app("/web", 2)));
}

/// There is nothing behind a rollback: it goes on, and says that it is stuck.
#[test]
fn a_rollback_that_is_late_goes_on() {
    let (mut rig, _) = served();
    let upgrade = deployment(&rig.put(within(broken(), 60, OnFailure::Rollback)));
    // The new version takes the place of an old one, then hangs.
    for instance in rig.instances("/web").iter().filter(|one| !one.is_healthy()) {
        rig.have(instance, rig.running());
    }
    rig.pass(SETTLE);
    let leaving: Vec<Instance> =
        rig.instances("/web").into_iter().filter(|one| !one.is_wanted()).collect();
    assert!(!leaving.is_empty());
    for instance in &leaving {
        rig.have(instance, Phase::Exited { at: rig.now, end: End::Signal(15) });
    }
    if rig.brain.world().deployments.get(&upgrade).is_none() {
        return; // It was done: nothing hung.
    }
    rig.pass(Span::secs(61));
    let Ending::RolledBack { by, .. } = outcome(&rig, upgrade).ending else { panic!() };
    rig.pass(Span::secs(61));
    assert!(matches!(running(&rig, by).state, State::Stuck(_)), "{:?}", running(&rig, by));
    rig.run();
    assert_eq!(outcome(&rig, by).ending, Ending::Done);
}

/// What the query says goes before what the app says.
#[test]
fn the_query_goes_before_the_app() {
    let (mut rig, _) = served();
    let policy = FailurePolicy { deadline_seconds: Some(5), ..FailurePolicy::default() };
    let spec = within(broken(), 600, OnFailure::Pause);
    let upgrade = deployment(&rig.put_how(spec, crate::model::fact::How { force: false, policy }));
    rig.pass(Span::secs(6));
    assert!(running(&rig, upgrade).is_paused());
}

#[test]
fn who_is_gone_over_is_kept_with_who_did() {
    let (mut rig, _) = served();
    let first = deployment(&rig.put(broken()));
    let second = deployment(&rig.put_forced(with_cmd(app("/web", 2), "sleep 3"), true));
    assert_eq!(outcome(&rig, first).ending, Ending::Replaced { by: second });
    rig.ask(Change::Cancel { deployment: second }, true);
    assert_eq!(outcome(&rig, second).ending, Ending::Cancelled);
}

#[test]
fn the_oldest_outcomes_go() {
    let (mut rig, _) = served();
    for _ in 0..MAX_OUTCOMES + 5 {
        rig.put(app("/web", 2));
        rig.now = rig.now + Span::millis(1);
    }
    assert_eq!(rig.brain.world().outcomes.len(), MAX_OUTCOMES);
    rig.ask(Change::Remove { path: path("/web") }, true);
    assert_eq!(rig.brain.world().outcomes.len(), MAX_OUTCOMES);
}
