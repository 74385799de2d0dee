//! Writing many apps as one deployment (contract 3.2, batch).

use std::collections::BTreeMap;

use axum::response::IntoResponse;

use crate::api::call::{Api, Call};
use crate::api::change;
use crate::api::plan;
use crate::api::read::{self, Item, Json};
use crate::api::reply::{self, Outcome};
use crate::contract::app::Update;
use crate::contract::error::{Missing, Reply};
use crate::model::fact::{Announce, Change, Expect, Put};
use crate::model::id::Version;
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::view::View;

/// Changes or creates apps, all in one deployment.
#[utoipa::path(
    put,
    path = "/v2/apps",
    operation_id = "putApps",
    tag = "apps",
    params(
        ("force" = Option<bool>, Query, description = "override running deployments"),
        crate::api::schema::FailurePolicy,
        ("partialUpdate" = Option<bool>, Query, description = "true (default): items change members; false: items are whole apps"),
        ("dryRun" = Option<bool>, Query, description = "change nothing and answer with what the change would come to"),
        ("strict" = Option<bool>, Query, description = "refuse what is otherwise taken with a Warning"),
    ),
    request_body = Vec<crate::api::schema::App>,
    responses(
        (status = 200, description = "changed, also where apps were created", body = crate::api::schema::Changed),
        (status = 400, description = "no JSON: where and why", body = crate::api::schema::Message),
        (status = 404, description = "no such version to go back to", body = crate::api::schema::Message),
        (status = 409, description = "a deployment holds one of them", body = crate::api::schema::Locked),
        (status = 413, description = "longer than 32 MiB", body = crate::api::schema::Message),
        (status = 422, description = "every fault of the definitions", body = crate::api::schema::Faults),
    ),
)]
pub async fn put(api: &Api, call: &Call) -> Outcome {
    store(api, call, call.query.flag("partialUpdate", true), true).await
}

/// Changes apps that there are, all in one deployment.
#[utoipa::path(
    patch,
    path = "/v2/apps",
    operation_id = "patchApps",
    tag = "apps",
    params(
        ("force" = Option<bool>, Query, description = "override running deployments"),
        ("dryRun" = Option<bool>, Query, description = "change nothing and answer with what the change would come to"),
        crate::api::schema::FailurePolicy,
        ("strict" = Option<bool>, Query, description = "refuse what is otherwise taken with a Warning"),
    ),
    request_body = Vec<crate::api::schema::App>,
    responses(
        (status = 200, description = "changed", body = crate::api::schema::Changed),
        (status = 404, description = "no such app or version; nothing is changed", body = crate::api::schema::Message),
        (status = 409, description = "a deployment holds one of them", body = crate::api::schema::Locked),
        (status = 413, description = "longer than 32 MiB", body = crate::api::schema::Message),
        (status = 422, description = "every fault of the definitions", body = crate::api::schema::Faults),
    ),
)]
pub async fn patch(api: &Api, call: &Call) -> Outcome {
    store(api, call, true, false).await
}

async fn store(api: &Api, call: &Call, partial: bool, creates: bool) -> Outcome {
    let body = Json::of(api, call)?;
    let items = body.items(partial)?;
    let make = |view: &View| {
        let apps = definitions(call, view, &body, &items.value, creates)?;
        Ok((Change::Put { apps, announce: Announce::No }, ()))
    };
    let how = call.how(false)?;
    if plan::is_asked(call) {
        let warnings = [body.warnings.clone(), items.warnings].concat();
        let make = |view: &View| make(view).map(|(change, ())| (change, Vec::new()));
        return plan::answer(api, call, how, &warnings, make).await;
    }
    let (deployed, ()) = change::deploy(api, call, how, make).await?;
    let mut response = Reply::deployed(200, deployed.deployment, deployed.version).into_response();
    reply::warn(&mut response, &[body.warnings, items.warnings].concat());
    Ok(response)
}

/// What the items make of what there is, each path once: a later item goes on from what an earlier one made.
fn definitions(
    call: &Call,
    view: &View,
    body: &Json,
    items: &[Item],
    creates: bool,
) -> Result<Vec<Put>, Reply> {
    let mut made: BTreeMap<AppPath, Put> = BTreeMap::new();
    for item in items {
        let path = match item {
            Item::Whole(spec) => &spec.path,
            Item::Update(path, _) => path,
        };
        let app = call.scope.app(view, path);
        if app.is_none() && !creates {
            return Err(Reply::missing(&Missing::AppToChange(path)));
        }
        let expect = app.map_or(Expect::None, |app| Expect::Version(app.version));
        let before = made.get(path).map(|put| &put.spec);
        let before: Option<&Spec> = before.or_else(|| app.map(|app| read::current(view, app)));
        let spec = match (item, before, app) {
            (Item::Whole(spec), _, _) => Spec::clone(spec),
            (Item::Update(_, Update::Change(update)), Some(before), _) => {
                body.merge(update, before)?
            }
            (Item::Update(_, Update::Change(update)), None, _) => body.create(update, path)?,
            (Item::Update(_, Update::Rollback(at)), _, Some(app)) => {
                read::stored(view, app, Version(*at))?
            }
            (Item::Update(_, Update::Rollback(_)), _, None) => {
                return Err(Reply::missing(&Missing::AppToChange(path)));
            }
        };
        made.insert(path.clone(), Put { spec, expect });
    }
    Ok(made.into_values().collect())
}
