//! `plan`, `deploy` and `rollback`: what is asked, what is said, and each exit code.

use super::stand::{Outcome, Stand};
use crate::cli::failure::Exit;

const RESULT: &str = r#"{"version":"2021-01-01T00:00:00.000Z","deploymentId":"d1"}"#;
const FILE: &str = r#"{"id":"a","cmd":"x"}"#;
const GOES: &str = r#"[{"id":"d1","currentStep":1,"totalSteps":1,"state":"going",
    "currentActions":[{"action":"RestartApplication","app":"/a"}]}]"#;

fn app(ready: u32, wanted: u32) -> String {
    format!(
        r#"{{"app":{{"id":"/a","instances":{wanted},"tasksRunning":{ready},"lastTaskFailure":{{
            "timestamp":"2021-01-01T00:00:05.000Z","state":"TASK_FAILED","host":"h","message":"exit 3",
            "taskId":"t"}},"taskStats":{{"withLatestConfig":{{"stats":{{"counts":{{"running":{ready}}}}}}}}}}}}}"#
    )
}

fn over(id: &str, outcome: &str, more: &str) -> String {
    format!(r#"[{{"id":"{id}","outcome":"{outcome}"{more}}}]"#)
}

/// A server that takes the file, on which `d1` is seen once and is over then.
async fn taken() -> Stand {
    let stand = Stand::start().await;
    stand.on("PUT /v2/apps/a", 200, RESULT);
    stand.on("GET /v2/deployments", 200, GOES).on("GET /v2/deployments", 200, "[]");
    stand
}

async fn deploy(stand: &Stand, more: &[&str]) -> Outcome {
    stand.run_with(&[&["deploy", "-"], more].concat(), FILE).await
}

#[tokio::test]
async fn a_deployment_is_followed_to_its_end_with_a_line_for_each_change() {
    let stand = taken().await;
    stand.on("GET /v2/apps/a", 200, &app(0, 1)).on("GET /v2/apps/a", 200, &app(1, 1));
    stand.on("GET /v2/deployments/history", 200, &over("d1", "done", ""));
    let limits = ["--wait", "--deadline", "2m", "--max-failures", "3", "--on-failure", "rollback"];
    let outcome = deploy(&stand, &limits).await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    assert!(outcome.output.starts_with("the deployment is done after"), "{}", outcome.output);
    let lines: Vec<&str> = outcome.error.lines().collect();
    assert!(lines[0].ends_with("Z step 1 of 1: RestartApplication /a"), "{lines:?}");
    assert!(lines[1].ends_with("Z /a: 0 of 1 ready"), "{lines:?}");
    let query = "force=false&deadlineSeconds=120&maxFailures=3&onFailure=rollback";
    assert_eq!(stand.asked()[0], format!("PUT /v2/apps/a?{query} {FILE}"));
}

#[tokio::test]
async fn a_list_is_one_deployment_and_a_file_may_be_all_there_is() {
    let stand = taken().await;
    stand.on("PUT /v2/apps", 200, RESULT).on("GET /v2/apps/a", 200, &app(1, 1));
    let list = format!("[{FILE}]");
    let line = ["deploy", "-", "--replace", "--force", "--no-wait"];
    let outcome = stand.run_with(&line, &list).await;
    assert_eq!((outcome.exit, outcome.error.as_str()), (Exit::Done, ""));
    assert_eq!(outcome.output, "the deployment is accepted (deployment d1)\n");
    assert_eq!(stand.asked(), [format!("PUT /v2/apps?partialUpdate=false&force=true {list}")]);
}

#[tokio::test]
async fn a_refusal_is_2_and_a_wrong_argument_1() {
    let stand = Stand::start().await;
    stand.on("PUT /v2/apps/a", 422, r#"{"message":"Object is not valid"}"#);
    let outcome = deploy(&stand, &["--output", "json"]).await;
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Refused, 2), "{outcome:?}");
    assert!(outcome.output.contains(r#""outcome":"rejected""#), "{}", outcome.output);
    assert!(outcome.error.contains("Object is not valid"), "{}", outcome.error);
    let wrong = deploy(&stand, &["--deadline", "soon"]).await;
    assert_eq!((wrong.exit, wrong.exit.code()), (Exit::Usage, 1));
    let nobody = super::stand::run(&["deploy", "-", "--server", "http://127.0.0.1:1"], FILE).await;
    assert_eq!((nobody.exit, nobody.exit.code()), (Exit::Unreachable, 1), "{nobody:?}");
}

#[tokio::test]
async fn a_rollback_is_followed_too_and_never_reads_as_success() {
    let cause =
        r#","followedBy":"d2","cause":{"kind":"overdue","message":"not done within 2 s: exit 3"}"#;
    for (ended, exit, code) in
        [("done", Exit::RolledBack, 3), ("cancelled", Exit::RollbackFailed, 4)]
    {
        let stand = taken().await;
        stand.on("GET /v2/apps/a", 200, &app(1, 1));
        stand.on("GET /v2/deployments/history", 200, &over("d1", "rolledBack", cause));
        stand.on("GET /v2/deployments/history", 200, &over("d2", ended, r#","reverts":"d1""#));
        let outcome = deploy(&stand, &["--output", "json"]).await;
        assert_eq!((outcome.exit, outcome.exit.code()), (exit, code), "{outcome:?}");
        assert!(outcome.output.contains(r#""rollback":"d2""#), "{}", outcome.output);
        for said in ["taken back by deployment d2", "not done within 2 s", "FAILED", "exit 3"] {
            assert!(outcome.error.contains(said), "{said}: {}", outcome.error);
        }
    }
}

#[tokio::test]
async fn a_rollback_that_is_stuck_is_4() {
    let stand = Stand::start().await;
    stand.on("PUT /v2/apps/a", 200, RESULT).on("GET /v2/apps/a", 200, &app(0, 1));
    stand.on("GET /v2/deployments", 200, "[]");
    let stuck = r#"[{"id":"d2","state":"stuck","cause":{"message":"late again"}}]"#;
    stand.on("GET /v2/deployments", 200, stuck);
    let by = r#","followedBy":"d2","cause":{"message":"late"}"#;
    stand.on("GET /v2/deployments/history", 200, &over("d1", "rolledBack", by));
    let outcome = deploy(&stand, &[]).await;
    assert_eq!(outcome.exit, Exit::RollbackFailed, "{outcome:?}");
    assert!(outcome.error.contains("stuck: late again"), "{}", outcome.error);
}

#[tokio::test]
async fn what_needs_a_human_is_5_and_says_what_to_do() {
    for (word, said) in [
        ("failed", "stays as it is"),
        ("cancelled", "cancelled half-way"),
        ("replaced", "a later change went over"),
    ] {
        let stand = taken().await;
        stand.on("GET /v2/apps/a", 200, &app(0, 1));
        stand.on("GET /v2/deployments/history", 200, &over("d1", word, ""));
        let outcome = deploy(&stand, &[]).await;
        assert_eq!((outcome.exit, outcome.exit.code()), (Exit::NotRunning, 5), "{outcome:?}");
        assert!(outcome.error.contains(said), "{said}: {}", outcome.error);
        assert!(outcome.error.contains("last failure: TASK_FAILED on h"), "{}", outcome.error);
    }
    let stand = Stand::start().await;
    stand.on("PUT /v2/apps/a", 200, RESULT).on("GET /v2/apps/a", 200, &app(0, 1));
    let paused = GOES.replace("going", "paused");
    stand.on("GET /v2/deployments", 200, &paused);
    let outcome = deploy(&stand, &[]).await;
    assert_eq!(outcome.exit.code(), 5);
    assert!(outcome.error.contains("stayer deployment resume d1"), "{}", outcome.error);
}

#[tokio::test]
async fn the_longest_wait_ends_with_5_and_without_a_server_with_1() {
    let stand = Stand::start().await;
    stand.on("PUT /v2/apps/a", 200, RESULT).on("GET /v2/apps/a", 200, &app(0, 1));
    stand.on("GET /v2/deployments", 200, GOES);
    let outcome = deploy(&stand, &["--timeout", "1s"]).await;
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::TimedOut, 5), "{outcome:?}");
    assert!(outcome.error.contains("stayer deployment cancel d1"), "{}", outcome.error);
    let away = Stand::start().await;
    away.on("PUT /v2/apps/a", 200, RESULT);
    away.on("GET /v2/deployments", 503, r#"{"message":"not leading"}"#);
    let outcome = deploy(&away, &["--timeout", "1"]).await;
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Unreachable, 1), "{outcome:?}");
    let asking = outcome.error.matches("asking again").count();
    assert_eq!(asking, 1, "said once: {}", outcome.error);
}

#[tokio::test]
async fn a_server_that_is_away_meanwhile_is_waited_for_and_one_without_history_is_looked_at() {
    let stand = Stand::start().await;
    stand.on("PUT /v2/apps/a", 200, RESULT);
    stand.on("GET /v2/deployments", 503, r#"{"message":"not leading"}"#);
    stand.on("GET /v2/deployments", 200, "[]").on("GET /v2/apps/a", 200, &app(1, 1));
    let outcome = deploy(&stand, &[]).await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    let idle = Stand::start().await;
    idle.on("PUT /v2/apps/a", 200, RESULT).on("GET /v2/apps/a", 200, &app(0, 1));
    idle.on("GET /v2/deployments", 200, "[]");
    let outcome = deploy(&idle, &[]).await;
    assert_eq!(outcome.exit, Exit::NotRunning, "{outcome:?}");
}

#[tokio::test]
async fn of_several_servers_the_one_that_leads_is_asked() {
    let follower = Stand::start().await;
    follower.on("PUT /v2/apps/a", 503, r#"{"message":"another server leads"}"#);
    let leader = Stand::start().await;
    leader.on("PUT /v2/apps/a", 200, RESULT);
    let servers = format!("http://127.0.0.1:1,{},{}", follower.url(), leader.url());
    let line = ["deploy", "-", "--no-wait", "--server", &servers];
    let outcome = super::stand::run(&line, FILE).await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    assert_eq!((follower.asked().len(), leader.asked().len()), (1, 1));
}

#[tokio::test]
async fn a_junit_file_is_written_whatever_comes_of_it() {
    let stand = taken().await;
    stand.on("GET /v2/apps/a", 200, &app(0, 1));
    stand.on("GET /v2/deployments/history", 200, &over("d1", "failed", ""));
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("junit.xml").display().to_string();
    assert_eq!(deploy(&stand, &["--junit", &file]).await.exit, Exit::NotRunning);
    let written = std::fs::read_to_string(&file).expect("it was written");
    assert!(written.contains("<testcase classname=\"stayer.deploy\" name=\"/a\""), "{written}");
    let nowhere = deploy(&stand, &["--junit", "/nonexistent/junit.xml"]).await;
    assert_eq!(nowhere.exit, Exit::Failed, "{nowhere:?}");
}

#[tokio::test]
async fn a_plan_is_shown_and_a_refusal_is_2() {
    let stand = Stand::start().await;
    let plan = r#"{"apps":[{"id":"/a","change":"none","instances":{}}],"changes":false}"#;
    stand.on("PUT /v2/apps/a", 200, plan);
    let outcome = stand.run_with(&["plan", "-"], FILE).await;
    assert_eq!(
        (outcome.exit, outcome.output.as_str()),
        (Exit::Done, "  /a stays as it is\n\nnothing changes\n")
    );
    assert_eq!(stand.asked()[0], format!("PUT /v2/apps/a?force=false&dryRun=true {FILE}"));
    let json = stand.run_with(&["plan", "-", "--output", "json"], FILE).await;
    assert_eq!(json.output, format!("{plan}\n"));
    let broken = Stand::start().await;
    broken.on("POST /v2/apps", 400, r#"{"message":"Invalid JSON","details":"offset 1"}"#);
    let outcome = broken.run_with(&["plan", "-"], "{").await;
    assert_eq!(
        (outcome.exit, outcome.error.as_str()),
        (Exit::Refused, "error: Invalid JSON\n  offset 1\n")
    );
}

#[tokio::test]
async fn a_plan_that_a_lock_refuses_says_what_force_would_come_to() {
    let stand = Stand::start().await;
    stand.on("PUT /v2/apps/a", 409, r#"{"message":"App is locked","deployments":[{"id":"d9"}]}"#);
    let plan = r#"{"apps":[{"id":"/a","change":"restart","instances":{}}],"cancels":["d9"]}"#;
    stand.on("PUT /v2/apps/a", 200, plan);
    let outcome = stand.run_with(&["plan", "-"], FILE).await;
    assert_eq!(outcome.exit, Exit::Refused, "{outcome:?}");
    assert!(outcome.output.contains("! cancels the running deployment d9"), "{}", outcome.output);
    assert!(outcome.error.contains("held by deployment d9"), "{}", outcome.error);
}

#[tokio::test]
async fn a_rollback_goes_to_the_newest_version_that_was_something_else_and_did_not_fail() {
    let stand = Stand::start().await;
    let current =
        r#"{"app":{"id":"/a","cmd":"now","instances":4,"version":"v5","tasksRunning":4}}"#;
    stand.on("GET /v2/apps/a", 200, current).on("GET /v2/apps/a", 200, &app(4, 4));
    stand.on("GET /v2/apps/a/versions", 200, r#"{"versions":["v5","v4","v3","v2"]}"#);
    // v4 only scaled, v3 failed.
    stand.on(
        "GET /v2/apps/a/versions/v4",
        200,
        r#"{"id":"/a","cmd":"now","instances":1,"version":"v4"}"#,
    );
    stand.on(
        "GET /v2/apps/a/versions/v2",
        200,
        r#"{"id":"/a","cmd":"good","instances":1,"version":"v2"}"#,
    );
    stand.on(
        "GET /v2/deployments/history",
        200,
        r#"[{"id":"d0","version":"v3","outcome":"rolledBack"}]"#,
    );
    stand.on("PUT /v2/apps/a", 200, RESULT).on("GET /v2/deployments", 200, "[]");
    let outcome = stand.run(&["rollback", "a"]).await;
    assert_eq!(outcome.exit, Exit::Done, "{outcome:?}");
    assert!(outcome.error.starts_with("/a: back to version v2\n"), "{}", outcome.error);
    let put =
        r#"PUT /v2/apps/a?partialUpdate=false&force=false {"cmd":"good","id":"/a","instances":4}"#;
    assert!(stand.asked().contains(&put.to_owned()), "{:?}", stand.asked());
}

#[tokio::test]
async fn without_an_earlier_version_there_is_nothing_to_go_back_to() {
    let stand = Stand::start().await;
    stand.on("GET /v2/apps/a", 200, r#"{"app":{"id":"/a","cmd":"now","version":"v1"}}"#);
    stand.on("GET /v2/apps/a/versions", 200, r#"{"versions":["v1"]}"#);
    let outcome = stand.run(&["rollback", "/a"]).await;
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::Refused, 2));
    assert!(outcome.error.contains("no earlier version"), "{}", outcome.error);
    assert_eq!(stand.run(&["rollback", "/none"]).await.exit, Exit::Refused);
    assert_eq!(stand.run(&["rollback", "/a", "--to", "v0"]).await.exit, Exit::Refused);
}

#[tokio::test]
async fn a_strategy_is_asked_of_the_server_and_followed() {
    let stand = Stand::start().await;
    let deploy = |state: &str, more: &str| {
        format!(
            r#"{{"id":"p1","app":"/a","strategy":"canary","state":"{state}","step":1,"steps":[{{"at":"5%"}},{{"at":"100%"}}],
                "new":{{"app":"/a-green","instances":1,"healthy":1}}{more}}}"#
        )
    };
    stand.on("POST /v2/deploys", 201, &deploy("growing", ""));
    stand.on("GET /v2/deploys/p1", 200, &deploy("holding", ""));
    let cause = r#","cause":{"kind":"analysis","text":"the query gave 0.04"}"#;
    stand.on("GET /v2/deploys/p1", 200, &deploy("rolledBack", cause));
    let line = [
        "deploy",
        "-",
        "--strategy",
        "canary",
        "--steps",
        "5%,100%",
        "--hold",
        "1m",
        "--analysis",
        "prometheus=http://p query=errors max=0.01",
        "--on-failure",
        "rollback",
    ];
    let outcome = stand.run_with(&line, FILE).await;
    assert_eq!((outcome.exit, outcome.exit.code()), (Exit::RolledBack, 3), "{outcome:?}");
    for said in [
        "holding, step 1 of 2: /a-green 1 of 1 healthy",
        "cause: the query gave 0.04",
        "(deploy p1)",
    ] {
        assert!(outcome.error.contains(said), "{said}: {}", outcome.error);
    }
    let body = r#"{"analysis":{"max":0.01,"prometheus":"http://p","query":"errors"},"app":{"cmd":"x","id":"a"},"hold":60,"onFailure":"rollback","steps":["5%","100%"],"strategy":"canary"}"#;
    assert_eq!(stand.asked()[0], format!("POST /v2/deploys?force=false {body}"));
    let paused = Stand::start().await;
    paused.on("POST /v2/deploys", 201, &deploy("growing", ""));
    paused.on("GET /v2/deploys/p1", 200, &deploy("paused", ""));
    let outcome = paused.run_with(&["deploy", "-", "--strategy", "blue-green"], FILE).await;
    assert_eq!(outcome.exit.code(), 5, "{outcome:?}");
    assert!(outcome.error.contains("POST /v2/deploys/p1/promote"), "{}", outcome.error);
    let list = paused.run_with(&["deploy", "-", "--strategy", "canary"], "[]").await;
    assert_eq!(list.exit, Exit::Usage);
    let alone = paused.run_with(&["deploy", "-", "--hold", "1m"], FILE).await;
    assert_eq!(alone.exit, Exit::Usage, "a hold needs a strategy");
}
