//! What a container needs beside its engine: a sandbox directory with what was fetched, and a record on the host.
//!
//! The engine's labels are the ledger (house.md, invariant 7), but a container that somebody removes takes its labels
//! along. So a record says which lives were made and which of them may have been started: one that was started and that the
//! engine no longer knows is gone, never started again.
//!
//! | record | container | it is |
//! |---|---|---|
//! | made | none | half made |
//! | started | none | gone |
//! | any | there | what the engine says |

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::agent::policy;
use crate::agent::ports;
use crate::agent::runtime::{
    Found, FoundState, Launch, Progress, Running, Runtime, RuntimeError, SandboxId,
};
use crate::model::agent::Policy;
use crate::model::end::End;
use crate::model::have::SpecKey;
use crate::model::id::InstanceKey;
use crate::model::reason::Reason;
use crate::model::spec::Artifact;
use crate::model::time::Timestamp;

/// Brings artifacts into a sandbox. May be called again after any outcome.
pub trait Fetch: Send + Sync + 'static {
    /// Brings all of them.
    fn fetch(
        &self,
        artifacts: &[Artifact],
        dir: &Path,
        progress: &Progress,
    ) -> impl Future<Output = Result<(), Reason>> + Send;
}

/// A container engine with sandboxes on the host.
#[derive(Debug)]
pub struct Contained<D, F> {
    engine: D,
    fetch: F,
    policy: Policy,
    sandboxes: PathBuf,
    records: PathBuf,
}

/// What the host remembers of a life.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Record {
    key: InstanceKey,
    spec_key: SpecKey,
    /// A start may have been asked for.
    started: bool,
}

/// Whether an agent has containers of which not everything is gone. `data` is its directory.
///
/// # Errors
/// When the records cannot be listed.
pub fn has_records(data: &Path) -> io::Result<bool> {
    match fs::read_dir(records(data)) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn records(data: &Path) -> PathBuf {
    data.join("containers")
}

// === impl Contained ===

impl<D: Runtime, F: Fetch> Contained<D, F> {
    /// With sandboxes and records below `data`, the agent's directory.
    ///
    /// # Errors
    /// When the directories cannot be made.
    pub fn open(engine: D, fetch: F, policy: Policy, data: &Path) -> io::Result<Contained<D, F>> {
        let (sandboxes, records) = (data.join("sandboxes"), records(data));
        DirBuilder::new().recursive(true).mode(0o711).create(&sandboxes)?;
        DirBuilder::new().recursive(true).mode(0o700).create(&records)?;
        Ok(Contained { engine, fetch, policy, sandboxes, records })
    }

    /// The engine.
    pub fn engine(&self) -> &D {
        &self.engine
    }

    fn write(&self, launch: &Launch, started: bool) -> io::Result<()> {
        let Launch { id, key, spec_key, .. } = *launch;
        let text = serde_json::to_vec(&Record { key, spec_key, started })?;
        let new = self.records.join(format!("{id}.new"));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&text)?;
        fs::rename(new, self.record(id))
    }

    /// A record that cannot be read says nothing: its container, if any, is told by the engine.
    fn read(&self, id: SandboxId) -> Option<(Record, Timestamp)> {
        let path = self.record(id);
        let record = serde_json::from_slice(&fs::read(&path).ok()?).ok()?;
        let changed = fs::metadata(&path).ok()?.modified().ok()?;
        let millis = changed.duration_since(UNIX_EPOCH).ok()?.as_millis();
        Some((record, Timestamp::from_millis(i64::try_from(millis).ok()?)))
    }

    /// What the records know and `listed` lacks.
    fn lost(&self, listed: &[Found]) -> io::Result<Vec<Found>> {
        let mut lost = Vec::new();
        for entry in fs::read_dir(&self.records)? {
            let name = entry?.file_name();
            let Some(id) = name.to_str().and_then(SandboxId::parse) else { continue };
            let known = listed.iter().any(|found| found.id == id);
            let Some((record, at)) = self.read(id).filter(|_| !known) else { continue };
            let detail = "its container was removed".to_owned();
            let gone = FoundState::Exited { at, end: End::Gone(Reason::Vanished { detail }) };
            let state = if record.started { gone } else { FoundState::Partial };
            lost.push(Found { id, key: record.key, spec_key: record.spec_key, state });
        }
        Ok(lost)
    }

    fn record(&self, id: SandboxId) -> PathBuf {
        self.records.join(id.to_string())
    }
}

impl<D: Runtime, F: Fetch> Runtime for Contained<D, F> {
    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        let mut listed = self.engine.list().await?;
        let lost = self.lost(&listed).map_err(unknown)?;
        listed.extend(lost);
        Ok(listed)
    }

    async fn prepare(&self, launch: &Launch, progress: &Progress) -> Result<(), RuntimeError> {
        policy::check(&self.policy, &launch.spec).map_err(RuntimeError::Refused)?;
        if self.read(launch.id).is_some_and(|(record, _)| record.started) {
            // Made and started before: what is there is adopted, what is gone stays gone.
            return Ok(());
        }
        self.write(launch, false).map_err(unknown)?;
        DirBuilder::new().recursive(true).mode(0o755).create(&launch.dir).map_err(unknown)?;
        let artifacts = &launch.spec.container().fetch;
        let fetched = self.fetch.fetch(artifacts, &launch.dir, progress).await;
        fetched.map_err(RuntimeError::Refused)?;
        self.engine.prepare(launch, progress).await
    }

    async fn start(&self, launch: &Launch) -> Result<Running, RuntimeError> {
        ports::heed(&self.engine, launch).await?;
        self.write(launch, true).map_err(unknown)?;
        self.engine.start(launch).await
    }

    async fn ended(&self, id: SandboxId) -> Result<(Timestamp, End), RuntimeError> {
        self.engine.ended(id).await
    }

    async fn terminate(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.engine.terminate(id).await
    }

    async fn kill(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.engine.kill(id).await
    }

    async fn exec(
        &self,
        launch: &Launch,
        shell: &str,
        limit: Duration,
    ) -> Result<Option<i32>, RuntimeError> {
        self.engine.exec(launch, shell, limit).await
    }

    async fn remove(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.engine.remove(id).await?;
        if self.read(id).is_none() {
            return Ok(());
        }
        gone(fs::remove_dir_all(self.sandboxes.join(id.to_string())))?;
        gone(fs::remove_file(self.record(id)))
    }
}

fn gone(removed: io::Result<()>) -> Result<(), RuntimeError> {
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unknown(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is the last argument of map_err")]
fn unknown(error: io::Error) -> RuntimeError {
    RuntimeError::Unknown(error.to_string())
}

#[cfg(test)]
mod tests;
