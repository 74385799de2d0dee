//! The canonical definition of an app: what a user asked for after all legacy forms, defaults and rules.
//!
//! An app is a spec with exactly one container, named [`APP_TASK`](crate::model::id::APP_TASK); pods will have several.
//! Stored as JSON, so a field may be added with a default and needs no migration.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::check::{AppCheck, HealthCheck, ReadinessCheck};
use crate::model::constraint::Constraint;
use crate::model::deployment::FailurePolicy;
use crate::model::network::{Network, NetworkMode, PortDefinition, PortMapping};
use crate::model::path::AppPath;
use crate::model::time::Span;
use crate::model::unit::{Cpus, Disk, Mem, Ratio};
use crate::model::volume::Volume;

/// What a user wants of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spec {
    /// Its path.
    pub path: AppPath,
    /// How many instances.
    pub instances: u32,
    /// What runs in each; exactly one for an app.
    pub containers: Vec<Container>,
    /// Never empty.
    pub networks: Vec<Network>,
    /// Ports on the host network; absent on other networks.
    pub port_definitions: Option<Vec<PortDefinition>>,
    /// Whether the numbers in `port_definitions` are host ports.
    pub require_ports: bool,
    /// Where it may run.
    pub constraints: BTreeSet<Constraint>,
    /// Which reservation roles of agents it may use; absent means its own and `*` (PL-4).
    pub accepted_roles: Option<BTreeSet<String>>,
    /// Its allocation role.
    pub role: String,
    /// How crashes slow down its launches.
    pub backoff: BackoffSpec,
    /// How a new configuration replaces the old one.
    pub upgrade: UpgradeStrategy,
    /// Which of two equal instances goes first.
    pub kill_selection: KillSelection,
    /// Between the request to end and the kill; absent means [`Spec::DEFAULT_GRACE`].
    pub kill_grace_seconds: Option<u32>,
    /// What happens when its agent is lost.
    pub unreachable: UnreachableStrategy,
    /// Apps and groups that must run before it.
    pub dependencies: BTreeSet<AppPath>,
    /// For other tools, and a few with meaning (behaviour 8.3).
    pub labels: BTreeMap<String, String>,
    /// Checks that kill.
    pub health_checks: BTreeSet<HealthCheck>,
    /// A check that is shown.
    pub check: Option<AppCheck>,
    /// A check that gates deployments; at most one.
    pub readiness_checks: Vec<ReadinessCheck>,
    /// Secrets by their name in the app.
    pub secrets: BTreeMap<String, String>,
    /// Stored and echoed; has no meaning without Mesos.
    pub executor: String,
    /// Stored and echoed; has no meaning without Mesos.
    pub executor_resources: Option<ExecutorResources>,
    /// What follows when a task ends by itself.
    #[serde(default)]
    pub restart: Restart,
    /// Who is placed first when not all fit.
    #[serde(default)]
    pub priority: i16,
    /// When its deployments count as failed.
    #[serde(default)]
    pub failure: FailurePolicy,
    /// Between leaving every answer and the request to end; absent means [`Spec::DEFAULT_DRAIN`].
    #[serde(default)]
    pub drain_seconds: Option<u32>,
}

/// One container of a spec.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name in task ids.
    pub name: String,
    /// A text for the shell.
    pub cmd: Option<String>,
    /// Arguments without a shell.
    pub args: Vec<String>,
    /// The account it runs as.
    pub user: Option<String>,
    /// Its environment.
    pub env: BTreeMap<String, EnvValue>,
    /// Processor share.
    pub cpus: Cpus,
    /// Memory limit.
    pub mem: Mem,
    /// Disk.
    pub disk: Disk,
    /// Whole GPUs.
    pub gpus: u32,
    /// Burst limits.
    pub limits: Option<ResourceLimits>,
    /// What is brought into the sandbox before the start.
    pub fetch: Vec<Artifact>,
    /// The `container` object, when one was given.
    pub sandbox: Option<Sandbox>,
    /// Whether it gets a terminal.
    pub tty: Option<bool>,
}

/// Marathon's `container` object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sandbox {
    /// Which containerizer was named; both run on the engine when there is an image.
    pub kind: ContainerKind,
    /// The image, if any.
    pub docker: Option<DockerImage>,
    /// What is mounted.
    pub volumes: Vec<Volume>,
    /// Ports on other networks than the host's; absent differs from none.
    pub port_mappings: Option<Vec<PortMapping>>,
    /// Seccomp and IPC, for MESOS.
    pub linux_info: Option<LinuxInfo>,
}

/// Marathon's containerizers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ContainerKind {
    /// The Docker engine.
    Docker,
    /// The Mesos containerizer; runs on the engine here when it has an image, else as a process.
    Mesos,
}

/// An image and how its container is made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DockerImage {
    /// The image reference.
    pub image: String,
    /// Whether it is pulled before every start.
    pub force_pull: bool,
    /// Whether it gets the host's rights.
    pub privileged: bool,
    /// `docker run --key=value`, in order.
    pub parameters: Vec<Parameter>,
    /// The secret that holds registry credentials.
    pub pull_secret: Option<String>,
}

/// One `--key=value` of `docker run`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parameter {
    /// The option without dashes.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// Marathon's `linuxInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinuxInfo {
    /// Seccomp.
    pub seccomp: Option<Seccomp>,
    /// IPC namespace.
    pub ipc: Option<IpcInfo>,
}

/// A seccomp choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seccomp {
    /// By name.
    pub profile_name: Option<String>,
    /// None at all.
    pub unconfined: bool,
}

/// An IPC choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpcInfo {
    /// `PRIVATE`, else `SHARE_PARENT`.
    pub private: bool,
    /// Size of shared memory, MiB.
    pub shm_size: Option<u32>,
}

/// The value of an environment variable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EnvValue {
    /// As it stands.
    Plain(String),
    /// The secret of this name.
    Secret(String),
}

/// Burst limits (13.9); absent means the request itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResourceLimits {
    /// Of processor share.
    pub cpus: Option<Limit<Cpus>>,
    /// Of memory.
    pub mem: Option<Limit<Mem>>,
}

/// A limit or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit<T> {
    /// As much as there is.
    Unlimited,
    /// So much.
    At(T),
}

/// Something brought into the sandbox (contract 5.3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artifact {
    /// Where it comes from.
    pub uri: String,
    /// Whether an archive is unpacked.
    pub extract: bool,
    /// Whether it is made executable.
    pub executable: bool,
    /// Whether the agent keeps it for others.
    pub cache: bool,
    /// Its name in the sandbox.
    pub dest_path: Option<String>,
}

/// Launch backoff (BO-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackoffSpec {
    /// After the first failure, in seconds.
    pub seconds: u32,
    /// By which each further failure multiplies.
    pub factor: Ratio,
    /// The most, in seconds.
    pub max_seconds: u32,
}

/// Marathon's `upgradeStrategy`, both in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradeStrategy {
    /// The share that stays healthy.
    pub minimum_health: Ratio,
    /// The share that may be added.
    pub over_capacity: Ratio,
}

/// Which of two equal instances goes first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillSelection {
    /// The later started.
    #[default]
    YoungestFirst,
    /// The earlier started.
    OldestFirst,
}

/// Marathon's `unreachableStrategy` (SM-9).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum UnreachableStrategy {
    /// Never replaced.
    Disabled,
    /// Replaced and forgotten after these times.
    After {
        /// A replacement may start.
        inactive_seconds: u64,
        /// It is no longer listed, and stopped when it returns.
        expunge_seconds: u64,
    },
}

/// Resources of Mesos' default executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutorResources {
    /// Processor share.
    pub cpus: Cpus,
    /// Memory.
    pub mem: Mem,
    /// Disk.
    pub disk: Disk,
}

/// What follows when a task ends by itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Restart {
    /// It is launched again.
    #[default]
    Always,
    /// It is launched again unless it ended with 0.
    OnFailure,
    /// It stays ended.
    Never,
}

// === impl Spec ===

impl Spec {
    /// Between the request to end and the kill, when the app says nothing (SC-11).
    pub const DEFAULT_GRACE: Span = Span::secs(5);

    /// Between leaving every answer and the request to end, when the app says nothing.
    pub const DEFAULT_DRAIN: Span = Span::secs(5);

    /// For how long those who balance are waited for, at most, before an instance is asked to end.
    pub fn drain(&self) -> Span {
        self.drain_seconds.map_or(Spec::DEFAULT_DRAIN, |seconds| Span::secs(u64::from(seconds)))
    }

    /// Between the request to end and the kill.
    pub fn kill_grace(&self) -> Span {
        self.kill_grace_seconds
            .map_or(Spec::DEFAULT_GRACE, |seconds| Span::secs(u64::from(seconds)))
    }

    /// The only container of an app.
    pub fn container(&self) -> &Container {
        self.containers.first().expect("a valid spec has a container")
    }

    /// Whether the host's network is used.
    pub fn on_host_network(&self) -> bool {
        self.networks.iter().any(|network| network.mode == NetworkMode::Host)
    }

    /// The port mappings, none on the host network.
    pub fn port_mappings(&self) -> &[PortMapping] {
        let sandbox = self.container().sandbox.as_ref();
        sandbox.and_then(|sandbox| sandbox.port_mappings.as_deref()).unwrap_or_default()
    }

    /// The port definitions, none off the host network.
    pub fn ports(&self) -> &[PortDefinition] {
        self.port_definitions.as_deref().unwrap_or_default()
    }

    /// The service ports in the order of their definitions (SD-1).
    pub fn service_ports(&self) -> Vec<u16> {
        if self.port_mappings().is_empty() {
            self.ports().iter().map(|port| port.port).collect()
        } else {
            self.port_mappings().iter().map(|mapping| mapping.service_port).collect()
        }
    }

    /// The places of the service ports: the mappings', else the definitions' (contract 15.1).
    pub fn service_port_slots(&mut self) -> Vec<&mut u16> {
        if self.port_mappings().is_empty() {
            let ports = self.port_definitions.iter_mut().flatten();
            return ports.map(|definition| &mut definition.port).collect();
        }
        let sandboxes =
            self.containers.iter_mut().filter_map(|container| container.sandbox.as_mut());
        let mappings = sandboxes.flat_map(|sandbox| sandbox.port_mappings.iter_mut().flatten());
        mappings.map(|mapping| &mut mapping.service_port).collect()
    }

    /// Whether it has persistent volumes, hence belongs to one agent.
    pub fn is_resident(&self) -> bool {
        self.containers
            .iter()
            .filter_map(|container| container.sandbox.as_ref())
            .flat_map(|sandbox| &sandbox.volumes)
            .any(|volume| matches!(volume, Volume::Persistent { .. }))
    }

    /// Whether `other` runs the same thing: what differs restarts every instance (DP-5). `instances` and
    /// `executor_resources` are no configuration, nor is how it is deployed and drained.
    pub fn same_config(&self, other: &Spec) -> bool {
        let Spec {
            path,
            instances: _,
            containers,
            networks,
            port_definitions,
            require_ports,
            constraints,
            accepted_roles,
            role,
            backoff,
            upgrade,
            kill_selection,
            kill_grace_seconds,
            unreachable,
            dependencies,
            labels,
            health_checks,
            check,
            readiness_checks,
            secrets,
            executor,
            executor_resources: _,
            restart,
            priority,
            failure: _,
            drain_seconds: _,
        } = self;
        *path == other.path
            && *containers == other.containers
            && *networks == other.networks
            && *port_definitions == other.port_definitions
            && *require_ports == other.require_ports
            && *constraints == other.constraints
            && *accepted_roles == other.accepted_roles
            && *role == other.role
            && *backoff == other.backoff
            && *upgrade == other.upgrade
            && *kill_selection == other.kill_selection
            && *kill_grace_seconds == other.kill_grace_seconds
            && *unreachable == other.unreachable
            && *dependencies == other.dependencies
            && *labels == other.labels
            && *health_checks == other.health_checks
            && *check == other.check
            && *readiness_checks == other.readiness_checks
            && *secrets == other.secrets
            && *executor == other.executor
            && *restart == other.restart
            && *priority == other.priority
    }
}

// === impl Container ===

impl Container {
    /// The image, if it has one; without it the container is a process of the host.
    pub fn image(&self) -> Option<&DockerImage> {
        self.sandbox.as_ref().and_then(|sandbox| sandbox.docker.as_ref())
    }

    /// What is mounted.
    pub fn volumes(&self) -> &[Volume] {
        self.sandbox.as_ref().map_or(&[], |sandbox| &sandbox.volumes)
    }
}
