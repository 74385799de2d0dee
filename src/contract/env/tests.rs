//! Tests of the task environment (EN-1 to EN-5, contract 8.5).

use super::*;
use crate::contract::show::rig::{self, UUID, at};
use crate::model::network::{Network, NetworkMode, PortDefinition, PortMapping};
use crate::model::spec::{DockerImage, Sandbox};
use crate::model::unit::{Cpus, Mem};

fn input<'a>(spec: &'a Spec, ports: &'a [Option<u16>]) -> TaskEnv<'a> {
    TaskEnv {
        spec,
        version: Version(at(0)),
        instance: InstanceId(UUID.parse().expect("a UUID")),
        incarnation: Incarnation(3),
        task: "_app",
        ports,
        hostname: "h1",
        prefix: None,
    }
}

fn env(spec: &Spec, ports: &[Option<u16>]) -> BTreeMap<String, String> {
    task_env(&input(spec, ports))
}

fn port(number: u16, name: &str) -> PortDefinition {
    let name = Some(name.to_owned()).filter(|name| !name.is_empty());
    PortDefinition { port: number, name, ..PortDefinition::default() }
}

fn mapped(mappings: &[(u16, Option<u16>)]) -> Spec {
    let mut spec = rig::spec("/web");
    spec.networks = vec![Network { mode: NetworkMode::Bridge, ..Network::host() }];
    spec.port_definitions = None;
    let mapping = |&(container_port, host_port): &(u16, Option<u16>)| PortMapping {
        container_port,
        host_port,
        ..PortMapping::default()
    };
    spec.containers[0].sandbox = Some(Sandbox {
        kind: ContainerKind::Docker,
        docker: Some(DockerImage {
            image: "redis:7".into(),
            force_pull: false,
            privileged: false,
            parameters: Vec::new(),
            pull_secret: None,
        }),
        volumes: Vec::new(),
        port_mappings: Some(mappings.iter().map(mapping).collect()),
        linux_info: None,
    });
    spec
}

fn only_ports(env: &BTreeMap<String, String>) -> Vec<(&str, &str)> {
    let ports = env.iter().filter(|(name, _)| name.starts_with("PORT"));
    ports.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn what_the_task_is() {
    // EN-2, every row.
    let mut spec = rig::spec("/shop/web");
    spec.containers[0].cpus = Cpus::micro(100_000);
    spec.containers[0].mem = Mem::whole(32);
    spec.port_definitions = Some(Vec::new());
    let all = env(&spec, &[]);
    let expected = [
        ("HOST", "h1".to_owned()),
        ("MARATHON_APP_ENFORCE_GROUP_ROLE", "FALSE".to_owned()),
        ("MARATHON_APP_ID", "/shop/web".to_owned()),
        ("MARATHON_APP_LABELS", String::new()),
        ("MARATHON_APP_RESOURCE_CPUS", "0.1".to_owned()),
        ("MARATHON_APP_RESOURCE_DISK", "0.0".to_owned()),
        ("MARATHON_APP_RESOURCE_GPUS", "0".to_owned()),
        ("MARATHON_APP_RESOURCE_MEM", "32.0".to_owned()),
        ("MARATHON_APP_VERSION", "2021-07-01T10:00:00.000Z".to_owned()),
        ("MESOS_TASK_ID", format!("shop_web.instance-{UUID}._app.3")),
    ];
    assert_eq!(all, expected.map(|(name, value)| (name.to_owned(), value)).into());
}

#[test]
fn doubles_read_as_in_java() {
    // EN-2.
    for (micro, text) in [
        (0, "0.0"),
        (1, "1.0E-6"),
        (100, "1.0E-4"),
        (120, "1.2E-4"),
        (999, "9.99E-4"),
        (1_000, "0.001"),
        (100_000, "0.1"),
        (250_000, "0.25"),
        (1_000_000, "1.0"),
        (32_000_000, "32.0"),
        (1_024_500_000, "1024.5"),
        (9_999_999_000_000, "9999999.0"),
        (10_000_000_000_000, "1.0E7"),
        (12_345_678_500_000, "1.23456785E7"),
        (200_000_000_000_000, "2.0E8"),
    ] {
        assert_eq!(double(micro), text);
    }
}

#[test]
fn the_image_is_named_for_docker_alone() {
    let mut spec = mapped(&[]);
    assert_eq!(env(&spec, &[])["MARATHON_APP_DOCKER_IMAGE"], "redis:7");
    spec.containers[0].sandbox.as_mut().expect("a container").kind = ContainerKind::Mesos;
    assert_eq!(env(&spec, &[]).get("MARATHON_APP_DOCKER_IMAGE"), None);
}

#[test]
fn labels_are_escaped_and_long_ones_left_out() {
    // EN-3.
    let mut spec = rig::spec("/web");
    let mut label = |key: &str, value: &str| spec.labels.insert(key.into(), value.into());
    label("a.b-c d", "1");
    label("x--y_ü", "2");
    label(&"k".repeat(492), "3");
    label(&"l".repeat(493), "4");
    label("v511", &"v".repeat(511));
    label("v512", &"v".repeat(512));
    let all = env(&spec, &[]);
    assert_eq!(all["MARATHON_APP_LABEL_A_B_C_D"], "1");
    assert_eq!(all["MARATHON_APP_LABEL_X_Y__"], "2");
    assert_eq!(all["MARATHON_APP_LABELS"], format!("A_B_C_D {} V511 X_Y__", "K".repeat(492)));
    assert!(all.contains_key("MARATHON_APP_LABEL_V511"));
    assert!(!all.contains_key("MARATHON_APP_LABEL_V512"));
}

#[test]
fn host_ports_are_named_by_index_service_port_and_name() {
    // EN-4: the number in the definition is the service port once it is assigned.
    let mut spec = rig::spec("/web");
    spec.port_definitions = Some(vec![port(10_000, "http"), port(10_001, "")]);
    assert_eq!(
        only_ports(&env(&spec, &[Some(31_747), Some(31_005)])),
        [
            ("PORT", "31747"),
            ("PORT0", "31747"),
            ("PORT1", "31005"),
            ("PORTS", "31747,31005"),
            ("PORT_10000", "31747"),
            ("PORT_10001", "31005"),
            ("PORT_HTTP", "31747"),
        ]
    );
}

#[test]
fn without_ports_there_is_no_port_variable() {
    let mut spec = rig::spec("/web");
    spec.port_definitions = Some(Vec::new());
    assert_eq!(only_ports(&env(&spec, &[])), []);
}

#[test]
fn mappings_show_host_ports_and_fixed_container_ports() {
    // EN-4: a fixed container port without a host port has variables, but is in neither PORT nor PORTS.
    let spec = mapped(&[(80, None), (443, Some(0)), (0, Some(0))]);
    assert_eq!(
        only_ports(&env(&spec, &[None, Some(31_000), Some(31_005)])),
        [
            ("PORT", "31000"),
            ("PORT0", "80"),
            ("PORT1", "31000"),
            ("PORT2", "31005"),
            ("PORTS", "31000,31005"),
            ("PORT_31005", "31005"),
            ("PORT_443", "31000"),
            ("PORT_80", "80"),
        ]
    );
    let ports = [None, Some(31_000), Some(31_005)];
    let inside: Vec<u16> =
        input(&spec, &ports).effective_ports().iter().map(|port| port.container).collect();
    assert_eq!(inside, [80, 443, 31_005]);
}

#[test]
fn only_fixed_container_ports_give_an_empty_list() {
    let spec = mapped(&[(80, None)]);
    let expected = [("PORT0", "80"), ("PORTS", ""), ("PORT_80", "80")];
    assert_eq!(only_ports(&env(&spec, &[None])), expected);
}

#[test]
fn a_made_up_port_follows_from_the_task_and_is_free() {
    let spec = mapped(&[(0, None), (0, None), (80, None)]);
    let ports = [None, None, None];
    let mut task = input(&spec, &ports);
    let made = task.effective_ports();
    assert_eq!(made, task.effective_ports());
    assert!(made[0].container > 1_024 && made[1].container > 1_024);
    assert_ne!(made[0].container, made[1].container);
    let all = task_env(&task);
    assert_eq!(all["PORT"], all["PORT0"]);
    assert_eq!(all["PORTS"], format!("{},{}", all["PORT0"], all["PORT1"]));
    assert_eq!(all[&format!("PORT_{}", all["PORT1"])], all["PORT1"]);
    let taken = mapped(&[(0, None), (made[0].container, None)]);
    let others = input(&taken, &ports[..2]).effective_ports();
    assert_ne!(others[0].container, made[0].container);
    task.incarnation = Incarnation(4);
    assert_ne!(made[0].container, task.effective_ports()[0].container);
}

#[test]
fn a_prefix_stands_before_ports_and_host_alone() {
    let mut spec = rig::spec("/web");
    spec.port_definitions = Some(vec![port(10_000, "http")]);
    let all = task_env(&TaskEnv { prefix: Some("FOO_"), ..input(&spec, &[Some(31_000)]) });
    for name in ["FOO_PORT", "FOO_PORT0", "FOO_PORTS", "FOO_PORT_10000", "FOO_PORT_HTTP"] {
        assert_eq!(all[name], "31000", "{name}");
    }
    assert_eq!(all["FOO_HOST"], "h1");
    assert_eq!(all["MARATHON_APP_ID"], "/web");
    assert!(!all.contains_key("HOST") && !all.contains_key("PORT0"));
}

#[test]
fn the_users_values_win_and_secrets_are_left_out() {
    // EN-1, EN-5.
    let mut spec = rig::spec("/web");
    spec.port_definitions = Some(vec![port(10_000, "http")]);
    let env_of_app = &mut spec.containers[0].env;
    for name in ["PORT0", "HOST", "MARATHON_APP_ID", "MARATHON_APP_LABELS", "MY"] {
        env_of_app.insert(name.into(), EnvValue::Plain("$mine".into()));
    }
    env_of_app.insert("PASSWORD".into(), EnvValue::Secret("pw".into()));
    env_of_app.insert("PORT".into(), EnvValue::Secret("pw".into()));
    let all = env(&spec, &[Some(31_000)]);
    for name in ["PORT0", "HOST", "MARATHON_APP_ID", "MARATHON_APP_LABELS", "MY"] {
        assert_eq!(all[name], "$mine", "{name}");
    }
    assert_eq!(all["PORTS"], "31000");
    assert!(!all.contains_key("PASSWORD") && !all.contains_key("PORT"));
}
