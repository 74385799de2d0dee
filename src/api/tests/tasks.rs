//! Reading, ending and following tasks (contract 3.3, 3.7, 18.4).

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::rig::Rig;
use crate::model::condition::Condition;
use crate::model::fact::{Change, KillHow};

const WEB: &str = r#"{"id":"/shop/web","cmd":"sleep 1000","portDefinitions":[{"port":10000}]}"#;

fn rig() -> (Rig, String, String) {
    let rig = Rig::new();
    rig.app(WEB);
    let one = rig.task("/shop/web", 1, Condition::Running);
    let two = rig.task("/shop/web", 2, Condition::Staging);
    let name = |id| format!("shop_web.instance-{id}._app.1");
    (rig, name(one), name(two))
}

#[tokio::test]
async fn tasks_are_listed_as_json_and_as_text() {
    let (rig, one, _) = rig();
    let of_app = rig.get("/v2/apps//shop/web/tasks").await.json();
    assert_eq!(of_app["tasks"].as_array().expect("a list").len(), 2);
    assert_eq!(of_app["tasks"][0]["servicePorts"], json!([]));
    let all = rig.get("/v2/tasks").await.json();
    assert_eq!(all["tasks"][0]["servicePorts"], json!([10_000]));
    let running = rig.get("/v2/tasks?status=running").await.json();
    assert_eq!(running["tasks"].as_array().expect("a list").len(), 1);
    assert_eq!(running["tasks"][0]["id"], one.as_str());
    let both = rig.get("/v2/tasks?status%5B%5D=running&status[]=staging").await.json();
    assert_eq!(both["tasks"].as_array().expect("a list").len(), 2);
    let text = [("accept", "text/plain")];
    for path in ["/v2/tasks", "/v2/apps/shop/web/tasks"] {
        let lines = rig.ask_with(Method::GET, path, "", &text).await;
        assert_eq!(lines.header("content-type"), "text/plain");
        assert_eq!(lines.text, "shop_web\t10000\t10.0.0.5:31000\t\n");
    }
    assert_eq!(rig.get("/v2/apps/shop/*/tasks").await.json()["tasks"][0]["id"], one.as_str());
    let missing = rig.get("/v2/apps/nope/tasks").await;
    assert_eq!(missing.json(), json!({"message": "App '/nope' does not exist", "details": []}));
}

#[tokio::test]
async fn a_killed_task_is_being_killed_in_the_answer() {
    let (rig, one, _) = rig();
    let answer = rig.delete(&format!("/v2/apps/shop/web/tasks/{one}")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["task"]["state"], "TASK_KILLING");
    let all = rig.delete("/v2/apps/shop/web/tasks").await.json();
    let states: Vec<&str> = all["tasks"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|t| t["state"].as_str())
        .collect();
    assert_eq!(states, ["TASK_KILLING", "TASK_KILLING"]);
}

#[tokio::test]
async fn kills_select_by_host_and_say_what_follows() {
    let (rig, one, two) = rig();
    let none = rig.delete("/v2/apps/shop/web/tasks?host=elsewhere").await;
    assert_eq!(none.text, r#"{"tasks":[]}"#);
    rig.delete("/v2/apps/shop/web/tasks?host=10.0.0.5&wipe=True").await;
    let scaled = rig.delete(&format!("/v2/apps/shop/web/tasks/{one}?scale=true&force=true")).await;
    assert_ne!(scaled.json()["deploymentId"], json!(null));
    assert_ne!(scaled.header("marathon-deployment-id"), "");
    let ids =
        json!({"ids": [one, two, "shop_web.instance-00000000-0000-0000-0000-00000000000f._app.1"]});
    rig.post("/v2/tasks/delete?scale=true", &ids.to_string()).await;
    let asked: Vec<(usize, KillHow, bool)> = rig
        .asked()
        .into_iter()
        .map(|(change, force)| match change {
            Change::Kill { instances, how } => (instances.len(), how, force),
            other => panic!("{other:?}"),
        })
        .collect();
    let scale = KillHow::Scale;
    let expected = [
        (0, KillHow::Restart, false),
        (2, KillHow::Wipe, false),
        (1, scale, true),
        (2, scale, false),
    ];
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn kills_that_make_no_sense_are_refused() {
    let (rig, one, _) = rig();
    for path in [
        "/v2/apps/shop/web/tasks?scale=true&wipe=true".to_owned(),
        format!("/v2/apps/shop/web/tasks/{one}?scale=true&wipe=true"),
    ] {
        let answer = rig.delete(&path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST);
        assert_eq!(answer.json()["message"], "You cannot use scale and wipe at the same time.");
    }
    let unknown = rig.delete("/v2/apps/shop/web/tasks/nonsense").await;
    assert_eq!(unknown.json(), json!({"message": "Task 'nonsense' does not exist", "details": []}));
    let no_uuid = rig.delete("/v2/apps/shop/web/tasks/foo.bar").await;
    assert_eq!(no_uuid.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(no_uuid.json(), json!({"message": "Invalid UUID string: bar"}));
    let by_scale = rig.delete("/v2/apps/shop/web/tasks/nonsense?scale=true").await;
    assert_eq!(by_scale.status, StatusCode::OK, "a deployment without steps");
    rig.app(r#"{"id":"/idle","cmd":"sleep 9"}"#);
    let idle = rig.delete("/v2/apps/idle/tasks?scale=true").await;
    assert_eq!(idle.json(), json!({"message": "Path '/idle' does not exist"}));
    let bad = rig.post("/v2/tasks/delete", r#"{"ids":["foo"]}"#).await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    let message =
        "Invalid task id 'foo'. [taskId foo no valid identifier (of class java.lang.String)]";
    assert_eq!(bad.json(), json!({ "message": message }));
    assert_eq!(rig.post("/v2/tasks/delete", r#"{"ids":[1]}"#).await.status, 422);
    assert_eq!(rig.post("/v2/tasks/delete", "{}").await.status, 422);
}

#[tokio::test]
async fn logs_come_from_the_agent_as_they_are() {
    let (rig, one, _) = rig();
    let logs = rig.get(&format!("/v2/tasks/{one}/logs?stream=stderr&tail=5&follow=true")).await;
    assert_eq!(logs.status, StatusCode::OK, "{}", logs.text);
    assert_eq!(logs.text, "Stderr life 1 follow true tail Some(5)\n");
    assert_eq!(logs.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(logs.header("x-content-type-options"), "nosniff");
    let earlier = one.replace("._app.1", "._app.7");
    let logs = rig.get(&format!("/v2/tasks/{earlier}/logs")).await;
    assert_eq!(logs.text, "Stdout life 7 follow false tail None\n");
    for (query, status) in [("?stream=stdin", 400), ("?tail=x", 400), ("?tail=0", 404)] {
        let answer = rig.get(&format!("/v2/tasks/{one}/logs{query}")).await;
        assert_eq!(answer.status.as_u16(), status, "{query}");
    }
    assert_eq!(rig.get("/v2/tasks/nonsense/logs").await.status, StatusCode::NOT_FOUND);
}
