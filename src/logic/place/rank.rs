//! Which of the agents that fit is best: the one with fewest instances of the app, then the fullest that still fits.
//!
//! The first spreads an app so that losing a host costs little of it, the second keeps big gaps for big instances. Ties
//! go to the lower key, so the choice is deterministic.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::logic::index::Index;
use crate::logic::place::check::refusal_of;
use crate::logic::place::need::Need;
use crate::logic::place::{devices, ports};
use crate::model::agent::{Agent, DeviceId};
use crate::model::id::{AgentKey, AppKey, InstanceId};
use crate::model::instance::Place;
use crate::model::time::Timestamp;
use crate::model::world::World;
use crate::planted::planted;

/// The agents that can take one more instance, the best on top.
pub struct Candidates {
    heap: BinaryHeap<Reverse<Score>>,
    looked: u32,
    taken: BTreeMap<usize, Taken>,
}

/// Lower is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    siblings: u32,
    left: (i64, i64),
    slot: usize,
}

/// What this class has already taken on one agent, not yet in the index.
#[derive(Clone, Debug, Default)]
struct Taken {
    instances: u32,
    ports: BTreeSet<u16>,
    devices: BTreeSet<DeviceId>,
}

// === impl Candidates ===

impl Candidates {
    /// Looks at every agent, or at some of them, once.
    pub fn scan(
        world: &World,
        index: &Index,
        app: AppKey,
        need: &Need<'_>,
        only: Option<&BTreeSet<AgentKey>>,
        now: Timestamp,
    ) -> Candidates {
        let siblings = siblings(world, index, app);
        let slots: Vec<(usize, &Agent)> = match only {
            Some(agents) => agents
                .iter()
                .filter_map(|key| Some((index.pool.slot(*key)?, world.agents.get(key)?)))
                .collect(),
            // The pool's rows are in the order of the agents' keys, so that nothing is searched.
            None => world.agents.iter().map(|(_, agent)| agent).enumerate().collect(),
        };
        let fits = slots
            .iter()
            .filter(|(slot, agent)| refusal_of(agent, index, need, *slot, now).is_none());
        let heap = fits
            .map(|&(slot, _)| {
                let siblings = siblings.get(&slot).copied().unwrap_or(0);
                Reverse(Score { siblings, left: index.pool.left(slot, &need.amounts), slot })
            })
            .collect();
        let looked = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        Candidates { heap, looked, taken: BTreeMap::new() }
    }

    /// How many agents were looked at.
    pub fn looked(&self) -> u32 {
        self.looked
    }

    /// The place of the next instance, if any agent can take it.
    pub fn take(
        &mut self,
        world: &World,
        index: &Index,
        need: &Need<'_>,
        instance: InstanceId,
        now: Timestamp,
    ) -> Option<Place> {
        while let Some(Reverse(score)) = self.heap.pop() {
            let taken = self.taken.entry(score.slot).or_default();
            let agent = world.agents.get(&index.pool.agents()[score.slot])?;
            let used = index.agents.of(agent.key);
            let chosen = ports::choose(agent, used, &taken.ports, &need.ports, instance, now).zip(
                devices::choose(agent, used, &taken.devices, need.amounts.gpus, need.pin.as_ref()),
            );
            let Some((ports, devices)) = chosen else { continue };
            taken.instances += 1;
            taken.ports.extend(ports.iter().flatten());
            taken.devices.extend(devices.iter().cloned());
            let room = has_room(index, need, score.slot, taken.instances + 1);
            let room = planted!("memory-given-twice", room, true);
            if room {
                self.heap.push(Reverse(next_score(score, need)));
            }
            let amounts = &need.amounts;
            return Some(Place {
                agent: agent.key,
                ports,
                devices,
                cpus: amounts.cpus,
                mem: amounts.mem,
                disk: amounts.disk,
            });
        }
        None
    }
}

/// How many instances of the app each slot holds already.
fn siblings(world: &World, index: &Index, app: AppKey) -> BTreeMap<usize, u32> {
    let mut siblings = BTreeMap::new();
    for instance in world.instances_of(app) {
        if let Some(slot) = instance.place.as_ref().and_then(|place| index.pool.slot(place.agent)) {
            *siblings.entry(slot).or_insert(0) += 1;
        }
    }
    siblings
}

/// Whether `count` instances fit together in what the index says is free.
fn has_room(index: &Index, need: &Need<'_>, slot: usize, count: u32) -> bool {
    let free = index.pool.free(slot);
    let times = u64::from(count);
    let amounts = &need.amounts;
    let room = |free: u64, one: u64| one == 0 || one.saturating_mul(times) <= free;
    room(free.cpus.as_micro(), amounts.cpus.as_micro())
        && room(free.mem.as_micro(), amounts.mem.as_micro())
        && room(free.disk.as_micro(), amounts.disk.as_micro())
        && room(u64::from(free.gpus), u64::from(amounts.gpus))
}

fn next_score(score: Score, need: &Need<'_>) -> Score {
    let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    let (cpus, mem) = score.left;
    Score {
        siblings: score.siblings + 1,
        left: (
            cpus.saturating_sub(signed(need.amounts.cpus.as_micro())),
            mem.saturating_sub(signed(need.amounts.mem.as_micro())),
        ),
        slot: score.slot,
    }
}
