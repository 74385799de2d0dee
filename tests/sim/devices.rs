//! Hosts with devices: some seeds have many, with apps that ask for several or for certain ones, hosts that are kept for such
//! apps, and devices that fall out, come back or are added while everything goes on (I5).
//!
//! Chance comes from a stream of its own, so that a seed without devices is the run that it always was.

use std::collections::BTreeSet;

use stayer::model::agent::{Agent, Device, DeviceId, GpuScheduling};
use stayer::model::commit::Commit;
use stayer::model::instance::Instance;
use stayer::model::pin::{Pin, Wanted};
use stayer::model::row::Row;
use stayer::model::spec::{EnvValue, Spec};
use stayer::model::world::World;

use crate::faults::Kind;
use crate::rng::Rng;
use crate::sim::{Event, Sim};
use crate::trace;

/// What a seed about devices has.
#[derive(Clone, Copy, Debug)]
pub struct Gpus {
    /// An agent begins with at most so many.
    pub most: u64,
    /// For whom agents with devices are kept.
    pub scheduling: GpuScheduling,
    /// Between two changes of devices, at most, in milliseconds.
    pub pause: u64,
}

/// No host has more.
const MOST: usize = 8;

// === impl Gpus ===

impl Gpus {
    /// Some seeds are about devices.
    pub fn draw(rng: &mut Rng) -> Option<Gpus> {
        let restricted = rng.chance(400);
        let gpus = Gpus {
            most: rng.between(1, 6),
            scheduling: if restricted {
                GpuScheduling::Restricted
            } else {
                GpuScheduling::Unrestricted
            },
            pause: rng.between(1_000, 12_000),
        };
        rng.chance(350).then_some(gpus)
    }

    /// What an app asks for in such a seed: often several, at times certain ones, at times none and every host.
    pub fn ask(spec: &mut Spec, rng: &mut Rng) {
        let gpus = if rng.chance(600) { rng.between(1, 3) } else { 0 };
        spec.containers[0].gpus = u32::try_from(gpus).expect("small");
        if gpus > 0 && rng.chance(250) {
            let first = rng.below(3);
            let pin: Vec<String> = (first..first + gpus).map(|index| index.to_string()).collect();
            let value = EnvValue::Plain(pin.join(","));
            spec.containers[0].env.insert("NV_GPU".to_owned(), value);
        }
        if gpus == 0 && rng.chance(200) {
            let label = ("GPU_SCHEDULING_BEHAVIOR".to_owned(), "unrestricted".to_owned());
            spec.labels.extend([label]);
        }
    }
}

// === impl Sim: devices ===

impl Sim {
    /// A device of some host falls out, comes back or is added, and another later.
    pub fn devices_stir(&mut self) {
        let Some(gpus) = self.plan.gpus.filter(|_| self.faulty) else { return };
        let agent = self.devices.index(self.agents.len());
        let number = self.agents[agent].inventory.devices.len();
        let kind = if number < MOST && (number == 0 || self.devices.chance(200)) {
            let device = device(number);
            self.agents[agent].inventory.devices.push(device);
            Kind::DeviceJoins
        } else {
            let which = self.devices.index(number);
            let trouble = &mut self.agents[agent].inventory.devices[which].trouble;
            if trouble.take().is_some() {
                Kind::DeviceBack
            } else {
                *trouble = Some("it fell off the bus".to_owned());
                Kind::DeviceLost
            }
        };
        self.seen.met(kind);
        trace!(self, "agent {agent}: {kind}");
        self.tell_devices(agent);
        let pause = self.devices.between(50, gpus.pause);
        self.later(pause, Event::DevicesStir);
    }

    /// Every device is well again.
    pub fn devices_heal(&mut self) {
        for agent in 0..self.agents.len() {
            for device in &mut self.agents[agent].inventory.devices {
                device.trouble = None;
            }
            self.tell_devices(agent);
        }
    }

    /// The agent's process, if there is one, says what it offers from now on.
    fn tell_devices(&mut self, agent: usize) {
        let host = &mut self.agents[agent];
        if let Some(up) = &mut host.up {
            up.link.offer(host.inventory.clone());
        }
    }

    /// What a commit gives out may be given out: as many as are asked for, healthy, the named ones, and no kept host to
    /// others. That nobody else holds them is the index's law, and the hosts' truth.
    pub fn check_devices(&mut self, before: &World, commit: &Commit) {
        for write in &commit.writes {
            let Some(Row::Instance(row)) = &write.row else { continue };
            let old = before.instances.get(&row.key);
            if row.place.is_none() || old.is_some_and(|old| old.incarnation == row.incarnation) {
                continue;
            }
            if let Err(text) = given(&commit.world, row) {
                return self.fail("I5", format!("{}: {text}", row.id));
            }
        }
    }
}

fn given(world: &World, row: &Instance) -> Result<(), String> {
    let place = row.place.as_ref().ok_or("it has no place")?;
    let agent = world.agents.get(&place.agent).ok_or("it has no agent")?;
    let version = world.versions.get(&(row.key.app, row.version)).ok_or("it has no definition")?;
    let container = version.spec.container();
    let devices: BTreeSet<&DeviceId> = place.devices.iter().collect();
    if devices.len() != container.gpus as usize || devices.len() != place.devices.len() {
        return Err(format!("{} gpus were asked for, {devices:?} given", container.gpus));
    }
    for id in devices {
        let device = agent.inventory.devices.iter().find(|device| device.id == *id);
        if device.is_none_or(|device| !device.is_healthy()) {
            return Err(format!("it gets {device:?}"));
        }
    }
    let pin = Pin::of(&version.spec);
    let named = pin.iter().flat_map(Pin::wanted).map(|wanted| id_of(agent, wanted));
    if let Some(lacks) = named.flatten().find(|id| !place.devices.contains(id)) {
        return Err(format!("it names {lacks:?} and gets {:?}", place.devices));
    }
    if is_kept_off(world, agent, &version.spec) {
        return Err("it asks for no gpu and is on a host with gpus".to_owned());
    }
    Ok(())
}

/// Whether the rule of scarce resources keeps an app off an agent (PL-12).
pub fn is_kept_off(world: &World, agent: &Agent, spec: &Spec) -> bool {
    let label = spec.labels.get("GPU_SCHEDULING_BEHAVIOR").map(String::as_str);
    spec.container().gpus == 0
        && world.gpu_scheduling() == GpuScheduling::Restricted
        && label != Some("unrestricted")
        && !agent.inventory.devices.is_empty()
}

/// Whether an agent has the devices that an app asks for, from the rows alone.
pub fn are_free(world: &World, agent: &Agent, spec: &Spec) -> bool {
    let rows = world.instances.iter().filter_map(|(_, row)| row.place.as_ref());
    let held: BTreeSet<&DeviceId> =
        rows.filter(|place| place.agent == agent.key).flat_map(|place| &place.devices).collect();
    let is_free = |device: &&Device| device.is_healthy() && !held.contains(&device.id);
    let free: BTreeSet<&DeviceId> =
        agent.inventory.devices.iter().filter(is_free).map(|device| &device.id).collect();
    match Pin::of(spec) {
        Some(pin) => {
            pin.wanted().all(|wanted| id_of(agent, wanted).is_some_and(|id| free.contains(&id)))
        }
        None => free.len() >= spec.container().gpus as usize,
    }
}

fn id_of(agent: &Agent, wanted: &Wanted) -> Option<DeviceId> {
    let Wanted::Index(index) = wanted else { return None };
    let device = agent.inventory.devices.iter().find(|device| device.index == *index)?;
    Some(device.id.clone())
}

/// The device of this number on any host.
pub fn device(number: usize) -> Device {
    let index = u32::try_from(number).expect("small");
    Device {
        id: DeviceId(format!("gpu-{number}").into()),
        model: "synthetic".to_owned(),
        index,
        mem: None,
        minor: Some(index),
        trouble: None,
    }
}
