//! What became of deployments (ours): `GET /v2/deployments/history`, and how a running one stands.

use crate::contract::show::text::{self, Object};
use crate::model::app::App;
use crate::model::deployment::{Cause, Deployment, OnFailure};
use crate::model::outcome::Outcome;

/// The items of the history.
pub fn history<'a>(outcomes: impl IntoIterator<Item = &'a Outcome>) -> String {
    let mut out = String::new();
    text::list(&mut out, outcomes, |out, outcome| text::object(out, |it| members(it, outcome)));
    out
}

fn members(out: &mut Object<'_>, outcome: &Outcome) {
    out.plain("id", outcome.id);
    out.plain("version", outcome.version);
    out.plain("outcome", outcome.ending.as_str());
    if let Some(cause) = outcome.ending.cause() {
        out.object("cause", |object| cause_members(object, cause));
    }
    if let Some(by) = outcome.ending.by() {
        out.plain("followedBy", by);
    }
    if let Some(reverts) = outcome.reverts {
        out.plain("reverts", reverts);
    }
    out.plain("startedAt", outcome.since);
    out.plain("endedAt", outcome.at);
    out.raw("failures", outcome.failures);
    out.objects("actions", &outcome.apps, |object, (action, path)| {
        object.plain("action", action.as_str());
        object.plain("app", path);
    });
    if outcome.more_apps > 0 {
        out.raw("moreApps", outcome.more_apps);
    }
}

/// How a running deployment stands, with the last failure of what it changes.
pub fn standing<'a>(
    out: &mut Object<'_>,
    row: &Deployment,
    apps: impl IntoIterator<Item = &'a App>,
) {
    out.plain("state", row.state.as_str());
    if let Some(cause) = row.state.cause() {
        out.object("cause", |object| cause_members(object, cause));
    }
    out.plain("startedAt", row.since);
    if let Some(deadline) = row.deadline() {
        out.plain("deadline", deadline);
    }
    out.raw_if("maxFailures", row.policy.max_failures);
    out.text_if("onFailure", row.policy.on_failure.map(OnFailure::as_str));
    out.raw("failures", row.failures);
    if let Some(reverts) = row.reverts {
        out.plain("reverts", reverts);
    }
    let failures = apps.into_iter().filter_map(|app| Some((app, app.last_failure.as_ref()?)));
    let newest = failures
        .filter(|(_, failure)| failure.at >= row.since)
        .max_by_key(|(_, failure)| failure.at);
    if let Some((app, failure)) = newest {
        out.object("lastFailure", |object| {
            object.plain("app", &app.path);
            object.text("message", &failure.message);
            object.plain("state", failure.condition.task_state());
            object.plain("at", failure.at);
        });
    }
}

fn cause_members(out: &mut Object<'_>, cause: &Cause) {
    out.plain("kind", cause.kind.as_str());
    out.text("message", &cause.message);
    out.plain("at", cause.at);
}
