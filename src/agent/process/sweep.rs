//! Ending all that belongs to a sandbox: its process group and its control groups, until nothing runs.

use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{
    PidfdFlags, Signal, kill_process_group, pidfd_open, pidfd_send_signal, test_kill_process_group,
};

use crate::agent::process::cgroup;
use crate::agent::process::proc::{self, Holder};

/// How long the kernel may take to end what was killed. What sleeps in it uninterruptibly may take longer.
const DEADLINE: Duration = Duration::from_secs(10);

const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Everything by which the processes of a sandbox are found.
#[derive(Clone, Debug)]
pub struct Traces {
    /// The shell that holds, or held, the process; it leads the process group.
    pub holder: Holder,
    /// The environment entry that marks them.
    pub mark: String,
    /// The control groups.
    pub groups: Vec<PathBuf>,
}

// === impl Traces ===

impl Traces {
    /// Kills all of it, and waits until it is gone; false when something still runs at the deadline. `reap` takes the
    /// status of the holder, should it be a child of this agent: until then its group looks alive.
    pub async fn sweep(&self, reap: impl Fn()) -> bool {
        let all = async {
            let mut pause = FIRST_PAUSE;
            while self.kill(&reap) {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
        };
        tokio::time::timeout(DEADLINE, all).await.is_ok()
    }

    /// Kills what still runs; whether there was anything.
    fn kill(&self, reap: &impl Fn()) -> bool {
        // The group cannot be a stranger's while the holder's id is its own, so this comes before the reaping.
        if self.holder.holds_its_id().unwrap_or(false) {
            // An error says that it is gone, which is found out below.
            let _gone = kill_process_group(self.holder.pid, Signal::KILL);
        }
        reap();
        let grouped = self.kill_control_groups();
        let left = self.kill_marked();
        grouped || left || self.holder.runs().unwrap_or(true)
    }

    fn kill_control_groups(&self) -> bool {
        let mut any = false;
        for group in &self.groups {
            let members = cgroup::members(group);
            any |= !members.is_empty();
            if members.is_empty() || cgroup::kill(group) {
                continue;
            }
            for pid in members {
                if let Ok(process) = pidfd_open(pid, PidfdFlags::empty())
                    && cgroup::members(group).contains(&pid)
                {
                    let _gone = pidfd_send_signal(process, Signal::KILL);
                }
            }
        }
        any
    }

    /// What is left of the process group, where its leader is gone or there is no control group.
    fn kill_marked(&self) -> bool {
        if test_kill_process_group(self.holder.pid).is_err() {
            return false;
        }
        let members = proc::members(self.holder.pid, &self.mark);
        for member in &members {
            if let Ok(process) = pidfd_open(member.pid, PidfdFlags::empty())
                && member.runs().unwrap_or(false)
            {
                let _gone = pidfd_send_signal(process, Signal::KILL);
            }
        }
        !members.is_empty()
    }
}
