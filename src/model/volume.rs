//! Volumes as a definition asks for them (contract 5.4).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::unit::Disk;

/// One volume of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Volume {
    /// A path of the agent's host.
    Host {
        /// Where it appears.
        container_path: String,
        /// Absolute, or relative to the sandbox.
        host_path: String,
        /// Whether it may be written.
        mode: VolumeMode,
    },
    /// Space on the agent that outlives the task.
    Persistent {
        /// Where it appears, below the sandbox.
        container_path: String,
        /// Always read-write in a valid spec.
        mode: VolumeMode,
        /// What is asked for.
        persistent: PersistentVolume,
    },
    /// Space that a provider attaches.
    External {
        /// Where it appears.
        container_path: String,
        /// Whether it may be written.
        mode: VolumeMode,
        /// Who provides it.
        external: ExternalVolume,
    },
    /// A secret as a file.
    Secret {
        /// Where it appears.
        container_path: String,
        /// The name of the secret within the app.
        secret: String,
    },
}

/// Whether a volume may be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeMode {
    /// Read only.
    #[serde(rename = "RO")]
    ReadOnly,
    /// Read and write.
    #[serde(rename = "RW")]
    ReadWrite,
}

/// Space reserved on an agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PersistentVolume {
    /// On which kind of disk.
    pub kind: DiskKind,
    /// How much.
    pub size: Disk,
    /// The most that a mount disk may have.
    #[serde(default)]
    pub max_size: Option<Disk>,
    /// Only on disks of this profile.
    #[serde(default)]
    pub profile_name: Option<String>,
    /// `["path", "LIKE", "<re>"]` triples.
    #[serde(default)]
    pub constraints: Vec<Vec<String>>,
}

/// The kind of disk under a persistent volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskKind {
    /// The agent's own disk.
    Root,
    /// A directory of another disk, shared.
    Path,
    /// A whole disk.
    Mount,
}

/// A volume that somebody else provides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ExternalVolume {
    /// Through a Docker volume driver.
    Dvdi {
        /// Its name at the provider.
        name: String,
        /// In GiB.
        size: Option<u32>,
        /// `dvdi/…` options.
        options: BTreeMap<String, String>,
        /// Whether several apps may use it.
        shared: bool,
    },
    /// Through the Container Storage Interface.
    Csi {
        /// Its name at the provider.
        name: String,
        /// The plugin.
        plugin_name: String,
        /// One of the five access modes.
        access_mode: String,
        /// `block`, or `mount` with a file system.
        access: CsiAccess,
        /// Secret names for staging.
        node_stage_secret: BTreeMap<String, String>,
        /// Secret names for publishing.
        node_publish_secret: BTreeMap<String, String>,
        /// Passed through.
        volume_context: BTreeMap<String, String>,
    },
}

/// How a CSI volume is handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CsiAccess {
    /// As a device.
    Block,
    /// As a file system.
    Mount {
        /// Which one.
        fs_type: String,
        /// With which flags.
        flags: Vec<String>,
    },
}

// === impl Volume ===

impl Volume {
    /// Where it appears in the container.
    pub fn container_path(&self) -> &str {
        match self {
            Volume::Host { container_path, .. }
            | Volume::Persistent { container_path, .. }
            | Volume::External { container_path, .. }
            | Volume::Secret { container_path, .. } => container_path,
        }
    }
}
