//! Whether an agent can take one more instance: in one word for the hot path, with every reason for people.
//!
//! Both walk the same filters in Marathon's funnel order (PL-24, PL-25). Ports come last and only when all else fits, as
//! Marathon has it, in the hot path; people see them always.

use std::collections::BTreeSet;

use crate::logic::index::agents::AgentUse;
use crate::logic::index::pool::{Amounts, Free};
use crate::logic::place::Ask;
use crate::logic::place::constraint::Rules;
use crate::logic::place::devices::{self, Obstacle};
use crate::logic::place::need::{Need, PortNeed};
use crate::logic::place::ports;
use crate::logic::place::taken::Taken;
use crate::model::agent::{Agent, Device};
use crate::model::id::{APP_TASK, InstanceId, InstanceKey};
use crate::model::pin::Wanted;
use crate::model::policy;
use crate::model::reason::{Funnel, PinTrouble, Reason};
use crate::model::unit::{Cpus, Disk, Mem};
use crate::model::world::World;
use crate::planted::planted;

/// The strongest reason against one more instance on an agent, beside what a class has already taken there, if there is
/// any. GROUP_BY is not asked.
pub fn refusal_of(
    ask: &Ask<'_>,
    rules: &Rules<'_>,
    agent: &Agent,
    slot: usize,
    taken: Option<&Taken>,
) -> Option<Funnel> {
    let Ask { index, need, .. } = ask;
    if !accepts_role(need, agent) {
        return Some(Funnel::UnfulfilledRole);
    }
    // Maintenance counts as a constraint first (PL-10).
    if planted!("lost-agent-takes-work", !agent.is_heard(), false)
        || planted!("drain-takes-new-work", agent.is_draining(), false)
    {
        return Some(Funnel::UnfulfilledConstraint);
    }
    if rules.bars(slot)
        || (need.engine && agent.inventory.engine.is_none())
        || is_forbidden(need, agent)
    {
        return Some(Funnel::UnfulfilledConstraint);
    }
    match taken {
        None if index.pool.fits(slot, &need.amounts) => {}
        None => return Some(scarce(index.pool.free(slot), &need.amounts)),
        Some(taken) => {
            let left = left(index.pool.free(slot), &need.amounts, taken.instances);
            if !holds(left, &need.amounts) {
                return Some(scarce(left, &need.amounts));
            }
        }
    }
    if need.pin.is_some() && !has_devices(ask, agent, taken) {
        return Some(Funnel::InsufficientGpus);
    }
    if planted!("kept-host-given-away", need.off_gpus, false) && !agent.inventory.devices.is_empty()
    {
        return Some(Funnel::DeclinedScarceResources);
    }
    (!has_ports(ask, agent, taken)).then_some(Funnel::InsufficientPorts)
}

/// Every reason against one more instance on an agent that its row and what is held there give. What constraints say is
/// [`why`](crate::logic::place::why)'s.
pub fn reasons(ask: &Ask<'_>, agent: &Agent) -> Vec<Reason> {
    let Ask { world, index, need, .. } = ask;
    let mut reasons = Vec::new();
    if !agent.is_heard() {
        reasons.push(Reason::AgentLost);
    }
    if agent.is_draining() {
        reasons.push(Reason::AgentDraining);
    }
    if !accepts_role(need, agent) {
        reasons.push(Reason::Role { has: agent.inventory.role.clone(), accepts: accepted(need) });
    }
    if need.engine && agent.inventory.engine.is_none() {
        let detail = "the app has an image and no engine answers on this agent".to_owned();
        reasons.push(Reason::NoEngine { detail });
    }
    if need.guarded {
        reasons.extend(policy::violations(&agent.inventory.policy, need.spec));
    }
    let used = index.agents.of(agent.key);
    let free = index.pool.slot(agent.key).map(|slot| index.pool.free(slot)).unwrap_or_default();
    amounts(world, need, agent, used, free, &mut reasons);
    port_reasons(ask, agent, used, &mut reasons);
    reasons
}

/// A holder in words: the app and the task.
pub fn holder(world: &World, key: InstanceKey) -> String {
    match (world.apps.get(&key.app), world.instances.get(&key)) {
        (Some(app), Some(instance)) => {
            format!(
                "{} ({})",
                app.path,
                instance.id.task(&app.path, APP_TASK, instance.incarnation)
            )
        }
        (Some(_) | None, _) => "an instance that is leaving".to_owned(),
    }
}

fn accepted(need: &Need<'_>) -> Vec<String> {
    match &need.spec.accepted_roles {
        Some(roles) => roles.iter().cloned().collect(),
        None => BTreeSet::from([need.spec.role.clone(), "*".to_owned()]).into_iter().collect(),
    }
}

fn accepts_role(need: &Need<'_>, agent: &Agent) -> bool {
    let role = &agent.inventory.role;
    match &need.spec.accepted_roles {
        Some(roles) => roles.contains(role),
        None => role == "*" || *role == need.spec.role,
    }
}

fn is_forbidden(need: &Need<'_>, agent: &Agent) -> bool {
    need.guarded && !policy::violations(&agent.inventory.policy, need.spec).is_empty()
}

fn has_ports(ask: &Ask<'_>, agent: &Agent, taken: Option<&Taken>) -> bool {
    let needs = &ask.need.ports;
    let used = ask.index.agents.of(agent.key);
    match taken {
        None => needs.is_empty() || ports::fit(agent, used, needs, ask.now),
        Some(taken) => {
            let nobody = InstanceId(uuid::Uuid::nil());
            ports::choose(agent, used, &taken.ports, needs, nobody, ask.now).is_some()
                && has_devices(ask, agent, Some(taken))
        }
    }
}

fn has_devices(ask: &Ask<'_>, agent: &Agent, taken: Option<&Taken>) -> bool {
    let none = BTreeSet::new();
    let taken = taken.map_or(&none, |taken| &taken.devices);
    let (used, need) = (ask.index.agents.of(agent.key), &ask.need);
    devices::choose(agent, used, taken, need.amounts.gpus, need.pin.as_ref()).is_some()
}

/// What `count` instances leave of what is free.
fn left(free: Free, one: &Amounts, count: u32) -> Free {
    let times = |amount: u64| amount.saturating_mul(u64::from(count));
    Free {
        cpus: free.cpus.saturating_sub(Cpus::micro(times(one.cpus.as_micro()))),
        mem: free.mem.saturating_sub(Mem::micro(times(one.mem.as_micro()))),
        disk: free.disk.saturating_sub(Disk::micro(times(one.disk.as_micro()))),
        gpus: free.gpus.saturating_sub(one.gpus.saturating_mul(count)),
    }
}

fn holds(free: Free, one: &Amounts) -> bool {
    free.cpus >= one.cpus && free.mem >= one.mem && free.disk >= one.disk && free.gpus >= one.gpus
}

fn scarce(free: Free, one: &Amounts) -> Funnel {
    if free.cpus < one.cpus {
        Funnel::InsufficientCpus
    } else if free.mem < one.mem {
        Funnel::InsufficientMemory
    } else if free.disk < one.disk {
        Funnel::InsufficientDisk
    } else {
        Funnel::InsufficientGpus
    }
}

fn amounts(
    world: &World,
    need: &Need<'_>,
    agent: &Agent,
    used: Option<&AgentUse>,
    free: Free,
    reasons: &mut Vec<Reason>,
) {
    let (wanted, offers) = (&need.amounts, &agent.inventory);
    if free.cpus < wanted.cpus {
        reasons.push(Reason::Cpus { wanted: wanted.cpus, free: free.cpus, total: offers.cpus });
    }
    if free.mem < wanted.mem {
        reasons.push(Reason::Mem { wanted: wanted.mem, free: free.mem, total: offers.mem });
    }
    if free.disk < wanted.disk {
        reasons.push(Reason::Disk { wanted: wanted.disk, free: free.disk, total: offers.disk });
    }
    if free.gpus < wanted.gpus {
        reasons.push(too_few_gpus(world, need, agent, used, free));
    } else if let Some(pin) = &need.pin {
        let none = BTreeSet::new();
        for (wanted, found) in devices::named(agent, used, &none, pin) {
            let Err(obstacle) = found else { continue };
            let trouble = pin_trouble(world, agent, wanted, obstacle);
            reasons.push(Reason::GpuPin { wanted: wanted.to_string(), trouble });
        }
    }
    if need.off_gpus && !offers.devices.is_empty() {
        reasons.push(Reason::GpuHost { devices: count(offers.devices.len()) });
    }
}

fn too_few_gpus(
    world: &World,
    need: &Need<'_>,
    agent: &Agent,
    used: Option<&AgentUse>,
    free: Free,
) -> Reason {
    let devices = &agent.inventory.devices;
    let holding = used.into_iter().flat_map(|used| &used.devices).map(|(_, key)| *key);
    let holders: BTreeSet<InstanceKey> = holding.collect();
    let sick = devices.iter().filter_map(|device| {
        device.trouble.as_ref().map(|trouble| format!("{}: {trouble}", device.id.0))
    });
    let driver = agent.inventory.gpu_driver.as_ref().and_then(|driver| driver.trouble.clone());
    Reason::Gpus {
        wanted: need.amounts.gpus,
        free: free.gpus,
        total: count(devices.len()),
        holders: holders.into_iter().map(|key| holder(world, key)).collect(),
        unhealthy: sick.chain(driver.filter(|_| devices.is_empty())).collect(),
    }
}

fn pin_trouble(
    world: &World,
    agent: &Agent,
    wanted: &Wanted,
    obstacle: Obstacle<'_>,
) -> PinTrouble {
    let name = |device: &Device| device.id.0.to_string();
    match obstacle {
        Obstacle::Absent => {
            PinTrouble::Absent { devices: agent.inventory.devices.iter().map(name).collect() }
        }
        Obstacle::Ambiguous => {
            let devices = devices::matching(agent, wanted).into_iter().map(name).collect();
            PinTrouble::Ambiguous { devices }
        }
        Obstacle::Twice(device) => PinTrouble::Twice { device: name(device) },
        Obstacle::Held(device, key) => {
            PinTrouble::Held { device: name(device), holder: holder(world, key) }
        }
        Obstacle::Given(device) => {
            let holder = "an instance that is about to start".to_owned();
            PinTrouble::Held { device: name(device), holder }
        }
        Obstacle::Unhealthy(device) => PinTrouble::Unhealthy {
            device: name(device),
            trouble: device.trouble.clone().unwrap_or_default(),
        },
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn port_reasons(ask: &Ask<'_>, agent: &Agent, used: Option<&AgentUse>, reasons: &mut Vec<Reason>) {
    let Ask { world, need, now, .. } = ask;
    for port in &need.ports {
        let PortNeed::Fixed(port) = *port else { continue };
        if let Some(key) = used.and_then(|used| used.port_holder(port)) {
            reasons.push(Reason::PortTaken { port, holder: holder(world, key) });
        } else if let Some(foreign) = ports::foreign(agent, port, *now) {
            reasons.push(Reason::PortForeign { port, holder: foreign.holder.clone() });
        }
    }
    let wanted = need.dynamic_ports();
    let free = ports::free_dynamic(agent, used, need, *now);
    if free < wanted {
        reasons.push(Reason::Ports { wanted, free });
    }
}
