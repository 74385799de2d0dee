//! What people are told of an app that does not run, as data.

use std::fmt;

use crate::logic::index::pool::Free;
use crate::model::condition::Condition;
use crate::model::id::{AgentKey, Incarnation, InstanceId};
use crate::model::reason::Reason;
use crate::model::time::Timestamp;

/// Why an app does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// How many instances are wanted.
    pub wanted: u32,
    /// How many run.
    pub running: u32,
    /// How many wait to be placed.
    pub waiting: u32,
    /// Until when a backoff holds them back, if it does.
    pub delayed_until: Option<Timestamp>,
    /// Launches that are on their way, the longest without progress first.
    pub launching: Vec<Launching>,
    /// What became of the life that ended last.
    pub last_end: Option<PastEnd>,
    /// What each agent says to one more instance.
    pub agents: Vec<AgentAnswer>,
    /// Values of GROUP_BY fields that hold up nobody, since no agent with them takes an instance.
    pub left_out: Vec<LeftOut>,
    /// What would help, the nearest first.
    pub help: Vec<String>,
    /// How many are on agents that are not heard and wait there: too many agents were lost at once.
    pub held: u32,
}

/// What one agent says to one more instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAnswer {
    /// Which agent.
    pub agent: AgentKey,
    /// What is free there.
    pub free: Free,
    /// How many dynamic ports are free there.
    pub free_ports: u32,
    /// Why not; nothing when it would take it.
    pub reasons: Vec<Reason>,
}

/// A launch that is on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launching {
    /// Of which instance.
    pub instance: InstanceId,
    /// Which life.
    pub incarnation: Incarnation,
    /// Where.
    pub agent: Option<AgentKey>,
    /// Where it stands.
    pub condition: Condition,
    /// Since when without progress.
    pub since: Timestamp,
    /// Bytes pulled so far.
    pub pulled: u64,
}

/// A life that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastEnd {
    /// Of which instance.
    pub instance: InstanceId,
    /// Which life.
    pub incarnation: Incarnation,
    /// How, in one word for machines, as far as it is still known.
    pub kind: Option<&'static str>,
    /// How.
    pub condition: Condition,
    /// How, for people.
    pub message: String,
    /// On which host, as far as it is known.
    pub host: Option<String>,
    /// When.
    pub at: Timestamp,
}

/// A value of a GROUP_BY field where no agent takes an instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The field.
    pub field: String,
    /// The value.
    pub value: String,
    /// How many agents have it.
    pub agents: u32,
}

// === impl LeftOut ===

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LeftOut { field, value, agents } = self;
        write!(f, "{field}={value}, none of its {agents} agents takes one more")
    }
}
