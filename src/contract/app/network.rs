//! Networks and ports, in their own and in their legacy form (contract 5.2).

use std::collections::BTreeMap;

use super::draft::IpAddress;
use crate::contract::read::{At, Fields, Reader};
use crate::model::network::{Network, NetworkMode, PortDefinition, PortMapping, Protocol};

/// One item of `networks`.
pub fn network(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Network> {
    let mut fields = reader.lenient(at);
    let mode = fields.opt("mode", |reader, at| {
        let choices = [
            ("host", NetworkMode::Host),
            ("container/bridge", NetworkMode::Bridge),
            ("container", NetworkMode::Container),
        ];
        reader.choice(at, &choices)
    });
    let network = Network {
        mode: mode.unwrap_or(NetworkMode::Container),
        name: fields.opt("name", network_name),
        labels: labels(&mut fields),
    };
    fields.done();
    Some(network)
}

/// One item of `portDefinitions`.
pub fn port_definition(reader: &mut Reader<'_>, at: &At<'_>) -> Option<PortDefinition> {
    let mut fields = reader.lenient(at);
    let definition = PortDefinition {
        port: fields.opt("port", Reader::port).unwrap_or(0),
        protocol: fields.opt("protocol", protocol).unwrap_or_default(),
        name: fields.opt("name", port_name),
        labels: labels(&mut fields),
    };
    fields.done();
    Some(definition)
}

/// One item of `portMappings`.
pub fn port_mapping(reader: &mut Reader<'_>, at: &At<'_>) -> Option<PortMapping> {
    let mut fields = reader.lenient(at);
    let mapping = PortMapping {
        container_port: fields.opt("containerPort", Reader::port).unwrap_or(0),
        host_port: fields.opt("hostPort", Reader::port),
        service_port: fields.opt("servicePort", Reader::port).unwrap_or(0),
        protocol: fields.opt("protocol", protocol).unwrap_or_default(),
        name: fields.opt("name", port_name),
        labels: labels(&mut fields),
        network_names: fields.list("networkNames", network_name).unwrap_or_default(),
    };
    fields.done();
    Some(mapping)
}

/// `ipAddress`; its `groups` have no meaning any more.
pub fn ip_address(reader: &mut Reader<'_>, at: &At<'_>) -> Option<IpAddress> {
    let mut fields = reader.lenient(at);
    fields.list("groups", Reader::string);
    let address = IpAddress {
        network: fields.opt("networkName", Reader::filled),
        labels: labels(&mut fields),
        discovery: fields.opt("discovery", discovery),
    };
    fields.done();
    Some(address)
}

fn discovery(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Vec<PortMapping>> {
    let mut fields = reader.lenient(at);
    let ports = fields.list("ports", discovery_port).unwrap_or_default();
    fields.done();
    Some(ports)
}

/// A port that others are told of; becomes a port mapping without a host port (contract 5.2 step 3).
fn discovery_port(reader: &mut Reader<'_>, at: &At<'_>) -> Option<PortMapping> {
    let mut fields = reader.object(at)?;
    let mapping = PortMapping {
        container_port: fields.opt("number", Reader::port).unwrap_or(0),
        name: fields.need_plain("name", port_name),
        protocol: fields.opt("protocol", protocol).unwrap_or_default(),
        labels: labels(&mut fields),
        ..PortMapping::default()
    };
    fields.done();
    Some(mapping)
}

fn protocol(reader: &mut Reader<'_>, at: &At<'_>) -> Option<Protocol> {
    let choices = [
        ("tcp", Protocol::Tcp),
        ("udp", Protocol::Udp),
        ("udp,tcp", Protocol::Both),
        ("tcp,udp", Protocol::Both),
    ];
    reader.choice(at, &choices)
}

fn port_name(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    reader.name(at, usize::MAX, &[])
}

fn network_name(reader: &mut Reader<'_>, at: &At<'_>) -> Option<String> {
    reader.name(at, 63, &['_'])
}

fn labels(fields: &mut Fields<'_, '_, '_>) -> BTreeMap<String, String> {
    fields.map("labels", Reader::string).unwrap_or_default()
}
