//! Restarting an app: the same definition as a new configuration (contract 14.5).

use crate::logic::change::plan::{self, Effect, Terms};
use crate::logic::decide::backoff;
use crate::logic::draft::Draft;
use crate::model::app::{Action, AppVersion};
use crate::model::fact::{Answer, How, Refusal};
use crate::model::path::AppPath;

/// Replaces every instance of an app, as one deployment.
///
/// # Errors
/// The reason why nothing was done.
pub fn restart(draft: &mut Draft<'_>, path: &AppPath, how: How) -> Result<Answer, Refusal> {
    let no_app = || Refusal::NoApp { path: path.clone() };
    let app = draft.world().app(path).cloned().ok_or_else(no_app)?;
    let current = draft.world().current(&app).cloned().ok_or_else(no_app)?;
    let version = plan::new_version(draft, [&app].into_iter());
    let action = if current.spec.instances == 0 { Action::Scale } else { Action::Restart };
    let row = AppVersion {
        version,
        last_config_change_at: version.0,
        config: version,
        ..current.clone()
    };
    let mut app = plan::with_version(&app, version);
    backoff::reset(&mut app, current.config);
    let effect = Effect { app, row: Some(row), action: Some(action), from: Some(current.version) };
    let group = path.parent();
    plan::carry_out(draft, vec![effect], Terms { version, how, reverts: None, group: &group })
}
