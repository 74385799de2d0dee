//! What an agent is told, alone or as a part of `stayer dev`, and what follows from it.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::agent::docker::auth::Keyring;
use crate::agent::docker::connect::Search;
use crate::agent::fetch::{Cidr, FetchConfig};
use crate::agent::inventory::{
    BadText, Offer, Resources, parse_attributes, parse_ports, parse_resources,
};
use crate::agent::start::AgentConfig;
use crate::cli::agent::mesos::MesosDir;
use crate::cli::agent::verbs::AgentVerb;
use crate::cli::failure::Failure;
use crate::model::agent::Policy;
use crate::model::id::ClusterId;
use crate::wire::dial::Address;

/// What `stayer agent` is told.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AgentArgs {
    /// What to do to the agents of a server; without it an agent runs.
    #[command(subcommand)]
    pub verb: Option<AgentVerb>,
    /// Where servers take agents, HOST:PORT or unix:PATH, several with commas between them
    #[arg(
        // An id of its own: the client verbs below have another --server.
        id = "dialled",
        long = "server",
        env = "STAYER_SERVER",
        value_name = "SERVER",
        value_delimiter = ',',
        default_value = "127.0.0.1:8081"
    )]
    // As text: where a client verb follows, STAYER_SERVER is where the API answers, which need be nothing that an agent could dial.
    server: Vec<String>,
    /// Where the agent keeps what it knows, and the sandboxes of its tasks [default: work_dir of the Mesos directory, else stayer-data]
    #[arg(long, env = "STAYER_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// A directory of a Mesos agent, one file for each of its flags, as /etc/mesos-slave; what is said here wins [default: none]
    #[arg(long, env = "STAYER_MESOS_CONFIG_DIR", value_name = "DIR")]
    pub mesos_config_dir: Option<PathBuf>,
    /// Whether privileged containers may run
    #[arg(long, env = "STAYER_ALLOW_PRIVILEGED", value_name = "BOOL", default_value_t = false, num_args = 0..=1, default_missing_value = "true", action = clap::ArgAction::Set)]
    pub allow_privileged: bool,
    /// A host directory that volumes may mount, with all below it; repeatable [default: none]
    #[arg(long, env = "STAYER_ALLOW_VOLUMES", value_name = "DIR", value_delimiter = ',')]
    pub allow_volumes: Vec<String>,
    /// The host, and what it lets tasks do.
    #[command(flatten)]
    pub host: HostArgs,
}

/// What is said of a host, and what it lets tasks do.
#[derive(Debug, Args)]
pub struct HostArgs {
    /// The name under which tasks are shown and reached [default: the host's name]
    #[arg(long, env = "STAYER_HOSTNAME", value_name = "NAME")]
    pub hostname: Option<String>,
    /// The address under which tasks on this host's network are shown [default: none]
    #[arg(long, env = "STAYER_IP", value_name = "ADDRESS")]
    pub ip: Option<String>,
    /// Attributes of this host, in Mesos' form, for example 'rack:rack-2;zone:a' [default: none]
    #[arg(
        long,
        env = "STAYER_ATTRIBUTES",
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    pub attributes: String,
    /// The role that this host is reserved for; apps reach it by acceptedResourceRoles [default: *, anybody's]
    #[arg(long, env = "STAYER_ROLE", value_name = "ROLE")]
    pub role: Option<String>,
    /// What this host offers, in Mesos' form, for example 'cpus:4;mem:8192;disk:10240;gpus:2' [default: what is found]
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
    /// Host ports for tasks that ask for any, several ranges with commas between them [default: 31000-32000]
    #[arg(long, env = "STAYER_PORTS", value_name = "RANGES")]
    pub ports: Option<String>,
    /// How many seconds a launch here may go without progress; what an app says in STAYER_LAUNCH_TIMEOUT_SECONDS wins [default: executor_registration_timeout of the Mesos directory, else 300]
    #[arg(long, env = "STAYER_LAUNCH_TIMEOUT", value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
    pub launch_timeout: Option<u32>,
    /// Where the container engine listens [default: what DOCKER_HOST says, else the usual sockets]
    #[arg(long, env = "STAYER_ENGINE", value_name = "unix://PATH")]
    pub engine: Option<String>,
    /// Run without a container engine, even if one answers [default: off]
    #[arg(long, env = "STAYER_NO_ENGINE", value_parser = FalseyValueParser::new())]
    pub no_engine: bool,
    /// A `docker run` parameter beyond the harmless ones that apps may use; repeatable [default: none]
    #[arg(long, env = "STAYER_ALLOW_PARAMETER", value_name = "KEY", value_delimiter = ',')]
    pub allow_parameter: Vec<String>,
    /// A network that fetches may reach although it is loopback or link-local; repeatable [default: none]
    #[arg(long, env = "STAYER_ALLOW_FETCH", value_name = "CIDR", value_delimiter = ',')]
    pub allow_fetch: Vec<Cidr>,
    /// Let fetches copy files of this host [default: off]
    #[arg(long, env = "STAYER_ALLOW_FETCH_FILES", value_parser = FalseyValueParser::new())]
    pub allow_fetch_files: bool,
    /// End all tasks when this process ends by a signal, instead of leaving them running [default: off]
    #[arg(long, env = "STAYER_STOP_TASKS", value_parser = FalseyValueParser::new())]
    pub stop_tasks: bool,
}

/// What a start decides beside the flags of the host.
pub struct Setting {
    /// The agent's directory.
    pub dir: PathBuf,
    /// The cluster, where it is known.
    pub cluster: Option<ClusterId>,
    /// The servers to dial.
    pub servers: Vec<Address>,
    /// Whether privileged containers may run.
    pub privileged: bool,
    /// What volumes may mount.
    pub volumes: Vec<String>,
}

/// What the environment says about the account that runs this.
#[derive(Debug, Default)]
pub struct Account {
    /// Its home directory.
    pub home: Option<PathBuf>,
    runtime_dir: Option<PathBuf>,
    docker_host: Option<String>,
}

// === impl AgentArgs ===

impl AgentArgs {
    /// Where servers take agents.
    ///
    /// # Errors
    /// When one of them is no address.
    pub fn servers(&self) -> Result<Vec<Address>, Failure> {
        let read = |text: &String| {
            text.parse().map_err(|error| Failure::Usage(format!("--server: {error}")))
        };
        self.server.iter().map(read).collect()
    }
}

// === impl HostArgs ===

impl HostArgs {
    /// The same, with what a Mesos directory says where no flag does.
    #[must_use]
    pub fn or(self, mesos: MesosDir) -> HostArgs {
        let or = |said: String, file: Option<String>| {
            if said.is_empty() { file.unwrap_or_default() } else { said }
        };
        HostArgs {
            hostname: self.hostname.or(mesos.hostname),
            ip: self.ip.or(mesos.ip),
            attributes: or(self.attributes, mesos.attributes),
            role: self.role.or(mesos.default_role),
            launch_timeout: self.launch_timeout.or(mesos.launch_seconds),
            resources: or(self.resources, mesos.resources),
            engine: self.engine.or(mesos.docker_socket),
            no_engine: self.no_engine || mesos.without_docker,
            ..self
        }
    }

    /// The agent to start.
    ///
    /// # Errors
    /// When a text is not in Mesos' form.
    pub fn config(&self, setting: Setting, account: Account) -> Result<AgentConfig, Failure> {
        let Setting { dir, cluster, servers, privileged, volumes } = setting;
        let parameters = self.allow_parameter.iter().cloned().collect::<BTreeSet<String>>();
        let policy = Policy { privileged, volumes, parameters };
        let offer = self.offer(policy).map_err(|error| Failure::Usage(error.to_string()))?;
        let fetch = FetchConfig {
            allow: self.allow_fetch.clone(),
            allow_file: self.allow_fetch_files,
            ..FetchConfig::new(dir.join("fetched"))
        };
        let config = account.home.as_ref().map(|home| home.join(".docker/config.json"));
        let search = (!self.no_engine).then(|| account.search(self.engine.clone()));
        let keyring = Keyring { config, helpers: None };
        let nvml = self.nvml_library.clone();
        Ok(AgentConfig { dir, cluster, servers, offer, fetch, search, keyring, nvml })
    }

    fn offer(&self, policy: Policy) -> Result<Offer, BadText> {
        let resources = parse_resources(&self.resources)?;
        let ports = self.ports.as_deref().map(parse_ports).transpose()?.or(resources.ports);
        Ok(Offer {
            hostname: self.hostname.clone(),
            address: self.ip.clone(),
            attributes: parse_attributes(&self.attributes)?,
            role: self.role.clone(),
            resources: Resources { ports, ..resources },
            policy,
            launch_seconds: self.launch_timeout,
        })
    }
}

// === impl Account ===

impl Account {
    /// The one that runs this.
    #[expect(
        clippy::disallowed_methods,
        reason = "these are the account's, not settings of this program"
    )]
    pub fn of_process() -> Account {
        Account {
            home: std::env::home_dir(),
            runtime_dir: std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
            docker_host: std::env::var("DOCKER_HOST").ok(),
        }
    }

    /// Where an engine may be: there, if it was said, else where this account has it.
    pub fn search(self, engine: Option<String>) -> Search {
        let told = engine.or(self.docker_host).filter(|host| !host.is_empty());
        Search { docker_host: told, runtime_dir: self.runtime_dir, home: self.home }
    }
}
