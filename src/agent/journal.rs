//! The logs of this host: of processes from their files, of containers from the engine; and the evidence of failures.

use std::sync::Arc;

use bytes::Bytes;
use futures::{Stream, StreamExt};
use tokio::sync::watch;

use crate::agent::autopsy::archive::Archive;
use crate::agent::clock::Clock;
use crate::agent::desk::LogReader;
use crate::agent::docker::late::LateDocker;
use crate::agent::logs::{self, Tail, file_name};
use crate::agent::process::ProcessRuntime;
use crate::agent::runtime::{LogStream, Runtime, RuntimeError, SandboxId};
use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::logs::{LogRequest, NoLog, Output};
use crate::wire::reverse::LogSink;

/// Reads what this host keeps of its tasks.
pub struct Journal {
    /// Has them in files.
    pub process: ProcessRuntime,
    /// Has them in the engine.
    pub docker: Option<Arc<LateDocker>>,
    /// Has the evidence.
    pub archive: Arc<Archive>,
    /// Says how old it is.
    pub clock: Clock,
}

// === impl Journal ===

impl LogReader for Journal {
    async fn read(&self, request: LogRequest, sink: LogSink) -> Result<(), NoLog> {
        let id = SandboxId { instance: request.instance, incarnation: request.incarnation };
        let stream = match request.output {
            Output::Stdout => LogStream::Stdout,
            Output::Stderr => LogStream::Stderr,
        };
        let dir = self.process.sandbox(id);
        if dir.join(file_name(stream)).exists() {
            let ended = watch_end(self.process.clone(), id);
            let tail = request.tail.map(Tail::Lines);
            let lines = logs::read(dir, stream, tail, request.follow, ended);
            tokio::spawn(pour(lines.map(|piece| piece.map_err(|error| error.to_string())), sink));
            return Ok(());
        }
        let docker = self.docker.as_ref().ok_or(NoLog::Unknown)?;
        let tail = request.tail.map(|lines| u32::try_from(lines).unwrap_or(u32::MAX));
        let lines =
            docker.logs(id, stream, tail, request.follow).await.map_err(|error| match error {
                RuntimeError::Refused(_) => NoLog::Unknown,
                RuntimeError::Unknown(why) => NoLog::Unable(why),
            })?;
        tokio::spawn(pour(lines.map(|piece| piece.map_err(|error| error.to_string())), sink));
        Ok(())
    }

    async fn autopsy(&self, request: AutopsyRequest) -> Result<Bytes, NoEvidence> {
        let id = SandboxId { instance: request.instance, incarnation: request.incarnation };
        let (archive, now) = (Arc::clone(&self.archive), self.clock.now());
        let read = tokio::task::spawn_blocking(move || archive.read(id, now)).await;
        let read = read.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let json = read.map_err(|error| NoEvidence::Unable(error.to_string()))?;
        json.map(Bytes::from).ok_or(NoEvidence::Unknown)
    }
}

/// Becomes true when the process has ended, also when it ended long ago.
fn watch_end(process: ProcessRuntime, id: SandboxId) -> watch::Receiver<bool> {
    let (sender, ended) = watch::channel(false);
    tokio::spawn(async move {
        tokio::select! {
            _ = process.ended(id) => {
                // The reader may have gone.
                let _gone = sender.send(true);
            }
            () = sender.closed() => {}
        }
    });
    ended
}

async fn pour(pieces: impl Stream<Item = Result<Bytes, String>> + Send, sink: LogSink) {
    let mut pieces = std::pin::pin!(pieces);
    loop {
        // A reader that is gone is noticed also while the task says nothing.
        let piece = tokio::select! {
            piece = pieces.next() => piece,
            () = sink.closed() => return,
        };
        let Some(piece) = piece else { return };
        match piece {
            Ok(piece) => {
                if sink.send(piece).await.is_err() {
                    return;
                }
            }
            Err(error) => return tracing::info!(%error, "a log broke off"),
        }
    }
}
