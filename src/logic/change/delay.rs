//! Launching what waits without further delay (OM-10).

use crate::logic::decide::backoff;
use crate::logic::draft::Draft;
use crate::model::fact::{Answer, Refusal};
use crate::model::path::AppPath;

/// Forgets the delay of an app's current configuration.
///
/// # Errors
/// The reason why nothing was done.
pub fn reset(draft: &mut Draft<'_>, path: &AppPath) -> Result<Answer, Refusal> {
    let not_queued = || Refusal::NotQueued { path: path.clone() };
    let mut app = draft.world().app(path).cloned().ok_or_else(not_queued)?;
    if draft.index().apps.waits_since(app.key).is_none() {
        return Err(not_queued());
    }
    let config = draft.world().current(&app).map(|row| row.config).ok_or_else(not_queued)?;
    backoff::reset(&mut app, config);
    draft.put_app(app);
    Ok(Answer::DelayReset)
}
