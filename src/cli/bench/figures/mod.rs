//! The figures: what is measured, and against which goal. One file measures one thing.

mod agents;
mod container;
mod durable;
mod events;
mod fleet;
mod placement;
mod process;
mod reads;
mod rest;
mod swarm;

use std::time::Duration;

use clap::ValueEnum;
use hyper::Method;
use serde_json::{Value, json};

use crate::cli::bench::Bench;
use crate::cli::bench::child::PATIENCE;
use crate::cli::bench::host::Stopwatch;
use crate::cli::bench::http::Http;
use crate::cli::bench::measure::Outcome;
use crate::cli::failure::Failure;

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Figure {
    /// One process task, from POST to running
    ProcessStart,
    /// 300 process tasks on one agent
    Processes,
    /// One durable POST beside a bare append and fdatasync
    DurablePost,
    /// One durable POST on etcd beside a bare put
    DurablePostEtcd,
    /// GET of one app and of the list, with 10,000 apps
    Reads,
    /// 10,000 apps posted by 100 clients, on 100 simulated agents
    Apps,
    /// The same 10,000 apps with the log on etcd
    AppsEtcd,
    /// 100,000 tasks on 1,000 simulated agents
    Tasks,
    /// The same 100,000 tasks with the log on etcd
    TasksEtcd,
    /// Events to 1,000 consumers: how late, how many, and what those cost that do not read
    Events,
    /// Placement alone on 10,000 agents
    Placement,
    /// `stayer dev` with nothing to do
    Idle,
    /// 10,000 apps with 100,000 tasks: memory, and the time of a start
    Memory,
    /// 10,000 simulated agents with nothing to do
    Agents,
    /// An agent with 100 containers at rest, and one with 200 that is killed and comes back
    Agent,
    /// One container, and one that is killed, beside the engine alone
    Container,
    /// 30 containers, and a rolling update of them, beside a Docker Swarm service
    Swarm,
}

// === impl Figure ===

impl Figure {
    /// All of them.
    pub fn all() -> Vec<Figure> {
        Figure::value_variants().to_vec()
    }

    /// Its name, as it is typed.
    pub fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }

    /// Measures it.
    ///
    /// # Errors
    /// When it cannot be measured here.
    pub async fn measure(self, bench: &Bench) -> Result<Vec<Outcome>, Failure> {
        match self {
            Figure::ProcessStart => process::one(bench).await,
            Figure::Processes => process::many(bench).await,
            Figure::DurablePost => durable::post(bench).await,
            Figure::DurablePostEtcd => durable::post_on_etcd(bench).await,
            Figure::Reads => reads::both(bench).await,
            Figure::Apps => fleet::apps(bench).await,
            Figure::AppsEtcd => fleet::apps_on_etcd(bench).await,
            Figure::Tasks => fleet::tasks(bench).await,
            Figure::TasksEtcd => fleet::tasks_on_etcd(bench).await,
            Figure::Events => events::all(bench).await,
            Figure::Placement => placement::alone(bench),
            Figure::Idle => rest::idle(bench).await,
            Figure::Memory => rest::full(bench).await,
            Figure::Agents => agents::at_rest(bench).await,
            Figure::Agent => agents::with_containers(bench).await,
            Figure::Container => container::both(bench).await,
            Figure::Swarm => swarm::both(bench).await,
        }
    }
}

/// An app that needs next to nothing.
fn small_app(id: &str, instances: u32) -> Value {
    json!({
        "id": id, "cmd": "exec sleep 1000", "instances": instances,
        "cpus": 0.001, "mem": 1, "portDefinitions": [],
    })
}

/// Asks again and again until `seen` finds what it looks for in the answer.
async fn until(
    http: &mut Http,
    path: &str,
    pause: Duration,
    seen: impl Fn(&Value) -> bool,
) -> Result<(), Failure> {
    let watch = Stopwatch::start();
    loop {
        let answer = http.send(Method::GET, path, None).await?;
        if seen(&answer.json()?) {
            return Ok(());
        }
        if watch.seconds() > PATIENCE.as_secs_f64() {
            return Err(Failure::TimedOut(format!("{path} does not show what was waited for")));
        }
        tokio::time::sleep(pause).await;
    }
}

/// Waits until so many tasks of an app run.
async fn until_running(http: &mut Http, id: &str, count: u64) -> Result<(), Failure> {
    let running = |answer: &Value| answer["app"]["tasksRunning"].as_u64() == Some(count);
    until(http, &format!("/v2/apps/{id}"), Duration::from_micros(200), running).await
}

/// Removes an app and waits until nothing of it is left.
async fn remove(http: &mut Http, id: &str) -> Result<(), Failure> {
    http.delete(&format!("/v2/apps/{id}?force=true")).await?;
    let gone = |answer: &Value| answer["tasks"].as_array().is_some_and(Vec::is_empty);
    until(http, "/v2/tasks", Duration::from_millis(2), gone).await
}
