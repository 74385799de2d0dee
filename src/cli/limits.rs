//! How many files a process that goes on may open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Takes as many open files as the account may have: the usual default is a thousand, and each task, agent and client
/// takes one or more. What is started from here sets its own limit.
pub fn raise_files() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::info!(%error, "the limit of open files stays as it was");
    }
}
