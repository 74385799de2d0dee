//! Who the agent is, kept in its directory: not its host's name, which may change or repeat.
//!
//! `agent.json` is written whole or not at all and is on disk before its writer goes on, since an epoch that was accepted
//! must not be forgotten. The directory is one agent's at a time.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::model::id::{AgentId, ClusterId, Epoch, RunId};

/// What outlives the agent's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Who it is.
    pub id: AgentId,
    /// Where it belongs; nowhere before its first session.
    pub cluster: Option<ClusterId>,
    /// The highest epoch it has met.
    pub epoch: Epoch,
}

/// An agent's directory, locked for as long as this lives.
#[derive(Debug)]
pub struct Home {
    dir: PathBuf,
    _lock: File,
}

/// Why an agent's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// Another agent has it.
    #[error("another agent uses {}; stop it, or name another directory", .0.display())]
    InUse(PathBuf),
    /// Its file does not say who it is, so that starting anew would disown what runs here.
    #[error("{} cannot be read as an agent's identity", .0.display())]
    Unreadable(PathBuf, #[source] serde_json::Error),
    /// The file system said no.
    #[error("{} cannot be used", .0.display())]
    Io(PathBuf, #[source] io::Error),
}

// === impl Home ===

impl Home {
    /// Locks the directory, makes it where it is missing, and reads who lives there; a new agent gets a new id.
    ///
    /// # Errors
    /// When another agent has it, or it cannot be read or written.
    pub fn open(dir: &Path) -> Result<(Home, Identity), HomeError> {
        let failed = |error| HomeError::Io(dir.to_owned(), error);
        DirBuilder::new().recursive(true).mode(0o711).create(dir).map_err(failed)?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(dir.join("lock"))
            .map_err(failed)?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(HomeError::InUse(dir.to_owned())),
            Err(error) => return Err(failed(error.into())),
        }
        let home = Home { dir: dir.to_owned(), _lock: lock };
        let identity = home.load()?;
        Ok((home, identity))
    }

    /// Where it is.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns when `identity` is on disk.
    ///
    /// # Errors
    /// When it cannot be written; what was there before stays.
    pub fn store(&self, identity: &Identity) -> Result<(), HomeError> {
        let text = serde_json::to_vec(identity)
            .map_err(|error| HomeError::Unreadable(self.file(), error))?;
        self.replace(&text).map_err(|error| HomeError::Io(self.file(), error))
    }

    fn load(&self) -> Result<Identity, HomeError> {
        match fs::read(self.file()) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| HomeError::Unreadable(self.file(), error)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = AgentId(random_uuid().map_err(|e| HomeError::Io(self.file(), e))?);
                let identity = Identity { id, cluster: None, epoch: Epoch(0) };
                self.store(&identity)?;
                Ok(identity)
            }
            Err(error) => Err(HomeError::Io(self.file(), error)),
        }
    }

    fn replace(&self, text: &[u8]) -> io::Result<()> {
        let new = self.dir.join("agent.json.new");
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text)?;
        file.sync_all()?;
        fs::rename(&new, self.file())?;
        File::open(&self.dir)?.sync_all()
    }

    fn file(&self) -> PathBuf {
        self.dir.join("agent.json")
    }
}

/// A new id for a run of the agent's process.
///
/// # Errors
/// When the kernel gives no random bytes.
pub fn new_run() -> io::Result<RunId> {
    random_uuid().map(RunId)
}

fn random_uuid() -> io::Result<uuid::Uuid> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn an_agent_stays_who_it_is() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("agent");
        let (home, first) = Home::open(&path).expect("a home");
        let cluster = Some(ClusterId(uuid::Uuid::nil()));
        let stored = Identity { cluster, epoch: Epoch(7), ..first };
        home.store(&stored).expect("a disk");
        drop(home);
        let (home, again) = Home::open(&path).expect("a home");
        assert_eq!(again, stored);
        let mode = fs::metadata(home.file()).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_ne!(first.id, AgentId(random_uuid().expect("random bytes")));
    }

    #[test]
    fn a_second_agent_is_refused_in_one_sentence() {
        let dir = tempfile::tempdir().expect("a directory");
        let _first = Home::open(dir.path()).expect("a home");
        let second = Home::open(dir.path()).expect_err("it is in use");
        let said = second.to_string();
        assert!(said.starts_with("another agent uses /"), "{said}");
    }

    #[test]
    fn an_identity_that_cannot_be_read_is_never_replaced() {
        // A new identity would disown everything that runs here.
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("agent.json"), "{").expect("a file");
        assert!(matches!(Home::open(dir.path()), Err(HomeError::Unreadable(..))));
        assert_eq!(fs::read(dir.path().join("agent.json")).expect("a file"), b"{");
    }
}
