//! Which devices an instance gets: healthy ones that nobody holds, in the order in which the agent reports them.

use std::collections::BTreeSet;

use crate::logic::index::agents::AgentUse;
use crate::model::agent::{Agent, DeviceId};

/// Chooses `count` devices, or none when there are fewer.
pub fn choose(
    agent: &Agent,
    used: Option<&AgentUse>,
    taken_now: &BTreeSet<DeviceId>,
    count: u32,
) -> Option<Vec<DeviceId>> {
    let wanted = usize::try_from(count).ok()?;
    let free = agent.inventory.devices.iter().filter(|device| {
        device.healthy
            && !taken_now.contains(&device.id)
            && used.is_none_or(|used| used.device_holder(&device.id).is_none())
    });
    let chosen: Vec<DeviceId> = free.take(wanted).map(|device| device.id.clone()).collect();
    (chosen.len() == wanted).then_some(chosen)
}
