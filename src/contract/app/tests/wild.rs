//! Bodies that no one writes on purpose: whatever is sent is read or refused, never a panic, and an accepted app is sound.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::{app, broken_rules, docker, read, read_update, type_faults};
use crate::contract::app::Update;
use crate::contract::fault::Options;

/// Names that mean something somewhere, so that strange values get to strange places.
const NAMES: &[&str] = &[
    "id",
    "cmd",
    "args",
    "env",
    "instances",
    "cpus",
    "mem",
    "memory",
    "gpus",
    "constraints",
    "fetch",
    "uri",
    "uris",
    "ports",
    "portDefinitions",
    "port",
    "portIndex",
    "name",
    "labels",
    "container",
    "type",
    "docker",
    "image",
    "network",
    "portMappings",
    "hostPort",
    "containerPort",
    "networkNames",
    "volumes",
    "containerPath",
    "hostPath",
    "mode",
    "persistent",
    "size",
    "maxSize",
    "external",
    "provider",
    "options",
    "healthChecks",
    "protocol",
    "command",
    "value",
    "check",
    "http",
    "exec",
    "readinessChecks",
    "upgradeStrategy",
    "minimumHealthCapacity",
    "maximumOverCapacity",
    "networks",
    "ipAddress",
    "discovery",
    "residency",
    "resourceLimits",
    "secrets",
    "secret",
    "source",
    "role",
    "acceptedResourceRoles",
    "unreachableStrategy",
    "version",
    "linuxInfo",
    "seccomp",
    "strange",
];
const TEXTS: &[&str] = &[
    "",
    "/a",
    "a/b",
    "..",
    "2",
    "0.25",
    "host",
    "BRIDGE",
    "container",
    "MESOS",
    "docker",
    "HTTP",
    "COMMAND",
    "RW",
    "unlimited",
    "UNIQUE",
    "LIKE",
    "(",
    "http://h/a b",
    "~/x",
    "dvdi",
    "csi",
    "2015-04-17T12:27:51Z",
    "ä",
];

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3_i64..70_000).prop_map(Value::from),
        (-1.0..1e20_f64).prop_map(Value::from),
        prop::sample::select(TEXTS).prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            object(inner).prop_map(Value::Object),
        ]
    })
}

fn object(inner: impl Strategy<Value = Value>) -> impl Strategy<Value = Map<String, Value>> {
    let member = (prop::sample::select(NAMES), inner);
    prop::collection::vec(member, 0..7).prop_map(|members| {
        members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn whatever_is_sent_is_read_or_refused(body in value(), members in object(value())) {
        let _ = read(&body);
        let mut whole = json!({"id": "/a", "cmd": "sleep 1"});
        super::put(&mut whole, Value::Object(members.clone()));
        if let Ok(read) = read(&whole) {
            prop_assert_eq!(read.value.containers.len(), 1);
            prop_assert!(!read.value.networks.is_empty() && !read.value.path.is_root());
        }
        if let Ok(update) = read_update(&Value::Object(members), &Options::default())
            && let Update::Change(update) = update.value
        {
            let current = super::spec(&super::app(json!({})));
            if let Ok(spec) = update.merge(&current, &Options::default()) {
                // What was merged once changes no more when it is merged again.
                let again = update.merge(&spec, &Options::default());
                prop_assert_eq!(again, Ok(spec));
            }
        }
    }
}

#[test]
fn an_answer_is_no_larger_than_a_person_can_read() {
    let wrong: Vec<u32> = vec![0; 5_000];
    assert_eq!(type_faults(&app(json!({"args": wrong}))).len(), 1_000);
    let volume = json!({"containerPath": "/t", "hostPath": "~", "mode": "RW"});
    let volumes = vec![volume; 5_000];
    assert_eq!(broken_rules(&docker(json!({"volumes": volumes}), json!({}))).len(), 1_000);
    let strangers: Map<String, Value> =
        (0..5_000).map(|n| (format!("stranger{n}"), json!(1))).collect();
    let warnings = read(&app(Value::Object(strangers))).expect("an app").warnings;
    assert_eq!((warnings.len(), warnings[31].0.as_str()), (32, "and more"));
    let long = json!({ "x".repeat(10_000): 1 });
    let warnings = read(&app(long)).expect("an app").warnings;
    assert!(warnings[0].0.chars().count() < 200, "{}", warnings[0].0);
}
