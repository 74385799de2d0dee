//! Tests of the App object.

use super::*;
use crate::contract::query::Embed;
use crate::contract::show::rig::{self, DEPLOYMENT, Rig, UUID, at};
use crate::model::app::Action;
use crate::model::check::{AppCheck, CheckProbe, HealthCheck, HealthProtocol, ReadinessCheck};
use crate::model::constraint::{Constraint, Operator};
use crate::model::instance::Condition;
use crate::model::network::{PortMapping, Protocol};
use crate::model::path::AppPath;
use crate::model::spec::{
    ContainerKind, DockerImage, ExecutorResources, IpcInfo, LinuxInfo, Parameter, ResourceLimits,
    Sandbox, Seccomp,
};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};
use crate::model::volume::{
    CsiAccess, DiskKind, ExternalVolume, PersistentVolume, Volume, VolumeMode,
};
use serde_json::{Map, Value, json};

/// What marathon-python knows of an app (contract 18.3).
const KNOWN: &str = "acceptedResourceRoles args backoffFactor backoffSeconds cmd constraints container cpus dependencies deployments \
     disk env executor healthChecks id role instances killSelection labels lastTaskFailure maxLaunchDelaySeconds mem \
     ports requirePorts storeUrls taskRateLimit tasks tasksRunning tasksStaged tasksHealthy \
     taskKillGracePeriodSeconds tasksUnhealthy upgradeStrategy unreachableStrategy uris user version versionInfo \
     ipAddress fetch taskStats readinessChecks readinessCheckResults secrets portDefinitions residency gpus networks";

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn shown(spec: &Spec) -> Value {
    parsed(&definition_submitted(spec, Version(at(123))))
}

/// A spec in which everything is set, on a container network.
fn full() -> Spec {
    let mut spec = rig::spec("/shop/web");
    spec.accepted_roles = Some(["*".to_owned(), "prod".to_owned()].into());
    spec.constraints = [
        Constraint { field: "hostname".into(), operator: Operator::Unique, value: None },
        Constraint { field: "rack".into(), operator: Operator::Like, value: Some("a\"b".into()) },
    ]
    .into();
    spec.dependencies = [AppPath::parse("/shop/db").expect("a path")].into();
    spec.labels = [("k\"".to_owned(), "v\n".to_owned())].into();
    spec.networks = vec![Network {
        mode: NetworkMode::Container,
        name: Some("net".into()),
        labels: [("a".to_owned(), "b".to_owned())].into(),
    }];
    spec.port_definitions = None;
    spec.secrets = [("pw".to_owned(), "/db/pw".to_owned())].into();
    spec.kill_grace_seconds = Some(30);
    spec.unreachable = UnreachableStrategy::Disabled;
    spec.kill_selection = KillSelection::OldestFirst;
    spec.upgrade.over_capacity = Ratio::micro(250_000);
    spec.executor = "//cmd".to_owned();
    spec.executor_resources = Some(ExecutorResources {
        cpus: Cpus::micro(100_000),
        mem: Mem::whole(32),
        disk: Disk::whole(10),
    });
    let runs = &mut spec.containers[0];
    runs.cmd = None;
    runs.args = vec!["a".into(), "b c".into()];
    runs.user = Some("nobody".into());
    runs.tty = Some(true);
    runs.env = [
        ("A".to_owned(), EnvValue::Plain("1".to_owned())),
        ("B".to_owned(), EnvValue::Secret("pw".to_owned())),
    ]
    .into();
    runs.limits =
        Some(ResourceLimits { cpus: Some(Limit::Unlimited), mem: Some(Limit::At(Mem::whole(64))) });
    runs.fetch = vec![Artifact {
        uri: "http://x/a.tgz".into(),
        extract: true,
        executable: false,
        cache: true,
        dest_path: Some("a".into()),
    }];
    runs.sandbox = Some(sandbox());
    spec
}

fn sandbox() -> Sandbox {
    Sandbox {
        kind: ContainerKind::Docker,
        docker: Some(DockerImage {
            image: "redis:7".into(),
            force_pull: true,
            privileged: true,
            parameters: vec![Parameter { key: "cap-add".into(), value: "NET_ADMIN".into() }],
            pull_secret: Some("pull".into()),
        }),
        volumes: Vec::new(),
        port_mappings: Some(vec![
            PortMapping { container_port: 80, host_port: Some(0), ..PortMapping::default() },
            PortMapping {
                container_port: 53,
                service_port: 10_053,
                protocol: Protocol::Both,
                name: Some("dns".into()),
                labels: [("VIP_0".to_owned(), "/x".to_owned())].into(),
                network_names: vec!["net".into()],
                ..PortMapping::default()
            },
        ]),
        linux_info: Some(LinuxInfo {
            seccomp: Some(Seccomp { profile_name: None, unconfined: true }),
            ipc: Some(IpcInfo { private: true, shm_size: Some(16) }),
        }),
    }
}

#[test]
fn the_create_of_19_1() {
    let body = app_info(
        &definition_submitted(&rig::spec("/web"), Version(at(123))),
        &Extras::created(Rig::deployment_id()),
    );
    let expected = [
        r#"{"id":"/web","backoffFactor":1.15,"backoffSeconds":1,"cmd":"sleep 1000","cpus":0.1,"disk":0.0,"executor":"","#,
        r#""instances":1,"labels":{},"maxLaunchDelaySeconds":300,"mem":32.0,"gpus":0,"networks":[{"mode":"host"}],"#,
        r#""portDefinitions":[{"port":0,"name":"default","protocol":"tcp"}],"requirePorts":false,"#,
        r#""upgradeStrategy":{"maximumOverCapacity":1.0,"minimumHealthCapacity":1.0},"#,
        r#""version":"2021-07-01T10:00:00.123Z","killSelection":"YOUNGEST_FIRST","#,
        r#""unreachableStrategy":{"inactiveAfterSeconds":0,"expungeAfterSeconds":0},"role":"*","#,
        r#""tasksStaged":0,"tasksRunning":0,"tasksHealthy":0,"tasksUnhealthy":0,"#,
        &format!(r#""deployments":[{{"id":"{DEPLOYMENT}"}}]}}"#),
    ];
    assert_eq!(body, expected.concat());
}

#[test]
fn a_stored_definition_has_its_version_info() {
    let text = definition(&rig::stored(rig::spec("/web")));
    let info = r#","version":"2021-07-01T10:00:00.123Z","versionInfo":{"lastScalingAt":"2021-07-01T10:00:00.123Z","lastConfigChangeAt":"2021-07-01T10:00:00.123Z"},"killSelection""#;
    assert!(text.contains(info), "{text}");
}

#[test]
fn an_app_with_all_its_life_has_only_keys_that_strict_clients_know() {
    // Contract 18.3 for an app with nothing optional set; 5.10's keys are then all there.
    let mut rig = Rig::new();
    rig.instance(1, Condition::Running);
    rig.deploy(Action::Restart, 0, 1, None);
    rig.fail();
    let embed = ["tasks", "counts", "readiness", "lastTaskFailure", "taskStats"];
    let extras = Extras::of(&rig.world, rig.app(), Embed::parse(embed), at(0));
    let list = app_list("apps", [(definition(rig.definition()), extras.clone())]);
    let single = parsed(&app_single(&definition(rig.definition()), &extras));
    let app = parsed(&list)["apps"][0].clone();
    assert_eq!(single["app"], app);
    for key in app.as_object().expect("an object").keys() {
        assert!(KNOWN.split_whitespace().any(|known| known == key), "{key}");
    }
    assert_eq!(app["deployments"], json!([{"id": DEPLOYMENT}]));
    assert_eq!(app["tasksRunning"], 1);
    assert_eq!(app["readinessCheckResults"], json!([]));
    assert_eq!(app["tasks"][0]["id"], format!("web.instance-{UUID}._app.1"));
    assert_eq!(app["lastTaskFailure"]["state"], "TASK_FAILED");
    assert_eq!(app["taskStats"]["totalSummary"]["stats"]["counts"]["running"], 1);
}

#[test]
fn no_app_at_all_is_an_empty_list() {
    assert_eq!(app_list("apps", [] as [(&str, Extras); 0]), r#"{"apps":[]}"#);
}

#[test]
fn optional_members_show_when_set_and_not_otherwise() {
    let optional = [
        ("acceptedResourceRoles", json!(["*", "prod"])),
        ("args", json!(["a", "b c"])),
        ("constraints", json!([["hostname", "UNIQUE"], ["rack", "LIKE", "a\"b"]])),
        ("dependencies", json!(["/shop/db"])),
        ("env", json!({"A": "1", "B": {"secret": "pw"}})),
        ("executorResources", json!({"cpus": 0.1, "mem": 32.0, "disk": 10.0})),
        (
            "fetch",
            json!([{"uri": "http://x/a.tgz", "extract": true, "executable": false, "cache": true, "destPath": "a"}]),
        ),
        ("resourceLimits", json!({"cpus": "unlimited", "mem": 64.0})),
        ("secrets", json!({"pw": {"source": "/db/pw"}})),
        ("taskKillGracePeriodSeconds", json!(30)),
        ("tty", json!(true)),
        ("user", json!("nobody")),
    ];
    let (all, none) = (shown(&full()), shown(&rig::spec("/web")));
    for (key, value) in optional {
        assert_eq!(all[key], value, "{key}");
        assert_eq!(none.get(key), None, "{key}");
    }
    assert_eq!(all.get("cmd"), None);
    assert_eq!(all["labels"], json!({"k\"": "v\n"}));
    assert_eq!(
        all["networks"],
        json!([{"mode": "container", "name": "net", "labels": {"a": "b"}}])
    );
    assert_eq!(all.get("portDefinitions"), None);
    let mut silent = rig::spec("/web");
    silent.port_definitions = None;
    assert_eq!(shown(&silent)["portDefinitions"], json!([]));
    assert_eq!(all["killSelection"], "OLDEST_FIRST");
    assert_eq!(all["unreachableStrategy"], "disabled");
    assert_eq!(all["upgradeStrategy"]["maximumOverCapacity"], 0.25);
    for key in [
        "container",
        "healthChecks",
        "check",
        "readinessChecks",
        "residency",
        "restartPolicy",
        "priority",
    ] {
        assert_eq!(none.get(key), None, "{key}");
    }
}

#[test]
fn what_marathon_lacks_shows_when_it_is_used() {
    let mut spec = rig::spec("/web");
    spec.restart = Restart::OnFailure;
    spec.priority = -3;
    let shown = shown(&spec);
    assert_eq!((&shown["restartPolicy"], &shown["priority"]), (&json!("onFailure"), &json!(-3)));
}

#[test]
fn a_docker_container() {
    let expected = json!({
        "type": "DOCKER",
        "docker": {
            "forcePullImage": true,
            "image": "redis:7",
            "parameters": [{"key": "cap-add", "value": "NET_ADMIN"}],
            "privileged": true,
        },
        "volumes": [],
        "portMappings": [
            {"containerPort": 80, "hostPort": 0, "labels": {}, "protocol": "tcp", "servicePort": 0},
            {
                "containerPort": 53, "labels": {"VIP_0": "/x"}, "name": "dns", "protocol": "udp,tcp",
                "servicePort": 10053, "networkNames": ["net"],
            },
        ],
    });
    assert_eq!(shown(&full())["container"], expected);
}

#[test]
fn a_mesos_container_has_linux_info_and_no_docker_rights() {
    let mut spec = full();
    let sandbox = spec.containers[0].sandbox.as_mut().expect("a container");
    sandbox.kind = ContainerKind::Mesos;
    sandbox.port_mappings = None;
    let expected = json!({
        "type": "MESOS",
        "docker": {
            "pullConfig": {"secret": "pull"},
            "forcePullImage": true,
            "image": "redis:7",
            "parameters": [],
            "privileged": false,
        },
        "linuxInfo": {"seccomp": {"unconfined": true}, "ipcInfo": {"mode": "PRIVATE", "shmSize": 16}},
        "volumes": [],
    });
    assert_eq!(shown(&spec)["container"], expected);
}

#[test]
fn every_kind_of_volume() {
    let path = || "data".to_owned();
    let mode = VolumeMode::ReadWrite;
    let persistent = PersistentVolume {
        kind: DiskKind::Mount,
        size: Disk::whole(100),
        max_size: None,
        profile_name: Some("ssd".into()),
        constraints: vec![vec!["path".into(), "LIKE".into(), "/mnt/.*".into()]],
    };
    let dvdi = ExternalVolume::Dvdi {
        name: "vol".into(),
        size: Some(10),
        options: [("dvdi/driver".to_owned(), "rexray".to_owned())].into(),
        shared: false,
    };
    let csi = ExternalVolume::Csi {
        name: "vol".into(),
        plugin_name: "nfs".into(),
        access_mode: "SINGLE_NODE_WRITER".into(),
        access: CsiAccess::Mount { fs_type: "xfs".into(), flags: Vec::new() },
        node_stage_secret: [].into(),
        node_publish_secret: [].into(),
        volume_context: [].into(),
    };
    let mut spec = full();
    spec.containers[0].sandbox.as_mut().expect("a container").volumes = vec![
        Volume::Host { container_path: path(), host_path: "/d".into(), mode: VolumeMode::ReadOnly },
        Volume::Persistent { container_path: path(), mode, persistent },
        Volume::External { container_path: path(), mode, external: dvdi },
        Volume::External { container_path: path(), mode, external: csi },
        Volume::Secret { container_path: path(), secret: "pw".into() },
    ];
    let capability =
        json!({"accessMode": "SINGLE_NODE_WRITER", "accessType": "mount", "fsType": "xfs"});
    let expected = json!([
        {"containerPath": "data", "hostPath": "/d", "mode": "RO"},
        {"containerPath": "data", "mode": "RW", "persistent": {
            "type": "mount", "size": 100, "profileName": "ssd", "constraints": [["path", "LIKE", "/mnt/.*"]],
        }},
        {"containerPath": "data", "mode": "RW", "external": {
            "name": "vol", "provider": "dvdi", "size": 10, "options": {"dvdi/driver": "rexray"}, "shared": false,
        }},
        {"containerPath": "data", "mode": "RW", "external": {
            "name": "vol", "provider": "csi", "options": {
                "pluginName": "nfs", "capability": capability, "nodeStageSecret": {}, "nodePublishSecret": {},
            },
        }},
        {"containerPath": "data", "secret": "pw"},
    ]);
    let shown = shown(&spec);
    assert_eq!(shown["container"]["volumes"], expected);
    let residency =
        json!({"relaunchEscalationTimeoutSeconds": 3600, "taskLostBehavior": "WAIT_FOREVER"});
    assert_eq!(shown["residency"], residency);
    spec.unreachable = UnreachableStrategy::After { inactive_seconds: 7, expunge_seconds: 9 };
    assert_eq!(self::shown(&spec)["residency"]["relaunchEscalationTimeoutSeconds"], 7);
}

fn health_check(protocol: HealthProtocol) -> HealthCheck {
    HealthCheck {
        protocol,
        path: None,
        port: None,
        port_index: None,
        command: None,
        grace_period_seconds: 300,
        interval_seconds: 60,
        timeout_seconds: 20,
        max_consecutive_failures: 3,
        ignore_http_1xx: false,
        ipv6: false,
        delay_seconds: 15,
    }
}

#[test]
fn every_kind_of_check() {
    let always = json!({
        "gracePeriodSeconds": 300, "intervalSeconds": 60, "maxConsecutiveFailures": 3, "timeoutSeconds": 20,
        "delaySeconds": 15, "ipProtocol": "IPv4",
    });
    let with = |more: Value| {
        let mut all: Map<String, Value> = always.as_object().expect("an object").clone();
        all.extend(more.as_object().expect("an object").clone());
        Value::Object(all)
    };
    let http = HealthCheck {
        path: Some("/up".into()),
        port_index: Some(0),
        ..health_check(HealthProtocol::Http)
    };
    let command =
        HealthCheck { command: Some("true".into()), ..health_check(HealthProtocol::Command) };
    let tcp = HealthCheck { port: Some(80), ..health_check(HealthProtocol::MesosTcp) };
    let mut spec = rig::spec("/web");
    spec.health_checks = [http, command, tcp].into();
    spec.readiness_checks = vec![ReadinessCheck {
        name: "readinessCheck".into(),
        https: false,
        path: "/".into(),
        port_name: "http-api".into(),
        interval_seconds: 30,
        timeout_seconds: 10,
        ready_codes: [200, 204].into(),
        preserve_last_response: false,
    }];
    let shown_health = shown(&spec)["healthChecks"].clone();
    assert_eq!(
        shown_health,
        json!([
            with(
                json!({"protocol": "HTTP", "path": "/up", "portIndex": 0, "ignoreHttp1xx": false})
            ),
            with(json!({"protocol": "COMMAND", "command": {"value": "true"}})),
            with(json!({"protocol": "MESOS_TCP", "port": 80})),
        ])
    );
    let ready = json!([{
        "name": "readinessCheck", "protocol": "HTTP", "path": "/", "portName": "http-api", "intervalSeconds": 30,
        "timeoutSeconds": 10, "httpStatusCodesForReady": [200, 204], "preserveLastResponse": false,
    }]);
    assert_eq!(shown(&spec)["readinessChecks"], ready);
    for (probe, expected) in [
        (
            CheckProbe::Http { port_index: Some(1), port: None, path: Some("/c".into()) },
            json!({"http": {"portIndex": 1, "path": "/c", "scheme": "HTTP"}}),
        ),
        (CheckProbe::Tcp { port_index: None, port: Some(9) }, json!({"tcp": {"port": 9}})),
        (
            CheckProbe::Exec { shell: "true".into() },
            json!({"exec": {"command": {"shell": "true"}}}),
        ),
    ] {
        spec.check =
            Some(AppCheck { probe, interval_seconds: 60, timeout_seconds: 20, delay_seconds: 15 });
        let mut expected = expected;
        for (key, value) in [("intervalSeconds", 60), ("timeoutSeconds", 20), ("delaySeconds", 15)]
        {
            expected[key] = json!(value);
        }
        assert_eq!(shown(&spec)["check"], expected);
    }
}

#[test]
fn amounts_lose_their_fraction_in_events_alone() {
    // Contract 5.10.
    let spec = full();
    let rest = definition_submitted(&spec, Version(at(0)));
    let event = definition_submitted_in(&spec, Version(at(0)), Numbers::Event);
    for (in_rest, in_event) in [
        (r#""mem":32.0,"gpus""#, r#""mem":32,"gpus""#),
        (r#""disk":0.0,"#, r#""disk":0,"#),
        (r#""cpus":0.1,"#, r#""cpus":0.1,"#),
        (r#""minimumHealthCapacity":1.0}"#, r#""minimumHealthCapacity":1}"#),
        (
            r#""executorResources":{"cpus":0.1,"mem":32.0,"#,
            r#""executorResources":{"cpus":0.1,"mem":32,"#,
        ),
    ] {
        assert!(rest.contains(in_rest), "{in_rest} in {rest}");
        assert!(event.contains(in_event), "{in_event} in {event}");
    }
    assert_eq!(parsed(&rest)["mem"].as_f64(), parsed(&event)["mem"].as_f64());
}
