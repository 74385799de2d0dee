//! Probes over the network: one question, one answer, within one deadline (HC-4).
//!
//! Only the task's own address is asked, no redirect is followed, no proxy used, and no more of a body is read than is
//! wanted. An HTTPS check takes any certificate: it asks whether somebody is there, not who.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Body;
use hyper::client::conn::http1;
use hyper::header::{CONTENT_TYPE, HOST, HeaderMap, USER_AGENT};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use reqwest::redirect::Policy;
use tokio::net::TcpStream;
use tokio_util::task::AbortOnDropHandle;

use crate::agent::mind::{At, Body as Glimpse, Reply, Target};
use crate::model::time::Span;

/// What of a body comes so soon after the status comes with it.
const AT_ONCE: Duration = Duration::from_millis(100);

const AGENT: &str = concat!("stayer/", env!("CARGO_PKG_VERSION"));

/// Asks tasks over the network.
pub struct Prober {
    host: IpAddr,
    tls: OnceLock<Option<reqwest::Client>>,
}

/// What is asked over HTTP.
pub struct HttpAsk<'a> {
    /// Whom.
    pub target: Target,
    /// Over TLS.
    pub tls: bool,
    /// Begins with `/`.
    pub path: &'a str,
    /// What is taken of the body.
    pub body: Glimpse,
}

/// The answer that a status alone is, for when the time is over before the rest of it has come.
#[derive(Default)]
struct Early(Mutex<Option<Reply>>);

// === impl Early ===

impl Early {
    /// A status came in time. Where its body is wanted too, it is no answer without.
    fn note(&self, body: Glimpse, status: StatusCode, content_type: &str) {
        if !body.wanted {
            let reply = answer(status, content_type.to_owned(), Vec::new(), body.bytes);
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(reply);
        }
    }

    /// What came of the probe: a status that came is no failure, whatever became of the rest.
    fn or(self, reply: Reply) -> Reply {
        match reply {
            Reply::Failed { .. } => {
                self.0.into_inner().unwrap_or_else(PoisonError::into_inner).unwrap_or(reply)
            }
            other => other,
        }
    }
}

// === impl Prober ===

impl Prober {
    /// For tasks of a host that has this address; without one it asks itself.
    pub fn new(host: Option<&str>) -> Prober {
        let host = host.and_then(|text| text.parse().ok());
        Prober { host: host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST)), tls: OnceLock::new() }
    }

    /// Whether a connection is taken.
    pub async fn tcp(&self, target: Target, limit: Span) -> Reply {
        let connect = async { connect(self.address(target)).await.map(|_| Reply::Connected) };
        within(limit, connect).await
    }

    /// What a `GET` is answered with.
    pub async fn http(&self, ask: HttpAsk<'_>, limit: Span) -> Reply {
        let (address, early) = (self.address(ask.target), Early::default());
        let reply = if ask.tls {
            within(limit, self.https(address, &ask, &early)).await
        } else {
            within(limit, plain(address, &ask, &early)).await
        };
        early.or(reply)
    }

    async fn https(
        &self,
        address: SocketAddr,
        ask: &HttpAsk<'_>,
        early: &Early,
    ) -> Result<Reply, String> {
        let client = self.tls.get_or_init(client).as_ref().ok_or("there is no TLS here")?;
        let url = format!("https://{address}{}", ask.path);
        let response = client.get(url).send().await.map_err(|error| chain(&error))?;
        let (status, content_type) = (response.status(), content_type(response.headers()));
        early.note(ask.body, status, &content_type);
        let (mut body, mut response) = (Vec::new(), response);
        let reading = async {
            while body.len() < ask.body.bytes
                && let Ok(Some(chunk)) = response.chunk().await
            {
                body.extend_from_slice(&chunk);
            }
        };
        patiently(ask.body, reading).await;
        Ok(answer(status, content_type, body, ask.body.bytes))
    }

    fn address(&self, target: Target) -> SocketAddr {
        let ip = match target.at {
            At::Host => self.host,
            At::Loopback { ipv6: false } => IpAddr::V4(Ipv4Addr::LOCALHOST),
            At::Loopback { ipv6: true } => IpAddr::V6(Ipv6Addr::LOCALHOST),
            At::Own(ip) => ip,
        };
        SocketAddr::new(ip, target.port)
    }
}

/// An answer that comes too late is none.
async fn within(limit: Span, asked: impl Future<Output = Result<Reply, String>>) -> Reply {
    match tokio::time::timeout(limit.into(), asked).await {
        Ok(Ok(reply)) => reply,
        Ok(Err(why)) => Reply::Failed { why },
        Err(_) => Reply::Failed { why: format!("no answer within {} s", limit.as_secs()) },
    }
}

async fn connect(address: SocketAddr) -> Result<TcpStream, String> {
    TcpStream::connect(address).await.map_err(|error| match error.kind() {
        io::ErrorKind::ConnectionRefused => format!("{address} refuses connections"),
        _ => format!("{address} cannot be connected to: {error}"),
    })
}

/// A final answer counts; where only an informational one came, that is the answer.
async fn plain(address: SocketAddr, ask: &HttpAsk<'_>, early: &Early) -> Result<Reply, String> {
    let stream = connect(address).await?;
    let shaken = http1::handshake(TokioIo::new(stream)).await;
    let (mut sender, connection) = shaken.map_err(|error| chain(&error))?;
    let _connection = AbortOnDropHandle::new(tokio::spawn(connection));
    let request = Request::get(ask.path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, AGENT)
        .body(Empty::<Bytes>::new());
    let mut request = request.map_err(|error| format!("{} is no path: {error}", ask.path))?;
    let hint: Arc<Mutex<Option<StatusCode>>> = Arc::default();
    let seen = Arc::clone(&hint);
    hyper::ext::on_informational(&mut request, move |response| {
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(response.status());
    });
    match sender.send_request(request).await {
        Ok(response) => {
            let (status, content_type) = (response.status(), content_type(response.headers()));
            early.note(ask.body, status, &content_type);
            let mut body = Vec::new();
            patiently(ask.body, begin_of(response.into_body(), ask.body.bytes, &mut body)).await;
            Ok(answer(status, content_type, body, ask.body.bytes))
        }
        Err(error) => {
            let hint = *hint.lock().unwrap_or_else(PoisonError::into_inner);
            let only = hint.map(|status| answer(status, String::new(), Vec::new(), 0));
            only.ok_or_else(|| chain(&error))
        }
    }
}

/// A body that nobody waits for must not make an answer late: a status is one, whatever comes after it.
async fn patiently(body: Glimpse, reading: impl Future<Output = ()>) {
    if body.wanted {
        reading.await;
    } else {
        let _rest_unread = tokio::time::timeout(AT_ONCE, reading).await;
    }
}

async fn begin_of<B: Body<Data = Bytes> + Unpin>(mut body: B, wanted: usize, begin: &mut Vec<u8>) {
    while begin.len() < wanted
        && let Some(Ok(frame)) = body.frame().await
    {
        if let Ok(data) = frame.into_data() {
            begin.extend_from_slice(&data);
        }
    }
}

fn answer(status: StatusCode, content_type: String, mut body: Vec<u8>, wanted: usize) -> Reply {
    body.truncate(wanted);
    let body = String::from_utf8_lossy(&body).into_owned();
    Reply::Http { status: status.as_u16(), content_type, body }
}

/// A few words of a header that should be one.
fn content_type(headers: &HeaderMap) -> String {
    let text = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    text.unwrap_or_default().chars().take(128).collect()
}

/// Any certificate is good enough, and any name in it.
fn client() -> Option<reqwest::Client> {
    // Whoever is second finds it installed.
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .user_agent(AGENT);
    builder.build().ok()
}

/// An error with its causes, since the outermost says least.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests;
