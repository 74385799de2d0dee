//! Keeping outputs small.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, OFlags, renameat, unlinkat};
use tokio::time::MissedTickBehavior;

use crate::agent::logs::{file_name, open_dir, open_plain};
use crate::agent::runtime::LogStream;

/// How large outputs may grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogLimits {
    /// A file that has grown beyond this is cut.
    pub bytes: u64,
    /// Files kept of one output, the one that grows included.
    pub files: u32,
    /// How often all are looked at.
    pub every: Duration,
}

// === impl LogLimits ===

impl Default for LogLimits {
    /// Three files of 50 MB (reliability §4.3).
    fn default() -> LogLimits {
        LogLimits { bytes: 50_000_000, files: 3, every: Duration::from_secs(5) }
    }
}

/// Keeps the outputs in all of `dirs` small, one after the other; runs until it is dropped.
pub async fn rotate_for_ever(
    dirs: impl Fn() -> Vec<PathBuf> + Send + Sync + 'static,
    limits: LogLimits,
) {
    let dirs = std::sync::Arc::new(dirs);
    let mut tick = tokio::time::interval(limits.every);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let dirs = std::sync::Arc::clone(&dirs);
        let round = tokio::task::spawn_blocking(move || {
            for dir in dirs() {
                if let Err(error) = rotate(&dir, limits) {
                    tracing::debug!(dir = %dir.display(), %error, "cannot rotate outputs");
                }
            }
        });
        if let Err(error) = round.await {
            tracing::warn!(%error, "rotation of outputs failed");
        }
    }
}

/// Cuts the outputs in one sandbox that have grown too large. Fine when it has none.
///
/// # Errors
/// When a file of it cannot be read, copied or cut.
pub fn rotate(dir: &Path, limits: LogLimits) -> io::Result<()> {
    let dir = match open_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    for stream in [LogStream::Stdout, LogStream::Stderr] {
        match open_plain(&dir, file_name(stream), OFlags::RDWR) {
            Ok(file) if file.metadata()?.len() > limits.bytes => {
                cut(&dir, file, file_name(stream), limits.files.saturating_sub(1))?;
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Copies, cuts, then shows the copy: a reader that sees a new copy finds the file cut. The copy is made under another
/// name first, so that no two copies ever have the same identity in a row.
fn cut(dir: &OwnedFd, mut file: File, name: &str, copies: u32) -> io::Result<()> {
    if copies == 0 {
        return file.set_len(0);
    }
    let part = format!("{name}.part");
    // What a crash has left, or what the task has put there.
    let _absent = unlinkat(dir, part.as_str(), AtFlags::empty());
    let mut copy = open_plain(dir, &part, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL)?;
    io::copy(&mut file, &mut copy)?;
    file.set_len(0)?;
    for age in (1..copies).rev() {
        let (from, to) = (format!("{name}.{age}"), format!("{name}.{}", age + 1));
        match renameat(dir, from.as_str(), dir, to.as_str()) {
            Ok(()) | Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(renameat(dir, part.as_str(), dir, format!("{name}.1").as_str())?)
}
