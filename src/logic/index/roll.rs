//! Which agents are heard, which are lost since when, and which are being emptied.
//!
//! One that is being emptied counts neither as heard nor as lost: its absence is somebody's wish.

use std::collections::BTreeSet;

use crate::model::agent::{Agent, AgentState};
use crate::model::id::AgentKey;
use crate::model::time::Timestamp;

/// Agents by what is known of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Roll {
    heard: usize,
    lost: BTreeSet<(Timestamp, AgentKey)>,
    draining: BTreeSet<AgentKey>,
}

// === impl Roll ===

impl Roll {
    /// How many are heard.
    pub fn heard(&self) -> usize {
        self.heard
    }

    /// Those lost after `from`, the longest lost first.
    pub fn lost_after(&self, from: Timestamp) -> impl Iterator<Item = AgentKey> + '_ {
        let later = self.lost.range((from, AgentKey(u32::MAX))..).filter(move |(at, _)| *at > from);
        later.map(|(_, agent)| *agent)
    }

    /// Those that are being emptied.
    pub fn draining(&self) -> &BTreeSet<AgentKey> {
        &self.draining
    }

    /// Follows an agent that comes or has changed.
    pub fn add(&mut self, agent: &Agent) {
        match (agent.drain, agent.state) {
            (Some(_), _) => {
                self.draining.insert(agent.key);
            }
            (None, AgentState::Up) => self.heard += 1,
            (None, AgentState::Lost { since }) => {
                self.lost.insert((since, agent.key));
            }
        }
    }

    /// Follows an agent that leaves or changes.
    pub fn remove(&mut self, agent: &Agent) {
        match (agent.drain, agent.state) {
            (Some(_), _) => {
                self.draining.remove(&agent.key);
            }
            (None, AgentState::Up) => self.heard -= 1,
            (None, AgentState::Lost { since }) => {
                self.lost.remove(&(since, agent.key));
            }
        }
    }
}
