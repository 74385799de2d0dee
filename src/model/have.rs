//! Wants and haves: what an instance shall be on its agent, and what it is there.
//!
//! States, not orders: to repeat, lose or reorder them changes nothing. A want names the commit it rests on; an agent
//! keeps the newest per instance and ignores older ones.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::end::End;
use crate::model::findings::Findings;
use crate::model::id::{AppKey, Incarnation, InstanceId, InstanceKey, Rev, Version};
use crate::model::instance::{Place, StopWhy};
use crate::model::time::{Span, Timestamp};

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
        /// What its checks had found: an agent that starts anew counts on from there.
        findings: Option<Box<Findings>>,
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
    /// What its checks have found, once they are performed.
    pub findings: Option<Box<Findings>>,
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

/// Which definition a message is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SpecKey {
    /// Of which app.
    pub app: AppKey,
    /// Which of its definitions.
    pub version: Version,
}
