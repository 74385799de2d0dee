//! A deployment's steps, one after another; its end lets go of its apps.

use std::collections::BTreeMap;

use crate::logic::decide::limits;
use crate::logic::draft::Draft;
use crate::model::app::{Action, App};
use crate::model::deployment::{Cause, Deployment, State};
use crate::model::event::{DeploymentStands, Event, Plan, PlanAction, PlanStep};
use crate::model::id::{AppKey, DeploymentId};
use crate::model::outcome::{Ending, MAX_OUTCOME_APPS, MAX_OUTCOMES, Outcome};
use crate::model::path::AppPath;
use crate::model::row::Key;
use crate::model::world::World;
use crate::planted::planted;

/// Removed apps whose definitions are kept, so that a group can be put back; the longest removed go first.
pub const MAX_REMOVED_APPS: usize = 1_000;

/// The most bytes of paths in the plan of an event.
pub const MAX_PLAN_BYTES: usize = 256 * 1_024;

/// Announces the running step, and goes on as long as steps are done. Gives the reason when it has just passed its limits:
/// what follows is a change (`change::fail`).
pub fn decide(draft: &mut Draft<'_>, id: DeploymentId) -> Option<Cause> {
    while let Some(mut running) = draft.world().deployments.get(&id).cloned() {
        if !running.announced {
            let step = PlanStep { plan: plan(draft, &running), step: running.step };
            draft.event(Event::StepBegan(step));
            running.announced = true;
            draft.put_deployment(running.clone());
        }
        if draft.index().plans.open(id, running.step) > 0 {
            return limits::passed(draft, &running);
        }
        let step = PlanStep { plan: plan(draft, &running), step: running.step };
        draft.event(Event::StepDone(step));
        if running.step + 1 >= running.steps {
            finish(draft, &running);
            return None;
        }
        running.step += 1;
        running.announced = false;
        draft.put_deployment(running);
    }
    None
}

/// It is done: its apps are free again.
pub fn finish(draft: &mut Draft<'_>, running: &Deployment) {
    let plan = plan(draft, running);
    keep_outcome(draft, running, Ending::Done, &plan);
    draft.event(Event::DeploymentDone(plan));
    let apps: Vec<AppKey> = draft.index().plans.apps(running.id).collect();
    for key in apps {
        let Some(mut app) = draft.world().apps.get(&key).cloned() else { continue };
        let part = app.part.take();
        if part.is_some_and(|part| part.action == Action::Stop) {
            app.backoffs.clear();
            app.last_failure = None;
            draft.event(Event::AppTerminated { path: app.path.clone() });
        }
        draft.put_app(app);
    }
    draft.remove(Key::Deployment(running.id));
    forget_removed(draft);
}

/// Ends a deployment where it stands (DP-12): what it began stays as it is.
pub fn abandon(draft: &mut Draft<'_>, id: DeploymentId, ending: &Ending) {
    let Some(running) = draft.world().deployments.get(&id).cloned() else { return };
    let plan = plan(draft, &running);
    keep_outcome(draft, &running, ending.clone(), &plan);
    draft.event(Event::DeploymentFailed { plan, reason: ending.reason() });
    let apps: Vec<AppKey> = draft.index().plans.apps(id).collect();
    for key in apps {
        if let Some(mut app) = draft.world().apps.get(&key).cloned() {
            app.part = planted!("lock-leaks-on-cancel", None, app.part);
            draft.put_app(app);
        }
    }
    draft.remove(Key::Deployment(id));
}

/// Lets a deployment stand otherwise than it does, and tells of it.
pub fn hold(draft: &mut Draft<'_>, id: DeploymentId, state: State) {
    let Some(running) = draft.world().deployments.get(&id).cloned() else { return };
    let event = DeploymentStands { plan: plan(draft, &running), state: state.clone() };
    draft.event(Event::DeploymentStands(event));
    draft.put_deployment(Deployment { state, ..running });
}

/// Keeps what became of a deployment, and as many of the others as are kept.
fn keep_outcome(draft: &mut Draft<'_>, running: &Deployment, ending: Ending, plan: &Plan) {
    let touched = draft.index().plans.apps(running.id).count();
    let actions = plan.steps.iter().flatten().filter(|(action, _)| *action != PlanAction::Start);
    let apps: Vec<(PlanAction, AppPath)> = actions.take(MAX_OUTCOME_APPS).cloned().collect();
    let more_apps = u32::try_from(touched.saturating_sub(apps.len())).unwrap_or(u32::MAX);
    draft.put_outcome(Outcome {
        id: running.id,
        version: running.version,
        since: running.since,
        at: draft.now(),
        reverts: running.reverts,
        failures: running.failures,
        ending,
        apps,
        more_apps,
    });
    let surplus = draft.world().outcomes.len().saturating_sub(MAX_OUTCOMES);
    let oldest: Vec<Key> =
        draft.world().outcomes.iter().take(surplus).map(|(key, _)| Key::Outcome(*key)).collect();
    for key in oldest {
        draft.remove(key);
    }
}

/// The plan of a running deployment, from the parts of its apps (DP-6).
fn plan(draft: &Draft<'_>, running: &Deployment) -> Plan {
    let apps = draft.index().plans.apps(running.id);
    let apps = apps.filter_map(|key| draft.world().apps.get(&key));
    let apps = bounded(apps);
    Plan { id: running.id, version: running.version, steps: steps(apps, running) }
}

/// As many of the apps as an event may name: one event is one part of a record, and a plan of tens of thousands of apps
/// is told by its first ones. `/v2/deployments` shows all.
fn bounded<'a>(apps: impl Iterator<Item = &'a App>) -> impl Iterator<Item = &'a App> {
    let mut bytes = 0;
    apps.take_while(move |app| {
        bytes += 2 * (app.path.as_str().len() + 4);
        bytes <= MAX_PLAN_BYTES
    })
}

fn steps<'a>(
    apps: impl Iterator<Item = &'a App>,
    running: &Deployment,
) -> Vec<Vec<(PlanAction, AppPath)>> {
    let mut steps: BTreeMap<u32, Vec<(PlanAction, AppPath)>> =
        (0..running.steps).map(|step| (step, Vec::new())).collect();
    for app in apps {
        let Some(part) = &app.part else { continue };
        if let (Action::Create, Some(start)) = (part.action, running.start_step) {
            steps.entry(start).or_default().push((PlanAction::Start, app.path.clone()));
        }
        steps.entry(part.step).or_default().push((part.action.into(), app.path.clone()));
    }
    steps.into_values().collect()
}

/// Keeps the number of removed apps bounded. One of which an instance is left stays.
fn forget_removed(draft: &mut Draft<'_>) {
    let removed = draft.index().apps.removed();
    let surplus = removed.len().saturating_sub(MAX_REMOVED_APPS);
    let gone: Vec<AppKey> =
        removed.filter(|app| is_forgettable(draft, *app)).take(surplus).collect();
    for key in gone {
        let versions = version_keys(draft.world(), key);
        draft.remove(Key::App(key));
        for version in versions {
            draft.remove(version);
        }
        draft.verdicts().remove(&key);
    }
}

fn is_forgettable(draft: &Draft<'_>, key: AppKey) -> bool {
    let free = draft.world().apps.get(&key).is_some_and(|app| app.part.is_none());
    free && draft.index().apps.census(key).rows == 0
}

fn version_keys(world: &World, key: AppKey) -> Vec<Key> {
    let Some(app) = world.apps.get(&key) else { return Vec::new() };
    let all = app.priors.iter().chain([&app.version]);
    all.map(|version| Key::AppVersion(key, *version)).collect()
}
