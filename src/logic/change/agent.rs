//! What operators do to agents: empty one, take that back, give one up, and let what was lost be replaced.

use crate::logic::decide::{brake, health};
use crate::logic::draft::Draft;
use crate::logic::status;
use crate::model::agent::{Agent, Drain};
use crate::model::fact::{Answer, Refusal};
use crate::model::id::{AgentKey, InstanceKey};
use crate::model::row::Key;
use crate::model::time::Span;
use crate::planted::planted;

/// Begins to empty an agent. One that is being emptied gets another deadline.
///
/// # Errors
/// When there is no such agent.
pub fn drain(
    draft: &mut Draft<'_>,
    key: AgentKey,
    deadline: Option<Span>,
) -> Result<Answer, Refusal> {
    let agent = known(draft, key)?;
    let now = draft.now();
    let since = agent.drain.map_or(now, |drain| drain.since);
    let deadline = deadline.map(|deadline| now + deadline);
    draft.put_agent(Agent { drain: Some(Drain { since, deadline }), ..agent });
    Ok(Answer::Done)
}

/// Lets an agent take work again. What its drain has moved stays where it is.
///
/// # Errors
/// When there is no such agent.
pub fn undrain(draft: &mut Draft<'_>, key: AgentKey) -> Result<Answer, Refusal> {
    let agent = known(draft, key)?;
    draft.put_agent(Agent { drain: None, ..agent });
    Ok(Answer::Done)
}

/// Takes an agent for gone for good: what it had is replaced, its row leaves. If it does come back, or is still there and
/// dials again, it is a new one, and what runs on it are strays.
///
/// # Errors
/// When there is no such agent, or it is heard and not empty.
pub fn forget(draft: &mut Draft<'_>, key: AgentKey) -> Result<Answer, Refusal> {
    let agent = known(draft, key)?;
    let used = draft.index().agents.of(key);
    let there: Vec<InstanceKey> =
        used.into_iter().flat_map(|used| used.instances.iter().copied()).collect();
    let in_use = agent.is_heard() && !there.is_empty();
    if planted!("forgets-what-is-heard", in_use, false) {
        let instances = u32::try_from(there.len()).unwrap_or(u32::MAX);
        return Err(Refusal::AgentInUse { hostname: agent.inventory.hostname, instances });
    }
    for instance in planted!("forgets-the-agent-alone", there, Vec::new()) {
        status::give_up(draft, instance);
    }
    draft.remove(Key::Agent(key));
    Ok(Answer::Done)
}

/// Lets what was lost be replaced, and what fails its checks be killed, however much that is.
pub fn release_brake(draft: &mut Draft<'_>) -> Answer {
    if draft.brake().held.is_some() {
        let now = draft.now();
        brake::release(draft, Some(now));
    }
    health::release(draft);
    Answer::Done
}

fn known(draft: &Draft<'_>, key: AgentKey) -> Result<Agent, Refusal> {
    draft.world().agents.get(&key).cloned().ok_or(Refusal::NoAgent { agent: key })
}
