//! What is remembered of instances of which nothing is left here: enough to ignore an old want that comes late.
//!
//! The newest ones only; a want that is older than all of them would have to outlive thousands of others on the wire.

use std::collections::{BTreeMap, VecDeque};

use crate::model::id::{Incarnation, InstanceId, Rev};

/// How many are remembered.
const MAX: usize = 4_096;

/// The newest of what is over.
#[derive(Clone, Debug, Default)]
pub(super) struct Graves {
    by_instance: BTreeMap<InstanceId, Grave>,
    order: VecDeque<InstanceId>,
}

/// What is remembered of one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Grave {
    /// The newest want that was seen.
    pub(super) rev: Rev,
    /// The newest life that is used up.
    pub(super) spent: Incarnation,
}

// === impl Graves ===

impl Graves {
    /// What is remembered of `instance`.
    pub(super) fn get(&self, instance: InstanceId) -> Grave {
        self.by_instance.get(&instance).copied().unwrap_or_default()
    }

    /// Remembers, never less than before.
    pub(super) fn add(&mut self, instance: InstanceId, rev: Rev, spent: Incarnation) {
        let grave = self.by_instance.entry(instance).or_insert_with(|| {
            self.order.push_back(instance);
            Grave::default()
        });
        grave.rev = grave.rev.max(rev);
        grave.spent = grave.spent.max(spent);
        if self.order.len() > MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_instance.remove(&oldest);
        }
    }
}
