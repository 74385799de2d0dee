//! A new definition under both kinds of strategy, watched while it goes on.

use std::cell::Cell;

use serde_json::{Value, json};

use crate::rig::{Stayer, sleeper};

/// The fewest tasks that ran, and the most that were there in any state but ended, until all ran the new definition.
pub async fn watched(stayer: &Stayer, id: &str, count: usize, change: &Value) -> (usize, usize) {
    let answer = stayer.put(&format!("/v2/apps{id}"), change).await.expect(200).json();
    let version = answer["version"].clone();
    let seen = Cell::new((usize::MAX, 0));
    stayer
        .wait("all run the new definition", async |stayer| {
            let tasks = stayer.all_tasks(id).await;
            let of = |states: &[&str]| {
                tasks
                    .iter()
                    .filter(|task| states.iter().any(|state| task["state"] == *state))
                    .count()
            };
            let running = of(&["TASK_RUNNING"]);
            let there = of(&["TASK_STAGING", "TASK_STARTING", "TASK_RUNNING", "TASK_KILLING"]);
            let (fewest, most) = seen.get();
            seen.set((running.min(fewest), there.max(most)));
            let new = tasks.iter().filter(|task| task["version"] == version).count();
            (new == count && running == count && there == count).then_some(())
        })
        .await;
    stayer.running(id, count).await;
    seen.get()
}

#[tokio::test(flavor = "multi_thread")]
async fn with_full_capacity_there_are_never_fewer_than_asked_for() {
    // RU-1 to RU-5: minimumHealthCapacity 1, maximumOverCapacity 1.
    let stayer = Stayer::bare().await;
    let strategy = json!({"minimumHealthCapacity": 1, "maximumOverCapacity": 1});
    stayer.launch(&sleeper("/app", json!({"instances": 4, "upgradeStrategy": strategy}))).await;
    stayer.running("/app", 4).await;
    let (fewest, most) = watched(&stayer, "/app", 4, &json!({"env": {"N": "2"}})).await;
    assert!(fewest >= 4, "{fewest} ran");
    assert!(most <= 8, "{most} were there");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_over_capacity_there_are_never_more_than_asked_for() {
    // minimumHealthCapacity 0, maximumOverCapacity 0: the old ones go first.
    let stayer = Stayer::bare().await;
    let strategy = json!({"minimumHealthCapacity": 0, "maximumOverCapacity": 0});
    // A slow end, so that too many would be seen.
    let cmd = "trap 'sleep 0.5; exit 0' TERM; echo up; while true; do sleep 0.05; done";
    let app = json!({"instances": 3, "cmd": cmd, "upgradeStrategy": strategy});
    stayer.launch(&sleeper("/app", app)).await;
    let tasks = stayer.running("/app", 3).await;
    stayer.says(&tasks, "up").await;
    let (fewest, most) = watched(&stayer, "/app", 3, &json!({"env": {"N": "2"}})).await;
    assert!(most <= 3, "{most} were there");
    assert!(fewest < 3, "{fewest} ran, so nothing was replaced");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_the_capacity_is_kept() {
    let stayer = Stayer::bare().await;
    let strategy = json!({"minimumHealthCapacity": 0.5, "maximumOverCapacity": 0});
    stayer.launch(&sleeper("/app", json!({"instances": 4, "upgradeStrategy": strategy}))).await;
    stayer.running("/app", 4).await;
    let (fewest, most) = watched(&stayer, "/app", 4, &json!({"env": {"N": "2"}})).await;
    assert!(fewest >= 2 && most <= 4, "{fewest} ran, {most} were there");
    stayer.finish().await;
}
