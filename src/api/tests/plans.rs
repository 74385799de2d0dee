//! Dry runs: what a write would come to, with the statuses and words of the write (U7).

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::rig::Rig;
use super::rows::put_deployment;
use crate::model::agent::GpuScheduling;
use crate::model::brake::Brake;
use crate::model::condition::Condition;
use crate::model::id::{AgentKey, AppKey, ClusterId};
use crate::model::meta::Meta;

const WEB: &str = r#"{"id":"/web","cmd":"sleep 1000","cpus":0.1,"mem":32,"portDefinitions":[],"env":{"DB_PASSWORD":"x","MODE":"a"}}"#;

fn paths(app: &Value) -> Vec<&str> {
    let all = app["diff"].as_array().expect("a list");
    all.iter().map(|one| one["path"].as_str().expect("a text")).collect()
}

/// An app of one instance that runs on the only agent.
fn running() -> Rig {
    let rig = Rig::new();
    rig.edit(|world| {
        world.meta = Some(Meta {
            cluster: ClusterId(Uuid::from_u128(7)),
            next_app: AppKey(100),
            next_agent: AgentKey(100),
            next_id: 0,
            brake: Brake::default(),
            gpu_scheduling: GpuScheduling::default(),
        });
    });
    rig.app(WEB);
    rig.task("/web", 0, Condition::Running);
    rig
}

#[tokio::test]
async fn a_dry_run_answers_the_plan_and_asks_for_nothing() {
    let rig = running();
    let answer = rig
        .put("/v2/apps/web?dryRun=true", r#"{"cpus":0.2,"env":{"DB_PASSWORD":"y","MODE":"a"}}"#)
        .await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    assert!(rig.asked().is_empty(), "nothing is changed");
    let plan = answer.json();
    assert_eq!(
        (&plan["dryRun"], &plan["changes"], &plan["complete"]),
        (&json!(true), &json!(true), &json!(true))
    );
    assert_eq!(
        plan["steps"],
        json!([{"actions": [{"action": "RestartApplication", "app": "/web"}]}])
    );
    let app = &plan["apps"][0];
    assert_eq!((&app["id"], &app["change"]), (&json!("/web"), &json!("restart")));
    let diff = json!([{"op": "replace", "path": "/cpus", "before": 0.1, "after": 0.2},
        {"op": "replace", "path": "/env/DB_PASSWORD", "secret": true}]);
    assert_eq!(app["diff"], diff);
    assert_eq!(
        app["instances"],
        json!({"before": 1, "after": 1, "serving": 1, "lowestServing": 1,
        "kept": 0, "ended": 1, "started": 1, "waiting": 0})
    );
    assert_eq!(app["placements"][0]["host"], "10.0.0.5");
    assert_eq!(app["warnings"][0]["kind"], "restarts");
    assert!(!answer.text.contains("\"y\""), "no secret is told: {}", answer.text);
}

#[tokio::test]
async fn what_finds_no_place_is_explained() {
    let rig = running();
    let app = WEB.replace("/web", "/big").replace("32", "4096");
    let answer = rig.post("/v2/apps?dryRun=true", &app).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text);
    let plan = answer.json();
    let app = &plan["apps"][0];
    assert_eq!((&app["change"], &app["instances"]["waiting"]), (&json!("create"), &json!(1)));
    let reason = &app["explanation"]["agents"][0]["reasons"][0];
    assert_eq!(reason["kind"], "mem", "{plan}");
    assert!(paths(app).contains(&"/cmd") && !paths(app).contains(&"/version"), "{plan}");
    assert_eq!(app["warnings"][0]["kind"], "noPlace");
}

#[tokio::test]
async fn what_the_write_would_be_refused_with_refuses_the_dry_run() {
    let rig = running();
    let exists = rig.post("/v2/apps?dryRun=true", WEB).await;
    assert_eq!(
        (exists.status, exists.json()["message"].as_str().expect("a text")),
        (StatusCode::CONFLICT, "An app with id [/web] already exists.")
    );
    assert_eq!(rig.post("/v2/apps?dryRun=true", r#"{"id":"/x"}"#).await.status, 422);
    assert_eq!(rig.post("/v2/apps?dryRun=true", "{").await.status, 400);
    assert_eq!(rig.delete("/v2/apps/none?dryRun=true").await.status, 404);
    assert_eq!(
        rig.ask(Method::PATCH, "/v2/apps/none?dryRun=true", r#"{"cpus":1}"#).await.status,
        404
    );
    let mut held = None;
    rig.edit(|world| held = Some(put_deployment(world, "/web", 5).to_string()));
    let locked = rig.put("/v2/apps/web?dryRun=true", r#"{"instances":2}"#).await;
    assert_eq!(locked.status, StatusCode::CONFLICT);
    assert_eq!(locked.json()["deployments"], json!([{ "id": held }]));
    let forced = rig.put("/v2/apps/web?dryRun=true&force=true", r#"{"instances":2}"#).await;
    assert_eq!(forced.json()["cancels"], json!([held]), "{}", forced.text);
    assert!(rig.asked().is_empty());
}

#[tokio::test]
async fn many_apps_a_removal_and_nothing_at_all() {
    let rig = running();
    let same = rig.put("/v2/apps/web?dryRun=true", r#"{"cpus":0.1}"#).await.json();
    assert_eq!((&same["changes"], &same["apps"][0]["change"]), (&json!(false), &json!("none")));
    assert_eq!((&same["totalSteps"], &same["affectedApps"]), (&json!(0), &json!([])));
    let many = format!(r#"[{},{{"id":"/web","instances":2}}]"#, WEB.replace("/web", "/b"));
    let plan = rig.put("/v2/apps?dryRun=true", &many).await.json();
    assert_eq!(plan["affectedApps"], json!(["/b", "/web"]));
    assert_eq!(
        (&plan["apps"][0]["change"], &plan["apps"][1]["change"]),
        (&json!("create"), &json!("scale"))
    );
    let removal = rig.delete("/v2/apps/web?dryRun=true").await.json();
    assert_eq!(
        (&removal["apps"][0]["change"], &removal["apps"][0]["instances"]["ended"]),
        (&json!("remove"), &json!(1))
    );
    assert!(rig.asked().is_empty());
}

#[tokio::test]
async fn a_server_that_knows_nothing_yet_promises_nothing() {
    let rig = Rig::new();
    let answer = rig.post("/v2/apps?dryRun=true", WEB).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{}", answer.text);
}
