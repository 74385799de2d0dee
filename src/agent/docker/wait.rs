//! Waits for a container's end: by its process where the host shows it, else by the engine's own wait.
//!
//! A process handle costs one descriptor, tells at once and outlives the engine. It is used only when the control group
//! of that process names the container: an agent in a pid namespace of its own would watch a stranger otherwise.

use std::os::fd::OwnedFd;
use std::time::Duration;

use bollard::errors::Error;
use bollard::query_parameters::WaitContainerOptionsBuilder;
use futures::StreamExt;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::agent::docker::call::{CallError, Caller};

/// How long the engine's wait is trusted before the container is looked at again.
const SLICE: Duration = Duration::from_mins(1);

/// Returns when the container may have ended; whether it has is for an inspection to say.
///
/// # Errors
/// When the engine does not answer.
pub async fn until_ended(caller: &Caller, id: &str, pid: Option<i32>) -> Result<(), CallError> {
    let Some(process) = pid.and_then(|pid| handle(pid, id)) else {
        return waited(caller, id, SLICE).await;
    };
    // The handle is valid, so the only outcome is that its process has ended.
    let _ = process.readable().await;
    // The engine writes down the end a moment later.
    waited(caller, id, caller.deadlines().read).await
}

/// Returns when a container's main process is the container's own program, with `mark` in its environment: for a moment
/// after a start it can still be the runtime that is about to become it. Gives up on one that is not seen to be of this
/// container, and on one that takes too long.
pub async fn until_itself(pid: i32, id: &str, mark: &str) {
    const LIMIT: Duration = Duration::from_secs(10);
    const LOOK: Duration = Duration::from_millis(5);
    let is_itself = || {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|it| it == mark.as_bytes())
    };
    let becomes = async {
        while is_of(pid, id) && !is_itself() {
            tokio::time::sleep(LOOK).await;
        }
    };
    // Who comes next looks for itself, and concludes nothing from what it cannot see.
    let _late = tokio::time::timeout(LIMIT, becomes).await;
}

/// Whether the control group of a process names the container.
fn is_of(pid: i32, id: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(id))
}

/// Waits until the engine says that the container does not run, or for `limit`.
async fn waited(caller: &Caller, id: &str, limit: Duration) -> Result<(), CallError> {
    const WHAT: &str = "wait for the container";
    caller.ready().await?;
    let options = WaitContainerOptionsBuilder::default().condition("not-running").build();
    let mut answers = std::pin::pin!(caller.docker().wait_container(id, Some(options)));
    match tokio::time::timeout(limit, answers.next()).await {
        // The library calls an exit code an error.
        Err(_) | Ok(None | Some(Ok(_) | Err(Error::DockerContainerWaitError { .. }))) => Ok(()),
        Ok(Some(Err(error))) => Err(caller.noted(CallError::from_client(WHAT, error))),
    }
}

#[expect(
    deprecated,
    reason = "an OwnedFd keeps its descriptor, and the constructor that takes this one's place is unsafe"
)]
pub(super) fn handle(pid: i32, id: &str) -> Option<AsyncFd<OwnedFd>> {
    let handle = pidfd_open(Pid::from_raw(pid)?, PidfdFlags::empty()).ok()?;
    if !is_of(pid, id) {
        return None;
    }
    AsyncFd::with_interest(handle, Interest::READABLE).ok()
}
