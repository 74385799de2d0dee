//! Hostnames of agents, to warn when two have the same: that is allowed, since an agent's identity is its own, but tasks
//! are shown and reached by the hostname, and constraints on it take both agents for one.

use std::collections::BTreeMap;

use crate::model::id::AgentKey;
use crate::model::world::World;

/// Who has which hostname.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<String, AgentKey>);

// === impl Names ===

impl Names {
    /// An agent is here; says so, and warns when another that is heard has its hostname.
    pub fn came(&mut self, world: &World, key: AgentKey, from: &str) {
        let Some(agent) = world.agents.get(&key) else { return };
        let hostname = &agent.inventory.hostname;
        tracing::info!(agent = %agent.id, %hostname, %from, "an agent is here");
        if let Some(other) = self.taken_by(world, key, hostname) {
            let other = world.agents.get(&other).map(|other| other.id.to_string());
            tracing::warn!(
                %hostname,
                agent = %agent.id,
                other = other.unwrap_or_default(),
                "two agents have one hostname: constraints on it take them for one; --hostname gives each its own"
            );
        }
    }

    /// The agent that had the name before and is heard with it now.
    fn taken_by(&mut self, world: &World, key: AgentKey, hostname: &str) -> Option<AgentKey> {
        let before = self.0.insert(hostname.to_owned(), key).filter(|before| *before != key)?;
        let other = world.agents.get(&before)?;
        (other.is_heard() && other.inventory.hostname == hostname).then_some(before)
    }
}
