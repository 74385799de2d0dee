//! Deploys with real processes: blue/green, canaries before a stand-in of Prometheus, servers that die between steps, and
//! the labels by which marathon-lb follows.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::rig::{Stayer, sleeper};

/// A stand-in of Prometheus: every query is answered with the same samples, or with nothing at all.
struct Prometheus {
    url: String,
    said: Arc<Mutex<Said>>,
}

/// What it answers, and how often it was asked.
struct Said {
    samples: Option<Value>,
    asked: usize,
}

// === impl Prometheus ===

impl Prometheus {
    async fn begin(value: Option<&str>) -> Prometheus {
        let said = Arc::new(Mutex::new(Said { samples: Some(samples(value)), asked: 0 }));
        let state = said.clone();
        let answer = move || {
            let state = state.clone();
            async move {
                let mut said = state.lock().expect("not poisoned");
                said.asked += 1;
                let status = if said.samples.is_some() { 200 } else { 503 };
                let data = json!({"resultType": "vector", "result": said.samples});
                let body = json!({"status": "success", "data": data}).to_string();
                let status = axum::http::StatusCode::from_u16(status).expect("a status");
                let body = if said.samples.is_some() { body } else { "away".to_owned() };
                Ok::<_, Infallible>((status, body))
            }
        };
        let app = Router::new().route("/api/v1/query", get(answer));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        tokio::spawn(async move { axum::serve(listener, app).await });
        Prometheus { url: format!("http://{address}"), said }
    }

    /// What it says from now on: one value, no value, or 503.
    fn says(&self, samples: Option<Value>) {
        self.said.lock().expect("not poisoned").samples = samples;
    }

    fn asked(&self) -> usize {
        self.said.lock().expect("not poisoned").asked
    }
}

fn samples(value: Option<&str>) -> Value {
    let samples = value.into_iter().map(|value| json!({"metric": {}, "value": [1, value]}));
    samples.collect()
}

/// A version of `/web`, told apart by its environment.
fn version(no: u32, instances: usize) -> Value {
    sleeper("/web", json!({"instances": instances, "env": {"N": no.to_string()}}))
}

/// A canary of one and all, held for a second.
fn canary(prometheus: &str, more: Value) -> Value {
    let mut body = json!({
        "app": version(2, 4), "strategy": "canary", "steps": ["25%", "100%"], "hold": 1,
        "analysis": {"prometheus": prometheus, "query": "errors", "max": 0.01, "intervalSeconds": 1},
    });
    let Value::Object(more) = more else { panic!("members: {more}") };
    body.as_object_mut().expect("written above").extend(more);
    body
}

async fn begin(stayer: &Stayer, body: &Value) -> String {
    let answer = stayer.post("/v2/deploys", body).await.expect(201);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    assert!(answer.header("location").ends_with(&format!("/v2/deploys/{id}")));
    id
}

async fn deploy(stayer: &Stayer, id: &str) -> Value {
    stayer.get(&format!("/v2/deploys/{id}")).await.json()
}

/// Waits until a deploy is in a state, and gives it.
async fn until(stayer: &Stayer, id: &str, state: &str) -> Value {
    let what = format!("the deploy is {state}");
    stayer
        .wait(&what, async |stayer| {
            let deploy = deploy(stayer, id).await;
            let over = deploy["over"] == true && deploy["state"] != state;
            assert!(!over, "it is over otherwise: {deploy}");
            (deploy["state"] == state).then_some(deploy)
        })
        .await
}

async fn served(count: usize) -> Stayer {
    let stayer = Stayer::bare().await;
    stayer.launch(&version(1, count)).await;
    stayer.running("/web", count).await;
    stayer
}

/// As before the deploy: the old app is whole, and there is no other.
async fn as_before(stayer: &Stayer, count: usize) {
    stayer.running("/web", count).await;
    stayer.get("/v2/apps/web-blue").await.expect(404);
    assert!(stayer.all_tasks("/web").await.len() == count);
}

#[tokio::test(flavor = "multi_thread")]
async fn blue_green_replaces_an_app_and_there_are_never_fewer() {
    let stayer = served(3).await;
    let id = begin(&stayer, &json!({"app": version(2, 3), "strategy": "blue-green"})).await;
    let fewest = stayer
        .wait("the deploy is done", {
            let fewest = std::cell::Cell::new(usize::MAX);
            let id = id.clone();
            async move |stayer| {
                // The list is one view; two questions would see two moments.
                let tasks = stayer.get("/v2/tasks").await.json();
                let runs = |task: &&Value| task["state"] == "TASK_RUNNING";
                let count = tasks["tasks"].as_array().expect("tasks").iter().filter(runs).count();
                fewest.set(fewest.get().min(count));
                (deploy(stayer, &id).await["state"] == "done").then(|| fewest.get())
            }
        })
        .await;
    assert!(fewest >= 3, "{fewest} ran");
    stayer.running("/web-blue", 3).await;
    stayer.get("/v2/apps/web").await.expect(404);
    assert_eq!(stayer.app("/web-blue").await["env"]["N"], "2");
    let done = deploy(&stayer, &id).await;
    assert_eq!((&done["over"], &done["target"]), (&json!(true), &json!(3)));
    assert_eq!(stayer.get("/v2/deploys?app=/web").await.json()["deploys"][0]["id"], *id);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_that_passes_goes_all_the_way() {
    let stayer = served(4).await;
    let prometheus = Prometheus::begin(Some("0.002")).await;
    let id = begin(&stayer, &canary(&prometheus.url, json!({}))).await;
    let held = until(&stayer, &id, "holding").await;
    assert_eq!((&held["step"], &held["old"]["instances"]), (&json!(1), &json!(3)));
    assert_eq!(prometheus.asked(), 0, "nothing is asked before the hold is over");
    let done = until(&stayer, &id, "done").await;
    assert_eq!(
        done["analysis"]["last"],
        json!({"outcome": "measured", "least": 0.002, "most": 0.002})
    );
    assert_eq!(prometheus.asked(), 2, "once for each step");
    stayer.running("/web-blue", 4).await;
    stayer.get("/v2/apps/web").await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_out_of_bounds_is_taken_back() {
    let stayer = served(4).await;
    let prometheus = Prometheus::begin(Some("0.4")).await;
    let id = begin(&stayer, &canary(&prometheus.url, json!({}))).await;
    let back = until(&stayer, &id, "rolledBack").await;
    let cause = json!({"kind": "analysis", "text": "the query gave 0.4, at most 0.01 passes"});
    assert_eq!(back["cause"], cause);
    as_before(&stayer, 4).await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_without_traffic_waits_and_then_for_somebody() {
    let stayer = served(4).await;
    let prometheus = Prometheus::begin(None).await;
    let id = begin(&stayer, &canary(&prometheus.url, json!({"deadlineSeconds": 4}))).await;
    let paused = until(&stayer, &id, "paused").await;
    assert_eq!(paused["cause"]["kind"], "noTraffic");
    assert!(prometheus.asked() >= 2, "it is asked again: {}", prometheus.asked());
    prometheus.says(Some(samples(Some("0"))));
    stayer.post(&format!("/v2/deploys/{id}/resume"), &json!({})).await.expect(200);
    until(&stayer, &id, "done").await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_prometheus_that_is_away_is_never_a_success() {
    let stayer = served(4).await;
    // Nobody listens there.
    let nobody = format!("http://127.0.0.1:{}", stayer.ports.port(40));
    let id = begin(&stayer, &canary(&nobody, json!({"deadlineSeconds": 3}))).await;
    let paused = until(&stayer, &id, "paused").await;
    assert_eq!(paused["cause"]["kind"], "unanswered");
    let text = paused["cause"]["text"].as_str().expect("a text");
    assert!(text.contains("refused"), "{text}");
    assert_eq!((&paused["new"]["instances"], &paused["old"]["instances"]), (&json!(1), &json!(3)));
    stayer.post(&format!("/v2/deploys/{id}/rollback"), &json!({})).await.expect(200);
    until(&stayer, &id, "rolledBack").await;
    as_before(&stayer, 4).await;

    let prometheus = Prometheus::begin(None).await;
    prometheus.says(None);
    let id = begin(&stayer, &canary(&prometheus.url, json!({"deadlineSeconds": 3}))).await;
    let paused = until(&stayer, &id, "paused").await;
    assert!(paused["cause"]["text"].as_str().expect("a text").contains("503"), "{paused}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_crashes_is_taken_back_and_costs_nothing() {
    let stayer = served(2).await;
    let app = sleeper("/web", json!({"instances": 2, "cmd": "sleep 0.1; exit 7"}));
    let before = crate::rig::ids(&stayer.all_tasks("/web").await);
    let id = begin(&stayer, &json!({"app": app, "strategy": "blue-green"})).await;
    let back = until(&stayer, &id, "rolledBack").await;
    assert_eq!(back["cause"]["kind"], "failures");
    assert!(back["cause"]["text"].as_str().expect("a text").contains('7'), "{back}");
    as_before(&stayer, 2).await;
    assert_eq!(crate::rig::ids(&stayer.all_tasks("/web").await), before, "untouched");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_deploy_that_crashes_gets_its_definition_back() {
    let stayer = served(2).await;
    let app = json!({"cmd": "sleep 0.1; exit 7", "deploy": {"strategy": "rolling"}});
    let answer = stayer.put("/v2/apps/web", &app).await.expect(201).json();
    let id = answer["id"].as_str().expect("an id");
    let back = until(&stayer, id, "rolledBack").await;
    assert_eq!(back["cause"]["kind"], "failures");
    stayer.running("/web", 2).await;
    assert_eq!(stayer.app("/web").await["cmd"], "exec sleep 1000");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_between_steps_goes_on() {
    let mut stayer = served(4).await;
    let prometheus = Prometheus::begin(None).await;
    let id = begin(&stayer, &canary(&prometheus.url, json!({}))).await;
    for state in ["holding", "analysing"] {
        until(&stayer, &id, state).await;
        stayer.kill();
        stayer.restart().await;
    }
    prometheus.says(Some(samples(Some("0"))));
    // In the second step, whose hold is over.
    stayer
        .until("the second step is asked about", |stayer| {
            let id = id.clone();
            async move { deploy(stayer, &id).await["step"] == 2 }
        })
        .await;
    stayer.kill();
    stayer.restart().await;
    until(&stayer, &id, "done").await;
    stayer.running("/web-blue", 4).await;
    stayer.get("/v2/apps/web").await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_deploy_is_refused_and_force_replaces_the_first() {
    let stayer = served(2).await;
    let prometheus = Prometheus::begin(None).await;
    let first = begin(&stayer, &canary(&prometheus.url, json!({"app": version(2, 2)}))).await;
    let body = json!({"app": version(3, 2), "strategy": "blue-green"});
    let refused = stayer.post("/v2/deploys", &body).await.expect(409).json();
    assert_eq!(refused["deploys"], json!([{"id": first}]));
    let next = stayer.post("/v2/deploys?force=true", &body).await.expect(201).json();
    let next = next["id"].as_str().expect("an id");
    assert_eq!(deploy(&stayer, &first).await["replacedBy"], *next);
    until(&stayer, next, "done").await;
    stayer.running("/web-blue", 2).await;
    assert_eq!(stayer.app("/web-blue").await["env"]["N"], "3");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_hand_ends_it_and_nothing_is_touched_any_more() {
    let stayer = served(4).await;
    let prometheus = Prometheus::begin(None).await;
    let id = begin(&stayer, &canary(&prometheus.url, json!({"hold": 60}))).await;
    until(&stayer, &id, "holding").await;
    stayer.put("/v2/apps/web", &json!({"instances": 2})).await.expect(200);
    let failed = until(&stayer, &id, "failed").await;
    assert_eq!(
        (&failed["cause"]["kind"], &failed["cause"]["app"]),
        (&json!("changed"), &json!("/web"))
    );
    stayer.running("/web", 2).await;
    stayer.running("/web-blue", 1).await;
    stayer.finish().await;
}

/// What `zdd.py` of marathon-lb writes and marathon-lb reads (behaviour 8.3).
#[tokio::test(flavor = "multi_thread")]
async fn the_labels_are_those_that_marathon_lb_follows() {
    let stayer = Stayer::bare().await;
    let (main, alternate) = (10_000, 10_500);
    let labels = json!({
        "HAPROXY_GROUP": "external", "HAPROXY_DEPLOYMENT_GROUP": "web",
        "HAPROXY_DEPLOYMENT_ALT_PORT": alternate.to_string(),
    });
    let app = |no: u32| {
        let ports = json!([{"port": main, "name": "http"}]);
        let fields = json!({"instances": 2, "labels": labels, "portDefinitions": ports, "env": {"N": no.to_string()}});
        sleeper("/web", fields)
    };
    let round = async |no: u32| {
        let answer = stayer
            .post("/v2/deploys", &json!({"app": app(no), "strategy": "blue-green"}))
            .await
            .expect(201);
        assert_eq!(answer.header("warning"), "");
        let id = answer.json()["id"].as_str().expect("an id").to_owned();
        until(&stayer, &id, "done").await
    };
    let mut seen = Vec::new();
    for (no, colour, port) in [(1, "blue", main), (2, "green", alternate), (3, "blue", main)] {
        round(no).await;
        let shown = stayer.app(&format!("/web-{colour}")).await;
        let labels = &shown["labels"];
        let expected = [
            ("HAPROXY_APP_ID", "/web".to_owned()),
            ("HAPROXY_0_PORT", main.to_string()),
            ("HAPROXY_DEPLOYMENT_COLOUR", colour.to_owned()),
            ("HAPROXY_DEPLOYMENT_TARGET_INSTANCES", "2".to_owned()),
            ("HAPROXY_DEPLOYMENT_NEW_INSTANCES", "0".to_owned()),
            ("HAPROXY_DEPLOYMENT_GROUP", "web".to_owned()),
            ("HAPROXY_GROUP", "external".to_owned()),
        ];
        for (name, value) in expected {
            assert_eq!(labels[name], value, "{name} of {labels}");
        }
        assert_eq!(shown["portDefinitions"][0]["port"], port);
        let started = labels["HAPROXY_DEPLOYMENT_STARTED_AT"].as_str().expect("a time").to_owned();
        assert!(!started.ends_with('Z') && started.contains('T'), "as zdd writes it: {started}");
        seen.push(started);
        let apps = stayer.get("/v2/apps").await.json();
        assert_eq!(apps["apps"].as_array().map(Vec::len), Some(1), "the old one is gone");
    }
    assert!(seen.is_sorted(), "the younger one is told by it: {seen:?}");
    stayer.finish().await;
}
