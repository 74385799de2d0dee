//! The API as a service: from a connection's request to its answer.
//!
//! One function answers every path, so there is no router of routers in front of it, and an answer passes the layer that
//! compresses only when its client asks for that: most never do, and the layer costs as much as a handler.

use std::convert::Infallible;
use std::task::{Context, Poll};

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_LENGTH};
use axum::http::{HeaderValue, Method};
use axum::response::Response;
use futures::FutureExt;
use futures::future::BoxFuture;
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_http::compression::predicate::{DefaultPredicate, Predicate};
use tower_http::compression::{CompressionLayer, CompressionLevel};

use crate::api::call::Api;
use crate::api::observe;

/// The API of a server. Cheap to copy, always ready.
#[derive(Clone)]
pub struct Front(Api);

// === impl Front ===

impl Front {
    /// In front of `api`.
    pub(super) fn new(api: Api) -> Front {
        Front(api)
    }
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let api = self.0.clone();
        if request.method() == Method::HEAD {
            Box::pin(async move { Ok(without_body(compressed(api, request).await)) })
        } else if request.headers().contains_key(ACCEPT_ENCODING) {
            Box::pin(async move { Ok(compressed(api, request).await) })
        } else {
            Box::pin(observe::answer(api, request).map(Ok))
        }
    }
}

/// As small as the client takes it. Without a wish of the client's the layer lets answers pass.
async fn compressed(api: Api, request: Request) -> Response {
    let plain = service_fn(move |request| observe::answer(api.clone(), request).map(Ok));
    let layer = CompressionLayer::new()
        .quality(CompressionLevel::Fastest)
        .compress_when(DefaultPredicate::new().and(observe::may_wait));
    let answered: Result<_, Infallible> = layer.layer(plain).oneshot(request).await;
    answered.map_or_else(|never| match never {}, |response| response.map(Body::new))
}

/// The answer to `HEAD`: as to `GET`, and how long the body would have been.
fn without_body(mut response: Response) -> Response {
    if let Some(length) = response.body().size_hint().exact() {
        response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
    response.map(|_| Body::empty())
}
