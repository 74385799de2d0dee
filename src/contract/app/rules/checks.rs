//! Rules of health checks, plain checks and readiness checks (contract 13.6).

use std::collections::BTreeSet;

use super::Broken;
use crate::model::check::{CheckProbe, HealthCheck, HealthProtocol};
use crate::model::spec::{ContainerKind, Spec};

const NO_PORT: &str = "Health check port indices must address an element of the ports array or container port mappings.";

/// What `spec` breaks of them; `checks` are its health checks as they were written.
pub fn rules(spec: &Spec, checks: &[HealthCheck], broken: &mut Broken) {
    let ports = spec.ports().len().max(spec.port_mappings().len());
    let addresses = |index: u32| usize::try_from(index).is_ok_and(|index| index < ports);
    let sandbox = spec.container().sandbox.as_ref();
    let by_engine = sandbox.is_some_and(|sandbox| sandbox.kind == ContainerKind::Docker);
    for (index, check) in checks.iter().enumerate() {
        let path = format!("/healthChecks({index})");
        let by_command = check.protocol == HealthProtocol::Command;
        let reaches =
            by_command || check.port.is_some() || addresses(check.port_index.unwrap_or(0));
        broken.unless(reaches, &path, NO_PORT);
        let error = "IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks";
        broken.unless(!check.ipv6 || (by_engine && by_agent(check)), path, error);
    }
    let by_agents = checks.iter().filter(|check| by_agent(check)).count();
    let error = "AppDefinition can contain at most one Mesos health check";
    broken.unless(by_agents <= 1, "/", error);

    if let Some(check) = &spec.check {
        broken.unless(!by_engine, "/", "AppDefinition must not use 'checks' if using docker");
        let index = match &check.probe {
            CheckProbe::Http { port_index, .. } | CheckProbe::Tcp { port_index, .. } => *port_index,
            CheckProbe::Exec { .. } => None,
        };
        let error = "check port index must address an element of the ports array or container port mappings.";
        broken.unless(index.is_none_or(addresses), "/check/get", error);
    }
    readiness(spec, broken);
}

fn readiness(spec: &Spec, broken: &mut Broken) {
    let count = spec.readiness_checks.len();
    let error = format!("got {count}, expected 1 or less");
    broken.unless(count <= 1, "/readinessChecks/size", error);
    let defined = spec.ports().iter().filter_map(|port| port.name.as_deref());
    let mapped = spec.port_mappings().iter().filter_map(|port| port.name.as_deref());
    let names: BTreeSet<&str> = defined.chain(mapped).collect();
    for (index, check) in spec.readiness_checks.iter().enumerate() {
        let path = format!("/readinessChecks({index})/portName");
        let name = check.port_name.as_str();
        let error = format!("No port definition reference for portName {name}");
        broken.unless(names.contains(name), path, error);
    }
}

fn by_agent(check: &HealthCheck) -> bool {
    match check.protocol {
        HealthProtocol::MesosHttp | HealthProtocol::MesosHttps | HealthProtocol::MesosTcp => true,
        HealthProtocol::Http
        | HealthProtocol::Https
        | HealthProtocol::Tcp
        | HealthProtocol::Command => false,
    }
}
