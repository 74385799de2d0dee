//! The create body against the tables of the behaviour document: CT-3, CT-4, CT-5, CT-8…CT-10, NW-5.

use bollard::models::{ContainerCreateBody, DeviceMapping, HostConfig};

use super::{SANDBOX, create_body};
use crate::agent::docker::gpu::Given;
use crate::agent::docker::limits::NOFILE;
use crate::agent::docker::rig::{docker, launch, only, owner, parameters, sandbox, spec};
use crate::agent::runtime::Launch;
use crate::model::agent::DeviceId;
use crate::model::network::{Network, NetworkMode, PortMapping, Protocol};
use crate::model::reason::Reason;
use crate::model::spec::{ContainerKind, Limit, ResourceLimits, Spec};
use crate::model::unit::{Cpus, Mem};
use crate::model::volume::{Volume, VolumeMode};

fn body_of(launch: &Launch) -> ContainerCreateBody {
    create_body(launch, NOFILE, Given::unreal(&launch.place.devices))
        .unwrap_or_else(|reason| panic!("{reason}"))
}

fn body(change: impl FnOnce(&mut Spec)) -> ContainerCreateBody {
    let mut spec = spec("redis");
    change(&mut spec);
    body_of(&launch(owner(), spec, Vec::new()))
}

fn host(change: impl FnOnce(&mut Spec)) -> HostConfig {
    body(change).host_config.expect("a host part")
}

fn refused(change: impl FnOnce(&mut Spec)) -> String {
    let mut spec = spec("redis");
    change(&mut spec);
    match create_body(&launch(owner(), spec, Vec::new()), NOFILE, Given::default()) {
        Err(Reason::Start { detail }) => detail,
        other => panic!("{other:?}"),
    }
}

fn with(pairs: &[(&str, &str)]) -> ContainerCreateBody {
    body(|spec| docker(spec).parameters = parameters(pairs))
}

fn variable(body: &ContainerCreateBody, name: &str) -> Vec<String> {
    let all = body.env.clone().unwrap_or_default();
    all.into_iter().filter(|text| text.split('=').next() == Some(name)).collect()
}

#[expect(clippy::unnecessary_wraps, reason = "compared with what the body has")]
fn words(list: &[&str]) -> Option<Vec<String>> {
    Some(list.iter().map(|word| (*word).to_owned()).collect())
}

#[test]
fn every_row_of_the_table_of_commands() {
    // CT-5.
    let cmd = body(|spec| only(spec).cmd = Some("echo a b".to_owned()));
    assert_eq!(cmd.entrypoint, words(&["/bin/sh"]));
    assert_eq!(cmd.cmd, words(&["-c", "echo a b"]));
    for kind in [ContainerKind::Docker, ContainerKind::Mesos] {
        let args = body(|spec| {
            sandbox(spec).kind = kind;
            only(spec).args = words(&["-p", "1"]).expect("words");
        });
        assert_eq!((args.entrypoint, args.cmd), (None, words(&["-p", "1"])));
    }
    let neither = body(|_| {});
    assert_eq!((neither.entrypoint, neither.cmd), (None, None));
    // CT-6: an empty one from the store counts as none.
    assert_eq!(body(|spec| only(spec).cmd = Some(String::new())).entrypoint, None);
}

#[test]
fn the_account_is_the_container_s_for_mesos_alone() {
    // CT-4.
    let user = |kind| {
        body(move |spec| {
            only(spec).user = Some("nobody".to_owned());
            sandbox(spec).kind = kind;
        })
        .user
    };
    assert_eq!(user(ContainerKind::Docker), None);
    assert_eq!(user(ContainerKind::Mesos), Some("nobody".to_owned()));
    assert_eq!(with(&[("user", "1:2")]).user, Some("1:2".to_owned()));
    assert_eq!(body(|spec| only(spec).tty = Some(true)).tty, Some(true));
}

#[test]
fn shares_and_memory_follow_the_formula() {
    // CT-9, CT-10.
    for (cpus, mem, shares, bytes) in [
        (Cpus::micro(100_000), Mem::whole(32), 102, 33_554_432),
        (Cpus::micro(1_000), Mem::whole(1), 2, 4 << 20),
        (Cpus::whole(2), Mem::micro(4_500_000), 2_048, 4_718_592),
    ] {
        let host = host(|spec| {
            only(spec).cpus = cpus;
            only(spec).mem = mem;
        });
        assert_eq!(host.cpu_shares, Some(shares), "{cpus}");
        assert_eq!((host.memory, host.memory_swap), (Some(bytes), Some(bytes)), "{mem}");
        assert_eq!(host.nano_cpus, None, "no quota unless a burst limit says so");
    }
}

#[test]
fn burst_limits_lie_above_the_request() {
    let limits =
        |cpus, mem| host(move |spec| only(spec).limits = Some(ResourceLimits { cpus, mem }));
    let bounded = limits(Some(Limit::At(Cpus::micro(1_500_000))), Some(Limit::At(Mem::whole(64))));
    assert_eq!(bounded.nano_cpus, Some(1_500_000_000));
    assert_eq!((bounded.memory, bounded.memory_reservation), (Some(64 << 20), Some(32 << 20)));
    let unlimited = limits(Some(Limit::Unlimited), Some(Limit::Unlimited));
    assert_eq!((unlimited.nano_cpus, unlimited.memory), (None, None));
    assert_eq!(unlimited.memory_reservation, Some(32 << 20));
}

#[test]
fn what_every_container_gets() {
    let body = body(|_| {});
    let host = body.host_config.clone().expect("a host part");
    assert_eq!(host.init, Some(true));
    assert_eq!(host.auto_remove, Some(false));
    assert_eq!(host.privileged, Some(false));
    let ulimits = host.ulimits.expect("ulimits");
    assert_eq!((ulimits[0].soft, ulimits[0].hard), (Some(65_536), Some(1_048_576)));
    let poor = create_body(&launch(owner(), spec("redis"), Vec::new()), 20_000, Given::default())
        .expect("a body");
    let ulimits = poor.host_config.and_then(|host| host.ulimits).expect("ulimits");
    assert_eq!((ulimits[0].soft, ulimits[0].hard), (Some(20_000), Some(20_000)));
    let log = host.log_config.expect("a log");
    assert_eq!(log.typ.as_deref(), Some("json-file"));
    assert_eq!(log.config.expect("options")["max-size"], "50m");
    // CT-8, EN-1: the agent's variables.
    assert_eq!(variable(&body, "MESOS_SANDBOX"), [format!("MESOS_SANDBOX={SANDBOX}")]);
    assert_eq!(variable(&body, "GREETING"), ["GREETING=hello"]);
}

#[test]
fn names_and_marks_come_back_as_the_life_they_name() {
    let launch = launch(owner(), spec("redis"), Vec::new());
    assert_eq!(super::container_name(launch.id), format!("stayer-{}", launch.id));
    let given = body_of(&launch).labels.expect("labels");
    let us = crate::agent::docker::labels::Owner { agent: launch.agent };
    let read =
        |us| crate::agent::docker::labels::read(us, |name| given.get(name).map(String::as_str));
    let identity = read(us).expect("ours");
    assert_eq!(
        (identity.id, identity.key, identity.spec_key),
        (launch.id, launch.key, launch.spec_key)
    );
    assert_eq!(read(owner()), None, "another agent's");
    assert_eq!(given["MESOS_TASK_ID"], format!("test_app.instance-{}._app.1", launch.id.instance));
    // No parameter changes a mark.
    let forged =
        with(&[("label", "stayer.cluster=x"), ("label", "mine=1")]).labels.expect("labels");
    assert_ne!(forged["stayer.cluster"], "x");
    assert_eq!(forged["mine"], "1");
}

#[test]
fn networks_translate() {
    // NW-5.
    let mode = |mode, name: Option<&str>| {
        host(move |spec| {
            spec.networks =
                vec![Network { mode, name: name.map(str::to_owned), ..Network::host() }];
        })
        .network_mode
    };
    assert_eq!(mode(NetworkMode::Host, None).as_deref(), Some("host"));
    assert_eq!(mode(NetworkMode::Bridge, None).as_deref(), Some("bridge"));
    assert_eq!(mode(NetworkMode::Container, Some("db")).as_deref(), Some("db"));
    let named = |name: &str| Network {
        mode: NetworkMode::Container,
        name: Some(name.to_owned()),
        ..Network::host()
    };
    assert!(refused(|spec| spec.networks = vec![named("a"), named("b")]).contains("one network"));
}

#[test]
fn ports_are_published_per_transport_where_the_mapping_has_a_host_port() {
    // NW-5, PL-13, EN-4.
    let mapping = |container_port, protocol| PortMapping {
        container_port,
        protocol,
        ..PortMapping::default()
    };
    let mut spec = spec("redis");
    sandbox(&mut spec).port_mappings = Some(vec![
        mapping(80, Protocol::Tcp),
        mapping(53, Protocol::Both),
        mapping(0, Protocol::Udp),
        mapping(81, Protocol::Tcp),
    ]);
    let ports = vec![Some(31_000), Some(31_001), Some(31_002), None];
    let host = body_of(&launch(owner(), spec, ports)).host_config.expect("a host part");
    let table = host.port_bindings.expect("ports");
    let published: std::collections::BTreeMap<_, _> = table
        .iter()
        .map(|(inner, list)| {
            let binding = &list.as_ref().expect("a list")[0];
            assert_eq!(binding.host_ip.as_deref(), Some(""), "always sent");
            (inner.as_str(), binding.host_port.as_deref().expect("always sent"))
        })
        .collect();
    let expected =
        [("31002/udp", "31002"), ("53/tcp", "31001"), ("53/udp", "31001"), ("80/tcp", "31000")];
    assert_eq!(published, expected.into());
}

#[test]
fn volumes_are_bound_with_their_mode_and_relative_paths_stay_in_the_sandbox() {
    // CT-3, CT-8.
    let volume = |host_path: &str, container_path: &str, mode| Volume::Host {
        container_path: container_path.to_owned(),
        host_path: host_path.to_owned(),
        mode,
    };
    let mut spec_ = spec("redis");
    sandbox(&mut spec_).volumes = vec![
        volume("/etc/hosts", "/h", VolumeMode::ReadOnly),
        volume("data", "inner", VolumeMode::ReadWrite),
    ];
    let launch = launch(owner(), spec_, Vec::new());
    let binds = body_of(&launch).host_config.and_then(|host| host.binds).expect("binds");
    let dir = launch.dir.display();
    assert_eq!(
        binds,
        [
            format!("{dir}:{SANDBOX}:rw"),
            "/etc/hosts:/h:ro".to_owned(),
            format!("{dir}/data:{SANDBOX}/inner:rw"),
        ]
    );
    let up = volume("../../etc", "/e", VolumeMode::ReadOnly);
    assert!(refused(|spec| sandbox(spec).volumes = vec![up]).contains("upwards"));
    let colon = volume("/a:b", "/e", VolumeMode::ReadOnly);
    assert!(refused(|spec| sandbox(spec).volumes = vec![colon]).contains("colon"));
    let secret = Volume::Secret { container_path: "/s".to_owned(), secret: "s".to_owned() };
    assert!(refused(|spec| sandbox(spec).volumes = vec![secret]).contains("secret"));
}

#[test]
fn parameters_are_docker_run_s_in_order_and_may_repeat() {
    // CT-1.
    let body = with(&[
        ("env", "A=1"),
        ("env", "A=2"),
        ("env", "B=x=y"),
        ("ulimit", "nofile=10:20"),
        ("ulimit", "nproc=5"),
        ("add-host", "a:1.2.3.4"),
        ("dns", "8.8.8.8"),
        ("dns", "9.9.9.9"),
        ("shm-size", "64m"),
        ("memory-swap", "-1"),
        ("init", "false"),
        ("read-only", "true"),
        ("tmpfs", "/run:size=64k"),
        ("sysctl", "net.core.somaxconn=512"),
        ("hostname", "here"),
        ("w", "/work"),
        ("cap-drop", "NET_RAW"),
        ("device", "/dev/a:/dev/b:r"),
        ("device", "/dev/c:rw"),
        ("volume", "named:/v"),
    ]);
    assert_eq!(variable(&body, "A"), ["A=2"]);
    assert_eq!(variable(&body, "B"), ["B=x=y"]);
    assert_eq!(body.hostname.as_deref(), Some("here"));
    assert_eq!(body.working_dir.as_deref(), Some("/work"));
    let host = body.host_config.expect("a host part");
    let ulimits: Vec<_> = host
        .ulimits
        .expect("ulimits")
        .into_iter()
        .map(|one| (one.name, one.soft, one.hard))
        .collect();
    assert_eq!(
        ulimits,
        [
            (Some("nofile".to_owned()), Some(10), Some(20)),
            (Some("nproc".to_owned()), Some(5), Some(5)),
        ]
    );
    assert_eq!(host.extra_hosts, words(&["a:1.2.3.4"]));
    assert_eq!(host.dns, words(&["8.8.8.8", "9.9.9.9"]));
    assert_eq!((host.shm_size, host.memory_swap), (Some(64 << 20), Some(-1)));
    assert_eq!((host.init, host.readonly_rootfs), (Some(false), Some(true)));
    assert_eq!(host.tmpfs.expect("tmpfs")["/run"], "size=64k");
    assert_eq!(host.sysctls.expect("sysctls")["net.core.somaxconn"], "512");
    assert_eq!(host.cap_drop, words(&["NET_RAW"]));
    assert!(host.binds.expect("binds").contains(&"named:/v".to_owned()));
    let devices: Vec<_> = host
        .devices
        .expect("devices")
        .into_iter()
        .map(|one| (one.path_in_container, one.cgroup_permissions))
        .collect();
    assert_eq!(
        devices,
        [
            (Some("/dev/b".to_owned()), Some("r".to_owned())),
            (Some("/dev/c".to_owned()), Some("rw".to_owned())),
        ]
    );
}

#[test]
fn the_log_is_rotated_unless_a_parameter_says_otherwise() {
    let log = |pairs: &[(&str, &str)]| {
        let host = with(pairs).host_config.expect("a host part");
        let config = host.log_config.expect("a log");
        let options: std::collections::BTreeMap<_, _> =
            config.config.unwrap_or_default().into_iter().collect();
        (config.typ.unwrap_or_default(), options)
    };
    let (driver, options) = log(&[("log-opt", "max-size=1m")]);
    assert_eq!(driver, "json-file");
    assert_eq!((options["max-size"].as_str(), options["max-file"].as_str()), ("1m", "3"));
    let (driver, options) = log(&[("log-driver", "syslog"), ("log-opt", "tag=a")]);
    assert_eq!(driver, "syslog");
    assert_eq!(options, [("tag".to_owned(), "a".to_owned())].into());
}

#[test]
fn an_entrypoint_parameter_replaces_the_entrypoint_alone() {
    let body = body(|spec| {
        only(spec).cmd = Some("echo".to_owned());
        docker(spec).parameters = parameters(&[("entrypoint", "/bin/bash")]);
    });
    assert_eq!(body.entrypoint, words(&["/bin/bash"]));
    assert_eq!(body.cmd, words(&["-c", "echo"]));
}

#[test]
fn an_unknown_or_broken_parameter_is_refused_by_name() {
    let refusal =
        |key, value| refused(move |spec| docker(spec).parameters = parameters(&[(key, value)]));
    let unknown = refusal("memroy", "1");
    assert!(unknown.contains("memroy is not known") && unknown.contains("ulimit"), "{unknown}");
    for (key, value) in [
        ("memory", "1g"),
        ("publish", "80:80"),
        ("name", "x"),
        ("rm", "true"),
        ("restart", "always"),
    ] {
        assert!(refusal(key, value).contains("not known"), "{key} goes round the agent");
    }
    assert!(refusal("shm-size", "lots").contains("shm-size=lots: expected a size"));
    assert!(refusal("init", "maybe").contains("true or false"));
    assert!(refusal("ulimit", "nofile").contains("name=soft"));
}

#[test]
fn a_task_sees_its_own_devices_whatever_it_says_itself() {
    // gpu.md §4.2: images, apps and parameters all like to say `all`.
    let visible = |ids: &[&str]| {
        let mut spec = spec("redis");
        let pairs = [("env", "NVIDIA_VISIBLE_DEVICES=all"), ("runtime", "other")];
        docker(&mut spec).parameters = parameters(&pairs);
        let mut launch = launch(owner(), spec, Vec::new());
        launch.env.insert("NVIDIA_VISIBLE_DEVICES".to_owned(), "all".to_owned());
        launch.place.devices = ids.iter().map(|id| DeviceId((*id).into())).collect();
        variable(&body_of(&launch), "NVIDIA_VISIBLE_DEVICES").concat()
    };
    assert_eq!(visible(&[]), "NVIDIA_VISIBLE_DEVICES=void");
    assert_eq!(visible(&["fake-0", "fake-1"]), "NVIDIA_VISIBLE_DEVICES=fake-0,fake-1");
    let mut spec = spec("redis");
    docker(&mut spec).parameters = parameters(&[("runtime", "other"), ("device", "/dev/a")]);
    let node =
        DeviceMapping { path_on_host: Some("/dev/b".to_owned()), ..DeviceMapping::default() };
    let given = Given { runtime: Some("nvidia".to_owned()), nodes: vec![node], ..Given::default() };
    let body = create_body(&launch(owner(), spec, Vec::new()), NOFILE, given).expect("a body");
    let host = body.host_config.expect("a host part");
    assert_eq!(host.runtime.as_deref(), Some("nvidia"));
    let paths = host.devices.expect("devices").into_iter().filter_map(|it| it.path_on_host);
    assert_eq!(paths.collect::<Vec<_>>(), ["/dev/a", "/dev/b"]);
}
