//! When to look at an instance again although nothing was seen.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::id::InstanceId;
use crate::model::time::Timestamp;

/// One time an instance at most.
#[derive(Clone, Debug, Default)]
pub(super) struct Alarms {
    by_instance: BTreeMap<InstanceId, Timestamp>,
    by_time: BTreeSet<(Timestamp, InstanceId)>,
}

// === impl Alarms ===

impl Alarms {
    /// Sets the time of `instance`, or clears it.
    pub(super) fn set(&mut self, instance: InstanceId, at: Option<Timestamp>) {
        let old = match at {
            Some(at) => self.by_instance.insert(instance, at),
            None => self.by_instance.remove(&instance),
        };
        if let Some(old) = old {
            self.by_time.remove(&(old, instance));
        }
        if let Some(at) = at {
            self.by_time.insert((at, instance));
        }
    }

    /// Takes one whose time has come.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<InstanceId> {
        let (_, instance) = self.by_time.first().copied().filter(|(at, _)| *at <= now)?;
        self.set(instance, None);
        Some(instance)
    }

    /// The earliest time.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(at, _)| *at)
    }
}
