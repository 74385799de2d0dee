//! Who is killed since its checks fail (HC-6, HC-7), and when nobody is since too many would be (I19, HC-8).
//!
//! A check that fails everywhere at once says more of what the app depends on, or of the check, than of its instances:
//! to kill them all would make an outage of it. So when more than three in ten, and at least three, turn within one
//! interval, nothing of the app is killed for its health until most are alive again or somebody says so. What was never
//! alive does not count: a new version that cannot work is killed as ever, and takes nothing from the old one.

use crate::logic::decide::rollout::Capacity;
use crate::logic::draft::Draft;
use crate::logic::{health, status};
use crate::model::app::{App, AppVersion};
use crate::model::brake::HealthBrake;
use crate::model::event::Event;
use crate::model::id::{AppKey, InstanceKey};
use crate::model::instance::{StopWhy, Then};
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;

/// Fewer than so many hold nothing, however small the app is.
pub const FEWEST: u32 = 3;

/// Kills what its checks condemn, as far as the brake lets it.
pub fn decide(draft: &mut Draft<'_>, key: AppKey) {
    let Some(app) = draft.world().apps.get(&key) else { return };
    let idle = app.health_brake == HealthBrake::default();
    if idle && draft.index().apps.turned(key).next().is_none() {
        return kill_all(draft, key);
    }
    if !holds_brake(draft, key) {
        kill_all(draft, key);
    }
}

/// Lets the checks of every app kill again, however much that is.
pub fn release(draft: &mut Draft<'_>) {
    let now = draft.now();
    let held = |app: &App| app.health_brake.held.is_some();
    let all: Vec<App> =
        draft.world().apps.iter().map(|(_, app)| app).filter(|app| held(app)).cloned().collect();
    for app in all {
        let brake = HealthBrake { forgiven: Some(now), ..HealthBrake::default() };
        turn(draft, app, brake, 0);
    }
}

/// How many of an app count against its brake: those that turned together, or all that stand when it is held, and those
/// that were killed not long ago.
pub fn unwell(draft: &Draft<'_>, app: &App, now: Timestamp) -> u32 {
    let brake = app.health_brake;
    let counts = |at: &Timestamp| brake.forgiven.is_none_or(|forgiven| *at > forgiven);
    let mut turned = draft.index().apps.turned(app.key).take_while(counts).peekable();
    let from = match (brake.held, turned.peek()) {
        (None, Some(last)) => Some(*last - interval(draft, app)),
        (Some(_), _) | (None, None) => None,
    };
    let together = turned.take_while(|at| from.is_none_or(|from| *at >= from)).count();
    let killed = if brake.until.is_some_and(|until| now < until) { brake.killed } else { 0 };
    u32::try_from(together).unwrap_or(u32::MAX).saturating_add(killed)
}

/// Whether so many of an app's instances are too many: more than three in ten, and at least three.
pub const fn holds(unwell: u32, instances: u32) -> bool {
    unwell >= FEWEST && unwell as u64 * 10 > instances as u64 * 3
}

/// Holds the brake or lets go of it; whether it holds.
fn holds_brake(draft: &mut Draft<'_>, key: AppKey) -> bool {
    let Some(app) = draft.world().apps.get(&key).cloned() else { return false };
    let now = draft.now();
    let mut brake = app.health_brake;
    if brake.until.is_some_and(|until| now >= until) {
        (brake.killed, brake.until) = (0, None);
    }
    if draft.index().apps.turned(key).next().is_none() {
        // Nothing is left of what was forgiven.
        brake.forgiven = None;
    }
    let unwell = unwell(draft, &app, now);
    let too_many = holds(unwell, draft.index().apps.census(key).counted);
    let too_many = planted!("health-brake-never-holds", too_many, false);
    brake.held = brake.held.or(Some(now)).filter(|_| too_many);
    let held = brake.held.is_some();
    turn(draft, app, brake, unwell);
    held
}

/// Puts the brake; an alarm comes with its begin and its end.
fn turn(draft: &mut Draft<'_>, app: App, brake: HealthBrake, unhealthy: u32) {
    let was = app.health_brake;
    if was == brake {
        return;
    }
    if was.held.is_some() != brake.held.is_some() {
        let instances = draft.index().apps.census(app.key).counted;
        let (path, held) = (app.path.clone(), brake.held.is_some());
        draft.event(Event::HealthBrake { path, held, unhealthy, instances });
    }
    draft.put_app(App { health_brake: brake, ..app });
}

fn kill_all(draft: &mut Draft<'_>, key: AppKey) {
    let condemned: Vec<InstanceKey> = draft.index().apps.condemned(key).collect();
    let mut coming = 0;
    for instance in condemned {
        let first = may_replace_first(draft, key, coming);
        coming += u32::from(first);
        kill(draft, instance, if first { Then::Leave } else { Then::Relaunch });
    }
}

/// Whether the replacement of one may start before its end is confirmed: as far as the app may have more for a while.
/// What belongs to one place is launched again there.
fn may_replace_first(draft: &Draft<'_>, key: AppKey, coming: u32) -> bool {
    let Some(app) = draft.world().apps.get(&key).filter(|app| app.removed.is_none()) else {
        return false;
    };
    let Some(AppVersion { spec, .. }) = draft.world().current(app) else { return false };
    let census = draft.index().apps.census(key);
    let ceiling = Capacity::of(spec.upgrade, spec.instances, 0, spec.is_resident()).ceiling;
    !spec.is_resident() && census.counted + census.leaving + coming < ceiling
}

fn kill(draft: &mut Draft<'_>, key: InstanceKey, then: Then) {
    let Some(instance) = draft.instance(key).cloned() else { return };
    let Some(condemned) = health::condemned(draft.world(), &instance) else { return };
    let reason = condemned.record.cause.as_deref().unwrap_or("unknown").to_owned();
    let event = Event::UnhealthyKill {
        instance: instance.id,
        task: condemned.task.name.clone(),
        incarnation: instance.incarnation,
        path: status::path_of(draft, &instance),
        version: instance.version,
        reason: reason.clone(),
        agent: status::agent_of(draft, &instance),
    };
    draft.event(event);
    status::note_unhealthy(draft, &instance, condemned.task, &reason);
    if let Some(turned) = health::turned(&instance) {
        count_kill(draft, key.app, turned);
    }
    status::stop(draft, key, StopWhy::Unhealthy, then);
}

/// One that turned is killed: it counts for the brake for an interval.
fn count_kill(draft: &mut Draft<'_>, key: AppKey, turned: Timestamp) {
    let Some(mut app) = draft.world().apps.get(&key).cloned() else { return };
    let now = draft.now();
    if app.health_brake.forgiven.is_some_and(|forgiven| turned <= forgiven) {
        return;
    }
    let until = now + interval(draft, &app);
    let brake = &mut app.health_brake;
    let (killed, until) = match brake.until.filter(|until| now < *until) {
        Some(until) => (brake.killed + 1, until),
        None => (1, until),
    };
    (brake.killed, brake.until) = (killed, Some(until));
    draft.put_app(app);
}

/// The longest interval of the app's checks.
fn interval(draft: &Draft<'_>, app: &App) -> Span {
    let row = draft.world().current(app);
    let checks = row.into_iter().flat_map(|row| &row.spec.health_checks);
    let longest = checks.map(|check| check.interval_seconds).max().unwrap_or(0);
    Span::secs(u64::from(longest.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I19: more than 30 % of an app, and at least three.
    #[test]
    fn three_in_ten_and_at_least_three() {
        let rows = [
            (2, 2, false),
            (3, 3, true),
            (3, 9, true),
            (3, 10, false),
            (4, 10, true),
            (30, 100, false),
            (31, 100, true),
            (0, 0, false),
        ];
        for (unwell, instances, expected) in rows {
            assert_eq!(holds(unwell, instances), expected, "{unwell} of {instances}");
        }
    }
}
