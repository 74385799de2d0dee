//! The definitions that the leader has sent, and those that are still to be asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::have::SpecKey;
use crate::model::id::InstanceId;
use crate::model::spec::Spec;

/// So many definitions are held before those that nobody uses are looked for.
const ROOM: usize = 64;

/// What is known, and who waits for what.
#[derive(Clone, Debug, Default)]
pub(super) struct Specs {
    known: BTreeMap<SpecKey, Arc<Spec>>,
    waiting: BTreeMap<SpecKey, BTreeSet<InstanceId>>,
    asked: BTreeSet<SpecKey>,
    /// At this size those that nobody uses are looked for.
    sweep_at: usize,
}

// === impl Specs ===

impl Specs {
    /// The definition, if it is here.
    pub(super) fn get(&self, key: SpecKey) -> Option<&Arc<Spec>> {
        self.known.get(&key)
    }

    /// The definition; otherwise `instance` waits for it.
    pub(super) fn get_for(&mut self, key: SpecKey, instance: InstanceId) -> Option<Arc<Spec>> {
        let known = self.known.get(&key).cloned();
        if known.is_none() {
            self.waiting.entry(key).or_default().insert(instance);
        }
        known
    }

    /// Puts a definition in and says who waits for it.
    pub(super) fn put(&mut self, key: SpecKey, spec: Arc<Spec>) -> BTreeSet<InstanceId> {
        self.known.insert(key, spec);
        self.asked.remove(&key);
        self.waiting.remove(&key).unwrap_or_default()
    }

    /// What is to be asked for, each once a session.
    pub(super) fn needs(&mut self) -> Vec<SpecKey> {
        let needs: Vec<SpecKey> =
            self.waiting.keys().filter(|key| !self.asked.contains(key)).copied().collect();
        self.asked.extend(&needs);
        needs
    }

    /// A new session knows of no question.
    pub(super) fn ask_again(&mut self) {
        self.asked.clear();
    }

    /// Whether it is time to drop those that nobody uses.
    pub(super) fn is_crowded(&self) -> bool {
        self.known.len() > self.sweep_at.max(ROOM)
    }

    /// Drops those that nobody uses.
    pub(super) fn keep_only(&mut self, used: &BTreeSet<SpecKey>) {
        self.known.retain(|key, _| used.contains(key));
        self.waiting.retain(|key, _| used.contains(key));
        self.sweep_at = self.known.len() * 2;
    }
}
