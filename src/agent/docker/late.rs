//! An engine that may be away when its agent starts, and is found by whoever asks it first afterwards.
//!
//! Where containers of an agent were made, an engine that does not answer is away, not none: what is asked of it has an
//! unknown outcome until it is found, and nothing is concluded (house.md, invariant 9). Where none were made, there is
//! nothing to list until one is installed or started.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{SetOnce, watch};

use crate::agent::docker::auth::Keyring;
use crate::agent::docker::call::Deadlines;
use crate::agent::docker::connect::{self, Connection, EngineFacts, Search};
use crate::agent::docker::labels::Owner;
use crate::agent::docker::logs::Logs;
use crate::agent::docker::{DockerRuntime, Remains};
use crate::agent::gpu::Shelf;
use crate::agent::runtime::{
    Found, Launch, LogStream, Progress, Running, Runtime, RuntimeError, SandboxId,
};
use crate::model::agent::Policy;
use crate::model::end::End;
use crate::model::policy::violations;
use crate::model::reason::Reason;
use crate::model::time::Timestamp;

/// The engine of a host, found now or later.
#[derive(Debug)]
pub struct LateDocker {
    search: Search,
    owner: Owner,
    keyring: Keyring,
    policy: Policy,
    /// Whether containers of this agent may exist.
    was_used: bool,
    shelf: Shelf,
    found: SetOnce<DockerRuntime>,
}

// === impl LateDocker ===

impl LateDocker {
    /// One that is looked for when it is asked.
    pub fn new(
        search: Search,
        owner: Owner,
        keyring: Keyring,
        policy: Policy,
        was_used: bool,
        shelf: Shelf,
    ) -> LateDocker {
        LateDocker { search, owner, keyring, policy, was_used, shelf, found: SetOnce::new() }
    }

    /// The same, with what was found, if anything was.
    #[must_use]
    pub fn with(self, connection: Option<Connection>) -> LateDocker {
        let found = SetOnce::new_with(connection.map(|connection| self.runtime(connection)));
        LateDocker { found, ..self }
    }

    /// See [`DockerRuntime::ping`].
    ///
    /// # Errors
    /// As there.
    pub async fn ping(&self) -> Result<(), RuntimeError> {
        self.engine().await?.ping().await
    }

    /// See [`DockerRuntime::logs`].
    ///
    /// # Errors
    /// As there.
    pub async fn logs(
        &self,
        id: SandboxId,
        stream: LogStream,
        tail: Option<u32>,
        follow: bool,
    ) -> Result<Logs, RuntimeError> {
        match self.engine().await {
            Ok(engine) => engine.logs(id, stream, tail, follow).await,
            Err(RuntimeError::Unknown(detail)) if !self.was_used => {
                Err(RuntimeError::Refused(Reason::NoEngine { detail }))
            }
            Err(error) => Err(error),
        }
    }

    /// See [`DockerRuntime::remains`].
    ///
    /// # Errors
    /// As there.
    pub async fn remains(&self, id: SandboxId) -> Result<Remains, RuntimeError> {
        match self.engine().await {
            Ok(engine) => engine.remains(id).await,
            Err(_) if !self.was_used => Ok(Remains::default()),
            Err(error) => Err(error),
        }
    }

    /// What the engine is, once it is found, and whenever it is another one.
    pub async fn facts(&self) -> watch::Receiver<Arc<EngineFacts>> {
        self.found.wait().await.follow_facts()
    }

    async fn engine(&self) -> Result<&DockerRuntime, RuntimeError> {
        if let Some(engine) = self.found.get() {
            return Ok(engine);
        }
        let found = connect::find(&self.search, Deadlines::default()).await;
        let connection = found.map_err(|error| RuntimeError::Unknown(error.to_string()))?;
        // Another call may have found it at the same time; either will do.
        let _found_before = self.found.set(self.runtime(connection));
        Ok(self.found.wait().await)
    }

    fn runtime(&self, connection: Connection) -> DockerRuntime {
        let policy = self.policy.clone();
        let check = move |spec: &_| violations(&policy, spec);
        let keyring = self.keyring.clone();
        DockerRuntime::new(connection, self.owner, keyring, self.shelf.clone(), check)
    }
}

impl Runtime for LateDocker {
    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        match self.engine().await {
            Ok(engine) => engine.list().await,
            Err(_) if !self.was_used => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn prepare(&self, launch: &Launch, progress: &Progress) -> Result<(), RuntimeError> {
        self.engine().await?.prepare(launch, progress).await
    }

    async fn start(&self, launch: &Launch) -> Result<Running, RuntimeError> {
        self.engine().await?.start(launch).await
    }

    async fn ended(&self, id: SandboxId) -> Result<(Timestamp, End), RuntimeError> {
        self.engine().await?.ended(id).await
    }

    async fn terminate(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.engine().await?.terminate(id).await
    }

    async fn kill(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.engine().await?.kill(id).await
    }

    async fn exec(
        &self,
        launch: &Launch,
        shell: &str,
        limit: Duration,
    ) -> Result<Option<i32>, RuntimeError> {
        self.engine().await?.exec(launch, shell, limit).await
    }

    async fn remove(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.engine().await?.remove(id).await
    }
}
