//! Which host ports an instance gets (PL-13, PL-14).
//!
//! Dynamic ports are searched from a start that follows from the instance's id: deterministic, and spread so that a port
//! just let go is not the next one given out.

use std::collections::BTreeSet;

use crate::logic::index::agents::AgentUse;
use crate::logic::place::need::{Need, PortNeed};
use crate::model::agent::{Agent, Foreign, PortRange};
use crate::model::id::InstanceId;
use crate::model::time::Timestamp;

/// Who else holds a port, as far as a launch found out and not too long ago.
pub fn foreign(agent: &Agent, port: u16, now: Timestamp) -> Option<&Foreign> {
    agent.foreign.get(&port).filter(|foreign| foreign.until > now)
}

/// Whether all ports can be had, without choosing any.
pub fn fit(agent: &Agent, used: Option<&AgentUse>, needs: &[PortNeed], now: Timestamp) -> bool {
    let mut dynamic = 0_usize;
    let mut fixed = BTreeSet::new();
    for need in needs {
        match need {
            PortNeed::Inside => {}
            PortNeed::Dynamic => dynamic += 1,
            PortNeed::Fixed(port) => {
                if is_taken(agent, used, *port, now) {
                    return false;
                }
                fixed.insert(*port);
            }
        }
    }
    dynamic == 0 || free_in_ranges(agent, used, &fixed, now).take(dynamic).count() == dynamic
}

/// How many dynamic ports are free beside the fixed ones that are asked for.
pub fn free_dynamic(
    agent: &Agent,
    used: Option<&AgentUse>,
    need: &Need<'_>,
    now: Timestamp,
) -> u32 {
    let fixed = fixed_ports(&need.ports);
    u32::try_from(free_in_ranges(agent, used, &fixed, now).count()).unwrap_or(u32::MAX)
}

/// Chooses all ports, in the order of the definitions, or none.
pub fn choose(
    agent: &Agent,
    used: Option<&AgentUse>,
    taken_now: &BTreeSet<u16>,
    needs: &[PortNeed],
    instance: InstanceId,
    now: Timestamp,
) -> Option<Vec<Option<u16>>> {
    let fixed = fixed_ports(needs);
    if fixed.iter().any(|port| taken_now.contains(port) || is_taken(agent, used, *port, now)) {
        return None;
    }
    let total: u64 = agent.inventory.ports.iter().map(|range| size(*range)).sum();
    let mut at = if total == 0 { 0 } else { spread(instance) % total };
    let mut left = total;
    let mut chosen = Vec::with_capacity(needs.len());
    for need in needs {
        match need {
            PortNeed::Inside => chosen.push(None),
            PortNeed::Fixed(port) => chosen.push(Some(*port)),
            PortNeed::Dynamic => loop {
                if left == 0 {
                    return None;
                }
                let port = nth(&agent.inventory.ports, at)?;
                at = (at + 1) % total;
                left -= 1;
                if !fixed.contains(&port)
                    && !taken_now.contains(&port)
                    && !is_taken(agent, used, port, now)
                {
                    chosen.push(Some(port));
                    break;
                }
            },
        }
    }
    Some(chosen)
}

fn fixed_ports(needs: &[PortNeed]) -> BTreeSet<u16> {
    let fixed = |need: &PortNeed| match need {
        PortNeed::Fixed(port) => Some(*port),
        PortNeed::Inside | PortNeed::Dynamic => None,
    };
    needs.iter().filter_map(fixed).collect()
}

fn is_taken(agent: &Agent, used: Option<&AgentUse>, port: u16, now: Timestamp) -> bool {
    used.is_some_and(|used| used.port_holder(port).is_some()) || foreign(agent, port, now).is_some()
}

fn free_in_ranges<'a>(
    agent: &'a Agent,
    used: Option<&'a AgentUse>,
    fixed: &'a BTreeSet<u16>,
    now: Timestamp,
) -> impl Iterator<Item = u16> + 'a {
    agent
        .inventory
        .ports
        .iter()
        .flat_map(|range| range.first..=range.last)
        .filter(move |port| !fixed.contains(port) && !is_taken(agent, used, *port, now))
}

fn size(range: PortRange) -> u64 {
    u64::from(range.last) - u64::from(range.first) + 1
}

fn nth(ranges: &[PortRange], mut at: u64) -> Option<u16> {
    for range in ranges {
        if at < size(*range) {
            return u16::try_from(u64::from(range.first) + at).ok();
        }
        at -= size(*range);
    }
    None
}

/// A number that differs much between ids made one after another.
fn spread(instance: InstanceId) -> u64 {
    let low = instance.0.as_u64_pair();
    (low.0 ^ low.1.rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 16
}
