//! Tasks that are ended by the API: replaced, or with the app scaled down, and never seen running once it was answered.

use serde_json::{Value, json};

use crate::rig::{Stayer, ids, sleeper};

/// Ends only when it is killed, once it says that it is up: what is asked to end is seen for a while.
fn stubborn(id: &str, fields: Value) -> Value {
    let cmd = "trap '' TERM; echo up; while true; do sleep 0.1; done";
    let mut app = sleeper(id, json!({"cmd": cmd, "taskKillGracePeriodSeconds": 2}));
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    app.as_object_mut().expect("an object").extend(fields);
    app
}

async fn replaced(stayer: &Stayer, id: &str, gone: &str, count: usize) -> Vec<String> {
    stayer
        .wait("another one runs in its place", async |stayer| {
            let now = ids(&stayer.tasks(id, "TASK_RUNNING").await);
            (now.len() == count && !now.contains(&gone.to_owned())).then_some(now)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_task_is_killing_before_the_reply_and_is_replaced() {
    // Clients 2.3.7: otherwise blue/green loses requests.
    let stayer = Stayer::bare().await;
    stayer.launch(&stubborn("/app", json!({"instances": 2}))).await;
    let before = stayer.running("/app", 2).await;
    stayer.says(&before, "up").await;
    let before = ids(&before);
    let victim = &before[0];
    let answer = stayer.delete(&format!("/v2/apps/app/tasks/{victim}")).await.expect(200).json();
    assert_eq!(answer["task"]["id"], json!(victim));
    let seen = stayer.all_tasks("/app").await;
    let of = |id: &str| seen.iter().find(|task| task["id"] == id).map(|task| task["state"].clone());
    assert!(matches!(of(victim), None | Some(Value::String(_))));
    assert_ne!(of(victim), Some(json!("TASK_RUNNING")), "{seen:?}");
    assert_eq!(of(victim), Some(json!("TASK_KILLING")), "it does not end by itself: {seen:?}");
    let after = replaced(&stayer, "/app", victim, 2).await;
    assert!(after.contains(&before[1]), "{before:?} {after:?}");
    assert_eq!(stayer.app("/app").await["instances"], 2);
    stayer
        .delete("/v2/apps/app/tasks/app.instance-00000000-0000-0000-0000-000000000000._app.1")
        .await
        .expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_with_scale_takes_that_very_task_away() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 3}))).await;
    let before = ids(&stayer.running("/app", 3).await);
    let one = stayer.delete(&format!("/v2/apps/app/tasks/{}?scale=true", before[1])).await;
    assert!(one.expect(200).json()["deploymentId"].is_string());
    assert_eq!(ids(&stayer.running("/app", 2).await), [before[0].clone(), before[2].clone()]);
    assert_eq!(stayer.app("/app").await["instances"], 2);
    // Many, of several apps.
    stayer.launch(&sleeper("/other", json!({"instances": 2}))).await;
    let others = ids(&stayer.running("/other", 2).await);
    let body = json!({"ids": [before[0], others[0]]});
    stayer.post("/v2/tasks/delete?scale=true", &body).await.expect(200);
    assert_eq!(ids(&stayer.running("/app", 1).await), [before[2].clone()]);
    assert_eq!(ids(&stayer.running("/other", 1).await), [others[1].clone()]);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_can_be_killed_at_once_and_all_of_an_app() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 3}))).await;
    let before = ids(&stayer.running("/app", 3).await);
    let body = json!({"ids": [before[0], before[1], "none.instance-00000000-0000-0000-0000-000000000000._app.1"]});
    let killed = stayer.post("/v2/tasks/delete", &body).await.expect(200).json();
    assert_eq!(ids(killed["tasks"].as_array().expect("tasks")), before[..2]);
    let after = replaced(&stayer, "/app", &before[0], 3).await;
    assert!(after.contains(&before[2]) && !after.contains(&before[1]), "{before:?} {after:?}");
    let all = stayer.delete("/v2/apps/app/tasks?host=nowhere").await.expect(200).json();
    assert_eq!(all["tasks"], json!([]));
    let all = stayer.delete("/v2/apps/app/tasks").await.expect(200).json();
    assert_eq!(ids(all["tasks"].as_array().expect("tasks")), after);
    let last = replaced(&stayer, "/app", &after[0], 3).await;
    assert!(last.iter().all(|task| !after.contains(task)), "{after:?} {last:?}");
    stayer.delete("/v2/apps/app/tasks?scale=true&wipe=true").await.expect(400);
    stayer.post("/v2/tasks/delete", &json!({"ids": ["nonsense"]})).await.expect(400);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killing_with_wipe_forgets_the_instance() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 2}))).await;
    let before = ids(&stayer.running("/app", 2).await);
    stayer.delete(&format!("/v2/apps/app/tasks/{}?wipe=true", before[0])).await.expect(200);
    let after = replaced(&stayer, "/app", &before[0], 2).await;
    let instance = |id: &str| id.split('.').nth(1).expect("an instance").to_owned();
    assert!(
        after.iter().all(|task| instance(task) != instance(&before[0])),
        "{before:?} {after:?}"
    );
    assert!(after.contains(&before[1]));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_killed_from_outside_lives_again_under_a_new_id() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({}))).await;
    let before = stayer.running("/app", 1).await.remove(0);
    let id = before["id"].as_str().expect("an id").to_owned();
    stayer.process(&before, "sleep").await.signal("KILL");
    let after = replaced(&stayer, "/app", &id, 1).await.remove(0);
    // The same instance in its next life (SM: incarnations).
    let (was, is) = (id.rsplit_once('.').expect("a life"), after.rsplit_once('.').expect("a life"));
    assert_eq!(is.0, was.0);
    assert_eq!((was.1, is.1), ("1", "2"));
    let failure = stayer.get("/v2/apps/app?embed=app.lastTaskFailure").await.json();
    let failure = &failure["app"]["lastTaskFailure"];
    assert_eq!((&failure["taskId"], &failure["state"]), (&json!(id), &json!("TASK_FAILED")));
    stayer.finish().await;
}
