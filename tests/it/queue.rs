//! What waits to be launched, for how long, and how the wait is cut short.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::rig::{Stayer, sleeper, slow};

/// When each life of the crashing app began, by its own clock.
fn births(stayer: &Stayer) -> Vec<f64> {
    let text = std::fs::read_to_string(stayer.dir().join("births")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn crashing(stayer: &Stayer, id: &str, fields: Value) -> Value {
    let births = stayer.dir().join("births");
    let mut app =
        sleeper(id, json!({"cmd": format!("date +%s.%N >> {}; exit 1", births.display())}));
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    app.as_object_mut().expect("an object").extend(fields);
    app
}

async fn item(stayer: &Stayer, id: &str) -> Option<Value> {
    let queue = stayer.get("/v2/queue").await.expect(200).json();
    queue["queue"].as_array()?.iter().find(|item| item["app"]["id"] == id).cloned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_delays_of_a_crash_loop_grow_by_the_factor() {
    // BO-3, BO-8: 1, 1.15, 1.3225 and so on.
    let stayer = Stayer::bare().await;
    let fields = json!({"backoffSeconds": 1, "backoffFactor": 1.15});
    stayer.launch(&crashing(&stayer, "/crash", fields)).await;
    stayer.until("it has crashed five times", |stayer| async { births(stayer).len() >= 5 }).await;
    let births = births(&stayer);
    let delays: Vec<f64> = births.windows(2).take(4).map(|two| two[1] - two[0]).collect();
    for (delay, least) in delays.iter().zip([1.0, 1.15, 1.322, 1.52]) {
        // Never too early; late by what a busy machine takes.
        assert!(*delay >= least - 0.02 && *delay < least + 10.0, "{least} of {delays:?}");
    }
    // When it is over it is overdue for a moment.
    let wait = async |stayer| {
        item(stayer, "/crash").await.filter(|item| item["delay"]["overdue"] == false)
    };
    let shown = stayer.wait("it waits for its next life", wait).await;
    assert!(shown["delay"]["timeLeftSeconds"].is_u64(), "{shown}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_is_visible_explained_and_can_be_reset() {
    // BO-7, BO-9.
    let stayer = Stayer::bare().await;
    stayer.launch(&crashing(&stayer, "/crash", json!({"backoffSeconds": 100}))).await;
    let shown = stayer
        .wait("it waits for a while", async |stayer| {
            item(stayer, "/crash")
                .await
                .filter(|item| item["delay"]["timeLeftSeconds"].as_u64() > Some(0))
        })
        .await;
    assert!(shown["delay"]["timeLeftSeconds"].as_u64() < Some(100), "{shown}");
    assert_eq!((&shown["count"], &shown["delay"]["overdue"]), (&json!(1), &json!(false)));
    let told = stayer.get("/v2/apps/crash/explain").await.expect(200).json();
    assert!(told["delayedUntil"].is_string() && told["waiting"] == 1, "{told}");
    assert_eq!(births(&stayer).len(), 1);
    let began = Instant::now();
    stayer.delete("/v2/queue/crash/delay").await.expect(204);
    stayer.until("it is launched again", |stayer| async { births(stayer).len() == 2 }).await;
    assert!(began.elapsed() < slow(Duration::from_secs(30)), "{:?}", began.elapsed());
    stayer.delete("/v2/queue/none/delay").await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_definition_begins_without_the_delay_and_the_delay_outlives_the_server() {
    // BO-2.
    let mut stayer = Stayer::bare().await;
    stayer.launch(&crashing(&stayer, "/crash", json!({"backoffSeconds": 100}))).await;
    stayer
        .until("it waits for a while", |stayer| async {
            item(stayer, "/crash")
                .await
                .is_some_and(|item| item["delay"]["timeLeftSeconds"].as_u64() > Some(0))
        })
        .await;
    stayer.kill();
    stayer.restart().await;
    let shown = stayer.wait("it still waits", async |it| item(it, "/crash").await).await;
    assert!(shown["delay"]["timeLeftSeconds"].as_u64() > Some(0), "{shown}");
    assert_eq!(births(&stayer).len(), 1);
    stayer.put("/v2/apps/crash?force=true", &json!({"cmd": "exec sleep 1000"})).await.expect(200);
    stayer.running("/crash", 1).await;
    assert_eq!(item(&stayer, "/crash").await, None);
    stayer.finish().await;
}
