//! The definitions that an app has had (contract 3.4).

use crate::api::call::{Api, Call};
use crate::api::path::AppId;
use crate::api::reply::{self, Outcome};
use crate::contract::error::{Missing, Reply};
use crate::contract::show::version;
use crate::model::id::Version;
use crate::model::time::Timestamp;

/// Answers with the times of an app's definitions.
#[utoipa::path(
    get,
    path = "/v2/apps/{id}/versions",
    operation_id = "listVersions",
    tag = "apps",
    params(("id" = String, Path, description = "app id, slashes included")),
    responses(
        (status = 200, description = "versions, newest first", body = crate::api::schema::Versions),
        (status = 404, description = "no such app", body = crate::api::schema::Message),
    ),
)]
pub fn list(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let view = api.view();
    Ok(reply::json_text(version::versions(call.scope.find(&view, id)?)))
}

/// Answers with one definition.
#[utoipa::path(
    get,
    path = "/v2/apps/{id}/versions/{version}",
    operation_id = "getVersion",
    tag = "apps",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("version" = String, Path, description = "any ISO-8601 time with an offset"),
    ),
    responses(
        (status = 200, description = "the definition", body = crate::api::schema::App),
        (status = 404, description = "no such app or definition", body = crate::api::schema::Message),
        (status = 422, description = "the version is no time", body = crate::api::schema::Message),
    ),
)]
pub fn get(api: &Api, call: &Call, id: &AppId, version: &str) -> Outcome {
    let at = Timestamp::parse(version).map_err(|_| Reply::no_timestamp(version))?;
    let view = api.view();
    let app = call.scope.find(&view, id)?;
    let version = Version(at);
    let row = Some(version)
        .filter(|version| *version >= app.visible_from)
        .and_then(|version| view.world.versions.get(&(app.key, version)))
        .ok_or_else(|| Reply::missing(&Missing::AppVersion(&app.path, version)))?;
    let definition = api.fragments().of(app.key, row);
    Ok(reply::json_text(definition.to_string()))
}
