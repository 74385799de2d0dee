//! Processes of this machine, found by what they were started with.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A process: its id, and when it started in the kernel's own count, which tells it from a later one with the same id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// When it started.
    pub started: u64,
}

// === impl Process ===

impl Process {
    /// The process of this id, if it runs.
    pub fn of(pid: u32) -> Option<Process> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name may hold blanks and brackets.
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?;
        let started = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Process { pid, started })
    }

    /// Whether it still runs.
    pub fn runs(self) -> bool {
        Process::of(self.pid) == Some(self)
    }

    /// What it was started with.
    pub fn environment(self) -> Vec<String> {
        let bytes = std::fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default();
        bytes
            .split(|byte| *byte == 0)
            .map(|one| String::from_utf8_lossy(one).into_owned())
            .collect()
    }

    /// Its command line, blanks between the arguments.
    pub fn line(self) -> String {
        let bytes = std::fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).trim_end_matches('\0').replace('\0', " ")
    }

    /// Its process group.
    pub fn group(self) -> u32 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid)).unwrap_or_default();
        let fields = stat.rsplit_once(')').map(|(_, fields)| fields.split_whitespace().nth(2));
        fields.flatten().and_then(|group| group.parse().ok()).unwrap_or_default()
    }

    /// Sends it a signal.
    pub fn signal(self, name: &str) {
        signal(self.pid, name);
    }
}

/// Every process of a task: its holder and all that came of it, in the order of their ids.
pub fn of_task(task: &Value) -> Vec<Process> {
    let id = task["id"].as_str().expect("a task has an id");
    with_variable(&format!("MESOS_TASK_ID={id}"))
}

/// Sends a signal to a process, which may be gone.
pub fn signal(pid: u32, name: &str) {
    let _gone = Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).output();
}

/// Ends every process of a sandbox below a data directory, with the groups that they lead.
pub fn kill_all_below(data: &Path) {
    let mark = format!("MESOS_SANDBOX={}/", data.display());
    let marked = |process: &Process| process.environment().iter().any(|one| one.starts_with(&mark));
    // Twice, for what was born while the first look went on.
    for _ in 0..2 {
        for process in all().filter(marked) {
            let _gone = Command::new("kill")
                .args(["-KILL", "--", &format!("-{}", process.group())])
                .output();
            process.signal("KILL");
        }
    }
}

/// Removes the control groups of an agent that is gone, with those of its sandboxes.
pub fn remove_groups(agent: &str) {
    let name = agent.get(..8).expect("an agent's id is a UUID");
    let controllers = std::fs::read_dir("/sys/fs/cgroup").into_iter().flatten().flatten();
    let mut tops = vec![PathBuf::from("/sys/fs/cgroup/stayer")];
    tops.extend(controllers.map(|controller| controller.path().join("stayer")));
    for own in tops.into_iter().map(|top| top.join(name)) {
        for sandbox in std::fs::read_dir(&own).into_iter().flatten().flatten() {
            let _not_a_group = std::fs::remove_dir(sandbox.path());
        }
        let _not_there = std::fs::remove_dir(own);
    }
}

fn with_variable(variable: &str) -> Vec<Process> {
    let mut found: Vec<Process> =
        all().filter(|process| process.environment().iter().any(|one| one == variable)).collect();
    found.sort_unstable();
    found
}

fn all() -> impl Iterator<Item = Process> {
    let names = std::fs::read_dir("/proc").expect("a /proc").flatten();
    names.filter_map(|name| Process::of(name.file_name().to_str()?.parse().ok()?))
}
