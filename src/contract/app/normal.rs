//! Defaults: from what was said to a whole definition (contract 5.1, 5.2 steps 5–14, NW-3).

use std::collections::BTreeSet;

use super::draft::{Draft, DraftContainer};
use super::legacy::plain_sandbox;
use crate::contract::fault::{Options, Problem};
use crate::model::check::{HealthCheck, HealthProtocol};
use crate::model::deployment::FailurePolicy;
use crate::model::id::APP_TASK;
use crate::model::network::{Network, NetworkMode, PortDefinition, PortMapping};
use crate::model::path::{AppPath, PathError};
use crate::model::spec::{
    BackoffSpec, Container, Sandbox, Spec, UnreachableStrategy, UpgradeStrategy,
};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};
use crate::model::volume::Volume;

/// How a name or a segment of a path has to look, as Marathon says it.
const SEGMENT: &str = r"must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$'";
const DEFAULT_PORT: &str = "default";

/// Where an app stands.
pub struct Setting<'s> {
    /// Its id, perhaps relative.
    pub id: &'s str,
    /// The group that it is seen from.
    pub base: &'s AppPath,
    /// The settings.
    pub options: &'s Options,
    /// What is stored under the id.
    pub current: Option<&'s Spec>,
}

/// The whole definition; what cannot be resolved is noted in `problems`.
pub fn spec(mut draft: Draft, setting: &Setting<'_>, problems: &mut Vec<Problem>) -> Spec {
    let path = AppPath::resolve(setting.id, setting.base).unwrap_or_else(|error| {
        problems.push(Problem::new("/id", path_error(error)));
        AppPath::root()
    });
    let networks = networks(draft.networks.take(), setting.options, problems);
    let on_host = networks.iter().any(|network| network.mode == NetworkMode::Host);
    let ports = draft.port_definitions.take();
    let sandbox = sandbox(draft.container.take(), &networks, ports.as_deref());
    let dependencies = dependencies(draft.dependencies.take(), &path, problems);
    let resident = has(sandbox.as_ref(), |volume| matches!(volume, Volume::Persistent { .. }));
    let (upgrade, failure) = draft
        .upgrade
        .unwrap_or_else(|| (default_upgrade(sandbox.as_ref()), FailurePolicy::default()));
    Spec {
        path,
        instances: draft.instances.unwrap_or(1),
        port_definitions: on_host.then(|| ports.unwrap_or_else(|| vec![default_definition()])),
        require_ports: on_host && draft.require_ports.unwrap_or(false),
        networks,
        constraints: draft.constraints.take().unwrap_or_default(),
        accepted_roles: draft.accepted_roles.take(),
        role: draft.role.take().unwrap_or_else(|| setting.options.default_role.clone()),
        backoff: BackoffSpec {
            seconds: draft.backoff_seconds.unwrap_or(1),
            factor: draft.backoff_factor.unwrap_or(Ratio::micro(1_150_000)),
            max_seconds: draft.max_launch_delay_seconds.unwrap_or(300),
        },
        upgrade,
        kill_selection: draft.kill_selection.unwrap_or_default(),
        kill_grace_seconds: draft.kill_grace_seconds,
        drain_seconds: draft.drain_seconds,
        unreachable: draft.unreachable.unwrap_or(if resident {
            UnreachableStrategy::Disabled
        } else {
            UnreachableStrategy::After { inactive_seconds: 0, expunge_seconds: 0 }
        }),
        dependencies,
        labels: draft.labels.take().unwrap_or_default(),
        health_checks: health_checks(draft.health_checks.take()),
        check: draft.check.take(),
        readiness_checks: draft.readiness_checks.take().unwrap_or_default(),
        secrets: draft.secrets.take().unwrap_or_default(),
        executor: draft.executor.take().unwrap_or_default(),
        executor_resources: draft.executor_resources,
        restart: setting.current.map(|current| current.restart).unwrap_or_default(),
        failure,
        priority: setting.current.map(|current| current.priority).unwrap_or_default(),
        containers: vec![container(draft, sandbox)],
    }
}

/// A check without a port means the first one, said at once so that no later update changes it (contract 5.2 step 13).
pub fn with_port(mut check: HealthCheck) -> HealthCheck {
    if check.protocol != HealthProtocol::Command && check.port.is_none() {
        check.port_index.get_or_insert(0);
    }
    check
}

fn container(draft: Draft, sandbox: Option<Sandbox>) -> Container {
    Container {
        name: APP_TASK.to_owned(),
        cmd: draft.cmd,
        args: draft.args.unwrap_or_default(),
        user: draft.user,
        env: draft.env.unwrap_or_default(),
        cpus: draft.cpus.unwrap_or(Cpus::whole(1)),
        mem: draft.mem.unwrap_or(Mem::whole(128)),
        disk: draft.disk.unwrap_or(Disk::ZERO),
        gpus: draft.gpus.unwrap_or(0),
        limits: draft.limits,
        fetch: draft.fetch.unwrap_or_default(),
        sandbox,
        tty: draft.tty,
    }
}

fn networks(
    said: Option<Vec<Network>>,
    options: &Options,
    problems: &mut Vec<Problem>,
) -> Vec<Network> {
    let said = said.filter(|networks| !networks.is_empty());
    let mut networks = said.unwrap_or_else(|| vec![Network::host()]);
    let unnamed =
        |network: &&mut Network| network.mode == NetworkMode::Container && network.name.is_none();
    let mut nameless = false;
    for network in networks.iter_mut().filter(unnamed) {
        network.name.clone_from(&options.default_network);
        nameless |= network.name.is_none();
    }
    if nameless {
        let error = "Network name must be specified when container network is selected.";
        problems.push(Problem::new("/networks", error));
    }
    networks
}

fn sandbox(
    said: Option<DraftContainer>,
    networks: &[Network],
    ports: Option<&[PortDefinition]>,
) -> Option<Sandbox> {
    let said = said.map(|container| container.sandbox);
    if networks.iter().any(|network| network.mode == NetworkMode::Host) {
        return said.map(|sandbox| Sandbox { port_mappings: None, ..sandbox });
    }
    let sandbox = said.unwrap_or_else(plain_sandbox);
    let mut mappings = sandbox.port_mappings.unwrap_or_else(|| vec![default_mapping()]);
    let count = mappings.len().max(ports.map_or(0, <[PortDefinition]>::len));
    mappings.resize_with(count, PortMapping::default);
    if networks.iter().any(|network| network.mode == NetworkMode::Bridge) {
        for mapping in &mut mappings {
            mapping.host_port.get_or_insert(0);
        }
    }
    Some(Sandbox { port_mappings: Some(mappings), ..sandbox })
}

fn default_definition() -> PortDefinition {
    PortDefinition { name: Some(DEFAULT_PORT.to_owned()), ..PortDefinition::default() }
}

fn default_mapping() -> PortMapping {
    PortMapping { name: Some(DEFAULT_PORT.to_owned()), ..PortMapping::default() }
}

fn default_upgrade(sandbox: Option<&Sandbox>) -> UpgradeStrategy {
    let bound = |volume: &Volume| match volume {
        Volume::Persistent { .. } | Volume::External { .. } => true,
        Volume::Host { .. } | Volume::Secret { .. } => false,
    };
    if has(sandbox, bound) {
        UpgradeStrategy { minimum_health: Ratio::micro(500_000), over_capacity: Ratio::ZERO }
    } else {
        UpgradeStrategy { minimum_health: Ratio::ONE, over_capacity: Ratio::ONE }
    }
}

fn has(sandbox: Option<&Sandbox>, what: impl Fn(&Volume) -> bool) -> bool {
    sandbox.is_some_and(|sandbox| sandbox.volumes.iter().any(what))
}

fn health_checks(said: Option<Vec<HealthCheck>>) -> BTreeSet<HealthCheck> {
    said.unwrap_or_default().into_iter().map(with_port).collect()
}

fn dependencies(
    said: Option<Vec<String>>,
    path: &AppPath,
    problems: &mut Vec<Problem>,
) -> BTreeSet<AppPath> {
    let group = path.parent();
    let mut dependencies = BTreeSet::new();
    for (index, text) in said.unwrap_or_default().iter().enumerate() {
        match AppPath::resolve(text, &group) {
            Ok(dependency) => _ = dependencies.insert(dependency),
            Err(error) => {
                let path = format!("/dependencies({index})");
                problems.push(Problem::new(path, path_error(error)));
            }
        }
    }
    dependencies
}

fn path_error(error: PathError) -> String {
    match error {
        PathError::Segment => SEGMENT.to_owned(),
        PathError::TooLong => error.to_string(),
    }
}
