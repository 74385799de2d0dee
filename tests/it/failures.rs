//! What ended a task is told.

use serde_json::{Value, json};

use crate::rig::{Stayer, sleeper};

async fn last_failure(stayer: &Stayer, id: &str) -> Value {
    stayer
        .wait("a failure is told", async |stayer| {
            let app = stayer.get(&format!("/v2/apps{id}?embed=app.lastTaskFailure")).await.json();
            Some(app["app"]["lastTaskFailure"].clone()).filter(Value::is_object)
        })
        .await
}

async fn fails(stayer: &Stayer, id: &str, fields: Value) -> Value {
    let mut app = sleeper(id, fields);
    app["backoffSeconds"] = json!(60);
    stayer.launch(&app).await;
    last_failure(stayer, id).await
}

#[tokio::test(flavor = "multi_thread")]
async fn exit_codes_and_signals_are_told() {
    let stayer = Stayer::bare().await;
    let failure = fails(&stayer, "/exits", json!({"cmd": "exit 42"})).await;
    assert_eq!(failure["message"], "Container exited with status 42");
    assert_eq!((&failure["state"], &failure["appId"]), (&json!("TASK_FAILED"), &json!("/exits")));
    for key in ["host", "taskId", "timestamp", "version", "slaveId"] {
        assert!(failure[key].is_string(), "{key}: {failure}");
    }
    let failure = fails(&stayer, "/unknown", json!({"cmd": "no-such-command --at-all"})).await;
    assert_eq!(failure["message"], "Container exited with status 127");
    let failure = fails(&stayer, "/signal", json!({"cmd": "kill -SEGV $$"})).await;
    assert_eq!(failure["message"], "Container terminated with signal 11 (Segmentation fault)");
    let failure = fails(&stayer, "/args", json!({"cmd": null, "args": ["/no/such/program"]})).await;
    assert_eq!(failure["state"], "TASK_FAILED");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_ends_well_has_not_failed_and_is_started_again_all_the_same() {
    // BO-4, contract 5.13.
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/done", json!({"cmd": "exit 0", "backoffSeconds": 1}))).await;
    stayer
        .until("a later life of it is seen", |stayer| async {
            let tasks = stayer.all_tasks("/done").await;
            tasks.iter().any(|task| task["id"].as_str().is_some_and(|id| id.ends_with(".3")))
        })
        .await;
    let app = stayer.get("/v2/apps/done?embed=app.lastTaskFailure").await.json();
    assert_eq!(app["app"].get("lastTaskFailure"), None);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_takes_too_much_memory_is_told_of_as_such() {
    let stayer = Stayer::bare().await;
    // Where the host cannot limit memory the banner says so, and this test has nothing to show.
    assert!(stayer.banner.contains("memory limit"), "no limits here: {}", stayer.banner);
    let hog = json!({"cmd": "exec python3 -c 'x = bytearray(200_000_000)'", "mem": 8});
    let failure = fails(&stayer, "/hog", hog).await;
    let message = failure["message"].as_str().expect("text");
    assert!(message.starts_with("Memory limit exceeded"), "{message}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_can_never_start_says_why() {
    let stayer = Stayer::bare().await;
    let failure = fails(&stayer, "/user", json!({"user": "no-such-account"})).await;
    let message = failure["message"].as_str().expect("text");
    assert!(message.contains("no-such-account"), "{message}");
    // No engine: it waits, and explain says for what.
    let image = json!({"type": "DOCKER", "docker": {"image": "busybox:local"}});
    stayer.launch(&sleeper("/image", json!({"container": image}))).await;
    stayer.wait("it waits for one", async |it| it.reason("/image", "engine").await).await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_killed_by_a_signal_from_outside_says_which() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"backoffSeconds": 60}))).await;
    let task = stayer.running("/app", 1).await.remove(0);
    stayer.process(&task, "sleep").await.signal("KILL");
    let failure = last_failure(&stayer, "/app").await;
    assert_eq!(failure["message"], "Container terminated with signal 9 (Killed)");
    stayer.finish().await;
}
