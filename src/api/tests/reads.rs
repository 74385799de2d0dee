//! Reading apps, versions, deployments, queue and the server itself.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::rig::{Rig, START};
use super::rows::put_deployment;
use crate::model::condition::Condition;
use crate::model::time::Timestamp;

const WEB: &str = r#"{"id":"/shop/web","cmd":"sleep 1000","labels":{"tier":"front"}}"#;
const DB: &str = r#"{"id":"/shop/db","cmd":"run-db"}"#;

fn ids(list: &Value) -> Vec<String> {
    let ids = list.as_array().expect("a list").iter();
    let mut ids: Vec<String> =
        ids.map(|app| app["id"].as_str().expect("a text").to_owned()).collect();
    ids.sort();
    ids
}

#[tokio::test]
async fn lists_filter_by_id_command_and_label() {
    let rig = Rig::new();
    assert_eq!(rig.get("/v2/apps").await.text, r#"{"apps":[]}"#);
    rig.app(WEB);
    rig.app(DB);
    for (query, expected) in [
        ("", vec!["/shop/db", "/shop/web"]),
        ("?id=WEB", vec!["/shop/web"]),
        ("?cmd=RUN", vec!["/shop/db"]),
        ("?label=tier%3D%3Dfront", vec!["/shop/web"]),
        ("?label=tier&id=db", vec![]),
    ] {
        let answer = rig.get(&format!("/v2/apps{query}")).await;
        assert_eq!(ids(&answer.json()["apps"]), expected, "{query}");
    }
    let bad = rig.get("/v2/apps?label=tier%3Dfront").await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(bad.text.contains("Can not parse label selector tier=front. Reason: "), "{}", bad.text);
}

#[tokio::test]
async fn embeds_take_every_prefix_and_lists_always_have_counts_and_deployments() {
    let rig = Rig::new();
    rig.app(WEB);
    rig.task("/shop/web", 1, Condition::Running);
    let app = &rig.get("/v2/apps").await.json()["apps"][0];
    assert_eq!((&app["tasksRunning"], &app["deployments"]), (&json!(1), &json!([])));
    assert!(app.get("tasks").is_none());
    for prefix in ["apps.", "app.", ""] {
        let app = &rig.get(&format!("/v2/apps?embed={prefix}tasks")).await.json()["apps"][0];
        assert_eq!(app["tasks"][0]["state"], "TASK_RUNNING", "{prefix}");
    }
    let one = &rig.get("/v2/apps/shop/web").await.json()["app"];
    assert_eq!(one["tasks"][0]["ports"], json!([31_000]));
    let below = rig.get("/v2/apps/shop/*").await.json();
    assert_eq!(ids(&below["*"]), ["/shop/web"]);
    assert_eq!(below["*"][0]["tasks"][0]["state"], "TASK_RUNNING");
    let none = rig.get("/v2/apps/nope/*").await;
    assert_eq!(none.json(), json!({"message": "Group '/nope' does not exist", "details": []}));
    assert_eq!(rig.get("/v2/apps/*").await.json()["*"].as_array().expect("a list").len(), 1);
}

#[tokio::test]
async fn a_list_shows_the_newest_commit() {
    let rig = Rig::new();
    rig.app(WEB);
    rig.task("/shop/web", 1, Condition::Staging);
    assert_eq!(rig.get("/v2/apps").await.json()["apps"][0]["tasksStaged"], 1);
    rig.task("/shop/web", 1, Condition::Running);
    assert_eq!(rig.get("/v2/apps").await.json()["apps"][0]["tasksRunning"], 1);
}

#[tokio::test]
async fn versions_are_listed_and_read_in_any_offset() {
    let rig = Rig::new();
    rig.app(WEB);
    let first = Timestamp::from_millis(START).to_string();
    assert_eq!(rig.get("/v2/apps/shop/web/versions").await.json(), json!({"versions": [first]}));
    let one = rig.get("/v2/apps/shop/web/versions/2021-07-01T12:00:00%2B02:00").await;
    assert_eq!(one.json()["id"], "/shop/web");
    assert!(one.json().get("tasksRunning").is_none());
    let unknown = rig.get("/v2/apps/shop/web/versions/2021-01-01T00:00:00Z").await;
    assert_eq!(
        unknown.json(),
        json!({
            "message": "App '/shop/web' does not exist in version 2021-01-01T00:00:00.000Z",
            "details": [],
        })
    );
    let bad = rig.get("/v2/apps/shop/web/versions/yesterday").await;
    assert_eq!(bad.status, StatusCode::UNPROCESSABLE_ENTITY);
    let message = "Invalid timestamp provided 'yesterday'. Expecting ISO-8601 datetime string.";
    assert_eq!(bad.json(), json!({ "message": message }));
    assert_eq!(rig.get("/v2/apps/nope/versions").await.json()["details"], json!([]));
}

#[tokio::test]
async fn deployments_are_listed_and_taken_back_or_ended() {
    let rig = Rig::new();
    assert_eq!(rig.get("/v2/deployments").await.text, "[]");
    rig.app(WEB);
    rig.edit(|world| {
        put_deployment(world, "/shop/web", 5);
    });
    let list = rig.get("/v2/deployments").await.json();
    let id = list[0]["id"].as_str().expect("a text").to_owned();
    assert_eq!(list[0]["affectedApps"], json!(["/shop/web"]));
    let back = rig.delete(&format!("/v2/deployments/{id}")).await;
    assert_eq!(back.status, StatusCode::OK);
    assert_ne!(back.json()["deploymentId"], id.as_str());
    let ended = rig.delete(&format!("/v2/deployments/{id}?force=true")).await;
    assert_eq!((ended.status, ended.text.as_str()), (StatusCode::ACCEPTED, ""));
    for unknown in ["00000000-0000-0000-0000-000000000009", "nonsense"] {
        let answer = rig.delete(&format!("/v2/deployments/{unknown}")).await;
        let message = format!("DeploymentPlan {unknown} does not exist");
        assert_eq!(answer.status, StatusCode::NOT_FOUND);
        assert_eq!(answer.json(), json!({"message": message, "details": []}));
    }
}

#[tokio::test]
async fn the_queue_shows_what_waits_and_its_delay_can_be_reset() {
    let rig = Rig::new();
    rig.app(WEB);
    assert_eq!(rig.get("/v2/queue").await.text, r#"{"queue":[]}"#);
    let not_queued =
        json!({"message": "Application /shop/web not found in tasks queue.", "details": []});
    assert_eq!(rig.delete("/v2/queue/shop/web/delay").await.json(), not_queued);
    rig.task("/shop/web", 1, Condition::Failed);
    let item = &rig.get("/v2/queue").await.json()["queue"][0];
    assert_eq!((&item["count"], &item["app"]["id"]), (&json!(1), &json!("/shop/web")));
    assert!(item.get("lastUnusedOffers").is_none());
    let item = &rig.get("/v2/queue?embed=lastUnusedOffers").await.json()["queue"][0];
    assert_eq!(item["lastUnusedOffers"][0]["reason"], json!(["InsufficientCpus"]));
    let reset = rig.delete("/v2/queue//shop/web/delay").await;
    assert_eq!((reset.status, reset.text.as_str()), (StatusCode::NO_CONTENT, ""));
    let unknown = rig.delete("/v2/queue/nope/delay").await;
    assert_eq!(unknown.json()["message"], "Application /nope not found in tasks queue.");
}

#[tokio::test]
async fn explain_names_every_agent_and_reason() {
    let rig = Rig::new();
    rig.app(WEB);
    rig.task("/shop/web", 1, Condition::Running);
    rig.task("/shop/web", 2, Condition::Failed);
    let body = rig.get("/v2/apps/shop/web/explain").await.json();
    assert_eq!(body["app"], "/shop/web");
    assert_eq!(body["instances"], json!({"wanted": 1, "running": 1}));
    assert_eq!(body["verdict"], "1 wait: the only agent does not take one more");
    let agent = &body["agents"][0];
    assert_eq!((&agent["host"], &agent["fits"]), (&json!("10.0.0.5"), &json!(false)));
    assert_eq!(agent["reasons"][0]["kind"], "cpus");
    assert_eq!(agent["reasons"][0]["marathon"], "InsufficientCpus");
    assert!(body["help"][0].as_str().is_some_and(|help| help.contains("would fit on 10.0.0.5")));
    assert_eq!(rig.get("/v2/apps/nope/explain").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_server_tells_what_it_is() {
    let rig = Rig::new();
    let info = rig.get("/v2/info").await.json();
    assert_eq!((&info["version"], &info["leader"]), (&json!("1.11.24"), &json!("m1:8080")));
    assert_eq!(rig.get("/v2/leader").await.json(), json!({"leader": "m1:8080"}));
    let root = rig.get("/").await;
    assert_eq!((root.status, root.header("location")), (StatusCode::FOUND, "/ui/"));
    assert_eq!(rig.ask(Method::HEAD, "/v2/pods", "").await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn ping_follows_the_table_of_12_6() {
    let rig = Rig::new();
    for (accept, status, media, body) in [
        ("*/*", 200, "text/plain", "pong"),
        ("text/*", 200, "text/plain", "pong"),
        ("text/html", 200, "text/html", "pong"),
        ("application/json", 200, "application/json", "\"pong\""),
        ("image/png", 204, "", ""),
    ] {
        let answer = rig.ask_with(Method::GET, "/ping", "", &[("accept", accept)]).await;
        let seen = (answer.status.as_u16(), answer.header("content-type"), answer.text.as_str());
        assert_eq!(seen, (status, media, body), "{accept}");
    }
    assert_eq!(rig.get("/ping").await.text, "pong");
}

#[tokio::test]
async fn metrics_are_text_and_marathons_json_for_those_who_prefer_it() {
    let rig = Rig::new();
    rig.app(WEB);
    rig.task("/shop/web", 1, Condition::Running);
    rig.task("/shop/web", 2, Condition::Failed);
    rig.get("/v2/apps/shop/web").await;
    let text = rig.get("/metrics").await;
    assert!(text.header("content-type").starts_with("text/plain"));
    for line in [
        "stayer_apps 1",
        "stayer_instances{condition=\"Running\"} 1",
        "stayer_instances{condition=\"Killing\"} 0",
        "stayer_queue_instances 1",
        "stayer_commits_total 0",
        "stayer_wakeups_missed_total 0",
        "stayer_http_request_seconds_count{method=\"GET\",route=\"/v2/apps/{id}\",status=\"200\"} 1",
    ] {
        assert!(text.text.contains(line), "{line} in {}", text.text);
    }
    let accept = [("accept", "application/json")];
    let json = rig.ask_with(Method::GET, "/metrics", "", &accept).await.json();
    assert_eq!(json["version"], "4.0.0");
    assert_eq!(json["gauges"]["marathon.apps.active.gauge"], json!({"value": 1.0}));
    assert_eq!(json["gauges"]["marathon.instances.running.gauge"]["value"], 1.0);
    let always = rig.ask_with(Method::GET, "/metrics/prometheus", "", &accept).await;
    assert!(always.text.contains("stayer_apps 1"));
}
