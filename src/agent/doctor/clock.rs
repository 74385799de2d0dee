//! Whether the clock can be believed: certificates, schedules and logs of several hosts rest on it.

use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::agent::doctor::{Finding, text};

/// Files that are newer than now by more than this were written before the clock was set back.
const AHEAD: Duration = Duration::from_mins(1);

/// The end of 2025: before this program was written.
const LEAST: Duration = Duration::from_hours(24 * 20_454);

/// As the kernel cuts their names off.
const KEEPERS: &[&str] = &["chronyd", "ntpd", "openntpd", "systemd-timesyn", "ptp4l", "phc2sys"];

/// Looks at the clock, at what keeps it in step, and at the times of files in `data`.
pub(super) fn look(root: &Path, data: &Path) -> Vec<Finding> {
    #[expect(clippy::disallowed_methods, reason = "the clock itself is looked at")]
    let now = SystemTime::now();
    let second = |at: jiff::Timestamp| jiff::Timestamp::from_second(at.as_second());
    let shown = jiff::Timestamp::try_from(now).and_then(second);
    let shown = shown.map(|at| at.to_string()).unwrap_or_default();
    if now < SystemTime::UNIX_EPOCH + LEAST {
        return vec![Finding::fault(
            "clock",
            format!("it says {shown}, long ago"),
            "set it: install chrony",
        )];
    }
    let ahead = [data.join("server"), data.join("agent"), data.to_owned()];
    if let Some(path) = ahead.iter().find_map(|dir| from_the_future(dir, now)) {
        return vec![Finding::fault(
            "clock",
            format!("it says {shown}, and {path} is from after that: the clock was set back"),
            "set it right: install chrony; waits that were stored last until the old time comes again",
        )];
    }
    vec![match keeper(root) {
        Some(name) => Finding::fine("clock", format!("{shown}, kept in step by {name}")),
        None => Finding::warning(
            "clock",
            format!("{shown}, and nothing is seen that keeps it in step"),
            "install chrony; in a container or a virtual machine its host may do it",
        ),
    }]
}

fn from_the_future(dir: &Path, now: SystemTime) -> Option<String> {
    let entries = std::fs::read_dir(dir).ok()?.flatten();
    let mut paths = entries.map(|entry| entry.path());
    let is_ahead = |path: &std::path::PathBuf| {
        let modified = std::fs::metadata(path).and_then(|about| about.modified());
        modified.is_ok_and(|at| at > now + AHEAD)
    };
    paths.find(is_ahead).map(|path| path.display().to_string())
}

fn keeper(root: &Path) -> Option<String> {
    if root.join("run/systemd/timesync/synchronized").exists() {
        return Some("systemd-timesyncd".to_owned());
    }
    let processes = std::fs::read_dir(root.join("proc")).ok()?.flatten();
    let mut names = processes
        .filter(|entry| {
            entry.file_name().to_string_lossy().starts_with(|c: char| c.is_ascii_digit())
        })
        .filter_map(|entry| text(&entry.path().join("comm")));
    names.find(|name| KEEPERS.contains(&name.as_str()))
}
