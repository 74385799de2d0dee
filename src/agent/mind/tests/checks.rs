//! When checks are asked, what their answers come to, and what a later process knows of it.

use crate::agent::mind::checks::testing::check;
use crate::agent::mind::testing::{id, key, run, spec, stop};
use crate::agent::mind::tests::rig::Rig;
use crate::agent::mind::{Hand, Mind, Reply};
use crate::agent::runtime::SandboxId;
use crate::model::check::{AppCheck, CheckProbe, HealthCheck, HealthProtocol, ReadinessCheck};
use crate::model::findings::{CheckResult, Findings, HealthRecord};
use crate::model::have::{Phase, Want, WantGoal};
use crate::model::id::{AppKey, InstanceKey};
use crate::model::network::{Network, PortDefinition};
use crate::model::spec::Spec;
use crate::model::time::{Span, Timestamp};

const APP: AppKey = AppKey(1);

pub(super) fn checked(change: impl FnOnce(&mut HealthCheck)) -> Spec {
    let mut spec = spec(APP);
    spec.networks = vec![Network::host()];
    let port = PortDefinition { name: Some("http-api".to_owned()), ..PortDefinition::default() };
    spec.port_definitions = Some(vec![port]);
    let mut check = HealthCheck { interval_seconds: 10, ..check(HealthProtocol::Tcp) };
    change(&mut check);
    spec.health_checks.insert(check);
    spec
}

fn with_port(mut want: Want) -> Want {
    let no = u16::try_from(want.key.no).expect("few");
    if let WantGoal::Run { place, .. } = &mut want.goal {
        place.ports = vec![Some(31_000 + no)];
    }
    want
}

/// A rig in which one instance of such an app is wanted; the time at which it began to run.
pub(super) fn running(spec: Spec) -> (Rig, Timestamp) {
    let mut rig = Rig::ready(1);
    rig.specs.insert(APP, spec);
    rig.mind.want(with_port(run(key(1, 0), 1, 1)));
    for _ in 0..100 {
        rig.run(Span::millis(10));
        if let Some(Phase::Running { at, .. }) = rig.phase(life()) {
            return (rig, at);
        }
    }
    panic!("it never runs: {:?}", rig.log);
}

fn life() -> SandboxId {
    id(key(1, 0), 1)
}

fn found(rig: &Rig) -> Option<Findings> {
    let said = rig.said.iter().rev().find(|have| have.incarnation == life().incarnation)?;
    said.tasks[0].findings.as_deref().cloned()
}

fn record(rig: &Rig) -> Option<HealthRecord> {
    found(rig)?.health.first()?.clone()
}

fn failures(rig: &Rig) -> Option<u32> {
    record(rig).map(|record| record.failures)
}

/// When probes were asked, in whole seconds since `begin`.
fn asked(rig: &Rig, begin: Timestamp) -> Vec<u64> {
    rig.asked.iter().map(|at| at.since(begin).as_secs()).collect()
}

fn refused() -> Reply {
    Reply::Failed { why: "refused".to_owned() }
}

/// HC-2: first after min(interval, 5 s), then every interval; HC-1: an executor's checks after their delay.
#[test]
fn checks_are_asked_in_their_rhythm() {
    let (mut rig, begin) = running(checked(|_| {}));
    rig.run(Span::secs(30));
    assert_eq!(asked(&rig, begin), [5, 15, 25]);
    let (mut rig, begin) = running(checked(|check| check.interval_seconds = 2));
    rig.run(Span::secs(7));
    assert_eq!(asked(&rig, begin), [2, 4, 6]);
    let (mut rig, begin) = running(checked(|check| check.protocol = HealthProtocol::MesosTcp));
    rig.run(Span::secs(30));
    assert_eq!(asked(&rig, begin), [15, 25]);
    let (mut rig, begin) = running(checked(|check| check.interval_seconds = 0));
    rig.run(Span::millis(2_500));
    assert_eq!(asked(&rig, begin), [1, 2], "no interval is none");
}

/// core.md §1: the first success, each failure that counts and the success after one are said, nothing else.
#[test]
fn transitions_are_said_and_nothing_else() {
    let (mut rig, _) = running(checked(|_| {}));
    rig.said.clear();
    rig.run(Span::secs(36));
    assert_eq!(rig.said.len(), 1, "the first success");
    let first = record(&rig).expect("a success");
    assert!(first.is_alive());
    rig.reply = refused();
    rig.run(Span::secs(20));
    assert_eq!((rig.said.len(), failures(&rig)), (3, Some(2)));
    rig.reply = Reply::Connected;
    rig.run(Span::secs(30));
    assert_eq!((rig.said.len(), failures(&rig)), (4, Some(0)));
    let last = record(&rig).expect("a success");
    assert_eq!((last.first_success, last.cause.as_deref()), (first.first_success, Some("refused")));
    // An answer that says nothing of the task changes nothing.
    rig.reply = Reply::Unknown;
    rig.run(Span::secs(30));
    assert_eq!((rig.said.len(), failures(&rig)), (4, Some(0)));
}

/// HC-5: within the grace period a failure is none, until the first success.
#[test]
fn grace_counts_from_the_begin_of_the_life() {
    let (mut rig, begin) = running(checked(|check| check.grace_period_seconds = 30));
    rig.reply = refused();
    rig.run(Span::secs(27));
    assert_eq!(failures(&rig), None);
    rig.run(Span::secs(20));
    assert_eq!(failures(&rig), Some(2), "{:?}", asked(&rig, begin));
}

/// HC-13, BETTER: a later process counts on: no new grace, no gap, no forgotten success.
#[test]
fn a_new_process_counts_on_from_what_the_row_says() {
    let (mut rig, _) = running(checked(|check| check.grace_period_seconds = 100));
    rig.run(Span::secs(6));
    rig.reply = refused();
    rig.run(Span::secs(20));
    assert_eq!(failures(&rig), Some(2));
    let known = found(&rig).expect("counted");
    rig.crash();
    rig.mind.session_opened();
    let mut want = with_port(run(key(1, 0), 1, 2));
    if let WantGoal::Run { findings, .. } = &mut want.goal {
        *findings = Some(Box::new(known.clone()));
    }
    rig.mind.want(want);
    rig.mind.leader_synced();
    (rig.said, rig.asked) = (Vec::new(), Vec::new());
    let again = rig.now;
    rig.run(Span::secs(5));
    assert_eq!(asked(&rig, again), [0], "it is asked at once");
    let record = record(&rig).expect("counted");
    assert_eq!(record.failures, 3);
    assert_eq!(record.first_success, known.health[0].as_ref().and_then(|it| it.first_success));
}

/// What a later row says of a life that is asked already is older than what is known here.
#[test]
fn a_want_does_not_turn_the_count_back() {
    let (mut rig, _) = running(checked(|check| check.grace_period_seconds = 0));
    rig.reply = refused();
    rig.run(Span::secs(26));
    assert_eq!(failures(&rig), Some(3));
    let mut want = with_port(run(key(1, 0), 1, 9));
    if let WantGoal::Run { findings, .. } = &mut want.goal {
        *findings = Some(Box::new(Findings { health: vec![None], ..Findings::default() }));
    }
    rig.mind.want(want);
    rig.run(Span::secs(10));
    assert_eq!(failures(&rig), Some(4));
}

/// HC-9, BETTER: what an earlier life did is no matter of the next.
#[test]
fn a_new_life_begins_anew() {
    let (mut rig, _) = running(checked(|_| {}));
    rig.run(Span::secs(6));
    assert!(record(&rig).is_some());
    rig.mind.want(with_port(run(key(1, 0), 2, 2)));
    rig.run(Span::secs(4));
    let next = rig.said.last().expect("said");
    assert_eq!(next.incarnation, id(key(1, 0), 2).incarnation);
    let findings = next.tasks[0].findings.as_deref();
    assert_eq!(findings, Some(&Findings { health: vec![None], ..Findings::default() }));
}

/// HC-5: what is to end, or has ended, is not asked any more.
#[test]
fn what_is_to_end_is_left_alone() {
    let (mut rig, _) = running(checked(|_| {}));
    rig.run(Span::secs(6));
    rig.host
        .behave(APP, crate::agent::fake::Behaviour { on_terminate: None, ..Default::default() });
    rig.mind.want(stop(key(1, 0), 1, 2));
    rig.asked.clear();
    rig.reply = refused();
    rig.run(Span::secs(60));
    assert_eq!((rig.asked.len(), failures(&rig)), (0, Some(0)));
}

/// A check without an address fails, and says why (HC-3).
#[test]
fn a_port_that_is_not_there_is_a_failure() {
    let mut rig = Rig::ready(1);
    rig.specs.insert(APP, checked(|check| check.grace_period_seconds = 0));
    rig.mind.want(run(key(1, 0), 1, 1));
    rig.run(Span::secs(10));
    let cause = record(&rig).and_then(|record| record.cause);
    assert_eq!(cause.as_deref(), Some("the task has no port of index 0"));
    assert_eq!(rig.asked, []);
}

/// HC-16: asked at once, an interval after each answer, until it is ready.
#[test]
fn readiness_is_asked_until_it_is_ready() {
    let mut spec = checked(|_| {});
    spec.health_checks.clear();
    spec.readiness_checks.push(ReadinessCheck {
        name: "readinessCheck".to_owned(),
        https: false,
        path: "/ready".to_owned(),
        port_name: "http-api".to_owned(),
        interval_seconds: 30,
        timeout_seconds: 10,
        ready_codes: [200].into(),
        preserve_last_response: false,
    });
    let http = |status| Reply::Http { status, content_type: String::new(), body: String::new() };
    let mut rig = Rig::ready(1);
    rig.specs.insert(APP, spec);
    rig.reply = http(503);
    rig.mind.want(with_port(run(key(1, 0), 1, 1)));
    rig.run(Span::secs(20));
    assert!(found(&rig).is_some_and(|found| !found.is_ready()));
    assert_eq!(rig.asked.len(), 1);
    rig.reply = http(200);
    rig.run(Span::secs(15));
    assert!(found(&rig).is_some_and(|found| found.is_ready()));
    rig.reply = http(503);
    rig.run(Span::secs(100));
    assert!(found(&rig).is_some_and(|found| found.is_ready()), "nothing takes that back");
    assert_eq!(rig.asked.len(), 2);
}

/// HC-15: shown, and told when it changes.
#[test]
fn a_plain_check_is_told_when_it_changes() {
    let mut spec = checked(|_| {});
    spec.health_checks.clear();
    spec.check = Some(AppCheck {
        probe: CheckProbe::Exec { shell: "true".to_owned() },
        interval_seconds: 10,
        timeout_seconds: 5,
        delay_seconds: 2,
    });
    let (mut rig, begin) = running(spec);
    rig.reply = Reply::Exit(3);
    rig.said.clear();
    rig.run(Span::secs(40));
    assert_eq!(asked(&rig, begin), [2, 12, 22, 32]);
    assert_eq!(found(&rig).and_then(|found| found.check), Some(CheckResult::Command(3)));
    assert_eq!(rig.said.len(), 1);
}

/// HC-2: 256 at once, and nobody is forgotten.
#[test]
fn many_are_asked_a_bounded_number_at_once() {
    let mut rig = Rig::ready(1);
    rig.specs.insert(APP, checked(|check| check.interval_seconds = 60));
    rig.limits.processes = 400;
    rig.mind = Mind::new(rig.limits, &Hand::ALL);
    rig.mind.session_opened();
    rig.mind.leader_synced();
    let keys: Vec<InstanceKey> = (0..300).map(|no| key(1, no)).collect();
    for key in &keys {
        rig.mind.want(with_port(run(*key, 1, 1)));
    }
    rig.run(Span::secs(20));
    assert_eq!(rig.asked.len(), 300);
    let alive = |key: &&InstanceKey| {
        let of = rig.said.iter().rev().find(|have| have.key == **key).expect("said");
        of.tasks[0].findings.as_ref().is_some_and(|found| found.serves())
    };
    assert_eq!(keys.iter().filter(alive).count(), 300);
}
