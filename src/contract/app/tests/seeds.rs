//! The published definitions of fixtures/apps/ok become what their expectations say (seeds.md §1.6).

use serde_json::{Value, json};

use super::read;
use crate::contract::fault::Options;
use crate::contract::json::parse;
use crate::model::network::{NetworkMode, PortMapping};
use crate::model::spec::{ContainerKind, KillSelection, Sandbox, Spec, UnreachableStrategy};

macro_rules! seeds {
    ($($name:literal)+) => {
        [$((
            $name,
            include_str!(concat!("../../../../fixtures/apps/ok/", $name, ".json")),
            include_str!(concat!("../../../../fixtures/apps/ok/", $name, ".expected.json")),
        )),+]
    };
}

/// Name, text and expectation.
const SEEDS: [(&str, &str, &str); 7] = seeds![
    "docker-gpu-test" "memcached" "memcached-again" "nordicdatasummit" "nordicdatasummit-again"
    "simple-app" "simple-app-again"
];

/// The members that expectations speak of; the whole answer is written elsewhere.
fn shown(spec: &Spec) -> Value {
    let container = spec.container();
    let number = |text: String| text.parse::<f64>().expect("a decimal");
    let mode = |mode| match mode {
        NetworkMode::Host => "host",
        NetworkMode::Bridge => "container/bridge",
        NetworkMode::Container => "container",
    };
    let unreachable = match spec.unreachable {
        UnreachableStrategy::Disabled => json!("disabled"),
        UnreachableStrategy::After { inactive_seconds, expunge_seconds } => json!({
            "inactiveAfterSeconds": inactive_seconds, "expungeAfterSeconds": expunge_seconds,
        }),
    };
    json!({
        "id": spec.path.as_str(),
        "cmd": container.cmd,
        "instances": spec.instances,
        "cpus": number(container.cpus.to_string()),
        "mem": number(container.mem.to_string()),
        "disk": number(container.disk.to_string()),
        "gpus": container.gpus,
        "requirePorts": spec.require_ports,
        "maxLaunchDelaySeconds": spec.backoff.max_seconds,
        "killSelection": match spec.kill_selection {
            KillSelection::YoungestFirst => "YOUNGEST_FIRST",
            KillSelection::OldestFirst => "OLDEST_FIRST",
        },
        "networks": spec.networks.iter().map(|it| json!({"mode": mode(it.mode)})).collect::<Vec<_>>(),
        "container": container.sandbox.as_ref().map(sandbox),
        "upgradeStrategy": {
            "minimumHealthCapacity": number(spec.upgrade.minimum_health.to_string()),
            "maximumOverCapacity": number(spec.upgrade.over_capacity.to_string()),
        },
        "unreachableStrategy": unreachable,
    })
}

fn sandbox(sandbox: &Sandbox) -> Value {
    let mapping = |it: &PortMapping| {
        json!({
            "containerPort": it.container_port, "hostPort": it.host_port, "name": it.name,
            "protocol": it.protocol.as_str(), "labels": it.labels,
        })
    };
    let image = sandbox.docker.as_ref().expect("an image");
    json!({
        "type": if sandbox.kind == ContainerKind::Docker { "DOCKER" } else { "MESOS" },
        "docker": {
            "image": image.image, "privileged": image.privileged, "forcePullImage": image.force_pull,
        },
        "portMappings": sandbox.port_mappings.iter().flatten().map(mapping).collect::<Vec<_>>(),
    })
}

/// Whether everything of `expected` stands in `found`.
fn covers(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|it| covers(it, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| covers(found, expected))
        }
        (Value::Number(found), Value::Number(expected)) => found.as_f64() == expected.as_f64(),
        (found, expected) => found == expected,
    }
}

#[test]
fn each_published_definition_becomes_what_is_expected() {
    for (path, text, expected) in SEEDS {
        let expected: Value = serde_json::from_str(expected).expect("it is JSON");
        let body = parse(text.as_bytes(), &Options::default()).expect("it is JSON");
        let read = read(&body.value).unwrap_or_else(|fault| panic!("{path}: {fault}"));
        let found = shown(&read.value);
        assert!(covers(&found, &expected["app"]), "{path}: {found:#}");
        let warnings: String = read.warnings.iter().map(|it| it.0.as_str()).collect();
        let words = expected["warnings"].as_array().expect("a list");
        assert_eq!(warnings.is_empty(), words.is_empty(), "{path}: {warnings}");
        for word in words {
            assert!(warnings.contains(word.as_str().expect("a word")), "{path}: {warnings}");
        }
    }
}

#[test]
fn our_own_first_apps_are_read_without_a_word() {
    for text in [
        include_str!("../../../../fixtures/apps/try/hello.json"),
        include_str!("../../../../fixtures/apps/try/web.json"),
        include_str!("../../../../fixtures/apps/try/crash.json"),
    ] {
        let body = parse(text.as_bytes(), &Options::default()).expect("it is JSON").value;
        assert_eq!(read(&body).expect("an app").warnings, []);
    }
}
