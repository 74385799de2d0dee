//! Writing one app: create, change, replace, restart, remove (contract 3.2).

use axum::response::{IntoResponse, Response};

use crate::api::call::{Api, Call};
use crate::api::change::{self, Deployed};
use crate::api::deploys;
use crate::api::path::AppId;
use crate::api::plan;
use crate::api::read::{self, Json};
use crate::api::reply::{self, Outcome};
use crate::contract::app::Update;
use crate::contract::error::{Missing, Reply};
use crate::contract::fault::Warning;
use crate::contract::show::app::{app_info, definition_submitted};
use crate::contract::show::extras::Extras;
use crate::model::fact::{Announce, Change, Expect, Put};
use crate::model::id::Version;
use crate::model::path::AppPath;
use crate::model::view::View;

/// What may be written where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// PUT: members of an app anew; an app where there is none.
    Update,
    /// PUT with `partialUpdate=false`: a whole app.
    Replace,
    /// PATCH: members of an app anew.
    Patch,
}

/// Creates an app.
#[utoipa::path(
    post,
    path = "/v2/apps",
    operation_id = "createApp",
    tag = "apps",
    params(
        ("force" = Option<bool>, Query, description = "override running deployments"),
        ("dryRun" = Option<bool>, Query, description = "change nothing and answer with what the change would come to"),
        crate::api::schema::FailurePolicy,
        ("strict" = Option<bool>, Query, description = "refuse what is otherwise taken with a Warning"),
    ),
    request_body = crate::api::schema::App,
    responses(
        (status = 200, description = "with dryRun: what would come of it", body = crate::api::schema::Rehearsal),
        (status = 201, description = "the app as submitted; `Location` and `Marathon-Deployment-Id` say where and how", body = crate::api::schema::AppInfo),
        (status = 400, description = "no JSON: where and why", body = crate::api::schema::Message),
        (status = 409, description = "there is such an app", body = crate::api::schema::Locked),
        (status = 413, description = "longer than 2 MiB", body = crate::api::schema::Message),
        (status = 415, description = "a content type other than JSON", body = crate::api::schema::Message),
        (status = 422, description = "every fault of the definition", body = crate::api::schema::Faults),
    ),
)]
pub async fn create(api: &Api, call: &Call) -> Outcome {
    let body = Json::of(api, call)?;
    if body.asks_for_deploy() {
        return deploys::of_new(api, call, &body).await;
    }
    let read = body.app()?;
    let put = Put { spec: read.value, expect: Expect::Absent };
    let change = Change::Put { apps: vec![put.clone()], announce: Announce::Submitted };
    let how = call.how(false)?;
    if plan::is_asked(call) {
        let warnings = [body.warnings, read.warnings].concat();
        return plan::answer(api, call, how, &warnings, |_| Ok((change, Vec::new()))).await;
    }
    let (deployed, ()) = change::deploy(api, call, how, |_| Ok((change.clone(), ()))).await?;
    let definition = definition_submitted(&put.spec, deployed.version);
    let text = app_info(&definition, &Extras::created(deployed.deployment));
    let mut response = Reply::json(201, text).of_deployment(deployed.deployment).into_response();
    reply::locate(&mut response, call.host(api), &put.spec.path);
    reply::warn(&mut response, &[body.warnings, read.warnings].concat());
    Ok(response)
}

/// Changes an app, or creates it.
#[utoipa::path(
    put,
    path = "/v2/apps/{id}",
    operation_id = "putApp",
    tag = "apps",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("force" = Option<bool>, Query, description = "override running deployments"),
        crate::api::schema::FailurePolicy,
        ("partialUpdate" = Option<bool>, Query, description = "true (default): members that are given replace stored ones; false: the whole app is replaced"),
        ("dryRun" = Option<bool>, Query, description = "change nothing and answer with what the change would come to"),
        ("strict" = Option<bool>, Query, description = "refuse what is otherwise taken with a Warning"),
    ),
    request_body(content = crate::api::schema::App, description = "members to change, a whole app, or `{\"version\": …}` to go back"),
    responses(
        (status = 200, description = "changed", body = crate::api::schema::Changed),
        (status = 201, description = "created", body = crate::api::schema::DeploymentResult),
        (status = 400, description = "no JSON: where and why", body = crate::api::schema::Message),
        (status = 404, description = "no such version to go back to", body = crate::api::schema::Message),
        (status = 409, description = "a deployment holds the app", body = crate::api::schema::Locked),
        (status = 422, description = "every fault of the definition", body = crate::api::schema::Faults),
    ),
)]
pub async fn put(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let partial = call.query.flag("partialUpdate", true);
    store(api, call, id, if partial { Mode::Update } else { Mode::Replace }).await
}

/// Changes an app that there is.
#[utoipa::path(
    patch,
    path = "/v2/apps/{id}",
    operation_id = "patchApp",
    tag = "apps",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("force" = Option<bool>, Query, description = "override running deployments"),
        ("dryRun" = Option<bool>, Query, description = "change nothing and answer with what the change would come to"),
        crate::api::schema::FailurePolicy,
        ("strict" = Option<bool>, Query, description = "refuse what is otherwise taken with a Warning"),
    ),
    request_body(content = crate::api::schema::App, description = "members to change, or `{\"version\": …}` to go back"),
    responses(
        (status = 200, description = "changed", body = crate::api::schema::Changed),
        (status = 404, description = "no such app or version", body = crate::api::schema::Message),
        (status = 409, description = "a deployment holds the app", body = crate::api::schema::Locked),
        (status = 422, description = "every fault of the definition", body = crate::api::schema::Faults),
    ),
)]
pub async fn patch(api: &Api, call: &Call, id: &AppId) -> Outcome {
    store(api, call, id, Mode::Patch).await
}

/// Replaces every instance of an app.
#[utoipa::path(
    post,
    path = "/v2/apps/{id}/restart",
    operation_id = "restartApp",
    tag = "apps",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("force" = Option<bool>, Query, description = "override running deployments"),
        ("dryRun" = Option<bool>, Query, description = "change nothing and answer with what the change would come to"),
        crate::api::schema::FailurePolicy,
    ),
    responses(
        (status = 200, description = "restarting", body = crate::api::schema::Changed),
        (status = 400, description = "a limit of the deployment is none", body = crate::api::schema::Message),
        (status = 404, description = "no such app", body = crate::api::schema::Message),
        (status = 409, description = "a deployment holds the app", body = crate::api::schema::Locked),
    ),
)]
pub async fn restart(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let path = existing(api, call, id)?;
    let how = call.how(false)?;
    if plan::is_asked(call) {
        return plan::answer(api, call, how, &[], |_| Ok((Change::Restart { path }, Vec::new())))
            .await;
    }
    let restart = |_: &View| Ok((Change::Restart { path: path.clone() }, ()));
    let (deployed, ()) = change::deploy(api, call, how, restart).await?;
    Ok(result(200, &deployed))
}

/// Removes an app. Overrides running deployments unless told otherwise.
#[utoipa::path(
    delete,
    path = "/v2/apps/{id}",
    operation_id = "removeApp",
    tag = "apps",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("force" = Option<bool>, Query, description = "true (default) overrides running deployments"),
        ("dryRun" = Option<bool>, Query, description = "change nothing and answer with what the change would come to"),
        crate::api::schema::FailurePolicy,
    ),
    responses(
        (status = 200, description = "being removed", body = crate::api::schema::Changed),
        (status = 400, description = "a limit of the deployment is none", body = crate::api::schema::Message),
        (status = 404, description = "no such app", body = crate::api::schema::Message),
        (status = 409, description = "with `force=false`: a deployment holds the app", body = crate::api::schema::Locked),
    ),
)]
pub async fn remove(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let path = existing(api, call, id)?;
    let how = call.how(true)?;
    if plan::is_asked(call) {
        return plan::answer(api, call, how, &[], |_| Ok((Change::Remove { path }, Vec::new())))
            .await;
    }
    let remove = |_: &View| Ok((Change::Remove { path: path.clone() }, ()));
    let (deployed, ()) = change::deploy(api, call, how, remove).await?;
    Ok(result(200, &deployed))
}

async fn store(api: &Api, call: &Call, id: &AppId, mode: Mode) -> Outcome {
    let path = read::path(id)?;
    let body = Json::of(api, call)?;
    if body.asks_for_deploy() {
        let (partial, creates) = (mode != Mode::Replace, mode != Mode::Patch);
        return deploys::of_app(api, call, &path, &body, partial, creates).await;
    }
    let make = |view: &View| {
        let (put, warnings) = definition(call, view, &path, &body, mode)?;
        Ok((Change::Put { apps: vec![put], announce: Announce::Stored }, warnings))
    };
    let how = call.how(false)?;
    if plan::is_asked(call) {
        return plan::answer(api, call, how, &body.warnings, make).await;
    }
    let (deployed, warnings) = change::deploy(api, call, how, make).await?;
    let created = deployed.created.contains(&path);
    let mut response = result(if created { 201 } else { 200 }, &deployed);
    if created {
        reply::locate(&mut response, call.host(api), &path);
    }
    reply::warn(&mut response, &[body.warnings, warnings].concat());
    Ok(response)
}

/// The definition that a body makes of what there is.
fn definition(
    call: &Call,
    view: &View,
    path: &AppPath,
    body: &Json,
    mode: Mode,
) -> Result<(Put, Vec<Warning>), Reply> {
    let app = call.scope.app(view, path);
    let expect = app.map_or(Expect::None, |app| Expect::Version(app.version));
    let (spec, warnings) = match (app, mode) {
        (None, Mode::Patch) => return Err(Reply::missing(&Missing::AppToChange(path))),
        (None, Mode::Update | Mode::Replace) | (Some(_), Mode::Replace) => {
            let read = body.app_at(path)?;
            (read.value, read.warnings)
        }
        (Some(app), Mode::Update | Mode::Patch) => {
            let read = body.update()?;
            let spec = match &read.value {
                Update::Rollback(at) => read::stored(view, app, Version(*at))?,
                Update::Change(update) => body.merge(update, read::current(view, app))?,
            };
            (spec, read.warnings)
        }
    };
    Ok((Put { spec, expect }, warnings))
}

/// The path of an app that there is.
fn existing(api: &Api, call: &Call, id: &AppId) -> Result<AppPath, Reply> {
    let found = call.scope.find(&api.view(), id).map(|app| app.path.clone());
    found.map_err(|_| Reply::message(404, &format!("App '{}' does not exist", id.text())))
}

fn result(status: u16, deployed: &Deployed) -> Response {
    Reply::deployed(status, deployed.deployment, deployed.version).into_response()
}
