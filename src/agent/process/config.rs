//! How a process runtime is set up.

use std::path::PathBuf;

use crate::agent::fetch::FetchConfig;
use crate::model::id::AgentId;

/// How a process runtime is set up.
#[derive(Clone, Debug)]
pub struct ProcessConfig {
    /// The agent's data directory.
    pub data: PathBuf,
    /// The agent.
    pub agent: AgentId,
    /// What may be fetched.
    pub fetch: FetchConfig,
    /// Where the kernel shows its control groups; [`ROOT`](crate::agent::process::cgroup::ROOT) but for tests.
    pub cgroups: PathBuf,
}
