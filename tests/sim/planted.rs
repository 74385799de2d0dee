//! Bugs planted into production's code: each must be found, or the simulation is blind.

use std::fs;
use std::path::PathBuf;

use crate::run;

/// So many seeds may be needed.
pub const WITHIN: u64 = 2_000;

/// Those that others have shipped, as their trackers tell them.
const HISTORIC: [(&str, &str); 12] = [
    ("ceiling-ignored", "marathon#7104: overscale on a failing upgrade"),
    ("kill-of-the-lost-hangs", "marathon#4039: the kill of a lost task hangs"),
    ("lock-leaks-on-cancel", "marathon#1481: the lock of a cancelled deployment stays"),
    ("old-list-believed", "kubernetes#59848: a stale list after a restart gives twins"),
    ("older-leader-obeyed", "marathon#356: a leader that was deposed kills"),
    ("older-session-heard", "marathon#1553: the same, through a connection that it still has"),
    ("overscale-on-failing-tasks", "marathon#4777: overscale on failing tasks"),
    ("port-let-go-while-stopping", "nomad#24904: a port is used again while its holder stops"),
    (
        "returning-agent-not-waited-for",
        "nomad#15808: a node is ready before its allocations are known",
    ),
    ("row-leaves-before-its-end", "nomad#28394: an allocation is deleted and runs"),
    ("serving-ends-before-waiting", "nomad#5876: a reconnect kills before its replacement serves"),
    ("unreachable-is-never-due", "marathon#5506: what is unreachable is ignored until a full look"),
];

/// Lets a bug act on this thread, or none.
pub fn choose(bug: Option<&str>) {
    #[cfg(feature = "planted")]
    stayer::planted::choose(bug.map(|bug| &*Box::leak(bug.to_owned().into_boxed_str())));
    #[cfg(not(feature = "planted"))]
    assert!(bug.is_none(), "bugs are planted with --features planted alone");
}

/// The list of bugs with the seeds that find them.
pub fn list() -> Vec<(String, u64)> {
    let text = fs::read_to_string(path()).expect("tests/sim/planted.txt");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let read = |line: &str| {
        let (name, seed) = line.split_once(' ').expect("a name and a seed");
        (name.to_owned(), seed.trim().parse().expect("a seed"))
    };
    lines.map(read).collect()
}

/// The names of the bugs in the sources.
pub fn names() -> Vec<String> {
    let mut names = Vec::new();
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("src/planted.rs")
            {
                let text = fs::read_to_string(path).expect("readable");
                let found = text.split("planted!(").skip(1).filter_map(|rest| {
                    let rest = rest.trim_start().strip_prefix('"')?;
                    rest.split_once('"').map(|(name, _)| name.to_owned())
                });
                names.extend(found);
            }
        }
    }
    names.sort();
    names.dedup();
    names
}

/// Each bug on the seed that finds it; gives those that were not found. Where a seed does something else since a change,
/// others are tried.
pub fn run_list() -> Vec<String> {
    let list = list();
    let mut blind: Vec<String> = Vec::new();
    let names = names();
    for (historic, _) in HISTORIC {
        assert!(names.iter().any(|name| name == historic), "{historic} is planted nowhere");
    }
    for name in names {
        let listed = list.iter().find(|(listed, _)| *listed == name).map(|(_, seed)| *seed);
        let known: Vec<u64> = listed.into_iter().collect();
        let mut total = run::many(&known, Some(&name), true);
        if total.failed.is_empty() {
            println!(
                "{name}: scripts/test-planted is to be run, its seed {known:?} finds it no more"
            );
            total = run::many(&(0..WITHIN).collect::<Vec<u64>>(), Some(&name), true);
        }
        match total.failed.first() {
            Some(failed) => {
                let of_others = HISTORIC.iter().find(|(historic, _)| *historic == name);
                let of_others = of_others.map_or(String::new(), |(_, who)| format!(" ({who})"));
                println!(
                    "{name}{of_others}: seed {} finds it, {}",
                    failed.seed, failed.violation.law
                );
            }
            None => {
                println!("{name}: not found within {WITHIN} seeds");
                blind.push(name);
            }
        }
    }
    blind
}

/// Looks for a seed for every bug, and writes the list; gives those that were not found.
pub fn search(first: u64) -> Vec<String> {
    let seeds: Vec<u64> = (first..first + WITHIN).collect();
    let (mut lines, mut blind) = (Vec::new(), Vec::new());
    for name in names() {
        let total = run::many(&seeds, Some(&name), true);
        let found = total.failed.iter().min_by_key(|failed| failed.seed);
        match found {
            Some(failed) => {
                let violation = &failed.violation;
                println!(
                    "{name}: seed {} after {} seeds, {}: {}",
                    failed.seed, total.passed, violation.law, violation.text
                );
                lines.push(format!("{name} {}", failed.seed));
            }
            None => {
                println!("{name}: not found within {WITHIN} seeds");
                blind.push(name);
            }
        }
    }
    let header = "# Planted bugs and the seeds that find them. Written by scripts/test-planted.";
    fs::write(path(), format!("{header}\n{}\n", lines.join("\n"))).expect("writable");
    blind
}

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/sim/planted.txt")
}
