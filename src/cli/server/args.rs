//! What a server is told, alone or as a part of `stayer dev`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::cli::access::AccessArgs;
use crate::cli::dirs::{DEFAULT_DATA_DIR, server_dir};
use crate::cli::failure::Failure;
use crate::control::fleet::listen::Door;
use crate::logic::draft::Limits;
use crate::model::agent::GpuScheduling;
use crate::store::address::StoreAddress;

/// What `stayer server` is told.
#[derive(Debug, Args)]
pub struct ServerArgs {
    /// The API.
    #[command(flatten)]
    pub api: ApiArgs,
    /// Where agents dial: an address with a port, or unix:PATH
    #[arg(
        long,
        env = "STAYER_AGENTS_LISTEN",
        value_name = "ADDRESS",
        default_value = "127.0.0.1:8081"
    )]
    pub agents_listen: Door,
    /// Take agents beyond loopback although nobody is asked who he is: whoever reaches the port can pose as an agent [default: off]
    #[arg(long, env = "STAYER_INSECURE_AGENTS", value_parser = FalseyValueParser::new())]
    pub insecure_agents: bool,
    /// Whether a host with GPUs is kept for apps that ask for GPUs (restricted) or takes any app (unrestricted)
    #[arg(long, env = "STAYER_GPU_SCHEDULING", value_name = "HOW", default_value_t = GpuScheduling::Restricted)]
    pub gpu_scheduling: GpuScheduling,
    /// Where the server keeps what is its own
    #[arg(long, env = "STAYER_DATA_DIR", value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
}

/// What the API is told, and the log behind it.
#[derive(Debug, Args)]
pub struct ApiArgs {
    /// Where the API listens
    #[arg(long, env = "STAYER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the server remembers everything: embedded:DIR or etcd://HOST:PORT,HOST:PORT/NAME with one member or more and, if there are several clusters, a name; etcds:// over TLS [default: embedded:DATA_DIR/server]
    #[arg(long, env = "STAYER_STORE", value_name = "STORE")]
    pub store: Option<StoreAddress>,
    /// How etcd is spoken to.
    #[command(flatten)]
    pub access: AccessArgs,
    /// Listen beyond loopback although nobody is asked who he is: whoever reaches the port can run anything as this user [default: off]
    #[arg(long, env = "STAYER_INSECURE_NO_AUTH", value_parser = FalseyValueParser::new())]
    pub insecure_no_auth: bool,
    /// A name under which clients may call this server, beside localhost and any address; repeatable [default: none]
    #[arg(long, env = "STAYER_ALLOW_HOST", value_name = "NAME", value_delimiter = ',')]
    pub allow_host: Vec<String>,
    /// Refuse what Marathon refuses or silently ignores: numbers as strings, unknown fields [default: off]
    #[arg(long, env = "STAYER_STRICT_JSON", value_parser = FalseyValueParser::new())]
    pub strict_json: bool,
    /// Refuse deployments beyond so many running ones [default: no limit]
    #[arg(long, env = "STAYER_MAX_RUNNING_DEPLOYMENTS", value_name = "N")]
    pub max_running_deployments: Option<u32>,
    /// Begin a new log although an agent has run in this directory; what still runs is shown as stray and left alone [default: off]
    #[arg(long, env = "STAYER_NEW_LOG", value_parser = FalseyValueParser::new())]
    pub new_log: bool,
}

// === impl ServerArgs ===

impl ServerArgs {
    /// Refuses what must not be started.
    ///
    /// # Errors
    /// When a listener would be open to others and nobody said that this is meant.
    pub fn check(&self) -> Result<(), Failure> {
        self.api.check()?;
        if self.agents_listen.is_local() || self.insecure_agents {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "{} is not a loopback address, and agents are not authenticated yet: whoever reaches it could pose as an \
             agent, be given tasks with all their settings, and say what he likes of them. Bring agents in by ssh or a \
             VPN to 127.0.0.1, or say --insecure-agents if the network is yours alone",
            self.agents_listen
        )))
    }
}

// === impl ApiArgs ===

impl ApiArgs {
    /// Refuses what must not be started.
    ///
    /// # Errors
    /// When the listener would be open to others and nobody said that this is meant.
    pub fn check(&self) -> Result<(), Failure> {
        if self.listen.ip().is_loopback() || self.insecure_no_auth {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "{} is not a loopback address, and there is no authentication yet: whoever reaches it could run anything \
             as this user. Listen on 127.0.0.1 and bring others in by ssh or a proxy that authenticates, or say \
             --insecure-no-auth if the network is yours alone",
            self.listen
        )))
    }

    /// Where the server remembers, with its data in `data`.
    pub fn store(&self, data: &Path) -> StoreAddress {
        self.store.clone().unwrap_or_else(|| StoreAddress::Embedded(server_dir(data)))
    }

    /// The core's limits.
    pub fn limits(&self, gpu_scheduling: GpuScheduling) -> Limits {
        let max_running_deployments = self.max_running_deployments;
        Limits { max_running_deployments, gpu_scheduling, ..Limits::default() }
    }

    /// Why whoever starts this should think again, if he should.
    pub fn warning(&self) -> Option<String> {
        (self.insecure_no_auth && !self.listen.ip().is_loopback()).then(|| {
            "no authentication: whoever reaches this address can run anything as this user"
                .to_owned()
        })
    }
}
