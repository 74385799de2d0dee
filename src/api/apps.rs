//! Reading apps: one, all, those below a group (contract 3.2).

use bytes::Bytes;

use crate::api::call::{Api, Call};
use crate::api::path::AppId;
use crate::api::reply::{self, Outcome};
use crate::api::scope::Scope;
use crate::contract::error::Reply;
use crate::contract::query::Embed;
use crate::contract::selector::AppFilter;
use crate::contract::show::app;
use crate::contract::show::extras::Extras;
use crate::model::app::App;
use crate::model::path::AppPath;
use crate::model::view::View;

/// Answers with all apps that the query leaves.
#[utoipa::path(
    get,
    path = "/v2/apps",
    operation_id = "listApps",
    tag = "apps",
    params(
        ("cmd" = Option<String>, Query, description = "part of the command, in any case"),
        ("id" = Option<String>, Query, description = "part of the id, in any case"),
        ("label" = Option<String>, Query, description = "label selector: `a`, `a==b`, `a!=b`, `a in (b, c)`, `a notin (b, c)`, joined by commas"),
        ("embed" = Option<Vec<String>>, Query, description = "`apps.tasks`, `apps.counts`, `apps.deployments`, `apps.readiness`, `apps.lastTaskFailure`, `apps.taskStats`"),
    ),
    responses(
        (status = 200, description = "the apps", body = crate::api::schema::Apps),
        (status = 422, description = "the label selector is none", body = crate::api::schema::Message),
    ),
)]
pub fn list(api: &Api, call: &Call) -> Outcome {
    let filter =
        AppFilter::parse(&call.query).map_err(|error| Reply::message(422, &error.to_string()))?;
    let embed = call.query.embed().for_list();
    let view = api.view();
    if embed.tasks {
        call.shows_tasks(api, AppPath::root(), &view);
    }
    let make = || {
        let apps: Vec<&App> = call
            .scope
            .apps(&view)
            .filter(|app| view.world.current(app).is_some_and(|row| filter.takes(&row.spec)))
            .collect();
        Bytes::from(text_of(api, &view, "apps", &apps, embed))
    };
    let query = call.uri.query().unwrap_or_default();
    let body = match call.scope {
        // Lifetimes in statistics go on between commits.
        Scope::Everything if embed.stats => make(),
        Scope::Everything => api.last_apps().get_or(&view, query, make),
    };
    Ok(reply::json_text(body))
}

/// Answers with one app.
#[utoipa::path(
    get,
    path = "/v2/apps/{id}",
    operation_id = "getApp",
    tag = "apps",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("embed" = Option<Vec<String>>, Query, description = "`app.readiness`, `app.taskStats`; all else is always there"),
    ),
    responses(
        (status = 200, description = "the app", body = crate::api::schema::OneApp),
        (status = 404, description = "no such app", body = crate::api::schema::Message),
    ),
)]
pub fn get(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let view = api.view();
    let app = call.scope.find(&view, id)?;
    let row = view.world.current(app).expect("an app has its definition");
    let definition = api.fragments().of(app.key, row);
    let extras = Extras::of(&view.world, app, call.query.embed().for_one(), api.now());
    Ok(reply::json_text(app::app_single(&definition, &extras)))
}

/// Answers with all apps below a group.
#[utoipa::path(
    get,
    path = "/v2/apps/{group}/*",
    operation_id = "listAppsBelow",
    tag = "apps",
    params(("group" = String, Path, description = "group id, slashes included")),
    responses(
        (status = 200, description = "the apps, under the key `*`", body = crate::api::schema::AppsBelow),
        (status = 404, description = "no such group", body = crate::api::schema::Message),
    ),
)]
pub fn below(api: &Api, call: &Call, group: &AppId) -> Outcome {
    let view = api.view();
    let apps = call.scope.below(&view, group)?;
    call.shows_tasks(api, group.group(), &view);
    Ok(reply::json_text(text_of(api, &view, "*", &apps, call.query.embed().for_one())))
}

/// Whether there is an app of this very id.
pub fn exists(api: &Api, call: &Call, id: &AppId) -> bool {
    call.scope.find(&api.view(), id).is_ok()
}

fn text_of(api: &Api, view: &View, key: &str, apps: &[&App], embed: Embed) -> String {
    let now = api.now();
    let shown = api.fragments().current(view, apps);
    let items = shown
        .iter()
        .map(|(app, definition)| (definition.as_ref(), Extras::of(&view.world, app, embed, now)));
    app::app_list(key, items)
}
