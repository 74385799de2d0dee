//! `?dryRun=true` on the writes of apps: what the change would come to, and nothing is changed. Our own; Marathon has
//! nothing like it (U7).
//!
//! The brain itself plays the change on a copy of the view, off its own thread; here that is asked for and written down.
//! What would be refused is refused with the same status and the same words.

use axum::response::{IntoResponse, Response};
use serde_json::Value;

use crate::api::call::{Api, Call};
use crate::api::explain;
use crate::api::reply::{self, Outcome};
use crate::contract::error::Reply;
use crate::contract::fault::Warning;
use crate::contract::show::app::definition;
use crate::contract::show::diff::{self, Difference};
use crate::contract::show::text::{self, Object};
use crate::logic::rehearse::doubt::Doubt;
use crate::logic::rehearse::{Course, Rehearsal, rehearse};
use crate::model::app::AppVersion;
use crate::model::event::PlanAction;
use crate::model::fact::{Change, How};
use crate::model::view::View;

/// Whether a write is only to be rehearsed.
pub fn is_asked(call: &Call) -> bool {
    call.query.flag("dryRun", false)
}

/// Answers with what a change would come to.
///
/// # Errors
/// What the change itself would be refused with.
pub async fn answer(
    api: &Api,
    call: &Call,
    how: How,
    warnings: &[Warning],
    make: impl FnOnce(&View) -> Result<(Change, Vec<Warning>), Reply>,
) -> Outcome {
    let view = api.view();
    if view.world.meta.is_none() {
        return Err(Reply::unavailable("this server has not read what there is"));
    }
    let (change, more) = make(&view)?;
    let (limits, now, who) = (api.config().limits, api.now(), call.caller());
    // Playing computes and never waits, and may take longer than other requests should wait for.
    let played = tokio::task::spawn_blocking(move || {
        rehearse(&view, limits, &who, change, how, now).map(|rehearsal| text_of(&rehearsal))
    });
    let text = played
        .await
        .map_err(|_| Reply::message(500, "the change could not be played"))?
        .map_err(|refusal| Reply::refused(&refusal))?;
    let mut response: Response = Reply::json(200, text).into_response();
    reply::warn(&mut response, &[warnings, &more].concat());
    if let Some(trouble) = api.server().trouble() {
        reply::stale(response.headers_mut(), &trouble);
    }
    Ok(response)
}

fn text_of(rehearsal: &Rehearsal) -> String {
    let Rehearsal { version, steps, cancels, courses, complete, world: _, at: _ } = rehearsal;
    let changed = || courses.iter().filter(|one| is_changed(one));
    text::object_text(|out| {
        out.raw("dryRun", true);
        out.raw("changes", changed().next().is_some());
        out.raw("complete", complete);
        out.plain("version", version);
        out.texts("affectedApps", changed().map(|one| one.path.as_str()));
        out.raw("affectedPods", "[]");
        out.objects("steps", steps, |object, step| {
            object.objects("actions", step, |object, (action, app)| {
                object.plain("action", action.as_str());
                object.plain("app", app);
            });
        });
        out.raw("totalSteps", steps.len());
        out.texts("cancels", cancels.iter().map(ToString::to_string));
        out.objects("apps", courses, |object, course| course_members(object, rehearsal, course));
    })
}

/// Whether anything of an app is different afterwards.
fn is_changed(course: &Course) -> bool {
    let [before, after] =
        [&course.before, &course.after].map(|row| row.as_ref().map(|row| &row.spec));
    course.action.is_some() || before != after
}

fn course_members(out: &mut Object<'_>, rehearsal: &Rehearsal, course: &Course) {
    let Course { path, before, after, action, served, lowest, kept, ended, starts, .. } = course;
    out.plain("id", path);
    out.plain("change", what(course));
    if let Some(action) = action {
        out.plain("action", action.as_str());
    }
    let json = |row: &AppVersion| serde_json::from_str::<Value>(&definition(row)).ok();
    let (old, new) = (before.as_deref().and_then(json), after.as_deref().and_then(json));
    out.objects("diff", diff::differences(old.as_ref(), new.as_ref()), difference_members);
    out.object("instances", |instances| {
        instances.raw("before", before.as_ref().map_or(0, |row| row.spec.instances));
        instances.raw("after", after.as_ref().map_or(0, |row| row.spec.instances));
        instances.raw("serving", served);
        instances.raw("lowestServing", lowest);
        instances.raw("kept", kept);
        instances.raw("ended", ended);
        instances.raw("started", starts.values().sum::<u32>());
        instances.raw("waiting", course.waiting);
    });
    out.objects("placements", starts, |object, (agent, instances)| {
        if let Some(agent) = rehearsal.world.agents.get(agent) {
            object.plain("agent", agent.id);
            object.text("host", &agent.inventory.hostname);
        }
        object.raw("instances", instances);
    });
    let app = rehearsal.world.any_app(path);
    if let (Some(explanation), Some(app)) = (&course.explanation, app) {
        out.raw(
            "explanation",
            explain::text_of(&rehearsal.world, app, None, explanation, rehearsal.at),
        );
    }
    out.objects("warnings", &course.doubts, warning_members);
}

/// In a word, what becomes of an app.
fn what(course: &Course) -> &'static str {
    match (&course.before, &course.after, course.action) {
        (None, Some(_), _) => "create",
        (_, None, _) => "remove",
        (Some(_), Some(_), Some(PlanAction::Restart | PlanAction::Start)) => "restart",
        (Some(_), Some(_), Some(PlanAction::Scale | PlanAction::Stop)) => "scale",
        (Some(_), Some(_), None) if is_changed(course) => "update",
        (Some(_), Some(_), None) => "none",
    }
}

fn difference_members(out: &mut Object<'_>, difference: Difference) {
    out.plain("op", difference.op());
    out.text("path", &difference.path);
    if difference.secret {
        out.raw("secret", true);
        return;
    }
    out.raw_if("before", difference.before);
    out.raw_if("after", difference.after);
}

fn warning_members(out: &mut Object<'_>, doubt: &Doubt) {
    out.plain("kind", doubt.kind());
    out.text("text", &doubt.to_string());
}
