//! The fake host behind the runtime trait, for `stayer bench`: everything is done at once, nothing costs anything.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::agent::clock::Clock;
use crate::agent::fake::{Call, FakeHost};
use crate::agent::mind::{Hand, LaunchPlan};
use crate::agent::runtime::{Found, Launch, Progress, Running, Runtime, RuntimeError, SandboxId};
use crate::model::end::End;
use crate::model::time::Timestamp;

/// One hand of a shared fake host.
#[derive(Clone)]
pub struct FakeRuntime {
    hand: Hand,
    clock: Clock,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    host: FakeHost,
    waiting: BTreeMap<SandboxId, Vec<oneshot::Sender<()>>>,
}

// === impl FakeRuntime ===

impl FakeRuntime {
    /// Both hands of one host.
    pub fn both(host: FakeHost, clock: Clock) -> (FakeRuntime, FakeRuntime) {
        let shared = Arc::new(Mutex::new(Shared { host, waiting: BTreeMap::new() }));
        let hand = |hand| FakeRuntime { hand, clock, shared: Arc::clone(&shared) };
        (hand(Hand::Docker), hand(Hand::Process))
    }

    /// Looks at the host, or does something to it; who waits for an end is told of it.
    pub fn with<T>(&self, look: impl FnOnce(Timestamp, &mut FakeHost) -> T) -> T {
        let now = self.clock.now();
        let mut shared = self.lock();
        let seen = look(now, &mut shared.host);
        shared.host.advance(now);
        shared.tell_ended();
        seen
    }

    async fn call<T>(
        &self,
        call: impl FnOnce(Timestamp, &mut FakeHost) -> Call<T>,
    ) -> Result<T, RuntimeError> {
        match self.with(call) {
            Call::Answers(answer) => answer,
            Call::Hangs | Call::Crashes => std::future::pending().await,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Runtime for FakeRuntime {
    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        self.call(|now, host| host.list(now, self.hand)).await
    }

    async fn prepare(&self, launch: &Launch, _: &Progress) -> Result<(), RuntimeError> {
        let plan = plan(launch);
        self.call(|now, host| host.prepare(now, self.hand, &plan)).await
    }

    async fn start(&self, launch: &Launch) -> Result<Running, RuntimeError> {
        let plan = plan(launch);
        self.call(|now, host| host.start(now, self.hand, &plan)).await
    }

    async fn ended(&self, id: SandboxId) -> Result<(Timestamp, End), RuntimeError> {
        loop {
            let now = self.clock.now();
            let (told, ends_at) = {
                let mut shared = self.lock();
                match shared.host.ended(now, self.hand, id) {
                    Some(Call::Answers(answer)) => return answer,
                    Some(Call::Hangs | Call::Crashes) => (None, None),
                    None => {
                        let (sender, told) = oneshot::channel();
                        shared.waiting.entry(id).or_default().push(sender);
                        (Some(told), shared.host.ends_at(id))
                    }
                }
            };
            let Some(told) = told else { return std::future::pending().await };
            match ends_at {
                None => drop(told.await),
                Some(at) => drop(tokio::time::timeout(at.since(now).into(), told).await),
            }
        }
    }

    async fn terminate(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.call(|now, host| host.terminate(now, self.hand, id)).await
    }

    async fn kill(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.call(|now, host| host.kill(now, self.hand, id)).await
    }

    async fn exec(&self, _: &Launch, _: &str, _: Duration) -> Result<Option<i32>, RuntimeError> {
        Ok(Some(0))
    }

    async fn remove(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.call(|now, host| host.remove(now, self.hand, id)).await
    }
}

// === impl Shared ===

impl Shared {
    /// Wakes whose sandbox has ended, will end at a time that was not known before, or is gone.
    fn tell_ended(&mut self) {
        let host = &self.host;
        let over = |id: &SandboxId| !host.is_running(*id) || host.ends_at(*id).is_some();
        let ids: Vec<SandboxId> = self.waiting.keys().filter(|id| over(id)).copied().collect();
        for id in ids {
            for waiting in self.waiting.remove(&id).unwrap_or_default() {
                // Who has given up is not listening.
                let _gone = waiting.send(());
            }
        }
    }
}

fn plan(launch: &Launch) -> LaunchPlan {
    LaunchPlan {
        id: launch.id,
        key: launch.key,
        spec_key: launch.spec_key,
        spec: Arc::clone(&launch.spec),
        place: launch.place.clone(),
    }
}
