//! Definitions and their versions: what a change keeps, and the way back.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Stayer, ids, sleeper};

async fn version(stayer: &Stayer, id: &str) -> String {
    stayer.app(id).await["version"].as_str().expect("a version").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_listed_and_one_of_them_can_be_put_back() {
    // Contract 3.4, DP-4.
    let stayer = Stayer::bare().await;
    let first = stayer.launch(&sleeper("/app", json!({"env": {"N": "1"}}))).await;
    let first = first["version"].as_str().expect("a version").to_owned();
    let old = ids(&stayer.running("/app", 1).await);
    stayer.put("/v2/apps/app", &json!({"env": {"N": "2"}})).await.expect(200);
    stayer.running("/app", 1).await;
    let second = version(&stayer, "/app").await;
    let mut versions: Vec<Value> = stayer.get("/v2/apps/app/versions").await.json()["versions"]
        .as_array()
        .cloned()
        .expect("versions");
    versions.sort_by_key(Value::to_string);
    assert_eq!(versions, [json!(first), json!(second)]);
    let stored = stayer.get(&format!("/v2/apps/app/versions/{first}")).await.expect(200).json();
    assert_eq!(stored["env"], json!({"N": "1"}));
    let back = stayer.put("/v2/apps/app", &json!({"version": first})).await.expect(200).json();
    assert!(back["deploymentId"].is_string(), "{back}");
    let now = ids(&stayer.running("/app", 1).await);
    assert_ne!(now, old);
    let app = stayer.app("/app").await;
    assert_eq!(app["env"], json!({"N": "1"}));
    assert!(app["version"].as_str().expect("a version") > second.as_str(), "it is a new one");
    stayer.get("/v2/apps/app/versions/2001-01-01T00:00:00.000Z").await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changes_nothing_keeps_version_and_tasks() {
    // DP-4: nothing differs.
    let stayer = Stayer::bare().await;
    let app = sleeper("/app", json!({"instances": 2}));
    stayer.launch(&app).await;
    let tasks = ids(&stayer.running("/app", 2).await);
    let before = stayer.app("/app").await;
    let answer = stayer.put("/v2/apps/app", &app).await.expect(200).json();
    assert!(answer["deploymentId"].is_string(), "contract 18.5.7: {answer}");
    assert_eq!(ids(&stayer.running("/app", 2).await), tasks);
    let after = stayer.app("/app").await;
    assert_eq!(
        (&after["version"], &after["versionInfo"]),
        (&before["version"], &before["versionInfo"])
    );
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_update_leaves_the_rest_and_a_scaling_leaves_the_tasks() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"labels": {"a": "b"}, "env": {"N": "1"}}))).await;
    let first = ids(&stayer.running("/app", 1).await);
    let before = stayer.app("/app").await;
    stayer.patch("/v2/apps/app", &json!({"instances": 2})).await.expect(200);
    let two = ids(&stayer.running("/app", 2).await);
    assert!(two.contains(&first[0]), "{first:?} {two:?}");
    let scaled = stayer.app("/app").await;
    let (was, is) = (&before["versionInfo"], &scaled["versionInfo"]);
    assert_eq!(is["lastConfigChangeAt"], was["lastConfigChangeAt"]);
    assert_ne!(is["lastScalingAt"], was["lastScalingAt"]);
    stayer.put("/v2/apps/app", &json!({"env": {"N": "2"}})).await.expect(200);
    let changed = ids(&stayer.running("/app", 2).await);
    assert!(changed.iter().all(|task| !two.contains(task)));
    let app = stayer.app("/app").await;
    assert_eq!((&app["labels"], &app["instances"]), (&json!({"a": "b"}), &json!(2)));
    assert_eq!(app["env"], json!({"N": "2"}));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_one_deployment() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/kept", json!({}))).await;
    stayer.running("/kept", 1).await;
    let batch = json!([
        sleeper("/kept", json!({"instances": 2})),
        sleeper("/fresh", json!({})),
        sleeper("/shop/front", json!({"instances": 2})),
    ]);
    let answer = stayer.put("/v2/apps", &batch).await.expect(200).json();
    let deployment = answer["deploymentId"].as_str().expect("one deployment").to_owned();
    for (id, count) in [("/kept", 2), ("/fresh", 1), ("/shop/front", 2)] {
        stayer.running(id, count).await;
    }
    let gone = stayer.get("/v2/deployments").await.json();
    assert!(!gone.to_string().contains(&deployment), "{gone}");
    // All or nothing: one fault and none is changed.
    let broken = json!([sleeper("/kept", json!({"instances": 3})), {"id": "/bad", "cpus": -1}]);
    stayer.put("/v2/apps", &broken).await.expect(422);
    assert_eq!(stayer.app("/kept").await["instances"], 2);
    stayer.get("/v2/apps/bad").await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_app_is_gone_with_all_its_tasks() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 3}))).await;
    let tasks = stayer.running("/app", 3).await;
    let processes = stayer.processes(&tasks, "sleep").await;
    let answer = stayer.delete("/v2/apps/app").await.expect(200).json();
    assert!(answer["deploymentId"].is_string() && answer["version"].is_string(), "{answer}");
    stayer.at_rest().await;
    stayer.get("/v2/apps/app").await.expect(404);
    assert_eq!(stayer.get("/v2/tasks").await.json()["tasks"], json!([]));
    assert!(processes.iter().all(|process| !process.runs()), "all of them ended");
    stayer.delete("/v2/apps/app").await.expect(404);
    // A new one of the same name begins anew.
    stayer.launch(&sleeper("/app", json!({}))).await;
    stayer.running("/app", 1).await;
    let versions = stayer.get("/v2/apps/app/versions").await.json();
    assert_eq!(versions["versions"].as_array().map(Vec::len), Some(1));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_replaces_every_task_by_one_of_the_same_definition() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 2}))).await;
    let old = ids(&stayer.running("/app", 2).await);
    let before = stayer.app("/app").await;
    // Contract 18, clients 2.3.11: the body is ignored.
    let answer = stayer.send(Method::POST, "/v2/apps/app/restart", Some("{}".to_owned())).await;
    assert!(answer.expect(200).json()["deploymentId"].is_string());
    stayer
        .until("all are new", |stayer| {
            let old = old.clone();
            async move {
                let now = ids(&stayer.tasks("/app", "TASK_RUNNING").await);
                now.len() == 2 && now.iter().all(|task| !old.contains(task))
            }
        })
        .await;
    stayer.running("/app", 2).await;
    let after = stayer.app("/app").await;
    assert_ne!(after["version"], before["version"]);
    assert_eq!(after["versionInfo"]["lastScalingAt"], before["versionInfo"]["lastScalingAt"]);
    assert_eq!(after["versionInfo"]["lastConfigChangeAt"], after["version"]);
    stayer.send(Method::POST, "/v2/apps/none/restart", None).await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_depends_on_runs_first() {
    // DP-8.
    let stayer = Stayer::bare().await;
    let batch = json!([
        sleeper("/chain/last", json!({"dependencies": ["/chain/middle"]})),
        sleeper("/chain/middle", json!({"dependencies": ["/chain/first"]})),
        sleeper("/chain/first", json!({})),
    ]);
    let order = async |stayer: &Stayer| {
        let mut began = Vec::new();
        for id in ["/chain/first", "/chain/middle", "/chain/last"] {
            let task = stayer.running(id, 1).await.remove(0);
            began.push((task["stagedAt"].as_str().expect("staged").to_owned(), id));
        }
        began
    };
    let deployment = stayer.put("/v2/apps", &batch).await.expect(200).json();
    let began = order(&stayer).await;
    assert!(began.windows(2).all(|two| two[0].0 <= two[1].0), "{began:?}");
    let started = |at: &Value| at.as_str().expect("it runs").to_owned();
    let first = started(&stayer.all_tasks("/chain/first").await[0]["startedAt"]);
    assert!(began[1].0 >= first, "the second waited until the first ran: {began:?}, {first}");
    assert!(deployment["deploymentId"].is_string());
    // A circle is refused.
    let circle = json!([
        sleeper("/c/a", json!({"dependencies": ["/c/b"]})),
        sleeper("/c/b", json!({"dependencies": ["/c/a"]})),
    ]);
    let refused = stayer.put("/v2/apps", &circle).await;
    assert!(matches!(refused.status, 409 | 422), "{refused:?}");
    stayer.finish().await;
}
