//! What surrounds every request: who may ask, headers that all answers carry, counting, the log, a handler's panic.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::Request;
use axum::http::header::{CACHE_CONTROL, EXPIRES, PRAGMA, VARY, X_FRAME_OPTIONS, X_XSS_PROTECTION};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tracing::Instrument;

use crate::api::call::Api;
use crate::api::path::Route;
use crate::api::reply::{self, Streaming};
use crate::api::serve::Origin;
use crate::api::{guard, routes};
use crate::contract::error::Reply;

/// Whom clients may call the leader.
const LEADER: HeaderName = HeaderName::from_static("x-marathon-leader");

/// Names requests in the log.
static NEXT_REQUEST: AtomicU64 = AtomicU64::new(1);

/// Answers any request, whatever becomes of its handler; counts, logs and marks the answer (contract 1.2.5, 1.3).
pub async fn answer(api: Api, request: Request) -> Response {
    let number = NEXT_REQUEST.fetch_add(1, Ordering::Relaxed);
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let route = Route::parse(uri.path());
    let name = route.as_ref().map_or("none", Route::name);
    let peer = request.extensions().get().map(|origin: &Origin| origin.peer);
    let path = uri.path();
    let span = tracing::debug_span!("request", number, %method, path, ?peer);
    let started = now();
    let handled = AssertUnwindSafe(admit(&api, route, request)).catch_unwind().instrument(span);
    let mut response = handled.await.unwrap_or_else(panicked);
    let (status, seconds) = (response.status().as_u16(), started.elapsed().as_secs_f64());
    api.metrics().answered(known_method(&method), name, status, seconds);
    if response.status().is_server_error() {
        tracing::warn!(number, %method, path, ?peer, status, seconds, "answered");
    } else {
        tracing::debug!(number, %method, path, ?peer, status, seconds, "answered");
    }
    let followed = response.extensions().get::<Streaming>().is_some();
    let headers = response.headers_mut();
    mark(headers, api.leader_url());
    if !followed {
        // Whether it was compressed depends on who asked.
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Some(trouble) = api.server().trouble()
        && method.is_safe()
        && response.status().is_success()
    {
        reply::stale(response.headers_mut(), &trouble);
    }
    response
}

/// Lets pass only who may ask.
async fn admit(api: &Api, route: Option<Route>, request: Request) -> Response {
    match guard::admit(request.headers(), request.uri(), &api.config().allow_hosts) {
        Ok(()) => routes::answer(api, route, request).await,
        Err(refused) => refused.into_response(),
    }
}

/// 500 for a handler that panicked. The log has what it said; the client learns nothing of it.
#[expect(clippy::needless_pass_by_value, reason = "it is handed over")]
fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    tracing::error!(panic = text, "a handler panicked");
    Reply::reason_phrase(StatusCode::INTERNAL_SERVER_ERROR.as_u16()).into_response()
}

/// Whether an answer may be compressed: what a client follows must leave as it comes.
pub fn may_wait(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<Streaming>().is_none()
}

fn mark(headers: &mut HeaderMap, leader: Option<HeaderValue>) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(EXPIRES, HeaderValue::from_static("0"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block"));
    if let Some(leader) = leader {
        headers.insert(LEADER, leader);
    }
}

/// A method's name in metrics: anybody may invent methods, so that unknown ones share a name.
fn known_method(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[expect(clippy::disallowed_methods, reason = "measures how long an answer took, decides nothing")]
fn now() -> Instant {
    Instant::now()
}
