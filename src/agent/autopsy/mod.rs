//! Taking the evidence of a life that failed, and keeping it on this host.
//!
//! Evidence is taken once, right when the life fails and before anything of it is removed (`mind::exam` says when), and is
//! then a file: it outlives the sandbox, the version, the deployment and the agent's process, and costs neither rows nor
//! memory of the server. Who wants to read it asks the agent, as for logs.
//!
//! - [`window`]: the end of an output.
//! - [`fit`]: all of it within its size, saying what was cut.
//! - [`keep`]: which files stay, a function; [`archive`]: the files.

pub mod archive;
pub mod fit;
pub mod keep;
pub mod window;

#[cfg(test)]
mod tests;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt;
use tokio::sync::{Semaphore, watch};

use crate::agent::autopsy::archive::Archive;
use crate::agent::autopsy::keep::Filed;
use crate::agent::autopsy::window::Window;
use crate::agent::clock::Clock;
use crate::agent::docker::late::LateDocker;
use crate::agent::logs::{self, Tail};
use crate::agent::mind::Hand;
use crate::agent::process::ProcessRuntime;
use crate::agent::runtime::{LogStream, SandboxId};
use crate::model::evidence::{Evidence, MAX_BYTES, Output};

/// When many die at once, so many are looked at at a time.
const AT_ONCE: usize = 8;

/// What is left of a life is waited for so long, its turn included; less than a mind waits for evidence.
const REMAINS: Duration = Duration::from_secs(20);

/// Takes evidence.
pub struct Coroner {
    process: ProcessRuntime,
    docker: Option<Arc<LateDocker>>,
    archive: Arc<Archive>,
    clock: Clock,
    room: Semaphore,
}

// === impl Coroner ===

impl Coroner {
    /// One for what these run, filing into `archive`.
    pub fn new(
        process: ProcessRuntime,
        docker: Option<Arc<LateDocker>>,
        archive: Arc<Archive>,
        clock: Clock,
    ) -> Coroner {
        Coroner { process, docker, archive, clock, room: Semaphore::new(AT_ONCE) }
    }

    /// Adds what is left of a life to what is known of it, and files that. What an earlier process of this agent has filed
    /// stays: it knew more.
    pub async fn examine(&self, hand: Hand, mut evidence: Evidence) {
        let id = SandboxId { instance: evidence.instance, incarnation: evidence.incarnation };
        if self.archive.has(id) {
            return;
        }
        // What the mind knows is kept in any case, also where a host or an engine does not answer.
        let remains = self.add_remains(hand, id, &mut evidence);
        if tokio::time::timeout(REMAINS, remains).await.is_err() {
            let late = Some(format!("no answer within {} s", REMAINS.as_secs()));
            for output in [&mut evidence.stdout, &mut evidence.stderr] {
                if output.lines.is_empty() && output.unread.is_none() {
                    output.unread.clone_from(&late);
                }
            }
        }
        let filed = Filed { app: evidence.app, at: evidence.at, bytes: 0 };
        let (archive, now) = (Arc::clone(&self.archive), self.clock.now());
        let done = tokio::task::spawn_blocking(move || {
            archive.file(id, filed, &fit::encode(evidence), now)
        });
        if let Err(error) = done.await.unwrap_or_else(|error| Err(io::Error::other(error))) {
            tracing::warn!(sandbox = %id, %error, "the evidence of a failure cannot be kept");
        }
    }

    /// Adds what the host or the engine still has of a life.
    async fn add_remains(&self, hand: Hand, id: SandboxId, evidence: &mut Evidence) {
        let Ok(_turn) = self.room.acquire().await else { return };
        match (hand, &self.docker) {
            (Hand::Process, _) => {
                let dir = self.process.sandbox(id);
                evidence.stdout = written(dir.clone(), LogStream::Stdout).await;
                evidence.stderr = written(dir, LogStream::Stderr).await;
            }
            (Hand::Docker, Some(docker)) => match docker.remains(id).await {
                Ok(remains) => {
                    evidence.image = remains.image;
                    evidence.stdout = remains.stdout;
                    evidence.stderr = remains.stderr;
                }
                Err(error) => {
                    evidence.stdout.unread = Some(error.to_string());
                    evidence.stderr.unread = Some(error.to_string());
                }
            },
            (Hand::Docker, None) => {}
        }
    }
}

/// The end of an output of a process. Of one that never ran there is none.
async fn written(dir: PathBuf, stream: LogStream) -> Output {
    let (_over, ended) = watch::channel(true);
    let tail = Some(Tail::Bytes(MAX_BYTES as u64 + 1));
    let mut pieces = std::pin::pin!(logs::read(dir, stream, tail, false, ended));
    let mut window = Window::default();
    loop {
        match pieces.try_next().await {
            Ok(Some(piece)) => window.push(&piece),
            Ok(None) => return window.output(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return window.output(),
            Err(error) => return Output { unread: Some(error.to_string()), ..window.output() },
        }
    }
}
