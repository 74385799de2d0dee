//! What `stayer dev` is told, and what follows from it.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::agent::docker::auth::Keyring;
use crate::agent::docker::connect::Search;
use crate::agent::fetch::{Cidr, FetchConfig};
use crate::agent::inventory::{Offer, parse_attributes, parse_resources};
use crate::agent::start::AgentConfig;
use crate::cli::DEFAULT_DATA_DIR;
use crate::cli::failure::Failure;
use crate::model::agent::{GpuScheduling, Policy};
use crate::model::id::ClusterId;
use crate::store::address::StoreAddress;
use crate::wire::dial::Address;

/// What `stayer dev` is told.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
pub struct DevArgs {
    /// Where the API listens
    #[arg(long, env = "STAYER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the server and the agent keep what they know
    #[arg(long, env = "STAYER_DATA_DIR", value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
    /// Where the server remembers everything: embedded:DIR or etcd://HOST:PORT[,HOST:PORT…][/NAME] [default: embedded:DATA_DIR/server]
    #[arg(long, env = "STAYER_STORE", value_name = "STORE")]
    pub store: Option<StoreAddress>,
    /// End all tasks when this process ends by a signal, instead of leaving them running [default: off]
    #[arg(long, env = "STAYER_STOP_TASKS", value_parser = FalseyValueParser::new())]
    pub stop_tasks: bool,
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
    /// What this host offers, in Mesos' form, for example 'cpus:4;mem:8192;gpus:2;ports:[31000-32000]' [default: what is found]
    #[arg(
        long,
        env = "STAYER_RESOURCES",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub resources: String,
    /// The NVIDIA driver's library [default: libnvidia-ml.so.1, where the system finds it]
    #[arg(long, env = "STAYER_NVML_LIBRARY", value_name = "PATH")]
    pub nvml_library: Option<PathBuf>,
    /// Whether a host with GPUs is kept for apps that ask for GPUs (restricted) or takes any app (unrestricted); `dev` alone has unrestricted by default, since its host is the only one
    #[arg(long, env = "STAYER_GPU_SCHEDULING", value_name = "HOW", default_value_t = GpuScheduling::Unrestricted)]
    pub gpu_scheduling: GpuScheduling,
    /// Attributes of this host, in Mesos' form, for example 'rack:rack-2;zone:a' [default: none]
    #[arg(
        long,
        env = "STAYER_ATTRIBUTES",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub attributes: String,
    /// The name under which tasks are shown and reached [default: the host's name]
    #[arg(long, env = "STAYER_HOSTNAME", value_name = "NAME")]
    pub hostname: Option<String>,
    /// Run without a container engine, even if one answers [default: off]
    #[arg(long, env = "STAYER_NO_ENGINE", value_parser = FalseyValueParser::new())]
    pub no_engine: bool,
    /// Whether privileged containers may run; `dev` alone takes them unless told otherwise, with a warning
    #[arg(long, env = "STAYER_ALLOW_PRIVILEGED", value_name = "BOOL", default_value_t = true, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub allow_privileged: bool,
    /// A host directory that volumes may mount, with all below it; repeatable [default: the home directory]
    #[arg(long, env = "STAYER_ALLOW_VOLUMES", value_name = "DIR", value_delimiter = ',')]
    pub allow_volumes: Vec<String>,
    /// A `docker run` parameter beyond the harmless ones that apps may use; repeatable [default: none]
    #[arg(long, env = "STAYER_ALLOW_PARAMETER", value_name = "KEY", value_delimiter = ',')]
    pub allow_parameter: Vec<String>,
    /// A network that fetches may reach although it is loopback or link-local; repeatable [default: none]
    #[arg(long, env = "STAYER_ALLOW_FETCH", value_name = "CIDR", value_delimiter = ',')]
    pub allow_fetch: Vec<Cidr>,
    /// Let fetches copy files of this host [default: off]
    #[arg(long, env = "STAYER_ALLOW_FETCH_FILES", value_parser = FalseyValueParser::new())]
    pub allow_fetch_files: bool,
    /// Begin a new log although an agent has run in this directory; what still runs is shown as stray and left alone [default: off]
    #[arg(long, env = "STAYER_NEW_LOG", value_parser = FalseyValueParser::new())]
    pub new_log: bool,
    /// Where the container engine listens [default: what DOCKER_HOST says, else the usual sockets]
    #[arg(long, env = "STAYER_ENGINE", value_name = "unix://PATH")]
    pub engine: Option<String>,
}

/// What the environment says about the account that runs this.
#[derive(Debug, Default)]
struct Account {
    home: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
    docker_host: Option<String>,
}

// === impl DevArgs ===

impl DevArgs {
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
        let usage = |error: crate::agent::inventory::BadText| Failure::Usage(error.to_string());
        let account = Account::of_process();
        let offer = Offer {
            hostname: self.hostname.clone(),
            address: None,
            attributes: parse_attributes(&self.attributes).map_err(usage)?,
            role: None,
            resources: parse_resources(&self.resources).map_err(usage)?,
            policy: self.policy(&account),
        };
        let fetch = FetchConfig {
            allow: self.allow_fetch.clone(),
            allow_file: self.allow_fetch_files,
            ..FetchConfig::new(dir.join("fetched"))
        };
        let config = account.home.as_ref().map(|home| home.join(".docker/config.json"));
        Ok(AgentConfig {
            dir,
            cluster,
            servers: vec![server],
            offer,
            fetch,
            search: self.search(account),
            keyring: Keyring { config, helpers: None },
            nvml: self.nvml_library.clone(),
        })
    }

    fn policy(&self, account: &Account) -> Policy {
        let home = || account.home.iter().map(|home| home.display().to_string()).collect();
        Policy {
            privileged: self.allow_privileged,
            volumes: if self.allow_volumes.is_empty() {
                home()
            } else {
                self.allow_volumes.clone()
            },
            parameters: self.allow_parameter.iter().cloned().collect::<BTreeSet<String>>(),
        }
    }

    fn search(&self, account: Account) -> Option<Search> {
        let told = self.engine.clone().or(account.docker_host);
        let docker_host = told.filter(|host| !host.is_empty());
        let search = Search { docker_host, runtime_dir: account.runtime_dir, home: account.home };
        (!self.no_engine).then_some(search)
    }
}

// === impl Account ===

impl Account {
    #[expect(
        clippy::disallowed_methods,
        reason = "these are the account's, not settings of this program"
    )]
    fn of_process() -> Account {
        Account {
            home: std::env::home_dir(),
            runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            docker_host: std::env::var("DOCKER_HOST").ok(),
        }
    }
}
