//! What the agent asks of a runtime: the hands that make, start, watch and end one container or process.
//!
//! One sandbox is one life of one instance. Its name is the ledger (house.md, invariant 7): what exists under a name is
//! adopted, never made twice, and nothing is removed before its end was acknowledged.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::model::end::End;
use crate::model::have::SpecKey;
use crate::model::id::{AgentId, ClusterId, Incarnation, InstanceId, InstanceKey};
use crate::model::instance::Place;
use crate::model::reason::Reason;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;

/// One life of one instance on this host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SandboxId {
    /// The instance.
    pub instance: InstanceId,
    /// Its life.
    pub incarnation: Incarnation,
}

/// All that it takes to make a sandbox and start what runs in it.
#[derive(Clone, Debug)]
pub struct Launch {
    /// Its name.
    pub id: SandboxId,
    /// The instance's key, kept in the sandbox so that a later agent process knows it.
    pub key: InstanceKey,
    /// Which definition this is.
    pub spec_key: SpecKey,
    /// The definition.
    pub spec: Arc<Spec>,
    /// What it may use.
    pub place: Place,
    /// The cluster, for labels.
    pub cluster: ClusterId,
    /// The agent, for labels: several agents may share one engine.
    pub agent: AgentId,
    /// The task's environment, complete but for what the runtime itself adds (`MESOS_SANDBOX`).
    pub env: BTreeMap<String, String>,
    /// The sandbox's directory: `stdout`, `stderr` and fetched files of a process; mounted into a container.
    pub dir: PathBuf,
}

/// What the host shows of one sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub id: SandboxId,
    /// Its instance's key, as stored in it.
    pub key: InstanceKey,
    /// The definition it was made from, as stored in it.
    pub spec_key: SpecKey,
    /// What it is.
    pub state: FoundState,
}

/// What a sandbox is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundState {
    /// Made, not started. Starting it is safe.
    Prepared,
    /// Half made: its preparation was cut short. Preparing it again is safe.
    Partial,
    /// Running.
    Running(Running),
    /// Ended.
    Exited {
        /// When.
        at: Timestamp,
        /// How.
        end: End,
    },
}

/// A sandbox that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    /// Since when, by the host's clock.
    pub at: Timestamp,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// A container id or a process id.
    pub handle: String,
}

/// Which output of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Why a call to a runtime came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// It is certain that this cannot be done: the task fails with this reason.
    #[error("{0}")]
    Refused(Reason),
    /// Whether it was done is not known: engine away, deadline passed, answer lost. The host is asked again before
    /// anything else is decided.
    #[error("{0}")]
    Unknown(String),
}

/// Bytes pulled and fetched so far, told while a sandbox is prepared.
pub type Progress = watch::Sender<u64>;

/// Makes, starts, watches and ends sandboxes.
///
/// # Guarantees
/// Every method may be called again after any outcome, also by a later process: what is there is adopted, what is gone
/// stays gone. Each call has a deadline of its own. Only what carries this cluster's and this agent's mark is touched.
///
/// # Assumptions
/// At most one call per sandbox at a time.
///
/// # Caveats
/// An error is never evidence that something ended.
pub trait Runtime: Send + Sync + 'static {
    /// Every sandbox of this cluster and agent, ended ones included.
    fn list(&self) -> impl Future<Output = Result<Vec<Found>, RuntimeError>> + Send;

    /// Fetches, pulls and creates; nothing runs afterwards. Checks the agent's policy first.
    fn prepare(
        &self,
        launch: &Launch,
        progress: &Progress,
    ) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Starts what is prepared, or finds that it runs already.
    fn start(&self, launch: &Launch) -> impl Future<Output = Result<Running, RuntimeError>> + Send;

    /// Waits until it has ended. Resolves at once for what has ended before.
    fn ended(
        &self,
        id: SandboxId,
    ) -> impl Future<Output = Result<(Timestamp, End), RuntimeError>> + Send;

    /// Asks it to end; the image's stop signal, else SIGTERM. Fine when it has ended.
    fn terminate(&self, id: SandboxId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Ends it and all its children with SIGKILL. Fine when it has ended.
    fn kill(&self, id: SandboxId) -> impl Future<Output = Result<(), RuntimeError>> + Send;

    /// Runs a shell text beside what runs, where it is and as it is. Its exit code, or nothing when it did not end within
    /// `limit`; then it is ended. Refused when it cannot be started there.
    fn exec(
        &self,
        launch: &Launch,
        shell: &str,
        limit: Duration,
    ) -> impl Future<Output = Result<Option<i32>, RuntimeError>> + Send;

    /// Removes all that is left of an ended one. Fine when nothing is.
    fn remove(&self, id: SandboxId) -> impl Future<Output = Result<(), RuntimeError>> + Send;
}

// === impl SandboxId ===

impl std::fmt::Display for SandboxId {
    /// The name on the host: `<instance>.<incarnation>`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.instance, self.incarnation)
    }
}

impl SandboxId {
    /// Reads a name on the host.
    pub fn parse(text: &str) -> Option<SandboxId> {
        let (instance, incarnation) = text.rsplit_once('.')?;
        Some(SandboxId {
            instance: InstanceId(uuid::Uuid::try_parse(instance).ok()?),
            incarnation: Incarnation(incarnation.parse().ok()?),
        })
    }
}

// === impl Arc ===

impl<R: Runtime> Runtime for Arc<R> {
    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        self.as_ref().list().await
    }

    async fn prepare(&self, launch: &Launch, progress: &Progress) -> Result<(), RuntimeError> {
        self.as_ref().prepare(launch, progress).await
    }

    async fn start(&self, launch: &Launch) -> Result<Running, RuntimeError> {
        self.as_ref().start(launch).await
    }

    async fn ended(&self, id: SandboxId) -> Result<(Timestamp, End), RuntimeError> {
        self.as_ref().ended(id).await
    }

    async fn terminate(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.as_ref().terminate(id).await
    }

    async fn kill(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.as_ref().kill(id).await
    }

    async fn exec(
        &self,
        launch: &Launch,
        shell: &str,
        limit: Duration,
    ) -> Result<Option<i32>, RuntimeError> {
        self.as_ref().exec(launch, shell, limit).await
    }

    async fn remove(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.as_ref().remove(id).await
    }
}
