//! Whether NVIDIA devices that are plugged in can be used: their driver, and what brings them into containers.

use std::path::Path;

use crate::agent::doctor::{Finding, text};

const VENDOR: &str = "0x10de";

/// Programs and directories by which the container toolkit is known.
const TOOLKIT: &[&str] = &[
    "usr/bin/nvidia-ctk",
    "usr/bin/nvidia-container-runtime",
    "usr/bin/nvidia-container-cli",
    "usr/local/bin/nvidia-ctk",
];
const CDI: &[&str] = &["etc/cdi", "run/cdi", "var/run/cdi"];

/// Looks at the devices of the host below `root`; nothing is said of a host without any.
pub(super) fn look(root: &Path) -> Vec<Finding> {
    let plugged = plugged_in(root);
    let driver = text(&root.join("proc/driver/nvidia/version"));
    match (plugged, driver) {
        (0, None) => Vec::new(),
        (count, None) => vec![Finding::fault(
            "gpu",
            format!("{count} NVIDIA devices are plugged in and no driver is loaded"),
            "install NVIDIA's driver and load it: modprobe nvidia; nvidia-smi must list the devices",
        )],
        (count, Some(driver)) => {
            let driver = driver.lines().next().unwrap_or_default().to_owned();
            if has_toolkit(root) {
                let found =
                    format!("{count} NVIDIA devices, driver and container toolkit: {driver}");
                return vec![Finding::fine("gpu", found)];
            }
            vec![Finding::fault(
                "gpu",
                format!(
                    "the driver is there ({driver}) and the container toolkit is not: containers get no device"
                ),
                "install nvidia-container-toolkit, then nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml",
            )]
        }
    }
}

fn plugged_in(root: &Path) -> usize {
    let devices =
        std::fs::read_dir(root.join("sys/bus/pci/devices")).into_iter().flatten().flatten();
    let is_one = |dir: &Path| {
        text(&dir.join("vendor")).as_deref() == Some(VENDOR)
            && text(&dir.join("class")).is_some_and(|class| class.starts_with("0x03"))
    };
    devices.filter(|entry| is_one(&entry.path())).count()
}

fn has_toolkit(root: &Path) -> bool {
    let describes = |dir: &str| {
        let files = std::fs::read_dir(root.join(dir)).into_iter().flatten().flatten();
        files.into_iter().any(|file| file.file_name().to_string_lossy().contains("nvidia"))
    };
    TOOLKIT.iter().any(|program| root.join(program).exists())
        || CDI.iter().any(|dir| describes(dir))
}
