//! Ended sandboxes are kept for their logs, the newest of each app and in all; only what is acknowledged may go.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::mind::slots::Limits;
use crate::agent::runtime::SandboxId;
use crate::model::id::AppKey;
use crate::model::time::Timestamp;

/// What may go, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    all: BTreeMap<SandboxId, (Timestamp, AppKey)>,
    by_time: BTreeSet<(Timestamp, SandboxId)>,
    by_app: BTreeMap<AppKey, BTreeSet<(Timestamp, SandboxId)>>,
}

// === impl Kept ===

impl Kept {
    /// This one may go when there is no room.
    pub(super) fn add(&mut self, id: SandboxId, app: AppKey, ended: Timestamp) {
        if self.all.insert(id, (ended, app)).is_none() {
            self.by_time.insert((ended, id));
            self.by_app.entry(app).or_default().insert((ended, id));
        }
    }

    /// This one is gone, or may not go.
    pub(super) fn remove(&mut self, id: SandboxId) {
        let Some((ended, app)) = self.all.remove(&id) else { return };
        self.by_time.remove(&(ended, id));
        if let Some(of_app) = self.by_app.get_mut(&app) {
            of_app.remove(&(ended, id));
            if of_app.is_empty() {
                self.by_app.remove(&app);
            }
        }
    }

    /// Takes the oldest ones for which there is no room, looking at `app` and at all together.
    pub(super) fn crowded_out(&mut self, app: AppKey, limits: &Limits) -> Vec<SandboxId> {
        let mut out = Vec::new();
        while let Some(oldest) = self.first_too_many(app, limits) {
            self.remove(oldest);
            out.push(oldest);
        }
        out
    }

    fn first_too_many(&self, app: AppKey, limits: &Limits) -> Option<SandboxId> {
        let crowd = match self.by_app.get(&app) {
            Some(of_app) if of_app.len() > limits.kept_per_app => of_app,
            Some(_) | None if self.by_time.len() > limits.kept => &self.by_time,
            Some(_) | None => return None,
        };
        crowd.first().map(|(_, id)| *id)
    }
}
