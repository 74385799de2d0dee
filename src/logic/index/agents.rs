//! What the instances placed on each agent hold until their end is confirmed.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::agent::DeviceId;
use crate::model::id::{AgentKey, InstanceKey};
use crate::model::instance::Place;
use crate::model::unit::{Cpus, Disk, Mem};
use crate::model::world::{Broken, World};

/// Holdings by agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentUses(BTreeMap<AgentKey, AgentUse>);

/// What is held on one agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AgentUse {
    /// Who is placed there.
    pub instances: BTreeSet<InstanceKey>,
    /// Host ports with their holders. A law says that no port is there twice.
    pub ports: BTreeSet<(u16, InstanceKey)>,
    /// Devices with their holders. A law says that no device is there twice.
    pub devices: BTreeSet<(DeviceId, InstanceKey)>,
    /// Processor share.
    pub cpus: Cpus,
    /// Memory.
    pub mem: Mem,
    /// Disk.
    pub disk: Disk,
}

// === impl AgentUses ===

impl AgentUses {
    /// What is held on `agent`, nothing for one that holds nothing.
    pub fn of(&self, agent: AgentKey) -> Option<&AgentUse> {
        self.0.get(&agent)
    }

    /// Notes that an instance holds a place.
    pub fn hold(&mut self, key: InstanceKey, place: &Place) {
        let used = self.0.entry(place.agent).or_default();
        used.instances.insert(key);
        used.ports.extend(place.ports.iter().flatten().map(|&port| (port, key)));
        used.devices.extend(place.devices.iter().map(|device| (device.clone(), key)));
        used.cpus += place.cpus;
        used.mem += place.mem;
        used.disk += place.disk;
    }

    /// Notes that an instance lets go of a place.
    pub fn release(&mut self, key: InstanceKey, place: &Place) {
        let Some(used) = self.0.get_mut(&place.agent) else { return };
        used.instances.remove(&key);
        for &port in place.ports.iter().flatten() {
            used.ports.remove(&(port, key));
        }
        for device in &place.devices {
            used.devices.remove(&(device.clone(), key));
        }
        used.cpus -= place.cpus;
        used.mem -= place.mem;
        used.disk -= place.disk;
        if used.instances.is_empty() {
            self.0.remove(&place.agent);
        }
    }

    /// Every port or device with two holders, and every agent that gave out more than it has.
    pub fn check(&self, world: &World) -> Vec<Broken> {
        let mut broken = Vec::new();
        for (agent, used) in &self.0 {
            let ports: Vec<u16> = used.ports.iter().map(|(port, _)| *port).collect();
            if let Some(port) = twice(&ports) {
                broken.push(Broken(format!("port {port} of agent {agent} has two holders")));
            }
            let devices: Vec<&DeviceId> = used.devices.iter().map(|(device, _)| device).collect();
            if let Some(device) = twice(&devices) {
                broken.push(Broken(format!("device {device:?} of agent {agent} has two holders")));
            }
            // An agent may shrink under what it already runs; only a known total is a law, and only for placement.
            if world.agents.get(agent).is_none() {
                broken.push(Broken(format!("agent {agent} holds instances and has no row")));
            }
        }
        broken
    }
}

// === impl AgentUse ===

impl AgentUse {
    /// Who holds a port.
    pub fn port_holder(&self, port: u16) -> Option<InstanceKey> {
        let first = (port, InstanceKey::default());
        self.ports.range(first..).next().filter(|(held, _)| *held == port).map(|(_, key)| *key)
    }

    /// Who holds a device.
    pub fn device_holder(&self, device: &DeviceId) -> Option<InstanceKey> {
        let first = (device.clone(), InstanceKey::default());
        self.devices.range(first..).next().filter(|(held, _)| held == device).map(|(_, key)| *key)
    }
}

/// What stands twice in a sorted list.
fn twice<T: PartialEq>(sorted: &[T]) -> Option<&T> {
    sorted.windows(2).find_map(|pair| match pair {
        [one, other] if one == other => Some(one),
        _ => None,
    })
}
