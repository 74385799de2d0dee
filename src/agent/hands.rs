//! The hands together: which runtime does what, and whether the engine is there.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::agent::mind::{Hand, Sight};
use crate::agent::runtime::{Found, Launch, Progress, Running, Runtime, RuntimeError, SandboxId};
use crate::model::end::End;
use crate::model::reason::Reason;
use crate::model::time::Timestamp;

/// Between two looks at an engine that answers.
const STEADY: Duration = Duration::from_secs(2);
/// Between the first looks at one that does not; doubles up to [`STEADY`].
const SHORTEST: Duration = Duration::from_millis(100);

/// The runtimes of an agent.
#[derive(Debug)]
pub struct Hands<D, P> {
    /// Runs what has an image; none when the agent is to run without an engine. An engine that is only away is not none.
    pub docker: Option<D>,
    /// Runs all else.
    pub process: P,
}

// === impl Hands ===

impl<D: Runtime, P: Runtime> Hands<D, P> {
    /// Which there are.
    pub fn present(&self) -> Vec<Hand> {
        let docker = self.docker.as_ref().map(|_| Hand::Docker);
        docker.into_iter().chain([Hand::Process]).collect()
    }

    /// See [`Runtime::list`].
    ///
    /// # Errors
    /// As there.
    pub async fn list(&self, hand: Hand) -> Result<Vec<Found>, RuntimeError> {
        match hand {
            Hand::Docker => self.docker()?.list().await,
            Hand::Process => self.process.list().await,
        }
    }

    /// See [`Runtime::prepare`].
    ///
    /// # Errors
    /// As there.
    pub async fn prepare(
        &self,
        hand: Hand,
        launch: &Launch,
        progress: &Progress,
    ) -> Result<(), RuntimeError> {
        match hand {
            Hand::Docker => self.docker()?.prepare(launch, progress).await,
            Hand::Process => self.process.prepare(launch, progress).await,
        }
    }

    /// See [`Runtime::start`].
    ///
    /// # Errors
    /// As there.
    pub async fn start(&self, hand: Hand, launch: &Launch) -> Result<Running, RuntimeError> {
        match hand {
            Hand::Docker => self.docker()?.start(launch).await,
            Hand::Process => self.process.start(launch).await,
        }
    }

    /// See [`Runtime::ended`].
    ///
    /// # Errors
    /// As there.
    pub async fn ended(&self, hand: Hand, id: SandboxId) -> Result<(Timestamp, End), RuntimeError> {
        match hand {
            Hand::Docker => self.docker()?.ended(id).await,
            Hand::Process => self.process.ended(id).await,
        }
    }

    /// See [`Runtime::terminate`].
    ///
    /// # Errors
    /// As there.
    pub async fn terminate(&self, hand: Hand, id: SandboxId) -> Result<(), RuntimeError> {
        match hand {
            Hand::Docker => self.docker()?.terminate(id).await,
            Hand::Process => self.process.terminate(id).await,
        }
    }

    /// See [`Runtime::kill`].
    ///
    /// # Errors
    /// As there.
    pub async fn kill(&self, hand: Hand, id: SandboxId) -> Result<(), RuntimeError> {
        match hand {
            Hand::Docker => self.docker()?.kill(id).await,
            Hand::Process => self.process.kill(id).await,
        }
    }

    /// See [`Runtime::exec`].
    ///
    /// # Errors
    /// As there.
    pub async fn exec(
        &self,
        hand: Hand,
        launch: &Launch,
        shell: &str,
        limit: Duration,
    ) -> Result<Option<i32>, RuntimeError> {
        match hand {
            Hand::Docker => self.docker()?.exec(launch, shell, limit).await,
            Hand::Process => self.process.exec(launch, shell, limit).await,
        }
    }

    /// See [`Runtime::remove`].
    ///
    /// # Errors
    /// As there.
    pub async fn remove(&self, hand: Hand, id: SandboxId) -> Result<(), RuntimeError> {
        match hand {
            Hand::Docker => self.docker()?.remove(id).await,
            Hand::Process => self.process.remove(id).await,
        }
    }

    fn docker(&self) -> Result<&D, RuntimeError> {
        let detail = || "this agent runs without one".to_owned();
        self.docker
            .as_ref()
            .ok_or_else(|| RuntimeError::Refused(Reason::NoEngine { detail: detail() }))
    }
}

/// Tells the mind when an engine goes away and when it is back, or there for the first time. `up` is whether the mind
/// thinks that it answers; `ping` has a deadline of its own. Ends when nobody listens.
pub async fn watch_engine<F>(ping: impl Fn() -> F, sights: mpsc::Sender<Sight>, up: bool)
where
    F: Future<Output = Result<(), RuntimeError>>,
{
    let mut engine = Engine { up, wait: STEADY };
    loop {
        tokio::time::sleep(engine.wait).await;
        let answer = ping().await;
        let Some(news) = engine.answered(answer.is_ok()) else { continue };
        match answer {
            Ok(()) => tracing::info!("the engine answers"),
            Err(error) => {
                tracing::warn!(%error, "the engine does not answer; what runs is left alone");
            }
        }
        if sights.send(news).await.is_err() {
            return;
        }
    }
}

/// What is known of an engine, and how long until the next look.
struct Engine {
    up: bool,
    wait: Duration,
}

// === impl Engine ===

impl Engine {
    /// Whether it answered; what is new about that.
    fn answered(&mut self, up: bool) -> Option<Sight> {
        let was = std::mem::replace(&mut self.up, up);
        self.wait = match (was, up) {
            (_, true) => STEADY,
            (true, false) => SHORTEST,
            (false, false) => (self.wait * 2).min(STEADY),
        };
        match (was, up) {
            (true, false) => Some(Sight::HandDown(Hand::Docker)),
            (false, true) => Some(Sight::HandUp(Hand::Docker)),
            (true, true) | (false, false) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_that_goes_and_comes_is_told_once_each() {
        let mut engine = Engine { up: true, wait: STEADY };
        let mut told = Vec::new();
        let mut waits = Vec::new();
        for up in [true, false, false, false, true, true] {
            told.push(engine.answered(up).map(|sight| matches!(sight, Sight::HandUp(_))));
            waits.push(engine.wait.as_millis());
        }
        assert_eq!(told, [None, Some(false), None, None, Some(true), None]);
        assert_eq!(waits, [2_000, 100, 200, 400, 2_000, 2_000]);
    }
}
