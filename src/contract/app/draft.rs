//! What a body says about an app: canonical values where there are some, with nothing filled in.
//!
//! One shape serves a whole app, a partial update, and a stored app about to be updated; legacy fields keep their place
//! until [`legacy`](super::legacy) has translated them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::check::{AppCheck, HealthCheck, ReadinessCheck};
use crate::model::constraint::Constraint;
use crate::model::deployment::FailurePolicy;
use crate::model::network::{Network, PortDefinition, PortMapping};
use crate::model::spec::{
    Artifact, EnvValue, ExecutorResources, KillSelection, ResourceLimits, Sandbox, Spec,
    UnreachableStrategy, UpgradeStrategy,
};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};

macro_rules! draft {
    ($($(#[$doc:meta])* $field:ident: $kind:ty,)+) => {
        /// What a body says; absent is absent.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Draft {
            $($(#[$doc])* pub $field: Option<$kind>,)+
        }

        impl Draft {
            /// Puts what `update` says over what is here, member by member and nothing deeper (contract 5.8).
            pub fn overlay(&mut self, update: Draft) {
                $(if update.$field.is_some() {
                    self.$field = update.$field;
                })+
            }
        }
    };
}

draft! {
    /// As it was written.
    id: String,
    cmd: String,
    args: Vec<String>,
    user: String,
    env: BTreeMap<String, EnvValue>,
    instances: u32,
    cpus: Cpus,
    mem: Mem,
    disk: Disk,
    gpus: u32,
    executor: String,
    executor_resources: ExecutorResources,
    constraints: BTreeSet<Constraint>,
    /// Legacy form of `fetch`.
    uris: Vec<String>,
    fetch: Vec<Artifact>,
    /// Legacy form of `port_definitions`, unchecked.
    ports: Vec<i64>,
    port_definitions: Vec<PortDefinition>,
    require_ports: bool,
    backoff_seconds: u32,
    backoff_factor: Ratio,
    max_launch_delay_seconds: u32,
    container: DraftContainer,
    health_checks: Vec<HealthCheck>,
    check: AppCheck,
    readiness_checks: Vec<ReadinessCheck>,
    /// As they were written.
    dependencies: Vec<String>,
    upgrade: (UpgradeStrategy, FailurePolicy),
    labels: BTreeMap<String, String>,
    accepted_roles: BTreeSet<String>,
    /// Legacy form of `networks`.
    ip_address: IpAddress,
    networks: Vec<Network>,
    /// Legacy mark of an app with persistent volumes.
    residency: (),
    limits: ResourceLimits,
    secrets: BTreeMap<String, String>,
    kill_grace_seconds: u32,
    drain_seconds: u32,
    kill_selection: KillSelection,
    unreachable: UnreachableStrategy,
    tty: bool,
    role: String,
    /// Mappings for whatever container there is, from a legacy update that names none.
    port_mappings: Vec<PortMapping>,
}

/// A container with its legacy members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DraftContainer {
    /// What is canonical.
    pub sandbox: Sandbox,
    /// `docker.network`.
    pub network: Option<DockerNetwork>,
    /// `docker.portMappings`.
    pub port_mappings: Option<Vec<PortMapping>>,
    /// Whether `docker.credential` was given.
    pub credential: bool,
}

/// The legacy `docker.network`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DockerNetwork {
    /// The engine's bridge.
    Bridge,
    /// The agent's own.
    Host,
    /// None at all.
    None,
    /// A user-defined network of the engine.
    User,
}

/// The legacy `ipAddress`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpAddress {
    /// The network's name.
    pub network: Option<String>,
    /// The network's labels.
    pub labels: BTreeMap<String, String>,
    /// `discovery.ports` as port mappings; absent without `discovery`.
    pub discovery: Option<Vec<PortMapping>>,
}

// === impl Draft ===

impl Draft {
    /// A stored app as a body that says everything, but for what an update that does not repeat it clears
    /// (contract 5.8).
    pub fn of(spec: &Spec) -> Draft {
        let container = spec.container().clone();
        let set = |role: &BTreeSet<String>| role.clone();
        Draft {
            id: Some(spec.path.as_str().to_owned()),
            cmd: container.cmd,
            args: Some(container.args),
            user: container.user,
            env: Some(container.env),
            instances: Some(spec.instances),
            cpus: Some(container.cpus),
            mem: Some(container.mem),
            disk: Some(container.disk),
            gpus: Some(container.gpus),
            executor: Some(spec.executor.clone()),
            executor_resources: None,
            constraints: Some(spec.constraints.clone()),
            uris: None,
            fetch: Some(container.fetch),
            ports: None,
            port_definitions: spec.port_definitions.clone(),
            require_ports: Some(spec.require_ports),
            backoff_seconds: Some(spec.backoff.seconds),
            backoff_factor: Some(spec.backoff.factor),
            max_launch_delay_seconds: Some(spec.backoff.max_seconds),
            container: container.sandbox.map(DraftContainer::canonical),
            health_checks: Some(spec.health_checks.iter().cloned().collect()),
            check: spec.check.clone(),
            readiness_checks: Some(spec.readiness_checks.clone()),
            dependencies: Some(spec.dependencies.iter().map(ToString::to_string).collect()),
            upgrade: Some((spec.upgrade, spec.failure)),
            labels: Some(spec.labels.clone()),
            accepted_roles: spec.accepted_roles.as_ref().map(set),
            ip_address: None,
            networks: Some(spec.networks.clone()),
            residency: None,
            limits: None,
            secrets: Some(spec.secrets.clone()),
            kill_grace_seconds: spec.kill_grace_seconds,
            drain_seconds: spec.drain_seconds,
            kill_selection: Some(spec.kill_selection),
            unreachable: Some(spec.unreachable),
            tty: container.tty,
            role: Some(spec.role.clone()),
            port_mappings: None,
        }
    }
}

// === impl DraftContainer ===

impl DraftContainer {
    /// A container without legacy members.
    pub fn canonical(sandbox: Sandbox) -> DraftContainer {
        DraftContainer { sandbox, network: None, port_mappings: None, credential: false }
    }
}
