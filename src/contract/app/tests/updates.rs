//! Partial updates and rollbacks (contract 5.8, 5.9).

use serde_json::{Value, json};

use super::{app, docker, read_update, set, spec, told};
use crate::contract::app::{AppUpdate, Update};
use crate::contract::fault::{Fault, Options};
use crate::model::network::NetworkMode;
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;

fn update(body: &Value) -> AppUpdate {
    match read_update(body, &Options::default()) {
        Ok(read) => match read.value {
            Update::Change(update) => *update,
            Update::Rollback(version) => panic!("{body}: rolls back to {version}"),
        },
        Err(fault) => panic!("{body}: {fault}"),
    }
}

fn merge(current: &Spec, body: &Value) -> Result<Spec, Fault> {
    update(body).merge(current, &Options::default())
}

fn merged(current: &Spec, body: &Value) -> Spec {
    merge(current, body).unwrap_or_else(|fault| panic!("{body}: {fault}"))
}

fn illegal(current: &Spec, body: &Value) -> String {
    match merge(current, body) {
        Err(Fault::Illegal(message)) => message,
        other => panic!("{body}: {other:?}"),
    }
}

fn rich() -> Spec {
    spec(&docker(
        json!({
            "portMappings": [{"containerPort": 80, "hostPort": 8080, "servicePort": 10_001, "name": "web"}],
            "volumes": [{"containerPath": "/t", "hostPath": "/v", "mode": "RO"}],
        }),
        json!({
            "id": "/g/a", "role": "g", "instances": 3, "cmd": "sleep 1", "cpus": 0.5, "gpus": 1,
            "networks": [{"mode": "container/bridge", "labels": {"a": "b"}}],
            "env": {"A": "1", "S": {"secret": "s"}}, "secrets": {"s": {"source": "x"}},
            "labels": {"l": "m"}, "constraints": [["hostname", "UNIQUE"]],
            "healthChecks": [{"protocol": "TCP"}], "acceptedResourceRoles": ["*", "g"],
            "readinessChecks": [{"portName": "web"}], "dependencies": ["b"],
            "taskKillGracePeriodSeconds": 3, "tty": true, "user": "u", "executor": "/x",
            "fetch": [{"uri": "http://h/a"}], "unreachableStrategy": "disabled",
        }),
    ))
}

#[test]
fn an_update_that_says_nothing_changes_nothing() {
    let current = rich();
    for body in [json!({}), json!([]), json!("x"), json!(null), json!({"id": "other", "cmd": null})]
    {
        assert_eq!(merged(&current, &body), current, "{body}");
    }
    assert!(update(&json!([])).is_empty());
    assert!(!update(&json!({"instances": 1})).is_empty());
}

#[test]
fn members_are_replaced_whole_and_the_two_quirks_clear() {
    // Contract 5.8.
    let extra = json!({"executorResources": {}, "resourceLimits": {"mem": "unlimited"}});
    let current = merged(&rich(), &extra);
    assert!(current.executor_resources.is_some() && current.container().limits.is_some());
    let next = merged(&current, &json!({"env": {"B": "2"}, "labels": {}, "instances": 1}));
    assert_eq!(next.container().env.len(), 1);
    assert!(next.labels.is_empty() && next.instances == 1);
    assert!(next.executor_resources.is_none() && next.container().limits.is_none());
    assert_eq!(next.container().sandbox, current.container().sandbox);
    assert_eq!(next.health_checks, current.health_checks);
}

#[test]
fn a_result_that_breaks_rules_is_refused_with_all_of_them() {
    let body = json!({"args": ["x"], "constraints": [["a"]], "role": "other"});
    let Err(Fault::Invalid(problems)) = merge(&rich(), &body) else { panic!("it is taken") };
    let expected = [
        "/ AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.",
        "/constraints Each constraint must have either 2 or 3 fields",
        "/role got other, expected one of: [*, g]",
    ];
    assert_eq!(told(problems), set(&expected));
}

#[test]
fn the_role_that_an_app_has_stays_allowed() {
    // PL-3.
    let other = Options { default_role: "slave".into(), ..Options::default() };
    let next = update(&json!({"instances": 1})).merge(&spec(&app(json!({}))), &other);
    assert_eq!(next.expect("an app").role, "*");
}

#[test]
fn networks_change_and_the_container_stays() {
    // Contract 5.8, BETTER than its last quirk.
    let current = rich();
    let host = merged(&current, &json!({"networks": [{"mode": "host"}], "readinessChecks": []}));
    assert_eq!(host.container().image(), current.container().image());
    assert_eq!((host.port_mappings().len(), host.ports().len()), (0, 1));
    let back = merged(&host, &json!({"networks": [{"mode": "container/bridge"}]}));
    assert_eq!((back.port_mappings().len(), back.port_definitions.as_ref()), (1, None));
    assert_eq!(back.port_mappings()[0].host_port, Some(0));
    assert_eq!(back.container().volumes(), current.container().volumes());
    let named = merged(&host, &json!({"ipAddress": {"networkName": "n"}}));
    assert_eq!(named.networks[0].mode, NetworkMode::Container);
    assert_eq!(named.container().image(), current.container().image());
}

#[test]
fn legacy_members_of_an_update_are_translated_first() {
    let current = spec(&app(json!({})));
    let next = merged(&current, &json!({"ports": [7, 8], "uris": ["http://h/a.zip"]}));
    assert_eq!(next.service_ports(), [7, 8]);
    assert!(next.container().fetch[0].extract);
    let docker = json!({"container": {"docker": {"image": "i", "network": "BRIDGE", "portMappings": [{"containerPort": 80}]}}});
    let next = merged(&current, &docker);
    assert_eq!(next.networks[0].mode, NetworkMode::Bridge);
    assert_eq!(
        (next.port_mappings()[0].container_port, next.port_mappings()[0].host_port),
        (80, Some(0))
    );
    let ports = json!({"networkName": "n", "discovery": {"ports": [{"name": "a", "number": 1}]}});
    let next = merged(&current, &json!({"ipAddress": ports}));
    assert_eq!(next.port_mappings()[0].container_port, 1);
}

#[test]
fn contradictions_in_an_update_are_refused_in_marathons_words() {
    // Contract 2.1.
    let current = spec(&app(json!({})));
    let mixed = json!({"ipAddress": {}, "networks": [{"mode": "host"}]});
    assert_eq!(illegal(&current, &mixed), "cannot mix deprecated and canonical network APIs");
    let files = json!({"uris": ["a"], "fetch": [{"uri": "b"}]});
    assert_eq!(illegal(&current, &files), "cannot specify both uris and fetch fields");
    let discovery =
        json!({"ipAddress": {"networkName": "n", "discovery": {"ports": [{"name": "a"}]}}});
    assert_eq!(
        illegal(&rich(), &discovery),
        "ipAddress.discovery.ports do not apply for container type DOCKER"
    );
}

#[test]
fn a_version_alone_rolls_back() {
    // Contract 5.9.
    let at = Timestamp::parse("2015-04-17T12:27:51Z").expect("a time");
    let options = Options::default();
    for body in [
        json!({"version": "2015-04-17T12:27:51Z"}),
        json!({"id": "/a", "version": "2015-04-17T14:27:51.000+02:00"}),
    ] {
        let read = read_update(&body, &options).expect("an update");
        assert_eq!(read.value, Update::Rollback(at));
    }
    let mixed = read_update(&json!({"version": "2015-04-17T12:27:51Z", "instances": 2}), &options);
    let Err(Fault::Invalid(problems)) = mixed else { panic!("it is taken") };
    assert_eq!(
        told(problems),
        set(&["/ The 'version' field may only be combined with the 'id' field."])
    );
    let bad = read_update(&json!({"version": "x"}), &options);
    assert!(matches!(bad, Err(Fault::Type(problems)) if problems[0].path == "/version"));
}

#[test]
fn an_update_makes_an_app_where_there_is_none() {
    let path = AppPath::parse("/new/app").expect("a path");
    let made = update(&json!({"cmd": "sleep 1", "ports": [7]})).create(&path, &Options::default());
    let made = made.expect("an app");
    assert_eq!((made.path.as_str(), made.service_ports()), ("/new/app", vec![7]));
    let bare = update(&json!({"instances": 2})).create(&path, &Options::default());
    assert!(matches!(bare, Err(Fault::Invalid(_))));
}
