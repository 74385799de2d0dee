//! Writing apps (contract 3.2).

use axum::http::{Method, StatusCode};
use serde_json::json;

use super::rig::{Rig, START};
use super::rows::{put_app, put_deployment, spec};
use crate::model::fact::{Announce, Change, Expect, Refusal};
use crate::model::id::Version;
use crate::model::path::AppPath;
use crate::model::time::Timestamp;

const WEB: &str = r#"{"id":"/web","cmd":"sleep 1000","cpus":0.1,"mem":32}"#;

#[tokio::test]
async fn post_answers_as_the_worked_example_19_1() {
    let rig = Rig::new();
    let answer = rig.post("/v2/apps", WEB).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    assert_eq!(answer.header("location"), "http://localhost:8080/web");
    assert_eq!(answer.header("content-type"), "application/json");
    let deployment = answer.header("marathon-deployment-id");
    let body = answer.json();
    assert_eq!(body["deployments"], json!([{ "id": deployment }]));
    assert_eq!(body["portDefinitions"], json!([{"port":0,"name":"default","protocol":"tcp"}]));
    assert_eq!((&body["tasksRunning"], &body["mem"]), (&json!(0), &json!(32.0)));
    assert!(body.get("versionInfo").is_none() && body.get("tasks").is_none());
    assert!(body["version"].as_str().expect("a text").ends_with('Z'));
    match &rig.asked()[..] {
        [(Change::Put { apps, announce: Announce::Submitted }, false)] => {
            assert_eq!(apps[0].expect, Expect::Absent);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn post_of_an_existing_id_is_409_without_deployments_and_with_a_hint() {
    let rig = Rig::new();
    rig.app(WEB);
    let answer = rig.post("/v2/apps", WEB).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    let body = answer.json();
    assert_eq!(body["message"], "An app with id [/web] already exists.");
    assert!(body.get("deployments").is_none());
    assert!(answer.text.contains("PUT /v2/apps/web"), "{}", answer.text);
}

#[tokio::test]
async fn a_locked_app_is_409_with_deployments() {
    let rig = Rig::new();
    rig.app(WEB);
    let mut held = None;
    rig.edit(|world| held = Some(put_deployment(world, "/web", 5)));
    let held = held.expect("set");
    rig.refuse(Refusal::Locked { deployments: vec![held] });
    let answer = rig.put("/v2/apps/web", r#"{"instances":3}"#).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(answer.json()["deployments"], json!([{ "id": held.to_string() }]));
}

#[tokio::test]
async fn broken_bodies_are_400_with_a_place_and_422_with_every_path() {
    let rig = Rig::new();
    let syntax = rig.post("/v2/apps", "{\"id\":\"/x\" \"cmd\":\"sleep 9\"}").await;
    assert_eq!(syntax.status, StatusCode::BAD_REQUEST);
    assert_eq!(syntax.json()["message"], "Invalid JSON");
    assert!(syntax.json()["details"].is_string());
    let empty = rig.post("/v2/apps", " ").await;
    assert_eq!(empty.json()["message"], "Please specify data in JSON format");
    let types = rig.post("/v2/apps", r#"{"id":"/x","cmd":5,"labels":{"a":1}}"#).await;
    assert_eq!(types.status, StatusCode::UNPROCESSABLE_ENTITY);
    let paths: Vec<String> = types.json()["details"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|detail| detail["path"].as_str().expect("a text").to_owned())
        .collect();
    assert!(paths.contains(&"/cmd".into()) && paths.contains(&"/labels/a".into()), "{paths:?}");
    let rules = rig.post("/v2/apps", r#"{"id":"/x"}"#).await;
    assert_eq!(rules.json()["message"], "Object is not valid");
    assert!(rig.asked().is_empty(), "nothing was created");
}

#[tokio::test]
async fn odd_bodies_are_taken_with_a_warning_and_refused_when_strict() {
    let rig = Rig::new();
    let odd = r#"{"id":"/x","cmd":"sleep 9","instances":"2","memory":64}"#;
    let taken = rig.post("/v2/apps", odd).await;
    assert_eq!(taken.status, StatusCode::CREATED, "{}", taken.text);
    assert!(taken.header("warning").starts_with("299 - \""), "{:?}", taken.headers);
    assert_eq!(rig.post("/v2/apps?strict=true", odd).await.status, 422);
    let strict = Rig::with(|config| config.strict_json = true);
    assert_eq!(strict.post("/v2/apps", odd).await.status, 422);
}

#[tokio::test]
async fn put_updates_replaces_and_creates() {
    let rig = Rig::new();
    let created = rig.put("/v2/apps//a/web", r#"{"cmd":"sleep 9"}"#).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.text);
    assert_eq!(created.header("location"), "http://localhost:8080/a/web");
    let body = created.json();
    assert_eq!(body["deploymentId"], created.header("marathon-deployment-id"));
    assert!(body["version"].is_string());

    let updated = rig.put("/v2/apps/a/web", r#"{"instances":3}"#).await;
    assert_eq!((updated.status, updated.header("location")), (StatusCode::OK, ""));
    let app = rig.get("/v2/apps/a/web").await.json();
    assert_eq!((&app["app"]["instances"], &app["app"]["cmd"]), (&json!(3), &json!("sleep 9")));

    let whole = rig.put("/v2/apps/a/web?partialUpdate=false", r#"{"cmd":"sleep 8"}"#).await;
    assert_eq!(whole.status, StatusCode::OK);
    assert_eq!(rig.get("/v2/apps/a/web").await.json()["app"]["instances"], 1);
    let announced: Vec<bool> = rig
        .asked()
        .iter()
        .map(|(change, _)| matches!(change, Change::Put { announce: Announce::Stored, .. }))
        .collect();
    assert_eq!(announced, [true; 3]);
}

#[tokio::test]
async fn a_change_in_between_is_merged_into() {
    let rig = Rig::new();
    rig.app(WEB);
    let other = spec(r#"{"id":"/web","cmd":"sleep 2000","cpus":0.1,"mem":32}"#);
    rig.interfere(move |world| {
        put_app(world, other, Version(Timestamp::from_millis(START + 1)));
    });
    let answer = rig.put("/v2/apps/web", r#"{"instances":3}"#).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let app = rig.get("/v2/apps/web").await.json();
    assert_eq!(app["app"]["cmd"], "sleep 2000", "the other change is not lost");
    assert_eq!(app["app"]["instances"], 3);
    assert_eq!(rig.asked().len(), 2);
}

#[tokio::test]
async fn an_app_that_appears_meanwhile_is_updated_and_one_that_leaves_is_404_for_patch() {
    let rig = Rig::new();
    let other = spec(WEB);
    rig.interfere(move |world| put_app(world, other, Version(Timestamp::from_millis(START))));
    let answer = rig.put("/v2/apps/web", r#"{"cmd":"sleep 9"}"#).await;
    assert_eq!(answer.status, StatusCode::OK, "created by somebody else");
    rig.interfere(|world| {
        let path = AppPath::parse("/web").expect("a path");
        let key = world.app(&path).expect("there").key;
        let write = crate::model::row::Write { key: crate::model::row::Key::App(key), row: None };
        world.apply(&write);
    });
    let answer = rig.ask(Method::PATCH, "/v2/apps/web", r#"{"instances":2}"#).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json(), json!({"message": "App '/web' does not exist"}));
}

#[tokio::test]
async fn an_app_that_never_keeps_still_is_given_up() {
    let rig = Rig::new();
    rig.app(WEB);
    for _ in 0..60 {
        rig.refuse(Refusal::Stale);
    }
    let answer = rig.put("/v2/apps/web", r#"{"instances":3}"#).await;
    assert_eq!(answer.status, StatusCode::CONFLICT);
    assert_eq!(rig.asked().len(), 50);
}

#[tokio::test]
async fn a_version_alone_goes_back() {
    let rig = Rig::new();
    rig.app(WEB);
    assert_eq!(rig.put("/v2/apps/web", r#"{"cmd":"sleep 9"}"#).await.status, 200);
    let first = Timestamp::from_millis(START);
    let back = rig.put("/v2/apps/web", &format!(r#"{{"version":"{first}"}}"#)).await;
    assert_eq!(back.status, StatusCode::OK, "{}", back.text);
    assert_eq!(rig.get("/v2/apps/web").await.json()["app"]["cmd"], "sleep 1000");
    let unknown = rig.put("/v2/apps/web", r#"{"version":"2020-01-01T00:00:00.000Z"}"#).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json(), json!({"message": "App '/web' does not exist"}));
}

#[tokio::test]
async fn a_batch_is_one_deployment() {
    let rig = Rig::new();
    rig.app(WEB);
    let both =
        r#"[{"id":"/web","instances":2},{"id":"/new","cmd":"sleep 9"},{"id":"/web","mem":64}]"#;
    let answer = rig.put("/v2/apps", both).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert_ne!(answer.header("marathon-deployment-id"), "");
    match &rig.asked()[..] {
        [(Change::Put { apps, announce: Announce::No }, false)] => assert_eq!(apps.len(), 2),
        other => panic!("{other:?}"),
    }
    let app = rig.get("/v2/apps/web").await.json();
    assert_eq!((&app["app"]["instances"], &app["app"]["mem"]), (&json!(2), &json!(64.0)));
    let unknown = rig.ask(Method::PATCH, "/v2/apps", r#"[{"id":"/nope","instances":2}]"#).await;
    assert_eq!(unknown.json(), json!({"message": "App '/nope' does not exist"}));
    let nameless = rig.put("/v2/apps", r#"[{"instances":2}]"#).await;
    assert_eq!(nameless.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(nameless.json()["message"], "requirement failed: App Update must have app id set");
}

#[tokio::test]
async fn delete_forces_by_default_and_restart_does_not() {
    let rig = Rig::new();
    rig.app(WEB);
    assert_eq!(rig.post("/v2/apps/web/restart", r#"{"force":false}"#).await.status, 200);
    assert_eq!(rig.delete("/v2/apps/web").await.status, 200);
    let forces: Vec<bool> = rig.asked().iter().map(|(_, force)| *force).collect();
    assert_eq!(forces, [false, true]);
    let missing = json!({"message": "App '/web' does not exist"});
    for answer in [rig.delete("/v2/apps/web").await, rig.post("/v2/apps/web/restart", "").await] {
        assert_eq!((answer.status, answer.json()), (StatusCode::NOT_FOUND, missing.clone()));
    }
    rig.app(WEB);
    rig.delete("/v2/apps/web?force=false").await;
    assert!(!rig.asked().last().expect("asked").1);
}

#[tokio::test]
async fn an_app_named_like_a_word_is_reached() {
    let rig = Rig::new();
    // Old stores hold apps whose id ends in `restart`; `explain` is a word of ours alone.
    rig.edit(|world| {
        let mut named = spec(WEB);
        named.path = AppPath::parse("/a/restart").expect("a path");
        put_app(world, named, Version(Timestamp::from_millis(START)));
    });
    assert_eq!(rig.delete("/v2/apps/a/restart").await.status, 200);
    assert_eq!(rig.put("/v2/apps/a/explain", r#"{"cmd":"sleep 9"}"#).await.status, 201);
    assert_eq!(rig.get("/v2/apps/a/explain").await.json()["app"]["id"], "/a/explain");
    assert_eq!(rig.get("/v2/apps/a/explain/explain").await.json()["app"], "/a/explain");
}

#[tokio::test]
async fn an_id_that_is_none_is_404_to_read_and_422_to_write() {
    let rig = Rig::new();
    let read = rig.get("/v2/apps/Web").await;
    assert_eq!(read.status, StatusCode::NOT_FOUND);
    assert_eq!(read.json(), json!({"message": "App '/Web' does not exist", "details": []}));
    let write = rig.put("/v2/apps/Web", r#"{"cmd":"sleep 9"}"#).await;
    assert_eq!(write.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(write.json()["details"][0]["path"], "/id");
}

#[tokio::test]
async fn what_the_brain_refuses_has_its_status() {
    let rig = Rig::new();
    for (refusal, status) in [
        (Refusal::TooMany { limit: 5 }, 403),
        (Refusal::Cycle, 422),
        (Refusal::NoServicePort, 422),
        (Refusal::Unavailable { detail: "later".to_owned() }, 503),
    ] {
        rig.refuse(refusal);
        let answer = rig.post("/v2/apps", WEB).await;
        assert_eq!(answer.status.as_u16(), status, "{}", answer.text);
        assert_eq!(answer.header("retry-after"), if status == 503 { "1" } else { "" });
    }
}
