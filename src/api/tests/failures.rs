//! Lists of what failed, and single failures with their evidence.

use axum::http::StatusCode;

use super::rig::Rig;
use super::rows::put_autopsy;
use crate::model::path::AppPath;
use crate::model::row::{Key, Row, Write};
use crate::model::time::Timestamp;

const APP: &str = r#"{"id":"/a/web","cmd":"true"}"#;
const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Lives 1 to 3 of one instance failed.
fn rig() -> (Rig, String) {
    let rig = Rig::new();
    rig.app(APP);
    // The agent is there with the first task.
    rig.task("/a/web", 1, crate::model::condition::Condition::Running);
    let mut name = String::new();
    rig.edit(|world| {
        for life in 1..=3 {
            name = format!("a_web.instance-{}", put_autopsy(world, "/a/web", life));
        }
    });
    (rig, name)
}

fn change(rig: &Rig, life: u32, by: impl Fn(&mut crate::model::autopsy::Autopsy)) {
    rig.edit(|world| {
        let app = world.app(&AppPath::parse("/a/web").expect("a path")).expect("an app").key;
        let key = crate::model::autopsy::AutopsyKey { app, no: life };
        let mut row = world.autopsies.get(&key).expect("a row").clone();
        by(&mut row);
        let row = Some(Row::Autopsy(std::sync::Arc::new(row)));
        world.apply(&Write { key: Key::Autopsy(key), row });
    });
}

#[tokio::test]
async fn failures_are_listed_newest_first_and_narrowed() {
    let (rig, name) = rig();
    let lives = |body: &serde_json::Value| -> Vec<String> {
        let list = body["failures"].as_array().expect("a list");
        let id = |one: &serde_json::Value| one["taskId"].as_str().expect("an id").to_owned();
        list.iter().map(|one| id(one).split_off(name.len())).collect()
    };
    let all = rig.get("/v2/apps//a/web/failures").await.json();
    assert_eq!(lives(&all), ["._app.3", "._app.2", "._app.1"]);
    assert_eq!((&all["total"], &all["failures"][0]["exitCode"]), (&3.into(), &7.into()));
    assert!(all["failures"][0].get("evidence").is_none(), "an agent is not asked for a list");
    let two = rig.get("/v2/apps/a/web/failures?limit=2").await.json();
    assert_eq!(
        (lives(&two), &two["total"]),
        (vec!["._app.3".to_owned(), "._app.2".to_owned()], &3.into())
    );
    let one = rig.get(&format!("/v2/apps/a/web/failures?task={name}._app.1")).await.json();
    assert_eq!(lives(&one), ["._app.1"]);
    let of_instance = rig.get(&format!("/v2/apps/a/web/failures?task={name}")).await.json();
    assert_eq!(lives(&of_instance).len(), 3);
    for (query, status) in [
        ("limit=many", StatusCode::BAD_REQUEST),
        ("task=nothing", StatusCode::NOT_FOUND),
        ("task=a.instance-nothing", StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        let answer = rig.get(&format!("/v2/apps/a/web/failures?{query}")).await;
        assert_eq!(answer.status, status, "{query}");
    }
    change(&rig, 2, |row| row.at = Timestamp::from_millis(row.at.as_millis() + 60_000 - DAY));
    let fresh = rig.get("/v2/apps/a/web/failures").await.json();
    assert_eq!(lives(&fresh), ["._app.3", "._app.2", "._app.1"], "a day old");
    change(&rig, 2, |row| row.at = Timestamp::from_millis(row.at.as_millis() - 1));
    let fresh = rig.get("/v2/apps/a/web/failures").await.json();
    assert_eq!(lives(&fresh), ["._app.3", "._app.1"], "older than a day");
}

#[tokio::test]
async fn a_failure_has_its_evidence_or_says_where_that_is() {
    let (rig, name) = rig();
    let get = async |life: &str| {
        let body = rig.get(&format!("/v2/apps/a/web/failures/{name}{life}")).await.json();
        body["failure"]["evidence"].clone()
    };
    let here = get("._app.1").await;
    assert_eq!(
        (&here["state"], &here["stdout"]["lines"][0]),
        (&"here".into(), &"last words".into())
    );
    assert_eq!(get("._app.2").await["state"], "none");
    let away = get("._app.3").await;
    assert_eq!(away["state"], "away");
    assert_eq!(away["detail"], "on agent 10.0.0.5, which is not heard: it has no connection");
    assert_eq!(get("").await["state"], "away", "of an instance its newest");
    change(&rig, 1, |row| row.agent = None);
    assert_eq!(get("._app.1").await["state"], "forgotten");
    change(&rig, 2, |row| {
        row.agent.iter_mut().for_each(|agent| agent.key = crate::model::id::AgentKey(99));
    });
    assert_eq!(get("._app.2").await["detail"], "on agent 10.0.0.5, which was forgotten");
    let missing = rig.get(&format!("/v2/apps/a/web/failures/{name}._app.9")).await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

/// A deployment that is taken back may take its app away, and what failed stays.
#[tokio::test]
async fn a_removed_app_is_there_as_long_as_something_of_it_failed() {
    let (rig, name) = rig();
    let path = AppPath::parse("/a/web").expect("a path");
    rig.edit(|world| {
        let mut app = world.app(&path).expect("an app").clone();
        app.removed = Some(Timestamp::from_millis(1));
        let (key, row) = (Key::App(app.key), Some(Row::App(std::sync::Arc::new(app))));
        world.apply(&Write { key, row });
    });
    assert_eq!(rig.get("/v2/apps/a/web").await.status, StatusCode::NOT_FOUND);
    let list = rig.get("/v2/apps/a/web/failures").await.json();
    assert_eq!(list["total"], 3);
    let one = rig.get(&format!("/v2/apps/a/web/failures/{name}._app.1")).await;
    assert_eq!(one.status, StatusCode::OK);
}

#[tokio::test]
async fn an_app_may_be_called_failures() {
    let (rig, _) = rig();
    rig.app(r#"{"id":"/a/web/failures","cmd":"true"}"#);
    let app = rig.get("/v2/apps/a/web/failures").await.json();
    assert_eq!(app["app"]["id"], "/a/web/failures");
    assert_eq!(rig.get("/v2/apps/nope/failures").await.status, StatusCode::NOT_FOUND);
}
