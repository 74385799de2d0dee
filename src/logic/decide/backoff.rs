//! The delay before launches of one configuration: grows with each failure, is shared by all its instances, is a row
//! and so survives a failover (BO-2 to BO-7).

use crate::logic::draft::Draft;
use crate::model::app::{App, Backoff};
use crate::model::condition::Condition;
use crate::model::id::{AppKey, Version};
use crate::model::instance::{Goal, Instance};
use crate::model::spec::BackoffSpec;
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;

/// Configurations whose delay is remembered: the running and the coming one.
const MAX_BACKOFFS: usize = 2;

/// Follows a task that really changed its condition (BO-4).
pub fn follow(draft: &mut Draft<'_>, instance: &Instance, condition: Condition) {
    let Some(app) = draft.world().apps.get(&instance.key.app) else { return };
    let now = draft.now();
    match condition {
        condition if condition.grows_backoff() && instance.goal == Goal::Run => {
            let Some(row) = draft.world().versions.get(&(app.key, instance.version)) else {
                return;
            };
            let mut app = app.clone();
            grow(&mut app, instance.config, row.spec.backoff, now);
            draft.put_app(app);
        }
        Condition::Provisioned | Condition::Staging | Condition::Starting | Condition::Running => {
            let touched = |backoff: &Backoff| backoff.config == instance.config;
            if !app.backoffs.iter().any(touched) {
                return;
            }
            let mut app = app.clone();
            app.backoffs.iter_mut().filter(|one| touched(one)).for_each(|one| one.since = now);
            draft.put_app(app);
        }
        _ => {}
    }
}

/// The first moment at which a launch of a configuration is allowed.
pub fn until(app: &App, config: Version) -> Option<Timestamp> {
    app.backoffs.iter().find(|backoff| backoff.config == config).map(Backoff::until)
}

/// Forgets delays that nothing has touched for as long as they may last (BO-6).
pub fn expire(draft: &mut Draft<'_>, key: AppKey) {
    let now = draft.now();
    let Some(app) = draft.world().apps.get(&key) else { return };
    if app.backoffs.iter().any(|backoff| now > backoff.expires()) {
        let mut app = app.clone();
        app.backoffs.retain(|backoff| now <= backoff.expires());
        draft.put_app(app);
    }
}

/// Forgets the delay of a configuration (BO-7).
pub fn reset(app: &mut App, config: Version) {
    app.backoffs.retain(|backoff| backoff.config != config);
}

/// BO-3.
fn grow(app: &mut App, config: Version, spec: BackoffSpec, now: Timestamp) {
    let max = Span::secs(u64::from(spec.max_seconds));
    let first = Span::secs(u64::from(spec.seconds)).min(max);
    match app.backoffs.iter_mut().find(|backoff| backoff.config == config) {
        Some(backoff) => {
            let delay = planted!("backoff-never-grows", backoff.delay, first);
            let grown = Span::millis(spec.factor.times(delay.as_millis()));
            backoff.delay = grown.min(max);
            backoff.since = now;
            backoff.max = max;
        }
        None => app.backoffs.push(Backoff { config, delay: first, since: now, max }),
    }
    while app.backoffs.len() > MAX_BACKOFFS {
        app.backoffs.remove(0);
    }
}
