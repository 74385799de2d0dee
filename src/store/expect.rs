//! Which store is expected where one is opened, and the ways in which another one is refused.
//!
//! A store that is missing, foreign or damaged is never taken for a new one: what runs would then be nobody's.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::id::ClusterId;
use crate::store::log::StoreError;
use crate::store::record::SCHEMA;

/// Which log is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// Whichever is there; if there is none, a new one for this cluster.
    AnyOrNew(ClusterId),
    /// The one of this cluster. A missing one is an error, never an empty one.
    Of(ClusterId),
    /// Whichever is there. A missing one is an error.
    Any,
}

/// Why a log was not opened.
#[derive(Clone, Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// There is none.
    #[error("there is no log at {0}")]
    Missing(String),
    /// It belongs to another cluster.
    #[error("the log belongs to cluster {found}, not to {expected}")]
    Foreign {
        /// Whose it is.
        found: ClusterId,
        /// Whose it should be.
        expected: ClusterId,
    },
    /// A newer program wrote it.
    #[error(
        "the log has schema {0}, the newest that this program reads is {SCHEMA}; use a newer one"
    )]
    Newer(u16),
    /// The directory or the file cannot be made.
    #[error("{} cannot be made: {why}", path.display())]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        why: Arc<io::Error>,
    },
    /// The disk or the network fails, or what is stored there is no log.
    #[error(transparent)]
    Store(#[from] StoreError),
}

// === impl OpenError ===

impl OpenError {
    /// For one who had opened the log before.
    pub(super) fn into_store_error(self) -> StoreError {
        match self {
            OpenError::Store(error) => error,
            other @ (OpenError::InUse(_)
            | OpenError::Missing(_)
            | OpenError::Foreign { .. }
            | OpenError::Newer(_)
            | OpenError::Make { .. }) => StoreError::Failed(Arc::new(other)),
        }
    }
}
