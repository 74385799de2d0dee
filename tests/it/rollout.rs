//! Health and upgrades of a small HTTP app in containers, gate by gate, with servers and agents that are killed meanwhile.
//!
//! What health checks do to plain processes stands in `health.rs`, upgrades that nothing holds up in `upgrade.rs`, and ways
//! back in `cancel.rs`.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::docker_rig::{Docked, comes_true, sh};
use crate::events::Stream;
use crate::rig::{Stayer, free_port, ids, sleeper};
use crate::upgrade::watched;
use crate::web::{GOOD, ILL, Manner, Web, is_healthy, with};

async fn docked(web: &Web) -> Docked {
    let volumes = web.volumes();
    Docked::with(&volumes.each_ref().map(String::as_str)).await
}

/// Puts a definition that must be taken; its version.
async fn put(stayer: &Stayer, app: &Value) -> Value {
    let id = app["id"].as_str().expect("an id");
    let reply = stayer.put(&format!("/v2/apps{id}"), app).await;
    assert!(matches!(reply.status, 200 | 201), "{}", reply.text);
    reply.json()["version"].clone()
}

/// A readiness check of the file `ready`.
fn gated(app: Value) -> Value {
    let check = json!({"name": "up", "path": "/ready", "portName": "http-api",
        "intervalSeconds": 2, "timeoutSeconds": 1});
    with(app, json!({"readinessChecks": [check]}))
}

/// HC-5 to HC-7: three failures of a container that was well, where two are forgiven; then the kill, and its reason.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_is_killed_on_the_failure_after_the_last_that_is_forgiven() {
    let web = Web::new();
    let stayer = docked(&web).await;
    stayer.launch(&web.contained(web.app("/web", "1", GOOD))).await;
    let task = stayer.running("/web", 1).await.remove(0);
    stayer.counted("/web", 1, 0).await;
    let mut told = Stream::open(&stayer, "?app=/web", None).await;
    web.unset(&task, "health");
    let events = told.until("unhealthy_instance_kill_event").await;
    let failed = events.iter().filter(|event| event.name == "failed_health_check_event");
    assert_eq!(failed.count(), 3, "{events:#?}");
    let reason = &events.last().expect("the kill").data["reason"];
    assert_eq!(reason, "HTTP status 404");
    let next = stayer
        .wait("another life is healthy", async |stayer| {
            let tasks = stayer.tasks("/web", "TASK_RUNNING").await;
            tasks.into_iter().find(|other| other["id"] != task["id"] && is_healthy(other))
        })
        .await;
    assert_eq!(stayer.engine.of_tasks(&[next]), stayer.alive());
    let shown = stayer.get("/v2/apps/web?embed=app.lastTaskFailure").await.json();
    let failure = &shown["app"]["lastTaskFailure"];
    assert_eq!((&failure["state"], &failure["taskId"]), (&json!("TASK_KILLED"), &task["id"]));
    let message = "Task was killed since health check failed. Reason: HTTP status 404";
    assert_eq!(failure["message"], message);
    stayer.remove("/web").await;
}

/// HC-4, BETTER: the limit is that of the whole probe, and a container that answers too late is not well.
#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_answers_too_late_is_not_well() {
    let web = Web::new();
    let stayer = docked(&web).await;
    let late = json!({"protocol": "HTTP", "path": "/cgi-bin/late", "portIndex": 0,
        "intervalSeconds": 1, "timeoutSeconds": 2, "maxConsecutiveFailures": 0});
    let app = with(web.contained(web.app("/late", "1", GOOD)), json!({"healthChecks": [late]}));
    stayer.launch(&app).await;
    let task = stayer
        .wait("it runs", async |stayer| stayer.tasks("/late", "TASK_RUNNING").await.pop())
        .await;
    web.set(&task, "delay", "0");
    stayer.running("/late", 1).await;
    stayer.counted("/late", 1, 0).await;
    web.set(&task, "delay", "30");
    stayer
        .until("it is told why", |stayer| async {
            let tasks = stayer.tasks("/late", "TASK_RUNNING").await;
            let result = tasks.first().map(|task| task["healthCheckResults"][0].clone());
            result.is_some_and(|it| it["lastFailureCause"] == "no answer within 2 s")
        })
        .await;
    web.set(&task, "delay", "0");
    stayer.counted("/late", 1, 0).await;
    assert_eq!(ids(&stayer.running("/late", 1).await), ids(&[task]));
    stayer.remove("/late").await;
}

/// HC-4: any certificate is taken, and the answer counts.
#[tokio::test(flavor = "multi_thread")]
async fn an_app_behind_tls_is_asked_there() {
    let (stayer, dir) = (Stayer::bare().await, tempfile::tempdir().expect("a directory"));
    let path = dir.path().display();
    sh(&format!(
        "cd {path} && openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out cert -days 2 -subj /CN=nobody 2>&1"
    ));
    let say = |status: &str| {
        // In one step: half an answer is another answer.
        let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n");
        std::fs::write(dir.path().join("new"), answer).expect("written");
        std::fs::rename(dir.path().join("new"), dir.path().join("health")).expect("renamed");
    };
    say("204 Well");
    let check = json!({"protocol": "HTTPS", "path": "/health", "portIndex": 0,
        "intervalSeconds": 1, "timeoutSeconds": 20, "maxConsecutiveFailures": 1});
    let app = json!({
        "cmd": format!("cd {path}; exec openssl s_server -quiet -HTTP -accept $PORT0 -cert cert -key key"),
        "portDefinitions": [{"port": 0}], "healthChecks": [check],
    });
    stayer.launch(&sleeper("/tls", app)).await;
    let task = stayer.running("/tls", 1).await.remove(0);
    stayer.counted("/tls", 1, 0).await;
    say("503 Ill");
    let told = stayer.wait("it is killed", async |it| it.failure_of("/tls").await).await;
    assert_eq!(told, "Task was killed since health check failed. Reason: HTTP status 503");
    say("200 Well");
    stayer
        .until("another life is well", |stayer| {
            let task = task.clone();
            async move {
                let tasks = stayer.tasks("/tls", "TASK_RUNNING").await;
                tasks.iter().any(|other| other["id"] != task["id"] && is_healthy(other))
            }
        })
        .await;
    stayer.finish().await;
}

/// RU-3, RU-10: a server that is killed while an upgrade waits at its gate goes on waiting there, and touches nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_with_an_upgrade_at_its_gate() {
    let web = Web::new();
    let mut stayer = docked(&web).await;
    let app = |version| {
        let app = web.contained(web.app("/web", version, GOOD));
        let strategy = json!({"minimumHealthCapacity": 1, "maximumOverCapacity": 0.5});
        gated(with(app, json!({"instances": 2, "upgradeStrategy": strategy})))
    };
    let first = put(&stayer, &app("1")).await;
    for task in stayer.of_version("/web", &first, 2).await {
        web.set(&task, "ready", "");
    }
    let old = stayer.running("/web", 2).await;
    let second = put(&stayer, &app("2")).await;
    let new = stayer.of_version("/web", &second, 1).await;
    // Well, and not ready.
    stayer.counted("/web", 3, 0).await;
    let before = stayer.alive();
    assert_eq!(before.len(), 3);
    stayer.kill();
    stayer.restart().await;
    stayer.counted("/web", 3, 0).await;
    assert_eq!(stayer.alive(), before, "nothing was started and nothing was ended");
    web.set(&new[0], "ready", "");
    // One more for each that may go, and each waits at the gate.
    stayer
        .wait("the other one has come", async |stayer| {
            let tasks = stayer.of_version("/web", &second, 2).await;
            tasks.into_iter().find(|task| task["id"] != new[0]["id"])
        })
        .await;
    let running = ids(&stayer.tasks("/web", "TASK_RUNNING").await);
    assert_eq!(ids(&old).iter().filter(|id| running.contains(id)).count(), 1, "{running:?}");
    for task in stayer.of_version("/web", &second, 2).await {
        web.set(&task, "ready", "");
    }
    let running = stayer.running("/web", 2).await;
    assert!(running.iter().all(|task| task["version"] == second), "{running:?}");
    assert!(ids(&running).contains(&ids(&new)[0]), "what was ready stays");
    stayer.remove("/web").await;
}

/// The same for an agent: what it started runs on, is neither doubled nor replaced, and is asked again.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_agent_goes_on_with_an_upgrade_at_its_gate() {
    let web = Web::new();
    let mut cluster = Cluster::start().await;
    let volumes = web.volumes();
    let volumes = volumes.each_ref().map(String::as_str);
    cluster.agent("a1").docker().args(&volumes).start().await;
    // They are waited for, however late the agent comes back.
    let app = |version, manner| {
        let stays = json!({"unreachableStrategy": "disabled"});
        with(web.contained(web.app("/web", version, manner)), stays)
    };
    put(&cluster, &app("1", GOOD)).await;
    let old = cluster.running("/web", 1).await;
    let second = put(&cluster, &app("2", ILL)).await;
    let new = cluster.of_version("/web", &second, 1).await.remove(0);
    let before = cluster.of("a1").containers();
    assert_eq!(before.len(), 2);
    cluster.of("a1").kill();
    cluster.of("a1").restart().await;
    cluster.counted("/web", 1, 0).await;
    let running = ids(&cluster.tasks("/web", "TASK_RUNNING").await);
    assert_eq!(running, ids(&[old[0].clone(), new.clone()]), "the old one is not touched");
    assert_eq!(cluster.of("a1").containers(), before);
    web.set(&new, "health", "");
    assert_eq!(ids(&cluster.running("/web", 1).await), ids(&[new]));
    cluster.finish().await;
}

/// RU-7, DP-12: a version that never becomes healthy takes nothing from the old one, and neither does the next that is
/// forced over it, which takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_is_forced_over_a_bad_one_costs_no_healthy_one() {
    let web = Web::new();
    let stayer = docked(&web).await;
    let app = |version, manner| {
        with(web.contained(web.app("/web", version, manner)), json!({"instances": 2}))
    };
    put(&stayer, &app("1", GOOD)).await;
    let old = ids(&stayer.running("/web", 2).await);
    let second = put(&stayer, &app("2", ILL)).await;
    let ill = ids(&stayer.of_version("/web", &second, 2).await);
    let locked = stayer.put("/v2/apps/web", &app("3", GOOD)).await.expect(409).json();
    assert_eq!(locked["deployments"].as_array().map(Vec::len), Some(1), "DP-11: {locked}");
    let forced = stayer.put("/v2/apps/web?force=true", &app("3", GOOD)).await.expect(200).json();
    stayer
        .settles("/web", |tasks| {
            let healthy = tasks.iter().filter(|task| is_healthy(task)).count();
            healthy >= 2 && tasks.iter().filter(|task| task["state"] == "TASK_RUNNING").count() <= 4
        })
        .await;
    let running = stayer.running("/web", 2).await;
    assert!(running.iter().all(|task| task["version"] == forced["version"]), "{running:?}");
    assert!(ids(&running).iter().all(|id| !old.contains(id) && !ill.contains(id)));
    stayer.remove("/web").await;
}

/// RU-1, a fixed port of the host: the old one is gone before the new one comes, and the port is given from one to the
/// other.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_instance_on_a_fixed_port_never_meets_the_next_one() {
    let web = Web::new();
    let stayer = docked(&web).await;
    let port = free_port();
    let app = |version| {
        let container = json!({"portMappings": [{"containerPort": 8080, "hostPort": port}]});
        let fields = json!({
            "networks": [{"mode": "container/bridge"}], "container": container,
            "env": {"SERVE_AT": "8080"}, "labels": {"MARATHON_SINGLE_INSTANCE_APP": "true"},
            "upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0},
        });
        let mut app = with(web.contained(web.app("/one", version, GOOD)), fields);
        app.as_object_mut().expect("an app").remove("portDefinitions");
        app
    };
    stayer.launch(&app("1")).await;
    stayer.running("/one", 1).await;
    let version = || sh(&format!("curl -sS -m 20 http://127.0.0.1:{port}/version || true"));
    assert!(comes_true(|| version() == "1\n"), "{}", version());
    for next in ["2", "3"] {
        let (fewest, most) = watched(&stayer, "/one", 1, &app(next)).await;
        assert_eq!((fewest, most), (0, 1), "one after the other");
        assert!(comes_true(|| version() == format!("{next}\n")), "{}", version());
    }
    assert_eq!(stayer.failure_of("/one").await, None, "nobody was refused the port");
    stayer.remove("/one").await;
}

/// RU-1: the only instance is replaced before it goes, with room for one more or without, and by as few as can be.
#[tokio::test(flavor = "multi_thread")]
async fn the_only_instance_is_replaced_before_it_goes() {
    let (stayer, web) = (Stayer::bare().await, Web::new());
    for (id, minimum, over) in [("/usual", 1.0, 1.0), ("/full", 1.0, 0.0), ("/half", 0.5, 0.0)] {
        let strategy = json!({"minimumHealthCapacity": minimum, "maximumOverCapacity": over});
        let app = with(web.app(id, "1", GOOD), json!({"upgradeStrategy": strategy}));
        stayer.launch(&app).await;
        let old = ids(&stayer.running(id, 1).await);
        // It is not well until it is told to be: the old one waits for that.
        let second =
            put(&stayer, &with(web.app(id, "2", ILL), json!({"upgradeStrategy": strategy}))).await;
        let new = stayer.of_version(id, &second, 1).await.remove(0);
        let running = ids(&stayer.tasks(id, "TASK_RUNNING").await);
        assert!(running.len() == 2 && running.contains(&old[0]), "{id}: {running:?}");
        web.set(&new, "health", "");
        stayer.settles(id, |tasks| tasks.iter().any(is_healthy) && tasks.len() <= 2).await;
        assert_eq!(ids(&stayer.running(id, 1).await), ids(&[new]), "{id}");
    }
    stayer.finish().await;
}

/// RU-1: fewer or more of a new configuration in one change, where the least that may run is of what is wanted now.
#[tokio::test(flavor = "multi_thread")]
async fn instances_and_configuration_change_together() {
    let (stayer, web) = (Stayer::bare().await, Web::new());
    let slow = Manner { slow: true, ..GOOD };
    for (id, before, after, most) in [("/fewer", 5, 3, 6), ("/more", 3, 5, 10)] {
        let app = |version, manner, instances: usize| {
            with(web.app(id, version, manner), json!({ "instances": instances }))
        };
        stayer.launch(&app("1", GOOD, before)).await;
        let old = ids(&stayer.running(id, before).await);
        let second = put(&stayer, &app("2", slow, after)).await;
        // As many as there is room for come, and wait until they may listen.
        let new = stayer.of_version(id, &second, after).await;
        let stay = before.min(after);
        stayer
            .until(&format!("{stay} old ones of {id} are left"), |stayer| {
                let old = old.clone();
                async move {
                    let running = ids(&stayer.tasks(id, "TASK_RUNNING").await);
                    old.iter().filter(|one| running.contains(one)).count() == stay
                }
            })
            .await;
        for task in &new {
            web.set(task, "go", "");
        }
        stayer
            .settles(id, |tasks| {
                let healthy = tasks.iter().filter(|task| is_healthy(task)).count();
                healthy >= stay && tasks.len() <= most
            })
            .await;
        assert_eq!(ids(&stayer.running(id, after).await), ids(&new), "{id}");
    }
    stayer.finish().await;
}
