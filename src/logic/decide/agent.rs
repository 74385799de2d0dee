//! One agent: when the deadline of its drain is over, what is left on it is looked at.

use crate::logic::decide::brake;
use crate::logic::draft::Draft;
use crate::model::id::AgentKey;

/// Decides one agent.
pub fn decide(draft: &mut Draft<'_>, key: AgentKey) {
    let Some(agent) = draft.world().agents.get(&key) else { return };
    let deadline = agent.drain.and_then(|drain| drain.deadline);
    if deadline.is_some_and(|deadline| draft.now() >= deadline) {
        brake::mark(draft, key);
    }
}
