//! `stayer agent`, as a client.

use super::stand::Stand;
use crate::cli::failure::Exit;

fn agent(state: &str, drain: &str) -> String {
    format!(
        r#"{{"id":"a-1","hostname":"h1","state":"{state}","role":"*","version":"0.1.0",
        "attributes":{{"rack":"r1"}},"ports":["31000-32000"],
        "total":{{"cpus":4.0,"mem":1024.0,"disk":0.0,"gpus":0}},
        "used":{{"cpus":1.0,"mem":32.0,"disk":0.0,"gpus":0}},
        "free":{{"cpus":3.0,"mem":992.0,"disk":0.0,"gpus":0}},
        "lastHeard":"2021-01-01T00:00:00.000Z","tasks":1,"strays":0{drain}}}"#
    )
}

fn draining(left: u64) -> String {
    let drain = format!(
        r#","drain":{{"since":"2021-01-01T00:00:00.000Z","left":{left},"waitsFor":[
        {{"kind":"replacement","text":"its replacement is on its way","instances":{left}}}]}}"#
    );
    agent(if left > 0 { "draining" } else { "drained" }, &drain)
}

#[tokio::test]
async fn agents_are_a_table_and_a_held_brake_is_not_missed() {
    let stand = Stand::start().await;
    let body = format!(
        r#"{{"agents":[{}],"brake":{{"held":true,"text":"3 of 8 agents are lost"}}}}"#,
        draining(2)
    );
    stand.on("GET /v2/agents", 200, &body);
    let outcome = stand.run(&["agent", "list"]).await;
    let table = "\
HOSTNAME  STATE              TASKS  CPUS     MEM          GPUS  ROLE  HEARD                     ID
h1        draining (2 left)  1      1.0/4.0  32.0/1024.0  0/0   *     2021-01-01T00:00:00.000Z  a-1
";
    assert_eq!(outcome.output, table);
    assert!(outcome.error.contains("3 of 8 agents are lost"), "{}", outcome.error);
    assert!(outcome.error.contains("stayer agent release"), "{}", outcome.error);
}

#[tokio::test]
async fn a_drain_is_asked_for_with_its_deadline() {
    let stand = Stand::start().await;
    stand.on("POST /v2/agents/h1/drain", 200, &draining(2));
    let outcome = stand.run(&["agent", "drain", "h1", "--deadline", "30m"]).await;
    assert!(outcome.output.contains("2 instances are left"), "{outcome:?}");
    stand.run(&["agent", "drain", "h1", "--force"]).await;
    let asked = stand.asked();
    assert!(asked[0].contains(r#"{"deadlineSeconds":1800}"#), "{asked:?}");
    assert!(asked[1].contains(r#"{"deadlineSeconds":0}"#), "{asked:?}");
}

#[tokio::test]
async fn waiting_shows_progress_until_nothing_is_left() {
    let stand = Stand::start().await;
    stand.on("POST /v2/agents/h1/drain", 200, &draining(2));
    for left in [2, 2, 1, 0] {
        stand.on("GET /v2/agents/h1", 200, &draining(left));
    }
    let outcome = stand.run(&["agent", "drain", "h1", "--wait"]).await;
    assert_eq!(
        (outcome.exit, outcome.output.as_str()),
        (Exit::Done, "h1 is drained, nothing is on it\n")
    );
    let progress = "\
h1: 2 left
  2: its replacement is on its way
h1: 1 left
  1: its replacement is on its way
h1: 0 left
  0: its replacement is on its way
";
    assert_eq!(outcome.error, progress);
}

#[tokio::test]
async fn waiting_ends_when_the_drain_is_taken_back_or_takes_too_long() {
    let stand = Stand::start().await;
    stand.on("POST /v2/agents/h1/drain", 200, &draining(2));
    stand.on("GET /v2/agents/h1", 200, &draining(2)).on("GET /v2/agents/h1", 200, &agent("up", ""));
    assert_eq!(stand.run(&["agent", "drain", "h1", "--wait"]).await.exit, Exit::Failed);
    let slow = Stand::start().await;
    slow.on("POST /v2/agents/h1/drain", 200, &draining(2));
    slow.on("GET /v2/agents/h1", 200, &draining(2));
    let outcome = slow.run(&["agent", "drain", "h1", "--wait", "--timeout", "0"]).await;
    assert_eq!(outcome.exit, Exit::TimedOut);
}

#[tokio::test]
async fn the_other_verbs_say_what_they_did() {
    let stand = Stand::start().await;
    stand
        .on("GET /v2/agents/h1", 200, &agent("up", ""))
        .on("DELETE /v2/agents/h1/drain", 200, &agent("up", ""))
        .on("DELETE /v2/agents/h1", 204, "")
        .on("DELETE /v2/brake", 200, r#"{"held":false}"#);
    let shown = stand.run(&["agent", "show", "h1"]).await.output;
    assert!(shown.contains("attrs     rack:r1\n"), "{shown}");
    assert!(shown.contains("cpus      1.0 used, 3.0 free of 4.0\n"), "{shown}");
    assert_eq!(stand.run(&["agent", "undrain", "h1"]).await.output, "h1 takes work again\n");
    let forgotten = stand.run(&["agent", "forget", "h1"]).await.output;
    assert_eq!(forgotten, "h1 is forgotten, what it had is replaced\n");
    assert_eq!(stand.run(&["agent", "release"]).await.exit, Exit::Done);
}
