//! Stores that nobody runs: to look into one, to check one, to write one out and to make one anew.
//!
//! All of it opens the file as a server would, so a running server's store is refused and one that was killed is put in
//! order first. A backup is taken from a view instead, and so from a running server.

mod backup;
mod check;
mod dump;

#[cfg(test)]
mod tests;

pub use backup::{Backup, BackupError, BackupHeader, backup, read_backup, restore};
pub use check::{Report, check};
pub use dump::dump;

use std::io;

use crate::store::embedded::OpenError;
use crate::store::log::StoreError;

/// Why a stopped store could not be looked into.
#[derive(Debug, thiserror::Error)]
pub enum OfflineError {
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was found cannot be written.
    #[error("the output cannot be written")]
    Output(#[from] io::Error),
}
