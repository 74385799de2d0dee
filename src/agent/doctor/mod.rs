//! What is wrong on a host, before anybody wonders why nothing runs there: each with what to do about it.
//!
//! Only looks: nothing is made, started or changed. All looks go on at once and each has a deadline, so that the answer
//! is there in less than a second, also where an engine hangs. What the kernel shows is read below a root of one's choice,
//! which is how a host with faults is played in tests.

mod cgroup;
mod clock;
mod disk;
mod engine;
mod gpu;
mod net;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::agent::docker::connect::Search;
use crate::model::agent::PortRange;
use crate::wire::dial::Address;

/// The longest look at anything that may not answer.
const LOOK: Duration = Duration::from_millis(600);

/// The host that is looked at, and what is to run there.
#[derive(Clone, Debug)]
pub struct Patient {
    /// Where `/proc`, `/sys` and the rest are seen.
    pub root: PathBuf,
    /// The data directory, which need not be there yet.
    pub data: PathBuf,
    /// Where an engine may be; nowhere where none is to be used.
    pub search: Option<Search>,
    /// Where a server is to listen.
    pub listen: Vec<SocketAddr>,
    /// Host ports for tasks that ask for any.
    pub ports: Vec<PortRange>,
    /// Servers that an agent is to dial.
    pub servers: Vec<Address>,
    /// The name under which tasks are to be shown.
    pub hostname: String,
}

/// What was seen at one place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at: one word.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What was seen.
    pub found: String,
    /// What to do about it; none when all is well.
    pub remedy: Option<String>,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Fine,
    /// Works, and less well than it might.
    Warning,
    /// Does not work.
    Fault,
}

// === impl Finding ===

impl Finding {
    fn fine(check: &'static str, found: impl Into<String>) -> Finding {
        Finding { check, level: Level::Fine, found: found.into(), remedy: None }
    }

    fn warning(
        check: &'static str,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Finding {
        let (found, remedy) = (found.into(), Some(remedy.into()));
        Finding { check, level: Level::Warning, found, remedy }
    }

    fn fault(check: &'static str, found: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { level: Level::Fault, ..Finding::warning(check, found, remedy) }
    }
}

// === impl Level ===

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Level::Fine => "fine",
            Level::Warning => "warning",
            Level::Fault => "fault",
        })
    }
}

/// Looks at everything.
pub async fn examine(patient: &Patient) -> Vec<Finding> {
    let files = patient.clone();
    let still = tokio::task::spawn_blocking(move || look_at_files(&files));
    let (engine, still, servers, name) = tokio::join!(
        engine::look(patient.search.as_ref()),
        still,
        net::servers(&patient.servers),
        net::hostname(&patient.hostname),
    );
    let still = still.unwrap_or_else(|error| {
        vec![Finding::fault("doctor", format!("a look broke: {error}"), "report this")]
    });
    [engine, still, servers, vec![name]].concat()
}

/// What needs no answer of anybody.
fn look_at_files(patient: &Patient) -> Vec<Finding> {
    let Patient { root, data, listen, ports, .. } = patient;
    let mut found = cgroup::look(root);
    found.extend(net::listen(listen));
    found.extend(net::ports(root, ports));
    found.extend(clock::look(root, data));
    found.extend(disk::look(data));
    found.push(account());
    found.push(files());
    found.extend(gpu::look(root));
    found
}

fn account() -> Finding {
    if nix::unistd::geteuid().is_root() {
        return Finding::fine("account", "root: tasks may run as any account");
    }
    Finding::warning(
        "account",
        format!("not root but {}: every process runs as this account", nix::unistd::geteuid()),
        "start the agent as root where apps name a `user`",
    )
}

/// How many files may be open: each task, connection and log takes a few. Whoever starts raises what he has to this.
fn files() -> Finding {
    const ENOUGH: u64 = 8_192;
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    match most.filter(|most| *most < ENOUGH) {
        None => Finding::fine("files", "enough files may be open"),
        Some(most) => Finding::warning(
            "files",
            format!("{most} files may be open, which a few hundred tasks or agents use up"),
            "raise the limit to 1048576 before the start: ulimit -n as root, or LimitNOFILE= of the service",
        ),
    }
}

fn text(path: &Path) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned())
}
