//! `/v2/deployments`: what is on its way, and taking it back (contract 3.8).

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::api::call::{Api, Call};
use crate::api::change::{self, Done};
use crate::api::reply::{self, Outcome};
use crate::api::scope::Scope;
use crate::contract::error::{Missing, Reply};
use crate::contract::show;
use crate::model::fact::{Change, How};
use crate::model::id::DeploymentId;
use crate::model::path::AppPath;

/// Outcomes in one answer, unless the query says another number.
const HISTORY: usize = 100;

/// Answers with all running deployments.
#[utoipa::path(
    get,
    path = "/v2/deployments",
    operation_id = "listDeployments",
    tag = "deployments",
    params(("embed" = Option<String>, Query, description = "`state`: also how those stand that cannot fail")),
    responses((status = 200, description = "running deployments, oldest first", body = Vec<crate::api::schema::Deployment>)),
)]
pub fn list(api: &Api, call: &Call) -> Response {
    let states = call.query.all("embed").any(|value| value == "state");
    let text = match call.scope {
        Scope::Everything => show::deployment::deployments(&api.view().world, states),
    };
    reply::json_text(text)
}

/// Answers with what became of deployments that are over.
#[utoipa::path(
    get,
    path = "/v2/deployments/history",
    operation_id = "listDeploymentHistory",
    tag = "deployments",
    params(
        ("app" = Option<String>, Query, description = "only of this app or group"),
        ("id" = Option<String>, Query, description = "only this deployment"),
        ("limit" = Option<u32>, Query, description = "at most so many (100); 1,000 are kept"),
    ),
    responses(
        (status = 200, description = "what became of deployments, the newest first", body = Vec<crate::api::schema::DeploymentOutcome>),
        (status = 400, description = "no such limit, or no id of an app", body = crate::api::schema::Message),
    ),
)]
pub fn history(api: &Api, call: &Call) -> Outcome {
    let wrong = |text: String| Reply::message(400, &text);
    let limit = match call.query.first("limit") {
        None => HISTORY,
        Some(text) => text.parse().map_err(|_| wrong(format!("limit is no number: '{text}'")))?,
    };
    let group = call.query.first("app").map(|text| AppPath::resolve(text, &AppPath::root()));
    let group = group.transpose().map_err(|error| wrong(format!("app: {error}")))?;
    let id = call.query.first("id");
    let view = api.view();
    let newest_first = view.world.outcomes.iter().rev().map(|(_, outcome)| outcome);
    let chosen = newest_first.filter(|outcome| {
        let of_app = |group| outcome.apps.iter().any(|(_, path)| path.is_within(group));
        group.as_ref().is_none_or(of_app) && id.is_none_or(|id| outcome.id.to_string() == id)
    });
    Ok(reply::json_text(show::outcome::history(chosen.take(limit))))
}

/// Takes a deployment back by a new one, or with `force` ends it half-way.
#[utoipa::path(
    delete,
    path = "/v2/deployments/{id}",
    operation_id = "cancelDeployment",
    tag = "deployments",
    params(
        ("id" = String, Path, description = "deployment id"),
        ("force" = Option<bool>, Query, description = "end it and leave everything as it is"),
        crate::api::schema::FailurePolicy,
    ),
    responses(
        (status = 200, description = "the deployment that takes it back", body = crate::api::schema::DeploymentResult),
        (status = 202, description = "with force: it is over"),
        (status = 400, description = "a limit of the deployment that takes it back is none", body = crate::api::schema::Message),
        (status = 404, description = "no such deployment runs", body = crate::api::schema::Message),
    ),
)]
pub async fn cancel(api: &Api, call: &Call, id: &str) -> Outcome {
    let uuid = Uuid::try_parse(id).map_err(|_| Reply::missing(&Missing::Deployment(id)))?;
    let how = call.how(false)?;
    let cancel = Change::Cancel { deployment: DeploymentId(uuid) };
    match change::ask(api, call, how, |_| Ok((cancel.clone(), ()))).await? {
        (Done::Deployed(deployed), ()) => {
            Ok(Reply::deployed(200, deployed.deployment, deployed.version).into_response())
        }
        (Done::Cancelled, ()) => Ok(reply::empty(StatusCode::ACCEPTED)),
        (done @ (Done::Deploying(_) | Done::Killed(_) | Done::DelayReset | Done::Plainly), ()) => {
            Err(change::unexpected(&done))
        }
    }
}

/// Goes on with a deployment that waits for somebody. Its limits are counted anew.
#[utoipa::path(
    post,
    path = "/v2/deployments/{id}/resume",
    operation_id = "resumeDeployment",
    tag = "deployments",
    params(("id" = String, Path, description = "deployment id")),
    responses(
        (status = 200, description = "it goes on"),
        (status = 404, description = "no such deployment runs", body = crate::api::schema::Message),
        (status = 409, description = "it does not wait", body = crate::api::schema::Message),
    ),
)]
pub async fn resume(api: &Api, call: &Call, id: &str) -> Outcome {
    let uuid = Uuid::try_parse(id).map_err(|_| Reply::missing(&Missing::Deployment(id)))?;
    let resume = Change::Resume { deployment: DeploymentId(uuid) };
    match change::ask(api, call, How::default(), |_| Ok((resume.clone(), ()))).await? {
        (Done::Plainly, ()) => Ok(reply::json_text("{}".to_owned())),
        (done, ()) => Err(change::unexpected(&done)),
    }
}
