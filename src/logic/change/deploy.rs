//! Beginning a deploy, and what people do to one that is on its way: take it up again, promote it, take it back, end it.

use std::collections::BTreeSet;

use crate::logic::change::put;
use crate::logic::decide::deployment as running;
use crate::logic::deploy::sides::{self, Sides, Wish};
use crate::logic::deploy::{self as deploys, moves, next};
use crate::logic::draft::Draft;
use crate::model::app::App;
use crate::model::deploy::{Cause, Deploy, Ending, Hand, New, Old, Phase, State, Strategy, Undo};
use crate::model::fact::{Announce, Answer, Caller, Expect, Proposal, Put, Refusal, Steer};
use crate::model::id::{DeployId, DeploymentId};
use crate::model::outcome;
use crate::model::time::Timestamp;

/// Begins a deploy: its first change is made at once, so that what cannot be is refused here.
///
/// # Errors
/// The reason why nothing was done.
pub fn begin(
    draft: &mut Draft<'_>,
    who: &Caller,
    proposal: Proposal,
    force: bool,
) -> Result<Answer, Refusal> {
    let before = on_its_way(draft, &proposal);
    if !before.is_empty() && !force {
        return Err(Refusal::Deploying { deploys: before.iter().map(|it| it.id).collect() });
    }
    let begun = match proposal.plan.strategy {
        Strategy::Rolling => roll(draft, who, &proposal, force)?,
        Strategy::BlueGreen | Strategy::Canary => {
            replace(draft, who, &proposal, before.first(), force)?
        }
    };
    let id = DeployId(draft.new_id());
    for replaced in before {
        deploys::put(draft, replaced, State::Over(Ending::Replaced(id)));
    }
    let now = draft.now();
    let mut deploy = Deploy {
        id,
        app: proposal.put.spec.path,
        plan: proposal.plan,
        target: begun.target,
        counts: begun.counts,
        old: begun.old,
        new: begun.new,
        promoted: false,
        failures: 0,
        failed_at: None,
        last: None,
        state: State::Going(Phase::Finishing),
        since: now,
        at: now,
    };
    deploy.failed_at = failed_at(draft, &deploy);
    deploy.state = State::Going(next::growing(&deploy, 0, now));
    draft.put_deploy(deploy);
    Ok(Answer::Deploying { deploy: id })
}

/// Does what somebody asks of a deploy.
///
/// # Errors
/// The reason why nothing was done.
pub fn steer(draft: &mut Draft<'_>, id: DeployId, how: Steer) -> Result<Answer, Refusal> {
    let found = draft.world().deploys.get(&id).cloned();
    let mut deploy = found.ok_or(Refusal::NoDeploy { deploy: id })?;
    let now = draft.now();
    let not_now = || Refusal::NotNow { deploy: id, how };
    let state = match (how, deploy.state.clone()) {
        (Steer::Resume, State::Paused { cause: Cause::Promotion, phase })
        | (Steer::Promote, State::Paused { phase, .. }) => promote(&mut deploy, phase, draft),
        (Steer::Promote, State::Going(phase)) if phase != Phase::Finishing => {
            promote(&mut deploy, phase, draft)
        }
        (Steer::Resume, State::Paused { phase, .. }) => {
            deploy.failures = 0;
            deploy.failed_at = failed_at(draft, &deploy);
            State::Going(next::taken_up(&deploy, phase, now))
        }
        (Steer::RollBack, State::Going(phase)) if phase != Phase::Finishing => {
            State::RollingBack { cause: Cause::Asked, undo: Undo::Begun }
        }
        (Steer::RollBack, State::Paused { .. }) => {
            State::RollingBack { cause: Cause::Asked, undo: Undo::Begun }
        }
        (Steer::End, State::Going(_) | State::Paused { .. } | State::RollingBack { .. }) => {
            State::Over(Ending::Failed(Cause::Asked))
        }
        (_, State::Going(_) | State::RollingBack { .. } | State::Over(_)) => {
            return Err(not_now());
        }
    };
    deploys::put(draft, deploy, state);
    Ok(Answer::Deploying { deploy: id })
}

/// What the first change of a deploy has left.
struct Begun {
    target: u32,
    counts: Vec<u32>,
    old: Option<Old>,
    new: New,
}

/// The deploys of the same service that are on their way.
fn on_its_way(draft: &Draft<'_>, proposal: &Proposal) -> Vec<Deploy> {
    let world = draft.world();
    let spec = &proposal.put.spec;
    let apps: BTreeSet<_> = match proposal.plan.strategy {
        Strategy::Rolling => world.app(&spec.path).map(|app| app.key).into_iter().collect(),
        Strategy::BlueGreen | Strategy::Canary => {
            sides::serving(world, spec).iter().map(|app| app.key).collect()
        }
    };
    let live = draft.index().deploys.live().filter_map(|id| world.deploys.get(&id));
    let same =
        |deploy: &&Deploy| deploy.app == spec.path || deploy.apps().any(|app| apps.contains(&app));
    live.filter(same).cloned().collect()
}

/// The app itself changes.
fn roll(
    draft: &mut Draft<'_>,
    who: &Caller,
    proposal: &Proposal,
    force: bool,
) -> Result<Begun, Refusal> {
    let mut put = proposal.put.clone();
    let before = draft.world().app(&put.spec.path).cloned();
    let current = before.as_ref().and_then(|app| draft.world().current(app));
    if let Some(current) = current.filter(|_| !proposal.counted) {
        put.spec.instances = current.spec.instances;
    }
    let target = put.spec.instances;
    let new = first_change(draft, who, put, before.as_ref(), force)?;
    Ok(Begun { target, counts: vec![target], old: None, new })
}

/// A second app begins to take the place of the first.
fn replace(
    draft: &mut Draft<'_>,
    who: &Caller,
    proposal: &Proposal,
    replaced: Option<&Deploy>,
    force: bool,
) -> Result<Begun, Refusal> {
    let (spec, steps) = (&proposal.put.spec, proposal.plan.steps.as_slice());
    let wish = Wish { spec, counted: proposal.counted, steps, replaced, force };
    let Sides { old, whole, spec, itself, target, counts } =
        sides::find(draft.world(), &wish, draft.now())?;
    let held = old.as_ref().and_then(|old| old.part.as_ref()).map(|part| part.deployment);
    if let Some(held) = held.filter(|_| !force) {
        return Err(Refusal::Locked { deployments: vec![held] });
    }
    let expect = itself.as_ref().map_or(Expect::None, |itself| Expect::Version(itself.version));
    let new = first_change(draft, who, Put { spec, expect }, itself.as_ref(), force)?;
    if let (Some(held), Some(by)) = (held, new.hand.deployment) {
        running::abandon(draft, held, &outcome::Ending::Replaced { by });
    }
    let old = old.map(|old| {
        let serving = draft.index().apps.census(old.key).healthy;
        Old { hand: hand(&old, None), whole, serving }
    });
    Ok(Begun { target, counts, old, new })
}

fn first_change(
    draft: &mut Draft<'_>,
    who: &Caller,
    change: Put,
    before: Option<&App>,
    force: bool,
) -> Result<New, Refusal> {
    let path = change.spec.path.clone();
    let how = moves::how(Some(&change.spec), force);
    let answer = put::put(draft, who, vec![change], Announce::Stored, how)?;
    let Some(app) = draft.world().app(&path) else { return Err(Refusal::NoApp { path }) };
    let deployment = match answer {
        Answer::Deployed { deployment, .. } => Some(deployment),
        Answer::Deploying { .. }
        | Answer::Killed { .. }
        | Answer::Cancelled
        | Answer::DelayReset
        | Answer::Done
        | Answer::Attached(_)
        | Answer::Noted
        | Answer::Refused(_) => None,
    };
    let before = before.map(|before| before.version);
    Ok(New { hand: hand(app, deployment), born: app.version, before })
}

fn hand(app: &App, deployment: Option<DeploymentId>) -> Hand {
    Hand { app: app.key, path: app.path.clone(), version: app.version, deployment }
}

/// When the new app last failed: that is not counted.
fn failed_at(draft: &Draft<'_>, deploy: &Deploy) -> Option<Timestamp> {
    let app = draft.world().apps.get(&deploy.new.hand.app)?;
    app.last_failure.as_ref().map(|failure| failure.at)
}

/// What is on its way goes on to the whole count, without further holds and analyses.
fn promote(deploy: &mut Deploy, phase: Phase, draft: &Draft<'_>) -> State {
    let step = phase.step().unwrap_or_else(|| deploy.last_step());
    deploy.promoted = true;
    deploy.failures = 0;
    deploy.failed_at = failed_at(draft, deploy);
    if deploy.counts.last().is_none_or(|last| *last < deploy.target) {
        deploy.counts.push(deploy.target);
    }
    State::Going(next::passed(deploy, step, draft.now()))
}
