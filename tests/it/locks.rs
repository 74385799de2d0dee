//! Deployments that hold an app: who waits, who overrides, and how one is taken back.

use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Stayer, ids, run, sleeper, slow};

/// A change that never comes to an end: no new task can ever start.
async fn stuck(stayer: &Stayer, id: &str) -> String {
    let change = json!({"user": "no-such-account", "backoffSeconds": 60});
    let answer = stayer.put(&format!("/v2/apps{id}"), &change).await;
    let deployment = answer.expect(200).json()["deploymentId"].as_str().expect("an id").to_owned();
    stayer
        .until("a new task has failed", |stayer| async move {
            let app = stayer.get(&format!("/v2/apps{id}?embed=app.lastTaskFailure")).await.json();
            app["app"]["lastTaskFailure"]["message"]
                .as_str()
                .is_some_and(|text| text.contains("no-such-account"))
        })
        .await;
    deployment
}

/// An app of which nothing can ever start.
fn never(id: &str) -> Value {
    sleeper(id, json!({"user": "no-such-account", "backoffSeconds": 60}))
}

/// The account that runs this.
fn own_account() -> String {
    run(Command::new("id").arg("-un")).out.trim().to_owned()
}

async fn gone(stayer: &Stayer, deployment: &str) {
    stayer
        .until("the deployment is over", |stayer| {
            let deployment = deployment.to_owned();
            async move { !stayer.get("/v2/deployments").await.text.contains(&deployment) }
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_upgrade_leaves_the_old_tasks_as_they_were() {
    // DP-16, DP-18: the tasks of the definition that is put back are not restarted.
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 2}))).await;
    let before = ids(&stayer.running("/app", 2).await);
    let tasks = stayer.all_tasks("/app").await;
    let processes = stayer.processes(&tasks, "sleep").await;
    let deployment = stuck(&stayer, "/app").await;
    let listed = stayer.get("/v2/deployments").await.json();
    assert_eq!(listed[0]["id"], json!(deployment));
    assert_eq!(listed[0]["affectedApps"], json!(["/app"]));
    let began = Instant::now();
    let answer = stayer.delete(&format!("/v2/deployments/{deployment}")).await.expect(200).json();
    assert_ne!(answer["deploymentId"], json!(deployment));
    stayer.at_rest().await;
    // The goal is a second.
    assert!(began.elapsed() < slow(Duration::from_secs(30)), "{:?}", began.elapsed());
    assert_eq!(ids(&stayer.running("/app", 2).await), before);
    assert!(processes.iter().all(|process| process.runs()), "nothing was touched");
    assert_eq!(stayer.app("/app").await.get("user"), None);
    stayer.delete(&format!("/v2/deployments/{deployment}")).await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_crash_loop_is_back_at_what_ran_before() {
    // What runs for a moment counts as healthy (RU-1), so an old task may have gone; all of them are back.
    let stayer = Stayer::bare().await;
    // One at a time, so that never all of the new ones run at the same moment, which would be the end of it.
    let strategy = json!({"minimumHealthCapacity": 1, "maximumOverCapacity": 0.3});
    stayer.launch(&sleeper("/app", json!({"instances": 3, "upgradeStrategy": strategy}))).await;
    stayer.running("/app", 3).await;
    let change = json!({"cmd": "exit 3", "backoffSeconds": 1, "backoffFactor": 2});
    let deployment = stayer.put("/v2/apps/app", &change).await.expect(200).json();
    stayer
        .until("a new task has crashed", |stayer| async {
            let app = stayer.get("/v2/apps/app?embed=app.lastTaskFailure").await.json();
            app["app"]["lastTaskFailure"].is_object()
        })
        .await;
    let id = deployment["deploymentId"].as_str().expect("an id");
    stayer.delete(&format!("/v2/deployments/{id}")).await.expect(200);
    let began = Instant::now();
    for task in stayer.running("/app", 3).await {
        stayer.process(&task, "sleep").await;
    }
    assert!(began.elapsed() < slow(Duration::from_secs(30)), "{:?}", began.elapsed());
    assert_eq!(stayer.app("/app").await["cmd"], "exec sleep 1000");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_locked_app_is_refused_with_the_holder_and_taken_with_force() {
    // DP-11, DP-12, DP-14.
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({}))).await;
    stayer.running("/app", 1).await;
    let first = stuck(&stayer, "/app").await;
    let change = json!({"env": {"N": "2"}, "user": own_account()});
    let refused = stayer.put("/v2/apps/app", &change).await.expect(409).json();
    assert_eq!(refused["deployments"], json!([{"id": first}]));
    assert!(refused["message"].as_str().is_some_and(|text| text.contains("locked")), "{refused}");
    assert_ne!(stayer.app("/app").await["env"], json!({"N": "2"}));
    // Another app is free.
    stayer.launch(&sleeper("/free", json!({}))).await;
    stayer.running("/free", 1).await;
    let second = stayer.put("/v2/apps/app?force=true", &change).await.expect(200).json();
    gone(&stayer, &first).await;
    assert_ne!(second["deploymentId"], json!(first));
    stayer.running("/app", 1).await;
    assert_eq!(stayer.app("/app").await["env"], json!({"N": "2"}));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forced_end_leaves_the_new_definition_and_removing_never_waits() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({}))).await;
    stayer.running("/app", 1).await;
    let deployment = stuck(&stayer, "/app").await;
    let ended =
        stayer.delete(&format!("/v2/deployments/{deployment}?force=true")).await.expect(202);
    assert_eq!(ended.text, "");
    gone(&stayer, &deployment).await;
    assert_eq!(stayer.app("/app").await["user"], "no-such-account");
    stayer.put("/v2/apps/app", &json!({"cmd": "exit 4"})).await.expect(200);
    assert_ne!(stayer.get("/v2/deployments").await.json(), json!([]));
    // DELETE of an app forces by default (DP-14).
    stayer.delete("/v2/apps/app").await.expect(200);
    stayer.at_rest().await;
    assert_eq!(stayer.get("/v2/tasks").await.json()["tasks"], json!([]));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creating_can_be_cancelled_too() {
    let stayer = Stayer::bare().await;
    let created = stayer.launch(&never("/never")).await;
    let deployment = created["deployments"][0]["id"].as_str().expect("an id").to_owned();
    stayer.delete(&format!("/v2/deployments/{deployment}")).await.expect(200);
    stayer.at_rest().await;
    stayer.get("/v2/apps/never").await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_deployments_than_allowed() {
    let stayer = Stayer::bare_with(&["--max-running-deployments", "1"]).await;
    let first = stayer.launch(&never("/first")).await;
    let refused = stayer.post("/v2/apps", &sleeper("/second", json!({}))).await;
    assert!(matches!(refused.status, 403 | 429 | 503), "{refused:?}");
    assert!(refused.json()["message"].is_string());
    let gone: Value = stayer.get("/v2/apps/second").await.expect(404).json();
    assert!(gone["message"].is_string());
    // Contract 9: the cap holds for forced requests too, but a way back never counts.
    let deployment = first["deployments"][0]["id"].as_str().expect("an id");
    stayer.delete(&format!("/v2/deployments/{deployment}")).await.expect(200);
    stayer.at_rest().await;
    stayer.launch(&sleeper("/second", json!({}))).await;
    stayer.running("/second", 1).await;
    stayer.finish().await;
}
