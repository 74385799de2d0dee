//! Engines that no package gives, played before the one under test: a whole life on each, or the refusal with what helps
//! (engines.md §2).

use serde_json::{Value, json};

use crate::docker_rig::{Docked, Engine, ask, comes_true, patient};
use crate::engine_proxy::Profile;
use crate::rig::Nowhere;

/// The newest shapes that this agent reads.
const OURS: u16 = 53;

/// One that listens in a bridge network.
fn redis(id: &str, host_port: u16) -> Value {
    json!({
        "id": id, "cpus": 0.1, "mem": 32, "backoffSeconds": 0, "networks": [{"mode": "container/bridge"}],
        "container": {
            "type": "DOCKER", "docker": {"image": "redis"},
            "portMappings": [{"containerPort": 6379, "hostPort": host_port}],
        },
    })
}

/// All that an app goes through, in front of an engine of this shape.
async fn life(profile: Profile) -> Docked {
    let mut stayer = Docked::behind(profile, &Engine::machine(), &[]).await;
    let newest = profile.newest.0.min(OURS);
    let known = if profile.version.is_empty() {
        "engine".to_owned()
    } else {
        format!("Docker {} (API 1.{newest})", profile.version)
    };
    assert!(stayer.banner.contains(&known), "{known} is not in {}", stayer.banner);

    stayer.launch(&redis("/redis", 0)).await;
    let task = stayer.running("/redis", 1).await.remove(0);
    let port = u16::try_from(task["ports"][0].as_u64().expect("a port")).expect("small");
    assert_eq!(ask(port, "PING\r\n").await, "+PONG");
    let container = stayer.engine.of_task(&task);
    let shown = stayer.engine.inspect(&container);
    let networks = shown["NetworkSettings"]["Networks"].as_object().expect("networks").clone();
    let address = networks.values().next().expect("one network")["IPAddress"].clone();
    assert_eq!(task["ipAddresses"][0]["ipAddress"], address, "{}: {task}", profile.name);
    // However few such an engine gives: databases and proxies need more.
    let files = shown["HostConfig"]["Ulimits"].as_array().cloned().unwrap_or_default();
    let files =
        files.iter().find(|limit| limit["Name"] == "nofile" || limit["Name"] == "RLIMIT_NOFILE");
    assert!(files.is_some_and(|it| it["Soft"].as_u64() > Some(1024)), "{}", shown["HostConfig"]);

    let path = format!("/v2/tasks/{}/logs", task["id"].as_str().expect("an id"));
    let told = |stayer: Value| stayer.to_string().contains("Ready to accept");
    stayer
        .until("its output is there", |stayer| {
            let path = path.clone();
            async move { told(json!(stayer.get(&path).await.text)) }
        })
        .await;

    // A server that comes back finds it again.
    stayer.kill();
    stayer.restart().await;
    let again = stayer.running("/redis", 1).await.remove(0);
    assert_eq!(stayer.engine.of_task(&again), container, "{}", profile.name);

    stayer.engine.docker(&["kill", &container]);
    stayer
        .until("another runs in its place", |stayer| {
            let before = task["id"].clone();
            async move {
                let running = stayer.tasks("/redis", "TASK_RUNNING").await;
                running.first().is_some_and(|task| task["id"] != before)
            }
        })
        .await;
    assert_eq!(stayer.failure("/redis").await, "Container terminated with signal 9 (Killed)");
    stayer.remove("/redis").await;
    assert_eq!(stayer.alive(), Vec::<String>::new());
    stayer
}

#[tokio::test]
async fn a_life_is_the_same_on_every_engine_that_can_be_spoken_with() {
    for name in ["docker25", "docker29.0", "docker29.7", "docker-novel"] {
        life(Profile::named(name)).await;
    }
}

#[tokio::test]
async fn an_image_that_is_pulled_is_known_by_its_name_and_not_by_its_id() {
    let stayer = Docked::behind(Profile::named("docker29.0"), &Engine::machine(), &[]).await;
    let registry = crate::registry::Registry::of(&stayer.engine, "busybox:local").await;
    let mut app = patient("/pulled", 1);
    app["container"]["docker"] = json!({"image": registry.image(), "forcePullImage": true});
    stayer.launch(&app).await;
    stayer.running("/pulled", 1).await;
    assert!(registry.pulls() > 0);
    let nowhere = Nowhere::hold();
    let gone = format!("{nowhere}/gone:1");
    let mut app = patient("/gone", 1);
    app["container"]["docker"]["image"] = json!(gone);
    app["backoffSeconds"] = json!(60);
    stayer.launch(&app).await;
    // Only `errorDetail` is left of a pull that failed.
    let told = stayer.failure("/gone").await;
    assert!(told.contains(&gone), "{told}");
}

#[tokio::test]
async fn a_rootless_engine_says_what_it_lacks_and_runs_what_it_can() {
    let stayer = life(Profile::named("rootless29")).await;
    for words in ["rootless", "without limits of memory and cpu shares"] {
        assert!(stayer.banner.contains(words), "{words} is not in {}", stayer.banner);
    }
    let mut limited = patient("/limited", 1);
    limited["resourceLimits"] = json!({"cpus": 1});
    limited["backoffSeconds"] = json!(60);
    stayer.launch(&limited).await;
    let told = stayer.failure("/limited").await;
    for words in ["create the container", "Docker 29.0.4, rootless", "Delegate=yes"] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    let mut low = redis("/low", 1001);
    low["backoffSeconds"] = json!(60);
    stayer.launch(&low).await;
    let told = stayer.failure("/low").await;
    for words in ["start the container", "Docker 29.0.4, rootless", "from 1024 on"] {
        assert!(told.contains(words), "{words} is not in {told}");
    }
    assert_eq!(stayer.alive(), Vec::<String>::new());
}

#[tokio::test]
async fn an_engine_that_speaks_nothing_we_know_is_named_with_both_versions_and_what_helps() {
    let stayer = Docked::behind(Profile::named("docker-beyond"), &Engine::machine(), &[]).await;
    stayer.launch(&patient("/waits", 1)).await;
    stayer.waits_for("/waits", "engine").await;
    for words in [
        "ask the engine for its version",
        "engine 40.0.0",
        "API 1.60 and later",
        "1.53 and earlier",
        "DOCKER_MIN_API_VERSION",
    ] {
        let said = || format!("{}\n{}", stayer.banner, stayer.said());
        assert!(comes_true(|| said().contains(words)), "{words} is not in {}", said());
    }
    assert_eq!(stayer.containers(), Vec::<String>::new());
}
