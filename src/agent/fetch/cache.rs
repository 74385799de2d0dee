//! What the agent keeps of artifacts, by their URI, until it restarts.
//!
//! Bounded by bytes; what was not asked for longest goes first. A file goes when the last who reads it has let go.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A file of the cache, removed with its last holder.
pub struct Cached {
    path: PathBuf,
}

/// One URI: held while it is downloaded.
pub type Slot = Arc<tokio::sync::Mutex<Option<Arc<Cached>>>>;

/// The cache of one agent.
pub struct Cache {
    dir: PathBuf,
    limit: u64,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    entries: BTreeMap<String, Entry>,
    /// Counts files and uses.
    count: u64,
}

#[derive(Default)]
struct Entry {
    slot: Slot,
    bytes: u64,
    used: u64,
}

// === impl Cached ===

impl Cached {
    /// Opens it to read.
    pub fn open(&self) -> io::Result<File> {
        File::open(&self.path)
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        // What stays is removed at the next start.
        let _removed = fs::remove_file(&self.path);
    }
}

// === impl Cache ===

impl Cache {
    /// An empty cache.
    pub fn open(dir: &Path, limit: u64) -> io::Result<Cache> {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        Ok(Cache { dir: dir.to_owned(), limit, index: Mutex::default() })
    }

    /// The place of a URI, filled or not.
    pub fn slot(&self, uri: &str) -> Slot {
        let mut index = self.index();
        index.count += 1;
        let used = index.count;
        // Places that were never filled hold nothing, unless somebody is about to.
        index.entries.retain(|_, entry| entry.bytes > 0 || Arc::strong_count(&entry.slot) > 1);
        let entry = index.entries.entry(uri.to_owned()).or_default();
        entry.used = used;
        Arc::clone(&entry.slot)
    }

    /// A new, empty file.
    pub fn add(&self) -> io::Result<(Cached, File)> {
        let mut index = self.index();
        index.count += 1;
        let path = self.dir.join(index.count.to_string());
        let file = File::create_new(&path)?;
        Ok((Cached { path }, file))
    }

    /// Counts what a URI holds now, and lets go of others until all fits.
    pub fn keep(&self, uri: &str, bytes: u64) {
        let mut index = self.index();
        if let Some(entry) = index.entries.get_mut(uri) {
            entry.bytes = bytes;
        }
        while index.entries.values().map(|entry| entry.bytes).sum::<u64>() > self.limit {
            let oldest = index.entries.iter().min_by_key(|(_, entry)| entry.used);
            let Some(uri) = oldest.map(|(uri, _)| uri.clone()) else { break };
            index.entries.remove(&uri);
        }
    }

    fn index(&self) -> MutexGuard<'_, Index> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
