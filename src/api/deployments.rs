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
use crate::model::fact::Change;
use crate::model::id::DeploymentId;

/// Answers with all running deployments.
#[utoipa::path(
    get,
    path = "/v2/deployments",
    operation_id = "listDeployments",
    tag = "deployments",
    responses((status = 200, description = "running deployments, oldest first", body = Vec<crate::api::schema::Deployment>)),
)]
pub fn list(api: &Api, call: &Call) -> Response {
    let text = match call.scope {
        Scope::Everything => show::deployment::deployments(&api.view().world),
    };
    reply::json_text(text)
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
    ),
    responses(
        (status = 200, description = "the deployment that takes it back", body = crate::api::schema::DeploymentResult),
        (status = 202, description = "with force: it is over"),
        (status = 404, description = "no such deployment runs", body = crate::api::schema::Message),
    ),
)]
pub async fn cancel(api: &Api, call: &Call, id: &str) -> Outcome {
    let uuid = Uuid::try_parse(id).map_err(|_| Reply::missing(&Missing::Deployment(id)))?;
    let force = call.query.flag("force", false);
    let cancel = Change::Cancel { deployment: DeploymentId(uuid) };
    match change::ask(api, call, force, |_| Ok((cancel.clone(), ()))).await? {
        (Done::Deployed(deployed), ()) => {
            Ok(Reply::deployed(200, deployed.deployment, deployed.version).into_response())
        }
        (Done::Cancelled, ()) => Ok(reply::empty(StatusCode::ACCEPTED)),
        (done @ (Done::Deploying(_) | Done::Killed(_) | Done::DelayReset | Done::Plainly), ()) => {
            Err(change::unexpected(&done))
        }
    }
}
