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
    /// Whether it is being emptied. Beside the state, since one that is lost meanwhile goes on being emptied.
    pub drain: Option<Drain>,
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

/// Whether an agent is heard. One that an operator forgets has no row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AgentState {
    /// Heard.
    Up,
    /// Not heard.
    Lost {
        /// Since when.
        since: Timestamp,
    },
}

/// An agent is being emptied: it takes nothing new, and what it runs is replaced elsewhere and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drain {
    /// Since when.
    pub since: Timestamp,
    /// When what is left is ended, replaced or not; never when absent.
    pub deadline: Option<Timestamp>,
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
    /// Devices.
    pub devices: Vec<Device>,
    /// The container engine, if one answers.
    pub engine: Option<Engine>,
    /// What it allows.
    pub policy: Policy,
    /// Its own version.
    pub version: String,
    /// Changes with every boot of the host.
    pub boot: String,
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
    /// Whether it may be given out.
    pub healthy: bool,
}

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

// === impl Agent ===

impl Agent {
    /// Whether it is heard.
    pub const fn is_heard(&self) -> bool {
        matches!(self.state, AgentState::Up)
    }

    /// Whether it is being emptied.
    pub const fn is_draining(&self) -> bool {
        self.drain.is_some()
    }

    /// Whether new work may go to it.
    pub const fn takes_work(&self) -> bool {
        self.is_heard() && !self.is_draining()
    }
}
