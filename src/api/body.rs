//! Reads the body of a request within bounds of size and time (reliability §4.4).
//!
//! All bodies that are being read or worked on share one budget, so that many big ones at once are told to come later
//! rather than fill the memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::api::reply::say;
use crate::contract::error::Reply;

/// The longest body of one app.
pub const ONE_LIMIT: usize = 2 << 20;
/// The longest body of many.
pub const MANY_LIMIT: usize = 32 << 20;
/// The most bytes of bodies at once.
const BUDGET: usize = 256 << 20;
/// The longest time that a body may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What all bodies together may hold.
#[derive(Clone, Debug)]
pub struct Budget {
    left: Arc<Semaphore>,
    timeout: Duration,
}

/// A body, counted in the budget for as long as it is kept.
#[derive(Debug, Default)]
pub struct Taken {
    /// Its bytes.
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

// === impl Budget ===

impl Default for Budget {
    fn default() -> Budget {
        Budget::new(BUDGET, TIMEOUT)
    }
}

impl Budget {
    fn new(bytes: usize, timeout: Duration) -> Budget {
        Budget { left: Arc::new(Semaphore::new(bytes)), timeout }
    }

    /// Reads a whole body of at most `limit` bytes.
    ///
    /// # Errors
    /// 413 when it is longer, 408 when it is slow, 503 when too many are read at once, 400 when it breaks off.
    pub async fn read(
        &self,
        headers: &HeaderMap,
        body: Body,
        limit: usize,
    ) -> Result<Taken, Reply> {
        let declared = headers.get(header::CONTENT_LENGTH).and_then(|text| text.to_str().ok());
        let declared = declared.and_then(|text| text.parse::<usize>().ok());
        if declared.is_some_and(|length| length > limit) {
            return Err(too_large(limit));
        }
        match tokio::time::timeout(self.timeout, self.collect(body, limit)).await {
            Ok(read) => read,
            Err(_) => Err(say(
                StatusCode::REQUEST_TIMEOUT,
                &format!("the body did not come within {} s", self.timeout.as_secs()),
            )),
        }
    }

    async fn collect(&self, mut body: Body, limit: usize) -> Result<Taken, Reply> {
        let mut bytes = BytesMut::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                say(StatusCode::BAD_REQUEST, &format!("the body breaks off: {error}"))
            })?;
            let Ok(chunk) = frame.into_data() else { continue };
            if bytes.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            let permit = self.take(chunk.len())?;
            match &mut share {
                Some(share) => share.merge(permit),
                None => share = Some(permit),
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(Taken { bytes: bytes.freeze(), _share: share })
    }

    fn take(&self, length: usize) -> Result<OwnedSemaphorePermit, Reply> {
        let count = u32::try_from(length).unwrap_or(u32::MAX);
        self.left
            .clone()
            .try_acquire_many_owned(count)
            .map_err(|_| Reply::unavailable("too many large requests at once; nothing was changed"))
    }
}

fn too_large(limit: usize) -> Reply {
    let message = format!("the body is larger than {} MiB", limit >> 20);
    say(StatusCode::PAYLOAD_TOO_LARGE, &message)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(body: Body, limit: usize) -> Result<Bytes, u16> {
        let budget = Budget::new(100, Duration::from_millis(1));
        let taken = budget.read(&HeaderMap::new(), body, limit).await;
        taken.map(|taken| taken.bytes).map_err(|refused| refused.status)
    }

    #[tokio::test]
    async fn a_body_within_its_limit_is_read_and_a_longer_one_refused() {
        assert_eq!(read(Body::from("abcd"), 4).await, Ok(Bytes::from_static(b"abcd")));
        assert_eq!(read(Body::from("abcde"), 4).await, Err(413));
    }

    #[tokio::test]
    async fn a_body_that_does_not_come_is_given_up() {
        let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
        assert_eq!(read(Body::from_stream(never), 4).await, Err(408));
    }

    #[tokio::test]
    async fn the_budget_is_given_back_with_the_body() {
        let budget = Budget::new(5, TIMEOUT);
        let headers = HeaderMap::new();
        let first = budget.read(&headers, Body::from("abc"), 10).await.expect("fits");
        let refused = budget.read(&headers, Body::from("def"), 10).await.expect_err("too much");
        assert_eq!(refused.status, 503);
        drop(first);
        assert!(budget.read(&headers, Body::from("def"), 10).await.is_ok());
    }
}
