//! Verbs that change something, and the wait for what comes of it.

use super::stand::Stand;
use crate::cli::failure::Exit;

const RESULT: &str = r#"{"version":"2021-01-01T00:00:00.000Z","deploymentId":"d1"}"#;
const RUNS: &str = r#"[{"id":"d1","currentStep":1,"totalSteps":1}]"#;

fn app(running: u32, wanted: u32) -> String {
    format!(r#"{{"app":{{"id":"/a","instances":{wanted},"tasksRunning":{running}}}}}"#)
}

/// A server on which deployment `d1` is seen once and is over then; `/a` runs.
async fn deploying() -> Stand {
    let stand = Stand::start().await;
    stand.on("GET /v2/deployments", 200, RUNS).on("GET /v2/deployments", 200, "[]");
    stand.on("GET /v2/apps/a", 200, &app(0, 1)).on("GET /v2/apps/a", 200, &app(1, 1));
    stand
}

#[tokio::test]
async fn add_posts_the_file_as_it_is_and_waits_until_it_runs() {
    let stand = deploying().await;
    let reply = r#"{"id":"/a","version":"2021-01-01T00:00:00.000Z","deployments":[{"id":"d1"}]}"#;
    let odd = [("Warning", r#"299 - "memory is called mem""#)];
    stand.on_with("POST /v2/apps", 201, &odd, reply);
    let file = "{ \"id\": \"a\",\n \"memory\": 1 }";
    let outcome = stand.run_with(&["app", "add", "-"], file).await;
    assert_eq!((outcome.exit, outcome.output.as_str()), (Exit::Done, "/a: 1 of 1 running\n"));
    assert!(outcome.error.starts_with("warning: memory is called mem\n"), "{}", outcome.error);
    let progress = "deployment d1: step 1 of 1\n/a: 0 of 1 running\n";
    assert!(outcome.error.contains(progress), "{}", outcome.error);
    assert_eq!(stand.asked()[0], format!("POST /v2/apps?force=false {file}"));
}

#[tokio::test]
async fn add_of_a_list_is_one_deployment() {
    let stand = deploying().await;
    stand.on("PUT /v2/apps", 200, RESULT);
    let list = r#"[{"id":"a"}]"#;
    let outcome = stand.run_with(&["app", "add", "-", "--force"], list).await;
    assert_eq!((outcome.exit, outcome.output.as_str()), (Exit::Done, "/a: 1 of 1 running\n"));
    assert_eq!(stand.asked()[0], format!("PUT /v2/apps?force=true {list}"));
}

#[tokio::test]
async fn no_wait_returns_at_once_and_json_is_the_body() {
    let stand = Stand::start().await;
    stand.on("PATCH /v2/apps/a", 200, RESULT);
    let outcome = stand.run(&["app", "update", "a", "cpus=2", "cmd=true", "--no-wait"]).await;
    assert_eq!(outcome.output, "/a: accepted as deployment d1\n");
    let line = ["app", "--output", "json", "scale", "/a", "3", "--no-wait"];
    assert_eq!(stand.run(&line).await.output, format!("{RESULT}\n"));
    let asked = [
        r#"PATCH /v2/apps/a?force=false {"cmd":"true","cpus":2}"#,
        r#"PATCH /v2/apps/a?force=false {"instances":3}"#,
    ];
    assert_eq!(stand.asked(), asked);
}

#[tokio::test]
async fn restart_and_remove_wait_for_their_end() {
    let stand = deploying().await;
    stand.on("POST /v2/apps/a/restart", 200, RESULT).on("DELETE /v2/apps/b", 200, RESULT);
    let outcome = stand.run(&["app", "restart", "a"]).await;
    assert_eq!((outcome.exit, outcome.output.as_str()), (Exit::Done, "/a: 1 of 1 running\n"));
    let outcome = stand.run(&["app", "remove", "/b"]).await;
    assert_eq!((outcome.exit, outcome.output.as_str()), (Exit::Done, "/b: removed\n"));
    let asked = stand.asked();
    assert_eq!(asked[0], "POST /v2/apps/a/restart?force=false");
    // A removal is forced unless a client says otherwise (contract 3.2).
    assert!(asked.contains(&"DELETE /v2/apps/b?force=false".to_owned()), "{asked:?}");
}

#[tokio::test]
async fn a_deployment_that_is_over_without_running_is_no_success() {
    let stand = Stand::start().await;
    stand.on("PATCH /v2/apps/a", 200, RESULT).on("GET /v2/deployments", 200, "[]");
    let failed = r#"{"app":{"id":"/a","instances":2,"tasksRunning":1,"lastTaskFailure":{
        "timestamp":"2021-01-01T00:00:05.000Z","state":"TASK_FAILED","host":"h","message":"exit 3","taskId":"t"}}}"#;
    let explained = r#"{"waiting":1,"verdict":"no agent is registered"}"#;
    stand.on("GET /v2/apps/a", 200, failed).on("GET /v2/apps/a/explain", 200, explained);
    let outcome = stand.run(&["app", "scale", "a", "2"]).await;
    assert_eq!((outcome.exit, outcome.output.as_str()), (Exit::NotRunning, ""));
    for said in ["1 of 2 running", "exit 3", "why: no agent is registered"] {
        assert!(outcome.error.contains(said), "{said}: {}", outcome.error);
    }
}

#[tokio::test]
async fn a_wait_that_is_too_long_says_where_it_stands() {
    let stand = Stand::start().await;
    stand.on("PATCH /v2/apps/a", 200, RESULT).on("GET /v2/deployments", 200, RUNS);
    let delayed = r#"{"waiting":1,"verdict":"1 wait for 2.5 s","delayedUntil":"t9"}"#;
    stand.on("GET /v2/apps/a", 200, &app(0, 1)).on("GET /v2/apps/a/explain", 200, delayed);
    let outcome = stand.run(&["app", "scale", "a", "1", "--timeout", "0"]).await;
    assert_eq!(outcome.exit, Exit::TimedOut);
    let said = "error: deployment d1 is not over after 0 s and goes on\n/a: 0 of 1 running\n  why: delayed until t9";
    assert!(outcome.error.contains(said), "{}", outcome.error);
}

#[tokio::test]
async fn a_failure_from_before_the_change_is_not_its_own() {
    let stand = Stand::start().await;
    stand.on("POST /v2/apps/a/restart", 200, RESULT).on("GET /v2/deployments", 200, "[]");
    let old = r#"{"app":{"id":"/a","instances":1,"tasksRunning":1,"lastTaskFailure":{
        "timestamp":"2020-12-31T23:59:59.000Z","message":"old"}}}"#;
    stand.on("GET /v2/apps/a", 200, old);
    assert_eq!(stand.run(&["app", "restart", "a"]).await.output, "/a: 1 of 1 running\n");
}

#[tokio::test]
async fn a_server_that_starts_again_is_waited_for() {
    let stand = Stand::start().await;
    stand.on("POST /v2/apps/a/restart", 200, RESULT).on("GET /v2/apps/a", 200, &app(1, 1));
    stand.on("GET /v2/deployments", 503, r#"{"message":"not leading"}"#);
    stand.on("GET /v2/deployments", 200, "[]");
    let outcome = stand.run(&["app", "restart", "a"]).await;
    assert_eq!(outcome.exit, Exit::Done);
    assert!(outcome.error.contains("not leading; asking again"), "{}", outcome.error);
}

#[tokio::test]
async fn a_lock_is_shown_with_its_holder_and_the_way_out() {
    let stand = Stand::start().await;
    let locked =
        r#"{"message":"App is locked by one or more deployments.","deployments":[{"id":"d9"}]}"#;
    stand.on("PATCH /v2/apps/a", 409, locked);
    let outcome = stand.run(&["app", "scale", "a", "2"]).await;
    assert_eq!(outcome.exit, Exit::Refused);
    assert!(outcome.error.contains("d9") && outcome.error.contains("--force"), "{}", outcome.error);
}

#[tokio::test]
async fn an_update_of_an_app_that_is_not_there_says_so() {
    let stand = Stand::start().await;
    let faults =
        r#"{"message":"Object is not valid","details":[{"path":"/","errors":["no cmd"]}]}"#;
    stand.on("PATCH /v2/apps/x", 422, faults).on("PATCH /v2/apps/a", 422, faults);
    stand.on("GET /v2/apps/x", 404, r#"{"message":"App '/x' does not exist"}"#);
    stand.on("GET /v2/apps/a", 200, &app(1, 1));
    let outcome = stand.run(&["app", "update", "x", "cpus=1"]).await;
    assert_eq!(
        (outcome.exit, outcome.error.as_str()),
        (Exit::Refused, "error: App '/x' does not exist\n")
    );
    let outcome = stand.run(&["app", "update", "a", "cpus=1"]).await;
    assert_eq!(outcome.error, "error: Object is not valid\n  /: no cmd\n");
}

#[tokio::test]
async fn a_deployment_is_undone_or_just_ended() {
    let stand = Stand::start().await;
    stand.on("DELETE /v2/deployments/d0", 200, RESULT).on("DELETE /v2/deployments/d0", 202, "");
    let outcome = stand.run(&["deployment", "cancel", "d0"]).await;
    assert_eq!(outcome.output, "deployment d0 is cancelled, deployment d1 undoes it\n");
    let outcome = stand.run(&["deployment", "cancel", "d0", "--force"]).await;
    assert_eq!(
        (outcome.exit, outcome.output.as_str()),
        (Exit::Done, "deployment d0 is ended, its apps are left half-way\n")
    );
    let asked = ["DELETE /v2/deployments/d0?force=false", "DELETE /v2/deployments/d0?force=true"];
    assert_eq!(stand.asked(), asked);
}

#[tokio::test]
async fn every_app_of_a_list_is_looked_at_in_the_end() {
    let stand = Stand::start().await;
    stand.on("PUT /v2/apps", 200, RESULT).on("GET /v2/deployments", 200, "[]");
    let ids: Vec<String> = (0..12).map(|number| format!("/a{number}")).collect();
    for id in &ids {
        let running = u32::from(id != "/a11");
        let app = format!(r#"{{"app":{{"id":"{id}","instances":1,"tasksRunning":{running}}}}}"#);
        stand.on(&format!("GET /v2/apps{id}"), 200, &app);
    }
    let list = ids.iter().map(|id| format!(r#"{{"id":"{id}"}}"#)).collect::<Vec<_>>().join(",");
    let outcome = stand.run_with(&["app", "add", "-"], &format!("[{list}]")).await;
    assert_eq!(outcome.exit, Exit::NotRunning, "{outcome:?}");
    assert!(outcome.error.contains("/a11: 0 of 1 running"), "{}", outcome.error);
}
