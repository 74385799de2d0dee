//! Records and directories over a fake engine.

use super::*;
use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::agent::clock::Clock;
use crate::agent::fake::{CrashPoint, FakeHost, FakeRuntime, Fault};
use crate::agent::mind::testing::{id, key, place, spec, spec_key};
use crate::model::id::{AgentId, AppKey, ClusterId};

/// Leaves a mark for each artifact; refuses when there is none.
struct Marks;

impl Fetch for Marks {
    async fn fetch(&self, _: &[Artifact], dir: &Path, _: &Progress) -> Result<(), Reason> {
        let detail = |error: io::Error| Reason::Other { detail: error.to_string() };
        fs::write(dir.join("fetched"), "").map_err(detail)
    }
}

fn launch(data: &Path) -> Launch {
    let (id, key) = (id(key(2, 0), 1), key(2, 0));
    Launch {
        id,
        key,
        spec_key: spec_key(AppKey(2)),
        spec: spec(AppKey(2)).into(),
        place: place(&[]),
        cluster: ClusterId(uuid::Uuid::nil()),
        agent: AgentId(uuid::Uuid::nil()),
        env: BTreeMap::new(),
        dir: data.join("sandboxes").join(id.to_string()),
    }
}

/// With what an earlier process left in `data`.
fn contained(engine: &FakeRuntime, data: &Path) -> Contained<FakeRuntime, Marks> {
    Contained::open(engine.clone(), Marks, Policy::default(), data).expect("a directory")
}

async fn state(contained: &Contained<FakeRuntime, Marks>) -> Option<FoundState> {
    let mut found = contained.list().await.expect("a list");
    assert!(found.len() <= 1, "{found:?}");
    found.pop().map(|found| found.state)
}

#[tokio::test]
async fn what_was_started_and_is_removed_by_somebody_is_gone_and_never_started_again() {
    // I11 also when the engine's own ledger is gone, and for a later process.
    let data = tempfile::tempdir().expect("a directory");
    let (engine, _) = FakeRuntime::both(FakeHost::default(), Clock::start());
    let (launch, (progress, _bytes)) = (launch(data.path()), watch::channel(0));
    let hand = contained(&engine, data.path());
    hand.prepare(&launch, &progress).await.expect("prepared");
    assert!(launch.dir.join("fetched").exists());
    assert_eq!(state(&hand).await, Some(FoundState::Prepared));
    hand.start(&launch).await.expect("started");
    engine.with(|_, host| host.lose(launch.id));
    let hand = contained(&engine, data.path());
    let seen = state(&hand).await;
    assert!(matches!(seen, Some(FoundState::Exited { end: End::Gone(_), .. })), "{seen:?}");
    hand.remove(launch.id).await.expect("removed");
    assert!(!launch.dir.exists());
    assert_eq!(state(&hand).await, None);
}

#[tokio::test]
async fn what_was_half_made_is_shown_and_can_be_made_whole() {
    let data = tempfile::tempdir().expect("a directory");
    let mut host = FakeHost::default();
    host.fault(CrashPoint::BeforePrepare, Fault::Unknown);
    let (engine, _) = FakeRuntime::both(host, Clock::start());
    let (launch, (progress, _bytes)) = (launch(data.path()), watch::channel(0));
    let hand = contained(&engine, data.path());
    hand.prepare(&launch, &progress).await.expect_err("the answer is lost");
    assert_eq!(state(&hand).await, Some(FoundState::Partial));
    hand.prepare(&launch, &progress).await.expect("prepared");
    hand.start(&launch).await.expect("started");
    assert!(matches!(state(&hand).await, Some(FoundState::Running(_))));
}

#[tokio::test]
async fn an_engine_that_does_not_answer_is_no_empty_list() {
    // Invariant 9.
    let data = tempfile::tempdir().expect("a directory");
    let (engine, _) = FakeRuntime::both(FakeHost::default(), Clock::start());
    let (launch, (progress, _bytes)) = (launch(data.path()), watch::channel(0));
    let hand = contained(&engine, data.path());
    hand.prepare(&launch, &progress).await.expect("prepared");
    hand.start(&launch).await.expect("started");
    engine.with(|_, host| host.engine_down(crate::agent::mind::Hand::Docker));
    assert!(matches!(hand.list().await, Err(RuntimeError::Unknown(_))));
}

#[tokio::test]
async fn what_the_policy_forbids_leaves_nothing_behind() {
    let data = tempfile::tempdir().expect("a directory");
    let (engine, _) = FakeRuntime::both(FakeHost::default(), Clock::start());
    let (mut launch, (progress, _bytes)) = (launch(data.path()), watch::channel(0));
    let mut spec = spec(AppKey(2));
    let image = spec.containers[0].sandbox.as_mut().and_then(|sandbox| sandbox.docker.as_mut());
    image.expect("an image").privileged = true;
    launch.spec = spec.into();
    let hand = contained(&engine, data.path());
    let refused = hand.prepare(&launch, &progress).await;
    assert!(matches!(refused, Err(RuntimeError::Refused(Reason::Policy { .. }))), "{refused:?}");
    assert_eq!(state(&hand).await, None);
    assert!(!launch.dir.exists());
}
