//! What agents cost that have nothing to do: ten thousand at their server, and one on a host with a hundred containers;
//! and how soon a dead one is back.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::cli::bench::Bench;
use crate::cli::bench::child::{HostAgent, Server};
use crate::cli::bench::figures::container::{app, pid_of};
use crate::cli::bench::figures::fleet::Fleet;
use crate::cli::bench::figures::{remove, until, until_running};
use crate::cli::bench::host;
use crate::cli::bench::http::Http;
use crate::cli::bench::measure::{Goal, Outcome};
use crate::cli::failure::Failure;

/// Simulated agents.
const AGENTS: u32 = 10_000;
/// Until what a start costs is over.
const SETTLE: Duration = Duration::from_secs(10);
/// How long each look takes.
const LOOK: Duration = Duration::from_secs(20);
/// Containers of an agent at rest, and of one that is killed.
const CONTAINERS: u32 = 100;
const MORE_CONTAINERS: u32 = 200;
/// Nothing but the agent under test offers anything.
const NO_HOST: [&str; 3] = ["--no-engine", "--resources", "cpus:0;mem:0;disk:0"];

/// What a process was seen to cost.
#[derive(Default)]
struct Seen {
    /// In MiB.
    memory: Vec<f64>,
    /// In hundredths of a core.
    share: Vec<f64>,
}

/// The server of many agents that have nothing to do.
pub async fn at_rest(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let fleet = Fleet::start(bench, AGENTS).await?;
    let Seen { memory, share } = watch(bench, fleet.server.pid()?).await?;
    fleet.stop().await?;
    let space = ("agents-10000-memory", "resident memory of a server with 10,000 agents at rest");
    let core = ("agents-10000-cpu", "share of a core that it uses (simulated agents)");
    Ok(vec![
        Outcome::absolute(space, "MiB", memory, Goal::AtMost(400.0)),
        Outcome::absolute(core, "%", share, Goal::AtMost(20.0)),
    ])
}

/// An agent with containers: at rest, then killed and started again.
pub async fn with_containers(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let mut engine = Http::unix(&bench.engine).await?;
    let server = Server::start(&bench.scratch, &NO_HOST).await?;
    let mut agent = HostAgent::start(&bench.scratch, &server)?;
    let mut http = server.connect().await?;
    http.post("/v2/apps", &app("many", &bench.image, CONTAINERS)).await?;
    until_running(&mut http, "many", u64::from(CONTAINERS)).await?;
    let Seen { memory, share } = watch(bench, agent.pid()?).await?;
    http.put("/v2/apps/many?force=true", &json!({"instances": MORE_CONTAINERS})).await?;
    until_running(&mut http, "many", u64::from(MORE_CONTAINERS)).await?;
    let mut returns = Vec::new();
    for _ in 0..bench.rounds(6) {
        agent.kill().await?;
        let pid = pid_of(&mut engine, "many").await?;
        kill(Pid::from_raw(pid), Signal::SIGKILL).map_err(failed)?;
        let start = host::Stopwatch::start();
        agent.start_again()?;
        let all = u64::from(MORE_CONTAINERS);
        let noticed = |answer: &Value| answer["app"]["tasksRunning"].as_u64() != Some(all);
        until(&mut http, "/v2/apps/many", Duration::from_millis(1), noticed).await?;
        returns.push(start.seconds());
        until_running(&mut http, "many", all).await?;
    }
    remove(&mut http, "many").await?;
    drop(agent);
    server.stop().await?;
    let space = ("agent-100-memory", "resident memory of an agent with 100 containers at rest");
    let core = ("agent-100-cpu", "share of a core that it uses");
    let back = ("agent-back", "agent killed, started → known what died of its 200 containers");
    Ok(vec![
        Outcome::absolute(space, "MiB", memory, Goal::AtMost(25.0)),
        Outcome::absolute(core, "%", share, Goal::AtMost(0.5)),
        Outcome::absolute(back, "s", returns, Goal::AtMost(2.0)),
    ])
}

/// Looks at a process that is left alone, after a while.
async fn watch(bench: &Bench, pid: u32) -> Result<Seen, Failure> {
    tokio::time::sleep(SETTLE).await;
    let mut seen = Seen::default();
    for _ in 0..bench.rounds(6) {
        let before = host::processor(pid)?;
        tokio::time::sleep(LOOK).await;
        seen.share.push((host::processor(pid)? - before) / LOOK.as_secs_f64() * 100.0);
        seen.memory.push(host::resident(pid)?);
    }
    Ok(seen)
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("a container cannot be killed: {error}"))
}
