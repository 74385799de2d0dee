//! A call on its way to the engine, and the answer on its way back.

use std::fmt;
use std::path::Path;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::{HeaderMap, Method, Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

/// The body of an answer.
pub type Answer = BoxBody<Bytes, Broken>;

/// The connection ends here.
#[derive(Clone, Copy, Debug)]
pub struct Broken;

/// A version of the engine's API: 1.x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Api(pub u16);

/// A request, read whole.
pub struct Call {
    /// The version in its path, if there is one.
    pub api: Option<Api>,
    /// Its body.
    pub body: Bytes,
    method: Method,
    /// Without the version.
    path: String,
    headers: HeaderMap,
}

// === impl Call ===

impl Call {
    /// Takes a request apart.
    pub async fn read(request: Request<Incoming>) -> Result<Call, Broken> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
        let whole = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let (api, path) = versioned(whole);
        let path = path.to_owned();
        Ok(Call { api, body, method: parts.method, path, headers: parts.headers })
    }

    /// Method and path, without the version.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    /// Whether this is the call.
    pub fn is(&self, method: &str, begin: &str, end: &str) -> bool {
        let path = self.path.split('?').next().unwrap_or_default();
        self.method == method && path.starts_with(begin) && path.ends_with(end)
    }

    /// Whether the answer comes bit by bit and is not to be waited for.
    pub fn is_streamed(&self) -> bool {
        self.is("GET", "/containers/", "/logs")
            || self.is("POST", "/containers/", "/wait")
            || self.is("GET", "/events", "")
    }

    /// Where to look at the container that this starts.
    pub fn of_start(&self) -> Option<String> {
        let path = self.path.split('?').next().filter(|_| self.method == Method::POST)?;
        Some(format!("{}/json", path.strip_suffix("/start")?))
    }

    /// Asks in a version that the engine has.
    pub fn speak(&mut self, newest: Api) {
        self.api = self.api.map(|api| api.min(newest));
    }
}

// === impl Api ===

impl fmt::Display for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1.{}", self.0)
    }
}

// === impl Broken ===

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection ends here")
    }
}

impl std::error::Error for Broken {}

/// Sends a call to the engine behind `socket`.
pub async fn send(socket: &Path, call: &Call) -> Result<Response<Incoming>, Broken> {
    let stream = UnixStream::connect(socket).await.map_err(|_| Broken)?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|_| Broken)?;
    tokio::spawn(connection);
    let prefix = call.api.map(|api| format!("/v{api}")).unwrap_or_default();
    let mut request =
        Request::builder().method(call.method.clone()).uri(format!("{prefix}{}", call.path));
    for (name, value) in &call.headers {
        // The body may have another length by now, and came in one piece.
        if name != "content-length" && name != "transfer-encoding" {
            request = request.header(name, value);
        }
    }
    let request = request.body(Full::new(call.body.clone())).map_err(|_| Broken)?;
    sender.send_request(request).await.map_err(|_| Broken)
}

/// The newest version of the engine behind `socket`.
pub async fn newest(socket: &Path) -> Result<Api, Broken> {
    let facts = look(socket, "/version").await?;
    let version = facts["ApiVersion"].as_str().ok_or(Broken)?;
    versioned(&format!("/v{version}/")).0.ok_or(Broken)
}

/// What the engine behind `socket` answers to a question of our own.
pub async fn look(socket: &Path, path: &str) -> Result<Value, Broken> {
    let headers = [("host".parse().expect("a name"), "engine".parse().expect("a value"))];
    let call = Call {
        api: None,
        body: Bytes::new(),
        method: Method::GET,
        path: path.to_owned(),
        headers: HeaderMap::from_iter(headers),
    };
    let body = send(socket, &call).await?.into_body().collect().await.map_err(|_| Broken)?;
    serde_json::from_slice(&body.to_bytes()).map_err(|_| Broken)
}

/// The same answer, broken off after its first byte.
pub fn half(answer: Response<Answer>) -> Response<Answer> {
    let (mut parts, _) = answer.into_parts();
    // Without a length nobody could tell that something is missing.
    parts.headers.remove("transfer-encoding");
    parts.headers.insert("content-length", "1000".parse().expect("a value"));
    let frames = [Ok(Frame::data(Bytes::from_static(b"{"))), Err(Broken)];
    let body = StreamBody::new(futures::stream::iter(frames));
    Response::from_parts(parts, BodyExt::boxed(body))
}

/// `/v1.41/info` → 1.41 and `/info`.
fn versioned(path: &str) -> (Option<Api>, &str) {
    let cut = || {
        let rest = path.strip_prefix("/v1.")?;
        let (minor, _) = rest.split_once('/')?;
        let minor: u16 = minor.parse().ok()?;
        Some((Api(minor), &rest[minor.to_string().len()..]))
    };
    cut().map_or((None, path), |(api, rest)| (Some(api), rest))
}
