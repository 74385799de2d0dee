//! `/v2/deploys`, and the `deploy` object of an app.

use std::sync::Arc;

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::rig::{Rig, START};
use crate::model::deploy::{Cause, Deploy, Ending, Finding, Measure, Phase, State, Undo};
use crate::model::fact::{Change, Expect, Refusal, Steer};
use crate::model::id::{DeployId, DeploymentId};
use crate::model::path::AppPath;
use crate::model::time::{Span, Timestamp};

const BODY: &str = r#"{
    "app": {"id": "/web", "cmd": "sleep 1", "instances": 20}, "strategy": "canary",
    "analysis": {"prometheus": "http://p:9090", "query": "up", "max": 0.01}
}"#;

fn path(text: &str) -> AppPath {
    AppPath::parse(text).expect("a path")
}

async fn begun(rig: &Rig) -> (String, DeployId) {
    let answer = rig.post("/v2/deploys", BODY).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let id = answer.json()["id"].as_str().expect("an id").to_owned();
    let uuid = Uuid::parse_str(&id).expect("a UUID");
    (id, DeployId(uuid))
}

fn edit(rig: &Rig, id: DeployId, edit: impl FnOnce(&mut Deploy)) {
    rig.edit(|world| {
        let mut row = world.deploys.get(&id).expect("there").clone();
        edit(&mut row);
        world.deploys.put(id, Arc::new(row));
    });
}

#[tokio::test]
async fn a_deploy_is_answered_with_what_it_is() {
    let rig = Rig::new();
    let answer = rig.post("/v2/deploys?force=true", BODY).await;
    assert_eq!(answer.status, StatusCode::CREATED);
    let body = answer.json();
    let id = body["id"].as_str().expect("an id");
    assert_eq!(answer.header("location"), format!("http://localhost:8080/v2/deploys/{id}"));
    assert!(answer.header("warning").contains("HAPROXY_DEPLOYMENT_GROUP"));
    let expected = json!({
        "id": id, "app": "/web", "strategy": "canary", "state": "growing", "over": false, "step": 1,
        "steps": [
            {"at": "5%", "instances": 1}, {"at": "25%", "instances": 5}, {"at": "100%", "instances": 20}
        ],
        "target": 20, "new": {"app": "/web-blue", "instances": 0, "healthy": 0},
        "deadline": body["startedAt"], "hold": 60, "deadlineSeconds": 600, "maxFailures": 0,
        "failures": 0, "onFailure": "rollback",
        "analysis": {"prometheus": "http://p:9090", "query": "up", "max": 0.01, "intervalSeconds": 5},
        "startedAt": body["startedAt"], "changedAt": body["startedAt"],
    });
    assert_eq!(body, expected);
    let (asked, force) = rig.asked().remove(0);
    let Change::Deploy(proposal) = asked else { panic!("{asked:?}") };
    assert!(force && proposal.counted && proposal.put.expect == Expect::None);
    assert_eq!(rig.get(&format!("/v2/deploys/{id}")).await.json(), expected);
    assert_eq!(rig.get("/v2/deploys").await.json(), json!({"deploys": [expected]}));
    assert_eq!(rig.get("/v2/deploys?app=/other").await.json(), json!({"deploys": []}));
    let shown = rig.get("/v2/deploys?app=web-blue").await.json();
    assert_eq!(shown["deploys"][0]["id"], *id);
}

#[tokio::test]
async fn each_state_has_its_word() {
    let rig = Rig::new();
    let (id, key) = begun(&rig).await;
    let at = Timestamp::from_millis(START);
    let paused = |cause| State::Paused { cause, phase: Phase::Passed { step: 1, deadline: at } };
    let back = |undo| State::RollingBack { cause: Cause::Asked, undo };
    let states = [
        (State::Going(Phase::Shrinking { step: 1, deadline: at }), "shrinking", None),
        (State::Going(Phase::Holding { step: 1, until: at }), "holding", None),
        (
            State::Going(Phase::Judging { step: 1, asking: 0, due: at, deadline: at }),
            "analysing",
            None,
        ),
        (State::Going(Phase::Passed { step: 1, deadline: at }), "passed", None),
        (State::Going(Phase::Finishing), "finishing", None),
        (paused(Cause::Promotion), "paused", Some("promotion")),
        (paused(Cause::NoTraffic), "paused", Some("noTraffic")),
        (paused(Cause::Unanswered("away".into())), "paused", Some("unanswered")),
        (back(Undo::Begun), "rollingBack", Some("asked")),
        (back(Undo::Restoring { deadline: at, stuck: false }), "rollingBack", Some("asked")),
        (back(Undo::Restoring { deadline: at, stuck: true }), "rollbackStuck", Some("asked")),
        (back(Undo::Removing), "rollingBack", Some("asked")),
        (State::Over(Ending::Done), "done", None),
        (
            State::Over(Ending::RolledBack(Cause::Failures("no".into()))),
            "rolledBack",
            Some("failures"),
        ),
        (State::Over(Ending::Failed(Cause::Overdue("no".into()))), "failed", Some("overdue")),
        (State::Over(Ending::Failed(Cause::Changed(path("/web")))), "failed", Some("changed")),
        (State::Over(Ending::Failed(Cause::Removed(path("/web")))), "failed", Some("removed")),
        (State::Over(Ending::Failed(Cause::Refused("no".into()))), "failed", Some("refused")),
        (State::Over(Ending::Failed(Cause::Analysis("no".into()))), "failed", Some("analysis")),
        (State::Over(Ending::Replaced(key)), "replaced", None),
    ];
    for (state, word, cause) in states {
        let over = matches!(state, State::Over(_));
        edit(&rig, key, |row| row.state = state.clone());
        let body = rig.get(&format!("/v2/deploys/{id}")).await.json();
        assert_eq!((&body["state"], &body["over"]), (&json!(word), &json!(over)), "{state:?}");
        assert_eq!(body["cause"]["kind"], cause.map_or(Value::Null, Into::into), "{state:?}");
        let app = matches!(cause, Some("changed" | "removed")).then_some("/web");
        assert_eq!(body["cause"]["app"], app.map_or(Value::Null, Into::into), "{state:?}");
    }
    assert_eq!(rig.get(&format!("/v2/deploys/{id}")).await.json()["replacedBy"], *id);
    edit(&rig, key, |row| {
        row.last = Some(Finding::Measured { least: Measure(-1), most: Measure(20_000) });
    });
    let last = rig.get(&format!("/v2/deploys/{id}")).await.json()["analysis"]["last"].clone();
    assert_eq!(last, json!({"outcome": "measured", "least": -0.000_001, "most": 0.02}));
}

#[tokio::test]
async fn the_oldest_comes_first() {
    let rig = Rig::new();
    let (first, key) = begun(&rig).await;
    let (second, _) = begun(&rig).await;
    let ids = |body: Value| {
        let all = body["deploys"].as_array().cloned().expect("a list");
        all.iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ids(rig.get("/v2/deploys").await.json()), [first.clone(), second.clone()]);
    edit(&rig, key, |row| row.since = row.since + Span::secs(60));
    assert_eq!(ids(rig.get("/v2/deploys").await.json()), [second, first]);
}

#[tokio::test]
async fn verbs_steer() {
    let rig = Rig::new();
    let (id, key) = begun(&rig).await;
    let verbs = [
        (Method::POST, "/resume", Steer::Resume),
        (Method::POST, "/promote", Steer::Promote),
        (Method::POST, "/rollback", Steer::RollBack),
        (Method::DELETE, "", Steer::RollBack),
        (Method::DELETE, "?force=true", Steer::End),
    ];
    for (method, verb, how) in verbs {
        let answer = rig.ask(method, &format!("/v2/deploys/{id}{verb}"), "").await;
        assert_eq!((answer.status, &answer.json()["id"]), (StatusCode::OK, &json!(id)), "{verb}");
        let asked = rig.asked().pop().expect("asked");
        assert_eq!(asked, (Change::Steer { deploy: key, how }, false));
    }
    rig.refuse(Refusal::NotNow { deploy: key, how: Steer::Resume });
    let refused = rig.post(&format!("/v2/deploys/{id}/resume"), "").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("is not paused"), "{}", refused.text);
    for id in ["nothing", "00000000-0000-0000-0000-000000000009"] {
        let missing = rig.get(&format!("/v2/deploys/{id}")).await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
        assert_eq!(missing.json()["message"], format!("Deploy '{id}' does not exist"));
        let missing = rig.post(&format!("/v2/deploys/{id}/promote"), "").await;
        assert_eq!(missing.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test]
async fn refusals_say_who_is_in_the_way() {
    let rig = Rig::new();
    let id = Uuid::from_u128(5);
    rig.refuse(Refusal::Deploying { deploys: vec![DeployId(id)] });
    let refused = rig.post("/v2/deploys", BODY).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["deploys"], json!([{"id": id}]));
    rig.refuse(Refusal::Several { paths: vec![path("/web-blue"), path("/web-green")] });
    let refused = rig.post("/v2/deploys", BODY).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert_eq!(refused.json()["apps"], json!(["/web-blue", "/web-green"]));
    rig.refuse(Refusal::Locked { deployments: vec![DeploymentId(id)] });
    let refused = rig.post("/v2/deploys", BODY).await;
    assert_eq!(refused.json()["deployments"], json!([{"id": id}]));
    let faulty = r#"{"app": {"id": "/web", "cmd": 5}, "strategy": "canary", "steps": ["x"]}"#;
    let refused = rig.post("/v2/deploys", faulty).await;
    assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
    let places: Vec<Value> = refused.json()["details"]
        .as_array()
        .expect("faults")
        .iter()
        .map(|fault| fault["path"].clone())
        .collect();
    assert_eq!(places, [json!("/steps(0)"), json!("/app/cmd")]);
}

#[tokio::test]
async fn an_app_with_a_deploy_in_it_is_the_same() {
    let rig = Rig::new();
    let whole = r#"{"id": "/web", "cmd": "sleep 1", "deploy": {"strategy": "blue-green"}}"#;
    let answer = rig.post("/v2/apps", whole).await;
    assert_eq!((answer.status, &answer.json()["state"]), (StatusCode::CREATED, &json!("growing")));
    let answer = rig.put("/v2/apps/web", whole).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert!(rig.asked().iter().all(|(change, _)| matches!(change, Change::Deploy(_))));

    rig.app(r#"{"id": "/api", "cmd": "sleep 1", "instances": 7}"#);
    let part = r#"{"env": {"A": "1"}, "deploy": {"strategy": "rolling"}}"#;
    for method in [Method::PUT, Method::PATCH] {
        let answer = rig.ask(method, "/v2/apps/api", part).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
        let (Change::Deploy(proposal), false) = rig.asked().pop().expect("asked") else {
            panic!("a deploy");
        };
        let spec = &proposal.put.spec;
        assert_eq!((spec.instances, spec.container().env.len()), (7, 1), "merged");
        assert!(!proposal.counted);
        assert!(matches!(proposal.put.expect, Expect::Version(_)));
    }
    assert_eq!(rig.ask(Method::PATCH, "/v2/apps/none", part).await.status, StatusCode::NOT_FOUND);
    let many = format!("[{whole}]");
    for method in [Method::PUT, Method::PATCH] {
        let refused = rig.ask(method, "/v2/apps", &many).await;
        assert_eq!(refused.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(refused.json()["details"][0]["path"], "(0)/deploy");
    }
}
