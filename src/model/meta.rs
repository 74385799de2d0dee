//! What there is once in a cluster: counters, identity, the brake. The only row without a key of its own.

use serde::{Deserialize, Serialize};

use crate::model::brake::Brake;
use crate::model::id::{AgentKey, AppKey, ClusterId};

/// What there is once in a cluster.
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
    /// Whether replacement is held.
    pub brake: Brake,
}
