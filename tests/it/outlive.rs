//! Tasks outlive the server that started them, whatever ended it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::proc;
use crate::rig::{PATIENCE, Stayer, ids, sleeper, slow};

/// A task that ends with `code` once a file is there.
fn gated(stayer: &Stayer, id: &str, code: u8) -> Value {
    let gate = gate(stayer);
    let cmd = format!("while [ ! -e {gate} ]; do sleep 0.05; done; rm {gate}; exit {code}");
    sleeper(id, json!({"cmd": cmd}))
}

fn gate(stayer: &Stayer) -> String {
    stayer.dir().join("gate").display().to_string()
}

fn began(tasks: &[Value]) -> Vec<String> {
    let mut began: Vec<String> =
        tasks.iter().map(|task| task["startedAt"].as_str().expect("it runs").to_owned()).collect();
    began.sort_unstable();
    began
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_and_started_again_finds_the_same_processes() {
    let mut stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 5}))).await;
    let before = stayer.running("/app", 5).await;
    let held = stayer.processes(&before, "sleep").await;
    assert!(held.len() >= 5, "{held:?}");
    stayer.kill();
    assert!(held.iter().all(|process| process.runs()), "they go on without a server");
    stayer.restart().await;
    let after = stayer.running("/app", 5).await;
    assert_eq!(ids(&after), ids(&before));
    assert_eq!(began(&after), began(&before));
    assert_eq!(stayer.processes(&after, "sleep").await, held, "the same processes, and no others");
    // They are still looked after.
    stayer.process(&after[0], "sleep").await.signal("KILL");
    let victim = after[0]["id"].clone();
    stayer
        .until("another one runs in its place", |stayer| {
            let victim = victim.clone();
            async move {
                let now = stayer.tasks("/app", "TASK_RUNNING").await;
                now.len() == 5 && now.iter().all(|task| task["id"] != victim)
            }
        })
        .await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_no_server_saw_is_told_afterwards_and_made_good_at_once() {
    let mut stayer = Stayer::bare().await;
    stayer.launch(&gated(&stayer, "/app", 7)).await;
    stayer.launch(&sleeper("/other", json!({}))).await;
    let task = stayer.running("/app", 1).await.remove(0);
    let other = ids(&stayer.running("/other", 1).await);
    let held = proc::of_task(&task);
    stayer.kill();
    std::fs::write(gate(&stayer), "").expect("a file");
    let waited = Instant::now();
    while held.iter().any(|process| process.runs()) {
        assert!(waited.elapsed() < *PATIENCE, "it does not end");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let again = Instant::now();
    stayer.restart().await;
    let now = stayer
        .wait("it is replaced", async |stayer| {
            let now = stayer.tasks("/app", "TASK_RUNNING").await;
            now.into_iter().find(|now| now["id"] != task["id"])
        })
        .await;
    // The goal is half a second.
    assert!(again.elapsed() < slow(Duration::from_secs(30)), "{:?}", again.elapsed());
    assert!(!proc::of_task(&now).is_empty());
    let app = stayer.get("/v2/apps/app?embed=app.lastTaskFailure").await.json();
    let failure = &app["app"]["lastTaskFailure"];
    assert_eq!(failure["message"], "Container exited with status 7");
    assert_eq!(failure["taskId"], task["id"]);
    assert_eq!(ids(&stayer.running("/other", 1).await), other);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_it_leaves_its_tasks_and_says_so() {
    let mut stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 2}))).await;
    let before = stayer.running("/app", 2).await;
    let held = stayer.processes(&before, "sleep").await;
    let ended = stayer.signal("INT").await;
    assert!(ended.success(), "{ended}");
    let said = stayer.said();
    assert!(said.contains("2 tasks go on running"), "{said}");
    assert!(said.contains("--data-dir") && said.contains("--stop-tasks"), "{said}");
    assert!(held.iter().all(|process| process.runs()));
    stayer.restart().await;
    let after = stayer.running("/app", 2).await;
    assert_eq!(stayer.processes(&after, "sleep").await, held);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_tasks_it_ends_them_and_the_next_start_launches_them_again() {
    let mut stayer = Stayer::bare_with(&["--stop-tasks"]).await;
    stayer.launch(&sleeper("/app", json!({"instances": 2}))).await;
    let before = stayer.running("/app", 2).await;
    let held = stayer.processes(&before, "sleep").await;
    let ended = stayer.signal("TERM").await;
    assert!(ended.success(), "{ended}");
    assert!(held.iter().all(|process| !process.runs()), "they are ended");
    let said = stayer.said();
    assert!(said.contains("2 tasks were stopped"), "{said}");
    stayer.restart().await;
    let after = stayer
        .wait("new ones run", async |stayer| {
            let now = stayer.tasks("/app", "TASK_RUNNING").await;
            (now.len() == 2 && ids(&now).iter().all(|id| !ids(&before).contains(id))).then_some(now)
        })
        .await;
    let new = stayer.processes(&after, "sleep").await;
    assert!(new.iter().all(|process| !held.contains(process)));
    // BO-4: ending them was not their fault, so nothing holds them back.
    assert_eq!(stayer.get("/v2/queue").await.json()["queue"], json!([]));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_goes_on_where_it_was_when_the_server_comes_back() {
    let mut stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 3}))).await;
    let old = ids(&stayer.running("/app", 3).await);
    stayer.put("/v2/apps/app", &json!({"env": {"N": "2"}})).await.expect(200);
    stayer.kill();
    stayer.restart().await;
    let new = ids(&stayer.running("/app", 3).await);
    assert!(new.iter().all(|task| !old.contains(task)), "{old:?} {new:?}");
    assert_eq!(stayer.app("/app").await["env"], json!({"N": "2"}));
    stayer.finish().await;
}
