//! Which of the agents that fit is best: the one with fewest instances of the app, then the fullest that still fits.
//!
//! The first is a soft spread: losing a host costs little of an app, and it decides before the fit does, or one big agent
//! would take all of it. Among agents with equally many the fit is exact and keeps big gaps for big instances. Ties go to
//! the lower key, so the choice is deterministic.
//!
//! Agents with the same values in the fields of GROUP_BY constraints are one cell, and cells are tried in the order of how
//! much their value is used: the first one that has an agent is the one whose value has fewest. So each choice costs the
//! logarithm of agents and of cells, however many of either there are. Only with several GROUP_BY in one definition does
//! each choice look at all cells.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use crate::logic::index::Index;
use crate::logic::index::fields::ValueId;
use crate::logic::place::Ask;
use crate::logic::place::check::refusal_of;
use crate::logic::place::constraint::{Rule, Rules};
use crate::logic::place::need::Need;
use crate::logic::place::taken::{Taken, Takings};
use crate::logic::place::{devices, ports};
use crate::model::agent::Agent;
use crate::model::id::{AgentKey, AppKey, InstanceId};
use crate::model::instance::Place;
use crate::model::world::World;
use crate::planted::planted;

/// The agents that can take one more instance, the best on top.
pub struct Candidates {
    cells: Vec<Cell>,
    /// Cells with their best agents, each once, by how much the value of the first GROUP_BY is used.
    order: BinaryHeap<Reverse<(u32, Score, usize)>>,
    looked: u32,
    taken: Takings,
}

/// Agents with the same values in the fields of GROUP_BY constraints.
#[derive(Default)]
struct Cell {
    values: Vec<ValueId>,
    agents: BinaryHeap<Reverse<Score>>,
}

/// Lower is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    siblings: u32,
    left: (i64, i64),
    slot: usize,
}

// === impl Candidates ===

impl Candidates {
    /// Looks at every agent, or at some of them, once.
    pub fn scan(ask: &Ask<'_>, rules: &Rules<'_>, only: Option<&BTreeSet<AgentKey>>) -> Candidates {
        let Ask { world, index, app, need, .. } = ask;
        let siblings = siblings(world, index, *app);
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
            .filter(|(slot, agent)| refusal_of(ask, rules, agent, *slot, None).is_none());
        let scores = fits.map(|&(slot, _)| {
            let siblings = siblings.get(&slot).copied().unwrap_or(0);
            Score { siblings, left: index.pool.left(slot, &need.amounts), slot }
        });
        let looked = u32::try_from(slots.len()).unwrap_or(u32::MAX);
        let cells = cells(rules, scores);
        let mut candidates =
            Candidates { cells, order: BinaryHeap::new(), looked, taken: Takings::default() };
        for cell in 0..candidates.cells.len() {
            candidates.put_in_order(rules, cell);
        }
        candidates
    }

    /// How many agents were looked at.
    pub fn looked(&self) -> u32 {
        self.looked
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// What the class has taken by now on the agent in a slot.
    pub fn taken(&self, slot: usize) -> Option<&Taken> {
        self.taken.get(slot)
    }

    /// The place of the next instance, if any agent can take it.
    pub fn take(
        &mut self,
        ask: &Ask<'_>,
        rules: &mut Rules<'_>,
        instance: InstanceId,
    ) -> Option<Place> {
        let mut refused = Vec::new();
        let place = loop {
            let Some(Reverse(entry)) = self.order.pop() else { break None };
            let (_, _, cell) = entry;
            // What was best may be barred by now, and the value may be used more than when this was put in order.
            let Some(current) = self.entry(rules, cell) else { continue };
            if current != entry {
                self.order.push(Reverse(current));
            } else if self.lags(rules, cell) {
                refused.push(cell);
            } else if let Some(place) = self.take_from(cell, ask, rules, instance) {
                break Some(place);
            }
        };
        for cell in refused {
            self.put_in_order(rules, cell);
        }
        place
    }

    /// How little the value of a GROUP_BY is used that is used least, of those where an instance would fit.
    pub fn least(&self, rules: &Rules<'_>) -> Vec<Option<u32>> {
        let open = || self.cells.iter().filter(|cell| !cell.agents.is_empty());
        let count = |(number, rule): (usize, &Rule<'_>)| {
            open().map(|cell| rule.placed(cell.values[number])).min()
        };
        rules.groups().enumerate().map(count).collect()
    }

    /// Takes the best agent of a cell, or drops it if it has no ports or devices left.
    fn take_from(
        &mut self,
        cell: usize,
        ask: &Ask<'_>,
        rules: &mut Rules<'_>,
        instance: InstanceId,
    ) -> Option<Place> {
        let Reverse(score) = self.cells[cell].agents.pop()?;
        let place = self.place(ask, rules, score.slot, instance);
        if place.is_some() {
            rules.count(score.slot);
            let taken = self.taken.get(score.slot).map_or(0, |taken| taken.instances);
            let room = has_room(ask, score.slot, taken + 1) && !rules.bars(score.slot);
            let room = planted!("memory-given-twice", room, true);
            if room {
                self.cells[cell].agents.push(Reverse(next_score(score, &ask.need)));
            }
        }
        self.put_in_order(rules, cell);
        place
    }

    fn place(
        &mut self,
        ask: &Ask<'_>,
        rules: &Rules<'_>,
        slot: usize,
        instance: InstanceId,
    ) -> Option<Place> {
        let Ask { world, index, need, now, .. } = ask;
        let key = index.pool.agents()[slot];
        let taken = self.taken.entry(slot, index.pool.agents().len());
        let (mut ports, mut devices) = (Vec::new(), Vec::new());
        // Neither is looked up for what asks for neither.
        if !need.ports.is_empty() || need.amounts.gpus > 0 {
            let (agent, used) = (world.agents.get(&key)?, index.agents.of(key));
            ports = ports::choose(agent, used, &taken.ports, &need.ports, instance, *now)?;
            devices =
                devices::choose(agent, used, &taken.devices, need.amounts.gpus, need.pin.as_ref())?;
            taken.ports.extend(ports.iter().flatten());
            taken.devices.extend(devices.iter().cloned());
        }
        taken.instances += 1;
        let amounts = &need.amounts;
        Some(Place {
            agent: key,
            ports,
            devices,
            cpus: amounts.cpus,
            mem: amounts.mem,
            disk: amounts.disk,
            fields: rules.fields(slot),
            launch_seconds: None,
        })
    }

    /// Where a cell stands in the order; nothing when it has no agent left. Agents that are barred by now leave it.
    fn entry(&mut self, rules: &Rules<'_>, cell: usize) -> Option<(u32, Score, usize)> {
        let Cell { values, agents } = &mut self.cells[cell];
        while agents.peek().is_some_and(|Reverse(score)| rules.bars(score.slot)) {
            agents.pop();
        }
        let Reverse(best) = agents.peek()?;
        let used = rules.groups().next().map_or(0, |rule| rule.placed(values[0]));
        Some((used, *best, cell))
    }

    fn put_in_order(&mut self, rules: &Rules<'_>, cell: usize) {
        if let Some(entry) = self.entry(rules, cell) {
            self.order.push(Reverse(entry));
        }
    }

    /// Whether a GROUP_BY refuses a cell for now. By the order the first one finds none that is used less.
    fn lags(&mut self, rules: &Rules<'_>, cell: usize) -> bool {
        let mut least = vec![None; rules.group_count()];
        if least.len() > 1 {
            for other in 0..self.cells.len() {
                let _without_the_barred = self.entry(rules, other);
            }
            least = self.least(rules);
        }
        let values = &self.cells[cell].values;
        rules.groups().zip(values).zip(least).any(|((rule, value), least)| rule.lags(*value, least))
    }
}

/// Agents by their values; one cell without GROUP_BY. An agent without such a value was refused before.
fn cells(rules: &Rules<'_>, scores: impl Iterator<Item = Score>) -> Vec<Cell> {
    if rules.group_count() == 0 {
        let agents = scores.map(Reverse).collect();
        return vec![Cell { values: Vec::new(), agents }];
    }
    let mut by_values: BTreeMap<Vec<ValueId>, Vec<Reverse<Score>>> = BTreeMap::new();
    let mut values = Vec::new();
    for score in scores {
        values.clear();
        values.extend(rules.groups().filter_map(|rule| rule.value(score.slot)));
        match by_values.get_mut(&values) {
            Some(agents) => agents.push(Reverse(score)),
            None => _ = by_values.insert(values.clone(), vec![Reverse(score)]),
        }
    }
    by_values
        .into_iter()
        .map(|(values, agents)| Cell { values, agents: BinaryHeap::from(agents) })
        .collect()
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
fn has_room(ask: &Ask<'_>, slot: usize, count: u32) -> bool {
    let free = ask.index.pool.free(slot);
    let times = u64::from(count);
    let amounts = &ask.need.amounts;
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
