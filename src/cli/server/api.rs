//! The API of a server that leads, with what stands behind it.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;

use crate::agent::runtime::LogStream;
use crate::api;
use crate::api::seams::{
    ApiConfig, Backends, EvidenceAnswer, EvidenceError, EvidenceRequest, EvidenceSource, LogAnswer,
    LogBytes, LogError, LogRequest, LogSource,
};
use crate::cli::failure::Failure;
use crate::cli::server::ApiArgs;
use crate::control::fleet::listen;
use crate::control::leader::{Agents, Leader};
use crate::control::operator;
use crate::logic::draft::Limits;
use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::logs::{self, NoLog, Output};
use crate::wire::reverse::{CallError, Peer};

/// Starts the API on `listener` and the operator's socket beside the log. The future ends when both have ended.
///
/// # Errors
/// When the operator's socket cannot be made.
pub fn start(
    args: &ApiArgs,
    limits: Limits,
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
        limits,
        ..ApiConfig::new(address.to_string())
    };
    let clock = leader.clock;
    let backends = Backends {
        clock: Arc::new(move || clock.now()),
        logs: Arc::new(FleetLogs(leader.agents.clone())),
        evidence: Arc::new(FleetLogs(leader.agents.clone())),
        gauges: leader.gauges.clone(),
        signs: leader.signs.clone(),
    };
    let front = api::front(leader.server.clone(), config, backends);
    let api = api::serve::serve(listener, front, shutdown.clone().cancelled_owned());
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

/// The output of tasks, and the evidence of failures, from the agents that have it.
struct FleetLogs(Agents);

// === impl FleetLogs ===

impl LogSource for FleetLogs {
    fn open(&self, request: LogRequest) -> LogAnswer {
        let agents = self.0.clone();
        Box::pin(async move { open(&agents, request).await })
    }
}

impl EvidenceSource for FleetLogs {
    fn find(&self, request: EvidenceRequest) -> EvidenceAnswer {
        let agents = self.0.clone();
        Box::pin(async move { evidence(&agents, request).await })
    }
}

async fn evidence(agents: &Agents, request: EvidenceRequest) -> Result<Bytes, EvidenceError> {
    let EvidenceRequest { agent, instance, incarnation } = request;
    let away = || EvidenceError::Away("it has no connection".to_owned());
    let peer = agents.find(agent).await.ok_or_else(away)?;
    peer.autopsy(AutopsyRequest { instance, incarnation }).await.map_err(|error| match error {
        CallError::NoEvidence(NoEvidence::Unknown) => EvidenceError::None,
        error => EvidenceError::Away(error.to_string()),
    })
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
