//! Which deploys are on their way and which apps they change, and which are over, in the order in which they ended.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::deploy::Deploy;
use crate::model::id::{AppKey, DeployId};
use crate::model::time::Timestamp;

/// Deploys by what they change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deploys {
    live: BTreeSet<DeployId>,
    by_app: BTreeMap<AppKey, BTreeSet<DeployId>>,
    over: BTreeSet<(Timestamp, DeployId)>,
}

// === impl Deploys ===

impl Deploys {
    /// Those that are on their way.
    pub fn live(&self) -> impl Iterator<Item = DeployId> + '_ {
        self.live.iter().copied()
    }

    /// Those on their way that change an app.
    pub fn of(&self, app: AppKey) -> impl Iterator<Item = DeployId> + '_ {
        self.by_app.get(&app).into_iter().flatten().copied()
    }

    /// Those that are over, the longest over first.
    pub fn over(&self) -> impl ExactSizeIterator<Item = DeployId> + '_ {
        self.over.iter().map(|(_, id)| *id)
    }

    /// Follows a deploy that comes or has changed.
    pub fn add(&mut self, deploy: &Deploy) {
        if deploy.is_over() {
            self.over.insert((deploy.at, deploy.id));
            return;
        }
        self.live.insert(deploy.id);
        for app in deploy.apps() {
            self.by_app.entry(app).or_default().insert(deploy.id);
        }
    }

    /// Follows a deploy that leaves or changes.
    pub fn remove(&mut self, deploy: &Deploy) {
        if deploy.is_over() {
            self.over.remove(&(deploy.at, deploy.id));
            return;
        }
        self.live.remove(&deploy.id);
        for app in deploy.apps() {
            let Some(of_app) = self.by_app.get_mut(&app) else { continue };
            of_app.remove(&deploy.id);
            if of_app.is_empty() {
                self.by_app.remove(&app);
            }
        }
    }
}
