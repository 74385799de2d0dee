//! Many apps and many tasks on simulated agents: real minds, links and sockets over hosts that are made up.
//!
//! The server is `stayer dev` as anybody runs it, but that its own agent offers nothing. The agents live in one process
//! beside it, on the same cores.

use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::bench::Bench;
use crate::cli::bench::child::{Helper, PATIENCE, Server};
use crate::cli::bench::etcd::Etcd;
use crate::cli::bench::figures::small_app;
use crate::cli::bench::host::{self, Stopwatch};
use crate::cli::bench::http::Http;
use crate::cli::bench::measure::{Goal, Outcome, Spread};
use crate::cli::failure::Failure;

/// Apps of the first figure, and who posts them.
const APPS: usize = 10_000;
const CLIENTS: usize = 100;

/// Between two looks: while more than this share is missing, and then.
const FAR: f64 = 0.2;
const SELDOM: Duration = Duration::from_millis(200);
const OFTEN: Duration = Duration::from_millis(25);

/// What one task asks for: a hundred fill a simulated host.
const CPUS: f64 = 0.6;

/// A server with agents that do not exist.
pub struct Fleet {
    /// The server.
    pub server: Server,
    /// The agents.
    pub agents: Helper,
    /// A connection to the server.
    pub http: Http,
    /// Where its log is, if it is there.
    etcd: Option<Etcd>,
}

/// Where the server's log is.
#[derive(Clone, Copy)]
enum Log {
    /// In a file.
    Embedded,
    /// In an etcd of its own.
    Etcd,
}

/// The processor time that a round took, in seconds of a core.
#[derive(Clone, Copy)]
struct Cores {
    server: f64,
    agents: f64,
}

/// 10,000 apps of one task.
pub async fn apps(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let what = "10,000 apps posted by 100 clients → running on 100 agents (simulated)";
    apps_on(bench, Log::Embedded, ("apps-10000", what), 4.0).await
}

/// The same with the log on etcd.
pub async fn apps_on_etcd(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let what = "10,000 apps on etcd posted by 100 clients → running on 100 agents (simulated)";
    apps_on(bench, Log::Etcd, ("apps-10000-etcd", what), 8.0).await
}

/// 100,000 tasks, as 1,000 apps of 100 in one request.
pub async fn tasks(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let what = "100,000 tasks on 1,000 agents (simulated), durable, PUT → all running";
    tasks_on(bench, Log::Embedded, ("tasks-100000", what), 50_000.0).await
}

/// The same with the log on etcd.
pub async fn tasks_on_etcd(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let what = "100,000 tasks on 1,000 agents (simulated), durable on etcd, PUT → all running";
    tasks_on(bench, Log::Etcd, ("tasks-100000-etcd", what), 25_000.0).await
}

async fn apps_on(
    bench: &Bench,
    log: Log,
    said_as: (&'static str, &str),
    goal: f64,
) -> Result<Vec<Outcome>, Failure> {
    let (mut seconds, mut posts, mut cores) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(5) {
        let mut fleet = Fleet::start_on(bench, log, 100).await?;
        let before = fleet.cores()?;
        let watch = Stopwatch::start();
        fleet.post_all().await?;
        posts.push(watch.seconds());
        fleet.until_running(APPS).await?;
        seconds.push(watch.seconds());
        cores.push(fleet.cores()?.since(before));
        fleet.stop().await?;
    }
    let outcome = Outcome::absolute(said_as, "s", seconds, Goal::AtMost(goal));
    let posts = format!("the last POST was answered after {:.2} s", Spread::of(posts).median);
    Ok(vec![outcome.with_note(posts).with_note(said(&cores))])
}

async fn tasks_on(
    bench: &Bench,
    log: Log,
    said_as: (&'static str, &str),
    goal: f64,
) -> Result<Vec<Outcome>, Failure> {
    let (mut rates, mut cores) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(5) {
        let mut fleet = Fleet::start_on(bench, log, 1_000).await?;
        let before = fleet.cores()?;
        rates.push(fleet.run(1_000, 100).await?);
        cores.push(fleet.cores()?.since(before));
        fleet.stop().await?;
    }
    let outcome = Outcome::absolute(said_as, "tasks/s", rates, Goal::AtLeast(goal));
    Ok(vec![outcome.with_note(said(&cores))])
}

/// An app of which a simulated host takes a hundred tasks.
fn app(id: &str, instances: u32) -> Value {
    let mut app = small_app(id, instances);
    app["cpus"] = json!(CPUS);
    app
}

fn said(cores: &[Cores]) -> String {
    let median = |of: fn(&Cores) -> f64| Spread::of(cores.iter().map(of).collect()).median;
    let (server, agents) = (median(|cores| cores.server), median(|cores| cores.agents));
    format!("processor time: server {server:.2} s, all agents together {agents:.2} s")
}

// === impl Cores ===

impl Cores {
    fn since(self, before: Cores) -> Cores {
        Cores { server: self.server - before.server, agents: self.agents - before.agents }
    }
}

// === impl Fleet ===

impl Fleet {
    /// A server with so many agents, all heard.
    pub async fn start(bench: &Bench, count: u32) -> Result<Fleet, Failure> {
        Fleet::start_on(bench, Log::Embedded, count).await
    }

    async fn start_on(bench: &Bench, log: Log, count: u32) -> Result<Fleet, Failure> {
        let mut args = vec!["--no-engine", "--resources", "cpus:0;mem:0;disk:0"];
        let etcd = match log {
            Log::Embedded => None,
            Log::Etcd => Some(Box::pin(Etcd::start(&bench.scratch)).await?),
        };
        let store = etcd.as_ref().map(|etcd| etcd.store("fleet"));
        args.extend(store.iter().flat_map(|store| ["--store", store]));
        let server = Server::start(&bench.scratch, &args).await?;
        let agents = Helper::agents(&bench.scratch, &server, count)?;
        let http = server.connect().await?;
        let mut fleet = Fleet { server, agents, http, etcd };
        // The server's own agent is heard as well.
        fleet.until_metric("stayer_agents ", f64::from(count + 1)).await?;
        Ok(fleet)
    }

    /// Puts so many apps of so many tasks in one request; tasks a second until all run.
    pub async fn run(&mut self, apps: u32, each: u32) -> Result<f64, Failure> {
        let body: Vec<Value> =
            (0..apps).map(|number| app(&format!("app-{number}"), each)).collect();
        let body = Value::Array(body).to_string();
        let watch = Stopwatch::start();
        self.http.send_text(hyper::Method::PUT, "/v2/apps", body).await?.good()?;
        self.until_running((apps * each) as usize).await?;
        Ok(f64::from(apps * each) / watch.seconds())
    }

    /// Ends both. The tasks of a simulated host end with it.
    pub async fn stop(self) -> Result<(), Failure> {
        let Fleet { server, agents, http, etcd } = self;
        drop((agents, http));
        let stopped = server.stop().await;
        drop(etcd);
        stopped
    }

    fn cores(&self) -> Result<Cores, Failure> {
        let server = host::processor(self.server.pid()?)?;
        Ok(Cores { server, agents: host::processor(self.agents.pid()?)? })
    }

    async fn post_all(&self) -> Result<(), Failure> {
        let mut clients = tokio::task::JoinSet::new();
        for client in 0..CLIENTS {
            let mut http = self.server.connect().await?;
            clients.spawn(async move {
                for number in 0..APPS / CLIENTS {
                    let app = app(&format!("app-{client}-{number}"), 1);
                    http.post("/v2/apps", &app).await?;
                }
                Ok::<(), Failure>(())
            });
        }
        clients.join_all().await.into_iter().collect()
    }

    async fn until_running(&mut self, count: usize) -> Result<(), Failure> {
        #[expect(clippy::cast_precision_loss, reason = "a count of tasks")]
        let count = count as f64;
        self.until_metric("stayer_instances{condition=\"Running\"} ", count).await
    }

    /// Waits until a gauge has this value. The look costs the server what it has in instances, so it is not too often, and
    /// seldom while most is still to come.
    async fn until_metric(&mut self, gauge: &str, wanted: f64) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        while watch.seconds() < PATIENCE.as_secs_f64() {
            let answer = self.http.get("/metrics").await?;
            let text = String::from_utf8_lossy(&answer.body);
            let value = text.lines().find_map(|line| line.strip_prefix(gauge)?.parse::<f64>().ok());
            let missing = 1.0 - value.unwrap_or_default() / wanted;
            if missing <= 0.0 {
                return Ok(());
            }
            let pause = if missing > FAR { SELDOM } else { OFTEN };
            tokio::time::sleep(pause).await;
        }
        Err(Failure::TimedOut(format!("{gauge}does not reach {wanted}")))
    }
}
