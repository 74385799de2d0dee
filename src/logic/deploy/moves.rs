//! The changes that a deploy makes, by the door that clients use: locks, versions, events and deployments are the ordinary
//! ones.

use crate::logic::change::{cancel, put, remove};
use crate::logic::deploy::next::Act;
use crate::logic::draft::Draft;
use crate::model::app::App;
use crate::model::deploy::{Deploy, Hand};
use crate::model::deployment::{FailurePolicy, OnFailure};
use crate::model::fact::{Announce, Answer, Caller, Expect, How, Put, Refusal};
use crate::model::id::Version;
use crate::model::spec::Spec;

/// Why a change was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Something is in the way that will not be for ever.
    Later,
    /// It cannot be.
    Never(String),
}

/// Makes one change, and notes in the deploy how it left the app.
///
/// # Errors
/// When it was not made; then nothing was.
pub fn carry_out(draft: &mut Draft<'_>, deploy: &mut Deploy, act: Act) -> Result<(), Refused> {
    let on_old = matches!(act, Act::ScaleOld(_) | Act::RemoveOld);
    let hand = match &mut deploy.old {
        Some(old) if on_old => &mut old.hand,
        None if on_old => return Ok(()),
        Some(_) | None => &mut deploy.new.hand,
    };
    let Some(app) = draft.world().apps.get(&hand.app).cloned() else {
        return Err(Refused::Never(format!("{} is gone", hand.path)));
    };
    let force = may_go(draft, &app, hand, act)?;
    let answer = match act {
        Act::ScaleNew(count) | Act::ScaleOld(count) => scale(draft, &app, count, force),
        Act::RemoveOld | Act::RemoveNew => remove::remove(draft, &app.path, how(None, force)),
        Act::Revert => revert(draft, &app, deploy.new.before, force),
    };
    match answer {
        Ok(answer) => note(draft, hand, &answer),
        Err(refusal) => return Err(Refused::Never(told(&refusal))),
    }
    Ok(())
}

/// Whether the app may be changed now; gives whether a deployment of the deploy itself stands in the way. Asked before the
/// door is, since a change that it refuses is told to everybody.
fn may_go(draft: &Draft<'_>, app: &App, hand: &Hand, act: Act) -> Result<bool, Refused> {
    let own = match &app.part {
        Some(part) if Some(part.deployment) == hand.deployment => true,
        Some(_) => return Err(Refused::Later),
        None => false,
    };
    let running = draft.world().deployments.len();
    let full = draft.limits().max_running_deployments.is_some_and(|max| running >= max as usize);
    // What is taken back never waits for a free place (DP-17); its own deployment's is free with the change.
    if full && !(own && act == Act::Revert) { Err(Refused::Later) } else { Ok(own) }
}

fn scale(draft: &mut Draft<'_>, app: &App, count: u32, force: bool) -> Result<Answer, Refusal> {
    let spec = definition(draft, app, app.version)?;
    change(draft, app, Spec { instances: count, ..spec }, force)
}

/// Takes the deployment that brought the definition back, or what it left.
fn revert(
    draft: &mut Draft<'_>,
    app: &App,
    before: Option<Version>,
    force: bool,
) -> Result<Answer, Refusal> {
    match (&app.part, before) {
        (Some(part), before) => {
            let spec = before.and_then(|before| definition(draft, app, before).ok());
            let how = how(spec.as_ref(), false);
            cancel::cancel(draft, part.deployment, how)
        }
        (None, Some(before)) => {
            let spec = definition(draft, app, before)?;
            change(draft, app, spec, force)
        }
        (None, None) => remove::remove(draft, &app.path, how(None, force)),
    }
}

fn change(draft: &mut Draft<'_>, app: &App, spec: Spec, force: bool) -> Result<Answer, Refusal> {
    let how = how(Some(&spec), force);
    let put = Put { spec, expect: Expect::Version(app.version) };
    put::put(draft, &Caller::default(), vec![put], Announce::No, how)
}

/// How a deploy asks. Its own limits count: those that an app has for a single deployment would take back behind its back
/// what is one step of several.
pub fn how(spec: Option<&Spec>, force: bool) -> How {
    let unlimited = FailurePolicy {
        deadline_seconds: Some(u32::MAX),
        max_failures: Some(u32::MAX),
        on_failure: Some(OnFailure::None),
    };
    let limited = spec.is_some_and(|spec| spec.failure.has_limits());
    How { force, policy: if limited { unlimited } else { FailurePolicy::default() } }
}

fn definition(draft: &Draft<'_>, app: &App, version: Version) -> Result<Spec, Refusal> {
    let row = draft.world().versions.get(&(app.key, version));
    row.map(|row| row.spec.clone()).ok_or_else(|| Refusal::NoApp { path: app.path.clone() })
}

/// Notes how an app was left.
pub fn note(draft: &Draft<'_>, hand: &mut Hand, answer: &Answer) {
    if let Answer::Deployed { deployment, .. } = answer {
        hand.deployment = Some(*deployment);
    }
    if let Some(app) = draft.world().apps.get(&hand.app) {
        hand.version = app.version;
    }
}

/// A refusal in words, for the cause of a deploy.
fn told(refusal: &Refusal) -> String {
    match refusal {
        Refusal::NoApp { path } => format!("{path} has no such definition any more"),
        Refusal::NoServicePort => "no service port is left".to_owned(),
        Refusal::Cycle => "apps would depend on each other in a circle".to_owned(),
        Refusal::SameAsGroup { path } => format!("{path} is the id of a group and of an app"),
        Refusal::AmbiguousGpu { wanted, .. } => format!("{wanted} means several GPUs"),
        Refusal::Stale | Refusal::Locked { .. } | Refusal::Exists { .. } => {
            "somebody else changed the app".to_owned()
        }
        Refusal::TooMany { limit } => format!("{limit} deployments run, as many as may"),
        Refusal::Unavailable { detail } => detail.clone(),
        Refusal::NoDeployment { .. }
        | Refusal::NotPaused { .. }
        | Refusal::NoAgent { .. }
        | Refusal::AgentInUse { .. }
        | Refusal::NotQueued { .. }
        | Refusal::NoDeploy { .. }
        | Refusal::NotNow { .. }
        | Refusal::Several { .. }
        | Refusal::Deploying { .. } => "it was refused".to_owned(),
    }
}
