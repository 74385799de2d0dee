//! What `stayer dev` is told: what a server and an agent are, but where they meet.

use std::path::PathBuf;

use clap::Args;

use crate::agent::start::AgentConfig;
use crate::cli::agent::{Account, HostArgs, Setting};
use crate::cli::dirs::DEFAULT_DATA_DIR;
use crate::cli::failure::Failure;
use crate::cli::server::ApiArgs;
use crate::model::agent::GpuScheduling;
use crate::model::id::ClusterId;
use crate::wire::dial::Address;

/// What `stayer dev` is told.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// The API.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Where the server and the agent keep what they know
    #[arg(long, env = "STAYER_DATA_DIR", value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// Whether a host with GPUs is kept for apps that ask for GPUs (restricted) or takes any app (unrestricted); `dev` alone has unrestricted by default, since its host is the only one
    #[arg(long, env = "STAYER_GPU_SCHEDULING", value_name = "HOW", default_value_t = GpuScheduling::Unrestricted)]
    pub gpu_scheduling: GpuScheduling,
    /// Whether privileged containers may run; `dev` alone takes them unless told otherwise, with a warning
    #[arg(long, env = "STAYER_ALLOW_PRIVILEGED", value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub allow_privileged: bool,
    /// A host directory that volumes may mount, with all below it; repeatable [default: the home directory]
    #[arg(long, env = "STAYER_ALLOW_VOLUMES", value_name = "DIR", value_delimiter = ',')]
    pub allow_volumes: Vec<String>,
    /// The host, and what it lets tasks do.
    #[command(flatten)]
    pub host: HostArgs,
}

// === impl DevArgs ===

impl DevArgs {
    /// The agent that belongs to this server.
    ///
    /// # Errors
    /// When a text is not in Mesos' form.
    pub fn agent(
        &self,
        dir: PathBuf,
        cluster: ClusterId,
        server: Address,
    ) -> Result<AgentConfig, Failure> {
        let account = Account::of_process();
        let home = || account.home.iter().map(|home| home.display().to_string()).collect();
        let volumes =
            if self.allow_volumes.is_empty() { home() } else { self.allow_volumes.clone() };
        let setting = Setting {
            dir,
            cluster: Some(cluster),
            servers: vec![server],
            privileged: self.allow_privileged,
            volumes,
        };
        self.host.config(setting, account)
    }
}
