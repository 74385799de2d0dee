//! An app's rows: the app itself and each definition it has had.

use serde::{Deserialize, Serialize};

use crate::model::brake::HealthBrake;
use crate::model::condition::Condition;
use crate::model::id::{AgentId, AppKey, DeploymentId, Incarnation, InstanceId, Version};
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::time::{Span, Timestamp};

/// How many definitions of an app are kept, the current one included (contract 3.4).
pub const MAX_VERSIONS: usize = 25;

/// An app: which definition counts and where its deployment stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct App {
    /// Its key.
    pub key: AppKey,
    /// Its path.
    pub path: AppPath,
    /// The definition that counts.
    pub version: Version,
    /// Earlier definitions still stored, oldest first, without `version`.
    pub priors: Vec<Version>,
    /// The first definition that users may list: an app that was removed and made again starts anew.
    pub visible_from: Version,
    /// What a running deployment does to it; also the lock (DP-10).
    pub part: Option<Part>,
    /// Delays of the newest configurations, at most two (BO-2).
    pub backoffs: Vec<Backoff>,
    /// The last task that failed (contract 5.13).
    pub last_failure: Option<Failure>,
    /// The number of the next instance.
    pub next_instance: u32,
    /// When to look again at new instances that run, and have not run for long enough to be relied on.
    pub look_again: Option<Timestamp>,
    /// Whether its health checks kill.
    pub health_brake: HealthBrake,
    /// When it was removed; then it is hidden, and kept for a later rollback of its group.
    pub removed: Option<Timestamp>,
}

/// One stored definition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppVersion {
    /// The definition.
    pub spec: Spec,
    /// When it was stored.
    pub version: Version,
    /// When `instances` last changed (DP-4).
    pub last_scaling_at: Timestamp,
    /// When anything else last changed (DP-4).
    pub last_config_change_at: Timestamp,
    /// The first version with this very configuration. Instances of it run what this definition asks for, whatever
    /// lies between; a restart begins a new one (DP-18, BETTER).
    pub config: Version,
}

/// What a deployment does to one app. `from` is all that a rollback needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Of which deployment.
    pub deployment: DeploymentId,
    /// In which step, from 0.
    pub step: u32,
    /// What is done.
    pub action: Action,
    /// Whether it is done; it stays so, whatever happens to the app meanwhile.
    pub done: bool,
    /// The definition before, if there was one.
    pub from: Option<Version>,
    /// The definition after, if there is one.
    pub to: Option<Version>,
}

/// What a deployment does to an app (DP-7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Action {
    /// Start with nothing, then scale.
    Create,
    /// Reach the count.
    Scale,
    /// Replace what has another configuration, then reach the count.
    Restart,
    /// Stop everything.
    Stop,
}

/// The delay before the next launch of one configuration (BO-3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// Which configuration.
    pub config: Version,
    /// How long.
    pub delay: Span,
    /// Since when.
    pub since: Timestamp,
    /// After so long without any change the delay is forgotten (BO-6).
    pub max: Span,
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Of which instance.
    pub instance: InstanceId,
    /// Which container.
    pub task: String,
    /// In which life.
    pub incarnation: Incarnation,
    /// How it ended.
    pub condition: Condition,
    /// Why, for people.
    pub message: String,
    /// On which agent.
    pub agent: Option<AgentId>,
    /// That agent's host name.
    pub host: String,
    /// When.
    pub at: Timestamp,
    /// The definition it ran.
    pub version: Version,
}

// === impl Backoff ===

impl Backoff {
    /// The first moment at which a launch is allowed.
    pub fn until(&self) -> Timestamp {
        self.since + self.delay
    }

    /// The moment from which the delay is forgotten. Later than the longest delay by Marathon's own clean-up period, so
    /// that a delay at its cap is waited for rather than forgotten.
    pub fn expires(&self) -> Timestamp {
        self.since + self.max + Span::secs(10)
    }
}
