//! Removing an app: it is hidden at once, its instances end, its definitions stay for a while.

use crate::logic::change::plan::{self, Effect, Terms};
use crate::logic::draft::Draft;
use crate::model::app::{Action, App};
use crate::model::fact::{Answer, How, Refusal};
use crate::model::path::AppPath;

/// Removes an app as one deployment.
///
/// # Errors
/// The reason why nothing was done.
pub fn remove(draft: &mut Draft<'_>, path: &AppPath, how: How) -> Result<Answer, Refusal> {
    let Some(app) = draft.world().app(path).cloned() else {
        return Err(Refusal::NoApp { path: path.clone() });
    };
    let version = plan::new_version(draft, [&app].into_iter());
    let effect = removed(draft, &app);
    let group = path.parent();
    plan::carry_out(draft, vec![effect], Terms { version, how, reverts: None, group: &group })
}

/// What removing does to an app.
pub fn removed(draft: &Draft<'_>, app: &App) -> Effect {
    let from = Some(app.version);
    let app = App { removed: Some(draft.now()), part: None, ..app.clone() };
    Effect { app, row: None, action: Some(Action::Stop), from }
}
