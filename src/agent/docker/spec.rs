//! From a launch to the engine's create body: what Mesos' Docker containerizer did, as data (behaviour 9.5).
//!
//! Pure. The keys of `docker run` are in [`parameters`], ports in [`ports`], devices
//! in `gpu`; what the agent forbids is its policy's to say.

use std::collections::BTreeMap;
use std::path::{Component, Path};

use bollard::models::{
    ContainerCreateBody, HostConfigLogConfig, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use crate::agent::docker::draft::Draft;
use crate::agent::docker::gpu::{CAPABILITIES, Given};
use crate::agent::docker::{labels, parameters, ports};
use crate::agent::gpu::visible::VISIBLE;
use crate::agent::runtime::{Launch, SandboxId};
use crate::model::instance::Place;
use crate::model::network::{Network, NetworkMode};
use crate::model::reason::Reason;
use crate::model::spec::{Container, ContainerKind, DockerImage, Limit, ResourceLimits};
use crate::model::unit::{Cpus, Mem};
use crate::model::volume::{ExternalVolume, Volume, VolumeMode};

/// Where a container sees its sandbox (CT-8).
pub const SANDBOX: &str = "/mnt/mesos/sandbox";

/// The name of a life's container.
pub fn container_name(id: SandboxId) -> String {
    format!("stayer-{id}")
}

/// The engine's create body for a launch, on an engine that can give so many open files.
///
/// # Errors
/// When the definition asks for what the engine cannot do, or names a parameter that is not known.
pub fn create_body(
    launch: &Launch,
    nofile: i64,
    gpus: Given,
) -> Result<ContainerCreateBody, Reason> {
    let container = launch.spec.container();
    let image = container.image().ok_or_else(|| start("the app has no image"))?;
    let mut draft = Draft::default();
    draft.command(container, image);
    draft.environment(launch);
    draft.limits(container, &launch.place, nofile);
    draft.network(&launch.spec.networks)?;
    draft.volumes(container, &launch.dir)?;
    draft.ports(launch);
    draft.host.privileged = Some(image.privileged);
    for parameter in &image.parameters {
        parameters::apply(&mut draft, parameter).map_err(start)?;
    }
    // After the parameters: neither the devices nor the marks are theirs to change.
    draft.devices(gpus);
    draft.labels.extend(labels::write(launch));
    Ok(draft.finish())
}

// === impl Draft ===

impl Draft {
    /// CT-5. A `cmd` replaces the entrypoint; with neither, the image's own run.
    fn command(&mut self, container: &Container, image: &DockerImage) {
        self.body.image = Some(image.image.clone());
        match container.cmd.as_deref().filter(|cmd| !cmd.is_empty()) {
            Some(cmd) => {
                self.body.entrypoint = Some(vec!["/bin/sh".to_owned()]);
                self.body.cmd = Some(vec!["-c".to_owned(), cmd.to_owned()]);
            }
            None if !container.args.is_empty() => self.body.cmd = Some(container.args.clone()),
            None => {}
        }
        self.body.tty = container.tty;
        // CT-4: for type DOCKER the account owns the sandbox, and the image's stays in the container.
        let is_mesos =
            container.sandbox.as_ref().is_some_and(|given| given.kind == ContainerKind::Mesos);
        self.body.user = container.user.clone().filter(|_| is_mesos);
    }

    /// EN-1: the agent's own variables lie above the task's.
    fn environment(&mut self, launch: &Launch) {
        let given = launch.env.iter().map(|(name, value)| (name.clone(), Some(value.clone())));
        self.env.extend(given);
        let own = [
            ("MESOS_SANDBOX", SANDBOX.to_owned()),
            ("MESOS_CONTAINER_NAME", container_name(launch.id)),
        ];
        self.env.extend(own.map(|(name, value)| (name.to_owned(), Some(value))));
    }

    /// CT-10, and what burst limits change in it.
    fn limits(&mut self, container: &Container, place: &Place, nofile: i64) {
        let limits = container.limits.as_ref();
        self.host.cpu_shares = Some(cpu_shares(place.cpus));
        if let Some(Limit::At(most)) = limits.and_then(|limits| limits.cpus) {
            self.host.nano_cpus = i64::try_from(most.as_micro().saturating_mul(1_000)).ok();
        }
        let most = memory_limit(limits, place.mem);
        self.host.memory = most;
        // Equal to the limit means no swap.
        self.host.memory_swap = most;
        if limits.is_some_and(|limits| limits.mem.is_some()) {
            self.host.memory_reservation = Some(memory_bytes(place.mem));
        }
        // Fresh hosts hand out a soft limit of 1,024, by which databases and proxies die (engines.md §1).
        self.ulimits.insert("nofile".to_owned(), (nofile.min(65_536), nofile));
        self.host.init = Some(true);
    }

    /// NW-5.
    fn network(&mut self, networks: &[Network]) -> Result<(), Reason> {
        let mode = match networks {
            [] => "host",
            [network] => match (network.mode, &network.name) {
                (NetworkMode::Host, _) => "host",
                (NetworkMode::Bridge, _) => "bridge",
                (NetworkMode::Container, Some(name)) => name,
                (NetworkMode::Container, None) => {
                    return Err(start("the container network has no name"));
                }
            },
            _ => return Err(start("the engine starts a container in one network, not in several")),
        };
        self.host.network_mode = Some(mode.to_owned());
        Ok(())
    }

    /// CT-3, and the sandbox itself (CT-8).
    fn volumes(&mut self, container: &Container, dir: &Path) -> Result<(), Reason> {
        let mut binds = vec![bind(&dir.to_string_lossy(), SANDBOX, VolumeMode::ReadWrite)?];
        for volume in container.volumes() {
            let target = inside(volume.container_path());
            binds.push(match volume {
                Volume::Host { host_path, mode, .. } => {
                    bind(&on_host(host_path, dir)?, &target, *mode)?
                }
                Volume::External {
                    external: ExternalVolume::Dvdi { name, options, .. },
                    mode,
                    ..
                } => {
                    self.host.volume_driver = options.get("dvdi/driver").cloned();
                    bind(name, &target, *mode)?
                }
                Volume::External { external: ExternalVolume::Csi { .. }, .. } => {
                    return Err(unsupported("CSI", &target));
                }
                Volume::Persistent { .. } => return Err(unsupported("persistent", &target)),
                Volume::Secret { .. } => return Err(unsupported("secret", &target)),
            });
        }
        self.host.binds = Some(binds);
        Ok(())
    }

    fn ports(&mut self, launch: &Launch) {
        let bindings = ports::bindings(launch.spec.port_mappings(), &launch.place.ports);
        if bindings.is_empty() {
            return;
        }
        self.body.exposed_ports = Some(bindings.keys().cloned().collect());
        self.host.port_bindings =
            Some(bindings.into_iter().map(|(key, list)| (key, Some(list))).collect());
    }

    fn devices(&mut self, gpus: Given) {
        let Given { visible, capabilities, requests, nodes, runtime } = gpus;
        self.env.insert(VISIBLE.to_owned(), Some(visible));
        if let Some(capabilities) = capabilities {
            self.env.insert(CAPABILITIES.to_owned(), Some(capabilities));
        }
        self.host.device_requests = requests;
        if !nodes.is_empty() {
            self.host.devices.get_or_insert_default().extend(nodes);
        }
        if let Some(runtime) = runtime {
            self.host.runtime = Some(runtime);
        }
    }

    fn finish(self) -> ContainerCreateBody {
        let Draft { mut body, mut host, env, labels, ulimits, log_driver, log_options } = self;
        let variable = |(name, value): (String, Option<String>)| match value {
            Some(value) => format!("{name}={value}"),
            None => name,
        };
        body.env = Some(env.into_iter().map(variable).collect());
        body.labels = Some(labels.into_iter().collect());
        host.ulimits = Some(ulimits.into_iter().map(ulimit).collect());
        host.log_config = Some(log_config(log_driver, log_options));
        // The engine never decides that something is over, or that it begins again.
        host.auto_remove = Some(false);
        host.restart_policy = Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        });
        body.host_config = Some(host);
        body
    }
}

/// CT-10: `max(2, trunc(1024 × cpus))`.
fn cpu_shares(cpus: Cpus) -> i64 {
    let shares = u128::from(cpus.as_micro()) * 1_024 / 1_000_000;
    i64::try_from(shares.max(2)).unwrap_or(i64::MAX)
}

/// CT-10: at least 4 MiB, below which nothing starts.
fn memory_bytes(mem: Mem) -> i64 {
    i64::try_from(mem.max(Mem::whole(4)).as_bytes()).unwrap_or(i64::MAX)
}

fn memory_limit(limits: Option<&ResourceLimits>, mem: Mem) -> Option<i64> {
    match limits.and_then(|limits| limits.mem) {
        Some(Limit::Unlimited) => None,
        Some(Limit::At(most)) => Some(memory_bytes(most)),
        None => Some(memory_bytes(mem)),
    }
}

fn ulimit((name, (soft, hard)): (String, (i64, i64))) -> ResourcesUlimits {
    ResourcesUlimits { name: Some(name), soft: Some(soft), hard: Some(hard) }
}

/// Rotated by default: a container's log has filled many a disk (reliability §4.3).
fn log_config(driver: Option<String>, given: BTreeMap<String, String>) -> HostConfigLogConfig {
    let driver = driver.unwrap_or_else(|| "json-file".to_owned());
    let mut options = BTreeMap::new();
    if driver == "json-file" {
        options.insert("max-size".to_owned(), "50m".to_owned());
        options.insert("max-file".to_owned(), "3".to_owned());
    }
    options.extend(given);
    HostConfigLogConfig { typ: Some(driver), config: Some(options.into_iter().collect()) }
}

/// CT-3: a relative path lies below the sandbox, and stays there.
fn on_host(path: &str, dir: &Path) -> Result<String, Reason> {
    let given = Path::new(path);
    if given.components().any(|part| part == Component::ParentDir) {
        return Err(start(format!("the host path {path} leads upwards")));
    }
    Ok(dir.join(given).to_string_lossy().into_owned())
}

fn inside(container_path: &str) -> String {
    if container_path.starts_with('/') {
        container_path.to_owned()
    } else {
        format!("{SANDBOX}/{container_path}")
    }
}

/// A bind as `docker run` writes it: unlike the newer form it makes a missing host path, as Mesos' users know it.
fn bind(source: &str, target: &str, mode: VolumeMode) -> Result<String, Reason> {
    if source.contains(':') || target.contains(':') {
        return Err(start(format!(
            "the engine cannot mount {source} at {target}: no colon, please"
        )));
    }
    let mode = match mode {
        VolumeMode::ReadOnly => "ro",
        VolumeMode::ReadWrite => "rw",
    };
    Ok(format!("{source}:{target}:{mode}"))
}

fn unsupported(kind: &str, target: &str) -> Reason {
    start(format!("the Docker runtime has no {kind} volumes, and one is asked for at {target}"))
}

fn start(detail: impl Into<String>) -> Reason {
    Reason::Start { detail: detail.into() }
}

#[cfg(test)]
mod tests;
