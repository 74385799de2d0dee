//! Rules of networks and ports (contract 13.4, NW-1, NW-4).

use std::collections::BTreeSet;

use super::Broken;
use crate::model::network::{Network, NetworkMode, PortMapping};
use crate::model::spec::{ContainerKind, Spec};

/// How many names of networks an answer repeats.
const MOST_NAMES: usize = 32;

/// What `spec` breaks of them.
pub fn rules(spec: &Spec, broken: &mut Broken) {
    networks(&spec.networks, broken);
    let of = |mode| spec.networks.iter().filter(move |network| network.mode == mode);
    let own: BTreeSet<&str> =
        of(NetworkMode::Container).filter_map(|network| network.name.as_deref()).collect();
    let several = of(NetworkMode::Container).count() > 1;
    let sandbox = spec.container().sandbox.as_ref();
    let by_engine = sandbox.is_some_and(|sandbox| sandbox.kind == ContainerKind::Docker);
    let error =
        "may only specify a single container network when using the Docker container engine";
    broken.unless(!(several && by_engine), "/", error);

    let names = spec.ports().iter().filter_map(|port| port.name.as_ref());
    broken.unless(unique(names), "/portDefinitions", "Port names must be unique.");
    let numbers = spec.ports().iter().map(|port| port.port).filter(|port| *port != 0);
    broken.unless(unique(numbers), "/portDefinitions", "Ports must be unique.");
    let mappings = spec.port_mappings();
    let names = mappings.iter().filter_map(|mapping| mapping.name.as_ref());
    broken.unless(unique(names), "/container/portMappings", "Port names must be unique.");
    for (index, it) in mappings.iter().enumerate() {
        mapping(index, it, &own, several, broken);
    }
}

fn networks(networks: &[Network], broken: &mut Broken) {
    let of = |mode| networks.iter().filter(move |network| network.mode == mode);
    let bare = |network: &Network| network.name.is_none() && network.labels.is_empty();
    let error = "Host networks may not have names or labels";
    broken.unless(of(NetworkMode::Host).all(bare), "/networks", error);
    let unnamed = of(NetworkMode::Bridge).all(|network| network.name.is_none());
    broken.unless(unnamed, "/networks", "Bridge networks may not have names");
    let names = of(NetworkMode::Container).map(|network| network.name.as_ref());
    broken.unless(unique(names), "/networks", "Duplicate networks are not allowed");
    let alike = of(NetworkMode::Container).count() == networks.len();
    let error = "May specify a single host network, single bridge network, or else 1-to-n container networks";
    broken.unless(alike || networks.len() == 1, "/networks", error);
}

fn mapping(
    index: usize,
    it: &PortMapping,
    own: &BTreeSet<&str>,
    several: bool,
    broken: &mut Broken,
) {
    let path = format!("/container/portMappings({index})");
    for (at, name) in it.network_names.iter().enumerate() {
        if !own.contains(name.as_str()) {
            let shown: Vec<&str> = own.iter().copied().take(MOST_NAMES).collect();
            let error = format!("is not one of ({})", shown.join(","));
            broken.unless(false, format!("{path}/networkNames({at})"), error);
        }
    }
    let clear = !several || it.host_port.is_none() || it.network_names.len() == 1;
    let error = "networkNames must be a single item list when hostPort is specified and more than 1 container network \
                 is defined";
    broken.unless(clear, path, error);
}

fn unique<T: Ord>(mut items: impl Iterator<Item = T>) -> bool {
    let mut seen = BTreeSet::new();
    items.all(|item| seen.insert(item))
}
