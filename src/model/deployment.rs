//! A deployment: one accepted change on its way, step by step.
//!
//! What it does to each app lies in that app's row ([`Part`](crate::model::app::Part)), so that this row does not grow.

use serde::{Deserialize, Serialize};

use crate::model::id::{DeploymentId, Version};
use crate::model::time::Timestamp;

/// One accepted change on its way. The row leaves with its end; the event tells how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// The version that the change gave to what it changed.
    pub version: Version,
    /// The running step, from 0.
    pub step: u32,
    /// How many steps there are.
    pub steps: u32,
    /// The step in which new apps start with nothing, if there are new apps (DP-6).
    pub start_step: Option<u32>,
    /// Whether the event of the running step is out.
    pub announced: bool,
    /// When it was accepted.
    pub since: Timestamp,
    /// The deployment that this one takes back.
    pub reverts: Option<DeploymentId>,
}
