//! What is free on each agent, column by column, so that a scan over all agents stays in the cache.
//!
//! Rows are in the order of agent keys; keys are never reused, so a new agent is always the last.

use crate::logic::index::agents::AgentUse;
use crate::logic::place::devices;
use crate::model::agent::Agent;
use crate::model::id::AgentKey;
use crate::model::instance::Place;
use crate::model::unit::{Cpus, Disk, Mem};

/// Free capacity by agent. What is free may be less than nothing where an agent shrank under what it runs, hence `i64`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pool {
    keys: Vec<AgentKey>,
    cpus: Vec<i64>,
    mem: Vec<i64>,
    disk: Vec<i64>,
    gpus: Vec<i64>,
}

/// What is free on one agent, nothing where it is less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Free {
    /// Processor share.
    pub cpus: Cpus,
    /// Memory.
    pub mem: Mem,
    /// Disk.
    pub disk: Disk,
    /// Devices.
    pub gpus: u32,
}

/// What one instance takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Amounts {
    /// Processor share.
    pub cpus: Cpus,
    /// Memory.
    pub mem: Mem,
    /// Disk.
    pub disk: Disk,
    /// Devices.
    pub gpus: u32,
}

// === impl Pool ===

impl Pool {
    /// The agents, in order; a slot is a place in this list.
    pub fn agents(&self) -> &[AgentKey] {
        &self.keys
    }

    /// The slot of an agent.
    pub fn slot(&self, agent: AgentKey) -> Option<usize> {
        self.keys.binary_search(&agent).ok()
    }

    /// What is free in a slot.
    pub fn free(&self, slot: usize) -> Free {
        let amount = |column: &[i64]| u64::try_from(column[slot]).unwrap_or(0);
        Free {
            cpus: Cpus::micro(amount(&self.cpus)),
            mem: Mem::micro(amount(&self.mem)),
            disk: Disk::micro(amount(&self.disk)),
            gpus: u32::try_from(self.gpus[slot]).unwrap_or(0),
        }
    }

    /// Whether the amounts fit in a slot.
    pub fn fits(&self, slot: usize, need: &Amounts) -> bool {
        // What is not asked for fits anywhere, also where an agent shrank (PL-7: a requirement of 0 is skipped).
        let room = |column: &[i64], wanted: i64| wanted == 0 || column[slot] >= wanted;
        room(&self.cpus, signed(need.cpus.as_micro()))
            && room(&self.mem, signed(need.mem.as_micro()))
            && room(&self.disk, signed(need.disk.as_micro()))
            && room(&self.gpus, i64::from(need.gpus))
    }

    /// How much processor share and memory would be left, for ranking.
    pub fn left(&self, slot: usize, need: &Amounts) -> (i64, i64) {
        (
            self.cpus[slot] - signed(need.cpus.as_micro()),
            self.mem[slot] - signed(need.mem.as_micro()),
        )
    }

    /// Adds an agent's row, less what is held there already.
    pub fn add(&mut self, agent: &Agent, used: Option<&AgentUse>) {
        let slot = self.keys.partition_point(|key| *key < agent.key);
        let offers = &agent.inventory;
        let gpus = count(devices::free(agent, used));
        let none = AgentUse::default();
        let used = used.unwrap_or(&none);
        self.keys.insert(slot, agent.key);
        self.cpus.insert(slot, signed(offers.cpus.as_micro()) - signed(used.cpus.as_micro()));
        self.mem.insert(slot, signed(offers.mem.as_micro()) - signed(used.mem.as_micro()));
        self.disk.insert(slot, signed(offers.disk.as_micro()) - signed(used.disk.as_micro()));
        self.gpus.insert(slot, gpus);
    }

    /// Takes an agent's row out.
    pub fn remove(&mut self, agent: &Agent) {
        if let Some(slot) = self.slot(agent.key) {
            self.keys.remove(slot);
            self.cpus.remove(slot);
            self.mem.remove(slot);
            self.disk.remove(slot);
            self.gpus.remove(slot);
        }
    }

    /// Counts an agent's free devices anew. One that is held and not healthy is missing once, so a sum would not do.
    pub fn count_devices(&mut self, agent: &Agent, used: Option<&AgentUse>) {
        if let Some(slot) = self.slot(agent.key) {
            self.gpus[slot] = count(devices::free(agent, used));
        }
    }

    /// Notes that a place is held, but for its devices.
    pub fn hold(&mut self, place: &Place) {
        self.shift(place, 1);
    }

    /// Notes that a place is let go, but for its devices.
    pub fn release(&mut self, place: &Place) {
        self.shift(place, -1);
    }

    fn shift(&mut self, place: &Place, sign: i64) {
        if let Some(slot) = self.slot(place.agent) {
            self.cpus[slot] -= sign * signed(place.cpus.as_micro());
            self.mem[slot] -= sign * signed(place.mem.as_micro());
            self.disk[slot] -= sign * signed(place.disk.as_micro());
        }
    }
}

fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX / 4)
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX / 4)
}
