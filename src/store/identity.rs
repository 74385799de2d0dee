//! The identity of a server among those that share its store.
//!
//! It is kept in the data directory, and one process at a time has it. So a server that starts again knows that what led
//! under its id has ended, and need not wait until its lease has.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::fs::{FlockOperation, flock};
use uuid::Uuid;

use crate::model::id::ServerId;
use crate::store::expect::OpenError;

/// The name of the file in a data directory.
const FILE: &str = "server-id";

/// A server's identity, held by this process until it is dropped.
#[derive(Debug)]
pub struct Identity {
    id: ServerId,
    /// Locked.
    _file: File,
}

// === impl Identity ===

impl Identity {
    /// Takes the identity in a data directory; the first time it is made.
    ///
    /// # Errors
    /// When another process has it, or the file cannot be used.
    pub fn hold(dir: &Path) -> Result<Identity, OpenError> {
        let path = dir.join(FILE);
        let made = |why: io::Error| OpenError::Make { path: path.clone(), why: why.into() };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(made)?;
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let mut file = options.open(&path).map_err(made)?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)
            .map_err(|_| OpenError::InUse(PathBuf::from(dir)))?;
        let id = read_or_make(&mut file).map_err(made)?;
        Ok(Identity { id, _file: file })
    }

    /// The identity.
    pub fn id(&self) -> ServerId {
        self.id
    }
}

fn read_or_make(file: &mut File) -> io::Result<ServerId> {
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    // A start that was cut short may have left a part of it; nobody can have led under that.
    if let Ok(id) = Uuid::from_str(text.trim()) {
        return Ok(ServerId(id));
    }
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    let id = uuid::Builder::from_random_bytes(bytes).into_uuid();
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{id}")?;
    file.sync_all()?;
    Ok(ServerId(id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_stays_and_one_process_has_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = Identity::hold(dir.path()).expect("nobody has it");
        let second = Identity::hold(dir.path());
        assert!(matches!(second, Err(OpenError::InUse(_))), "{second:?}");
        let id = first.id();
        drop(first);
        assert_eq!(Identity::hold(dir.path()).expect("nobody has it any more").id(), id);
        let other = tempfile::tempdir().expect("a directory");
        assert_ne!(Identity::hold(other.path()).expect("nobody has it").id(), id);
    }
}
