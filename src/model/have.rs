//! Wants and haves: what an instance shall be on its agent, and what it is there.
//!
//! States, not orders: to repeat, lose or reorder them changes nothing. A want names the commit it rests on; an agent
//! keeps the newest per instance and ignores older ones.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::id::{AppKey, Incarnation, InstanceId, InstanceKey, Rev, Version};
use crate::model::instance::Place;
use crate::model::reason::Reason;
use crate::model::time::{Span, Timestamp};
use crate::model::unit::Mem;

/// What an instance shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Want {
    /// Which instance.
    pub key: InstanceKey,
    /// Its id outside and on the host.
    pub instance: InstanceId,
    /// In which life.
    pub incarnation: Incarnation,
    /// The commit this rests on.
    pub rev: Rev,
    /// How many more lives the agent may use by itself while no leader is heard.
    pub lives: u8,
    /// What it shall be.
    pub goal: WantGoal,
}

/// What an instance shall be on its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WantGoal {
    /// Running.
    Run {
        /// The definition.
        version: Version,
        /// What it may use.
        place: Place,
        /// Started when this one is gone.
        after: Option<InstanceKey>,
    },
    /// Ended.
    Stop {
        /// From the request to end to the kill.
        grace: Span,
        /// Why.
        why: StopWhy,
    },
    /// Ended, and nothing of it kept.
    Forget,
}

/// Why an instance is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopWhy {
    /// Somebody asked for it; it is launched again.
    Killed,
    /// There are more than wanted.
    Surplus,
    /// A newer configuration takes its place.
    Upgrade,
    /// Its app is removed.
    Removed,
    /// It is to be forgotten with all it has.
    Wiped,
    /// A health check failed.
    Unhealthy,
    /// Its launch took too long.
    Overdue,
    /// Its agent was lost for too long and it has been replaced.
    Replaced,
}

/// What an instance is on its agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Have {
    /// Which instance, as the host knows it.
    pub instance: InstanceId,
    /// Its app, as the host knows it.
    pub key: InstanceKey,
    /// In which life.
    pub incarnation: Incarnation,
    /// The newest want that the agent has acted on.
    pub rev_seen: Rev,
    /// One per container of the definition.
    pub tasks: Vec<TaskHave>,
}

/// What one container is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskHave {
    /// The container's name.
    pub task: String,
    /// What it does.
    pub phase: Phase,
    /// Result of its health checks.
    pub health: Option<bool>,
    /// Result of its readiness check.
    pub ready: Option<bool>,
}

/// What a container does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// Sandbox, fetch, pull.
    Preparing {
        /// Bytes pulled so far.
        pulled: u64,
    },
    /// Being started.
    Starting,
    /// Running.
    Running {
        /// Since when, by the host's clock.
        at: Timestamp,
        /// Its addresses.
        ips: Vec<IpAddr>,
        /// A container id or a process id.
        handle: String,
    },
    /// Asked to end.
    Stopping {
        /// Since when, by the host's clock.
        at: Timestamp,
    },
    /// Ended.
    Exited {
        /// When, by the host's clock.
        at: Timestamp,
        /// How.
        end: End,
    },
    /// Nothing of it is here.
    Absent,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum End {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel killed it for its memory.
    Oom {
        /// The most it used, if known.
        peak: Option<Mem>,
    },
    /// It never started.
    Refused(Reason),
    /// It was there and is not any more, and nothing says how it ended.
    Gone(Reason),
}

/// Which definition a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SpecKey {
    /// Of which app.
    pub app: AppKey,
    /// Which of its definitions.
    pub version: Version,
}

// === impl End ===

impl End {
    /// For people, with Mesos' words where it had some (CT-13).
    pub fn message(&self) -> String {
        match self {
            End::Code(code) => format!("Container exited with status {code}"),
            End::Signal(signal) => {
                format!("Container terminated with signal {}", signal_name(*signal))
            }
            End::Oom { peak: Some(peak) } => {
                format!("Memory limit exceeded: killed by the kernel, peak {peak} MiB")
            }
            End::Oom { peak: None } => "Memory limit exceeded: killed by the kernel".to_owned(),
            End::Refused(reason) | End::Gone(reason) => reason.to_string(),
        }
    }
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        1 => "Hangup",
        2 => "Interrupt",
        3 => "Quit",
        6 => "Aborted",
        9 => "Killed",
        11 => "Segmentation fault",
        13 => "Broken pipe",
        15 => "Terminated",
        other => return other.to_string(),
    };
    format!("{signal} ({name})")
}
