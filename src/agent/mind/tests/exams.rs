//! Of which lives evidence is taken, when, and what is in it.

use crate::agent::fake::Behaviour;
use crate::agent::mind::testing::{GRACE, id, key, run, want};
use crate::agent::mind::tests::checks::{checked, running};
use crate::agent::mind::tests::rig::Rig;
use crate::agent::mind::{Reply, Sight};
use crate::model::autopsy::Exit;
use crate::model::end::End;
use crate::model::evidence::{Answer, Evidence, MAX_BODY, MAX_REPLIES};
use crate::model::have::WantGoal;
use crate::model::id::AppKey;
use crate::model::instance::StopWhy;
use crate::model::time::Span;

fn taken(rig: &Rig) -> &[Evidence] {
    &rig.taken
}

fn exits(secs: u64, code: i32) -> Behaviour {
    Behaviour { ends: Some((Span::secs(secs), End::Code(code))), ..Behaviour::default() }
}

/// A rig in which life 1 of `/app-1` runs and does so.
fn behaves(behaviour: Behaviour) -> Rig {
    let mut rig = Rig::ready(1);
    rig.host.behave(AppKey(1), behaviour);
    rig.mind.want(run(key(1, 0), 1, 1));
    rig.run(Span::secs(5));
    rig
}

fn told_to_stop(rig: &mut Rig, why: StopWhy) {
    rig.mind.want(want(key(1, 0), 1, 2, WantGoal::Stop { grace: GRACE, why }));
    rig.run(Span::secs(10));
}

/// SM-11: what ends unasked, unless it ends well.
#[test]
fn evidence_is_taken_once_of_what_ends_unasked() {
    let mut rig = behaves(exits(1, 7));
    let [one] = taken(&rig) else { panic!("one: {:?}", rig.log) };
    assert_eq!((one.instance, one.incarnation.0), (id(key(1, 0), 1).instance, 1));
    let ended = one.ended.as_ref().expect("an end");
    assert_eq!(
        (ended.exit, ended.message.as_str()),
        (Exit::Code(7), "Container exited with status 7")
    );
    assert_eq!(one.stop, None);
    // The next life fails likewise, and is looked at by itself.
    rig.mind.want(run(key(1, 0), 2, 2));
    rig.run(Span::secs(5));
    let lives: Vec<u32> = taken(&rig).iter().map(|one| one.incarnation.0).collect();
    assert_eq!(lives, [1, 2], "{:?}", rig.log);
    let well = behaves(exits(1, 0));
    assert_eq!(taken(&well), []);
}

#[test]
fn what_is_asked_to_end_is_evidence_only_of_a_fault() {
    for (why, expected) in [
        (StopWhy::Upgrade, 0),
        (StopWhy::Killed, 0),
        (StopWhy::Unhealthy, 1),
        (StopWhy::Overdue, 1),
    ] {
        let mut rig = behaves(Behaviour::default());
        told_to_stop(&mut rig, why);
        assert_eq!(taken(&rig).len(), expected, "{why:?}: {:?}", rig.log);
    }
    // What it was first ended for counts, whatever it is ended for later.
    let mut rig = behaves(Behaviour { on_terminate: None, ..Behaviour::default() });
    rig.mind.want(want(key(1, 0), 1, 2, WantGoal::Stop { grace: GRACE, why: StopWhy::Unhealthy }));
    rig.run(Span::millis(500));
    rig.mind.want(want(key(1, 0), 1, 3, WantGoal::Stop { grace: GRACE, why: StopWhy::Removed }));
    rig.run(Span::secs(10));
    let [one] = taken(&rig) else { panic!("one: {:?}", rig.log) };
    let stop = one.stop.expect("it was ended");
    let (asked, killed) = (stop.asked.expect("asked"), stop.killed.expect("killed"));
    assert!(killed >= asked + GRACE, "{asked} {killed}");
    assert_eq!(one.ended.as_ref().map(|ended| ended.exit), Some(Exit::Signal(9)));
}

/// The last five answers, oldest first, each with the first 2 KiB of its body.
#[test]
fn the_last_answers_are_evidence() {
    let (mut rig, begin) = running(checked(|_| {}));
    rig.run(Span::secs(30));
    let body = "b".repeat(MAX_BODY + 1);
    rig.reply = Reply::Http { status: 503, content_type: String::new(), body };
    rig.run(Span::secs(30));
    rig.reply = Reply::Failed { why: "refused".to_owned() };
    rig.run(Span::secs(10));
    rig.reply = Reply::Unknown;
    rig.run(Span::secs(20));
    told_to_stop(&mut rig, StopWhy::Unhealthy);
    let [one] = taken(&rig) else { panic!("one: {:?}", rig.log) };
    assert!(one.asked_since.is_some_and(|since| since.since(begin) < Span::secs(1)));
    assert_eq!(one.replies.len(), MAX_REPLIES);
    assert!(one.replies.is_sorted_by_key(|reply| reply.at));
    assert!(one.replies.iter().all(|reply| reply.check.starts_with("health ")));
    let answers: Vec<&Answer> = one.replies.iter().map(|reply| &reply.answer).collect();
    assert_eq!(answers[4], &Answer::Failed("refused".to_owned()), "who knows nothing says nothing");
    let cut = Answer::Http { status: 503, body: "b".repeat(MAX_BODY), cut: true };
    assert_eq!(answers[1..4], [&cut, &cut, &cut]);
    assert_eq!(answers[0], &Answer::Connected);
}

/// What never ran leaves no end, and is evidence all the same.
#[test]
fn a_launch_that_is_given_up_is_evidence() {
    let mut rig = Rig::ready(1);
    rig.mind.want(run(key(2, 0), 1, 1));
    rig.run(Span::ZERO);
    rig.see(Sight::Pulled(id(key(2, 0), 1), 4_096));
    let stop = WantGoal::Stop { grace: GRACE, why: StopWhy::Overdue };
    rig.mind.want(want(key(2, 0), 1, 2, stop));
    rig.run(Span::secs(10));
    let [one] = taken(&rig) else { panic!("one: {:?}", rig.log) };
    assert_eq!((&one.ended, one.pulled), (&None, 4_096));
}

/// One that was made and never ran is evidence too before it goes.
#[test]
fn what_was_only_made_is_not_removed_before_its_evidence_is_taken() {
    let mut rig = Rig::ready(1);
    rig.slow_exams = true;
    rig.mind.want(run(key(1, 0), 1, 1));
    rig.run(Span::ZERO);
    let stop = WantGoal::Stop { grace: GRACE, why: StopWhy::Overdue };
    rig.mind.want(want(key(1, 0), 1, 2, stop));
    rig.run(Span::secs(10));
    let at = |word: &str| rig.log.iter().position(|step| step.starts_with(word));
    assert!(at("examine").is_some() && at("remove").is_none(), "{:?}", rig.log);
}

/// Invariant 7: what is left of a life is not removed while it is evidence.
#[test]
fn nothing_is_removed_before_its_evidence_is_taken() {
    let mut rig = behaves(exits(1, 7));
    let life = id(key(1, 0), 1);
    rig.mind.acked(life.instance, life.incarnation);
    rig.mind.want(want(key(1, 0), 1, 2, WantGoal::Forget));
    rig.run(Span::secs(1));
    let at = |word: &str| rig.log.iter().position(|step| step.starts_with(word));
    assert!(at("examine").is_some() && at("examine") < at("remove"), "{:?}", rig.log);
    let mut slow = Rig::ready(1);
    slow.slow_exams = true;
    slow.host.behave(AppKey(1), exits(1, 7));
    slow.mind.want(run(key(1, 0), 1, 1));
    slow.run(Span::secs(5));
    slow.mind.acked(life.instance, life.incarnation);
    slow.mind.want(want(key(1, 0), 1, 2, WantGoal::Forget));
    slow.run(Span::secs(60));
    assert!(!slow.log.iter().any(|step| step.starts_with("remove")), "{:?}", slow.log);
    slow.see(Sight::Examined(life));
    slow.run(Span::secs(1));
    assert!(slow.log.iter().any(|step| step.starts_with("remove")), "{:?}", slow.log);
}

/// A later process of the agent takes the evidence of what ended while it was away, once a want says that it shall run.
#[test]
fn what_ended_while_nobody_looked_is_evidence_too() {
    let mut rig = behaves(exits(8, 7));
    assert_eq!(taken(&rig), []);
    rig.crash();
    rig.host.advance(rig.now + Span::secs(20));
    rig.now = rig.now + Span::secs(20);
    rig.mind.session_opened();
    rig.run(Span::secs(1));
    assert_eq!(taken(&rig), [], "nobody has said yet what it shall be");
    rig.mind.want(run(key(1, 0), 1, 1));
    rig.mind.leader_synced();
    rig.run(Span::secs(1));
    let [one] = taken(&rig) else { panic!("one: {:?}", rig.log) };
    assert_eq!(one.ended.as_ref().map(|ended| ended.exit), Some(Exit::Code(7)));
}
