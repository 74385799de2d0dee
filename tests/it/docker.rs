//! Containers on the machine's engine, from their definition to what the engine itself says of them.

use serde_json::{Value, json};

use crate::docker_rig::{Docked, ask, comes_true, patient};
use crate::rig::{Nowhere, free_port};

/// An app that runs until it is told to end, but for what `extra` says.
fn app(id: &str, extra: Value) -> Value {
    let mut app = patient(id, 1);
    merge(&mut app, extra);
    app
}

fn merge(into: &mut Value, extra: Value) {
    match (into, extra) {
        (Value::Object(into), Value::Object(extra)) => {
            for (key, value) in extra {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, extra) => *into = extra,
    }
}

#[tokio::test]
async fn an_app_on_the_host_s_network_is_what_its_definition_says() {
    // CT-5, CT-8, CT-9, CT-10, EN-1.
    let stayer = Docked::with(&[]).await;
    stayer
        .launch(&app(
            "/shop/front",
            json!({
                "cmd": "echo $GREETING from $MARATHON_APP_ID at $PORT0; echo oops >&2; \
                        trap 'exit 0' TERM; while true; do sleep 0.05; done",
                "cpus": 0.5, "mem": 64, "env": {"GREETING": "hello"},
                "labels": {"team": "blue"}, "portDefinitions": [{"port": 0, "name": "web"}],
                "container": {"docker": {"parameters": [
                    {"key": "hostname", "value": "front"}, {"key": "label", "value": "own=mine"},
                ]}},
            }),
        ))
        .await;
    let task = stayer.running("/shop/front", 1).await.remove(0);
    let container = stayer.engine.inspect(&stayer.engine.of_task(&task));
    let config = &container["Config"];
    assert_eq!(config["Entrypoint"], json!(["/bin/sh"]));
    assert_eq!(config["Hostname"], "front");
    assert_eq!(config["Labels"]["own"], "mine");
    assert_eq!(config["Labels"]["stayer.app"], "/shop/front");
    let host = &container["HostConfig"];
    assert_eq!((&host["Memory"], &host["CpuShares"]), (&json!(64 << 20), &json!(512)));
    assert_eq!((&host["NetworkMode"], &host["Privileged"]), (&json!("host"), &json!(false)));
    assert_eq!((&host["AutoRemove"], &host["Init"]), (&json!(false), &json!(true)));
    // Podman keeps that and does not show it.
    if !stayer.engine.is_podman() {
        assert_eq!(host["LogConfig"]["Config"]["max-size"], "50m");
    }
    let env = config["Env"].as_array().expect("a list");
    let id = task["id"].as_str().expect("an id");
    for variable in [format!("MESOS_TASK_ID={id}"), format!("PORT0={}", task["ports"][0])] {
        assert!(env.contains(&json!(variable)), "{variable} is not in {env:?}");
    }

    let line = format!("hello from /shop/front at {}", task["ports"][0]);
    let path = format!("/v2/tasks/{id}/logs");
    stayer
        .until("both outputs are there", |stayer| {
            let (path, line) = (path.clone(), line.clone());
            async move {
                let of = async |stream: &str| {
                    stayer.get(&format!("{path}?stream={stream}&tail=10")).await.text
                };
                of("stdout").await.trim() == line && of("stderr").await.trim() == "oops"
            }
        })
        .await;
    stayer.remove("/shop/front").await;
    assert_eq!(stayer.alive(), Vec::<String>::new());
    let kept = stayer.get(&path).await.expect(200).text;
    assert_eq!(kept.trim(), line, "a dead container is kept for its logs");
    assert!(!stayer.containers().is_empty(), "a dead container is kept");
}

#[tokio::test]
async fn args_go_to_the_image_s_own_entrypoint() {
    // CT-5: the stand-in's entrypoint leaves a mark.
    let stayer = Docked::with(&[]).await;
    let mut with_args = app("/args", json!({"container": {"docker": {"image": "memcached"}}}));
    with_args["cmd"] = Value::Null;
    with_args["args"] = json!(["sleep", "600"]);
    stayer.launch(&with_args).await;
    let task = stayer.running("/args", 1).await.remove(0);
    let container = stayer.engine.of_task(&task);
    let args = stayer.engine.inspect(&container)["Args"].as_array().expect("a list").clone();
    // Podman shows the entrypoint before them.
    assert!(args.ends_with(&[json!("sleep"), json!("600")]), "{args:?}");
    // It runs from its start on, and comes to that a moment later.
    let look = ["exec", &container, "test", "-e", "/entrypoint-ran"];
    assert!(comes_true(|| stayer.engine.attempt(&look).status.success()), "it leaves its mark");

    let entrypoint = json!([{"key": "entrypoint", "value": "/bin/sleep"}]);
    let mut other =
        app("/entrypoint", json!({"container": {"docker": {"parameters": entrypoint}}}));
    other["cmd"] = Value::Null;
    other["args"] = json!(["601"]);
    stayer.launch(&other).await;
    let task = stayer.running("/entrypoint", 1).await.remove(0);
    let shown = stayer.engine.inspect(&stayer.engine.of_task(&task));
    let line = [&[shown["Path"].clone()], &shown["Args"].as_array().expect("a list")[..]].concat();
    assert!(line.ends_with(&[json!("/bin/sleep"), json!("601")]), "{line:?}");
}

/// One that listens in a bridge network and is published at this port of the host.
fn redis(id: &str, network: &Value, host_port: u16) -> Value {
    let mapping = json!({"containerPort": 6379, "hostPort": host_port, "protocol": "tcp"});
    let container = json!({"docker": {"image": "redis"}, "portMappings": [mapping]});
    let mut redis =
        app(id, json!({"networks": [network], "container": container, "backoffSeconds": 1}));
    redis.as_object_mut().expect("an object").remove("cmd");
    redis
}

#[tokio::test]
async fn a_fixed_port_that_is_taken_is_waited_for_and_its_holder_named() {
    // I5, PL-14.
    let stayer = Docked::with(&[]).await;
    let bridge = json!({"mode": "container/bridge"});
    let port = free_port();
    stayer.launch(&redis("/first", &bridge, port)).await;
    let first = stayer.running("/first", 1).await.remove(0);
    stayer.launch(&redis("/second", &bridge, port)).await;
    let told = stayer.waits_for("/second", "port-taken").await;
    let holder = first["id"].as_str().expect("an id");
    assert!(told.contains(&port.to_string()) && told.contains(holder), "{told}");
    assert_eq!(stayer.containers().len(), 1, "nothing was tried");
    stayer.remove("/first").await;
    stayer.running("/second", 1).await;
    assert_eq!(ask(port, "PING\r\n").await, "+PONG");

    let stranger = std::net::TcpListener::bind("0.0.0.0:0").expect("a port");
    let port = stranger.local_addr().expect("an address").port();
    stayer.launch(&redis("/third", &bridge, port)).await;
    let told = stayer.failure("/third").await;
    assert!(told.contains(&format!("port {port} taken by somebody else")), "{told}");
    drop(stranger);
    stayer.running("/third", 1).await;
    assert_eq!(ask(port, "PING\r\n").await, "+PONG");
}

#[tokio::test]
async fn published_ports_answer_in_bridge_and_user_networks() {
    // NW-5, CT-11.
    let stayer = Docked::with(&[]).await;
    let wires = stayer.engine.wires();
    let port = free_port();
    for (id, network, host_port) in [
        ("/bridge", json!({"mode": "container/bridge"}), 0),
        ("/user", json!({"mode": "container", "name": wires.name}), port),
    ] {
        stayer.launch(&redis(id, &network, host_port)).await;
        let task = stayer.running(id, 1).await.remove(0);
        let published = u16::try_from(task["ports"][0].as_u64().expect("a port")).expect("small");
        assert!(host_port == 0 || published == host_port, "{task}");
        assert_eq!(ask(published, "PING\r\n").await, "+PONG");
        let networks =
            stayer.engine.inspect(&stayer.engine.of_task(&task))["NetworkSettings"].clone();
        let bridge = if stayer.engine.is_podman() { "podman" } else { "bridge" };
        let name = if id == "/user" { &*wires.name } else { bridge };
        let address = &networks["Networks"][name]["IPAddress"];
        assert_eq!(&task["ipAddresses"][0]["ipAddress"], address, "{task}");
    }
    for id in ["/bridge", "/user"] {
        stayer.remove(id).await;
    }
}

#[tokio::test]
async fn volumes_are_mounted_where_the_policy_allows_and_wait_elsewhere() {
    // reliability §5.5: the app waits, it is not refused at POST.
    let allowed = tempfile::tempdir().expect("a directory");
    let path = allowed.path().to_str().expect("UTF-8");
    let stayer = Docked::with(&["--allow-volumes", path]).await;
    let volume = |host: &str, mode: &str| json!([{"hostPath": host, "containerPath": "/data", "mode": mode}]);
    stayer
        .launch(&app(
            "/writes",
            json!({
                "cmd": "echo written > /data/file; while true; do sleep 0.05; done",
                "container": {"volumes": volume(path, "RW")},
            }),
        ))
        .await;
    stayer.running("/writes", 1).await;
    let file = allowed.path().join("file");
    stayer
        .until("the file is on the host", |_| async {
            std::fs::read_to_string(&file).is_ok_and(|text| text == "written\n")
        })
        .await;
    stayer.launch(&app("/reads", json!({"container": {"volumes": volume(path, "RO")}}))).await;
    let task = stayer.running("/reads", 1).await.remove(0);
    let container = stayer.engine.of_task(&task);
    let write = stayer.engine.attempt(&["exec", &container, "touch", "/data/other"]);
    assert!(!write.status.success(), "mounted for reading alone");

    std::os::unix::fs::symlink("/etc", allowed.path().join("link")).expect("a link");
    stayer.launch(&app("/waits", json!({"container": {"volumes": volume("/etc", "RO")}}))).await;
    let told = stayer.waits_for("/waits", "policy").await;
    assert!(told.contains("/etc") && told.contains("--allow-volumes"), "{told}");
    let link = format!("{path}/link");
    stayer.launch(&app("/link", json!({"container": {"volumes": volume(&link, "RO")}}))).await;
    let told = stayer.failure("/link").await;
    assert!(told.contains("leads to /etc"), "{told}");

    let parameter = json!([{"key": "cap-add", "value": "SYS_ADMIN"}]);
    let cap = app("/cap", json!({"container": {"docker": {"parameters": parameter}}}));
    stayer.launch(&cap).await;
    let told = stayer.waits_for("/cap", "policy").await;
    assert!(told.contains("--allow-parameter cap-add"), "{told}");
    assert_eq!(stayer.alive().len(), 2, "nothing that is forbidden was made");
}

#[tokio::test]
async fn what_is_privileged_waits_where_that_is_denied() {
    let stayer = Docked::with(&["--allow-privileged=false"]).await;
    stayer.launch(&app("/root", json!({"container": {"docker": {"privileged": true}}}))).await;
    let told = stayer.waits_for("/root", "policy").await;
    assert!(told.contains("privileged"), "{told}");
    assert_eq!(stayer.containers(), Vec::<String>::new());
}

#[tokio::test]
async fn what_ended_a_task_is_told() {
    // CT-13, contract 5.13.
    let stayer = Docked::with(&[]).await;
    let nowhere = Nowhere::hold();
    let image = format!("{nowhere}/missing:1");
    for (id, extra, words) in [
        (
            "/oom",
            json!({"cmd": "tail /dev/zero", "mem": 32}),
            ["Memory limit exceeded", "peak 32 MiB"],
        ),
        ("/code", json!({"cmd": "exit 42"}), ["42", ""]),
        ("/signal", json!({"cmd": "kill -9 $$"}), ["9", ""]),
        (
            "/image",
            json!({"container": {"docker": {"image": image}}}),
            [&*image, "connection refused"],
        ),
        (
            "/program",
            json!({"cmd": null, "args": ["/no/such/program"]}),
            // The container's own init finds that out, and has no other words for the engine.
            [if stayer.engine.is_podman() { "1" } else { "127" }, ""],
        ),
    ] {
        stayer.launch(&app(id, extra)).await;
        let told = stayer.failure(id).await;
        for word in words {
            assert!(told.contains(word), "{id}: {word} is not in: {told}");
        }
    }
}

#[tokio::test]
async fn a_container_killed_from_outside_is_replaced_under_a_new_id() {
    let stayer = Docked::with(&[]).await;
    stayer.launch(&app("/victim", json!({}))).await;
    let before = stayer.running("/victim", 1).await.remove(0);
    stayer.engine.docker(&["kill", &stayer.engine.of_task(&before)]);
    let second = replaced(&stayer, "/victim", &before).await;
    assert_eq!(stayer.running("/victim", 1).await.len(), 1);
    assert_eq!(stayer.alive().len(), 1);
    let told = stayer.failure("/victim").await;
    assert_eq!(told, "Container terminated with signal 9 (Killed)");

    stayer.engine.docker(&["rm", "--force", &stayer.engine.of_task(&second)]);
    replaced(&stayer, "/victim", &second).await;
    assert_eq!(stayer.alive().len(), 1);
}

/// Waits until another task runs in the place of an app's only one.
async fn replaced(stayer: &Docked, app: &str, before: &Value) -> Value {
    stayer
        .until("another runs in its place", |stayer| async move {
            let running = stayer.tasks(app, "TASK_RUNNING").await;
            running.first().is_some_and(|task| task["id"] != before["id"])
        })
        .await;
    stayer.running(app, 1).await.remove(0)
}

#[tokio::test]
async fn a_stranger_with_the_name_of_the_next_life_is_named_and_left_alone() {
    let stayer = Docked::with(&[]).await;
    stayer.launch(&app("/named", json!({}))).await;
    let task = stayer.running("/named", 1).await.remove(0);
    let container = stayer.engine.of_task(&task);
    let name = stayer.engine.inspect(&container)["Name"].as_str().expect("a name").to_owned();
    let next = format!("{}.2", name.trim_start_matches('/').trim_end_matches(".1"));
    let stranger = stayer.engine.stranger(&["--name", &next]);
    stayer.engine.docker(&["kill", &container]);
    let replacement = replaced(&stayer, "/named", &task).await;
    let told = stayer.failure("/named").await;
    assert!(told.contains(&next) && told.contains(&stranger.id[..12]), "{told}");
    assert!(stranger.runs());
    stayer.engine.docker(&["kill", &stayer.engine.of_task(&replacement)]);
    replaced(&stayer, "/named", &replacement).await;
    assert!(stranger.runs());
}

#[tokio::test]
async fn dead_containers_are_kept_for_their_logs_but_not_all() {
    let stayer = Docked::with(&[]).await;
    stayer.launch(&app("/many", json!({"instances": 9}))).await;
    stayer.running("/many", 9).await;
    stayer.put("/v2/apps/many", &json!({"instances": 1})).await.expect(200);
    let left = stayer.running("/many", 1).await.remove(0);
    // One that runs and the five newest that have ended.
    stayer.until("five dead ones are left", |_| async { stayer.containers().len() == 6 }).await;
    assert_eq!(stayer.alive(), [stayer.engine.of_task(&left)]);
}

#[tokio::test]
async fn containers_that_are_not_ours_are_never_touched() {
    // I9.
    let mut stayer = Docked::with(&[]).await;
    stayer.launch(&app("/ours", json!({}))).await;
    let task = stayer.running("/ours", 1).await.remove(0);
    let ours = stayer.engine.of_task(&task);
    let labels = stayer.engine.inspect(&ours)["Config"]["Labels"].clone();
    let nobody = uuid::Uuid::from_u128(1).to_string();
    let marked = |changed: &str| {
        let label = |(key, value): (&String, &Value)| {
            let value = if key == changed { &nobody } else { value.as_str().unwrap_or_default() };
            ["--label".to_owned(), format!("{key}={value}")]
        };
        labels.as_object().expect("labels").iter().flat_map(label).collect::<Vec<String>>()
    };
    let run = |args: &[String]| {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        stayer.engine.stranger(&args)
    };
    let strangers = [run(&[]), run(&marked("stayer.cluster")), run(&marked("stayer.agent"))];

    stayer.kill();
    stayer.restart().await;
    stayer.running("/ours", 1).await;
    stayer.delete("/v2/apps/ours/tasks").await.expect(200);
    replaced(&stayer, "/ours", &task).await;
    stayer.remove("/ours").await;
    assert_eq!(stayer.alive(), [strangers[1].id.clone()], "only the one of another cluster");
    assert!(strangers.iter().all(crate::docker_rig::Stranger::runs), "all of them run on");
}
