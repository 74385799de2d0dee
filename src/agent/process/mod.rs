//! Apps without an image: processes of the host, which outlive the agent that started them.
//!
//! Three things make up one of them, below the agent's data directory:
//!
//! - `records/<sandbox>.json`: whose it is and where (`record.rs`); written first, removed last.
//! - `sandboxes/<sandbox>/`: what the process sees; its making is the claim.
//! - `lives/<sandbox>`: the journal of its life (`life.rs`); made when all else is prepared, so its presence says that.
//!
//! So whenever the agent is killed, what is there says how far it came:
//!
//! | record | life | a holder in the life | it is |
//! |---|---|---|---|
//! | yes | no | | half made |
//! | yes | yes | no, and nobody has it locked | prepared |
//! | yes | yes | yes, and it runs | running: adopted |
//! | yes | yes | yes, and it does not run | ended, also when nobody watched |
//! | yes or no | says `removed` | | being removed: that is finished |
//!
//! Each process is held by a shell (`holder.rs`). Memory and processors are limited by control groups ([`cgroup`]); disk
//! is not limited. `sandboxes` and what lies above it must be open to other accounts (`x`) where apps name a `user`.
//! Linux 5.3 or newer is needed, for `pidfd`.

mod beside;
pub mod cgroup;
mod config;
mod exit;
mod holder;
mod life;
mod proc;
mod record;
mod sandbox;
mod sweep;
#[cfg(test)]
mod tests;
mod user;

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::agent::logs::{self, LogLimits};
use crate::agent::ports;
use crate::agent::process::cgroup::Limits;
pub use crate::agent::process::config::ProcessConfig;
use crate::agent::process::life::Life;
use crate::agent::process::proc::Holder;
use crate::agent::process::sandbox::{Shared, unknown, within};
use crate::agent::runtime::{Found, Launch, Progress, Running, Runtime, RuntimeError, SandboxId};
use crate::model::end::End;
use crate::model::time::Timestamp;

/// How often a request to end is repeated, a millisecond apart, to a shell that has no command yet.
const MOST_TERMS: u32 = 1_000;

/// Makes, starts, watches and ends processes. Cheap to copy.
#[derive(Clone)]
pub struct ProcessRuntime {
    shared: Arc<Shared>,
}

// === impl ProcessRuntime ===

impl ProcessRuntime {
    /// Opens the directories and finds out what the host allows.
    ///
    /// # Errors
    /// When the directories cannot be made.
    pub fn open(config: ProcessConfig) -> io::Result<ProcessRuntime> {
        let shared = Shared::open(config)?;
        Ok(ProcessRuntime { shared: Arc::new(shared) })
    }

    /// What the host lets us limit; for the line that an agent prints at its start.
    pub fn limits(&self) -> &Limits {
        self.shared.cgroups.limits()
    }

    /// Where the sandbox of a launch belongs.
    pub fn sandbox(&self, id: SandboxId) -> PathBuf {
        self.shared.sandboxes.join(id.to_string())
    }

    /// Keeps the outputs of all processes small; runs until it is dropped.
    pub async fn rotate_logs(&self, limits: LogLimits) {
        let shared = Arc::clone(&self.shared);
        let dirs = move || {
            let ids = shared.ledger.ids().unwrap_or_default();
            ids.into_iter().map(|id| shared.sandboxes.join(id.to_string())).collect()
        };
        logs::rotate_for_ever(dirs, limits).await;
    }
}

impl Runtime for ProcessRuntime {
    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        let shared = &self.shared;
        shared.forget_removed()?;
        let mut all = Vec::new();
        for id in shared.ledger.ids().map_err(unknown)? {
            match shared.ledger.load(id) {
                Ok(Some(record)) if record.agent == shared.agent => {
                    all.extend(shared.classify(id, record).await?);
                }
                Ok(_) => {}
                // Without its record nobody knows whose it is; it is left alone.
                Err(error) => tracing::warn!(sandbox = %id, %error, "unreadable record"),
            }
        }
        Ok(all)
    }

    async fn prepare(&self, launch: &Launch, progress: &Progress) -> Result<(), RuntimeError> {
        let shared = &self.shared;
        let account = holder::check(launch).map_err(RuntimeError::Refused)?;
        if shared.life(launch.id)?.is_some() {
            return Ok(());
        }
        shared.make_sandbox(launch)?;
        let artifacts = &launch.spec.container().fetch;
        shared
            .fetcher
            .fetch(artifacts, &launch.dir, progress)
            .await
            .map_err(RuntimeError::Refused)?;
        if let Some(account) = account {
            account.own(&launch.dir).map_err(unknown)?;
        }
        shared.ledger.life(launch.id).create().map_err(unknown)
    }

    async fn start(&self, launch: &Launch) -> Result<Running, RuntimeError> {
        ports::heed(self, launch).await?;
        let once = || {
            let (shared, owned) = (Arc::clone(&self.shared), launch.clone());
            blocking(move || shared.start(&owned))
        };
        within(launch.id, async {
            loop {
                if let Some(running) = once().await? {
                    return Ok(running);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }

    async fn ended(&self, id: SandboxId) -> Result<(Timestamp, End), RuntimeError> {
        let shared = &self.shared;
        let Some((record, life)) = shared.both(id)? else {
            return Err(RuntimeError::Unknown(format!("there is no sandbox {id}")));
        };
        if life.ended.is_none()
            && life.boot == shared.boot
            && let Some(holder) = life.holder
        {
            wait_for_end(holder).await.map_err(unknown)?;
        }
        shared.finish(id, &record).await
    }

    async fn terminate(&self, id: SandboxId) -> Result<(), RuntimeError> {
        let shared = &self.shared;
        match shared.both(id)? {
            Some((_, Life { holder: Some(holder), .. })) if shared.runs(id)? => {
                shared.ledger.life(id).ask(Signal::TERM.as_raw()).map_err(unknown)?;
                terminate(holder).await.map_err(unknown)
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn kill(&self, id: SandboxId) -> Result<(), RuntimeError> {
        let shared = &self.shared;
        match shared.both(id)? {
            Some((record, life)) if life.ended.is_none() && life.holder.is_some() => {
                if life.runs(&shared.boot).map_err(unknown)? {
                    shared.ledger.life(id).ask(Signal::KILL.as_raw()).map_err(unknown)?;
                }
                shared.sweep(id, &record, &life).await
            }
            Some(_) | None => Ok(()),
        }
    }

    async fn exec(
        &self,
        launch: &Launch,
        shell: &str,
        limit: Duration,
    ) -> Result<Option<i32>, RuntimeError> {
        let Some(record) = self.shared.ledger.load(launch.id).map_err(unknown)? else {
            return Err(RuntimeError::Unknown("there is no sandbox any more".to_owned()));
        };
        let mut groups = record.groups;
        groups.retain(|group| group.join("cgroup.procs").exists());
        beside::run(launch, &groups, shell, limit).await
    }

    async fn remove(&self, id: SandboxId) -> Result<(), RuntimeError> {
        let shared = &self.shared;
        let Some(record) = shared.ledger.load(id).map_err(unknown)? else {
            return shared.ledger.life(id).delete().map_err(unknown);
        };
        if shared.runs(id)? {
            return Err(RuntimeError::Unknown(format!("sandbox {id} still runs")));
        }
        if shared.life(id)?.is_some_and(|life| life.holder.is_some()) {
            shared.finish(id, &record).await?;
        }
        let shared = Arc::clone(shared);
        blocking(move || shared.remove(id, &record).map_err(unknown)).await
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(RuntimeError::Unknown(error.to_string())))
}

/// Asks a process group to end. A signal that comes before the command is there is taken by the shell, or by a copy of it
/// that is about to become the command, so it is sent until the command was there before it was sent.
async fn terminate(holder: Holder) -> io::Result<()> {
    for _ in 0..MOST_TERMS {
        let had_command = holder.has_command();
        // An error says that it has ended meanwhile.
        let _gone = kill_process_group(holder.pid, Signal::TERM);
        if had_command || !holder.runs()? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Ok(())
}

/// Waits until a process has ended, whoever its parent is.
async fn wait_for_end(holder: Holder) -> io::Result<()> {
    let process = match pidfd_open(holder.pid, PidfdFlags::NONBLOCK) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        opened => opened?,
    };
    // Only now is it certain that the descriptor is of that process and no later one.
    if holder.runs()? {
        readable(process)?.readable().await?.retain_ready();
    }
    Ok(())
}

#[expect(
    deprecated,
    reason = "the form that replaces it is unsafe; what that asks for, an owned descriptor keeps"
)]
fn readable(process: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(process, Interest::READABLE)
}
