//! The API of a server that leads, with what stands behind it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use futures::StreamExt;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::agent::runtime::LogStream;
use crate::api;
use crate::api::seams::{
    AgentAnswer, ApiConfig, Backends, Explanation, LogAnswer, LogBytes, LogError, LogRequest,
    LogSource,
};
use crate::cli::dev::DevArgs;
use crate::cli::failure::Failure;
use crate::contract::show::queue::Free;
use crate::control::fleet::listen;
use crate::control::leader::{Agents, Leader};
use crate::control::operator;
use crate::logic::index::Index;
use crate::logic::place::explain::{self, explain_with};
use crate::model::app::App;
use crate::model::time::Timestamp;
use crate::model::view::View;
use crate::wire::logs::{self, NoLog, Output};
use crate::wire::reverse::{CallError, Peer};

/// Starts the API on `listener` and the operator's socket beside the log. The future ends when both have ended.
///
/// # Errors
/// When the operator's socket cannot be made.
pub fn start(
    args: &DevArgs,
    leader: &Leader,
    listener: TcpListener,
    address: SocketAddr,
    server_dir: &Path,
    shutdown: &CancellationToken,
) -> Result<impl Future<Output = ()> + use<>, Failure> {
    let control = server_dir.join("control.sock");
    let operators = listen::bind(&control).map_err(|error| {
        Failure::Failed(format!("{} cannot be made: {error}", control.display()))
    })?;
    let config = ApiConfig {
        allow_hosts: args.allow_host.clone(),
        strict_json: args.strict_json,
        ..ApiConfig::new(address.to_string())
    };
    let clock = leader.clock;
    let backends = Backends {
        clock: Arc::new(move || clock.now()),
        logs: Arc::new(FleetLogs(leader.agents.clone())),
        explain: Arc::new(explain_apps),
        gauges: leader.gauges.clone(),
    };
    let router = api::router(leader.server.clone(), config, backends);
    let api = api::serve::serve(listener, router, shutdown.clone().cancelled_owned());
    let operators = serve_operators(operators, leader, shutdown.clone());
    Ok(async move {
        tokio::join!(api, operators);
    })
}

fn serve_operators(
    listener: UnixListener,
    leader: &Leader,
    shutdown: CancellationToken,
) -> impl Future<Output = ()> + use<> {
    operator::serve(listener, leader.server.clone(), shutdown)
}

/// Why each of some apps does not run: one index for all of them.
fn explain_apps(view: &View, apps: &[&App], now: Timestamp) -> Vec<Explanation> {
    let index = Index::build(&view.world);
    apps.iter().map(|app| told(view, explain_with(&view.world, &index, app, now))).collect()
}

fn told(view: &View, explanation: explain::Explanation) -> Explanation {
    let agents = explanation.agents.into_iter().map(|answer| {
        let ports = view.world.agents.get(&answer.agent).map(|agent| agent.inventory.ports.clone());
        AgentAnswer {
            agent: answer.agent,
            free: Free {
                cpus: answer.free.cpus,
                mem: answer.free.mem,
                disk: answer.free.disk,
                gpus: answer.free.gpus,
                ports: ports.unwrap_or_default(),
            },
            reasons: answer.reasons,
        }
    });
    Explanation {
        wanted: explanation.wanted,
        running: explanation.running,
        waiting: explanation.waiting,
        delayed_until: explanation.delayed_until,
        agents: agents.collect(),
        help: explanation.help,
    }
}

/// The output of tasks, from the agents that have it.
struct FleetLogs(Agents);

// === impl FleetLogs ===

impl LogSource for FleetLogs {
    fn open(&self, request: LogRequest) -> LogAnswer {
        let agents = self.0.clone();
        Box::pin(async move { open(&agents, request).await })
    }
}

async fn open(agents: &Agents, request: LogRequest) -> Result<LogBytes, LogError> {
    let peers = match request.agent {
        Some(agent) => agents.find(agent).await.into_iter().collect(),
        None => agents.all().await,
    };
    if peers.is_empty() {
        return Err(LogError::Away("it has no connection".to_owned()));
    }
    let wanted = logs::LogRequest {
        instance: request.instance,
        incarnation: request.incarnation,
        task: request.task,
        output: match request.stream {
            LogStream::Stdout => Output::Stdout,
            LogStream::Stderr => Output::Stderr,
        },
        follow: request.follow,
        tail: request.tail,
    };
    first_that_has(&peers, &wanted).await
}

async fn first_that_has(peers: &[Peer], wanted: &logs::LogRequest) -> Result<LogBytes, LogError> {
    let mut worst = LogError::Gone;
    for peer in peers {
        match peer.logs(wanted).await {
            Ok(bytes) => return Ok(Box::pin(bytes.map(|piece| piece.map_err(io::Error::other)))),
            Err(CallError::NoLog(NoLog::Unknown)) => {}
            Err(error) => worst = LogError::Away(error.to_string()),
        }
    }
    Err(worst)
}
