//! What a child process of the bench can be beside `stayer dev`: an anchor, or agents on hosts that do not exist.
//!
//! A simulated agent is the real mind, shell, desk and link over a real socket; only its host is made up.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use tokio::net::TcpListener;

use crate::agent::clock::Clock;
use crate::agent::desk::{Desk, LogReader};
use crate::agent::fake::{FakeHost, FakeRuntime};
use crate::agent::hands::Hands;
use crate::agent::identity::{Home, new_run};
use crate::agent::mind::{LaunchPlan, Limits};
use crate::agent::shell::{EnvOf, Launcher, Shell};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::contract::env::{TaskEnv, task_env};
use crate::model::agent::{Engine, Inventory, PortRange};
use crate::model::unit::{Cpus, Disk, Mem};
use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::dial::{Address, dial};
use crate::wire::logs::{LogRequest, NoLog};
use crate::wire::reverse::LogSink;

/// What each simulated host offers.
const CPUS: u64 = 64;
const MEM: u64 = 256 * 1_024;

/// Nothing that runs on a simulated host writes anything.
struct NoLogs;

impl LogReader for NoLogs {
    async fn read(&self, _: LogRequest, _: LogSink) -> Result<(), NoLog> {
        Err(NoLog::Unknown)
    }

    async fn autopsy(&self, _: AutopsyRequest) -> Result<Bytes, NoEvidence> {
        Err(NoEvidence::Unknown)
    }
}

/// Answers every GET with the bytes of a file, until standard input ends: what axum alone can do.
///
/// # Errors
/// When it cannot listen.
pub async fn anchor(file: &Path, console: &mut Console) -> Result<(), Failure> {
    let body = Bytes::from(std::fs::read(file).map_err(failed)?);
    let answer = move || {
        let body = body.clone();
        async move { ([(CONTENT_TYPE, "application/json")], body) }
    };
    let router = Router::new().route("/{*path}", get(answer));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    console.line(&listener.local_addr().map_err(failed)?.to_string())?;
    let serving = axum::serve(listener, router).with_graceful_shutdown(input_ends());
    serving.await.map_err(failed)
}

/// Is the agents of these numbers, until standard input ends.
///
/// # Errors
/// When an agent has no directory to live in.
pub async fn agents(numbers: Range<u32>, socket: PathBuf, dir: &Path) -> Result<(), Failure> {
    for number in numbers {
        agent(number, Address::Unix(socket.clone()), &dir.join(format!("agent-{number}")))?;
    }
    input_ends().await;
    Ok(())
}

fn agent(number: u32, server: Address, dir: &Path) -> Result<(), Failure> {
    let (home, identity) = Home::open(dir).map_err(failed)?;
    let clock = Clock::start();
    let (docker, process) = FakeRuntime::both(FakeHost::default(), clock);
    let hostname = format!("simulated-{number}");
    let launcher = Launcher {
        cluster: identity.cluster,
        agent: identity.id,
        sandboxes: dir.join("sandboxes"),
        env: environment(hostname.clone()),
        address: None,
    };
    let hands = Hands { docker: Some(docker), process };
    let (shell, ends) = Shell::new(hands, launcher, Limits::for_cpus(2), clock);
    let run = new_run().map_err(failed)?;
    let channels = (ends.words, ends.news);
    let desk = Desk::open((home, identity), run, inventory(hostname), clock, channels, NoLogs);
    tokio::spawn(shell.run());
    tokio::spawn(dial(server, Arc::new(desk)));
    Ok(())
}

fn inventory(hostname: String) -> Inventory {
    let engine =
        Engine { name: "simulated".to_owned(), version: "0".to_owned(), api: "1.41".to_owned() };
    Inventory {
        hostname,
        role: "*".to_owned(),
        cpus: Cpus::whole(CPUS),
        mem: Mem::whole(MEM),
        disk: Disk::whole(MEM),
        ports: vec![PortRange { first: 31_000, last: 32_000 }],
        engine: Some(engine),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..Inventory::default()
    }
}

/// As a real agent makes it.
fn environment(hostname: String) -> EnvOf {
    Box::new(move |plan: &LaunchPlan| {
        task_env(&TaskEnv {
            spec: &plan.spec,
            version: plan.spec_key.version,
            instance: plan.id.instance,
            incarnation: plan.id.incarnation,
            task: plan.spec.container().name.as_str(),
            ports: &plan.place.ports,
            hostname: &hostname,
            prefix: None,
        })
    })
}

async fn input_ends() {
    let input = || std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
    // An input that cannot be read has ended as well.
    let _ended = tokio::task::spawn_blocking(input).await;
}

fn failed(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(error.to_string())
}
