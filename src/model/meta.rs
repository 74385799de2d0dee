//! Counters and identity of a cluster: the only row without a key of its own.

use serde::{Deserialize, Serialize};

use crate::model::agent::GpuScheduling;
use crate::model::id::{AgentKey, AppKey, ClusterId};

/// Counters and identity of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// Which cluster.
    pub cluster: ClusterId,
    /// The key of the next app.
    pub next_app: AppKey,
    /// The key of the next agent.
    pub next_agent: AgentKey,
    /// The counter of the next id; see [`time_uuid`](crate::model::id::time_uuid).
    pub next_id: u64,
    /// For whom agents with devices are kept. Here, since what decides and what explains both see rows alone; the flag of
    /// the server that leads counts.
    pub gpu_scheduling: GpuScheduling,
}
