//! Legacy members: their rules and what they become (contract 5.2, 13.2).

use serde_json::{Value, json};

use super::{app, broken_rules, docker, illegal, set, spec};
use crate::contract::app::read_app;
use crate::contract::fault::Options;
use crate::model::network::{Network, NetworkMode, PortMapping, Protocol};
use crate::model::path::AppPath;
use crate::model::spec::{ContainerKind, Spec};

fn bridged(members: Value) -> Value {
    docker(json!({"docker": {"image": "i", "network": "BRIDGE"}}), members)
}

fn first(spec: &Spec) -> (NetworkMode, Option<&str>, usize) {
    let Network { mode, name, labels } = &spec.networks[0];
    (*mode, name.as_deref(), labels.len())
}

#[test]
fn rules_of_legacy_members_come_before_all_others() {
    // Contract 13.2.
    let mesos = |image: Value| {
        let mut docker = json!({"image": "i"});
        super::put(&mut docker, image);
        json!({"id": "/a", "container": {"type": "MESOS", "docker": docker}})
    };
    let cases: Vec<(Value, &[&str])> = vec![
        (
            docker(json!({"docker": {"image": "i", "credential": {"principal": "p"}}}), json!({})),
            &["/container/docker/credential must be empty"],
        ),
        (mesos(json!({"network": "HOST"})), &["/container/docker/network must be empty"]),
        (
            mesos(json!({"parameters": [{"key": "a", "value": "b"}]})),
            &["/container/docker/parameters must be empty"],
        ),
        (mesos(json!({"portMappings": []})), &["/container/docker/portMappings must be empty"]),
        (
            docker(
                json!({"docker": {"image": "i", "portMappings": [{"name": "a"}, {"name": "a"}]}}),
                json!({}),
            ),
            &["/container/docker/portMappings Port names must be unique."],
        ),
        (
            docker(json!({}), json!({"ipAddress": {"discovery": {}}})),
            &["/ipAddress ipAddress/discovery is not allowed for Docker containers"],
        ),
        (
            app(json!({"uris": ["a b"], "fetch": [{"uri": "x"}]})),
            &["/uris(0) URI has invalid syntax.", "/uris may not be set in conjunction with fetch"],
        ),
        (
            bridged(json!({"networks": [{"mode": "host"}]})),
            &["/ must not specify both container.docker.network and networks"],
        ),
        (
            app(json!({"ipAddress": {}, "networks": [{"mode": "host"}]})),
            &["/ must not specify both networks and ipAddress"],
        ),
        (app(json!({"ports": [0, 0, 7, 7]})), &["/ ports must be unique"]),
        (
            app(json!({"ipAddress": {}, "ports": [0]})),
            &["/ cannot specify both an IP address and port"],
        ),
        (
            app(json!({"ports": [1], "portDefinitions": [{"port": 2}]})),
            &["/ cannot specify both ports and port definitions"],
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(broken_rules(&body), set(expected), "{body}");
    }
    let also_broken = bridged(json!({"networks": [{"mode": "host"}], "constraints": [["a"]]}));
    assert_eq!(broken_rules(&also_broken).len(), 1);
}

#[test]
fn contradictions_are_refused_in_marathons_words_without_its_500() {
    // Contract 2.1.
    let both = json!({
        "docker": {"image": "i", "network": "BRIDGE", "portMappings": [{}]},
        "portMappings": [],
    });
    assert_eq!(
        illegal(&docker(both, json!({}))),
        "cannot specify both portMappings and docker.portMappings"
    );
    let none = docker(json!({"docker": {"image": "i", "network": "NONE"}}), json!({}));
    assert_eq!(illegal(&none), "unsupported docker network type NONE");
    let discovery = json!({"networkName": "n", "discovery": {"ports": [{"name": "a"}]}});
    let both =
        app(json!({"container": {"type": "MESOS", "portMappings": []}, "ipAddress": discovery}));
    assert_eq!(
        illegal(&both),
        "container.portMappings and ipAddress.discovery.ports must not both be set"
    );
}

#[test]
fn legacy_networks_become_networks() {
    // The table of contract 5.2.
    let network =
        |network: Value| docker(json!({"docker": {"image": "i", "network": network}}), json!({}));
    assert_eq!(first(&spec(&network(json!("HOST")))), (NetworkMode::Host, None, 0));
    assert_eq!(first(&spec(&network(json!("bridge")))), (NetworkMode::Bridge, None, 0));
    let named = Options { default_network: Some("dcos".into()), ..Options::default() };
    let user = read_app(&network(json!("USER")), &AppPath::root(), &named).expect("an app").value;
    assert_eq!(first(&user), (NetworkMode::Container, Some("dcos"), 0));

    let address = json!({"networkName": "n", "labels": {"a": "b"}, "groups": ["g"]});
    let with = |network: Value| {
        let docker_section = json!({"docker": {"image": "i", "network": network}});
        spec(&docker(docker_section, json!({"ipAddress": address})))
    };
    assert_eq!(first(&with(json!("HOST"))), (NetworkMode::Host, None, 0));
    assert_eq!(first(&with(json!("USER"))), (NetworkMode::Container, Some("n"), 1));
    assert_eq!(first(&with(json!("BRIDGE"))), (NetworkMode::Bridge, None, 1));
    let plain = spec(&app(json!({"ipAddress": {"networkName": "mesos-bridge"}})));
    assert_eq!(first(&plain), (NetworkMode::Bridge, None, 0));
    let plain = spec(&app(json!({"ipAddress": address})));
    assert_eq!(first(&plain), (NetworkMode::Container, Some("n"), 1));
    assert_eq!(plain.container().sandbox.as_ref().map(|it| it.kind), Some(ContainerKind::Mesos));
}

#[test]
fn legacy_ports_and_files_become_theirs() {
    let host = spec(&app(json!({"ports": [0, 8080], "requirePorts": true})));
    assert_eq!(host.service_ports(), [0, 8080]);
    assert!(host.require_ports && host.ports()[0].name.is_none());

    let moved = json!({"docker": {"image": "i", "network": "BRIDGE", "portMappings": [{"containerPort": 80, "protocol": "TCP,UDP"}]}});
    let moved = spec(&docker(moved, json!({"requirePorts": true})));
    let expected = PortMapping {
        container_port: 80,
        host_port: Some(0),
        protocol: Protocol::Both,
        ..PortMapping::default()
    };
    assert_eq!(moved.port_mappings(), [expected]);
    assert!(!moved.require_ports && moved.port_definitions.is_none());

    let ports = json!([{"number": 53, "name": "dns", "protocol": "udp"}]);
    let found =
        spec(&app(json!({"ipAddress": {"networkName": "n", "discovery": {"ports": ports}}})));
    let mapping = &found.port_mappings()[0];
    assert_eq!(
        (mapping.container_port, mapping.host_port, mapping.protocol),
        (53, None, Protocol::Udp)
    );

    let files = spec(&app(json!({"uris": ["http://h/a.tgz", "http://h/b"]})));
    let extract: Vec<bool> = files.container().fetch.iter().map(|it| it.extract).collect();
    assert_eq!(extract, [true, false]);
}

#[test]
fn ports_that_nobody_wrote_are_made_at_creation() {
    // NW-3; contract 5.2 steps 5 to 13.
    let names = |body: &Value| -> Vec<Option<String>> {
        let spec = spec(body);
        let defined = spec.ports().iter().map(|port| port.name.clone());
        defined.chain(spec.port_mappings().iter().map(|port| port.name.clone())).collect()
    };
    let default = || Some("default".to_owned());
    assert_eq!(names(&app(json!({}))), [default()]);
    assert_eq!(names(&app(json!({"portDefinitions": []}))), []);
    assert_eq!(names(&bridged(json!({}))), [default()]);
    assert_eq!(
        names(&docker(
            json!({"portMappings": []}),
            json!({"networks": [{"mode": "container/bridge"}]})
        )),
        []
    );
    assert_eq!(names(&bridged(json!({"portDefinitions": [{}, {}]}))), [default(), None]);
    assert_eq!(names(&docker(json!({"portMappings": [{"name": "x"}]}), json!({}))), [default()]);
    assert_eq!(names(&app(json!({"networks": [{"name": "n"}]}))), [default()]);

    let checked = spec(&app(
        json!({"healthChecks": [{"protocol": "TCP"}, {"protocol": "HTTP", "port": 80}]}),
    ));
    let indices: Vec<Option<u32>> = checked.health_checks.iter().map(|it| it.port_index).collect();
    assert_eq!(indices, [None, Some(0)]);
}
