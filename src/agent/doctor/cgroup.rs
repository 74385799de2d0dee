//! Which version of control groups there is, and which limits of a plain process cannot be enforced.

use std::path::Path;

use rustix::fs::{Access, access};

use crate::agent::doctor::{Finding, text};

const REMEDY_RIGHTS: &str = "start the agent as root; in a container, with --privileged or the host's /sys/fs/cgroup writable";

/// Looks at the host's tree below `root`.
pub(super) fn look(root: &Path) -> Vec<Finding> {
    let tree = root.join("sys/fs/cgroup");
    match text(&tree.join("cgroup.controllers")) {
        Some(controllers) => two(&tree, &controllers),
        None if tree.join("cpu").is_dir() || tree.join("memory").is_dir() => one(&tree),
        None => vec![Finding::fault(
            "cgroup",
            "no control groups: neither cpu nor memory of a process can be limited",
            "mount them: mount -t cgroup2 none /sys/fs/cgroup, which every service manager of today does",
        )],
    }
}

fn one(tree: &Path) -> Vec<Finding> {
    let mut found = vec![Finding::fine("cgroup", "version 1")];
    for name in ["cpu", "memory"] {
        let dir = tree.join(name);
        if !dir.is_dir() {
            found.push(Finding::fault(
                "cgroup",
                format!("no {name} controller is mounted: {}", lost(name)),
                format!("mount it: mount -t cgroup -o {name} {name} /sys/fs/cgroup/{name}; for memory, boot with cgroup_enable=memory"),
            ));
        } else if access(&dir, Access::WRITE_OK).is_err() {
            let what = format!("the {name} controller may not be used: {}", lost(name));
            found.push(Finding::fault("cgroup", what, REMEDY_RIGHTS));
        }
    }
    found
}

fn two(tree: &Path, controllers: &str) -> Vec<Finding> {
    let mut found = vec![Finding::fine("cgroup", "version 2")];
    for name in ["cpu", "memory"] {
        if !controllers.split_whitespace().any(|one| one == name) {
            found.push(Finding::fault(
                "cgroup",
                format!("the kernel offers no {name} controller: {}", lost(name)),
                format!("boot with cgroup_enable={name} and without version 1 of it; in a container, delegate it"),
            ));
        }
    }
    if access(tree.join("cgroup.subtree_control"), Access::WRITE_OK).is_err() {
        let what =
            "control groups may not be made: neither cpu nor memory of a process can be limited";
        found.push(Finding::fault("cgroup", what, REMEDY_RIGHTS));
    }
    found
}

fn lost(name: &str) -> &'static str {
    match name {
        "cpu" => "processes take what cpu they like",
        _ => "processes take what memory they like",
    }
}
