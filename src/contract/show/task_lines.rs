//! Tasks as `text/plain`, which Marathon gave up and old balancer scripts read (contract 18.4, SD-8).

use std::net::SocketAddr;

use crate::contract::show::task;
use crate::contract::show::text::write;
use crate::model::agent::Agent;
use crate::model::app::App;
use crate::model::instance::{Condition, Instance};
use crate::model::network::NetworkMode;
use crate::model::spec::Spec;
use crate::model::world::World;

/// One line for each service port of each app: the app, the port, and where its running tasks listen. Tasks of
/// container networks without host ports are named by their own address if one of these networks, or `*`, is in
/// `networks`.
pub fn task_lines<'a>(
    world: &World,
    apps: impl IntoIterator<Item = &'a App>,
    networks: &[&str],
) -> String {
    let mut out = String::new();
    for app in apps {
        if let Some(row) = world.current(app) {
            app_lines(&mut out, world, app, &row.spec, networks);
        }
    }
    out
}

fn app_lines(out: &mut String, world: &World, app: &App, spec: &Spec, networks: &[&str]) {
    let running: Vec<(&Instance, &Agent)> = world
        .instances_of(app.key)
        .filter(|instance| task::is_listed(instance))
        .filter(|instance| instance.condition() == Some(Condition::Running))
        .filter_map(|instance| Some((instance, instance.place.as_ref()?.agent)))
        .filter_map(|(instance, agent)| Some((instance, world.agents.get(&agent)?)))
        .collect();
    let id = app.path.safe();
    let ports = spec.service_ports();
    for (index, port) in ports.iter().enumerate() {
        write(out, format_args!("{id}\t{port}\t"));
        for (instance, agent) in &running {
            endpoint(out, spec, instance, agent, index, networks);
        }
        out.push('\n');
    }
    if ports.is_empty() {
        write(out, format_args!("{id}\t \t"));
        for (_, agent) in &running {
            write(out, format_args!("{}\t", agent.inventory.hostname));
        }
        out.push('\n');
    }
}

fn endpoint(
    out: &mut String,
    spec: &Spec,
    instance: &Instance,
    agent: &Agent,
    index: usize,
    networks: &[&str],
) {
    let host_port = instance.place.as_ref().and_then(|place| place.ports.get(index).copied());
    if let Some(port) = host_port.flatten() {
        return write(out, format_args!("{}:{port}\t", agent.inventory.hostname));
    }
    let mapping = spec.port_mappings().get(index).filter(|_| is_wanted(spec, networks));
    let ip = instance.tasks.first().and_then(|task| task.ips.first());
    if let (Some(mapping), Some(ip)) = (mapping, ip) {
        write(out, format_args!("{}\t", SocketAddr::new(*ip, mapping.container_port)));
    }
}

fn is_wanted(spec: &Spec, networks: &[&str]) -> bool {
    spec.networks.iter().filter(|network| network.mode == NetworkMode::Container).any(|network| {
        networks.iter().any(|wanted| *wanted == "*" || network.name.as_deref() == Some(wanted))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::show::rig::Rig;
    use crate::model::network::{Network, PortMapping};
    use crate::model::spec::{ContainerKind, Sandbox};

    fn lines(rig: &Rig, networks: &[&str]) -> String {
        task_lines(&rig.world, rig.world.live_apps(), networks)
    }

    #[test]
    fn a_line_for_each_service_port_with_running_tasks_alone() {
        let mut rig = Rig::at_path("/shop/web");
        rig.change_spec(|spec| {
            let mut definitions = spec.port_definitions.clone().expect("host ports");
            definitions[0].port = 10_000;
            definitions
                .push(crate::model::network::PortDefinition { port: 10_001, ..Default::default() });
            spec.port_definitions = Some(definitions);
        });
        assert_eq!(lines(&rig, &[]), "shop_web\t10000\t\nshop_web\t10001\t\n");
        rig.instance(1, Condition::Running);
        rig.instance(2, Condition::Staging);
        rig.instance(3, Condition::Running);
        rig.ports(1, &[Some(31_412), Some(31_413)]);
        rig.ports(3, &[Some(31_500), Some(31_501)]);
        assert_eq!(
            lines(&rig, &[]),
            "shop_web\t10000\t10.0.0.5:31412\t10.0.0.5:31500\t\n\
             shop_web\t10001\t10.0.0.5:31413\t10.0.0.5:31501\t\n"
        );
    }

    #[test]
    fn without_service_ports_hosts_alone_are_named() {
        let mut rig = Rig::new();
        rig.change_spec(|spec| spec.port_definitions = Some(Vec::new()));
        rig.instance(1, Condition::Running);
        assert_eq!(lines(&rig, &[]), "web\t \t10.0.0.5\t\n");
    }

    #[test]
    fn container_networks_show_their_tasks_when_asked() {
        let mut rig = Rig::new();
        rig.change_spec(|spec| {
            spec.networks = vec![Network {
                mode: NetworkMode::Container,
                name: Some("net".into()),
                ..Network::host()
            }];
            spec.port_definitions = None;
            spec.containers[0].sandbox = Some(Sandbox {
                kind: ContainerKind::Mesos,
                docker: None,
                volumes: Vec::new(),
                port_mappings: Some(vec![PortMapping {
                    container_port: 80,
                    service_port: 10_000,
                    ..PortMapping::default()
                }]),
                linux_info: None,
            });
        });
        rig.instance(1, Condition::Running);
        rig.ports(1, &[None]);
        rig.change(1, |instance| instance.tasks[0].ips = vec!["172.20.0.9".parse().expect("ip")]);
        assert_eq!(lines(&rig, &[]), "web\t10000\t\n");
        assert_eq!(lines(&rig, &["other"]), "web\t10000\t\n");
        for wanted in ["net", "*"] {
            assert_eq!(lines(&rig, &[wanted]), "web\t10000\t172.20.0.9:80\t\n");
        }
    }
}
