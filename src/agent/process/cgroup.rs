//! Control groups: processor share and memory limit of a process, and a sure way to find all of its children.
//!
//! Groups lie at `stayer/<agent>/<sandbox>` of the host's tree, not below the agent's own group: a service manager that
//! stops the agent must not stop its tasks. Versions 1 and 2 are told apart by `cgroup.controllers`. Where the host
//! gives no groups, processes run without limits, and [`Limits`] says so.
//!
//! Disk is not limited: neither version counts it. What an app asks for is a matter of placement alone.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::process::Pid;

use crate::agent::process::exit::OomKill;
use crate::agent::runtime::SandboxId;
use crate::model::id::AgentId;
use crate::model::spec::Limit;
use crate::model::unit::{Cpus, Mem};

/// Where the kernel shows its control groups.
pub const ROOT: &str = "/sys/fs/cgroup";

/// The control groups of one agent.
#[derive(Clone, Debug)]
pub struct Cgroups {
    version: Version,
    /// The agent's directory in each tree that is used.
    bases: Vec<PathBuf>,
    limits: Limits,
}

/// What the host lets us limit, for the line that an agent prints at its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processor shares.
    pub cpu: bool,
    /// Memory.
    pub memory: bool,
    /// Why not all of it.
    pub missing: Option<String>,
}

/// What a process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowance {
    /// Its share when processors are short.
    pub cpus: Cpus,
    /// The most it may use of them, if that is limited.
    pub cpu_limit: Option<Cpus>,
    /// The most memory, if that is limited.
    pub mem_limit: Option<Mem>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    One,
    Two,
}

/// What the kernel takes as the least; Docker refuses less than 6 MiB and Mesos less than 32.
const MIN_MEM: Mem = Mem::whole(4);

/// The period in which a limit of processors is counted, in microseconds.
const CPU_PERIOD: u64 = 100_000;

// === impl Cgroups ===

impl Cgroups {
    /// Finds out what the host allows, and makes the agent's own directories.
    pub fn detect(root: &Path, agent: AgentId) -> Cgroups {
        let agent = agent.to_string();
        let under = Path::new("stayer").join(&agent[..8]);
        if root.join("cgroup.controllers").exists() {
            Cgroups::two(root, &under)
        } else {
            Cgroups::one(root, &under)
        }
    }

    /// What the host lets us limit.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Removes the agent's own directories.
    #[cfg(test)]
    pub fn leave(&self) {
        for base in &self.bases {
            let _removed = fs::remove_dir(base);
        }
    }

    /// Where the groups of a sandbox are, or would be.
    pub fn paths(&self, id: SandboxId) -> Vec<PathBuf> {
        self.bases.iter().map(|base| base.join(id.to_string())).collect()
    }

    /// Makes the groups of a sandbox with their limits; fine when they are there.
    ///
    /// # Errors
    /// When the kernel takes a group or a limit no longer.
    pub fn create(&self, groups: &[PathBuf], allowance: Allowance) -> io::Result<()> {
        for group in groups {
            fs::create_dir_all(group)?;
            for (file, value) in self.settings(allowance) {
                set(&group.join(file), &value)?;
            }
        }
        Ok(())
    }

    fn settings(&self, allowance: Allowance) -> Vec<(&'static str, String)> {
        match self.version {
            Version::One => settings_one(allowance),
            Version::Two => settings_two(allowance),
        }
    }

    fn one(root: &Path, under: &Path) -> Cgroups {
        let made: Vec<(bool, PathBuf, io::Result<()>)> = [(true, "cpu"), (false, "memory")]
            .into_iter()
            .map(|(cpu, name)| {
                let base = root.join(name).join(under);
                let done = if root.join(name).is_dir() {
                    fs::create_dir_all(&base)
                } else {
                    Err(io::Error::other(format!("no {name} controller is mounted")))
                };
                (cpu, base, done)
            })
            .collect();
        let has = |wanted| made.iter().any(|(cpu, _, done)| *cpu == wanted && done.is_ok());
        let missing = made.iter().find_map(|(_, _, done)| done.as_ref().err());
        let limits = Limits {
            cpu: has(true),
            memory: has(false),
            missing: missing.map(ToString::to_string),
        };
        let bases = made.into_iter().filter(|(_, _, done)| done.is_ok()).map(|(_, base, _)| base);
        Cgroups { version: Version::One, bases: bases.collect(), limits }
    }

    fn two(root: &Path, under: &Path) -> Cgroups {
        let base = root.join(under);
        let mut missing = fs::create_dir_all(&base).err().map(|error| error.to_string());
        // A controller has to be handed down from the root to the agent's directory, one level after the other.
        let levels = [root.to_owned(), root.join("stayer"), base.clone()];
        let mut hand_down = |name: &str| {
            let result = levels.iter().try_for_each(|level| {
                fs::write(level.join("cgroup.subtree_control"), format!("+{name}"))
            });
            if let Err(error) = &result {
                missing.get_or_insert(format!("the {name} controller: {error}"));
            }
            result.is_ok()
        };
        let (cpu, memory) = (hand_down("cpu"), hand_down("memory"));
        let bases = if base.is_dir() { vec![base] } else { Vec::new() };
        Cgroups { version: Version::Two, bases, limits: Limits { cpu, memory, missing } }
    }
}

// === impl Limits ===

impl fmt::Display for Limits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.cpu, self.memory) {
            (true, true) => "processes get their cpu share and memory limit",
            (true, false) => "processes get their cpu share, but no memory limit",
            (false, true) => "processes get their memory limit, but no cpu share",
            (false, false) => "processes run without limits of cpu and memory",
        })?;
        self.missing.as_ref().map_or(Ok(()), |why| write!(f, " ({why})"))
    }
}

// === impl Allowance ===

impl Allowance {
    /// From what was placed and the burst limits of a container (contract 13.9).
    pub fn of(
        cpus: Cpus,
        mem: Mem,
        cpu: Option<Limit<Cpus>>,
        memory: Option<Limit<Mem>>,
    ) -> Allowance {
        let cpu_limit = match cpu {
            Some(Limit::At(limit)) => Some(limit),
            Some(Limit::Unlimited) | None => None,
        };
        let mem_limit = match memory {
            Some(Limit::At(limit)) => Some(limit),
            Some(Limit::Unlimited) => None,
            None => Some(mem),
        };
        Allowance { cpus, cpu_limit, mem_limit: mem_limit.map(|mem| mem.max(MIN_MEM)) }
    }

    fn shares(self) -> u64 {
        (self.cpus.as_micro() * 1024 / 1_000_000).clamp(2, 262_144)
    }

    fn quota(self) -> Option<u64> {
        self.cpu_limit.map(|limit| (limit.as_micro() * CPU_PERIOD / 1_000_000).max(1_000))
    }
}

/// The processes of a group, without those that have ended.
pub fn members(group: &Path) -> Vec<Pid> {
    let text = fs::read_to_string(group.join("cgroup.procs")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok().and_then(Pid::from_raw)).collect()
}

/// Kills all of a group at once, where the kernel can; whether it could.
pub fn kill(group: &Path) -> bool {
    let file = group.join("cgroup.kill");
    file.exists() && fs::write(file, "1").is_ok()
}

/// Whether the kernel killed something of these groups for its memory.
pub fn oom_kill(groups: &[PathBuf]) -> Option<OomKill> {
    let count = |group: &PathBuf, file| {
        let text = fs::read_to_string(group.join(file)).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix("oom_kill "))?;
        line.trim().parse::<u64>().ok()
    };
    let peak = |group: &PathBuf, file| {
        let text = fs::read_to_string(group.join(file)).ok()?;
        text.trim().parse().ok().map(Mem::from_bytes)
    };
    let hit = groups.iter().find(|group| {
        let kills = count(group, "memory.oom_control").or_else(|| count(group, "memory.events"));
        kills.is_some_and(|kills| kills > 0)
    })?;
    let most = peak(hit, "memory.max_usage_in_bytes").or_else(|| peak(hit, "memory.peak"));
    Some(OomKill { peak: most })
}

/// Removes empty groups; fine when they are gone.
///
/// # Errors
/// When something still runs in one.
pub fn remove(groups: &[PathBuf]) -> io::Result<()> {
    for group in groups {
        match fs::remove_dir(group) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn settings_one(allowance: Allowance) -> Vec<(&'static str, String)> {
    let mut settings = vec![("cpu.shares", allowance.shares().to_string())];
    if let Some(quota) = allowance.quota() {
        settings.push(("cpu.cfs_period_us", CPU_PERIOD.to_string()));
        settings.push(("cpu.cfs_quota_us", quota.to_string()));
    }
    if let Some(mem) = allowance.mem_limit {
        // Memory first: the sum with swap may not be below it.
        settings.push(("memory.limit_in_bytes", mem.as_bytes().to_string()));
        settings.push(("memory.memsw.limit_in_bytes", mem.as_bytes().to_string()));
    }
    settings
}

fn settings_two(allowance: Allowance) -> Vec<(&'static str, String)> {
    // The kernel's own conversion of shares 2..=262144 to weights 1..=10000.
    let weight = 1 + (allowance.shares() - 2) * 9_999 / 262_142;
    let mut settings = vec![("cpu.weight", weight.to_string())];
    if let Some(quota) = allowance.quota() {
        settings.push(("cpu.max", format!("{quota} {CPU_PERIOD}")));
    }
    if let Some(mem) = allowance.mem_limit {
        settings.push(("memory.max", mem.as_bytes().to_string()));
        settings.push(("memory.swap.max", "0".to_owned()));
    }
    settings
}

/// Each tree of version 1 has only its own files, and a host may lack those for swap.
fn set(file: &Path, value: &str) -> io::Result<()> {
    match OpenOptions::new().write(true).open(file) {
        Ok(mut file) => file.write_all(value.as_bytes()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_memory_have_their_least() {
        let least = Allowance::of(Cpus::ZERO, Mem::whole(1), None, None);
        assert_eq!(least.shares(), 2);
        assert_eq!(least.mem_limit, Some(Mem::whole(4)));
        let tenth = Allowance::of(Cpus::micro(100_000), Mem::whole(32), None, None);
        assert_eq!(tenth.shares(), 102);
        assert!(
            settings_one(tenth).contains(&("memory.limit_in_bytes", "33554432".to_owned())),
            "contract 5.10"
        );
        assert!(settings_two(tenth).contains(&("cpu.weight", "4".to_owned())));
    }

    #[test]
    fn burst_limits_replace_the_request() {
        let burst = Allowance::of(
            Cpus::whole(1),
            Mem::whole(32),
            Some(Limit::At(Cpus::whole(2))),
            Some(Limit::Unlimited),
        );
        assert_eq!(burst.mem_limit, None);
        assert!(settings_two(burst).contains(&("cpu.max", "200000 100000".to_owned())));
        assert!(settings_one(burst).contains(&("cpu.cfs_quota_us", "200000".to_owned())));
    }

    #[test]
    fn the_version_follows_from_the_tree_and_what_is_missing_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let agent = AgentId(uuid::Uuid::nil());
        let bare = Cgroups::detect(dir.path(), agent);
        assert_eq!(bare.version, Version::One);
        assert!(bare.limits().to_string().contains("no cpu controller is mounted"));
        fs::write(dir.path().join("cgroup.controllers"), "cpu memory").expect("written");
        let two = Cgroups::detect(dir.path(), agent);
        assert_eq!(two.version, Version::Two);
        assert_eq!(two.bases, [dir.path().join("stayer/00000000")]);
    }

    #[test]
    fn kills_for_memory_are_read_from_either_version() {
        let dir = tempfile::tempdir().expect("a directory");
        let groups = [dir.path().to_owned()];
        fs::write(dir.path().join("memory.events"), "low 0\noom 2\noom_kill 0\n").expect("written");
        assert_eq!(oom_kill(&groups), None);
        fs::write(dir.path().join("memory.events"), "low 0\noom 2\noom_kill 1\n").expect("written");
        fs::write(dir.path().join("memory.peak"), "16777216\n").expect("written");
        assert_eq!(oom_kill(&groups), Some(OomKill { peak: Some(Mem::whole(16)) }));
    }
}
