//! What is known of a task that failed: what led to it, what its checks were answered, what it wrote last; and for how long.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::docker_rig::{Docked, patient};
use crate::rig::{Nowhere, Stayer, sleeper};

const MAX_BYTES: u64 = 64 * 1_024;

/// The newest failure of an app as it is now.
async fn newest(stayer: &Stayer, id: &str) -> Option<Value> {
    let list = stayer.get(&format!("/v2/apps{id}/failures?limit=1")).await.json();
    let task = list["failures"].get(0)?["taskId"].as_str()?.to_owned();
    let one = stayer.get(&format!("/v2/apps{id}/failures/{task}")).await.expect(200).json();
    Some(one["failure"].clone())
}

/// The same once its evidence is such, and its end is known.
async fn autopsy(stayer: &Stayer, id: &str, evidence: &str) -> Value {
    stayer
        .wait(&format!("evidence of {id} is {evidence}"), async |stayer| {
            let failure = newest(stayer, id).await?;
            let is_over = failure["chain"].as_array()?.last()? != "is being ended";
            (failure["evidence"]["state"] == evidence && is_over).then_some(failure)
        })
        .await
}

fn chain(failure: &Value) -> Vec<&str> {
    failure["chain"].as_array().expect("a chain").iter().filter_map(Value::as_str).collect()
}

fn lines<'a>(failure: &'a Value, output: &str) -> Vec<&'a str> {
    let lines = failure["evidence"][output]["lines"].as_array().expect("lines");
    lines.iter().filter_map(Value::as_str).collect()
}

/// Every file of evidence below an agent's directory.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(dir.join("agent/autopsies")).expect("the agent made it");
    files.map(|file| file.expect("an entry").path()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_once_leaves_its_last_words_and_not_its_secrets() {
    let stayer = Stayer::bare().await;
    let cmd = "i=0; while [ $i -lt 250 ]; do i=$((i+1)); echo line $i; done; \
               echo the trouble >&2; exit 7";
    let fields = json!({"cmd": cmd, "env": {"TOKEN": "s3cret"}, "backoffSeconds": 60});
    let made = stayer.launch(&sleeper("/a/crash", fields)).await;
    let deployment = made["deployments"][0]["id"].as_str().expect("an id");
    let failure = autopsy(&stayer, "/a/crash", "here").await;
    assert_eq!((&failure["kind"], &failure["exitCode"]), (&json!("exit"), &json!(7)), "{failure}");
    let written = lines(&failure, "stdout");
    assert_eq!((written.len(), written[0], written[199]), (200, "line 51", "line 250"));
    assert_eq!(failure["evidence"]["stdout"]["more"], true);
    assert_eq!(lines(&failure, "stderr"), ["the trouble"]);
    let links = chain(&failure);
    let version = failure["version"].as_str().expect("a version");
    // It ran for a moment, and that may have been enough for its deployment.
    assert!(links[0].starts_with(&format!("deployment {deployment}")), "{links:?}");
    assert_eq!(links[1], format!("version {version}"));
    assert_eq!(links.last(), Some(&"exit 7"), "{links:?}");
    assert!(!failure.to_string().contains("s3cret"), "values of the environment are not in it");
    for file in files(stayer.dir()) {
        let data = std::fs::metadata(&file).expect("a file");
        assert_eq!(data.permissions().mode() & 0o777, 0o600, "{}", file.display());
        assert!(data.len() <= MAX_BYTES, "{}", data.len());
    }
    // The same from the command line, of the app and of the task.
    let task = failure["taskId"].as_str().expect("an id");
    let told = stayer.cli(&["autopsy", "/a/crash"]);
    for words in ["KIND", task, "→ exit 7", "stdout, the last 200 lines:", "  the trouble"] {
        assert!(told.out.contains(words), "{words} is not in:\n{}", told.out);
    }
    let told = stayer.cli(&["autopsy", task, "--output", "json"]);
    let body: Value = serde_json::from_str(&told.out).expect("JSON");
    assert_eq!(body["failure"]["taskId"], task);
    // Marathon's own is as ever.
    let app = stayer.get("/v2/apps/a/crash?embed=app.lastTaskFailure").await.json();
    assert_eq!(app["app"]["lastTaskFailure"]["taskId"], task);
    stayer.finish().await;
}

/// HC-7: the answers that condemned it, who killed it, and how it ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_health_kill_has_the_answers_that_led_to_it() {
    let stayer = Stayer::bare().await;
    let root = stayer.dir().join("www");
    std::fs::create_dir(&root).expect("a directory");
    let cmd = format!("trap '' TERM; exec busybox httpd -f -p $PORT0 -h {}", root.display());
    let check = json!({
        "protocol": "HTTP", "path": "/health", "portIndex": 0, "gracePeriodSeconds": 0,
        "intervalSeconds": 1, "timeoutSeconds": 5, "maxConsecutiveFailures": 5,
    });
    let fields = json!({
        "cmd": cmd, "healthChecks": [check], "portDefinitions": [{"port": 0, "name": "http"}],
        "taskKillGracePeriodSeconds": 1,
    });
    stayer.launch(&sleeper("/web", fields)).await;
    let failure = autopsy(&stayer, "/web", "here").await;
    assert_eq!((&failure["kind"], &failure["state"]), (&json!("unhealthy"), &json!("TASK_KILLED")));
    assert_eq!(failure["healthCheck"]["check"], "/health");
    let probes = failure["evidence"]["probes"].as_array().expect("answers");
    assert_eq!(probes.len(), 5, "{probes:?}");
    for probe in probes {
        assert_eq!((&probe["status"], &probe["good"]), (&json!(404), &json!(false)), "{probe}");
        assert!(probe["body"].as_str().is_some_and(|body| body.contains("404")), "{probe}");
        assert_eq!(probe["check"], "health /health");
    }
    let links = chain(&failure);
    let tail = [
        "health check /health failed 6 times: HTTP status 404",
        "killed after its grace period of 1.000 s",
        "exit 137 (signal 9)",
    ];
    assert!(links.ends_with(&tail), "{links:?}");
    assert!(links[0].starts_with("deployment "), "{links:?}");
    stayer.finish().await;
}

/// A rollback never reads as success: what it took away is still known to have failed, and in which deployment.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_version_is_known_after_its_rollback() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({}))).await;
    stayer.running("/app", 1).await;
    stayer.at_rest().await;
    // It ends before it is healthy, so the deployment waits.
    let check = json!({"protocol": "COMMAND", "command": {"value": "true"}, "intervalSeconds": 60});
    let bad = |id: &str, cmd: &str| {
        sleeper(id, json!({"cmd": cmd, "backoffSeconds": 60, "healthChecks": [check]}))
    };
    let put =
        stayer.put("/v2/apps/app", &bad("/app", "echo bad news; exit 3")).await.expect(200).json();
    let deployment = put["deploymentId"].as_str().expect("an id").to_owned();
    autopsy(&stayer, "/app", "here").await;
    stayer.delete(&format!("/v2/deployments/{deployment}")).await.expect(200);
    stayer.at_rest().await;
    assert_ne!(stayer.app("/app").await["version"], put["version"], "taken back");
    let failure = autopsy(&stayer, "/app", "here").await;
    assert_eq!(failure["version"], put["version"]);
    assert_eq!(failure["deployment"]["id"], *deployment);
    assert_eq!(failure["deployment"]["brings"], true);
    assert_eq!(failure["deployment"]["state"], "rolledBack");
    assert!(chain(&failure)[0].contains("(rolled back by "), "{failure}");
    assert_eq!(lines(&failure, "stdout"), ["bad news"]);
    // An app that came with its deployment goes with it, and not what is known of it.
    stayer.launch(&bad("/new", "exit 4")).await;
    let failure = autopsy(&stayer, "/new", "here").await;
    let made = failure["deployment"]["id"].as_str().expect("it made the app").to_owned();
    stayer.delete(&format!("/v2/deployments/{made}")).await.expect(200);
    stayer
        .until("the app is gone", |stayer| async { stayer.get("/v2/apps/new").await.status == 404 })
        .await;
    assert_eq!(autopsy(&stayer, "/new", "here").await["exitCode"], 4);
    stayer.finish().await;
}

/// Neither the end of a server nor of an agent takes anything away; while an agent is away its evidence is, and no more.
#[tokio::test(flavor = "multi_thread")]
async fn the_outline_is_the_servers_and_the_evidence_its_agents() {
    let mut cluster = Cluster::start().await;
    cluster.agent("a1").start().await;
    let crash = json!({"cmd": "echo why; exit 5", "backoffSeconds": 600});
    cluster.launch(&sleeper("/crash", crash)).await;
    let failure = autopsy(&cluster, "/crash", "here").await;
    assert_eq!(failure["host"], "a1");
    cluster.kill();
    cluster.of("a1").says("closed the connection").await;
    cluster.restart().await;
    assert_eq!(autopsy(&cluster, "/crash", "here").await, failure, "another server");
    cluster.of("a1").kill();
    let away = autopsy(&cluster, "/crash", "away").await;
    let detail = away["evidence"]["detail"].as_str().expect("words");
    assert!(detail.starts_with("on agent a1, which is not heard"), "{detail}");
    assert_eq!((&away["taskId"], &away["chain"]), (&failure["taskId"], &failure["chain"]));
    let told = cluster.cli(&["autopsy", "/crash"]);
    assert!(told.out.contains("evidence: on agent a1, which is not heard"), "{}", told.out);
    cluster.of("a1").restart().await;
    assert_eq!(autopsy(&cluster, "/crash", "here").await, failure, "another process of the agent");
    cluster.of("a1").kill();
    cluster
        .until("the agent may be forgotten", |cluster| async {
            cluster.delete("/v2/agents/a1").await.status == 204
        })
        .await;
    let forgotten = autopsy(&cluster, "/crash", "forgotten").await;
    assert_eq!(forgotten["evidence"]["detail"], "on agent a1, which was forgotten");
    cluster.finish().await;
}

#[tokio::test]
async fn a_container_leaves_its_image_its_peak_and_its_last_words() {
    // CT-13.
    let stayer = Docked::with(&[]).await;
    let mut hog = patient("/oom", 1);
    hog["cmd"] = json!("echo before; echo trouble >&2; tail /dev/zero");
    hog["backoffSeconds"] = json!(600);
    stayer.launch(&hog).await;
    let failure = autopsy(&stayer, "/oom", "here").await;
    assert_eq!(
        (&failure["kind"], &failure["oom"]["peakMiB"]),
        (&json!("oom"), &json!(32)),
        "{failure}"
    );
    assert_eq!((&failure["exitCode"], &failure["signal"]), (&json!(137), &json!(9)));
    assert_eq!(
        (lines(&failure, "stdout"), lines(&failure, "stderr")),
        (vec!["before"], vec!["trouble"])
    );
    let image = &failure["evidence"]["image"];
    assert_eq!(image["name"], "busybox:local");
    let container = stayer.containers().remove(0);
    let inspected = stayer.engine.inspect(&container);
    assert_eq!(image["id"], inspected["Image"], "what it was made from");
    let format = "{{range .RepoDigests}}{{.}} {{end}}";
    let known = stayer.engine.docker(&["image", "inspect", "--format", format, "busybox:local"]);
    let digest = known.split_whitespace().next().and_then(|name| name.split_once('@'));
    assert_eq!(image["digest"].as_str(), digest.map(|(_, digest)| digest));
    let last = chain(&failure).last().map(|link| (*link).to_owned()).expect("a link");
    assert_eq!(last, "killed by the kernel for its memory, peak 32 MiB: exit 137");
    // What is removed with its app is still known.
    stayer.remove("/oom").await;
    assert_eq!(autopsy(&stayer, "/oom", "here").await["evidence"], failure["evidence"]);
    let nowhere = Nowhere::hold();
    let missing = format!("{nowhere}/missing:1");
    let mut app = patient("/image", 1);
    app["container"]["docker"]["image"] = json!(missing);
    app["backoffSeconds"] = json!(600);
    stayer.launch(&app).await;
    let failure = autopsy(&stayer, "/image", "here").await;
    assert_eq!(failure["kind"], "launch", "{failure}");
    let last = chain(&failure).last().map(|link| (*link).to_owned()).expect("a link");
    assert!(last.contains(&missing), "{last}");
    assert!(failure.get("exitCode").is_none() && lines(&failure, "stdout").is_empty());
}
