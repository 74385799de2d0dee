//! What is known of a task.

use serde::{Deserialize, Serialize};

/// What is known of a task (SM-1). `Scheduled` is no condition of a task: an instance that waits has none, or one that
/// ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Condition {
    /// The launch is decided and stored, its agent has not confirmed it.
    Provisioned,
    /// The agent prepares it: sandbox, fetch, pull.
    Staging,
    /// The container is being started.
    Starting,
    /// It runs.
    Running,
    /// It was asked to end.
    Killing,
    /// Its agent is lost, for a short time.
    Unreachable,
    /// Its agent is lost; a replacement may start.
    UnreachableInactive,
    /// It ended by itself with 0.
    Finished,
    /// It ended because it was asked to.
    Killed,
    /// It ended by itself, not with 0, or could not start.
    Failed,
    /// The agent refuses its definition.
    Error,
    /// Its agent is gone for good.
    Gone,
    /// Its launch was lost on the way.
    Dropped,
    /// Its agent does not know it.
    Unknown,
}

// === impl Condition ===

impl Condition {
    /// All of them, in their order.
    pub const ALL: [Condition; 14] = [
        Condition::Provisioned,
        Condition::Staging,
        Condition::Starting,
        Condition::Running,
        Condition::Killing,
        Condition::Unreachable,
        Condition::UnreachableInactive,
        Condition::Finished,
        Condition::Killed,
        Condition::Failed,
        Condition::Error,
        Condition::Gone,
        Condition::Dropped,
        Condition::Unknown,
    ];

    /// The task has ended for good.
    pub const fn is_terminal(self) -> bool {
        match self {
            Condition::Provisioned
            | Condition::Staging
            | Condition::Starting
            | Condition::Running
            | Condition::Killing
            | Condition::Unreachable
            | Condition::UnreachableInactive => false,
            Condition::Finished
            | Condition::Killed
            | Condition::Failed
            | Condition::Error
            | Condition::Gone
            | Condition::Dropped
            | Condition::Unknown => true,
        }
    }

    /// Its agent is lost.
    pub const fn is_unreachable(self) -> bool {
        matches!(self, Condition::Unreachable | Condition::UnreachableInactive)
    }

    /// Listed with ports and times (SD-9).
    pub const fn is_active(self) -> bool {
        !self.is_terminal() && !matches!(self, Condition::UnreachableInactive)
    }

    /// Slows down the next launch (BO-4).
    pub const fn grows_backoff(self) -> bool {
        matches!(
            self,
            Condition::Failed
                | Condition::Error
                | Condition::Dropped
                | Condition::Gone
                | Condition::Finished
        )
    }

    /// Is kept as the app's last failure (contract 5.13).
    pub const fn is_failure(self) -> bool {
        matches!(
            self,
            Condition::Failed
                | Condition::Error
                | Condition::Dropped
                | Condition::Gone
                | Condition::Unknown
        )
    }

    /// `Running`, as events write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Condition::Provisioned => "Provisioned",
            Condition::Staging => "Staging",
            Condition::Starting => "Starting",
            Condition::Running => "Running",
            Condition::Killing => "Killing",
            Condition::Unreachable => "Unreachable",
            Condition::UnreachableInactive => "UnreachableInactive",
            Condition::Finished => "Finished",
            Condition::Killed => "Killed",
            Condition::Failed => "Failed",
            Condition::Error => "Error",
            Condition::Gone => "Gone",
            Condition::Dropped => "Dropped",
            Condition::Unknown => "Unknown",
        }
    }

    /// `TASK_RUNNING`, as tasks write it (contract 8.3).
    pub const fn task_state(self) -> &'static str {
        match self {
            Condition::Provisioned | Condition::Staging => "TASK_STAGING",
            Condition::Starting => "TASK_STARTING",
            Condition::Running => "TASK_RUNNING",
            Condition::Killing => "TASK_KILLING",
            Condition::Unreachable | Condition::UnreachableInactive => "TASK_UNREACHABLE",
            Condition::Finished => "TASK_FINISHED",
            Condition::Killed => "TASK_KILLED",
            Condition::Failed => "TASK_FAILED",
            Condition::Error => "TASK_ERROR",
            Condition::Gone => "TASK_GONE",
            Condition::Dropped => "TASK_DROPPED",
            Condition::Unknown => "TASK_UNKNOWN",
        }
    }
}
