//! A command beside a process, for checks: with its environment, in its directory and its control groups, as its account.
//!
//! It is in a process group of its own, which is ended with it: while nobody has reaped its leader, whose number is its
//! own until then.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};
use tokio::process::Command;

use crate::agent::process::sandbox::unknown;
use crate::agent::process::{holder, readable};
use crate::agent::runtime::{Launch, RuntimeError};

/// Enters control groups, then becomes the command. Its arguments: how many files take a process into one, these files,
/// and the command. A group that is gone is of a task that is gone.
const ENTER: &str = r#"joins=$1
shift
while [ "$joins" -gt 0 ]; do echo $$ >"$1"; shift; joins=$((joins - 1)); done
exec "$@""#;

/// Ends what is left of a command when dropped, whatever becomes of who waits for it.
struct Group(Pid);

/// Runs a shell text beside a launch; its exit code, or nothing when it does not end within `limit`.
///
/// # Errors
/// When it cannot be started.
pub async fn run(
    launch: &Launch,
    groups: &[PathBuf],
    shell: &str,
    limit: Duration,
) -> Result<Option<i32>, RuntimeError> {
    let account = holder::check(launch).map_err(RuntimeError::Refused)?;
    let mut command = Command::new(holder::SHELL);
    command.arg("-c").arg(ENTER).arg("stayer").arg(groups.len().to_string());
    command.args(groups.iter().map(|group| group.join("cgroup.procs")));
    command.args(holder::line(launch, account.as_ref(), Some(shell)));
    command.env_clear().envs(holder::held_environment(launch, account.as_ref()));
    command.current_dir(&launch.dir).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(unknown)?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
    let group = Group(pid.expect("one that nobody has waited for has its number"));
    let process = pidfd_open(group.0, PidfdFlags::NONBLOCK).map_err(unknown)?;
    let process = readable(process).map_err(unknown)?;
    let has_ended = tokio::time::timeout(limit, process.readable()).await.is_ok();
    // Before it is reaped: afterwards its number may be a stranger's (I9).
    drop(group);
    if !has_ended {
        return Ok(None);
    }
    // One that a signal ended has no code; shells write it so.
    Ok(Some(child.wait().await.map_err(unknown)?.code().unwrap_or(128)))
}

// === impl Group ===

impl Drop for Group {
    fn drop(&mut self) {
        // An error says that nothing of it is left.
        let _gone = kill_process_group(self.0, Signal::KILL);
    }
}
