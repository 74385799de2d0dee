//! `GET /v2/apps/{id}/failures`: the lives of an app that failed, newest first, and each with its evidence. Our own.
//!
//! The outline comes from rows and is always there; the evidence is asked of the agent that keeps it, through an
//! [`EvidenceSource`](crate::api::seams::EvidenceSource). An agent that is not heard takes nothing of the outline away.

use axum::http::StatusCode;

use crate::api::call::{Api, Call};
use crate::api::logs::named;
use crate::api::path::AppId;
use crate::api::reply::{self, Outcome};
use crate::api::seams::{EvidenceError, EvidenceRequest};
use crate::contract::error::{Missing, Reply};
use crate::contract::show::autopsy::{self, Found};
use crate::model::app::App;
use crate::model::autopsy::Autopsy;
use crate::model::evidence::Evidence;
use crate::model::id::{Incarnation, InstanceId, TaskRef};
use crate::model::time::Timestamp;
use crate::model::view::View;

/// So many are listed where nobody says how many.
const USUAL: usize = 100;

/// Answers with the lives of an app that failed.
#[utoipa::path(
    get,
    path = "/v2/apps/{id}/failures",
    operation_id = "listFailures",
    tag = "apps",
    params(
        ("id" = String, Path, description = "app id, slashes included; of a removed app as long as there are any"),
        ("limit" = Option<u32>, Query, description = "at most so many, 100 by default"),
        ("task" = Option<String>, Query, description = "of this task, or of this instance, alone"),
    ),
    responses(
        (status = 200, description = "failures of the last 24 hours, newest first", body = crate::api::schema::Failures),
        (status = 400, description = "`limit` is no number", body = crate::api::schema::Message),
        (status = 404, description = "no such app, or `task` is no task id", body = crate::api::schema::Message),
        (status = 422, description = "`task` has no UUID", body = crate::api::schema::Message),
    ),
)]
pub fn list(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let limit = match call.query.first("limit") {
        None | Some("") => USUAL,
        Some(text) => text.parse().map_err(|_| {
            let message = format!("limit is a number, not '{text}'");
            reply::say(StatusCode::BAD_REQUEST, &message)
        })?,
    };
    let of = call.query.first("task").filter(|task| !task.is_empty()).map(life).transpose()?;
    let (view, now) = (api.view(), api.now());
    let app = find(call, &view, id, now)?;
    let all = || recent(&view, app, now).filter(|autopsy| of.is_none_or(|of| is_of(autopsy, of)));
    let text = autopsy::list(&view.world, &app.path, all().count(), all().take(limit));
    Ok(reply::json_text(text))
}

/// Answers with one life that failed, and its evidence.
#[utoipa::path(
    get,
    path = "/v2/apps/{id}/failures/{task}",
    operation_id = "getFailure",
    tag = "apps",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("task" = String, Path, description = "task id; that of an instance means its newest failure"),
    ),
    responses(
        (status = 200, description = "the failure, with its evidence or where that is", body = crate::api::schema::OneFailure),
        (status = 404, description = "no such app, or no such failure", body = crate::api::schema::Message),
        (status = 422, description = "the task id has no UUID", body = crate::api::schema::Message),
    ),
)]
pub async fn get(api: &Api, call: &Call, id: &AppId, task: &str) -> Outcome {
    let of = life(task)?;
    let (view, now) = (api.view(), api.now());
    let app = find(call, &view, id, now)?;
    let autopsy = recent(&view, app, now).find(|autopsy| is_of(autopsy, of));
    let autopsy = autopsy.ok_or_else(|| Reply::missing(&Missing::Task(task)))?;
    let taken = evidence(api, &view, autopsy).await;
    let found = match &taken {
        Ok(evidence) => Found::Here(evidence),
        Err(EvidenceError::None) => Found::None,
        Err(EvidenceError::Away(why)) => Found::Away(why),
        Err(EvidenceError::Forgotten) => Found::Forgotten,
    };
    Ok(reply::json_text(autopsy::one(&view.world, &app.path, autopsy, found)))
}

/// The app that a URL names. One that is removed is there as long as something of it failed: a deployment that is taken
/// back may take its app away.
fn find<'a>(call: &Call, view: &'a View, id: &AppId, now: Timestamp) -> Result<&'a App, Reply> {
    let path = id.path().ok().filter(|path| call.scope.sees(path));
    let app = path.and_then(|path| view.world.any_app(&path));
    let is_known = |app: &&App| app.removed.is_none() || recent(view, app, now).next().is_some();
    app.filter(is_known)
        .ok_or_else(|| reply::not_found(&format!("App '{}' does not exist", id.text())))
}

fn recent<'a>(view: &'a View, app: &App, now: Timestamp) -> impl Iterator<Item = &'a Autopsy> {
    let all = view.world.autopsies_of(app.key).rev();
    all.filter(move |autopsy| !autopsy.is_outdated(now))
}

/// The instance and, if it says so, the life that a task id means.
fn life(task: &str) -> Result<(InstanceId, Option<Incarnation>), Reply> {
    let task_ref = TaskRef::parse(task).map_err(|error| Reply::no_task_id(task, &error))?;
    let (_, incarnation) = named(task, &task_ref);
    Ok((task_ref.instance, incarnation))
}

fn is_of(autopsy: &Autopsy, (instance, life): (InstanceId, Option<Incarnation>)) -> bool {
    autopsy.instance == instance && life.is_none_or(|life| autopsy.incarnation == life)
}

/// What the agent kept; what is of another life, or nothing that can be read, is none.
async fn evidence(api: &Api, view: &View, autopsy: &Autopsy) -> Result<Evidence, EvidenceError> {
    let agent = autopsy.agent.as_ref().ok_or(EvidenceError::Forgotten)?.key;
    if view.world.agents.get(&agent).is_none() {
        return Err(EvidenceError::Forgotten);
    }
    let Autopsy { instance, incarnation, .. } = *autopsy;
    let json = api.evidence().find(EvidenceRequest { agent, instance, incarnation }).await?;
    let taken: Option<Evidence> = serde_json::from_slice(&json).ok();
    taken
        .filter(|taken| taken.instance == instance && taken.incarnation == incarnation)
        .ok_or(EvidenceError::None)
}
