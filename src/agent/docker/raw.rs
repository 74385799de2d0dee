//! Reads the engine's answers as they are, beside the client library.
//!
//! The library's types know every field and every value of their day and take nothing else, so that one new word of a
//! later engine would hide all containers; and its type for a pull's lines drops `error` (engines.md §1). What is read
//! here asks for the few fields that matter and takes the rest as it comes.

use std::path::Path;

use bytes::{Buf, Bytes, BytesMut};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::net::UnixStream;

/// Why there is no answer to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The engine answered, with another status than success.
    Status {
        /// It.
        status: u16,
        /// The text beside it.
        message: String,
    },
    /// The engine did not answer, or not in full.
    Broken(String),
}

/// An answer that comes as lines of JSON.
#[derive(Debug)]
pub struct Lines {
    body: Incoming,
    buffer: BytesMut,
}

/// No honest answer is longer.
const MAX_BODY_BYTES: usize = 64 << 20;
/// No honest line is longer.
const MAX_LINE_BYTES: usize = 1 << 20;

/// Asks the engine behind `socket` for one JSON value.
pub async fn get<T: DeserializeOwned>(socket: &Path, path: &str) -> Result<T, Failure> {
    let response = send(socket, Method::GET, path, None).await?;
    let body = read(response).await?;
    serde_json::from_slice(&body).map_err(broken)
}

/// For a path or a query: everything but the characters that mean nothing there.
pub fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

// === impl Lines ===

impl Lines {
    /// Asks the engine behind `socket` with a POST, showing `auth` to the registry.
    pub async fn post(socket: &Path, path: &str, auth: Option<&str>) -> Result<Lines, Failure> {
        let response = send(socket, Method::POST, path, auth).await?;
        Ok(Lines { body: response.into_body(), buffer: BytesMut::new() })
    }

    /// The next line; none at the end.
    pub async fn next<T: DeserializeOwned>(&mut self) -> Result<Option<T>, Failure> {
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
                return Err(broken("a line without an end"));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        self.buffer.extend_from_slice(&data);
                    }
                }
                Some(Err(error)) => return Err(broken(error)),
                None if self.buffer.trim_ascii().is_empty() => return Ok(None),
                None => return parse(&self.buffer.split()).map(Some),
            }
        }
    }
}

async fn send(
    socket: &Path,
    method: Method,
    path: &str,
    auth: Option<&str>,
) -> Result<Response<Incoming>, Failure> {
    let stream = UnixStream::connect(socket).await.map_err(broken)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(broken)?;
    // Ends by itself when the answer is dropped, which is how a pull is given up.
    tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(path).header("host", "engine");
    if let Some(auth) = auth {
        request = request.header("x-registry-auth", auth);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(broken)?;
    let response = sender.send_request(request).await.map_err(broken)?;
    if response.status().is_success() {
        return Ok(response);
    }
    let status = response.status().as_u16();
    let body = read(response).await?;
    Err(Failure::Status { status, message: message(&body) })
}

async fn read(response: Response<Incoming>) -> Result<Bytes, Failure> {
    let body = Limited::new(response.into_body(), MAX_BODY_BYTES).collect().await;
    body.map(http_body_util::Collected::to_bytes).map_err(broken)
}

/// The text of a refusal; engines wrap it in an object, what stands before them may not.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    serde_json::from_slice(body)
        .map_or_else(|_| String::from_utf8_lossy(body).into_owned(), |body: Refusal| body.message)
}

fn parse<T: DeserializeOwned>(line: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(line)
        .map_err(|error| broken(format!("{error} in {}", String::from_utf8_lossy(line))))
}

fn broken(error: impl std::fmt::Display) -> Failure {
    Failure::Broken(error.to_string())
}
