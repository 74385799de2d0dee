//! Which devices a running container really has: what was asked of the engine is one thing, what the toolkit did another.
//!
//! The container's `/dev` is seen through its main process. A hook or a runtime puts `/dev/nvidiaN` there before that
//! process starts, whichever way the devices were asked for.

use std::collections::BTreeSet;
use std::path::PathBuf;

use crate::agent::gpu::Shelf;
use crate::model::agent::DeviceId;
use crate::model::reason::Reason;

/// Compares what a container has with what it was given. `mark` is a variable that its main process has and no other.
///
/// Nothing is concluded where it cannot be seen: the process has ended, this account may not look, the number means another
/// process here, where the engine counts them otherwise, or the driver names no device files.
///
/// # Errors
/// With both lists, when one of its devices is missing.
pub fn check(
    shelf: &Shelf,
    allocated: &[DeviceId],
    (pid, mark): (i32, &str),
) -> Result<(), Reason> {
    let minors: Option<Vec<u32>> = allocated.iter().map(|id| shelf.minor(id)).collect();
    let (Some(minors), Some(found)) = (minors, device_numbers(pid, mark)) else { return Ok(()) };
    if minors.iter().all(|minor| found.contains(minor)) {
        return Ok(());
    }
    let name = |minor: u32| {
        let known = shelf.by_minor(minor);
        known.map_or_else(|| format!("/dev/nvidia{minor}"), |id| id.0.to_string())
    };
    Err(Reason::GpuMissing {
        allocated: allocated.iter().map(|id| id.0.to_string()).collect(),
        found: found.into_iter().map(name).collect(),
    })
}

/// The numbers of the device files in a process's `/dev`, if it can be seen.
fn device_numbers(pid: i32, mark: &str) -> Option<BTreeSet<u32>> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|byte| *byte == 0).find(|it| *it == mark.as_bytes())?;
    let dev = PathBuf::from(format!("/proc/{pid}/root/dev"));
    let entries = std::fs::read_dir(dev).ok()?;
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Some(names.filter_map(|name| name.strip_prefix("nvidia")?.parse().ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::gpu::known::made_up;

    #[test]
    fn one_that_lacks_its_device_is_told_with_both_lists() {
        let shelf = Shelf::default();
        let mut devices = made_up(1);
        devices[0].minor = Some(4_711);
        shelf.put(devices.clone());
        let pid = i32::try_from(std::process::id()).expect("a pid");
        let environment = std::fs::read("/proc/self/environ").expect("its own");
        let mark = environment.split(|byte| *byte == 0).next().expect("the first");
        let own = (pid, std::str::from_utf8(mark).expect("a text"));
        let allocated = [devices[0].id.clone()];
        let missing = check(&shelf, &allocated, own).expect_err("this process has no such device");
        let Reason::GpuMissing { allocated: given, .. } = missing else { panic!("{missing}") };
        assert_eq!(given, ["gpu-0"]);
        let gone = check(&shelf, &allocated, (i32::MAX, own.1));
        assert_eq!(gone, Ok(()), "one that is gone tells nothing");
        let other = check(&shelf, &allocated, (pid, "MESOS_CONTAINER_NAME=other"));
        assert_eq!(other, Ok(()), "nor does a process of the same number");
        devices[0].minor = None;
        shelf.put(devices);
        assert_eq!(check(&shelf, &allocated, own), Ok(()), "a driver that names no files");
    }
}
