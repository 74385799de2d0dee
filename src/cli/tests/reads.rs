//! Verbs that change nothing.

use super::stand::Stand;
use crate::cli::failure::Exit;

const TASK: &str = "a_b.instance-0dcc1e4e-9f1a-11eb-8f5c-0242ac110002._app.1";

fn tasks() -> String {
    let task = format!(
        r#"{{"id":"{TASK}","appId":"/a/b","state":"TASK_RUNNING","host":"h1","ports":[31000,31001],
        "startedAt":"2021-01-01T00:00:01.000Z","version":"2021-01-01T00:00:00.000Z"}}"#
    );
    format!(
        r#"{{"tasks":[{task},{{"id":"z","appId":"/z","state":"TASK_STAGING","host":"h1","ports":[]}}]}}"#
    )
}

#[tokio::test]
async fn ps_lists_tasks_of_all_apps_or_of_one() {
    let stand = Stand::start().await;
    stand.on("GET /v2/tasks", 200, &tasks()).on("GET /v2/apps/a/b/tasks", 200, r#"{"tasks":[]}"#);
    let outcome = stand.run(&["ps"]).await;
    assert_eq!(outcome.exit, Exit::Done);
    let lines: Vec<Vec<&str>> =
        outcome.output.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "APP", "STATE", "HOST", "PORTS", "STARTED", "VERSION"]);
    let row = [TASK, "/a/b", "TASK_RUNNING", "h1", "31000,31001"];
    assert_eq!(lines[1][..5], row);
    assert_eq!(lines[2], ["z", "/z", "TASK_STAGING", "h1", "-", "-", "-"]);
    assert_eq!(stand.run(&["ps", "a/b"]).await.exit, Exit::Done);
    assert_eq!(stand.asked(), ["GET /v2/tasks", "GET /v2/apps/a/b/tasks"]);
}

#[tokio::test]
async fn json_is_the_servers_own_body() {
    let stand = Stand::start().await;
    stand.on("GET /v2/tasks", 200, r#"{"tasks": [ ]}"#);
    let outcome = stand.run(&["ps", "--output", "json"]).await;
    assert_eq!(outcome.output, "{\"tasks\": [ ]}\n");
}

#[tokio::test]
async fn app_list_is_a_table_by_id() {
    let stand = Stand::start().await;
    let apps = r#"{"apps":[
        {"id":"/b","instances":2,"tasksRunning":1,"cpus":0.1,"mem":32,"cmd":"sleep 9","version":"v"},
        {"id":"/a","instances":1,"tasksRunning":1,"cpus":1,"mem":64,"version":"w",
         "container":{"docker":{"image":"nginx"}}}]}"#;
    stand.on("GET /v2/apps", 200, apps);
    let outcome = stand.run(&["app", "list"]).await;
    let table = "\
ID  STATE    RUNNING  CPUS  MEM  VERSION  RUNS
/a  running  1/1      1     64   w        nginx
/b  waiting  1/2      0.1   32   v        sleep 9
";
    assert_eq!(outcome.output, table);
    assert_eq!(stand.asked(), ["GET /v2/apps?embed=apps.counts&embed=apps.deployments"]);
}

#[tokio::test]
async fn app_show_is_what_runs_and_the_definition() {
    let stand = Stand::start().await;
    let app = r#"{"app":{"id":"/a","cmd":"x","instances":2,"tasksRunning":1,
        "deployments":[{"id":"d1"}],"lastTaskFailure":{"state":"TASK_FAILED","host":"h",
        "timestamp":"2021-01-01T00:00:00.000Z","message":"exit 3","taskId":"t"}}}"#;
    stand.on("GET /v2/apps/a", 200, app).on("GET /v2/apps/a/versions/v1", 200, r#"{"id":"/a"}"#);
    let outcome = stand.run(&["app", "show", "a"]).await;
    let shown = "\
/a: 1 of 2 running
  last failure: TASK_FAILED on h at 2021-01-01T00:00:00.000Z: exit 3 (t)
  deployment d1 is running
{
  \"cmd\": \"x\",
  \"id\": \"/a\",
  \"instances\": 2
}
";
    assert_eq!(outcome.output, shown);
    let outcome = stand.run(&["app", "show", "a", "--app-version", "v1"]).await;
    assert_eq!(outcome.output, "{\n  \"id\": \"/a\"\n}\n");
}

#[tokio::test]
async fn logs_are_those_of_the_task_that_is_meant() {
    let stand = Stand::start().await;
    let logs = format!("GET /v2/tasks/{TASK}/logs");
    stand.on("GET /v2/tasks", 200, &tasks()).on(&logs, 200, "one\ntwo");
    let outcome = stand.run(&["logs", TASK]).await;
    assert_eq!((outcome.exit, outcome.output.as_str()), (Exit::Done, "one\ntwo"));
    stand.run(&["logs", "a/b", "-f", "--stderr", "--tail", "5"]).await;
    let asked = [
        format!("{logs}?stream=stdout"),
        "GET /v2/tasks".to_owned(),
        format!("{logs}?stream=stderr&follow=true&tail=5"),
    ];
    assert_eq!(stand.asked(), asked);
    assert_eq!(stand.run(&["logs", "nothing-like-it"]).await.exit, Exit::Usage);
}

#[tokio::test]
async fn explain_says_what_each_agent_lacks() {
    let stand = Stand::start().await;
    let body = r#"{"app":"/a","instances":{"wanted":2,"running":1},"waiting":1,
        "verdict":"1 wait: none of 1 agents takes one more",
        "lastAttempt":{"waitingSince":"t0","at":"t1","agents":1,"refused":{"InsufficientCpus":1}},
        "launching":[{"task":"t.2","text":"Staging for 3.000 s"}],
        "lastEnd":{"task":"t.1","message":"Container exited with status 1","host":"h1","at":"t2"},
        "leftOut":[{"text":"zone=c, none of its 2 agents takes one more"}],
        "agents":[{"agent":"u","host":"h1","fits":false,
            "free":{"cpus":0.5,"mem":100,"disk":10,"gpus":0},
            "reasons":[{"kind":"cpus","text":"wants 2 cpus","marathon":"InsufficientCpus"},
                       {"kind":"mem","text":"wants 200 MiB","marathon":"InsufficientMemory"}]}],
        "help":["lower cpus to 0.5"]}"#;
    stand.on("GET /v2/apps/a/explain", 200, body);
    let outcome = stand.run(&["explain", "/a"]).await;
    let said = "\
/a: 1 of 2 running, 1 waiting
1 wait: none of 1 agents takes one more
waiting since t0, last tried at t1 on 1 agents; refused: InsufficientCpus 1
last end: Container exited with status 1, t.1 on h1 at t2
t.2: Staging for 3.000 s

HOST  FREE CPUS  MEM  DISK  GPUS  WHY NOT
h1    0.5        100  10    0     wants 2 cpus
h1                                wants 200 MiB
left out: zone=c, none of its 2 agents takes one more

what would help:
  lower cpus to 0.5
";
    assert_eq!(outcome.output, said);
}

#[tokio::test]
async fn deployments_are_listed_with_what_they_do() {
    let stand = Stand::start().await;
    let body = r#"[{"id":"d1","version":"v","currentStep":1,"totalSteps":2,"affectedApps":["/a"],
        "currentActions":[{"action":"ScaleApplication","app":"/a"}],"state":"going","failures":0},
        {"id":"d2","version":"w","currentStep":0,"totalSteps":1,"affectedApps":["/b"],"currentActions":[],
        "state":"paused","failures":3,"cause":{"kind":"overdue","message":"it was late","at":"t"}}]"#;
    stand.on("GET /v2/deployments", 200, body);
    let outcome = stand.run(&["deployment", "list"]).await;
    let table = "\
ID  STATE   STEP  DOES                 FAILED  WHY
d1  going   1/2   ScaleApplication /a  0       -
d2  paused  0/1   /b                   3       it was late
";
    assert_eq!(outcome.output, table);
}

#[tokio::test]
async fn what_became_of_deployments_is_listed() {
    let stand = Stand::start().await;
    let body = r#"[{"id":"d3","outcome":"done","reverts":"d2","endedAt":"t2","failures":0,
        "actions":[{"action":"RestartApplication","app":"/a"}]},
        {"id":"d2","outcome":"rolledBack","followedBy":"d3","endedAt":"t1","failures":4,
        "cause":{"kind":"tooManyFailures","message":"4 failed","at":"t1"},
        "actions":[{"action":"RestartApplication","app":"/a"}]}]"#;
    stand.on("GET /v2/deployments/history", 200, body);
    let outcome = stand.run(&["deployment", "history", "--app", "/a"]).await;
    let table = "\
ID  ENDED  OUTCOME             DID                    FAILED  WHY
d3  t2     done, took d2 back  RestartApplication /a  0       -
d2  t1     rolledBack          RestartApplication /a  4       4 failed
";
    assert_eq!(outcome.output, table);
}
