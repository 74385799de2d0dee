//! What a server costs that has nothing to do, with nothing and with 100,000 tasks, and how fast it starts with them.

use std::time::Duration;

use crate::cli::bench::Bench;
use crate::cli::bench::child::Server;
use crate::cli::bench::figures::fleet::Fleet;
use crate::cli::bench::host;
use crate::cli::bench::measure::{Goal, Outcome};
use crate::cli::failure::Failure;

/// Until what a start costs is over.
const SETTLE: Duration = Duration::from_secs(3);
/// How long each look takes.
const LOOK: Duration = Duration::from_secs(5);
/// Apps, and tasks of each.
const APPS: u32 = 10_000;
const EACH: u32 = 10;

/// Nothing to do, with the engine if there is one.
pub async fn idle(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let server = Server::start(&bench.scratch, &[]).await?;
    tokio::time::sleep(SETTLE).await;
    let (mut memory, mut share) = (Vec::new(), Vec::new());
    for _ in 0..bench.rounds(6) {
        let before = host::processor(server.pid()?)?;
        tokio::time::sleep(LOOK).await;
        let used = host::processor(server.pid()?)? - before;
        share.push(used / LOOK.as_secs_f64() * 100.0);
        memory.push(host::resident(server.pid()?)?);
    }
    server.stop().await?;
    let space = ("idle-memory", "resident memory of `stayer dev` with nothing to do");
    let core = ("idle-cpu", "share of a core that it uses");
    Ok(vec![
        Outcome::absolute(space, "MiB", memory, Goal::AtMost(20.0)),
        Outcome::absolute(core, "%", share, Goal::AtMost(0.5)),
    ])
}

/// 100,000 tasks: memory, then starts on the same log.
pub async fn full(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let mut fleet = Fleet::start(bench, 1_000).await?;
    fleet.run(APPS, EACH).await?;
    tokio::time::sleep(SETTLE).await;
    let memory = vec![host::resident(fleet.server.pid()?)?];
    let Fleet { mut server, agents, http, .. } = fleet;
    // Without agents that would begin to talk in the midst of a start.
    drop((agents, http));
    let mut starts = Vec::new();
    for _ in 0..bench.rounds(6) {
        let (next, millis) = server.restart().await?;
        starts.push(millis);
        server = next;
    }
    server.stop().await?;
    let space = ("tasks-100000-memory", "resident memory with 10,000 apps and 100,000 tasks");
    let time = ("start-100000", "start with 100,000 tasks in the log → first GET answered");
    Ok(vec![
        Outcome::absolute(space, "MiB", memory, Goal::AtMost(150.0)),
        Outcome::absolute(time, "ms", starts, Goal::AtMost(200.0)),
    ])
}
