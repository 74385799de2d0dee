//! A command beside what runs in a container, for checks.
//!
//! The engine has no deadline for it and no way to end it: what takes too long is ended by us where the host shows its
//! process, and left to its container where it does not.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecResults};
use futures::StreamExt;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::agent::docker::call::{CallError, Caller};

/// Between two looks at a command that says nothing more.
const SHORT: Duration = Duration::from_millis(20);

const RUN: &str = "run a command in the container";

/// Runs a shell text in the container `id`; its exit code, or nothing when it does not end within `limit`.
///
/// # Errors
/// When the engine does not answer, or cannot start it.
pub async fn run(
    caller: &Caller,
    id: &str,
    shell: &str,
    limit: Duration,
) -> Result<Option<i32>, CallError> {
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(vec!["/bin/sh", "-c", shell]),
        ..CreateExecOptions::default()
    };
    let made = caller.change(RUN, caller.docker().create_exec(id, options)).await?;
    let started = caller.change(RUN, caller.docker().start_exec(&made.id, None)).await?;
    let look = || caller.change(RUN, caller.docker().inspect_exec(&made.id));
    let ended = async {
        if let StartExecResults::Attached { mut output, input: _ } = started {
            // What it says is nobody's; its output ends when it does.
            while output.next().await.is_some_and(|said| said.is_ok()) {}
        }
        loop {
            let seen = look().await?;
            if let Some(code) = seen.exit_code.filter(|_| seen.running != Some(true)) {
                return Ok(Some(i32::try_from(code).unwrap_or(i32::MAX)));
            }
            // It has let go of its outputs; the engine sees its end a moment later.
            tokio::time::sleep(SHORT).await;
        }
    };
    if let Ok(ended) = tokio::time::timeout(limit, ended).await {
        return ended;
    }
    // An engine that does not answer now says nothing of the command.
    let seen = look().await?;
    if let Some(pid) = seen.pid.and_then(|pid| i32::try_from(pid).ok()) {
        end(pid, id);
    }
    Ok(None)
}

/// Ends a process of the container; one that cannot be seen, or is somebody else's, is left alone.
fn end(pid: i32, id: &str) {
    let Some(handle) = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok())
    else {
        return;
    };
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
    if groups.contains(id) {
        // An error says that it has ended meanwhile.
        let _gone = pidfd_send_signal(&handle, Signal::KILL);
    }
}
