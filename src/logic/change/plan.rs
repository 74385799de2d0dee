//! From effects on apps to a deployment: steps, locks, rows (DP-1, DP-6, DP-10 to DP-14).

use std::collections::{BTreeMap, BTreeSet};

use crate::logic::change::dependencies::Graph;
use crate::logic::decide::deployment as running;
use crate::logic::draft::Draft;
use crate::model::app::{Action, App, AppVersion, MAX_VERSIONS, Part};
use crate::model::deployment::{Cause, Deployment, FailurePolicy};
use crate::model::event::{Event, Plan, PlanAction};
use crate::model::fact::{Answer, How, Refusal};
use crate::model::id::{DeploymentId, Version};
use crate::model::outcome::Ending;
use crate::model::path::AppPath;
use crate::model::row::Key;
use crate::model::spec::Spec;
use crate::model::time::Span;
use crate::planted::planted;

/// What a change does to one app.
#[derive(Clone, Debug)]
pub struct Effect {
    /// The app as it will be, without its part.
    pub app: App,
    /// Its new definition, if it gets one.
    pub row: Option<AppVersion>,
    /// What is to be done; nothing when nothing differs.
    pub action: Option<Action>,
    /// The definition before.
    pub from: Option<Version>,
}

/// What is taken back.
#[derive(Clone, Copy, Debug)]
pub struct Reverts<'a> {
    /// Which deployment.
    pub deployment: DeploymentId,
    /// Why, unless somebody asked for it.
    pub cause: Option<&'a Cause>,
}

/// How a change is carried out.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The version that what changes gets.
    pub version: Version,
    /// How it was asked for.
    pub how: How,
    /// The deployment that this takes back; such a change is never refused for their number.
    pub reverts: Option<Reverts<'a>>,
    /// The group that is said to have changed.
    pub group: &'a AppPath,
}

// === impl Terms ===

impl Terms<'_> {
    /// How a deployment ends that stands in the way of deployment `by`.
    fn ending(&self, conflict: DeploymentId, by: DeploymentId) -> Ending {
        match self.reverts {
            Some(reverts) if reverts.deployment == conflict => {
                Ending::RolledBack { cause: reverts.cause.cloned(), by }
            }
            Some(_) | None => Ending::Replaced { by },
        }
    }
}

/// Carries out a change as one deployment.
///
/// # Errors
/// When running deployments stand in the way, or too many run, or apps would depend on each other in a circle.
pub fn carry_out(
    draft: &mut Draft<'_>,
    effects: Vec<Effect>,
    terms: Terms<'_>,
) -> Result<Answer, Refusal> {
    check_count(draft, terms)?;
    let levels = levels(draft, &effects)?;
    let steps = Steps::of(&effects, &levels);
    let conflicts: BTreeSet<DeploymentId> = conflicts(draft, &effects);
    let id = DeploymentId(draft.new_id());
    let allowed = terms.how.force || terms.reverts.is_some();
    if !conflicts.is_empty() && !allowed {
        refuse(draft, id, &effects, &steps, terms);
        return Err(Refusal::Locked { deployments: conflicts.into_iter().collect() });
    }
    for conflict in conflicts {
        running::abandon(draft, conflict, &terms.ending(conflict, id));
    }
    // One that changes nothing any more has no conflict, and is over all the same.
    if let Some(reverts) = terms.reverts {
        running::abandon(draft, reverts.deployment, &terms.ending(reverts.deployment, id));
    }
    let created = effects.iter().filter(|effect| effect.action == Some(Action::Create));
    let created = created.map(|effect| effect.app.path.clone()).collect();
    draft.event(Event::GroupChanged { group: terms.group.clone(), version: terms.version });
    let deployment = Deployment {
        steps: steps.count(),
        start_step: steps.start,
        reverts: terms.reverts.map(|reverts| reverts.deployment),
        policy: terms.how.policy.or(policy(draft, &effects)),
        ..Deployment::accepted(id, terms.version, draft.now())
    };
    if steps.count() == 0 {
        write(draft, effects, &steps, id);
        running::finish(draft, &deployment);
    } else {
        draft.put_deployment(deployment);
        write(draft, effects, &steps, id);
    }
    Ok(Answer::Deployed { deployment: id, version: terms.version, created })
}

/// The version of a change: now, but later than every version that the apps have had (I13).
pub fn new_version<'a>(draft: &Draft<'_>, apps: impl Iterator<Item = &'a App>) -> Version {
    let newest = apps.map(|app| app.version.0 + Span::millis(1)).max();
    let newest = planted!("version-follows-the-clock", newest, newest.filter(|_| false));
    Version(newest.map_or(draft.now(), |newest| newest.max(draft.now())))
}

/// The app with a new current definition; the old one joins the earlier ones.
pub fn with_version(app: &App, version: Version) -> App {
    let mut app = app.clone();
    app.part = None;
    app.priors.push(app.version);
    app.version = version;
    app
}

/// When it counts as failed, as the apps that it brings or changes say.
fn policy(draft: &Draft<'_>, effects: &[Effect]) -> FailurePolicy {
    let acting = effects.iter().filter(|effect| {
        matches!(effect.action, Some(Action::Create | Action::Scale | Action::Restart))
    });
    let specs = acting.filter_map(|effect| {
        let stored = || draft.world().current(&effect.app).map(|row| row.spec.failure);
        effect.row.as_ref().map(|row| row.spec.failure).or_else(stored)
    });
    specs.reduce(FailurePolicy::stricter).unwrap_or_default()
}

fn check_count(draft: &Draft<'_>, terms: Terms<'_>) -> Result<(), Refusal> {
    let running = draft.world().deployments.len();
    match draft.limits().max_running_deployments {
        Some(limit) if terms.reverts.is_none() && running >= limit as usize => {
            Err(Refusal::TooMany { limit })
        }
        Some(_) | None => Ok(()),
    }
}

/// How long the longest chain of dependencies of each affected app is (DP-6).
fn levels(draft: &Draft<'_>, effects: &[Effect]) -> Result<BTreeMap<AppPath, u32>, Refusal> {
    let changed = |effect: &Effect| {
        effect.row.as_ref().map(|row| (effect.app.path.clone(), row.spec.clone()))
    };
    let overlay: BTreeMap<AppPath, Spec> = effects.iter().filter_map(changed).collect();
    let mut graph = Graph::new(draft.world(), &overlay);
    let acting = effects.iter().filter(|effect| effect.app.removed.is_none());
    let mut levels = BTreeMap::new();
    for effect in acting {
        let depth = graph.depth(&effect.app.path).map_err(|_| Refusal::Cycle)?;
        levels.insert(effect.app.path.clone(), depth);
    }
    Ok(levels)
}

fn conflicts(draft: &Draft<'_>, effects: &[Effect]) -> BTreeSet<DeploymentId> {
    let acting = effects.iter().filter(|effect| effect.action.is_some());
    let stored = acting.filter_map(|effect| draft.world().apps.get(&effect.app.key));
    stored.filter_map(|app| app.part.as_ref().map(|part| part.deployment)).collect()
}

/// A change that a lock refuses still tells of the plan that never ran (contract 9.4).
fn refuse(
    draft: &mut Draft<'_>,
    id: DeploymentId,
    effects: &[Effect],
    steps: &Steps,
    terms: Terms<'_>,
) {
    let reason =
        "App is locked by one or more deployments. Override with the option '?force=true'. \
                  View details at '/v2/deployments/<DEPLOYMENT_ID>'."
            .to_owned();
    let plan = Plan { id, version: terms.version, steps: steps.light(effects) };
    draft.event(Event::GroupChangeFailed {
        group: terms.group.clone(),
        version: terms.version,
        reason: reason.clone(),
    });
    draft.event(Event::DeploymentFailed { plan, reason });
}

fn write(draft: &mut Draft<'_>, effects: Vec<Effect>, steps: &Steps, id: DeploymentId) {
    for effect in effects {
        let Effect { mut app, row, action, from } = effect;
        let to = (action != Some(Action::Stop)).then_some(app.version);
        // An app without an action keeps the lock it may have.
        app.part = match action {
            Some(action) => {
                let step = steps.of_app(&app.path);
                Some(Part { deployment: id, step, action, done: false, from, to })
            }
            None => draft.world().apps.get(&app.key).and_then(|stored| stored.part.clone()),
        };
        if let Some(row) = row {
            draft.put_version(app.key, row);
        }
        let dropped = surplus_versions(draft, &mut app);
        let key = app.key;
        draft.put_app(app);
        for version in dropped {
            draft.remove(Key::AppVersion(key, version));
        }
    }
}

/// Takes the oldest definitions beyond the bound out of the app, but for those that something still needs.
fn surplus_versions(draft: &Draft<'_>, app: &mut App) -> Vec<Version> {
    let surplus = (app.priors.len() + 1).saturating_sub(MAX_VERSIONS);
    if surplus == 0 {
        return Vec::new();
    }
    let mut needed: BTreeSet<Version> =
        draft.world().instances_of(app.key).map(|instance| instance.version).collect();
    needed.extend(app.part.as_ref().and_then(|part| part.from));
    let dropped: Vec<Version> = app
        .priors
        .iter()
        .take(surplus)
        .filter(|version| !needed.contains(version))
        .copied()
        .collect();
    app.priors.retain(|version| !dropped.contains(version));
    dropped
}

/// The steps of a plan: all stops, all starts with nothing, then one step for each depth of dependencies (DP-6).
struct Steps {
    of: BTreeMap<AppPath, u32>,
    start: Option<u32>,
    count: u32,
}

// === impl Steps ===

impl Steps {
    fn of(effects: &[Effect], levels: &BTreeMap<AppPath, u32>) -> Steps {
        let acting =
            || effects.iter().filter_map(|effect| effect.action.map(|action| (effect, action)));
        let mut next = 0;
        let mut of = BTreeMap::new();
        let stops = acting().filter(|(_, action)| *action == Action::Stop);
        for (effect, _) in stops {
            of.insert(effect.app.path.clone(), 0);
            next = 1;
        }
        let mut start = None;
        if acting().any(|(_, action)| action == Action::Create) {
            start = Some(next);
            next += 1;
        }
        let rest = || acting().filter(|(_, action)| *action != Action::Stop);
        let level = |effect: &Effect| levels.get(&effect.app.path).copied().unwrap_or(1);
        let depths: BTreeSet<u32> = rest().map(|(effect, _)| level(effect)).collect();
        let number: BTreeMap<u32, u32> = depths.into_iter().zip(next..).collect();
        for (effect, _) in rest() {
            of.insert(effect.app.path.clone(), number[&level(effect)]);
        }
        let count = next + u32::try_from(number.len()).unwrap_or(0);
        Steps { of, start, count }
    }

    fn of_app(&self, path: &AppPath) -> u32 {
        self.of.get(path).copied().unwrap_or(0)
    }

    fn count(&self) -> u32 {
        self.count
    }

    fn light(&self, effects: &[Effect]) -> Vec<Vec<(PlanAction, AppPath)>> {
        let mut steps: Vec<Vec<(PlanAction, AppPath)>> = vec![Vec::new(); self.count as usize];
        let mut bytes = 0;
        for effect in effects {
            let Some(action) = effect.action else { continue };
            let path = effect.app.path.clone();
            bytes += 2 * (path.as_str().len() + 4);
            if bytes > running::MAX_PLAN_BYTES {
                break;
            }
            if let (Action::Create, Some(start)) = (action, self.start) {
                steps[start as usize].push((PlanAction::Start, path.clone()));
            }
            steps[self.of_app(&path) as usize].push((action.into(), path));
        }
        steps
    }
}
