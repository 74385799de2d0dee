//! Which evidence stays: that of the last day, of each app the newest, and in all as much as a host can spare. A function of
//! its arguments.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::runtime::SandboxId;
use crate::model::autopsy::{KEPT_FOR, MAX_PER_APP};
use crate::model::id::AppKey;
use crate::model::time::Timestamp;

/// What is known of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Filed {
    /// Of which app.
    pub app: AppKey,
    /// Since when.
    pub at: Timestamp,
    /// How long it is.
    pub bytes: u64,
}

/// How much is kept beside the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one app.
    pub per_app: usize,
    /// In all.
    pub files: usize,
    /// In all.
    pub bytes: u64,
}

// === impl Limits ===

impl Default for Limits {
    fn default() -> Limits {
        Limits { per_app: MAX_PER_APP, files: 10_000, bytes: 256 << 20 }
    }
}

/// What has to go: whatever is a day old, then the oldest of an app that has too many, then, as long as it is too much in
/// all, the oldest of the app that takes most, so that a crash loop pushes out itself.
pub fn surplus(all: &BTreeMap<SandboxId, Filed>, now: Timestamp, limits: Limits) -> Vec<SandboxId> {
    let is_old = |filed: &Filed| now > filed.at + KEPT_FOR;
    let mut gone: Vec<SandboxId> =
        all.iter().filter(|(_, filed)| is_old(filed)).map(|(id, _)| *id).collect();
    let mut apps: BTreeMap<AppKey, BTreeSet<(Timestamp, SandboxId)>> = BTreeMap::new();
    for (id, filed) in all.iter().filter(|(_, filed)| !is_old(filed)) {
        apps.entry(filed.app).or_default().insert((filed.at, *id));
    }
    for of_app in apps.values_mut() {
        while of_app.len() > limits.per_app {
            gone.extend(of_app.pop_first().map(|(_, id)| id));
        }
    }
    let bytes = |id: &SandboxId| all.get(id).map_or(0, |filed| filed.bytes);
    let weight = |of_app: &BTreeSet<(Timestamp, SandboxId)>| -> u64 {
        of_app.iter().map(|(_, id)| bytes(id)).sum()
    };
    let mut files: usize = apps.values().map(BTreeSet::len).sum();
    let mut by_weight: BTreeSet<(u64, AppKey)> =
        apps.iter().map(|(app, of_app)| (weight(of_app), *app)).collect();
    let mut total: u64 = by_weight.iter().map(|(weight, _)| weight).sum();
    while (total > limits.bytes || files > limits.files)
        && let Some((weight, app)) = by_weight.pop_last()
        && let Some((_, id)) = apps.get_mut(&app).and_then(BTreeSet::pop_first)
    {
        total -= bytes(&id);
        files -= 1;
        by_weight.insert((weight - bytes(&id), app));
        gone.push(id);
    }
    gone
}
