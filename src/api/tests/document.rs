//! The OpenAPI document: equal to the committed one, and true.

use axum::http::{Method, StatusCode};
use serde_json::Value;

use super::rig::Rig;
use crate::api::openapi::openapi;
use crate::api::path::{Route, Verb};

const COMMITTED: &str = include_str!("../../../api-spec/openapi.json");
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/api-spec/openapi.json");

fn document() -> Value {
    serde_json::from_str(&openapi()).expect("JSON")
}

fn operations() -> Vec<(String, Method)> {
    let document = document();
    let paths = document["paths"].as_object().expect("paths");
    paths
        .iter()
        .flat_map(|(path, verbs)| {
            let verbs = verbs.as_object().expect("verbs");
            verbs.keys().map(|verb| {
                (path.clone(), verb.to_uppercase().parse::<Method>().expect("a method"))
            })
        })
        .collect()
}

#[test]
fn the_committed_document_is_the_generated_one() {
    #[expect(clippy::disallowed_methods, reason = "asks whoever runs the test, not the program")]
    if std::env::var_os("STAYER_WRITE_OPENAPI").is_some() {
        std::fs::write(PATH, openapi()).expect("the folder is there");
    }
    let same = openapi() == COMMITTED;
    assert!(same, "write it: STAYER_WRITE_OPENAPI=1 cargo test --lib committed_document");
    assert_eq!(document()["openapi"], "3.1.0");
}

#[tokio::test]
async fn every_documented_operation_answers() {
    let rig = Rig::new();
    // Events are asked for by a header, and their answer has no end: tests of their own.
    for (path, method) in operations().into_iter().filter(|(path, _)| path != "/v2/events") {
        let asked = path
            .replace("deployments/{id}", "deployments/00000000-0000-0000-0000-000000000009")
            .replace("deploys/{id}", "deploys/00000000-0000-0000-0000-000000000009")
            .replace("{id}", "a/b")
            .replace("{group}", "a")
            .replace("{agent}", "a1")
            .replace("{task}", "a_b.instance-00000000-0000-0000-0000-000000000001._app.1")
            .replace("{version}", "2021-07-01T10:00:00.000Z");
        let answer = rig.ask(method.clone(), &asked, "").await;
        assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{method} {path}");
        assert!(!answer.text.contains("URI not found"), "{method} {path}");
        let route = Route::parse(&asked).expect("a route");
        assert_eq!(route.name(), path, "{method}");
        assert!(Verb::of(&method).is_some_and(|verb| route.verbs().contains(&verb)));
    }
}

#[test]
fn every_field_of_an_app_is_in_the_table() {
    let table = include_str!("../../../docs/fields.md");
    let document = document();
    let fields =
        document["components"]["schemas"]["App"]["properties"].as_object().expect("fields");
    for field in fields.keys() {
        assert!(table.contains(&format!("`{field}`")), "{field}");
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let document = document();
    let paths = document["paths"].as_object().expect("paths").values();
    let operations = paths.flat_map(|verbs| verbs.as_object().expect("verbs").values());
    let mut names: Vec<&str> =
        operations.map(|one| one["operationId"].as_str().expect("a name")).collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn every_route_is_documented() {
    let documented = operations();
    for path in [
        "/v2/apps",
        "/v2/apps/a",
        "/v2/apps/a/*",
        "/v2/apps/a/tasks",
        "/v2/apps/a/*/tasks",
        "/v2/apps/a/tasks/t",
        "/v2/apps/a/versions",
        "/v2/apps/a/versions/v",
        "/v2/tasks",
        "/v2/tasks/delete",
        "/v2/tasks/t/logs",
        "/v2/events",
        "/v2/deployments",
        "/v2/deployments/d",
        "/v2/queue",
        "/v2/queue/a/delay",
        "/v2/agents",
        "/v2/agents/a",
        "/v2/agents/a/drain",
        "/v2/brake",
        "/v2/info",
        "/v2/leader",
        "/ping",
        "/metrics",
        "/metrics/prometheus",
    ] {
        let route = Route::parse(path).expect("a route");
        for verb in route.verbs() {
            let verb = verb.as_str().split(',').next().expect("a word");
            let found =
                documented.iter().any(|(path, method)| path == route.name() && method == verb);
            assert!(found, "{verb} {}", route.name());
        }
    }
}
