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

/// The most bytes of a refused body that are read, and the longest time for it.
const MOST_DISCARDED: usize = 2 * MANY_LIMIT;
const DISCARDING: Duration = Duration::from_secs(5);

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
            // Who asks first has sent nothing yet.
            if !headers.contains_key(header::EXPECT) {
                discard(body).await;
            }
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
                drop((bytes, share));
                discard(body).await;
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

/// Reads on for a while and keeps nothing: who is still sending hears an answer only afterwards, and a connection that is
/// closed before loses the answer.
async fn discard(mut body: Body) {
    let read = async {
        let mut left = MOST_DISCARDED;
        while let Some(Ok(frame)) = body.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match left.checked_sub(length) {
                Some(less) => left = less,
                None => return,
            }
        }
    };
    // Whoever is slower than this or sends more loses the answer.
    let _given_up = tokio::time::timeout(DISCARDING, read).await;
}

/// The connection ends with it: the rest of the body may still be on its way.
fn too_large(limit: usize) -> Reply {
    let message = format!("the body is larger than {} MiB", limit >> 20);
    let mut reply = say(StatusCode::PAYLOAD_TOO_LARGE, &message);
    reply.headers.push((header::CONNECTION.as_str(), "close".to_owned()));
    reply
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
    async fn a_body_too_long_is_heard_out_before_it_is_refused() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let (sent, budget) = (Arc::new(AtomicUsize::new(0)), Budget::new(100, TIMEOUT));
        let ten = |sent: &Arc<AtomicUsize>| {
            let sent = sent.clone();
            Body::from_stream(futures::stream::iter((0..10).map(move |_| {
                sent.fetch_add(1, Ordering::Relaxed);
                Ok::<_, std::io::Error>(Bytes::from_static(b"abc"))
            })))
        };
        let declared = HeaderMap::from_iter([(header::CONTENT_LENGTH, 30.into())]);
        for headers in [HeaderMap::new(), declared.clone()] {
            sent.store(0, Ordering::Relaxed);
            let refused = budget.read(&headers, ten(&sent), 4).await.expect_err("too long");
            assert_eq!((refused.status, sent.load(Ordering::Relaxed)), (413, 10));
            assert!(refused.headers.contains(&("connection", "close".to_owned())));
        }
        let mut asks = declared;
        asks.insert(header::EXPECT, header::HeaderValue::from_static("100-continue"));
        sent.store(0, Ordering::Relaxed);
        budget.read(&asks, ten(&sent), 4).await.expect_err("too long");
        assert_eq!(sent.load(Ordering::Relaxed), 0, "it has not begun to send");
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
