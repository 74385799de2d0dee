//! The rules of the mind, one by one; `storm` throws everything at them together.

mod checks;
mod engines;
mod exams;
mod rig;
mod storm;

use self::rig::Rig;
use crate::agent::fake::{Behaviour, CrashPoint, Fault};
use crate::agent::mind::testing::{
    GRACE, id, key, place, run, run_after, spec, spec_key, stop, want,
};
use crate::agent::mind::{Hand, LaunchPlan, Limits, Mind, Sight, Step};
use crate::agent::runtime::{FoundState, SandboxId};
use crate::model::end::End;
use crate::model::have::{Phase, WantGoal};
use crate::model::id::AppKey;
use crate::model::reason::Reason;
use crate::model::time::Span;

fn plan(id: SandboxId, app: u32, no: u32) -> LaunchPlan {
    let app = AppKey(app);
    let key = key(app.0, no);
    LaunchPlan { id, key, spec_key: spec_key(app), spec: spec(app).into(), place: place(&[]) }
}

fn running(rig: &Rig, life: SandboxId) -> bool {
    matches!(rig.phase(life), Some(Phase::Running { .. }))
}

fn end(phase: Option<Phase>) -> Option<End> {
    phase.and_then(|phase| match phase {
        Phase::Exited { end, .. } => Some(end),
        Phase::Preparing { .. }
        | Phase::Starting
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Absent => None,
    })
}

/// A rig in which life 1 of instance 0 of this app runs.
fn one_running(app: u32) -> Rig {
    let mut rig = Rig::ready(1);
    rig.mind.want(run(key(app, 0), 1, 1));
    rig.run(Span::secs(2));
    assert!(running(&rig, id(key(app, 0), 1)), "{:?}", rig.log);
    rig.log.clear();
    rig
}

#[test]
fn a_want_becomes_a_running_sandbox_one_step_at_a_time() {
    let mut rig = Rig::ready(1);
    rig.mind.want(run(key(1, 0), 1, 1));
    rig.run(Span::secs(1));
    assert_eq!(rig.log, ["prepare 1/0.1", "start 1/0.1", "watch 1/0.1"]);
    let phases: Vec<Phase> = rig.said.iter().map(|have| have.tasks[0].phase.clone()).collect();
    assert!(
        matches!(phases[..], [Phase::Preparing { .. }, Phase::Starting, Phase::Running { .. }]),
        "{phases:?}"
    );
    assert_eq!(rig.mind.next_wake(rig.now), None);
}

#[test]
fn nothing_is_begun_before_the_hands_were_listed() {
    // Invariants 7 and 8: what exists is adopted, so what exists must be known.
    let mut mind = Mind::new(Limits::for_cpus(2), &Hand::ALL);
    let mut rig = Rig::new(1);
    mind.session_opened();
    mind.want(run(key(1, 0), 2, 1));
    mind.want(stop(key(2, 0), 1, 1));
    mind.spec(spec_key(AppKey(1)), spec(AppKey(1)).into());
    mind.leader_synced();
    let lists = mind.steps(rig.now);
    assert!(matches!(lists[..], [Step::List(Hand::Docker), Step::List(Hand::Process)]));
    mind.sight(rig.now, Sight::Listed(Hand::Process, Ok(Vec::new())));
    rig.now = rig.now + Span::secs(1);
    mind.steps(rig.now);
    let said: Vec<Phase> =
        mind.haves().into_iter().map(|have| have.tasks[0].phase.clone()).collect();
    assert_eq!(said, [Phase::Preparing { pulled: 0 }], "an older life may be on the engine");
    mind.sight(rig.now, Sight::Listed(Hand::Docker, Ok(Vec::new())));
    mind.steps(rig.now);
    let said: Vec<Phase> =
        mind.haves().into_iter().map(|have| have.tasks[0].phase.clone()).collect();
    assert_eq!(said, [Phase::Absent]);
}

#[test]
fn a_later_mind_adopts_what_runs() {
    // I8, SM-15: a second want of the same life adopts what is there.
    let mut rig = one_running(2);
    let before = rig.host.sandboxes();
    rig.crash();
    rig.said.clear();
    rig.mind.session_opened();
    rig.mind.want(run(key(2, 0), 1, 5));
    rig.mind.leader_synced();
    rig.run(Span::secs(2));
    assert!(running(&rig, id(key(2, 0), 1)));
    assert_eq!(rig.host.sandboxes(), before);
    assert!(rig.mind.strays().is_empty());
}

#[test]
fn how_an_earlier_life_ended_is_said_once() {
    // Wants of a life follow each of its steps; what they do not speak of need not be made durable anew each time.
    let mut rig = one_running(1);
    rig.host.end_from_outside(rig.now, id(key(1, 0), 1), End::Code(7));
    rig.run(Span::secs(1));
    rig.mind.acked(id(key(1, 0), 1).instance, id(key(1, 0), 1).incarnation);
    rig.said.clear();
    for rev in 2..5 {
        rig.mind.want(run(key(1, 0), 2, rev));
        rig.run(Span::secs(1));
    }
    assert!(running(&rig, id(key(1, 0), 2)));
    assert_eq!(rig.phase(id(key(1, 0), 1)), None);
}

#[test]
fn what_ended_is_answered_again_and_never_restarted() {
    // SM-15: at least once, until acknowledged, also by a later mind.
    let mut rig = one_running(1);
    let life = id(key(1, 0), 1);
    rig.host.end_from_outside(rig.now, life, End::Code(7));
    rig.run(Span::secs(1));
    assert_eq!(end(rig.phase(life)), Some(End::Code(7)));
    for crash in [false, true] {
        if crash {
            rig.crash();
            rig.mind.session_opened();
        }
        rig.said.clear();
        rig.mind.want(run(key(1, 0), 1, 2));
        rig.run(Span::secs(2));
        assert_eq!(end(rig.phase(life)), Some(End::Code(7)));
        rig.mind.acked(life.instance, life.incarnation);
    }
    assert_eq!(rig.host.starts(life), 1);
}

#[test]
fn a_stop_asks_then_kills_and_kills_again_while_it_lives() {
    // CT-12.
    let mut rig = one_running(1);
    let stubborn = Behaviour { on_terminate: None, survives_kills: 1, ..Behaviour::default() };
    rig.host.behave(AppKey(1), stubborn);
    rig.mind.want(stop(key(1, 0), 1, 2));
    rig.run(Span::secs(1));
    assert_eq!(rig.log, ["terminate 1/0.1"]);
    assert!(matches!(rig.phase(id(key(1, 0), 1)), Some(Phase::Stopping { .. })));
    rig.run(GRACE);
    assert_eq!(rig.log, ["terminate 1/0.1", "kill 1/0.1"]);
    rig.run(Span::secs(5));
    assert_eq!(rig.log, ["terminate 1/0.1", "kill 1/0.1", "kill 1/0.1"]);
    // CT-13: the end itself is told; what it counts as is the leader's to say.
    assert_eq!(end(rig.phase(id(key(1, 0), 1))), Some(End::Signal(9)));
    rig.run(Span::secs(60));
    assert_eq!(rig.log.len(), 3);
}

#[test]
fn a_stop_of_what_was_never_here_is_answered_with_its_absence() {
    // SM-15; and an old want that comes late does not start it.
    let mut rig = Rig::ready(1);
    let life = id(key(1, 0), 3);
    rig.mind.want(stop(key(1, 0), 3, 5));
    rig.run(Span::secs(1));
    assert_eq!(rig.phase(life), Some(Phase::Absent));
    rig.mind.acked(life.instance, life.incarnation);
    rig.run(Span::secs(1));
    rig.mind.want(run(key(1, 0), 3, 4));
    rig.run(Span::secs(1));
    assert_eq!(rig.log, Vec::<String>::new());
}

#[test]
fn a_newer_life_waits_for_the_end_of_the_older_one() {
    let mut rig = one_running(1);
    rig.mind.want(run(key(1, 0), 2, 2));
    rig.run(Span::secs(1));
    let log = ["terminate 1/0.1", "prepare 1/0.2", "start 1/0.2", "watch 1/0.2"];
    assert_eq!(rig.log, log, "what is prepared takes nothing");
    assert_eq!(rig.host.live(), [id(key(1, 0), 2)]);
}

#[test]
fn a_late_stop_does_not_hit_the_successor() {
    // I12.
    let mut rig = one_running(1);
    rig.mind.want(run(key(1, 0), 2, 2));
    rig.run(Span::secs(1));
    rig.mind.want(stop(key(1, 0), 1, 1));
    rig.run(Span::secs(10));
    assert_eq!(rig.host.live(), [id(key(1, 0), 2)]);
}

#[test]
fn a_stop_of_an_older_life_leaves_a_newer_one_alone() {
    // I12, also when the store was put back to before the newer life and nothing else is known.
    let mut rig = one_running(1);
    rig.mind.want(run(key(1, 0), 2, 2));
    rig.run(Span::secs(1));
    rig.crash();
    rig.mind.session_opened();
    rig.mind.want(stop(key(1, 0), 1, 9));
    rig.mind.leader_synced();
    rig.run(Span::secs(60));
    assert_eq!(rig.host.live(), [id(key(1, 0), 2)]);
}

#[test]
fn a_life_of_which_nothing_is_left_is_used_up() {
    // One life, one launch: also a newer want to run it does not make it again.
    let mut rig = one_running(1);
    let life = id(key(1, 1), 1);
    rig.mind.want(run_after(key(1, 1), 1, 2, Some(key(1, 0))));
    rig.run(Span::secs(1));
    rig.mind.want(stop(key(1, 1), 1, 3));
    rig.run(Span::secs(1));
    rig.mind.acked(life.instance, life.incarnation);
    rig.said.clear();
    rig.mind.want(run(key(1, 1), 1, 4));
    rig.run(Span::secs(1));
    assert_eq!(rig.phase(life), Some(Phase::Absent));
    assert_eq!(rig.host.starts(life), 0);
}

#[test]
fn a_list_that_was_begun_before_a_removal_does_not_bring_it_back() {
    let mut rig = one_running(1);
    let (now, life) = (rig.now, id(key(1, 0), 1));
    rig.host.end_from_outside(now, life, End::Code(0));
    rig.mind.want(want(key(1, 0), 1, 2, WantGoal::Forget));
    rig.run(Span::secs(1));
    let found = rig.host.list(rig.now, Hand::Process).answer().expect("no crash").expect("a list");
    assert_eq!(found.len(), 1);
    rig.mind.sight(rig.now, Sight::HandUp(Hand::Process));
    assert!(matches!(rig.mind.steps(rig.now)[..], [Step::List(Hand::Process)]));
    rig.mind.sight(rig.now, Sight::Listed(Hand::Process, Ok(found.clone())));
    rig.mind.acked(life.instance, life.incarnation);
    assert!(matches!(rig.mind.steps(rig.now)[..], [Step::Remove(..)]));
    rig.mind.sight(rig.now, Sight::HandUp(Hand::Process));
    assert!(matches!(rig.mind.steps(rig.now)[..], [Step::List(Hand::Process)]));
    rig.mind.sight(rig.now, Sight::Removed(life, Ok(())));
    rig.mind.sight(rig.now, Sight::Listed(Hand::Process, Ok(found)));
    assert!(rig.mind.steps(rig.now).is_empty());
    assert_eq!(rig.mind.present(), []);
}

#[test]
fn nothing_is_removed_before_its_end_is_acknowledged() {
    // Invariant 7, also for a later mind and for what no want names.
    let mut rig = Rig::ready(1);
    let exits = Behaviour { ends: Some((Span::millis(50), End::Code(1))), ..Behaviour::default() };
    rig.host.behave(AppKey(1), exits);
    for no in 0..6 {
        rig.mind.want(run(key(1, no), 1, 1));
        rig.run(Span::secs(1));
    }
    rig.crash();
    rig.mind.session_opened();
    rig.mind.leader_synced();
    rig.run(Span::secs(60));
    assert_eq!(rig.host.sandboxes().len(), 6);
    for no in 0..6 {
        let life = id(key(1, no), 1);
        rig.mind.acked(life.instance, life.incarnation);
    }
    rig.run(Span::secs(5));
    assert_eq!(rig.host.sandboxes().len(), 2, "as many as are kept of an app");
}

#[test]
fn a_follower_starts_when_the_one_before_it_is_gone() {
    // core.md §7.6: it takes over ports and resources; it may be made before.
    let mut rig = one_running(1);
    rig.mind.want(run_after(key(1, 1), 1, 2, Some(key(1, 0))));
    rig.run(Span::secs(1));
    assert_eq!(rig.log, ["prepare 1/1.1"]);
    rig.mind.want(stop(key(1, 0), 1, 3));
    rig.run(Span::secs(1));
    assert_eq!(rig.log[1..], ["terminate 1/0.1", "start 1/1.1", "watch 1/1.1"]);
}

#[test]
fn an_unknown_outcome_is_looked_at_before_anything_else() {
    // Invariant 9: an error means unknown, not dead.
    let mut rig = Rig::ready(1);
    rig.host.fault(CrashPoint::AfterStart, Fault::Unknown);
    rig.mind.want(run(key(1, 0), 1, 1));
    rig.run(Span::secs(2));
    assert_eq!(rig.log, ["prepare 1/0.1", "start 1/0.1", "list Process", "watch 1/0.1"]);
    assert!(running(&rig, id(key(1, 0), 1)));
}

#[test]
fn calls_that_go_on_failing_are_tried_ever_more_seldom() {
    let mut rig = Rig::ready(1);
    for _ in 0..50 {
        rig.host.fault(CrashPoint::BeforePrepare, Fault::Unknown);
    }
    rig.mind.want(run(key(1, 0), 1, 1));
    rig.run(Span::secs(60));
    let tries = rig.log.iter().filter(|step| step.starts_with("prepare")).count();
    assert!((8..=12).contains(&tries), "{tries}");
    rig.host.heal();
    rig.run(Span::secs(11));
    assert!(running(&rig, id(key(1, 0), 1)));
}

#[test]
fn a_refusal_ends_it_with_its_reason() {
    let mut rig = Rig::ready(1);
    let reason = Reason::Image { image: "x".to_owned(), detail: "no such image".to_owned() };
    let never = Behaviour { never_prepares: Some(reason.clone()), ..Behaviour::default() };
    rig.host.behave(AppKey(2), never);
    rig.mind.want(run(key(2, 0), 1, 1));
    rig.run(Span::secs(5));
    assert_eq!(end(rig.phase(id(key(2, 0), 1))), Some(End::Refused(reason)));
    assert_eq!(rig.log, ["prepare 2/0.1", "examine 2/0.1"]);
}

#[test]
fn what_vanished_without_a_trace_is_gone_once_the_leader_has_spoken() {
    let mut rig = one_running(2);
    let life = id(key(2, 0), 1);
    rig.mind.session_opened();
    rig.host.lose(life);
    rig.run(Span::secs(3));
    assert_eq!(end(rig.phase(life)), None);
    rig.mind.want(run(key(2, 0), 1, 2));
    rig.mind.leader_synced();
    rig.run(Span::secs(3));
    assert!(matches!(end(rig.phase(life)), Some(End::Gone(_))), "{:?}", rig.log);
    assert_eq!(rig.host.starts(life), 1);
}

#[test]
fn what_no_want_names_is_a_stray_and_left_alone() {
    // Invariant 8, I9.
    let mut rig = one_running(1);
    rig.crash();
    rig.mind.session_opened();
    rig.run(Span::secs(2));
    assert_eq!(rig.mind.strays(), []);
    rig.mind.leader_synced();
    rig.run(Span::secs(2));
    let life = id(key(1, 0), 1);
    assert_eq!(rig.mind.strays(), [(life, key(1, 0))]);
    rig.run(Span::secs(600));
    assert_eq!(rig.host.live(), [life]);
    rig.mind.want(stop(key(1, 0), 1, 9));
    rig.run(Span::secs(2));
    assert!(rig.host.live().is_empty());
}

#[test]
fn wants_that_a_leader_does_not_repeat_lapse() {
    // A row that is gone commands nothing; what runs stays as a stray.
    let mut rig = one_running(1);
    rig.mind.session_opened();
    rig.mind.leader_synced();
    rig.run(Span::secs(600));
    assert_eq!(rig.mind.strays().len(), 1);
    assert_eq!(rig.host.live().len(), 1);
}

#[test]
fn a_stop_gives_up_what_is_being_prepared() {
    let mut rig = Rig::ready(1);
    rig.host.fault(CrashPoint::BeforePrepare, Fault::Hang);
    rig.mind.want(run(key(2, 0), 1, 1));
    rig.run(Span::millis(1));
    rig.mind.want(stop(key(2, 0), 1, 2));
    rig.run(Span::secs(1));
    assert_eq!(rig.log, ["prepare 2/0.1", "cancel 2/0.1", "list Docker"]);
    assert_eq!(rig.phase(id(key(2, 0), 1)), Some(Phase::Absent));
}

#[test]
fn what_was_prepared_and_is_no_longer_wanted_is_removed() {
    let mut rig = one_running(1);
    rig.mind.want(run_after(key(1, 1), 1, 2, Some(key(1, 0))));
    rig.run(Span::secs(1));
    rig.mind.want(stop(key(1, 1), 1, 3));
    rig.run(Span::secs(1));
    assert_eq!(rig.log, ["prepare 1/1.1", "remove 1/1.1"]);
    assert_eq!(rig.phase(id(key(1, 1), 1)), Some(Phase::Absent));
}

#[test]
fn ended_sandboxes_are_kept_for_their_logs_within_bounds() {
    // Two an app and four in all here; nothing goes before its end is acknowledged.
    let mut rig = Rig::ready(1);
    let exits = Behaviour { ends: Some((Span::millis(50), End::Code(1))), ..Behaviour::default() };
    for app in [1, 3, 5] {
        rig.host.behave(AppKey(app), exits.clone());
        for life in 1..=3 {
            rig.mind.want(run(key(app, 0), life, u64::from(life)));
            rig.run(Span::secs(2));
        }
    }
    assert_eq!(rig.host.sandboxes().len(), 9);
    for app in [1, 3, 5] {
        for life in 1..=3 {
            let SandboxId { instance, incarnation } = id(key(app, 0), life);
            rig.mind.acked(instance, incarnation);
            rig.run(Span::secs(1));
        }
    }
    let left: Vec<SandboxId> = rig.host.sandboxes().into_iter().map(|(id, _)| id).collect();
    let kept = |app, life| id(key(app, 0), life);
    assert_eq!(left, [kept(3, 2), kept(3, 3), kept(5, 2), kept(5, 3)]);
}

#[test]
fn forget_leaves_nothing() {
    let mut rig = one_running(1);
    let life = id(key(1, 0), 1);
    rig.mind.want(want(key(1, 0), 1, 2, WantGoal::Forget));
    rig.run(Span::secs(1));
    assert_eq!(end(rig.phase(life)), Some(End::Signal(15)), "its end is told first");
    assert_eq!(rig.host.sandboxes().len(), 1);
    rig.mind.acked(life.instance, life.incarnation);
    rig.run(Span::secs(1));
    assert_eq!(rig.host.sandboxes(), []);
    assert_eq!(rig.phase(life), Some(Phase::Absent));
}

#[test]
fn a_stranger_under_our_name_is_not_touched() {
    let mut rig = Rig::ready(1);
    let life = id(key(2, 0), 1);
    rig.host.add_foreign(rig.now, Hand::Docker, &plan(life, 2, 0));
    rig.mind.want(run(key(2, 0), 1, 1));
    rig.run(Span::secs(5));
    assert!(matches!(end(rig.phase(life)), Some(End::Refused(Reason::Start { .. }))));
    rig.mind.want(stop(key(2, 0), 1, 2));
    rig.mind.acked(life.instance, life.incarnation);
    rig.run(Span::secs(60));
    assert!(rig.host.is_running(life));
}

#[test]
fn a_half_made_sandbox_is_made_whole_by_a_later_mind() {
    let mut rig = Rig::ready(1);
    rig.host.fault(CrashPoint::HalfPrepared, Fault::Crash);
    rig.mind.want(run(key(2, 0), 1, 1));
    rig.run(Span::secs(1));
    assert!(rig.dead);
    assert_eq!(rig.host.sandboxes(), [(id(key(2, 0), 1), FoundState::Partial)]);
    rig.crash();
    rig.mind.session_opened();
    rig.mind.want(run(key(2, 0), 1, 1));
    rig.mind.leader_synced();
    rig.run(Span::secs(2));
    assert_eq!(rig.host.live().len(), 1);
}
