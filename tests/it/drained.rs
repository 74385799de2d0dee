//! No request is lost while tasks come and go (users.md U2): those who balance learn of an end before it begins.
//!
//! As often as `STAYER_DRAIN_ROUNDS` says, twice otherwise; `scripts/test-drain` runs it for long.

use std::time::Instant;

use serde_json::{Value, json};

use crate::load::Load;
use crate::rig::{Stayer, sleeper};
use crate::service;
use crate::web::is_healthy;

fn app(id: &str, instances: u32, version: &str) -> Value {
    let check = json!({"protocol": "HTTP", "path": "/", "gracePeriodSeconds": 60,
        "intervalSeconds": 1, "timeoutSeconds": 20, "maxConsecutiveFailures": 10});
    sleeper(
        id,
        json!({"cmd": service::cmd(), "instances": instances, "healthChecks": [check], "env": {"VERSION": version},
            "portDefinitions": [{"port": 0}], "upgradeStrategy": {"minimumHealthCapacity": 1, "maximumOverCapacity": 1}}),
    )
}

fn rounds() -> u32 {
    std::env::var("STAYER_DRAIN_ROUNDS")
        .map_or(2, |rounds| rounds.parse().expect("STAYER_DRAIN_ROUNDS is a number"))
}

/// So many tasks of the app are healthy, and nothing else of it is there.
async fn serving(stayer: &Stayer, id: &str, count: usize) {
    let all = async |stayer: &Stayer| {
        let tasks = stayer.all_tasks(id).await;
        (tasks.len() == count && tasks.iter().all(is_healthy)).then_some(())
    };
    stayer.wait(&format!("{id} has {count} healthy tasks"), all).await;
    stayer.at_rest().await;
}

/// Some requests more are answered than were until now.
async fn goes_on(stayer: &Stayer, load: &Load) {
    let before = load.answered();
    stayer.until("requests are answered", async |_| load.answered() > before + 100).await;
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::disallowed_macros, reason = "scripts/test-drain shows what it came to")]
async fn no_request_is_lost() {
    let stayer = Stayer::bare().await;
    stayer.launch(&app("/web-0", 2, "0")).await;
    serving(&stayer, "/web-0", 2).await;
    let (began, load) = (Instant::now(), Load::begin(&stayer, "/web").await);
    goes_on(&stayer, &load).await;
    for round in 1..=rounds() {
        let (old, new) = (format!("/web-{}", round - 1), format!("/web-{round}"));
        upgrade(&stayer, &old).await;
        load.has_lost_nothing(&format!("a rolling upgrade, round {round}"));
        blue_green(&stayer, &old, &new, &load).await;
        load.has_lost_nothing(&format!("blue and green, round {round}"));
        scale(&stayer, &new, &load).await;
        load.has_lost_nothing(&format!("a smaller app, round {round}"));
    }
    let answered = load.end().await;
    eprintln!("{} rounds, {answered} requests, none lost, {:?}", rounds(), began.elapsed());
    stayer.finish().await;
}

async fn upgrade(stayer: &Stayer, id: &str) {
    let change = json!({"env": {"VERSION": "1"}});
    stayer.put(&format!("/v2/apps{id}"), &change).await.expect(200);
    serving(stayer, id, 2).await;
}

async fn blue_green(stayer: &Stayer, old: &str, new: &str, load: &Load) {
    stayer.launch(&app(new, 2, "0")).await;
    serving(stayer, new, 2).await;
    goes_on(stayer, load).await;
    stayer.delete(&format!("/v2/apps{old}")).await.expect(200);
    stayer.at_rest().await;
}

async fn scale(stayer: &Stayer, id: &str, load: &Load) {
    for count in [4, 2] {
        stayer.put(&format!("/v2/apps{id}"), &json!({"instances": count})).await.expect(200);
        serving(stayer, id, count).await;
        goes_on(stayer, load).await;
    }
}

/// Without anybody who balances nothing waits; with somebody who never asks again it waits as long as the app says.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_balance_is_not_waited_for() {
    let stayer = Stayer::bare().await;
    let mut definition = app("/web", 1, "0");
    definition["drainSeconds"] = json!(60);
    stayer.launch(&definition).await;
    // Looked at through the app, as those do who follow a deployment: they do not balance.
    stayer
        .until("it is healthy", async |stayer| {
            stayer.get("/v2/apps/web").await.json()["app"]["tasksHealthy"] == 1
        })
        .await;
    let began = Instant::now();
    stayer.delete("/v2/apps/web").await.expect(200);
    stayer.at_rest().await;
    let waited = began.elapsed();
    assert!(waited.as_secs() < 60, "{waited:?}");
    stayer.finish().await;
}
