//! More and fewer instances, and which of them are kept.

use serde_json::{Value, json};

use crate::rig::{Stayer, ids, sleeper};

/// Ids in the order in which the tasks were started, oldest first.
fn by_age(mut tasks: Vec<Value>) -> Vec<String> {
    let started = |task: &Value| task["startedAt"].as_str().expect("it runs").to_owned();
    tasks.sort_by_key(started);
    tasks.iter().map(|task| task["id"].as_str().expect("an id").to_owned()).collect()
}

async fn one_ten_three(stayer: &Stayer, id: &str, selection: &str) {
    let path = format!("/v2/apps{id}");
    stayer.launch(&sleeper(id, json!({"killSelection": selection}))).await;
    let first = ids(&stayer.running(id, 1).await);
    // One after another, so that all differ in age.
    for instances in [4, 7, 10] {
        stayer.put(&path, &json!({"instances": instances})).await.expect(200);
        stayer.running(id, instances).await;
    }
    let ten = by_age(stayer.running(id, 10).await);
    assert_eq!(ten[..1], first[..], "the first one is the oldest");
    stayer.put(&path, &json!({"instances": 3})).await.expect(200);
    let mut left = by_age(stayer.running(id, 3).await);
    // Of those that started together any may go, so whole batches are compared.
    let place = |task: &String| ten.iter().position(|one| one == task).expect("one of the ten");
    let batch = |task: &String| place(task).div_ceil(3);
    left.sort_by_key(batch);
    let batches: Vec<usize> = left.iter().map(batch).collect();
    match selection {
        "YOUNGEST_FIRST" => assert_eq!(batches, [0, 1, 1], "of {ten:?} are left {left:?}"),
        _ => assert_eq!(batches, [3, 3, 3], "of {ten:?} are left {left:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn from_one_to_ten_to_three_the_kill_selection_says_who_goes() {
    // DP-21, marathon-behaviour 2: kill selection by age.
    let stayer = Stayer::bare().await;
    one_ten_three(&stayer, "/young", "YOUNGEST_FIRST").await;
    one_ten_three(&stayer, "/old", "OLDEST_FIRST").await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn none_and_back() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/some", json!({"instances": 2}))).await;
    let before = ids(&stayer.running("/some", 2).await);
    stayer.put("/v2/apps/some", &json!({"instances": 0})).await.expect(200);
    stayer.running("/some", 0).await;
    assert_eq!(stayer.all_tasks("/some").await, Vec::<Value>::new());
    stayer.put("/v2/apps/some", &json!({"instances": 2})).await.expect(200);
    let after = ids(&stayer.running("/some", 2).await);
    assert!(after.iter().all(|task| !before.contains(task)), "{before:?} {after:?}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_waits_and_comes_once_there_is_room() {
    let stayer = Stayer::bare_with(&["--resources", "cpus:1;mem:100"]).await;
    stayer.launch(&sleeper("/big", json!({"mem": 60}))).await;
    stayer.running("/big", 1).await;
    stayer.launch(&sleeper("/next", json!({"mem": 60}))).await;
    let told = stayer
        .wait("explain says what is missing", async |stayer| {
            let told = stayer.get("/v2/apps/next/explain").await.json();
            told["agents"][0]["reasons"][0]["text"].as_str().map(str::to_owned)
        })
        .await;
    assert_eq!(told, "needs 60 MiB of memory, 40 of 100 free");
    let queue = stayer.get("/v2/queue?embed=lastUnusedOffers").await.json();
    let item = &queue["queue"][0];
    assert_eq!((&item["app"]["id"], &item["count"]), (&json!("/next"), &json!(1)));
    assert_eq!(item["lastUnusedOffers"][0]["reason"], json!(["InsufficientMemory"]));
    assert_eq!(item["lastUnusedOffers"][0]["details"], json!([told]));
    stayer.delete("/v2/apps/big").await.expect(200);
    stayer.running("/next", 1).await;
    stayer.finish().await;
}
