//! Plain processes: how long from a POST until the API shows them running.

use crate::cli::bench::Bench;
use crate::cli::bench::child::Server;
use crate::cli::bench::figures::{remove, small_app, until_running};
use crate::cli::bench::host::{self, Stopwatch};
use crate::cli::bench::http::Http;
use crate::cli::bench::measure::{Goal, Outcome, Spread};
use crate::cli::failure::Failure;

/// Starts in a round.
const STARTS: usize = 20;
/// Tasks of one agent.
const MANY: u32 = 300;
/// What makes room for them.
const ROOM: &str = "cpus:64;mem:4096";

/// One process task, again and again.
pub async fn one(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let server = Server::start(&bench.scratch, &["--no-engine", "--resources", ROOM]).await?;
    let mut http = server.connect().await?;
    let mut medians = Vec::new();
    for round in 0..bench.rounds(6) {
        let mut starts = Vec::new();
        for number in 0..STARTS {
            starts.push(start(&mut http, &format!("one-{round}-{number}"), 1).await?);
        }
        medians.push(Spread::of(starts).median);
    }
    server.stop().await?;
    let what = "one process task, POST → seen running through the API";
    Ok(vec![Outcome::absolute(("process-start", what), "ms", medians, Goal::AtMost(5.0))])
}

/// Many at once.
pub async fn many(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let server = Server::start(&bench.scratch, &["--no-engine", "--resources", ROOM]).await?;
    let mut http = server.connect().await?;
    let (mut seconds, mut memory) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(5) {
        let id = format!("many-{round}");
        let watch = Stopwatch::start();
        http.post("/v2/apps", &small_app(&id, MANY)).await?;
        until_running(&mut http, &id, u64::from(MANY)).await?;
        seconds.push(watch.seconds());
        memory.push(host::resident(server.pid()?)?);
        remove(&mut http, &id).await?;
    }
    server.stop().await?;
    let time = ("processes-300", "300 process tasks of one app on one agent, POST → all running");
    let space = ("processes-300-memory", "resident memory of server and agent with them");
    Ok(vec![
        Outcome::absolute(time, "s", seconds, Goal::AtMost(0.5)),
        Outcome::absolute(space, "MiB", memory, Goal::AtMost(60.0)),
    ])
}

async fn start(http: &mut Http, id: &str, instances: u32) -> Result<f64, Failure> {
    let watch = Stopwatch::start();
    http.post("/v2/apps", &small_app(id, instances)).await?;
    until_running(http, id, u64::from(instances)).await?;
    let millis = watch.millis();
    remove(http, id).await?;
    Ok(millis)
}
