//! What became of a deployment that is over.

use serde::{Deserialize, Serialize};

use crate::model::deployment::Cause;
use crate::model::event::PlanAction;
use crate::model::id::{DeploymentId, Version};
use crate::model::path::AppPath;
use crate::model::time::Timestamp;

/// How many outcomes are kept; the oldest go first.
pub const MAX_OUTCOMES: usize = 1_000;

/// Of how many apps an outcome tells what was done to them.
pub const MAX_OUTCOME_APPS: usize = 100;

/// The key of an outcome; their order is that of the ends.
pub type OutcomeKey = (Timestamp, DeploymentId);

/// What became of a deployment that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Which deployment.
    pub id: DeploymentId,
    /// The version that its change gave to what it changed.
    pub version: Version,
    /// When it was accepted.
    pub since: Timestamp,
    /// When it was over.
    pub at: Timestamp,
    /// The deployment that it took back.
    pub reverts: Option<DeploymentId>,
    /// How many lives of what it brought had failed.
    pub failures: u32,
    /// How it ended.
    pub ending: Ending,
    /// What it did to which apps, the first [`MAX_OUTCOME_APPS`] of them.
    pub apps: Vec<(PlanAction, AppPath)>,
    /// To how many more.
    pub more_apps: u32,
}

/// How a deployment ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// It is done.
    Done,
    /// It failed, and what it began stays as it was then.
    Failed(Cause),
    /// It is taken back, whether that succeeds or not.
    RolledBack {
        /// Why, unless somebody asked for it.
        cause: Option<Cause>,
        /// By which deployment.
        by: DeploymentId,
    },
    /// Somebody ended it half-way.
    Cancelled,
    /// A later change went over it.
    Replaced {
        /// The deployment of that change.
        by: DeploymentId,
    },
}

// === impl Outcome ===

impl Outcome {
    /// Its key.
    pub fn key(&self) -> OutcomeKey {
        (self.at, self.id)
    }
}

// === impl Ending ===

impl Ending {
    /// As it is written.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Failed(_) => "failed",
            Ending::RolledBack { .. } => "rolledBack",
            Ending::Cancelled => "cancelled",
            Ending::Replaced { .. } => "replaced",
        }
    }

    /// Why it is not done, where that is known.
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            Ending::Failed(cause) | Ending::RolledBack { cause: Some(cause), .. } => Some(cause),
            Ending::Done
            | Ending::RolledBack { cause: None, .. }
            | Ending::Cancelled
            | Ending::Replaced { .. } => None,
        }
    }

    /// The deployment that followed it.
    pub const fn by(&self) -> Option<DeploymentId> {
        match self {
            Ending::RolledBack { by, .. } | Ending::Replaced { by } => Some(*by),
            Ending::Done | Ending::Failed(_) | Ending::Cancelled => None,
        }
    }

    /// Why it failed, in the words of its event.
    pub fn reason(&self) -> String {
        match self {
            Ending::Failed(cause) => format!("The deployment has failed: {cause}"),
            Ending::RolledBack { cause: Some(cause), by } => {
                format!("The deployment has failed and is rolled back by {by}: {cause}")
            }
            Ending::Done
            | Ending::RolledBack { cause: None, .. }
            | Ending::Cancelled
            | Ending::Replaced { .. } => "The upgrade has been cancelled".to_owned(),
        }
    }
}
