//! Records: what a later agent process has to know of a sandbox, beside its life.
//!
//! Written before anything else of a sandbox is made, and removed last: what has no record is not ours.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::agent::process::life::LifeFile;
use crate::agent::runtime::{Launch, SandboxId};
use crate::model::have::SpecKey;
use crate::model::id::{AgentId, ClusterId, InstanceKey};

/// What is remembered of a sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The instance's key.
    pub key: InstanceKey,
    /// The definition it was made from.
    pub spec_key: SpecKey,
    /// Whose it is.
    pub cluster: ClusterId,
    /// By which agent it was made.
    pub agent: AgentId,
    /// The sandbox.
    pub dir: PathBuf,
    /// Its control groups, whether they exist or not.
    pub groups: Vec<PathBuf>,
}

/// The directories of the process runtime.
#[derive(Clone, Debug)]
pub struct Ledger {
    records: PathBuf,
    lives: PathBuf,
}

// === impl Record ===

impl Record {
    /// The record of a launch.
    pub fn of(launch: &Launch, groups: Vec<PathBuf>) -> Record {
        Record {
            key: launch.key,
            spec_key: launch.spec_key,
            cluster: launch.cluster,
            agent: launch.agent,
            dir: launch.dir.clone(),
            groups,
        }
    }

    /// The environment entry that marks all processes of this sandbox.
    pub fn mark(&self) -> String {
        format!("MESOS_SANDBOX={}", self.dir.display())
    }
}

// === impl Ledger ===

impl Ledger {
    /// Opens the directories below `data`, readable by the agent alone.
    pub fn open(data: &Path) -> io::Result<Ledger> {
        let ledger = Ledger { records: data.join("records"), lives: data.join("lives") };
        for dir in [&ledger.records, &ledger.lives] {
            DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        }
        Ok(ledger)
    }

    /// The life of a sandbox.
    pub fn life(&self, id: SandboxId) -> LifeFile {
        LifeFile(self.lives.join(id.to_string()))
    }

    /// Writes a record, whole or not at all.
    pub fn save(&self, id: SandboxId, record: &Record) -> io::Result<()> {
        let part = self.records.join(format!("{id}.part"));
        fs::write(&part, serde_json::to_vec(record)?)?;
        fs::rename(part, self.path(id))
    }

    /// Reads a record; none when there is none.
    pub fn load(&self, id: SandboxId) -> io::Result<Option<Record>> {
        match fs::read(self.path(id)) {
            Ok(bytes) => Ok(Some(serde_json::from_slice(&bytes)?)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every sandbox that has a record.
    pub fn ids(&self) -> io::Result<Vec<SandboxId>> {
        ids_in(&self.records, ".json")
    }

    /// Every sandbox that has a life.
    pub fn lives(&self) -> io::Result<Vec<SandboxId>> {
        ids_in(&self.lives, "")
    }

    /// Removes a record; fine when it is gone.
    pub fn delete(&self, id: SandboxId) -> io::Result<()> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn path(&self, id: SandboxId) -> PathBuf {
        self.records.join(format!("{id}.json"))
    }
}

fn ids_in(dir: &Path, suffix: &str) -> io::Result<Vec<SandboxId>> {
    let mut ids = Vec::new();
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        let id = name.to_str().and_then(|name| name.strip_suffix(suffix));
        ids.extend(id.and_then(SandboxId::parse));
    }
    ids.sort();
    Ok(ids)
}
