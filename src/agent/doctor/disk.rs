//! Whether the data directory can be used: room, rights, and what its file system allows.

use std::path::Path;

use rustix::fs::{Access, StatVfs, StatVfsMountFlags, access, statvfs};

use crate::agent::doctor::Finding;

const MIB: u64 = 1024 * 1024;

/// Less room than this, and the log of a server cannot grow.
const LEAST: u64 = 512;

/// Fewer files than this, and sandboxes cannot be made.
const LEAST_FILES: u64 = 5_000;

/// What a file system says of itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// For files of this account, MiB.
    pub free: u64,
    /// In all, MiB.
    pub total: u64,
    /// How many more files there may be; none where that is not counted.
    pub files: Option<u64>,
    /// Nothing can be written.
    pub read_only: bool,
    /// Nothing in it can be started.
    pub no_exec: bool,
}

/// Looks at a directory, or at where it would be made.
pub(super) fn look(data: &Path) -> Vec<Finding> {
    let absolute = std::path::absolute(data).unwrap_or_else(|_| data.to_owned());
    let Some(there) = absolute.ancestors().find(|path| path.exists()) else { return Vec::new() };
    if !there.is_dir() {
        let found = format!("{} is no directory", there.display());
        return vec![Finding::fault("disk", found, "name another one with --data-dir")];
    }
    let space = match statvfs(there) {
        Ok(stat) => Space::from(stat),
        Err(error) => {
            let found = format!("{} shows nothing of its disk: {error}", there.display());
            return vec![Finding::fault("disk", found, "name another directory with --data-dir")];
        }
    };
    let mut found = judge(&absolute, space);
    if !space.read_only && access(there, Access::WRITE_OK | Access::EXEC_OK).is_err() {
        found.push(Finding::fault(
            "disk",
            format!("this account may not write in {}", there.display()),
            "give the directory to the account, or name another one with --data-dir",
        ));
    }
    found
}

/// What follows for a data directory.
pub(super) fn judge(data: &Path, space: Space) -> Vec<Finding> {
    let (dir, free) = (data.display(), space.free);
    let mut faults = Vec::new();
    let mut fault = |what: String, remedy: &str| faults.push(Finding::fault("disk", what, remedy));
    if space.read_only {
        fault(
            format!("{dir} can only be read"),
            "mount it for writing; a kernel that met errors on a disk does this too, dmesg says so",
        );
    }
    if free < LEAST {
        fault(
            format!("{free} MiB are free for {dir}"),
            "make room, or name a directory on another disk with --data-dir",
        );
    }
    if let Some(files) = space.files.filter(|files| *files < LEAST_FILES) {
        fault(
            format!("{files} files more may be made in {dir}"),
            "remove small files: the disk is out of inodes before it is out of room",
        );
    }
    if space.no_exec {
        faults.push(Finding::warning(
            "disk",
            format!("nothing in {dir} can be started: it is mounted noexec"),
            "mount it with exec, or programs that apps fetch into their sandboxes do not start",
        ));
    }
    if faults.is_empty() && free < space.total / 20 {
        faults.push(Finding::warning(
            "disk",
            format!("{free} MiB are free for {dir}, less than a twentieth"),
            "make room: images, sandboxes and logs take it",
        ));
    }
    if faults.is_empty() {
        faults.push(Finding::fine("disk", format!("{free} MiB are free for {dir}")));
    }
    faults
}

// === impl Space ===

impl From<StatVfs> for Space {
    fn from(stat: StatVfs) -> Space {
        let mib = |blocks: u64| blocks.saturating_mul(stat.f_frsize) / MIB;
        Space {
            free: mib(stat.f_bavail),
            total: mib(stat.f_blocks),
            files: (stat.f_files > 0).then_some(stat.f_favail),
            read_only: stat.f_flag.contains(StatVfsMountFlags::RDONLY),
            no_exec: stat.f_flag.contains(StatVfsMountFlags::NOEXEC),
        }
    }
}
