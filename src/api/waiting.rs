//! What a server answers that has no store yet: not now, and why. It has taken its address already, so that clients and
//! load balancers see one server that waits and not one that is gone.

use std::future::ready;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONNECTION;
use axum::response::{IntoResponse, Response};
use tokio::sync::watch;

use crate::contract::error::Reply;

/// Answers everything with 503 and the newest reason.
pub fn router(why: watch::Receiver<String>) -> Router {
    Router::new().fallback(move || ready(not_now(&why.borrow())))
}

/// The connection ends with the answer: the next one may be taken by the server that has its store.
fn not_now(why: &str) -> Response {
    let mut answer = Reply::unavailable(why).into_response();
    answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    answer
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::extract::Request;
    use axum::http::{Method, StatusCode};
    use tower::ServiceExt;

    use super::*;

    #[tokio::test]
    async fn everything_is_told_the_newest_reason() {
        let (say, why) = watch::channel("first".to_owned());
        let router = router(why);
        say.send_replace("the store is away".to_owned());
        for (method, path) in [(Method::GET, "/ping"), (Method::POST, "/v2/apps")] {
            let request = Request::builder().method(method).uri(path).body(Body::empty());
            let answer =
                router.clone().oneshot(request.expect("a request")).await.expect("an answer");
            assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert!(answer.headers().contains_key("retry-after"));
            let body = axum::body::to_bytes(answer.into_body(), 1_000).await.expect("a body");
            assert_eq!(body, r#"{"message":"the store is away"}"#);
        }
    }
}
