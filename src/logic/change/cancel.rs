//! Taking a deployment back, or just ending it (DP-16 to DP-18).
//!
//! Each app's part says what was before, so a rollback is an ordinary change that puts that back where nothing newer has
//! taken its place. Instances that already run what is put back count as converted.

use crate::logic::change::plan::{self, Effect, Reverts, Terms};
use crate::logic::change::remove;
use crate::logic::decide::deployment as running;
use crate::logic::draft::Draft;
use crate::model::app::{Action, App, AppVersion};
use crate::model::deployment::Cause;
use crate::model::fact::{Answer, How, Refusal};
use crate::model::id::{DeploymentId, Version};
use crate::model::outcome::Ending;
use crate::model::path::AppPath;

/// Takes a deployment back as a new one; with `force` only ends it.
///
/// # Errors
/// The reason why nothing was done.
pub fn cancel(draft: &mut Draft<'_>, id: DeploymentId, how: How) -> Result<Answer, Refusal> {
    if draft.world().deployments.get(&id).is_none() {
        return Err(Refusal::NoDeployment { deployment: id });
    }
    if how.force {
        running::abandon(draft, id, &Ending::Cancelled);
        return Ok(Answer::Cancelled);
    }
    take_back(draft, id, how, None)
}

/// Takes a deployment back as a new one, for a reason or because somebody asks for it.
///
/// # Errors
/// The reason why nothing was done.
pub fn take_back(
    draft: &mut Draft<'_>,
    id: DeploymentId,
    how: How,
    cause: Option<&Cause>,
) -> Result<Answer, Refusal> {
    let apps: Vec<App> = draft
        .index()
        .plans
        .apps(id)
        .filter_map(|key| draft.world().apps.get(&key))
        .cloned()
        .collect();
    let version = plan::new_version(draft, apps.iter());
    let effects = apps.iter().filter_map(|app| revert(draft, app, version)).collect();
    let group = match apps.as_slice() {
        [one] => one.path.parent(),
        _ => AppPath::root(),
    };
    let reverts = Some(Reverts { deployment: id, cause });
    plan::carry_out(draft, effects, Terms { version, how, reverts, group: &group })
}

/// What puts an app back to what it was before its part.
fn revert(draft: &Draft<'_>, app: &App, version: Version) -> Option<Effect> {
    let part = app.part.as_ref()?;
    let before = part.from.and_then(|from| draft.world().versions.get(&(app.key, from)));
    match (part.action, before) {
        (Action::Create, _) => Some(remove::removed(draft, app)),
        (Action::Stop, Some(before)) => Some(put_back(app, before, before.config, version)),
        (Action::Scale | Action::Restart, Some(before)) => {
            let current = draft.world().current(app)?;
            Some(put_back(app, before, current.config, version))
        }
        (Action::Stop | Action::Scale | Action::Restart, None) => None,
    }
}

fn put_back(app: &App, before: &AppVersion, config_now: Version, version: Version) -> Effect {
    let action = if before.spec.instances == 0 || before.config == config_now {
        Action::Scale
    } else {
        Action::Restart
    };
    let row = AppVersion {
        version,
        last_scaling_at: version.0,
        last_config_change_at: version.0,
        ..before.clone()
    };
    let from = Some(app.version);
    let app = App { removed: None, ..plan::with_version(app, version) };
    Effect { app, row: Some(row), action: Some(action), from }
}
