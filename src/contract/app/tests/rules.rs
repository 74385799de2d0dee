//! The rules of the last stage (contract 13.3–13.9).

#![expect(clippy::too_many_lines, reason = "tables of literals")]

use serde_json::{Value, json};

use super::{app, broken_rules, docker, set, spec};
use crate::contract::app::read_app;
use crate::contract::fault::{Fault, Options};
use crate::model::path::AppPath;

const MUST_RUN: &str =
    "/ AppDefinition must either contain one of 'cmd' or 'args', and/or a 'container'.";

/// Each body breaks exactly these rules.
pub(super) fn check(cases: Vec<(Value, &[&str])>) {
    for (body, expected) in cases {
        assert_eq!(broken_rules(&body), set(expected), "{body}");
    }
}

#[test]
fn rules_of_the_app_itself() {
    // Contract 13.3.
    let single = json!({"MARATHON_SINGLE_INSTANCE_APP": "true"});
    let none = json!({"minimumHealthCapacity": 0, "maximumOverCapacity": 0});
    check(vec![
        (
            app(json!({"id": "/a/restart"})),
            &[
                "/id must not end with any of the following reserved keywords: restart, tasks, versions, ., ..",
            ],
        ),
        (
            app(json!({"id": "/"})),
            &["/ must not be root", "/id Path must contain at least one path element"],
        ),
        (
            app(json!({"dependencies": ["/x", "/B"]})),
            &[
                r"/dependencies(1) must fully match regular expression '^(([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])\.)*([a-z0-9]|[a-z0-9][a-z0-9\-]*[a-z0-9])|(\.|\.\.)$'",
            ],
        ),
        (app(json!({"cmd": "x"})), &["/ must not be an empty string"]),
        (json!({"id": "/a"}), &[MUST_RUN]),
        (app(json!({"args": ["x"]})), &[MUST_RUN]),
        (json!({"id": "/a", "container": {"type": "MESOS"}}), &[MUST_RUN]),
        (app(json!({"fetch": [{"uri": "a b"}]})), &["/fetch(0)/uri URI has invalid syntax."]),
        (
            app(json!({"labels": {"DCOS_MIGRATION_API_VERSION": "v1"}})),
            &[
                "/ DCOS_PACKAGE_FRAMEWORK_NAME and DCOS_MIGRATION_API_PATH must be defined when using DCOS_MIGRATION_API_VERSION",
            ],
        ),
        (
            app(json!({"labels": single, "instances": 2, "upgradeStrategy": none})),
            &["/ Single instance app may only have one instance"],
        ),
        (
            app(json!({"labels": single})),
            &[
                "/upgradeStrategy/minimumHealthCapacity got 1.0, expected 0.0",
                "/upgradeStrategy/maximumOverCapacity got 1.0, expected 0.0",
                "/isSingleInstance must be false",
            ],
        ),
        (
            app(
                json!({"unreachableStrategy": {"inactiveAfterSeconds": 5, "expungeAfterSeconds": 2}}),
            ),
            &[
                "/unreachableStrategy/inactiveAfterSeconds inactiveAfterSeconds (5) must be less or equal to expungeAfterSeconds, which is 2",
            ],
        ),
    ]);
    spec(&app(json!({"labels": single, "upgradeStrategy": none})));
}

#[test]
fn rules_of_networks_and_ports() {
    // Contract 13.4, NW-1, NW-4.
    let two = json!([{"mode": "container", "name": "a"}, {"mode": "container", "name": "b"}]);
    let mesos = |mappings: Value, networks: &Value| {
        let container = json!({"type": "MESOS", "portMappings": mappings});
        app(json!({"container": container, "networks": networks}))
    };
    check(vec![
        (
            app(json!({"networks": [{"mode": "host", "name": "a"}]})),
            &["/networks Host networks may not have names or labels"],
        ),
        (
            app(json!({"networks": [{"mode": "container/bridge", "name": "a"}]})),
            &["/networks Bridge networks may not have names"],
        ),
        (
            app(json!({"networks": [{"name": "a"}, {"name": "a"}]})),
            &["/networks Duplicate networks are not allowed"],
        ),
        (
            app(json!({"networks": [{"mode": "host"}, {"mode": "container/bridge"}]})),
            &[
                "/networks May specify a single host network, single bridge network, or else 1-to-n container networks",
            ],
        ),
        (
            app(json!({"networks": [{"mode": "container"}]})),
            &["/networks Network name must be specified when container network is selected."],
        ),
        (
            docker(json!({}), json!({"networks": two})),
            &[
                "/ may only specify a single container network when using the Docker container engine",
            ],
        ),
        (
            app(
                json!({"portDefinitions": [{"name": "a", "port": 1}, {"name": "a", "port": 1}, {}]}),
            ),
            &[
                "/portDefinitions Port names must be unique.",
                "/portDefinitions Ports must be unique.",
            ],
        ),
        (
            app(json!({"ports": [-1, 70_000]})),
            &[
                "/portDefinitions(0)/port got -1, expected 0 or more",
                "/portDefinitions(1)/port got 70000, expected 65535 or less",
            ],
        ),
        (
            mesos(json!([{"name": "a"}, {"name": "a"}]), &json!([{"mode": "container/bridge"}])),
            &["/container/portMappings Port names must be unique."],
        ),
        (
            mesos(json!([{"hostPort": 0}, {"hostPort": 0, "networkNames": ["b"]}, {}]), &two),
            &[
                "/container/portMappings(0) networkNames must be a single item list when hostPort is specified and more than 1 container network is defined",
            ],
        ),
        (
            mesos(json!([{"networkNames": ["c"]}]), &two),
            &["/container/portMappings(0)/networkNames(0) is not one of (a,b)"],
        ),
    ]);
}

#[test]
fn rules_of_constraints_stand_without_an_index() {
    // Contract 13.5; the table of operators stands beside them.
    let body = app(json!({"constraints": [["a"], ["a", "MAX_PER"]]}));
    let expected = [
        "/constraints Each constraint must have either 2 or 3 fields",
        "/constraints MAX_PER requires an integer value",
    ];
    assert_eq!(broken_rules(&body), set(&expected));
}

#[test]
fn rules_of_checks() {
    // Contract 13.6.
    let checks = |it: Value| app(json!({"healthChecks": [it]}));
    let readiness = |it: Value| app(json!({"readinessChecks": [it]}));
    let no_port = "/healthChecks(0) Health check port indices must address an element of the ports array or container port mappings.";
    check(vec![
        (checks(json!({"portIndex": 1})), &[no_port]),
        (checks(json!({"portIndex": 1, "protocol": "MESOS_TCP"})), &[no_port]),
        (app(json!({"healthChecks": [{}], "portDefinitions": []})), &[no_port]),
        (
            checks(json!({"ipProtocol": "IPv6"})),
            &[
                "/healthChecks(0) IPv6 can only be used for container type DOCKER and Mesos http/https/tcp health checks",
            ],
        ),
        (
            app(json!({"healthChecks": [{"protocol": "MESOS_HTTP"}, {"protocol": "MESOS_TCP"}]})),
            &["/ AppDefinition can contain at most one Mesos health check"],
        ),
        (
            checks(json!({"protocol": "COMMAND"})),
            &["/healthChecks(0)/command a COMMAND health check needs a command"],
        ),
        (
            checks(json!({"protocol": "COMMAND", "command": {"value": "x"}, "port": 1})),
            &["/healthChecks(0) a COMMAND health check has neither path nor port"],
        ),
        (
            checks(json!({"command": {"value": "x"}})),
            &["/healthChecks(0)/command only a COMMAND health check has a command"],
        ),
        (app(json!({"check": {}})), &["/check must define exactly one of http, tcp or exec"]),
        (
            app(json!({"check": {"http": {}, "tcp": {}}})),
            &["/check must define exactly one of http, tcp or exec"],
        ),
        (
            app(json!({"check": {"http": {"scheme": "https"}}})),
            &["/check/http/scheme HTTPS is not supported for checks"],
        ),
        (
            app(json!({"check": {"exec": {"command": {"argv": ["x"]}}}})),
            &["/check/exec/command/argv argv is not supported for checks, use shell"],
        ),
        (
            app(json!({"check": {"tcp": {"portIndex": 9}}})),
            &[
                "/check/get check port index must address an element of the ports array or container port mappings.",
            ],
        ),
        (
            docker(json!({}), json!({"check": {"tcp": {}}})),
            &["/ AppDefinition must not use 'checks' if using docker"],
        ),
        (
            app(json!({"readinessChecks": [{"portName": "default"}, {"portName": "default"}]})),
            &["/readinessChecks/size got 2, expected 1 or less"],
        ),
        (
            readiness(json!({})),
            &["/readinessChecks(0)/portName No port definition reference for portName http-api"],
        ),
        (
            readiness(json!({"portName": "default", "timeoutSeconds": 30})),
            &["/readinessChecks(0)/timeoutSeconds got 30, expected less than 30"],
        ),
        (
            readiness(json!({"portName": "default", "name": ""})),
            &["/readinessChecks(0)/name must not be empty"],
        ),
    ]);
    let many = json!({"protocol": "COMMAND", "command": {"value": "x"}});
    let other = json!({"protocol": "COMMAND", "command": {"value": "y"}});
    spec(&app(json!({"healthChecks": [many, other, {"protocol": "MESOS_TCP"}]})));
}

#[test]
fn rules_of_containers() {
    // Contract 13.8.
    let mesos = |container: Value| {
        let mut inner = json!({"type": "MESOS"});
        super::put(&mut inner, container);
        app(json!({"container": inner}))
    };
    let seccomp = |it: Value| mesos(json!({"linuxInfo": {"seccomp": it}}));
    let pull = json!({"image": "i", "pullConfig": {"secret": "s"}});
    check(vec![
        (app(json!({"container": {}})), &["/container/docker not defined"]),
        (
            docker(json!({"docker": pull}), json!({"secrets": {"s": {"source": "x"}}})),
            &["/container/docker/pullConfig pullConfig is not supported with Docker containerizer"],
        ),
        (
            mesos(json!({"docker": pull})),
            &["/container/docker/pullConfig pullConfig.secret must refer to an existing secret"],
        ),
        (
            mesos(json!({"volumes": [{"containerPath": "a", "secret": "s"}]})),
            &["/container/volumes(0) volume.secret must refer to an existing secret"],
        ),
        (
            docker(
                json!({"volumes": [{"containerPath": "/t", "hostPath": "~/v", "mode": "RW"}]}),
                json!({}),
            ),
            &[
                "/container/volumes(0)/hostPath '~' means nothing to an agent, did you mean \"/home/<user>/v\"?",
            ],
        ),
        (
            seccomp(json!({"profileName": "p", "unconfined": true})),
            &[
                "/container/linuxInfo/seccomp Seccomp unconfined can NOT be true when Profile is defined",
            ],
        ),
        (
            seccomp(json!({"unconfined": "true"})),
            &[
                "/container/linuxInfo/seccomp Seccomp unconfined must be true when Profile is NOT defined",
            ],
        ),
        (
            mesos(json!({"linuxInfo": {"ipcInfo": {"mode": "SHARE_PARENT", "shmSize": 1}}})),
            &[
                "/container/linuxInfo/ipcInfo ipcInfo shmSize can NOT be set when mode is SHARE_PARENT",
            ],
        ),
    ]);
}

#[test]
fn rules_of_limits_secrets_and_roles() {
    // Contract 13.9, PL-3, PL-4.
    let roles = |roles: Value| app(json!({"acceptedResourceRoles": roles}));
    check(vec![
        (
            app(json!({"resourceLimits": {"cpus": "lots", "mem": 64}})),
            &[
                "/resourceLimits/cpus 'lots' is an invalid resource limit. It must be 'unlimited' or a number",
                "/resourceLimits/mem resource limit must be greater than or equal to requested resource (128.0)",
            ],
        ),
        (
            app(json!({"env": {"A": {"secret": "s"}}})),
            &["/env/A/secret references an undefined secret"],
        ),
        (app(json!({"env": {"": "x"}})), &["/env/keys(0) must not be empty"]),
        (app(json!({"secrets": {"": {"source": "x"}}})), &["/secrets/keys(0) must not be empty"]),
        (app(json!({"role": "x"})), &["/role got x, expected one of: [*]"]),
        (app(json!({"id": "/g/a", "role": "x"})), &["/role got x, expected one of: [*, g]"]),
        (roles(json!([])), &["/acceptedResourceRoles must not be empty"]),
        (roles(json!(["*", ""])), &["/acceptedResourceRoles(1) A role name must not be \"\"."]),
        (roles(json!(["."])), &["/acceptedResourceRoles(0) A role name must not be \".\"."]),
        (
            roles(json!(["-a"])),
            &["/acceptedResourceRoles(0) A role name must not start with a '-'."],
        ),
        (
            roles(json!(["a b/"])),
            &[
                "/acceptedResourceRoles(0) A role name must not include a space (\\x20) character.",
                "/acceptedResourceRoles(0) A role name must not include a slash (\\x2f) character.",
            ],
        ),
    ]);
    spec(&app(json!({"resourceLimits": {"cpus": "unlimited", "mem": 128}})));
    spec(&app(
        json!({"id": "/g/h/a", "role": "g", "acceptedResourceRoles": ["slave_public", "*"]}),
    ));
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let body = json!({
        "id": "/a/tasks", "cmd": "x", "args": ["y"], "role": "r",
        "networks": [{"mode": "host", "name": "n"}],
        "constraints": [["a"]],
        "healthChecks": [{"portIndex": 7}],
        "container": {"volumes": [{"containerPath": "/t", "hostPath": "~", "mode": "RW"}]},
    });
    assert_eq!(broken_rules(&body).len(), 9);
}

#[test]
fn an_app_of_a_group_is_its_child() {
    let base = AppPath::parse("/g").expect("a path");
    let options = Options::default();
    let named = |id: &str| read_app(&app(json!({"id": id})), &base, &options);
    assert_eq!(named("a").expect("an app").value.path.as_str(), "/g/a");
    assert!(matches!(
        named("/x/a"),
        Err(Fault::Invalid(problems)) if problems[0].error == "Identifier is not child of '/g'"
    ));
}

#[test]
fn gpus_are_taken_with_either_type_and_the_rest_has_defaults() {
    // seeds.md F11; contract 5.1.
    let spec = spec(&docker(json!({}), json!({"gpus": 2, "dependencies": ["b"]})));
    assert_eq!((spec.container().gpus, spec.container().cpus.to_string()), (2, "1".into()));
    assert_eq!(spec.dependencies.first().map(AppPath::as_str), Some("/b"));
    assert_eq!(spec.container().name, "_app");
    assert_eq!((spec.backoff.seconds, spec.backoff.factor.to_string()), (1, "1.15".into()));
}

#[test]
fn gpus_that_an_app_names_are_as_many_as_it_asks_for() {
    // seeds.md 1-6, 1-7, F10. Without `gpus` the variable is one like any other.
    let gpus = |gpus: u32, members: serde_json::Value| {
        let mut all = json!({"cmd": "nvidia-smi", "gpus": gpus});
        all.as_object_mut().expect("it").extend(members.as_object().expect("it").clone());
        app(all)
    };
    spec(&gpus(2, json!({"env": {"NV_GPU": "0,1,0"}})));
    spec(&gpus(2, json!({"labels": {"NV_GPU": "GPU-836c0c09,GPU-b78a60a"}})));
    spec(&gpus(0, json!({"env": {"NV_GPU": "none of it"}})));
    check(vec![
        (
            gpus(1, json!({"env": {"NV_GPU": "0,1"}})),
            &["/env/NV_GPU names 2 GPUs, and the app asks for 1 by 'gpus'"],
        ),
        (
            gpus(1, json!({"labels": {"NV_GPU": "0;1"}})),
            &[
                "/labels/NV_GPU must name GPUs by index or by UUID, separated by commas, as in '0,1' or 'GPU-836c0c09'",
            ],
        ),
    ]);
}

#[test]
fn more_instances_than_any_cluster_has_are_refused() {
    check(vec![(
        app(json!({"instances": 2_000_000_000})),
        &["/instances got 2000000000, expected 1000000 or less"],
    )]);
}
