//! What surrounds every request: who may ask, headers that all answers carry, counting, the log, a handler's panic.

use std::any::Any;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CACHE_CONTROL, EXPIRES, PRAGMA, X_FRAME_OPTIONS, X_XSS_PROTECTION};
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tracing::Instrument;

use crate::api::call::Api;
use crate::api::guard;
use crate::api::path::Route;
use crate::api::reply::{self, Streaming};
use crate::contract::error::Reply;

/// Whom clients may call the leader.
const LEADER: HeaderName = HeaderName::from_static("x-marathon-leader");

/// Names requests in the log.
static NEXT_REQUEST: AtomicU64 = AtomicU64::new(1);

/// Lets pass only who may ask.
pub async fn guarded(State(api): State<Api>, request: Request, next: Next) -> Response {
    match guard::admit(request.headers(), request.uri(), &api.config().allow_hosts) {
        Ok(()) => next.run(request).await,
        Err(refused) => refused.into_response(),
    }
}

/// Counts, logs and marks an answer (contract 1.2.5, 1.3).
pub async fn observed(State(api): State<Api>, request: Request, next: Next) -> Response {
    let number = NEXT_REQUEST.fetch_add(1, Ordering::Relaxed);
    let method = request.method().clone();
    let is_read = method.is_safe();
    let path = request.uri().path().to_owned();
    let route = Route::parse(&path).map_or("none", |route| route.name());
    let peer = request
        .extensions()
        .get()
        .map(|ConnectInfo(peer): &ConnectInfo<std::net::SocketAddr>| *peer);
    let span = tracing::info_span!("request", number, %method, %path, ?peer);
    let started = now();
    let mut response = next.run(request).instrument(span.clone()).await;
    let (status, seconds) = (response.status(), started.elapsed().as_secs_f64());
    api.metrics().answered(known_method(method.as_str()), route, status.as_u16(), seconds);
    span.in_scope(|| {
        if status.is_server_error() {
            tracing::warn!(status = status.as_u16(), seconds, "answered");
        } else {
            tracing::debug!(status = status.as_u16(), seconds, "answered");
        }
    });
    mark(response.headers_mut(), api.leader().as_deref());
    if let Some(trouble) = api.server().trouble()
        && is_read
        && status.is_success()
    {
        reply::stale(response.headers_mut(), &trouble);
    }
    response
}

/// 500 for a handler that panicked. The log has what it said; the client learns nothing of it.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub fn panicked(panic: Box<dyn Any + Send>) -> Response {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no text");
    tracing::error!(panic = text, "a handler panicked");
    Reply::reason_phrase(StatusCode::INTERNAL_SERVER_ERROR.as_u16()).into_response()
}

/// Whether an answer may be compressed: what a client follows must leave as it comes.
pub fn may_wait(_: StatusCode, _: Version, _: &HeaderMap, extensions: &Extensions) -> bool {
    extensions.get::<Streaming>().is_none()
}

fn mark(headers: &mut HeaderMap, leader: Option<&str>) {
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-store, must-revalidate"));
    headers.insert(PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(EXPIRES, HeaderValue::from_static("0"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(X_XSS_PROTECTION, HeaderValue::from_static("1; mode=block"));
    let leader = leader.map(|leader| HeaderValue::try_from(format!("http://{leader}")));
    if let Some(Ok(value)) = leader {
        headers.insert(LEADER, value);
    }
}

/// A method's name in metrics: anybody may invent methods, so that unknown ones share a name.
fn known_method(method: &str) -> &str {
    match method {
        "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE" | "OPTIONS" => method,
        _ => "other",
    }
}

#[expect(clippy::disallowed_methods, reason = "measures how long an answer took, decides nothing")]
fn now() -> Instant {
    Instant::now()
}
