//! When a deployment counts as failed: its deadline, and the failures that it bears.
//!
//! Only what it brings counts: that an instance of an earlier configuration fails says nothing against the new one.

use std::fmt::Write;

use crate::logic::draft::Draft;
use crate::model::app::{Action, App};
use crate::model::deployment::{Cause, CauseKind, Deployment, State};
use crate::model::instance::Instance;
use crate::model::text::cut;
use crate::model::time::Timestamp;

/// The longest text of a failure within a cause.
const MAX_QUOTED: usize = 1_000;

/// Counts a failed life against the deployment that brings it.
pub fn count_failure(draft: &mut Draft<'_>, instance: &Instance) {
    let Some(app) = draft.world().apps.get(&instance.key.app) else { return };
    let Some(part) = &app.part else { return };
    let brought = part.to.and_then(|to| draft.world().versions.get(&(app.key, to)));
    let brought = brought.is_some_and(|row| row.config == instance.config);
    let Some(running) = draft.world().deployments.get(&part.deployment) else { return };
    if brought && running.step >= part.step {
        let failures = running.failures.saturating_add(1);
        draft.put_deployment(Deployment { failures, ..running.clone() });
    }
}

/// Why a deployment that goes on no longer may.
pub fn passed(draft: &Draft<'_>, running: &Deployment) -> Option<Cause> {
    match running.state {
        State::Going => {}
        State::Paused(_) | State::Stuck(_) => return None,
    }
    let now = draft.now();
    let cause = |kind, what: String| {
        let message = format!("{what}{}", circumstances(draft, running));
        Some(Cause { kind, at: now, message })
    };
    let most = running.policy.max_failures;
    if most.is_some_and(|most| running.failures > most) {
        let most = most.unwrap_or_default();
        let failures = running.failures;
        return cause(
            CauseKind::TooManyFailures,
            format!("{failures} of its instances failed, and {most} were to be borne"),
        );
    }
    if running.deadline().is_some_and(|at| now >= at) {
        let seconds = running.policy.deadline_seconds.unwrap_or_default();
        return cause(CauseKind::Overdue, format!("it was not done within {seconds} s"));
    }
    None
}

/// What keeps the first open app from being done, and how many others are open.
fn circumstances(draft: &Draft<'_>, running: &Deployment) -> String {
    let world = draft.world();
    let open = draft.index().plans.apps(running.id).filter_map(|key| world.apps.get(&key));
    let mut open = open.filter(|app| app.part.as_ref().is_some_and(|part| !part.done));
    let Some(first) = open.next() else { return String::new() };
    let mut text = String::from("; ");
    let census = draft.index().apps.census(first.key);
    let removes = first.part.as_ref().is_some_and(|part| part.action == Action::Stop);
    let written = if removes {
        write!(text, "{} of {} are still there", census.rows, first.path)
    } else {
        let wanted = world.current(first).map_or(0, |row| row.spec.instances);
        let healthy = healthy_of_current(draft, first);
        write!(text, "{healthy} of {wanted} instances of {} serve as they shall", first.path)
    };
    written.expect("a text takes all");
    let others = open.count();
    if others > 0 {
        write!(text, ", {others} more apps are not done").expect("a text takes all");
    }
    if let Some(failure) = last_failure(first, running.since) {
        write!(text, "; the last failure: {failure}").expect("a text takes all");
    }
    text
}

fn healthy_of_current(draft: &Draft<'_>, app: &App) -> usize {
    let config = draft.world().current(app).map(|row| row.config);
    let of_current = |one: &&Instance| one.is_healthy() && Some(one.config) == config;
    draft.world().instances_of(app.key).filter(of_current).count()
}

/// What an app's last task to fail since then said.
fn last_failure(app: &App, since: Timestamp) -> Option<String> {
    let failure = app.last_failure.as_ref().filter(|failure| failure.at >= since)?;
    Some(match cut(&failure.message, MAX_QUOTED) {
        "" => format!("it ended as {}", failure.condition.as_str()),
        text => text.to_owned(),
    })
}
