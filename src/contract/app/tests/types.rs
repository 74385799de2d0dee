//! The type stage (contract 4).

#![expect(clippy::too_many_lines, reason = "a table")]

use serde_json::json;

use super::{app, docker, read, set, spec, type_faults};
use crate::contract::app::read_app;
use crate::contract::fault::{Fault, Options, Problem};
use crate::model::path::AppPath;

#[test]
fn each_type_fault_names_its_place() {
    // Contract 4, 4.1, 4.2, 4.3.
    let cases = [
        (json!({"cmd": "x y"}), "/id 'id' is undefined on object: {\"cmd\":\"x y\"}"),
        (json!([]), " [] is not an object"),
        (app(json!({"id": "A"})), "/id error.pattern"),
        (app(json!({"id": ""})), "/id error.minLength"),
        (app(json!({"id": null})), "/id error.expected.jsstring"),
        (app(json!({"cmd": ""})), "/cmd error.minLength"),
        (app(json!({"cmd": 5})), "/cmd error.expected.jsstring"),
        (app(json!({"instances": "two"})), "/instances error.expected.jsnumber"),
        (app(json!({"instances": 1.5})), "/instances error.expected.int"),
        (app(json!({"instances": -1})), "/instances error.min"),
        (app(json!({"cpus": -0.1})), "/cpus error.min"),
        (app(json!({"mem": []})), "/mem error.expected.jsnumber"),
        (app(json!({"backoffFactor": 0.5})), "/backoffFactor error.min"),
        (app(json!({"executor": "a//b"})), "/executor error.pattern"),
        (app(json!({"executorResources": {"mem": 1}})), "/executorResources/mem error.min"),
        (app(json!({"requirePorts": "true"})), "/requirePorts error.expected.jsboolean"),
        (app(json!({"args": {}})), "/args error.expected.jsarray"),
        (app(json!({"labels": {"a": 1}})), "/labels/a error.expected.jsstring"),
        (app(json!({"env": {"A": 1}})), "/env/A error.expected.jsobject"),
        (app(json!({"env": {"A": {}}})), "/env/A/secret error.path.missing"),
        (
            app(json!({"constraints": [["a", "IS", 2]]})),
            "/constraints(0)(2) error.expected.jsstring",
        ),
        (
            app(json!({"secrets": {"a": {}}})),
            "/secrets/a/source 'source' is undefined on object: {}",
        ),
        (app(json!({"secrets": {"a": {"source": ""}}})), "/secrets/a/source error.minLength"),
        (app(json!({"fetch": [{}]})), "/fetch(0)/uri 'uri' is undefined on object: {}"),
        (app(json!({"fetch": ["x"]})), "/fetch(0) \"x\" is not an object"),
        (app(json!({"portDefinitions": [{"port": 65536}]})), "/portDefinitions(0)/port error.max"),
        (
            app(json!({"portDefinitions": [{"name": "A"}]})),
            "/portDefinitions(0)/name error.pattern",
        ),
        (
            app(json!({"portDefinitions": [{"protocol": "sctp"}]})),
            "/portDefinitions(0)/protocol error.unknown.enum.literal",
        ),
        (app(json!({"networks": [{"mode": "x"}]})), "/networks(0)/mode error.unknown.enum.literal"),
        (app(json!({"networks": [{"name": "a."}]})), "/networks(0)/name error.pattern"),
        (
            app(json!({"ipAddress": {"discovery": {"ports": [{}]}}})),
            "/ipAddress/discovery/ports(0)/name error.path.missing",
        ),
        (app(json!({"ipAddress": {"networkName": ""}})), "/ipAddress/networkName error.minLength"),
        (
            app(json!({"healthChecks": [{"protocol": "X"}]})),
            "/healthChecks(0)/protocol error.unknown.enum.literal",
        ),
        (
            app(json!({"healthChecks": [{"command": {}}]})),
            "/healthChecks(0)/command/value error.path.missing",
        ),
        (
            app(json!({"healthChecks": [{"command": 1}]})),
            "/healthChecks(0)/command error.expected.jsobject",
        ),
        (
            app(json!({"healthChecks": [{"gracePeriodSeconds": -1}]})),
            "/healthChecks(0)/gracePeriodSeconds error.min",
        ),
        (app(json!({"check": {"exec": {}}})), "/check/exec/command error.path.missing"),
        (
            app(json!({"check": {"exec": {"command": {}}}})),
            "/check/exec/command/argv 'argv' is undefined on object: {}",
        ),
        (
            app(json!({"readinessChecks": [{"timeoutSeconds": 0}]})),
            "/readinessChecks(0)/timeoutSeconds error.min",
        ),
        (
            app(json!({"readinessChecks": [{"httpStatusCodesForReady": [99]}]})),
            "/readinessChecks(0)/httpStatusCodesForReady(0) error.min",
        ),
        (
            app(json!({"readinessChecks": [{"httpStatusCodesForReady": []}]})),
            "/readinessChecks(0)/httpStatusCodesForReady error.minLength",
        ),
        (
            app(json!({"readinessChecks": [{"path": ""}]})),
            "/readinessChecks(0)/path error.minLength",
        ),
        (
            app(json!({"upgradeStrategy": {"minimumHealthCapacity": 1}})),
            "/upgradeStrategy/maximumOverCapacity 'maximumOverCapacity' is undefined on object: {\"minimumHealthCapacity\":1}",
        ),
        (
            app(json!({"upgradeStrategy": {"minimumHealthCapacity": 2, "maximumOverCapacity": 0}})),
            "/upgradeStrategy/minimumHealthCapacity error.max",
        ),
        (
            app(
                json!({"upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 0, "deadlineSeconds": 0}}),
            ),
            "/upgradeStrategy/deadlineSeconds error.min",
        ),
        (
            app(
                json!({"upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 0, "onFailure": "stop"}}),
            ),
            "/upgradeStrategy/onFailure error.unknown.enum.literal",
        ),
        (app(json!({"drainSeconds": -1})), "/drainSeconds error.min"),
        (
            app(json!({"unreachableStrategy": {"inactiveAfterSeconds": -1}})),
            "/unreachableStrategy/inactiveAfterSeconds error.min",
        ),
        (
            app(json!({"unreachableStrategy": {"inactiveAfterSeconds": 1.5}})),
            "/unreachableStrategy/inactiveAfterSeconds error.expected.long",
        ),
        (
            app(json!({"resourceLimits": {"cpus": true}})),
            "/resourceLimits/cpus error.expected.jsstring",
        ),
        (app(json!({"killSelection": "X"})), "/killSelection error.unknown.enum.literal"),
        (app(json!({"version": "yesterday"})), "/version error.expected.date.isoformat"),
        (docker(json!({"type": "X"}), json!({})), "/container/type error.unknown.enum.literal"),
        (
            docker(json!({"docker": {}}), json!({})),
            "/container/docker/image 'image' is undefined on object: {}",
        ),
        (
            docker(json!({"docker": {"image": ""}}), json!({})),
            "/container/docker/image error.minLength",
        ),
        (docker(json!({"docker": "x"}), json!({})), "/container/docker \"x\" is not an object"),
        (
            docker(json!({"docker": {"image": "i", "credential": {}}}), json!({})),
            "/container/docker/credential/principal error.path.missing",
        ),
        (
            docker(json!({"docker": {"image": "i", "parameters": [{"key": "a"}]}}), json!({})),
            "/container/docker/parameters(0)/value 'value' is undefined on object: {\"key\":\"a\"}",
        ),
        (
            docker(json!({"linuxInfo": 1}), json!({})),
            "/container/linuxInfo error.expected.jsobject",
        ),
        (
            docker(json!({"linuxInfo": {"ipcInfo": {}}}), json!({})),
            "/container/linuxInfo/ipcInfo/mode error.path.missing",
        ),
        (
            docker(json!({"portMappings": [{"hostPort": -1}]}), json!({})),
            "/container/portMappings(0)/hostPort error.min",
        ),
        (
            docker(json!({"volumes": [{"containerPath": "a", "mode": "RO"}]}), json!({})),
            "/container/volumes(0)/hostPath 'hostPath' is undefined on object: {\"containerPath\":\"a\",\"mode\":\"RO\"}",
        ),
        (
            docker(
                json!({"volumes": [{"containerPath": "a", "hostPath": "/b", "mode": "X"}]}),
                json!({}),
            ),
            "/container/volumes(0)/mode error.unknown.enum.literal",
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(type_faults(&body), set(&[expected]), "{body}");
    }
}

#[test]
fn all_type_faults_are_told_at_once() {
    let body = app(json!({
        "instances": "two", "cpus": true,
        "container": {"volumes": [{}], "docker": {}},
        "upgradeStrategy": {"minimumHealthCapacity": 2, "maximumOverCapacity": -1},
    }));
    let expected = [
        "/instances error.expected.jsnumber",
        "/cpus error.expected.jsnumber",
        "/container/volumes(0)/containerPath 'containerPath' is undefined on object: {}",
        "/container/volumes(0)/hostPath 'hostPath' is undefined on object: {}",
        "/container/volumes(0)/mode 'mode' is undefined on object: {}",
        "/container/docker/image 'image' is undefined on object: {}",
        "/upgradeStrategy/minimumHealthCapacity error.max",
        "/upgradeStrategy/maximumOverCapacity error.min",
    ];
    assert_eq!(type_faults(&body), set(&expected));
}

#[test]
fn what_marathon_lets_pass_passes() {
    // Contract 4: null is absent, objects of options may be anything, enumerations have any case, sets collapse.
    let body = app(json!({
        "ports": null, "dependencies": null, "user": null, "role": "",
        "instances": 2.0,
        "killSelection": "oldest_first",
        "healthChecks": ["x", {}],
        "portDefinitions": [7],
        "constraints": [["hostname", "unique"], ["hostname", "UNIQUE"]],
        "unreachableStrategy": "whatever",
        "tasksRunning": 1, "deployments": [], "versionInfo": {}, "storeUrls": [],
        "version": "2015-04-17T14:27:51+02:00",
    }));
    let spec = spec(&body);
    assert_eq!((spec.instances, spec.role.as_str()), (2, "*"));
    assert_eq!((spec.health_checks.len(), spec.constraints.len()), (1, 1));
}

#[test]
fn strange_members_are_told_and_strictness_refuses_them() {
    let body = docker(json!({"volums": []}), json!({"instances": "2", "cpu": 1, "tasks": []}));
    let warnings: Vec<String> =
        read(&body).expect("an app").warnings.into_iter().map(|warning| warning.0).collect();
    assert_eq!(
        warnings,
        [
            "coerced /instances",
            "unknown /container/volums ignored, did you mean \"volumes\"?",
            "unknown /cpu ignored, did you mean \"cpus\"?",
        ]
    );
    let strict = Options { strict: true, ..Options::default() };
    let Err(Fault::Type(problems)) = read_app(&body, &AppPath::root(), &strict) else {
        panic!("strictness takes it")
    };
    let expected = [
        Problem::new("/container/volums", "unknown field \"volums\", did you mean \"volumes\"?"),
        Problem::new("/instances", "error.expected.jsnumber"),
        Problem::new("/cpu", "unknown field \"cpu\", did you mean \"cpus\"?"),
    ];
    assert_eq!(problems, expected);
}
