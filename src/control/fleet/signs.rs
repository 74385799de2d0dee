//! What people are told of agents and no row says: when each was last heard, and what lives on it.
//!
//! Written by the sessions, read by whoever asks; nothing is decided by it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::model::have::{Have, Phase};
use crate::model::id::{AgentId, Incarnation, InstanceId, InstanceKey};
use crate::model::time::Timestamp;

/// The signs of agents that have dialled since this server began. Cheap to copy. One is let go with the agent's row, or
/// with its session when no row knows it then, so that whoever dials under ever new names leaves nothing.
#[derive(Clone, Debug, Default)]
pub struct Signs(Arc<Mutex<BTreeMap<AgentId, Arc<Sign>>>>);

/// What was last heard of one agent.
#[derive(Debug, Default)]
pub struct Sign {
    /// In milliseconds since 1970; 0 before the first frame.
    heard: AtomicI64,
    living: Mutex<BTreeMap<InstanceId, (InstanceKey, Incarnation)>>,
}

// === impl Signs ===

impl Signs {
    /// The sign of an agent, made where there is none.
    pub fn of(&self, agent: AgentId) -> Arc<Sign> {
        lock(&self.0).entry(agent).or_default().clone()
    }

    /// Lets the sign of an agent go.
    pub fn forget(&self, agent: AgentId) {
        lock(&self.0).remove(&agent);
    }

    /// The sign of an agent, if it has dialled.
    pub fn find(&self, agent: AgentId) -> Option<Arc<Sign>> {
        lock(&self.0).get(&agent).cloned()
    }
}

// === impl Sign ===

impl Sign {
    /// When anything was last heard.
    pub fn heard_at(&self) -> Option<Timestamp> {
        let millis = self.heard.load(Ordering::Relaxed);
        (millis > 0).then(|| Timestamp::from_millis(millis))
    }

    /// What lives there, as far as it has said.
    pub fn living(&self) -> Vec<(InstanceId, InstanceKey, Incarnation)> {
        lock(&self.living).iter().map(|(id, (key, life))| (*id, *key, *life)).collect()
    }

    /// A session begins, in which everything that lives is said again.
    pub fn begins(&self) {
        lock(&self.living).clear();
    }

    /// Something was heard.
    pub fn heard(&self, now: Timestamp) {
        self.heard.store(now.as_millis(), Ordering::Relaxed);
    }

    /// It said what instances are.
    pub fn has(&self, haves: &[Have]) {
        let mut living = lock(&self.living);
        for have in haves {
            let ended = |phase: &Phase| matches!(phase, Phase::Exited { .. } | Phase::Absent);
            let known = living.get(&have.instance).map(|(_, life)| *life);
            if have.tasks.iter().any(|task| !ended(&task.phase)) {
                living.insert(have.instance, (have.key, have.incarnation));
            } else if known.is_some_and(|known| known <= have.incarnation) {
                living.remove(&have.instance);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn who_is_let_go_leaves_nothing() {
        let signs = Signs::default();
        let agent = AgentId(Uuid::from_u128(1));
        signs.of(agent).heard(Timestamp::from_millis(5));
        assert_eq!(
            signs.find(agent).and_then(|sign| sign.heard_at()),
            Some(Timestamp::from_millis(5))
        );
        signs.forget(agent);
        assert!(signs.find(agent).is_none());
    }
}
