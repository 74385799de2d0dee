//! Evidence as files of the agent's directory: `autopsies/<app>.<instance>.<life>.json`, for the agent's account alone.
//!
//! A file is there whole or not at all; what a crash of the host has torn is passed over, as is what is no such file.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::UNIX_EPOCH;

use rustix::fs::OFlags;

use crate::agent::autopsy::keep::{Filed, Limits, surplus};
use crate::agent::runtime::SandboxId;
use crate::model::autopsy::KEPT_FOR;
use crate::model::evidence::{Evidence, MAX_BYTES};
use crate::model::id::AppKey;
use crate::model::time::Timestamp;

/// The evidence that this agent keeps.
#[derive(Debug)]
pub struct Archive {
    dir: PathBuf,
    limits: Limits,
    /// What is there.
    files: Mutex<BTreeMap<SandboxId, Filed>>,
}

// === impl Archive ===

impl Archive {
    /// Opens the one in `data`, the agent's directory.
    ///
    /// # Errors
    /// When the directory cannot be made or listed.
    pub fn open(data: &Path, limits: Limits, now: Timestamp) -> io::Result<Archive> {
        let dir = data.join("autopsies");
        DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let name = entry.file_name();
            match name.to_str().and_then(parse) {
                Some((app, id)) => files.extend(filed(app, &entry).map(|filed| (id, filed))),
                // Begun, and not ended before the agent did.
                None if name.to_string_lossy().ends_with(PART) => {
                    if let Err(error) = remove(&entry.path()) {
                        tracing::warn!(?name, %error, "what was begun of an autopsy stays");
                    }
                }
                None => {}
            }
        }
        let archive = Archive { dir, limits, files: Mutex::new(files) };
        archive.tidy(now);
        Ok(archive)
    }

    /// Whether there is evidence of a life.
    pub fn has(&self, id: SandboxId) -> bool {
        self.files().contains_key(&id)
    }

    /// Files the evidence of a life, and lets go of what there is no room for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn file(&self, id: SandboxId, filed: Filed, json: &[u8], now: Timestamp) -> io::Result<()> {
        let path = self.path(filed.app, id);
        let part = path.with_extension(&PART[1..]);
        if let Err(error) = write(&part, json).and_then(|()| fs::rename(&part, path)) {
            // Nothing that is half there stays and takes room.
            let _gone = remove(&part);
            return Err(error);
        }
        self.files().insert(id, Filed { bytes: json.len() as u64, ..filed });
        self.tidy(now);
        Ok(())
    }

    /// The evidence of a life as JSON; none when there is none, or what is there is no such thing.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, id: SandboxId, now: Timestamp) -> io::Result<Option<Vec<u8>>> {
        let filed = self.files().get(&id).copied();
        let Some(filed) = filed.filter(|filed| now <= filed.at + KEPT_FOR) else {
            return Ok(None);
        };
        let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag of open(2) is an int");
        let mut options = OpenOptions::new();
        let file = match options.read(true).custom_flags(flags).open(self.path(filed.app, id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened?,
        };
        let mut json = Vec::new();
        file.take(MAX_BYTES as u64 + 1).read_to_end(&mut json)?;
        let is_of = |evidence: &Evidence| {
            evidence.instance == id.instance && evidence.incarnation == id.incarnation
        };
        let read = serde_json::from_slice::<Evidence>(&json).ok().filter(is_of);
        Ok(read.filter(|_| json.len() <= MAX_BYTES).map(|_| json))
    }

    /// Lets go of what is too old, or too much. What cannot be removed is tried again with the next.
    pub fn tidy(&self, now: Timestamp) {
        let mut files = self.files();
        for id in surplus(&files, now, self.limits) {
            let Some(filed) = files.get(&id) else { continue };
            match remove(&self.path(filed.app, id)) {
                Ok(()) => drop(files.remove(&id)),
                Err(error) => {
                    tracing::warn!(sandbox = %id, %error, "old evidence cannot be removed");
                }
            }
        }
    }

    fn path(&self, app: AppKey, id: SandboxId) -> PathBuf {
        self.dir.join(format!("{app}.{id}{WHOLE}"))
    }

    fn files(&self) -> MutexGuard<'_, BTreeMap<SandboxId, Filed>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const WHOLE: &str = ".json";
const PART: &str = ".part";

fn parse(name: &str) -> Option<(AppKey, SandboxId)> {
    let (app, id) = name.strip_suffix(WHOLE)?.split_once('.')?;
    Some((AppKey(app.parse().ok()?), SandboxId::parse(id)?))
}

/// One that goes while it is looked at is none.
fn filed(app: AppKey, entry: &fs::DirEntry) -> Option<Filed> {
    let data = entry.metadata().ok().filter(fs::Metadata::is_file)?;
    let written = data.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
    let at = Timestamp::from_millis(i64::try_from(written.as_millis()).ok()?);
    Some(Filed { app, at, bytes: data.len() })
}

/// On disk when this returns: a name never stands for what was torn by a crash of the host.
fn write(path: &Path, json: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(json)?;
    file.sync_all()
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
