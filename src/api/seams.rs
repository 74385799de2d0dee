//! What the API needs of the rest of a server and is given when it is made: settings, a clock, logs, figures.
//!
//! Handlers know these types and nothing of what stands behind them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::Stream;

use crate::agent::runtime::LogStream;
use crate::control::fleet::signs::Signs;
use crate::control::gauges::Gauges;
use crate::logic::draft::Limits;
use crate::model::id::{AgentKey, Incarnation, InstanceId};
use crate::model::time::Timestamp;

/// What an operator chose.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// `host:port` under which clients reach this server: the leader's name in `/v2/leader`, `/v2/info` and headers.
    pub leader: String,
    /// Names beside `localhost` and every address that requests may ask for.
    pub allow_hosts: Vec<String>,
    /// Whether what Marathon refuses or ignores silently is refused, as with `?strict=true`.
    pub strict_json: bool,
    /// The role of apps that name none.
    pub default_role: String,
    /// The network of container networks without a name.
    pub default_network: Option<String>,
    /// After so long without an event a stream of events sends a bare line end, by which a client sees that the link
    /// lives: 10 s in Marathon.
    pub heartbeat: Duration,
    /// What the brain is limited to, for those who ask what it would do.
    pub limits: Limits,
}

/// What stands behind the API.
#[derive(Clone)]
pub struct Backends {
    /// The wall clock.
    pub clock: Clock,
    /// Where the output of tasks comes from.
    pub logs: Arc<dyn LogSource>,
    /// Where the evidence of failures comes from.
    pub evidence: Arc<dyn EvidenceSource>,
    /// What the inner parts count.
    pub gauges: Gauges,
    /// When each agent was last heard, and what lives on it.
    pub signs: Signs,
}

/// The wall clock.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Which output is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// On which agent it is; when that is not known any more, whichever has it.
    pub agent: Option<AgentKey>,
    /// Of which instance.
    pub instance: InstanceId,
    /// Which of its lives.
    pub incarnation: Incarnation,
    /// Which of its containers.
    pub task: String,
    /// Which output.
    pub stream: LogStream,
    /// Whether what comes later is wanted too.
    pub follow: bool,
    /// So many last lines; all when absent.
    pub tail: Option<u64>,
}

/// A task's output as it comes.
pub type LogBytes = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// Why there is no output.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The agent has nothing of this task any more.
    #[error("the agent has no output of this task any more")]
    Gone,
    /// The agent is not heard now.
    #[error("the agent is not heard: {0}")]
    Away(String),
}

/// The answer of a [`LogSource`].
pub type LogAnswer = Pin<Box<dyn Future<Output = Result<LogBytes, LogError>> + Send>>;

/// Who brings the output of tasks.
///
/// # Guarantees
/// The stream ends with the task's output, or with `follow` when the task has ended. Dropping it ends the transfer.
pub trait LogSource: Send + Sync + 'static {
    /// Opens one output.
    fn open(&self, request: LogRequest) -> LogAnswer;
}

/// Whose evidence is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvidenceRequest {
    /// On which agent it is.
    pub agent: AgentKey,
    /// Of which instance.
    pub instance: InstanceId,
    /// Which of its lives.
    pub incarnation: Incarnation,
}

/// Why there is no evidence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The agent has none of this life.
    #[error("the agent has no evidence of this task")]
    None,
    /// The agent is not heard now.
    #[error("the agent is not heard: {0}")]
    Away(String),
    /// There is no such agent any more.
    #[error("the agent was forgotten")]
    Forgotten,
}

/// The answer of an [`EvidenceSource`]: JSON, as the agent keeps it.
pub type EvidenceAnswer = Pin<Box<dyn Future<Output = Result<Bytes, EvidenceError>> + Send>>;

/// Who brings the evidence of failures.
pub trait EvidenceSource: Send + Sync + 'static {
    /// The evidence of one life.
    fn find(&self, request: EvidenceRequest) -> EvidenceAnswer;
}

// === impl ApiConfig ===

impl ApiConfig {
    /// The defaults of a server that clients reach as `leader`.
    pub fn new(leader: impl Into<String>) -> ApiConfig {
        ApiConfig {
            leader: leader.into(),
            allow_hosts: Vec::new(),
            strict_json: false,
            default_role: "*".to_owned(),
            default_network: None,
            heartbeat: Duration::from_secs(10),
            limits: Limits::default(),
        }
    }
}
