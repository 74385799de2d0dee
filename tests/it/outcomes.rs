//! Deployments that fail: rolled back, paused, over, and what is told of them (users.md U1, U4).

use serde_json::{Value, json};

use crate::rig::{Stayer, sleeper};

/// A good version of `/app` runs; gives the ids of its tasks.
async fn served(stayer: &Stayer, more: Value) -> Vec<Value> {
    let mut app = json!({"instances": 2, "backoffSeconds": 0});
    app.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    stayer.launch(&sleeper("/app", app)).await;
    ids(&stayer.running("/app", 2).await)
}

fn ids(tasks: &[Value]) -> Vec<Value> {
    let mut ids: Vec<Value> = tasks.iter().map(|task| task["id"].clone()).collect();
    ids.sort_by_key(ToString::to_string);
    ids
}

/// Changes the app, and gives the id of the deployment.
async fn change(stayer: &Stayer, query: &str, change: Value) -> String {
    let answer = stayer.put(&format!("/v2/apps/app{query}"), &change).await.expect(200).json();
    answer["deploymentId"].as_str().expect("an id").to_owned()
}

/// What became of a deployment, once it is over.
async fn outcome(stayer: &Stayer, id: &str) -> Value {
    let path = format!("/v2/deployments/history?id={id}");
    stayer.wait("it is over", async |it| it.get(&path).await.json().get(0).cloned()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_failures_are_rolled_back_and_nothing_that_serves_is_touched() {
    let stayer = Stayer::bare().await;
    let strategy = json!({"minimumHealthCapacity": 1, "maximumOverCapacity": 1,
        "maxFailures": 1, "onFailure": "rollback"});
    let before = served(&stayer, json!({"upgradeStrategy": strategy})).await;
    let upgrade = change(&stayer, "", json!({"cmd": "echo broken; exit 3"})).await;
    let over = outcome(&stayer, &upgrade).await;
    assert_eq!(over["outcome"], "rolledBack", "{over}");
    assert_eq!(over["cause"]["kind"], "tooManyFailures", "{over}");
    let message = over["cause"]["message"].as_str().expect("a text");
    assert!(message.contains("1 were to be borne") && message.contains("/app"), "{over}");
    let back = outcome(&stayer, over["followedBy"].as_str().expect("an id")).await;
    assert_eq!((&back["outcome"], &back["reverts"]), (&json!("done"), &json!(upgrade)));
    stayer.at_rest().await;
    assert_eq!(ids(&stayer.running("/app", 2).await), before);
    let app = stayer.get("/v2/apps/app").await.json();
    assert_eq!(app["app"]["cmd"], sleeper("/app", json!({}))["cmd"]);
    let listed = stayer.cli(&["deployment", "history", "--app", "app"]);
    assert!(listed.out.contains("rolledBack") && listed.out.contains("took"), "{}", listed.out);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_it_waits_for_somebody_over_a_restart_and_goes_on_when_told() {
    let stayer = Stayer::bare().await;
    served(&stayer, json!({})).await;
    let gate = stayer.dir().join("gate");
    let cmd = format!("test -e {} && exec sleep 1000; exit 1", gate.display());
    let id = change(&stayer, "?deadlineSeconds=1&onFailure=pause", json!({"cmd": cmd})).await;
    let paused = async |stayer: &Stayer| {
        let all = stayer.get("/v2/deployments").await.json();
        all.get(0).filter(|it| it["id"] == id && it["state"] == "paused").cloned()
    };
    let row = stayer.wait("it waits", paused).await;
    assert_eq!(row["cause"]["kind"], "overdue", "{row}");
    assert!(row["lastFailure"]["message"].as_str().is_some_and(|it| !it.is_empty()), "{row}");
    let mut stayer = stayer;
    stayer.kill();
    stayer.restart().await;
    stayer.wait("it still waits", paused).await;
    std::fs::write(&gate, "").expect("the gate opens");
    assert_eq!(stayer.cli(&["deployment", "resume", &id]).code, 0);
    let over = outcome(&stayer, &id).await;
    assert_eq!(over["outcome"], "done", "{over}");
    let again = stayer.cli(&["deployment", "resume", &id]);
    assert_eq!(again.code, 2, "{again:?}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn late_with_nothing_to_follow_it_is_over_and_its_app_is_free() {
    let stayer = Stayer::bare().await;
    let before = served(&stayer, json!({})).await;
    let id = change(&stayer, "?deadlineSeconds=1", json!({"cmd": "exit 1"})).await;
    let over = outcome(&stayer, &id).await;
    assert_eq!(over["outcome"], "failed", "{over}");
    assert_eq!(ids(&stayer.running("/app", 2).await), before);
    change(&stayer, "", json!({"cmd": "exec sleep 999"})).await;
    stayer.at_rest().await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_limits_nothing_of_ours_is_shown_unless_it_is_asked_for() {
    let stayer = Stayer::bare().await;
    stayer.post("/v2/apps", &sleeper("/app", json!({"user": "no-such-account"}))).await.expect(201);
    let shown = stayer
        .wait("a failure is known", async |stayer| {
            let all = stayer.get("/v2/deployments?embed=state").await.json();
            all.get(0).filter(|it| it["lastFailure"].is_object()).cloned()
        })
        .await;
    assert_eq!(shown["state"], "going", "{shown}");
    let plain = stayer.get("/v2/deployments").await.json();
    assert!(plain[0].get("state").is_none() && plain[0].get("lastFailure").is_none(), "{plain}");
    for (query, word) in [
        ("deadlineSeconds=0", "deadlineSeconds"),
        ("maxFailures=-1", "maxFailures"),
        ("onFailure=explode", "rollback, pause or none"),
    ] {
        let answer = stayer.put(&format!("/v2/apps/app?{query}"), &json!({"cpus": 0.1})).await;
        let text = answer.expect(400).json()["message"].as_str().expect("a text").to_owned();
        assert!(text.contains(word), "{text}");
    }
    stayer.finish().await;
}
