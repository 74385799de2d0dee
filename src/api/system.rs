//! What is asked of the server itself: its info, its leader, whether it lives.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use crate::api::accept;
use crate::api::call::{Api, Call};
use crate::api::reply::{self, Outcome};
use crate::contract::show::info::{self, Info};

/// What clients choose their features by.
#[utoipa::path(
    get,
    path = "/v2/info",
    operation_id = "getInfo",
    tag = "server",
    responses((status = 200, description = "version and settings", body = crate::api::schema::Info)),
)]
pub fn info(api: &Api) -> Response {
    let view = api.view();
    let (leader, this) = (api.leader(), &api.config().leader);
    let (host, port) = this.rsplit_once(':').unwrap_or((this, ""));
    let cluster = view.world.meta.as_ref().map(|meta| meta.cluster.to_string());
    let text = info::info(&Info {
        build: concat!("stayer-", env!("CARGO_PKG_VERSION")),
        elected: leader.as_ref() == Some(this),
        leader: leader.as_deref(),
        cluster: cluster.as_deref(),
        hostname: host,
        http_port: port.parse().ok(),
        https_port: None,
        logs_url: None,
    });
    reply::json_text(text)
}

/// Who leads.
#[utoipa::path(
    get,
    path = "/v2/leader",
    operation_id = "getLeader",
    tag = "server",
    responses(
        (status = 200, description = "`host:port`", body = crate::api::schema::Leader),
        (status = 404, description = "another server than this one leads, and has not said who it is", body = crate::api::schema::Message),
    ),
)]
pub fn leader(api: &Api) -> Outcome {
    match api.leader() {
        Some(leader) => Ok(reply::json_text(json!({ "leader": leader }).to_string())),
        None => Err(reply::say(StatusCode::NOT_FOUND, "There is no leader")),
    }
}

/// Whether the server lives (contract 12.6).
#[utoipa::path(
    get,
    path = "/ping",
    operation_id = "ping",
    tag = "server",
    responses(
        (status = 200, description = "`pong`, in quotes for those who accept JSON alone", content((String = "text/plain"), (String = "text/html"), (String = "application/json"))),
        (status = 204, description = "for those who accept none of the forms"),
    ),
)]
pub fn ping(call: &Call) -> Response {
    match accept::choose(&call.headers, &[accept::TEXT, accept::HTML, accept::JSON]) {
        Some(accept::JSON) => reply::json_text("\"pong\""),
        Some(media) => reply::with_type(StatusCode::OK, media, "pong"),
        None => reply::empty(StatusCode::NO_CONTENT),
    }
}

/// The page of the server is its UI.
pub fn root() -> Response {
    let mut response = reply::empty(StatusCode::FOUND);
    response.headers_mut().insert(header::LOCATION, HeaderValue::from_static("/ui/"));
    response
}
