//! Why not, as data: the same value for queue, explain, last failures, metrics and people.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::condition::Condition;
use crate::model::constraint::Constraint;
use crate::model::time::Span;
use crate::model::unit::{Cpus, Disk, Mem};

/// Why a device that an app names cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PinTrouble {
    /// The agent has none of this name.
    Absent {
        /// What it has.
        devices: Vec<String>,
    },
    /// It means several.
    Ambiguous {
        /// Which.
        devices: Vec<String>,
    },
    /// It means a device that another of the app's names means too.
    Twice {
        /// Which.
        device: String,
    },
    /// Somebody holds it.
    Held {
        /// Which device.
        device: String,
        /// Who.
        holder: String,
    },
    /// It may not be given out.
    Unhealthy {
        /// Which device.
        device: String,
        /// Why.
        trouble: String,
    },
}

/// Why something could not run, or why an agent could not take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reason {
    /// The agent is not heard.
    AgentLost,
    /// The agent takes no new work.
    AgentDraining,
    /// No resource of the agent has an accepted role.
    Role {
        /// What the agent offers.
        has: String,
        /// What the app accepts.
        accepts: Vec<String>,
    },
    /// A constraint does not hold.
    Constraint {
        /// The constraint.
        constraint: Constraint,
        /// What the agent has in its field, if anything.
        has: Option<String>,
        /// Why that does not do, for people.
        detail: String,
    },
    /// Too little processor share.
    Cpus {
        /// Asked for.
        wanted: Cpus,
        /// Free.
        free: Cpus,
        /// In total.
        total: Cpus,
    },
    /// Too little memory.
    Mem {
        /// Asked for.
        wanted: Mem,
        /// Free.
        free: Mem,
        /// In total.
        total: Mem,
    },
    /// Too little disk.
    Disk {
        /// Asked for.
        wanted: Disk,
        /// Free.
        free: Disk,
        /// In total.
        total: Disk,
    },
    /// Too few devices.
    Gpus {
        /// Asked for.
        wanted: u32,
        /// Free.
        free: u32,
        /// In total.
        total: u32,
        /// Who holds them.
        holders: Vec<String>,
        /// Which may not be given out, each with why.
        unhealthy: Vec<String>,
    },
    /// Too few dynamic ports.
    Ports {
        /// Asked for.
        wanted: u32,
        /// Free.
        free: u32,
    },
    /// A fixed host port is taken by a task of ours.
    PortTaken {
        /// The port.
        port: u16,
        /// The task that holds it.
        holder: String,
    },
    /// A fixed host port is taken by somebody else.
    PortForeign {
        /// The port.
        port: u16,
        /// What is known of the holder.
        holder: String,
    },
    /// The agent's policy forbids it.
    Policy {
        /// What is forbidden and which flag of the agent allows it.
        what: String,
    },
    /// The agent has no engine for images.
    NoEngine {
        /// What was tried.
        detail: String,
    },
    /// An image could not be had.
    Image {
        /// Which.
        image: String,
        /// The registry's or the engine's text.
        detail: String,
    },
    /// An artifact could not be had.
    Fetch {
        /// Which.
        uri: String,
        /// Why.
        detail: String,
    },
    /// The engine or the host could not create or start it.
    Start {
        /// The text that came back.
        detail: String,
    },
    /// It was there, is not any more, and nothing says how it ended.
    Vanished {
        /// What was found instead.
        detail: String,
    },
    /// Its launch took too long.
    Overdue {
        /// Where it stood.
        condition: Condition,
        /// For how long.
        after: Span,
    },
    /// Anything else, said plainly.
    Other {
        /// The text.
        detail: String,
    },
    /// The agent's devices are kept for apps that ask for some.
    GpuHost {
        /// How many it has.
        devices: u32,
    },
    /// A device that the app names cannot be had.
    GpuPin {
        /// As the app names it.
        wanted: String,
        /// Why.
        trouble: PinTrouble,
    },
    /// The engine cannot give devices to containers.
    GpuEngine {
        /// What it lacks, and what would help.
        detail: String,
    },
    /// A container was started and has not got its devices.
    GpuMissing {
        /// What it should have.
        allocated: Vec<String>,
        /// What it has.
        found: Vec<String>,
    },
}

/// Marathon's ten reasons in the order of their funnel (PL-25).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names are Marathon's")]
pub enum Funnel {
    UnfulfilledRole,
    UnfulfilledConstraint,
    NoCorrespondingReservationFound,
    AgentMaintenance,
    InsufficientCpus,
    InsufficientMemory,
    InsufficientDisk,
    InsufficientGpus,
    InsufficientPorts,
    DeclinedScarceResources,
}

// === impl Funnel ===

impl Funnel {
    /// All of them, in order.
    pub const ALL: [Funnel; 10] = [
        Funnel::UnfulfilledRole,
        Funnel::UnfulfilledConstraint,
        Funnel::NoCorrespondingReservationFound,
        Funnel::AgentMaintenance,
        Funnel::InsufficientCpus,
        Funnel::InsufficientMemory,
        Funnel::InsufficientDisk,
        Funnel::InsufficientGpus,
        Funnel::InsufficientPorts,
        Funnel::DeclinedScarceResources,
    ];

    /// As Marathon writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Funnel::UnfulfilledRole => "UnfulfilledRole",
            Funnel::UnfulfilledConstraint => "UnfulfilledConstraint",
            Funnel::NoCorrespondingReservationFound => "NoCorrespondingReservationFound",
            Funnel::AgentMaintenance => "AgentMaintenance",
            Funnel::InsufficientCpus => "InsufficientCpus",
            Funnel::InsufficientMemory => "InsufficientMemory",
            Funnel::InsufficientDisk => "InsufficientDisk",
            Funnel::InsufficientGpus => "InsufficientGpus",
            Funnel::InsufficientPorts => "InsufficientPorts",
            Funnel::DeclinedScarceResources => "DeclinedScarceResources",
        }
    }
}

// === impl Reason ===

impl Reason {
    /// A short word for tables, metrics and machines.
    pub const fn kind(&self) -> &'static str {
        match self {
            Reason::AgentLost => "agent-lost",
            Reason::AgentDraining => "agent-draining",
            Reason::Role { .. } => "role",
            Reason::Constraint { .. } => "constraint",
            Reason::Cpus { .. } => "cpus",
            Reason::Mem { .. } => "mem",
            Reason::Disk { .. } => "disk",
            Reason::Gpus { .. } => "gpus",
            Reason::Ports { .. } => "ports",
            Reason::PortTaken { .. } => "port-taken",
            Reason::PortForeign { .. } => "port-foreign",
            Reason::Policy { .. } => "policy",
            Reason::NoEngine { .. } => "engine",
            Reason::Image { .. } => "image",
            Reason::Fetch { .. } => "fetch",
            Reason::Start { .. } => "start",
            Reason::Vanished { .. } => "vanished",
            Reason::Overdue { .. } => "overdue",
            Reason::Other { .. } => "other",
            Reason::GpuHost { .. } => "gpu-host",
            Reason::GpuPin { .. } => "gpu-pin",
            Reason::GpuEngine { .. } => "gpu-engine",
            Reason::GpuMissing { .. } => "gpu-missing",
        }
    }

    /// Marathon's words for it, the most telling last. What Marathon never knew counts as a constraint of the agent's,
    /// and maintenance has two words (PL-10).
    pub const fn funnels(&self) -> &'static [Funnel] {
        match self {
            Reason::Role { .. } => &[Funnel::UnfulfilledRole],
            Reason::AgentDraining => &[Funnel::UnfulfilledConstraint, Funnel::AgentMaintenance],
            Reason::Cpus { .. } => &[Funnel::InsufficientCpus],
            Reason::Mem { .. } => &[Funnel::InsufficientMemory],
            Reason::Disk { .. } => &[Funnel::InsufficientDisk],
            Reason::Gpus { .. } | Reason::GpuPin { .. } => &[Funnel::InsufficientGpus],
            Reason::GpuHost { .. } => &[Funnel::DeclinedScarceResources],
            Reason::Ports { .. } | Reason::PortTaken { .. } | Reason::PortForeign { .. } => {
                &[Funnel::InsufficientPorts]
            }
            Reason::AgentLost
            | Reason::Constraint { .. }
            | Reason::Policy { .. }
            | Reason::NoEngine { .. }
            | Reason::Image { .. }
            | Reason::Fetch { .. }
            | Reason::Start { .. }
            | Reason::Vanished { .. }
            | Reason::Overdue { .. }
            | Reason::GpuEngine { .. }
            | Reason::GpuMissing { .. }
            | Reason::Other { .. } => &[Funnel::UnfulfilledConstraint],
        }
    }

    /// Marathon's nearest word.
    pub fn funnel(&self) -> Funnel {
        self.funnels().last().copied().unwrap_or(Funnel::UnfulfilledConstraint)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::AgentLost => write!(f, "the agent is not heard"),
            Reason::AgentDraining => write!(f, "the agent is being drained"),
            Reason::Role { has, accepts } => {
                write!(f, "the agent has role {has}, the app accepts {}", accepts.join(", "))
            }
            Reason::Constraint { constraint, detail, has: _ } => {
                write!(f, "{constraint}: {detail}")
            }
            Reason::Cpus { wanted, free, total } => {
                write!(f, "needs {wanted} cpus, {free} of {total} free")
            }
            Reason::Mem { wanted, free, total } => {
                write!(f, "needs {wanted} MiB of memory, {free} of {total} free")
            }
            Reason::Disk { wanted, free, total } => {
                write!(f, "needs {wanted} MiB of disk, {free} of {total} free")
            }
            Reason::Gpus { wanted, free, total, holders, unhealthy } => {
                write!(f, "needs {wanted} gpus, {free} of {total} free")?;
                if !holders.is_empty() {
                    write!(f, " (held by {})", holders.join(", "))?;
                }
                if unhealthy.is_empty() {
                    return Ok(());
                }
                write!(f, " (not given out: {})", unhealthy.join(", "))
            }
            Reason::Ports { wanted, free } => write!(f, "needs {wanted} ports, {free} free"),
            Reason::PortTaken { port, holder } => write!(f, "port {port} taken by {holder}"),
            Reason::PortForeign { port, holder } => {
                write!(f, "port {port} taken by somebody else: {holder}")
            }
            Reason::Policy { what } => write!(f, "the agent's policy forbids it: {what}"),
            Reason::NoEngine { detail } => write!(f, "no container engine: {detail}"),
            Reason::Image { image, detail } => write!(f, "image {image}: {detail}"),
            Reason::Fetch { uri, detail } => write!(f, "Failed to fetch {uri}: {detail}"),
            Reason::Start { detail } => write!(f, "Failed to run docker container: {detail}"),
            Reason::Vanished { detail } => write!(f, "it ended and nothing says how: {detail}"),
            Reason::Overdue { condition, after } => {
                write!(f, "the launch took too long: {} for {after}", condition.as_str())
            }
            Reason::Other { detail } => f.write_str(detail),
            Reason::GpuHost { devices } => {
                write!(f, "the agent's {devices} gpus are kept for apps that ask for gpus")
            }
            Reason::GpuPin { wanted, trouble } => write!(f, "needs gpu {wanted}, {trouble}"),
            Reason::GpuEngine { detail } => {
                write!(f, "the container engine cannot give gpus to a container: {detail}")
            }
            Reason::GpuMissing { allocated, found } => write!(
                f,
                "the container was started without its gpus: it was given {} and has {}",
                listed(allocated),
                listed(found)
            ),
        }
    }
}

impl fmt::Display for PinTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PinTrouble::Absent { devices } => {
                write!(f, "and the agent has {}", listed(devices))
            }
            PinTrouble::Ambiguous { devices } => write!(f, "which means {}", listed(devices)),
            PinTrouble::Twice { device } => {
                write!(f, "which is {device}, and another of its names is too")
            }
            PinTrouble::Held { device, holder } => write!(f, "{device} is held by {holder}"),
            PinTrouble::Unhealthy { device, trouble } => {
                write!(f, "{device} is not given out: {trouble}")
            }
        }
    }
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
