//! An instance: one slot of an app, which survives the restarts of its tasks.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::agent::DeviceId;
use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::findings::Findings;
use crate::model::id::{AgentKey, Incarnation, InstanceId, InstanceKey, Rev, TaskName, Version};
use crate::model::time::Timestamp;
use crate::model::unit::{Cpus, Disk, Mem};
use crate::planted::planted;

/// One slot of an app.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Its key.
    pub key: InstanceKey,
    /// Its id outside.
    pub id: InstanceId,
    /// The definition that its current life runs (LQ-4).
    pub version: Version,
    /// The configuration of that definition; see [`AppVersion::config`](crate::model::app::AppVersion::config).
    pub config: Version,
    /// What is wanted of it.
    pub goal: Goal,
    /// Its life; 0 before the first launch.
    pub incarnation: Incarnation,
    /// How many lives the agent may use by itself while no leader is heard.
    pub lives: u8,
    /// Where it is, and what it holds there. Outlives a life only when volumes bind it.
    pub place: Option<Place>,
    /// The instance whose place it takes over.
    pub after: Option<InstanceKey>,
    /// Its tasks, one a container; empty before the first launch.
    pub tasks: Vec<Task>,
    /// Since when it waits or is what it is.
    pub since: Timestamp,
    /// The commit that last really changed it.
    pub rev: Rev,
}

/// What is wanted of an instance (SM-6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Goal {
    /// Keep it running, launch it again when it ends.
    Run,
    /// End it.
    Stop {
        /// What follows its end.
        then: Then,
        /// Why.
        why: StopWhy,
        /// Since when.
        since: Timestamp,
        /// It is out of every answer, and its agent is told only then, or once those who balance know.
        drains_until: Option<Timestamp>,
    },
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
    /// Its agent is being emptied.
    Drained,
    /// Its agent was forgotten.
    Forgotten,
}

/// What follows the end of an instance that is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// It is launched again, as it is no failure of its own without delay (SC-12).
    Relaunch,
    /// Its row leaves.
    Leave,
    /// It keeps its place for a later life (residents).
    Keep,
}

/// Where an instance is placed and what it holds there until its agent has confirmed its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// On which agent.
    pub agent: AgentKey,
    /// Host ports in the order of the definition, a gap where a mapping has none.
    pub ports: Vec<Option<u16>>,
    /// Devices.
    pub devices: Vec<DeviceId>,
    /// Processor share.
    pub cpus: Cpus,
    /// Memory.
    pub mem: Mem,
    /// Disk.
    pub disk: Disk,
    /// The fields of the agent by which constraints compare instances with each other, as they were at the launch; only
    /// those that its own definition compares (PL-19).
    pub fields: Vec<FieldValue>,
    /// How many seconds the launch may go without progress, as the agent said when it was placed.
    pub launch_seconds: Option<u32>,
}

/// A field of an agent, with its value if it had one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldValue {
    /// Its name.
    pub name: Arc<str>,
    /// What it was.
    pub value: Option<Arc<str>>,
}

/// One container of an instance in its current life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// The container's name.
    pub name: TaskName,
    /// What is known of it.
    pub condition: Condition,
    /// Since when.
    pub since: Timestamp,
    /// When its launch was decided.
    pub staged_at: Timestamp,
    /// When it first ran.
    pub started_at: Option<Timestamp>,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// What the host calls it: a container id or a process id.
    pub handle: Option<Box<str>>,
    /// Bytes pulled so far, while it is prepared.
    pub pulled: u64,
    /// What its checks have found; none without any.
    pub findings: Option<Box<Findings>>,
    /// How it ended; few have, and their rows are many.
    pub end: Option<Box<End>>,
}

// === impl StopWhy ===

impl StopWhy {
    /// Whether what is stopped may serve well until its end, so that those who balance are waited for.
    pub const fn drains(self) -> bool {
        match self {
            StopWhy::Killed
            | StopWhy::Surplus
            | StopWhy::Upgrade
            | StopWhy::Removed
            | StopWhy::Wiped
            | StopWhy::Drained => true,
            StopWhy::Unhealthy | StopWhy::Overdue | StopWhy::Replaced | StopWhy::Forgotten => false,
        }
    }
}

// === impl Instance ===

impl Instance {
    /// What is known of the whole instance; none before its first launch (an app has one task).
    pub fn condition(&self) -> Option<Condition> {
        self.tasks.first().map(|task| task.condition)
    }

    /// Whether it counts as one of those that the app shall have.
    pub fn is_wanted(&self) -> bool {
        matches!(self.goal, Goal::Run | Goal::Stop { then: Then::Relaunch, .. })
    }

    /// Whether it is wanted and not given up: what is counted against the number that is asked for.
    pub fn is_counted(&self) -> bool {
        self.is_wanted() && self.condition() != Some(Condition::UnreachableInactive)
    }

    /// Whether it ends, is not known to have ended, and its agent is heard.
    pub fn is_leaving(&self) -> bool {
        !self.is_wanted()
            && self.is_live()
            && !self.condition().is_some_and(Condition::is_unreachable)
    }

    /// Whether it is leaving because its agent is being emptied.
    pub fn is_drained(&self) -> bool {
        self.is_leaving() && matches!(self.goal, Goal::Stop { why: StopWhy::Drained, .. })
    }

    /// Until when it is out of every answer without its agent knowing, unless those who balance know earlier.
    pub fn drains_until(&self) -> Option<Timestamp> {
        match self.goal {
            Goal::Run => None,
            Goal::Stop { drains_until, .. } => drains_until,
        }
    }

    /// Whether something of it may exist on its agent: it holds its place until its end is confirmed.
    pub fn is_live(&self) -> bool {
        self.condition().is_some_and(|condition| !condition.is_terminal())
    }

    /// Whether it is wanted and waits to be launched, for the first time or again (LQ-1).
    pub fn is_scheduled(&self) -> bool {
        self.goal == Goal::Run && !self.is_live()
    }

    /// Whether it serves: it runs, and all its checks say so (RU-10).
    pub fn is_healthy(&self) -> bool {
        self.goal == Goal::Run && !self.tasks.is_empty() && self.tasks.iter().all(Task::serves)
    }

    /// Whether a health check says that it is not alive.
    pub fn fails(&self) -> bool {
        self.tasks.iter().any(Task::fails)
    }

    /// Since when it is known that it is no longer alive, having been so.
    pub fn turned(&self) -> Option<Timestamp> {
        self.findings().filter_map(|findings| findings.turned).min()
    }

    /// What the checks of its tasks have found.
    pub fn findings(&self) -> impl Iterator<Item = &Findings> {
        self.tasks.iter().filter_map(|task| task.findings.as_deref())
    }

    /// What its health checks come to: alive when all are, nothing while one has no result (HC-12).
    pub fn health(&self) -> Option<bool> {
        let mut all = true;
        for task in &self.tasks {
            all &= task.findings.as_ref()?.health()?;
        }
        Some(all).filter(|_| !self.tasks.is_empty())
    }

    /// When it first ran in this life.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.tasks.iter().filter_map(|task| task.started_at).min()
    }
}

// === impl Task ===

impl Task {
    /// Whether it runs, and all its checks say that it serves.
    pub fn serves(&self) -> bool {
        let serves = self.findings.as_ref().is_none_or(|findings| findings.serves());
        self.condition == Condition::Running && planted!("unproven-counts-as-healthy", serves, true)
    }

    /// Whether a health check says that it is not alive.
    pub fn fails(&self) -> bool {
        self.findings.as_ref().is_some_and(|findings| findings.fails())
    }
}
