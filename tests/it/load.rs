//! A client that balances requests over tasks by itself, and counts those that fail.
//!
//! It asks for all tasks ten times a second, as a balancer does, and sends each request to the next healthy one on a
//! connection of its own, without a second try. It aims at loopback alone.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::rig::Stayer;
use crate::web::is_healthy;

/// Requests in a second.
const RATE: u64 = 500;
/// Between two looks at the tasks.
const POLL: Duration = Duration::from_millis(100);

/// Requests as they go on.
pub struct Load {
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    over: AtomicBool,
    answered: AtomicU64,
    backends: Mutex<Vec<u16>>,
    lost: Mutex<Vec<String>>,
}

// === impl Load ===

impl Load {
    /// Begins to send, to tasks of apps whose id begins so. There is a healthy one already.
    pub async fn begin(stayer: &Stayer, prefix: &'static str) -> Load {
        let shared = Arc::new(Shared::default());
        let url = format!("{}/v2/apps?embed=apps.tasks", stayer.url);
        shared.look(&client(), &url, prefix).await;
        let balancing = tokio::spawn({
            let shared = shared.clone();
            async move {
                let client = client();
                let mut tick = interval(POLL);
                tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !shared.over.load(Ordering::Relaxed) {
                    tick.tick().await;
                    shared.look(&client, &url, prefix).await;
                }
            }
        });
        let sending = tokio::spawn(send(shared.clone()));
        Load { shared, tasks: vec![balancing, sending] }
    }

    /// How many were answered so far.
    pub fn answered(&self) -> u64 {
        self.shared.answered.load(Ordering::Relaxed)
    }

    /// Nothing was lost so far.
    pub fn has_lost_nothing(&self, meanwhile: &str) {
        let lost = self.shared.lost.lock().expect("not poisoned");
        let answered = self.answered();
        assert!(lost.is_empty(), "{meanwhile}: {} of {answered} requests: {lost:#?}", lost.len());
    }

    /// Ends with the last answer. Nothing was lost; gives how many requests were answered.
    pub async fn end(mut self) -> u64 {
        self.shared.over.store(true, Ordering::Relaxed);
        for task in std::mem::take(&mut self.tasks) {
            task.await.expect("it does not panic");
        }
        self.has_lost_nothing("the last requests");
        self.answered()
    }
}

// === impl Shared ===

impl Shared {
    /// Looks which tasks are healthy. While the server is away it goes on with what it knows.
    async fn look(&self, client: &Client, url: &str, prefix: &str) {
        let Ok(answer) = client.get(url).send().await else { return };
        let Ok(all) = answer.json::<Value>().await else { return };
        let apps = all["apps"].as_array().cloned().unwrap_or_default();
        let ours =
            apps.iter().filter(|app| app["id"].as_str().is_some_and(|id| id.starts_with(prefix)));
        let tasks = ours.flat_map(|app| app["tasks"].as_array().cloned().unwrap_or_default());
        let healthy = tasks.filter(is_healthy);
        let ports = healthy.filter_map(|task| u16::try_from(task["ports"][0].as_u64()?).ok());
        *self.backends.lock().expect("not poisoned") = ports.collect();
    }

    async fn request(&self, client: &Client, number: u64) {
        let port = {
            let backends = self.backends.lock().expect("not poisoned");
            let place = usize::try_from(number).expect("few").checked_rem(backends.len());
            place.map(|place| backends[place])
        };
        let Some(port) = port else {
            return self.lose(format!("request {number}: no task is healthy"));
        };
        match client.get(format!("http://127.0.0.1:{port}/")).send().await {
            Ok(answer) if answer.status().is_success() => match answer.bytes().await {
                Ok(_) => {
                    self.answered.fetch_add(1, Ordering::Relaxed);
                }
                Err(error) => self.lose(format!("request {number} to {port}: {error:?}")),
            },
            Ok(answer) => self.lose(format!("request {number} to {port}: {}", answer.status())),
            Err(error) => self.lose(format!("request {number} to {port}: {error:?}")),
        }
    }

    fn lose(&self, what: String) {
        self.lost.lock().expect("not poisoned").push(what);
    }
}

async fn send(shared: Arc<Shared>) {
    let client = client();
    let mut tick = interval(Duration::from_micros(1_000_000 / RATE));
    // A machine that was busy sends what it has missed at once: the rate is a mean.
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut open = tokio::task::JoinSet::new();
    for number in 0.. {
        tick.tick().await;
        if shared.over.load(Ordering::Relaxed) {
            break;
        }
        while open.try_join_next().is_some() {}
        let (shared, client) = (shared.clone(), client.clone());
        open.spawn(async move { shared.request(&client, number).await });
    }
    open.join_all().await;
}

/// Each request has a connection of its own.
fn client() -> Client {
    let timeout = *crate::rig::PATIENCE;
    Client::builder().pool_max_idle_per_host(0).timeout(timeout).build().expect("a client")
}
