//! The answer to a pull, read line by line from the engine's socket.
//!
//! Beside the client library, whose type for these lines drops `error`; engines differ in which of `error` and
//! `errorDetail` they send (engines.md §1), and a failed pull must never pass for a good one.

use std::path::Path;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::UnixStream;

use crate::agent::docker::call::CallError;

/// One line of a pull's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct PullLine {
    /// The layer.
    pub id: String,
    /// What happens to it.
    pub status: String,
    /// How far it is.
    pub progress_detail: Detail,
    /// The failure, as older engines say it.
    error: String,
    /// The failure, as newer engines say it.
    error_detail: Detail,
}

/// Parts of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// Bytes so far.
    pub current: u64,
    /// A failure's text.
    message: String,
}

/// The lines of an answer.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

const WHAT: &str = "pull the image";
/// No honest line is longer.
const MAX_LINE_BYTES: usize = 1 << 20;

// === impl PullLine ===

impl PullLine {
    /// The failure that it tells of.
    pub fn failure(&self) -> Option<&str> {
        [&self.error_detail.message, &self.error]
            .into_iter()
            .map(String::as_str)
            .find(|text| !text.is_empty())
    }
}

// === impl Lines ===

impl Lines {
    /// Asks the engine behind `socket` with a POST to `path`.
    ///
    /// # Errors
    /// What the engine answers other than success, or that it does not answer.
    pub async fn post(socket: &Path, path: &str, auth: Option<&str>) -> Result<Lines, CallError> {
        let stream = UnixStream::connect(socket).await.map_err(lost)?;
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(stream)).await.map_err(lost)?;
        // Ends by itself when the body is dropped, which is how a pull is given up.
        tokio::spawn(connection);
        let mut request =
            Request::builder().method(Method::POST).uri(path).header("host", "docker");
        if let Some(auth) = auth {
            request = request.header("x-registry-auth", auth);
        }
        let request = request.body(Empty::<Bytes>::new()).map_err(lost)?;
        let response = sender.send_request(request).await.map_err(lost)?;
        if response.status().is_success() {
            return Ok(Lines { body: response.into_body(), buffer: BytesMut::new() });
        }
        Err(refusal(response).await)
    }

    /// The next line; none at the end.
    ///
    /// # Errors
    /// When the connection breaks, or what comes is not a line.
    pub async fn next(&mut self) -> Result<Option<PullLine>, CallError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end);
                self.buffer.advance(1);
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return parse(&line).map(Some);
            }
            if self.buffer.len() > MAX_LINE_BYTES {
                return Err(lost("the engine's answer has no end of line"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(lost(error)),
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                None => return parse(&self.buffer.split()).map(Some),
            }
        }
    }
}

fn parse(line: &[u8]) -> Result<PullLine, CallError> {
    serde_json::from_slice(line)
        .map_err(|error| lost(format!("{error} in {}", String::from_utf8_lossy(line))))
}

async fn refusal(response: Response<Incoming>) -> CallError {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    let status = response.status().as_u16();
    let body = match response.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => return lost(error),
    };
    let message = serde_json::from_slice(&body)
        .map_or_else(|_| String::from_utf8_lossy(&body).into_owned(), |body: Refusal| body.message);
    CallError::pulled(WHAT, status, &message)
}

fn lost(error: impl std::fmt::Display) -> CallError {
    CallError::Lost { what: WHAT, detail: error.to_string() }
}
