//! One container beside the engine alone: what we add to create and start.

use std::time::Duration;

use hyper::Method;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::cli::bench::Bench;
use crate::cli::bench::child::Server;
use crate::cli::bench::figures::{remove, until, until_running};
use crate::cli::bench::host::Stopwatch;
use crate::cli::bench::http::Http;
use crate::cli::bench::measure::{Goal, Outcome, Ratio, Round};
use crate::cli::failure::Failure;

/// The version of the engine's API that is spoken here.
pub const API: &str = "/v1.41";

/// One start, and one replacement of a container that is killed, beside create and start.
pub async fn both(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let mut engine = Http::unix(&bench.engine).await?;
    let server = Server::start(&bench.scratch, &["--resources", "cpus:64;mem:4096"]).await?;
    let mut http = server.connect().await?;
    let (mut starts, mut kills) = (Vec::new(), Vec::new());
    // The first container of a server waits for what no later one waits for.
    start(&mut http, "first", &bench.image).await?;
    remove(&mut http, "first").await?;
    for round in 0..bench.rounds(15) {
        let anchor = create_and_start(&mut engine, &bench.image).await?;
        let id = format!("container-{round}");
        starts.push(Round { anchor, ours: start(&mut http, &id, &bench.image).await? });
        let anchor = create_and_start(&mut engine, &bench.image).await?;
        kills.push(Round { anchor, ours: replace(&mut http, &mut engine, &id).await? });
        remove(&mut http, &id).await?;
    }
    server.stop().await?;
    let how = (Ratio::OursToAnchor, "create + start");
    let start = ("container-start", "one container, host network, POST → running ÷ create + start");
    let kill = ("container-replace", "container killed → replacement running ÷ create + start");
    Ok(vec![
        Outcome::ratio(start, "ms", &starts, how, Goal::AtMost(1.1)),
        Outcome::ratio(kill, "ms", &kills, how, Goal::AtMost(1.3)),
    ])
}

/// An app with an image, on the host's network; it is launched again at once.
pub fn app(id: &str, image: &str, instances: u32) -> Value {
    json!({
        "id": id, "cmd": "exec sleep 1000", "instances": instances, "cpus": 0.01, "mem": 16,
        "portDefinitions": [], "backoffSeconds": 0, "networks": [{"mode": "host"}],
        "container": {"type": "DOCKER", "docker": {"image": image}},
    })
}

async fn start(http: &mut Http, id: &str, image: &str) -> Result<f64, Failure> {
    let watch = Stopwatch::start();
    http.post("/v2/apps", &app(id, image, 1)).await?;
    until_running(http, id, 1).await?;
    Ok(watch.millis())
}

/// Kills the only container of an app; until another one runs, in milliseconds.
async fn replace(http: &mut Http, engine: &mut Http, id: &str) -> Result<f64, Failure> {
    let tasks = format!("/v2/apps/{id}/tasks");
    let old = http.get(&tasks).await?.json()?["tasks"][0]["id"].clone();
    let pid = pid_of(engine, id).await?;
    let watch = Stopwatch::start();
    kill(Pid::from_raw(pid), Signal::SIGKILL)
        .map_err(|error| Failure::Failed(format!("a container cannot be killed: {error}")))?;
    let replaced = |answer: &Value| {
        let task = &answer["tasks"][0];
        task["id"].is_string() && task["id"] != old && task["state"] == "TASK_RUNNING"
    };
    until(http, &tasks, Duration::from_micros(200), replaced).await?;
    Ok(watch.millis())
}

/// The process of a running container of an app.
pub async fn pid_of(engine: &mut Http, id: &str) -> Result<i32, Failure> {
    let filter = format!("%7B%22label%22%3A%5B%22stayer.app%3D%2F{id}%22%5D%7D");
    let list = engine.get(&format!("{API}/containers/json?filters={filter}")).await?.json()?;
    let container = list[0]["Id"].as_str().unwrap_or_default();
    let shown = engine.get(&format!("{API}/containers/{container}/json")).await?.json()?;
    let pid = shown["State"]["Pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    pid.filter(|pid| *pid > 1)
        .ok_or_else(|| Failure::Failed(format!("the engine shows no process of {id}")))
}

/// The same container made through the engine's API and removed again; until it is started, in milliseconds.
async fn create_and_start(engine: &mut Http, image: &str) -> Result<f64, Failure> {
    let body = json!({
        "Image": image, "Cmd": ["/bin/sh", "-c", "exec sleep 1000"],
        "HostConfig": {"NetworkMode": "host", "Init": true, "Memory": 16_777_216, "CpuShares": 10},
    });
    let watch = Stopwatch::start();
    let made = engine.post(&format!("{API}/containers/create"), &body).await?.json()?;
    let id = made["Id"].as_str().unwrap_or_default().to_owned();
    let path = format!("{API}/containers/{id}");
    let started = engine.send(Method::POST, &format!("{path}/start"), None).await?.good();
    let millis = watch.millis();
    engine.delete(&format!("{path}?force=true")).await?;
    started.map(|_| millis)
}
