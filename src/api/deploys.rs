//! `/v2/deploys`: bringing an app into service by a strategy. Not Marathon's; docs/deploys.md says what it does.

use axum::http::StatusCode;
use axum::http::header::{HeaderValue, LOCATION};
use axum::response::{IntoResponse, Response};
use uuid::Uuid;

use crate::api::call::{Api, Call};
use crate::api::change::{self, Done};
use crate::api::read::Json;
use crate::api::reply::{self, Outcome};
use crate::contract::deploy::Asked;
use crate::contract::error::{Missing, Reply};
use crate::contract::fault::Read;
use crate::contract::show::deploy as show;
use crate::model::deploy::Deploy;
use crate::model::fact::{Change, Expect, How, Proposal, Put, Steer};
use crate::model::id::DeployId;
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::view::View;

/// Begins a deploy.
#[utoipa::path(
    post,
    path = "/v2/deploys",
    operation_id = "createDeploy",
    tag = "deploys",
    params(
        ("force" = Option<bool>, Query, description = "replace a deploy of the app that is on its way, override running deployments"),
        ("strict" = Option<bool>, Query, description = "refuse what is otherwise taken with a Warning"),
    ),
    request_body = crate::api::schema::DeployRequest,
    responses(
        (status = 201, description = "on its way; `Location` says where it is shown", body = crate::api::schema::Deploy),
        (status = 400, description = "no JSON: where and why", body = crate::api::schema::Message),
        (status = 409, description = "a deploy of the app is on its way, a deployment holds it, or the second app's name is taken", body = crate::api::schema::Locked),
        (status = 422, description = "every fault of the body", body = crate::api::schema::Faults),
    ),
)]
pub async fn create(api: &Api, call: &Call) -> Outcome {
    let body = Json::of(api, call)?;
    let read = body.deploy()?;
    begin(api, call, &body, |_| Ok(read.clone())).await
}

/// Begins the deploy that the body of a new app asks for.
pub async fn of_new(api: &Api, call: &Call, body: &Json) -> Outcome {
    let read = body.deploy_of_app()?;
    begin(api, call, body, |_| Ok(read.clone())).await
}

/// Begins the deploy that a change of an app asks for; `partial` merges into what there is.
pub async fn of_app(
    api: &Api,
    call: &Call,
    path: &AppPath,
    body: &Json,
    partial: bool,
    creates: bool,
) -> Outcome {
    begin(api, call, body, |view| {
        let app = call.scope.app(view, path);
        if app.is_none() && !creates {
            return Err(Reply::missing(&Missing::AppToChange(path)));
        }
        let current = app.filter(|_| partial).map(|app| (view, app));
        body.deploy_at(path, current)
    })
    .await
}

/// Lists deploys.
#[utoipa::path(
    get,
    path = "/v2/deploys",
    operation_id = "listDeploys",
    tag = "deploys",
    params(("app" = Option<String>, Query, description = "only those of this app, by the id that was asked for or that it has")),
    responses((status = 200, description = "deploys, oldest first; those that are over are kept, the newest 1,000", body = crate::api::schema::Deploys)),
)]
pub fn list(api: &Api, call: &Call) -> Response {
    let view = api.view();
    let wanted = call.query.first("app").and_then(|text| AppPath::parse(text).ok());
    let is_wanted = |row: &&Deploy| {
        let hands = row.old.iter().map(|old| &old.hand).chain([&row.new.hand]);
        let mut paths = hands.map(|hand| &hand.path).chain([&row.app]);
        wanted.as_ref().is_none_or(|wanted| paths.any(|path| path == wanted))
    };
    let all = view.world.deploys.iter().map(|(_, row)| row);
    let mut rows: Vec<&Deploy> =
        all.filter(|row| call.scope.sees(&row.app)).filter(is_wanted).collect();
    rows.sort_by_key(|row| (row.since, row.id));
    reply::json_text(show::deploys(&view.world, rows))
}

/// Shows a deploy.
#[utoipa::path(
    get,
    path = "/v2/deploys/{id}",
    operation_id = "getDeploy",
    tag = "deploys",
    params(("id" = String, Path, description = "deploy id")),
    responses(
        (status = 200, description = "the deploy", body = crate::api::schema::Deploy),
        (status = 404, description = "no such deploy", body = crate::api::schema::Message),
    ),
)]
pub fn get(api: &Api, call: &Call, id: &str) -> Outcome {
    let id = find(api, call, id)?;
    Ok(shown(api, id, StatusCode::OK))
}

/// Takes a paused deploy's step up again.
#[utoipa::path(
    post,
    path = "/v2/deploys/{id}/resume",
    operation_id = "resumeDeploy",
    tag = "deploys",
    params(("id" = String, Path, description = "deploy id")),
    responses(
        (status = 200, description = "the deploy", body = crate::api::schema::Deploy),
        (status = 404, description = "no such deploy", body = crate::api::schema::Message),
        (status = 409, description = "it is not paused", body = crate::api::schema::Message),
    ),
)]
pub async fn resume(api: &Api, call: &Call, id: &str) -> Outcome {
    steer(api, call, id, Steer::Resume).await
}

/// Lets a deploy go on to the whole count at once.
#[utoipa::path(
    post,
    path = "/v2/deploys/{id}/promote",
    operation_id = "promoteDeploy",
    tag = "deploys",
    params(("id" = String, Path, description = "deploy id")),
    responses(
        (status = 200, description = "the deploy", body = crate::api::schema::Deploy),
        (status = 404, description = "no such deploy", body = crate::api::schema::Message),
        (status = 409, description = "it is on its way back, at its end, or over", body = crate::api::schema::Message),
    ),
)]
pub async fn promote(api: &Api, call: &Call, id: &str) -> Outcome {
    steer(api, call, id, Steer::Promote).await
}

/// Takes a deploy back.
#[utoipa::path(
    post,
    path = "/v2/deploys/{id}/rollback",
    operation_id = "rollBackDeploy",
    tag = "deploys",
    params(("id" = String, Path, description = "deploy id")),
    responses(
        (status = 200, description = "the deploy", body = crate::api::schema::Deploy),
        (status = 404, description = "no such deploy", body = crate::api::schema::Message),
        (status = 409, description = "it is on its way back already, at its end, or over", body = crate::api::schema::Message),
    ),
)]
pub async fn roll_back(api: &Api, call: &Call, id: &str) -> Outcome {
    steer(api, call, id, Steer::RollBack).await
}

/// Takes a deploy back, or with `force` ends it where it stands.
#[utoipa::path(
    delete,
    path = "/v2/deploys/{id}",
    operation_id = "removeDeploy",
    tag = "deploys",
    params(
        ("id" = String, Path, description = "deploy id"),
        ("force" = Option<bool>, Query, description = "end it and leave everything as it is"),
    ),
    responses(
        (status = 200, description = "the deploy", body = crate::api::schema::Deploy),
        (status = 404, description = "no such deploy", body = crate::api::schema::Message),
        (status = 409, description = "it is on its way back already, at its end, or over", body = crate::api::schema::Message),
    ),
)]
pub async fn remove(api: &Api, call: &Call, id: &str) -> Outcome {
    let how = if call.query.flag("force", false) { Steer::End } else { Steer::RollBack };
    steer(api, call, id, how).await
}

async fn begin(
    api: &Api,
    call: &Call,
    body: &Json,
    make: impl Fn(&View) -> Result<(Asked, Read<Spec>), Reply>,
) -> Outcome {
    let how = How { force: call.query.flag("force", false), ..How::default() };
    let propose = |view: &View| {
        let (asked, read) = make(view)?;
        let warnings = [asked.warnings, read.warnings].concat();
        let app = view.world.app(&read.value.path);
        let expect = app.map_or(Expect::None, |app| Expect::Version(app.version));
        let put = Put { spec: read.value, expect };
        let proposal = Proposal { put, counted: asked.counted, plan: asked.plan };
        Ok((Change::Deploy(Box::new(proposal)), warnings))
    };
    let (done, warnings) = change::ask(api, call, how, propose).await?;
    let id = deploying(&done)?;
    let mut response = shown(api, id, StatusCode::CREATED);
    let place = format!("http://{}/v2/deploys/{id}", call.host(api));
    if let Ok(place) = HeaderValue::try_from(place) {
        response.headers_mut().insert(LOCATION, place);
    }
    reply::warn(&mut response, &[body.warnings.clone(), warnings].concat());
    Ok(response)
}

async fn steer(api: &Api, call: &Call, id: &str, how: Steer) -> Outcome {
    let deploy = find(api, call, id)?;
    let steer = Change::Steer { deploy, how };
    let (done, ()) = change::ask(api, call, How::default(), |_| Ok((steer.clone(), ()))).await?;
    Ok(shown(api, deploying(&done)?, StatusCode::OK))
}

fn deploying(done: &Done) -> Result<DeployId, Reply> {
    match done {
        Done::Deploying(id) => Ok(*id),
        Done::Deployed(_)
        | Done::Killed(_)
        | Done::Cancelled
        | Done::DelayReset
        | Done::Plainly => Err(change::unexpected(done)),
    }
}

/// The deploy that a URL names.
fn find(api: &Api, call: &Call, text: &str) -> Result<DeployId, Reply> {
    let id = Uuid::try_parse(text).ok().map(DeployId);
    let view = api.view();
    let row = id.and_then(|id| view.world.deploys.get(&id));
    let row = row.filter(|row| call.scope.sees(&row.app));
    row.map(|row| row.id).ok_or_else(|| Reply::no_deploy(text))
}

/// A deploy as the newest view has it.
fn shown(api: &Api, id: DeployId, status: StatusCode) -> Response {
    let view = api.view();
    match view.world.deploys.get(&id) {
        Some(row) => Reply::json(status.as_u16(), show::deploy(&view.world, row)).into_response(),
        None => Reply::no_deploy(&id.to_string()).into_response(),
    }
}
