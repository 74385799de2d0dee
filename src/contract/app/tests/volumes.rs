//! The rules of volumes (contract 13.3–13.9).

#![expect(clippy::needless_pass_by_value, reason = "tables of literals")]

use serde_json::{Value, json};

use super::rules::check;
use super::{broken_rules, docker, spec};

fn persistent(volume: Value, members: Value) -> Value {
    let mut body = json!({
        "id": "/g/a", "cmd": "sleep 1", "role": "g",
        "container": {"type": "MESOS", "volumes": [volume]},
    });
    super::put(&mut body, members);
    body
}

fn disk(persistent: Value) -> Value {
    json!({"containerPath": "data", "mode": "RW", "persistent": persistent})
}

fn mesos_external(external: Value) -> Value {
    let volume = json!({"containerPath": "d", "mode": "RW", "external": external});
    docker(json!({"type": "MESOS", "volumes": [volume]}), json!({}))
}

fn dvdi(over: Value) -> Value {
    let mut external = json!({"provider": "dvdi", "name": "n", "options": {"dvdi/driver": "d"}});
    super::put(&mut external, over);
    external
}

fn csi(access_mode: &str, capability: Value) -> Value {
    let mut it = json!({"accessMode": access_mode, "accessType": "block"});
    super::put(&mut it, capability);
    json!({"provider": "csi", "name": "n", "options": {"pluginName": "p", "capability": it}})
}

#[test]
fn rules_of_persistent_volumes() {
    // Contract 13.3, 13.8, 13.9; PV-1.
    let volume = |it: Value| persistent(disk(it), json!({}));
    let at = |path: &str, mode: &str| {
        persistent(
            json!({"containerPath": path, "mode": mode, "persistent": {"size": 1}}),
            json!({}),
        )
    };
    let on_mount = |row: Value| volume(json!({"size": 1, "type": "mount", "constraints": [row]}));
    let place = "/container/volumes(0)/persistent";
    let unsupported = |error: &str| [format!("{place}/constraints {error}")];
    check(vec![
        (at("d", "RO"), &["/container/volumes(0)/mode does not equal RW"]),
        (at("..", "RW"), &["/container/volumes(0)/containerPath can not be one of (.,..)"]),
        (at("/d", "RW"), &["/container/volumes(0)/containerPath value must not contain \"/\""]),
        (
            volume(json!({"size": 0})),
            &["/container/volumes(0)/persistent/size got 0, expected more than 0"],
        ),
        (
            volume(json!({"size": 1, "maxSize": 2, "profileName": "p"})),
            &["/container/volumes(0)/persistent Only mount volumes can have maxSize"],
        ),
        (
            volume(json!({"size": 2, "maxSize": 2, "type": "mount"})),
            &["/container/volumes(0)/persistent Max size must be larger than size"],
        ),
        (
            volume(json!({"size": 2, "profileName": ""})),
            &["/container/volumes(0)/persistent/profileName must not be empty"],
        ),
        (
            volume(json!({"size": 2, "constraints": [["path", "LIKE", "x"]]})),
            &["/container/volumes(0)/persistent Constraints on root volumes are not supported"],
        ),
        (
            persistent(disk(json!({"size": 1})), json!({"role": "*"})),
            &["/role Resident apps cannot have the role *"],
        ),
        (
            persistent(disk(json!({"size": 1})), json!({"acceptedResourceRoles": ["g"]})),
            &["/acceptedResourceRoles A resident app must have `acceptedResourceRoles = [\"*\"]`."],
        ),
        (
            persistent(disk(json!({"size": 1})), json!({"unreachableStrategy": {}})),
            &["/ unreachableStrategy must be disabled for resident tasks"],
        ),
        (
            persistent(
                disk(json!({"size": 1})),
                json!({"upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 0.15}}),
            ),
            &["/upgradeStrategy/maximumOverCapacity got 0.15, expected 0.0"],
        ),
    ]);
    for (row, error) in [
        (json!(["path"]), "Missing field and operator"),
        (json!(["path", "LIKE", "("]), "Invalid regular expression"),
        (json!(["path", "UNIQUE"]), "Operator must be one of LIKE, UNLIKE"),
        (json!(["path", "UNLIKE", "x"]), "illegal volume constraint path,UNLIKE,x"),
        (json!(["path", "like", "x"]), "unknown constraint operator like"),
        (json!(["disk", "LIKE", "x"]), "Unsupported constraint disk,LIKE,x"),
    ] {
        assert_eq!(broken_rules(&on_mount(row)), unsupported(error).into());
    }
    spec(&on_mount(json!(["path", "LIKE", "/mnt/.*"])));
}

#[test]
fn rules_of_external_volumes() {
    // Contract 13.8.
    let label = "must match regular expression '^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$'";
    let rexray = |option: &str, value: &str| {
        mesos_external(dvdi(json!({"options": {"dvdi/driver": "rexray", option: value}})))
    };
    let place = "/container/volumes(0)/external";
    let cases: Vec<(Value, Vec<String>)> = vec![
        (
            mesos_external(dvdi(json!({"provider": "X"}))),
            vec![format!("{place}/provider is unknown provider"), format!("{place}/provider {label}")],
        ),
        (mesos_external(dvdi(json!({"name": null}))), vec![format!("{place}/name not defined")]),
        (mesos_external(dvdi(json!({"name": ""}))), vec![format!("{place}/name must not be empty")]),
        (mesos_external(dvdi(json!({"size": 0}))), vec![format!("{place}/size got 0, expected more than 0")]),
        (
            mesos_external(dvdi(json!({"options": {}}))),
            vec![format!("{place}/options(\"dvdi/driver\") not defined")],
        ),
        (
            mesos_external(dvdi(json!({"options": {"dvdi/driver": "D", "x": "y"}}))),
            vec![
                format!("{place}/options(\"dvdi/driver\") {label}"),
                format!(r"{place}/options/keys must match regular expression '^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?/[A-Za-z0-9](?:[-A-Za-z0-9\._:]*[A-Za-z0-9])?$'"),
            ],
        ),
        (rexray("dvdi/iops", "0"), vec![format!("{place}/options/\"dvdi/iops\" Expected a valid, positive integer instead of 0")]),
        (rexray("dvdi/overwritefs", "yes"), vec![format!("{place}/options/\"dvdi/overwritefs\" Expected a valid boolean")]),
        (rexray("dvdi/newfstype", "X"), vec![format!("{place}/options/\"dvdi/newfstype\" {label}")]),
        (mesos_external(csi("X", json!({}))), vec![format!(
            "{place}/options/capability/accessMode got X, expected one of: [SINGLE_NODE_WRITER, SINGLE_NODE_READER_ONLY, \
             MULTI_NODE_READER_ONLY, MULTI_NODE_SINGLE_WRITER, MULTI_NODE_MULTI_WRITER]"
        )]),
        (
            mesos_external(csi("SINGLE_NODE_WRITER", json!({"accessType": "mount"}))),
            vec![format!("{place}/options/capability/fsType not defined")],
        ),
        (
            mesos_external(csi("SINGLE_NODE_WRITER", json!({"accessType": "X"}))),
            vec![format!("{place}/options/capability/accessType got X, expected one of: [block, mount]")],
        ),
        (
            mesos_external(csi("MULTI_NODE_READER_ONLY", json!({}))),
            vec!["/container/volumes(0) CSI volume must be mounted readonly with a read-only access mode".into()],
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(broken_rules(&body), expected.into_iter().collect(), "{body}");
    }
}

#[test]
fn rules_of_external_volumes_among_each_other() {
    let one = json!({"containerPath": ".", "mode": "RO", "external": dvdi(json!({}))});
    let fine = json!({"containerPath": "d", "mode": "RW", "external": dvdi(json!({}))});
    let sized = json!({"containerPath": "d", "mode": "RW", "external": dvdi(json!({"size": 1, "options": {"dvdi/driver": "d", "dvdi/x": "y"}}))});
    let shared = json!({"containerPath": "d", "mode": "RW", "external": csi("MULTI_NODE_SINGLE_WRITER", json!({}))});
    let alone = json!({"containerPath": "d", "mode": "RW", "external": csi("SINGLE_NODE_WRITER", json!({}))});
    let body = |kind: &str, volumes: Value, instances: u32| {
        docker(json!({"type": kind, "volumes": volumes}), json!({"instances": instances}))
    };
    check(vec![
        (
            body("MESOS", json!([one]), 1),
            &[
                "/container/volumes(0)/mode does not equal RW",
                "/container/volumes(0)/containerPath can not be one of (.,..)",
            ],
        ),
        (
            body("DOCKER", json!([sized]), 1),
            &[
                "/container/volumes(0)/external/options must only contain dvdi/driver",
                "/container/volumes(0)/external/size must be undefined for Docker containers",
            ],
        ),
        (
            body("MESOS", json!([fine]), 2),
            &["/ Number of instances is limited to 1 when declaring DVDI volumes in app [/a]"],
        ),
        (
            body("MESOS", json!([fine, fine]), 1),
            &[
                "/ Requested DVDI volume 'n' is declared more than once within app /a",
                "/container/volumes Volume names must be unique",
            ],
        ),
        (
            body("MESOS", json!([alone]), 2),
            &["/instances got 2, expected 1 or less while non-shareable CSI volumes are defined"],
        ),
        (
            body("MESOS", json!([shared]), 2),
            &[
                "/instances got 2, expected 1 or less while a multi-node single-writer volume is defined mounted as read/write",
            ],
        ),
    ]);
    let spec = spec(&body("MESOS", json!([fine]), 1));
    assert_eq!(spec.upgrade.minimum_health.to_string(), "0.5");
}
