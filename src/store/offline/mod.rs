//! Stores beside a server: to look into one, to check one, to write one out and to make one anew.
//!
//! A file is opened as a server would, so a running server's store is refused and one that was killed is put in order
//! first. What lies in etcd is read beside whoever leads. A backup is taken from a view, and so from a running server.

mod backup;
mod check;
mod dump;

#[cfg(test)]
mod tests;

pub use backup::{Backup, BackupError, BackupHeader, backup, read_backup, restore};
pub use check::{Report, check};
pub use dump::dump;

use std::io;

use crate::model::id::Epoch;
use crate::store::access::Access;
use crate::store::address::StoreAddress;
use crate::store::embedded::{Embedded, Expect, OpenError};
use crate::store::etcd::Etcd;
use crate::store::log::{Log, StoreError};

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

/// The log at an address, with the epoch of who led last.
///
/// # Errors
/// When it cannot be opened or read at all.
pub async fn look(address: &StoreAddress, access: &Access) -> Result<(Log, Epoch), OfflineError> {
    match address {
        StoreAddress::Embedded(dir) => {
            let store = Embedded::open(dir, Expect::Any)?;
            Ok((store.load_blocking()?, store.epoch()))
        }
        StoreAddress::Etcd(at) => Ok(Etcd::look(at, access).await?),
    }
}
