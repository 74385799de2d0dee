//! What a class has taken while it is being placed, before the index knows.

use std::collections::BTreeSet;

use crate::model::agent::DeviceId;

/// What this class has already taken, by slot. Most agents give at most one instance of a class, and a class is placed in
/// microseconds: a number for each slot costs less than a tree.
#[derive(Default)]
pub struct Takings {
    /// By slot: one more than where it stands in the list, 0 where nothing was taken.
    places: Vec<u32>,
    list: Vec<Taken>,
}

/// What this class has already taken on one agent, not yet in the index.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    /// So many instances.
    pub instances: u32,
    /// These ports.
    pub ports: BTreeSet<u16>,
    /// These devices.
    pub devices: BTreeSet<DeviceId>,
}

// === impl Takings ===

impl Takings {
    /// What was taken on the agent in a slot, if anything was.
    pub fn get(&self, slot: usize) -> Option<&Taken> {
        let place = *self.places.get(slot)?;
        self.list.get((place as usize).checked_sub(1)?)
    }

    /// The same, to be changed; there are so many `slots`.
    pub fn entry(&mut self, slot: usize, slots: usize) -> &mut Taken {
        self.places.resize(slots, 0);
        let place = &mut self.places[slot];
        if *place == 0 {
            self.list.push(Taken::default());
            *place = u32::try_from(self.list.len()).expect("fewer than agents");
        }
        &mut self.list[*place as usize - 1]
    }
}
