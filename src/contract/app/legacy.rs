//! Legacy forms: the rules that they keep (contract 13.2) and what they become (contract 5.2, NW-2).

use std::collections::BTreeSet;

use super::draft::{DockerNetwork, Draft, DraftContainer, IpAddress};
use super::uri::{is_archive, is_uri};
use crate::contract::fault::{Fault, Problem};
use crate::model::network::{Network, NetworkMode, PortDefinition, PortMapping};
use crate::model::spec::{Artifact, ContainerKind, Sandbox};

/// The name by which old definitions asked for a bridge (`--mesos_bridge_name`).
const BRIDGE_NAME: &str = "mesos-bridge";

/// Which rules for legacy members `draft`, a whole app, breaks.
pub fn problems(draft: &Draft) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(container) = &draft.container {
        container_problems(container, &mut problems);
    }
    uri_problems(draft, &mut problems);
    let by_engine =
        draft.container.as_ref().is_some_and(|it| it.sandbox.kind == ContainerKind::Docker);
    let discovery = draft.ip_address.as_ref().is_some_and(|address| address.discovery.is_some());
    if discovery && by_engine {
        let error = "ipAddress/discovery is not allowed for Docker containers";
        problems.push(Problem::new("/ipAddress", error));
    }
    problems.extend(mixtures(draft).into_iter().map(|error| Problem::new("/", error)));
    problems
}

/// Gives every legacy member its canonical form, in a whole app.
///
/// # Errors
/// [`Fault::Illegal`] where two forms of one thing contradict each other, and for what has no canonical form.
pub fn translate(draft: &mut Draft) -> Result<(), Fault> {
    if draft.container.is_none() && draft.ip_address.is_some() {
        draft.container = Some(DraftContainer::canonical(plain_sandbox()));
    }
    translate_update(draft)
}

/// Gives every legacy member its canonical form, in a partial update.
///
/// # Errors
/// As [`translate`].
pub fn translate_update(draft: &mut Draft) -> Result<(), Fault> {
    translate_networks(draft)?;
    translate_mappings(draft)?;
    translate_uris(draft)?;
    if let Some(ports) = draft.ports.take() {
        draft.port_definitions.get_or_insert_with(|| definitions(&ports));
    }
    Ok(())
}

/// Which of `ports` cannot be port numbers.
pub fn port_problems(draft: &Draft) -> Vec<Problem> {
    let ports = draft.ports.iter().flatten().enumerate();
    let wrong = ports.filter_map(|(index, port)| {
        let bound = match port {
            ..0 => "0 or more",
            0..=65_535 => return None,
            _ => "65535 or less",
        };
        let error = format!("got {port}, expected {bound}");
        Some(Problem::new(format!("/portDefinitions({index})/port"), error))
    });
    wrong.collect()
}

/// A MESOS container without anything in it.
pub fn plain_sandbox() -> Sandbox {
    Sandbox {
        kind: ContainerKind::Mesos,
        docker: None,
        volumes: Vec::new(),
        port_mappings: None,
        linux_info: None,
    }
}

fn container_problems(container: &DraftContainer, problems: &mut Vec<Problem>) {
    let mut empty = |fine: bool, member: &str| {
        if !fine {
            problems.push(Problem::new(format!("/container/docker/{member}"), "must be empty"));
        }
    };
    empty(!container.credential, "credential");
    if container.sandbox.kind == ContainerKind::Mesos {
        let parameters = container.sandbox.docker.as_ref().map(|image| image.parameters.is_empty());
        empty(container.network.is_none(), "network");
        empty(parameters != Some(false), "parameters");
        empty(container.port_mappings.is_none(), "portMappings");
    }
    let names = container.port_mappings.iter().flatten().map(|mapping| mapping.name.as_ref());
    if !unique(names.flatten()) {
        problems.push(Problem::new("/container/docker/portMappings", "Port names must be unique."));
    }
}

fn uri_problems(draft: &Draft, problems: &mut Vec<Problem>) {
    let uris = draft.uris.as_deref().unwrap_or_default();
    for (index, _) in uris.iter().enumerate().filter(|(_, uri)| !is_uri(uri)) {
        problems.push(Problem::new(format!("/uris({index})"), "URI has invalid syntax."));
    }
    if !uris.is_empty() && draft.fetch.as_ref().is_some_and(|fetch| !fetch.is_empty()) {
        problems.push(Problem::new("/uris", "may not be set in conjunction with fetch"));
    }
}

/// What is said twice, once in each form.
fn mixtures(draft: &Draft) -> Vec<&'static str> {
    let networks = draft.networks.as_ref().is_some_and(|networks| !networks.is_empty());
    let docker = draft.container.as_ref().is_some_and(|container| container.network.is_some());
    let address = draft.ip_address.is_some();
    let ports = draft.ports.as_deref().unwrap_or_default();
    let defined = draft.port_definitions.as_deref().unwrap_or_default();
    let both = draft.ports.is_some() && draft.port_definitions.is_some();
    let numbers = defined.iter().map(|definition| i64::from(definition.port));
    let rules = [
        (docker && networks, "must not specify both container.docker.network and networks"),
        (address && networks, "must not specify both networks and ipAddress"),
        (!unique(ports.iter().filter(|port| **port != 0)), "ports must be unique"),
        (
            address && !(ports.is_empty() && defined.is_empty()),
            "cannot specify both an IP address and port",
        ),
        (
            both && !numbers.eq(ports.iter().copied()),
            "cannot specify both ports and port definitions",
        ),
    ];
    rules.into_iter().filter(|(broken, _)| *broken).map(|(_, error)| error).collect()
}

fn translate_networks(draft: &mut Draft) -> Result<(), Fault> {
    let docker = draft.container.as_mut().and_then(|container| container.network.take());
    let legacy = docker.is_some() || draft.ip_address.is_some();
    if !legacy {
        return Ok(());
    }
    if draft.networks.as_ref().is_some_and(|networks| !networks.is_empty()) {
        return Err(illegal("cannot mix deprecated and canonical network APIs"));
    }
    draft.networks = Some(vec![legacy_network(docker, draft.ip_address.as_ref())?]);
    Ok(())
}

/// The table of contract 5.2.
fn legacy_network(
    docker: Option<DockerNetwork>,
    address: Option<&IpAddress>,
) -> Result<Network, Fault> {
    let name = address.and_then(|address| address.network.clone());
    let mode = match docker {
        Some(DockerNetwork::Host) => return Ok(Network::host()),
        Some(DockerNetwork::None) => return Err(illegal("unsupported docker network type NONE")),
        Some(DockerNetwork::Bridge) => NetworkMode::Bridge,
        Some(DockerNetwork::User) => NetworkMode::Container,
        None if name.as_deref() == Some(BRIDGE_NAME) => NetworkMode::Bridge,
        None => NetworkMode::Container,
    };
    let labels = address.map(|address| address.labels.clone()).unwrap_or_default();
    Ok(Network { mode, name: name.filter(|_| mode == NetworkMode::Container), labels })
}

fn translate_mappings(draft: &mut Draft) -> Result<(), Fault> {
    let discovered = draft.ip_address.take().and_then(|address| address.discovery);
    let discovered = discovered.filter(|ports| !ports.is_empty());
    let Some(container) = &mut draft.container else {
        draft.port_mappings = discovered;
        return Ok(());
    };
    let docker = container.port_mappings.take();
    let sandbox = &mut container.sandbox;
    match (sandbox.port_mappings.is_some(), docker) {
        (true, Some(docker)) if !docker.is_empty() => {
            return Err(illegal("cannot specify both portMappings and docker.portMappings"));
        }
        (true, _) | (false, None) => {}
        (false, docker) => sandbox.port_mappings = docker,
    }
    if let Some(ports) = discovered {
        discover(sandbox, ports)?;
    }
    Ok(())
}

/// Makes discovered ports the port mappings of a container.
///
/// # Errors
/// [`Fault::Illegal`] when it has some already, or is of type DOCKER.
pub fn discover(sandbox: &mut Sandbox, ports: Vec<PortMapping>) -> Result<(), Fault> {
    if sandbox.kind == ContainerKind::Docker {
        return Err(illegal("ipAddress.discovery.ports do not apply for container type DOCKER"));
    }
    if sandbox.port_mappings.is_some() {
        let error = "container.portMappings and ipAddress.discovery.ports must not both be set";
        return Err(illegal(error));
    }
    sandbox.port_mappings = Some(ports);
    Ok(())
}

fn translate_uris(draft: &mut Draft) -> Result<(), Fault> {
    let Some(uris) = draft.uris.take() else { return Ok(()) };
    if uris.is_empty() {
        return Ok(());
    }
    if draft.fetch.as_ref().is_some_and(|fetch| !fetch.is_empty()) {
        return Err(illegal("cannot specify both uris and fetch fields"));
    }
    let artifact = |uri: String| Artifact {
        extract: is_archive(&uri),
        executable: false,
        cache: false,
        dest_path: None,
        uri,
    };
    draft.fetch = Some(uris.into_iter().map(artifact).collect());
    Ok(())
}

fn definitions(ports: &[i64]) -> Vec<PortDefinition> {
    let number = |port: &i64| u16::try_from(*port).unwrap_or(0);
    ports
        .iter()
        .map(|port| PortDefinition { port: number(port), ..PortDefinition::default() })
        .collect()
}

fn illegal(message: &str) -> Fault {
    Fault::Illegal(message.to_owned())
}

fn unique<T: Ord>(items: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.into_iter().all(|item| seen.insert(item))
}
