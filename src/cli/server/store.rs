//! Opening the store that a server is told of, and when a missing one is not taken for a new one.

use std::path::Path;

use crate::agent::identity::{Identity, new_run};
use crate::cli::failure::Failure;
use crate::model::id::ClusterId;
use crate::store::access::Access;
use crate::store::address::StoreAddress;
use crate::store::any::AnyStore;
use crate::store::expect::{Expect, OpenError};
use crate::store::log::StoreError;
use crate::store::open;

/// Why a store is not open.
#[derive(Debug)]
pub enum NotOpened {
    /// It does not answer, and may do so later.
    Away(String),
    /// Waiting does not help.
    Refused(Failure),
}

/// Opens the store at an address. `dir` is the server's part of the data directory, `agent` an agent's that may have run
/// beside it: then a store that is missing is not taken for a new one, since what that agent runs would be nobody's
/// (invariant 8 of the architecture).
///
/// # Errors
/// When it is in use, missing, another cluster's or does not answer. Then nothing was changed.
pub async fn open(
    address: &StoreAddress,
    access: &Access,
    dir: &Path,
    agent: &Path,
    new_log: bool,
) -> Result<AnyStore, NotOpened> {
    let known = known_cluster(agent);
    let expect = match known {
        Some(cluster) => Expect::Of(cluster),
        None => Expect::AnyOrNew(new_cluster().map_err(NotOpened::Refused)?),
    };
    let opened = match (open::open(address, access, dir, expect).await, known) {
        (Err(OpenError::Missing(_)), Some(cluster)) if new_log => {
            open::open(address, access, dir, Expect::AnyOrNew(cluster)).await
        }
        (opened, _) => opened,
    };
    opened.map_err(|error| match (address, error) {
        (StoreAddress::Etcd(_), OpenError::Store(error @ StoreError::Failed(_))) => {
            NotOpened::Away(format!("the store at {address}: {error}"))
        }
        (StoreAddress::Etcd(_) | StoreAddress::Embedded(_), error) => {
            NotOpened::Refused(refused(error, address, known))
        }
    })
}

fn refused(error: OpenError, address: &StoreAddress, known: Option<ClusterId>) -> Failure {
    Failure::Failed(match (error, known) {
        (OpenError::Missing(place), Some(cluster)) => format!(
            "{place} is missing, and an agent of cluster {cluster} has run here; its tasks are left alone. \
             Restore the log with `stayer store restore`, or begin a new one with --new-log: \
             what still runs is then shown as stray"
        ),
        (OpenError::InUse(dir), _) => format!(
            "another server uses {}; stop it, or name another directory with --data-dir",
            dir.display()
        ),
        (error @ OpenError::Store(_), _) => format!("the store at {address}: {error}"),
        (
            error @ (OpenError::Missing(_)
            | OpenError::Foreign { .. }
            | OpenError::Newer(_)
            | OpenError::Make { .. }),
            _,
        ) => error.to_string(),
    })
}

fn known_cluster(agent: &Path) -> Option<ClusterId> {
    let text = std::fs::read(agent.join("agent.json")).ok()?;
    let identity: Identity = serde_json::from_slice(&text).ok()?;
    identity.cluster
}

fn new_cluster() -> Result<ClusterId, Failure> {
    let run = new_run()
        .map_err(|error| Failure::Failed(format!("the host gives no random numbers: {error}")))?;
    Ok(ClusterId(run.0))
}
