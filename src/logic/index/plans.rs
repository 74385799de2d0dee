//! Which apps each running deployment changes, and how much of each step is still open.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::app::App;
use crate::model::id::{AppKey, DeploymentId};

/// Apps by deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plans(BTreeMap<DeploymentId, PlanUse>);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct PlanUse {
    apps: BTreeSet<AppKey>,
    open: BTreeMap<u32, u32>,
}

// === impl Plans ===

impl Plans {
    /// The apps that a deployment changes.
    pub fn apps(&self, deployment: DeploymentId) -> impl Iterator<Item = AppKey> + '_ {
        self.0.get(&deployment).into_iter().flat_map(|plan| plan.apps.iter().copied())
    }

    /// How many parts of a step are not done.
    pub fn open(&self, deployment: DeploymentId, step: u32) -> u32 {
        self.0.get(&deployment).and_then(|plan| plan.open.get(&step)).copied().unwrap_or(0)
    }

    /// Follows an app that comes or has changed.
    pub fn add(&mut self, app: &App) {
        let Some(part) = &app.part else { return };
        let plan = self.0.entry(part.deployment).or_default();
        plan.apps.insert(app.key);
        if !part.done {
            *plan.open.entry(part.step).or_insert(0) += 1;
        }
    }

    /// Follows an app that leaves or changes.
    pub fn remove(&mut self, app: &App) {
        let Some(part) = &app.part else { return };
        let Some(plan) = self.0.get_mut(&part.deployment) else { return };
        plan.apps.remove(&app.key);
        if !part.done
            && let Some(open) = plan.open.get_mut(&part.step)
        {
            *open -= 1;
            if *open == 0 {
                plan.open.remove(&part.step);
            }
        }
        if plan.apps.is_empty() {
            self.0.remove(&part.deployment);
        }
    }
}
