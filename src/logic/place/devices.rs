//! Which devices an instance gets: healthy ones that nobody holds, in the order in which the agent reports them, or just
//! those that the app names.

use std::collections::BTreeSet;

use crate::logic::index::agents::AgentUse;
use crate::model::agent::{Agent, Device, DeviceId};
use crate::model::id::InstanceKey;
use crate::model::pin::{Pin, Wanted};
use crate::planted::planted;

/// What stands between an app and a device that it names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Obstacle<'a> {
    /// The agent has no such device.
    Absent,
    /// The name means several.
    Ambiguous,
    /// Another name means the same device.
    Twice(&'a Device),
    /// This instance holds it.
    Held(&'a Device, InstanceKey),
    /// Another instance of the same step is about to have it.
    Given(&'a Device),
    /// It may not be given out.
    Unhealthy(&'a Device),
}

/// How many devices of an agent are healthy and held by nobody.
pub fn free(agent: &Agent, used: Option<&AgentUse>) -> usize {
    free_devices(agent, used).count()
}

/// Chooses `count` devices, or none when there are fewer or when one of those that are named cannot be had.
pub fn choose(
    agent: &Agent,
    used: Option<&AgentUse>,
    taken_now: &BTreeSet<DeviceId>,
    count: u32,
    pin: Option<&Pin>,
) -> Option<Vec<DeviceId>> {
    let wanted = usize::try_from(count).ok()?;
    let chosen: Vec<DeviceId> = match pin {
        Some(pin) => {
            let named = named(agent, used, taken_now, pin);
            named.map(|(_, device)| device.ok().map(|it| it.id.clone())).collect::<Option<_>>()?
        }
        None => free_devices(agent, used)
            .map(|device| device.id.clone())
            .filter(|id| !taken_now.contains(id))
            .take(wanted)
            .collect(),
    };
    (chosen.len() == wanted).then_some(chosen)
}

/// Each device that an app names, as this agent has it.
pub fn named<'a>(
    agent: &'a Agent,
    used: Option<&'a AgentUse>,
    taken_now: &'a BTreeSet<DeviceId>,
    pin: &'a Pin,
) -> impl Iterator<Item = (&'a Wanted, Result<&'a Device, Obstacle<'a>>)> {
    let mut before = BTreeSet::new();
    pin.wanted().map(move |wanted| {
        let found = one(&matching(agent, wanted)).and_then(|device| {
            if !before.insert(&device.id) {
                Err(Obstacle::Twice(device))
            } else if !device.is_healthy() {
                Err(Obstacle::Unhealthy(device))
            } else if let Some(holder) = used.and_then(|used| used.device_holder(&device.id)) {
                Err(Obstacle::Held(device, holder))
            } else if taken_now.contains(&device.id) {
                Err(Obstacle::Given(device))
            } else {
                Ok(device)
            }
        });
        (wanted, found)
    })
}

/// The devices of an agent that a name means; a whole UUID means one, whatever else begins with it.
pub fn matching<'a>(agent: &'a Agent, wanted: &Wanted) -> Vec<&'a Device> {
    let all = || agent.inventory.devices.iter();
    match wanted {
        Wanted::Index(index) => all().filter(|device| device.index == *index).collect(),
        Wanted::Prefix(prefix) => match all().find(|device| *device.id.0 == **prefix) {
            Some(device) => vec![device],
            None => all().filter(|device| device.id.0.starts_with(prefix.as_str())).collect(),
        },
    }
}

fn free_devices<'a>(
    agent: &'a Agent,
    used: Option<&'a AgentUse>,
) -> impl Iterator<Item = &'a Device> {
    let is_held =
        move |device: &Device| used.is_some_and(|used| used.device_holder(&device.id).is_some());
    agent.inventory.devices.iter().filter(move |device| {
        planted!("sick-device-given", device.is_healthy(), true)
            && planted!("device-given-twice", !is_held(device), true)
    })
}

fn one<'a>(found: &[&'a Device]) -> Result<&'a Device, Obstacle<'a>> {
    match found {
        [] => Err(Obstacle::Absent),
        [device] => Ok(*device),
        _ => Err(Obstacle::Ambiguous),
    }
}
