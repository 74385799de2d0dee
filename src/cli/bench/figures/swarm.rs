//! Thirty containers and a rolling update of them, beside a Docker Swarm service on the same engine.
//!
//! A swarm that is not there is begun for this on loopback, and left at the end; one that is there is refused, since it
//! is somebody's.

use std::time::Duration;

use hyper::Method;
use serde_json::{Value, json};

use crate::cli::bench::Bench;
use crate::cli::bench::child::Server;
use crate::cli::bench::figures::container::{API, app};
use crate::cli::bench::figures::{remove, until, until_running};
use crate::cli::bench::host::Stopwatch;
use crate::cli::bench::http::Http;
use crate::cli::bench::measure::{Goal, Outcome, Ratio, Round};
use crate::cli::failure::Failure;

/// Containers.
const MANY: u32 = 30;
/// At a time.
const BATCH: u32 = 10;
/// Between two looks at either.
const PAUSE: Duration = Duration::from_millis(20);

/// The service of a swarm under measurement.
struct Service<'a> {
    engine: &'a mut Http,
    image: &'a str,
    id: String,
}

/// Scaling and the rolling update.
pub async fn both(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let mut engine = Http::unix(&bench.engine).await?;
    begin(&mut engine).await?;
    let measured = measure(bench, &mut engine).await;
    let left = engine.send(Method::POST, &format!("{API}/swarm/leave?force=true"), None).await;
    let (scale, update) = measured?;
    left?.good()?;
    let how = (Ratio::AnchorToOurs, "Swarm");
    let scale_what = ("scale-30", "1 → 30 containers, a Swarm service's time ÷ ours");
    let update_what = ("update-30", "rolling update of 30, 10 at a time, Swarm's time ÷ ours");
    Ok(vec![
        Outcome::ratio(scale_what, "s", &scale, how, Goal::AtLeast(2.5)),
        Outcome::ratio(update_what, "s", &update, how, Goal::AtLeast(3.0)),
    ])
}

async fn begin(engine: &mut Http) -> Result<(), Failure> {
    let info = engine.get(&format!("{API}/info")).await?.json()?;
    if info["Swarm"]["LocalNodeState"] != "inactive" {
        return Err(Failure::Failed(
            "the engine is in a swarm already; it is left alone".to_owned(),
        ));
    }
    let begin = json!({"ListenAddr": "127.0.0.1:2377", "AdvertiseAddr": "127.0.0.1"});
    engine.post(&format!("{API}/swarm/init"), &begin).await.map(drop)
}

async fn measure(bench: &Bench, engine: &mut Http) -> Result<(Vec<Round>, Vec<Round>), Failure> {
    let server = Server::start(&bench.scratch, &["--resources", "cpus:64;mem:4096"]).await?;
    let mut http = server.connect().await?;
    let (mut scale, mut update) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(5) {
        let mut service = Service::create(engine, &bench.image).await?;
        let anchor = service.scale().await?;
        let rolled = service.roll().await?;
        service.remove().await?;
        let id = format!("thirty-{round}");
        let ours = scale_ours(&mut http, &id, &bench.image).await?;
        scale.push(Round { anchor, ours });
        update.push(Round { anchor: rolled, ours: roll_ours(&mut http, &id).await? });
        remove(&mut http, &id).await?;
    }
    server.stop().await?;
    Ok((scale, update))
}

async fn scale_ours(http: &mut Http, id: &str, image: &str) -> Result<f64, Failure> {
    let mut one = app(id, image, 1);
    // Ten are away at a time, and none is there beyond thirty: what Swarm's parallelism of ten does.
    one["upgradeStrategy"] = json!({"minimumHealthCapacity": 2.0 / 3.0, "maximumOverCapacity": 0});
    http.post("/v2/apps", &one).await?;
    until_running(http, id, 1).await?;
    let watch = Stopwatch::start();
    http.put(&format!("/v2/apps/{id}"), &json!({"instances": MANY})).await?;
    until_running(http, id, u64::from(MANY)).await?;
    let seconds = watch.seconds();
    no_deployments(http).await?;
    Ok(seconds)
}

async fn roll_ours(http: &mut Http, id: &str) -> Result<f64, Failure> {
    let watch = Stopwatch::start();
    http.put(&format!("/v2/apps/{id}"), &json!({"env": {"GENERATION": "2"}})).await?;
    no_deployments(http).await?;
    Ok(watch.seconds())
}

async fn no_deployments(http: &mut Http) -> Result<(), Failure> {
    let over = |answer: &Value| answer.as_array().is_some_and(Vec::is_empty);
    until(http, "/v2/deployments", PAUSE, over).await
}

// === impl Service ===

impl Service<'_> {
    async fn create<'a>(engine: &'a mut Http, image: &'a str) -> Result<Service<'a>, Failure> {
        let mut service = Service { engine, image, id: String::new() };
        let path = format!("{API}/services/create");
        let made = service.engine.post(&path, &service.spec(1, 0)).await?.json()?;
        made["ID"].as_str().unwrap_or_default().clone_into(&mut service.id);
        service.until_running(1, 0).await?;
        Ok(service)
    }

    async fn scale(&mut self) -> Result<f64, Failure> {
        let watch = Stopwatch::start();
        self.update(MANY, 0).await?;
        self.until_running(MANY, 0).await?;
        Ok(watch.seconds())
    }

    /// The rolling update is over when all run as the new definition says.
    async fn roll(&mut self) -> Result<f64, Failure> {
        let watch = Stopwatch::start();
        self.update(MANY, 1).await?;
        self.until_running(MANY, 1).await?;
        Ok(watch.seconds())
    }

    async fn remove(self) -> Result<(), Failure> {
        let filter = "%7B%22label%22%3A%5B%22com.docker.swarm.service.name%3Dstayer-bench%22%5D%7D";
        self.engine.delete(&format!("{API}/services/{}", self.id)).await?;
        let path = format!("{API}/containers/json?all=true&filters={filter}");
        let gone = |answer: &Value| answer.as_array().is_some_and(Vec::is_empty);
        until(self.engine, &path, PAUSE, gone).await
    }

    async fn update(&mut self, replicas: u32, generation: u32) -> Result<(), Failure> {
        let shown = self.engine.get(&format!("{API}/services/{}", self.id)).await?.json()?;
        let version = &shown["Version"]["Index"];
        let path = format!("{API}/services/{}/update?version={version}", self.id);
        self.engine.post(&path, &self.spec(replicas, generation)).await.map(drop)
    }

    async fn until_running(&mut self, count: u32, generation: u32) -> Result<(), Failure> {
        let filter = "%7B%22service%22%3A%5B%22stayer-bench%22%5D%2C%22desired-state%22%3A%5B%22running%22%5D%7D";
        let wanted = format!("GENERATION={generation}");
        let all_run = |answer: &Value| {
            let runs = |task: &&Value| {
                let env = &task["Spec"]["ContainerSpec"]["Env"];
                task["Status"]["State"] == "running" && env[0] == wanted.as_str()
            };
            let running = answer.as_array().map_or(0, |tasks| tasks.iter().filter(runs).count());
            running == count as usize
        };
        until(self.engine, &format!("{API}/tasks?filters={filter}"), PAUSE, all_run).await
    }

    fn spec(&self, replicas: u32, generation: u32) -> Value {
        json!({
            "Name": "stayer-bench",
            "TaskTemplate": {
                "ContainerSpec": {
                    "Image": self.image, "Command": ["/bin/sh", "-c", "exec sleep 1000"],
                    "Env": [format!("GENERATION={generation}")], "Init": true,
                    "StopGracePeriod": 5_000_000_000_u64,
                },
                "Networks": [{"Target": "host"}],
                "RestartPolicy": {"Condition": "any", "Delay": 0},
            },
            "Mode": {"Replicated": {"Replicas": replicas}},
            "UpdateConfig": {"Parallelism": BATCH, "Delay": 0, "Monitor": 0, "Order": "stop-first"},
        })
    }
}
