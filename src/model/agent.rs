//! An agent: a host that runs things, what it offers and what it allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::id::{AgentId, AgentKey, RunId};
use crate::model::time::Timestamp;
use crate::model::unit::{Cpus, Disk, Mem};

/// A host that runs things.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Agent {
    /// Its key.
    pub key: AgentKey,
    /// Its identity.
    pub id: AgentId,
    /// The run of its process that attached last.
    pub run: RunId,
    /// Whether it is heard.
    pub state: AgentState,
    /// What it offers and allows.
    pub inventory: Inventory,
    /// Host ports that a launch found taken by somebody else.
    pub foreign: BTreeMap<u16, Foreign>,
}

/// A host port that is not ours to give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Foreign {
    /// What is known of the holder.
    pub holder: String,
    /// When a launch may try it again.
    pub until: Timestamp,
}

/// Whether an agent is heard and takes work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentState {
    /// Heard.
    Up,
    /// Heard, takes nothing new, is being emptied.
    Draining {
        /// When it gives up waiting.
        until: Timestamp,
    },
    /// Not heard.
    Lost {
        /// Since when.
        since: Timestamp,
    },
    /// An operator said that it never returns.
    Forgotten,
}

/// What an agent offers and allows, as it reports itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// The name that tasks are shown under and that clients resolve.
    pub hostname: String,
    /// Its address, if known.
    pub address: Option<String>,
    /// Attributes by name; the first of several with one name counts.
    pub attributes: BTreeMap<String, AttributeValue>,
    /// The reservation role of all it offers.
    pub role: String,
    /// Processor share in total.
    pub cpus: Cpus,
    /// Memory in total.
    pub mem: Mem,
    /// Disk in total.
    pub disk: Disk,
    /// Ports for dynamic use, inclusive, ascending and disjoint.
    pub ports: Vec<PortRange>,
    /// Devices, in the order in which they are given out.
    pub devices: Vec<Device>,
    /// The container engine, if one answers.
    pub engine: Option<Engine>,
    /// What it allows.
    pub policy: Policy,
    /// Its own version.
    pub version: String,
    /// Changes with every boot of the host.
    pub boot: String,
    /// The driver behind the devices, if there is one.
    pub gpu_driver: Option<GpuDriver>,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttributeValue {
    /// Any text.
    Text(String),
    /// A number in thousandths (PL-18).
    Scalar(i64),
    /// Ranges of numbers.
    Ranges(Vec<(u64, u64)>),
    /// A set of texts.
    Set(BTreeSet<String>),
}

/// Ports from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// The name of a device, unique on its agent: a GPU's UUID, or one made up by `--resources gpus:N`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DeviceId(pub Arc<str>);

/// A device that a task may hold alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// What it is, for people.
    pub model: String,
    /// The driver's number of it.
    pub index: u32,
    /// Its memory, if the driver says.
    pub mem: Option<Mem>,
    /// The number behind its name in `/dev`, if the driver says.
    pub minor: Option<u32>,
    /// Why it may not be given out; nothing when it may.
    pub trouble: Option<String>,
}

/// A driver of devices.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuDriver {
    /// Its version, if it says.
    pub version: Option<String>,
    /// The newest CUDA that it takes, if it says.
    pub cuda: Option<String>,
    /// Why it says nothing of its devices; nothing when it does.
    pub trouble: Option<String>,
}

/// Whether agents with devices are kept for apps that ask for some (PL-12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum GpuScheduling {
    /// They are.
    #[default]
    Restricted,
    /// They take any app.
    Unrestricted,
}

/// A text that is no [`GpuScheduling`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is either restricted or unrestricted")]
pub struct NoGpuScheduling;

/// A container engine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// `Docker` or what it calls itself.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The API version that is spoken with it.
    pub api: String,
}

/// What an agent allows (reliability §5.5). Placement reads it, the agent checks again before it creates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Privileged containers.
    pub privileged: bool,
    /// Host paths that may be mounted, and all below them.
    pub volumes: Vec<String>,
    /// Keys of `docker run` parameters beyond the harmless ones.
    pub parameters: BTreeSet<String>,
}

// === impl PortRange ===

impl PortRange {
    /// Whether `port` lies in it.
    pub const fn holds(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

// === impl DeviceId ===

impl DeviceId {
    /// Whether it is a name that NVIDIA's driver gives; all others were made up on a host without GPUs.
    pub fn is_real(&self) -> bool {
        self.0.starts_with("GPU-") || self.0.starts_with("MIG-")
    }
}

// === impl Device ===

impl Device {
    /// Whether it may be given out.
    pub const fn is_healthy(&self) -> bool {
        self.trouble.is_none()
    }
}

// === impl GpuScheduling ===

impl std::str::FromStr for GpuScheduling {
    type Err = NoGpuScheduling;

    fn from_str(text: &str) -> Result<GpuScheduling, NoGpuScheduling> {
        match text {
            "restricted" => Ok(GpuScheduling::Restricted),
            "unrestricted" => Ok(GpuScheduling::Unrestricted),
            _ => Err(NoGpuScheduling),
        }
    }
}

impl std::fmt::Display for GpuScheduling {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            GpuScheduling::Restricted => "restricted",
            GpuScheduling::Unrestricted => "unrestricted",
        })
    }
}

// === impl Agent ===

impl Agent {
    /// Whether it is heard.
    pub const fn is_heard(&self) -> bool {
        matches!(self.state, AgentState::Up | AgentState::Draining { .. })
    }

    /// Whether new work may go to it.
    pub const fn takes_work(&self) -> bool {
        matches!(self.state, AgentState::Up)
    }
}
