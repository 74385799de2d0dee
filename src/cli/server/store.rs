//! Opening the log that a server is told of, and when a missing one is not taken for a new one.

use std::path::{Path, PathBuf};

use crate::agent::identity::{Identity, new_run};
use crate::cli::failure::Failure;
use crate::model::id::ClusterId;
use crate::store::any::AnyStore;
use crate::store::embedded::{Embedded, Expect, FILE, OpenError};

/// The directory of `embedded:DIR`.
///
/// # Errors
/// When it is something else.
pub fn embedded(text: &str) -> Result<PathBuf, String> {
    match text.strip_prefix("embedded:") {
        Some("") => {
            Err("embedded: wants a directory, for example embedded:/var/lib/stayer/server"
                .to_owned())
        }
        Some(dir) => Ok(PathBuf::from(dir)),
        None => Err(format!("'{text}' is not embedded:DIR")),
    }
}

/// Opens the log in `log`. One that is missing although an agent has run beside it, in the same data directory, is not
/// taken for a new one: what the agent runs would be nobody's (invariant 8 of the architecture).
///
/// # Errors
/// When it is in use, missing, another cluster's or not to be made. Then nothing was changed.
pub fn open(log: &Path, data: &Path, new_log: bool) -> Result<(AnyStore, ClusterId), Failure> {
    let file = log.join(FILE);
    let expect = match known_cluster(&data.join("agent")) {
        Some(cluster) if file.exists() => Expect::Of(cluster),
        Some(cluster) if new_log => Expect::AnyOrNew(cluster),
        Some(cluster) => {
            return Err(Failure::Failed(format!(
                "{} is missing, and an agent of cluster {cluster} has run here; its tasks are left alone. \
                 Restore the log with `stayer store restore`, or begin a new one with --new-log: \
                 what still runs is then shown as stray",
                file.display()
            )));
        }
        None => Expect::AnyOrNew(new_cluster()?),
    };
    let store = Embedded::open(log, expect).map_err(|error| match error {
        OpenError::InUse(_) => Failure::Failed(format!(
            "another server uses {}; stop it, or name another directory with --data-dir",
            log.display()
        )),
        other @ (OpenError::Missing(_)
        | OpenError::Foreign { .. }
        | OpenError::Newer(_)
        | OpenError::Make { .. }
        | OpenError::Store { .. }) => Failure::Failed(other.to_string()),
    })?;
    let cluster = store.head().cluster;
    Ok((AnyStore::Embedded(store), cluster))
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
