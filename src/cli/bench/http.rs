//! One kept connection to a server or an engine, and one request after another on it.
//!
//! The same client for anchor and subject, so that its own cost is in both.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::cli::failure::Failure;

/// One kept connection, made anew when the other side has closed it, as servers do that wait for long.
pub struct Http {
    target: Target,
    sender: SendRequest<Full<Bytes>>,
}

/// Where a connection goes.
#[derive(Clone, Debug)]
enum Target {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// Its status.
    pub status: u16,
    /// Its body.
    pub body: Bytes,
}

// === impl Http ===

impl Http {
    /// To a port of this host.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn tcp(address: SocketAddr) -> Result<Http, Failure> {
        Http::to(Target::Tcp(address)).await
    }

    /// To a socket of this host.
    ///
    /// # Errors
    /// When nobody listens.
    pub async fn unix(path: &Path) -> Result<Http, Failure> {
        Http::to(Target::Unix(path.to_owned())).await
    }

    async fn to(target: Target) -> Result<Http, Failure> {
        let sender = target.connect().await?;
        Ok(Http { target, sender })
    }

    /// One request and its answer, whatever its status.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Reply, Failure> {
        let text = body.map(ToString::to_string).unwrap_or_default();
        self.send_text(method, path, text).await
    }

    /// One request with a body that is a text already.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send_text(
        &mut self,
        method: Method,
        path: &str,
        body: String,
    ) -> Result<Reply, Failure> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", self.target.host())
            .header("content-type", "application/json")
            .body(Full::new(Bytes::from(body)))
            .map_err(unreachable)?;
        if self.sender.ready().await.is_err() {
            self.sender = self.target.connect().await?;
        }
        let response = self.sender.send_request(request).await.map_err(unreachable)?;
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.map_err(unreachable)?.to_bytes();
        Ok(Reply { status, body })
    }

    /// GET, when it succeeds.
    ///
    /// # Errors
    /// When it does not.
    pub async fn get(&mut self, path: &str) -> Result<Reply, Failure> {
        self.send(Method::GET, path, None).await?.good()
    }

    /// POST, when it succeeds.
    ///
    /// # Errors
    /// When it does not.
    pub async fn post(&mut self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.send(Method::POST, path, Some(body)).await?.good()
    }

    /// PUT, when it succeeds.
    ///
    /// # Errors
    /// When it does not.
    pub async fn put(&mut self, path: &str, body: &Value) -> Result<Reply, Failure> {
        self.send(Method::PUT, path, Some(body)).await?.good()
    }

    /// DELETE, when it succeeds.
    ///
    /// # Errors
    /// When it does not.
    pub async fn delete(&mut self, path: &str) -> Result<Reply, Failure> {
        self.send(Method::DELETE, path, None).await?.good()
    }
}

// === impl Target ===

impl Target {
    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, Failure> {
        match self {
            Target::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(unreachable)?;
                stream.set_nodelay(true).map_err(unreachable)?;
                shake_hands(stream).await
            }
            Target::Unix(path) => {
                shake_hands(UnixStream::connect(path).await.map_err(unreachable)?).await
            }
        }
    }

    fn host(&self) -> String {
        match self {
            Target::Tcp(address) => address.to_string(),
            Target::Unix(_) => "localhost".to_owned(),
        }
    }
}

// === impl Reply ===

impl Reply {
    /// This answer, if it is a success.
    ///
    /// # Errors
    /// What it says otherwise.
    pub fn good(self) -> Result<Reply, Failure> {
        if (200..300).contains(&self.status) {
            return Ok(self);
        }
        Err(Failure::of_answer(self.status, "", &self.body))
    }

    /// Its body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::Failed(format!("an answer is no JSON: {error}")))
    }
}

async fn shake_hands<S>(stream: S) -> Result<SendRequest<Full<Bytes>>, Failure>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(unreachable)?;
    // How a connection ends is seen by who waits for an answer on it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

fn unreachable(error: impl std::fmt::Display) -> Failure {
    Failure::Unreachable(format!("no answer: {error}"))
}
