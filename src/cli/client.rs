//! A client of the public API: one request, one answer, and what went wrong in words.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, WARNING};
use reqwest::{Method, RequestBuilder, Response, StatusCode, Url};
use serde_json::Value;

use crate::cli::failure::Failure;

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest wait for an answer. The server itself gives up after 30 seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);

/// Which server, and what its answers are shown as.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Server")]
pub struct Remote {
    /// The server's address; of several, with commas between them, the first that leads is asked
    #[arg(
        long,
        global = true,
        env = "STAYER_SERVER",
        value_name = "URL",
        default_value = "http://127.0.0.1:8080"
    )]
    pub server: String,
    /// What is written to standard output: tables and sentences, or the server's own JSON
    #[arg(
        long,
        global = true,
        env = "STAYER_OUTPUT",
        value_name = "FORM",
        default_value = "table"
    )]
    pub output: Form,
}

/// What answers are shown as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Form {
    /// Tables and sentences, for people
    Table,
    /// The server's JSON, for programs
    Json,
}

/// A client of one server, which may have several addresses or be one of several.
pub struct Client {
    http: reqwest::Client,
    /// The addresses of the servers; never empty.
    bases: Vec<Url>,
    /// The one that answered last.
    at: AtomicUsize,
}

/// What is asked.
#[derive(Clone, Debug)]
pub struct Ask {
    method: Method,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    body: Option<String>,
    accept: Option<&'static str>,
}

/// A good answer.
#[derive(Debug)]
pub struct Answer {
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Vec<u8>,
}

/// Makes TLS work. Once in a process, before the first client; later calls change nothing.
pub fn install_tls() {
    let _installed_before = rustls::crypto::ring::default_provider().install_default();
}

// === impl Ask ===

impl Ask {
    /// `GET` of a path, cut at its slashes; each part may hold any characters.
    pub fn get(path: &str) -> Ask {
        Ask::new(Method::GET, path)
    }

    /// Any method on a path.
    pub fn new(method: Method, path: &str) -> Ask {
        let parts = path.split('/').filter(|part| !part.is_empty()).map(str::to_owned).collect();
        Ask { method, path: parts, query: Vec::new(), body: None, accept: None }
    }

    /// With a parameter.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Ask {
        self.query.push((name, value.into()));
        self
    }

    /// Where a resource has several forms: only JSON will do.
    #[must_use]
    pub fn accept_json(mut self) -> Ask {
        self.accept = Some("application/json");
        self
    }

    /// Events as they happen.
    #[must_use]
    pub fn accept_events(mut self) -> Ask {
        self.accept = Some("text/event-stream");
        self
    }

    /// With a JSON body.
    #[must_use]
    pub fn body(mut self, body: String) -> Ask {
        self.body = Some(body);
        self
    }
}

// === impl Answer ===

impl Answer {
    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value, Failure> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Failure::Server(format!("the server's answer is no JSON: {error}")))
    }
}

// === impl Client ===

impl Client {
    /// A client of the server that `remote` names.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(remote: &Remote) -> Result<Client, Failure> {
        let bases = remote.server.split(',').map(address).collect::<Result<Vec<Url>, Failure>>()?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .user_agent(concat!("stayer/", env!("CARGO_PKG_VERSION")));
        if bases.iter().all(is_loopback) {
            // A proxy of this host's environment would look for the server on its own loopback.
            builder = builder.no_proxy();
        }
        let http = builder
            .build()
            .map_err(|error| Failure::Failed(format!("no HTTP client: {}", cause(&error))))?;
        Ok(Client { http, bases, at: AtomicUsize::new(0) })
    }

    /// Asks, and gives the answer whole.
    ///
    /// # Errors
    /// When there is no answer, or none that says yes.
    pub async fn send(&self, ask: &Ask) -> Result<Answer, Failure> {
        let response = self.ask(ask, Some(ANSWER_TIMEOUT)).await?;
        let headers = response.headers().clone();
        let body = response.bytes().await.map_err(|error| self.cut_short(&error))?;
        Ok(Answer { headers, body: body.to_vec() })
    }

    /// Asks for an answer that comes bit by bit and may have no end.
    ///
    /// # Errors
    /// When there is no answer, or none that says yes.
    pub async fn stream(&self, ask: &Ask) -> Result<Response, Failure> {
        self.ask(ask, None).await
    }

    /// What an answer that ended too early means.
    pub fn cut_short(&self, error: &reqwest::Error) -> Failure {
        Failure::Unreachable(format!(
            "the answer of {} was cut short: {}",
            self.base(),
            cause(error)
        ))
    }

    /// Asks the server that answered last; where it is not there or does not lead, the next ones, once each. What it did not
    /// get, or said that it did nothing with, may be asked of another.
    async fn ask(&self, ask: &Ask, timeout: Option<Duration>) -> Result<Response, Failure> {
        let mut tries = self.bases.len();
        loop {
            tries -= 1;
            let base = self.base();
            let asked = self.request(base, ask, timeout).send().await;
            let elsewhere = match &asked {
                Ok(response) => response.status() == StatusCode::SERVICE_UNAVAILABLE,
                Err(error) => error.is_connect(),
            };
            if elsewhere && tries > 0 {
                self.at.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            return good(asked.map_err(|error| no_answer(base, &error))?).await;
        }
    }

    fn base(&self) -> &Url {
        &self.bases[self.at.load(Ordering::Relaxed) % self.bases.len()]
    }

    fn request(&self, base: &Url, ask: &Ask, timeout: Option<Duration>) -> RequestBuilder {
        let mut request = self.http.request(ask.method.clone(), url(base, ask));
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        if let Some(accept) = ask.accept {
            request = request.header(ACCEPT, accept);
        }
        if let Some(body) = &ask.body {
            request = request.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        request
    }
}

async fn good(response: Response) -> Result<Response, Failure> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let body = response.bytes().await.unwrap_or_default();
    let reason = status.canonical_reason().unwrap_or_default();
    Err(Failure::of_answer(status.as_u16(), reason, &body))
}

fn no_answer(base: &Url, error: &reqwest::Error) -> Failure {
    Failure::Unreachable(if error.is_timeout() && !error.is_connect() {
        let seconds = ANSWER_TIMEOUT.as_secs();
        format!("{base} did not answer within {seconds} s; what was asked may have been done")
    } else {
        format!("{base} cannot be reached: {}", cause(error))
    })
}

fn url(base: &Url, ask: &Ask) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(&ask.path);
    }
    if !ask.query.is_empty() {
        url.query_pairs_mut().extend_pairs(&ask.query);
    }
    url
}

fn address(server: &str) -> Result<Url, Failure> {
    let address =
        if server.contains("://") { server.to_owned() } else { format!("http://{server}") };
    Url::parse(&address)
        .ok()
        .filter(|url| url.has_host() && matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| Failure::Usage(format!("--server {server}: no http or https address")))
}

/// What the server took although it is odd: `299 - "text"` each.
pub fn warnings(headers: &HeaderMap) -> Vec<String> {
    let texts = headers.get_all(WARNING).iter().filter_map(|value| value.to_str().ok());
    texts.map(warning_text).collect()
}

fn warning_text(header: &str) -> String {
    let quoted = header.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"'));
    quoted.map_or(header, |(text, _)| text).replace("\\\"", "\"").replace("\\\\", "\\")
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

/// The innermost cause: the outer ones repeat what is said anyway.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(inner) = innermost.source() {
        innermost = inner;
    }
    innermost.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(server: &str, ask: &Ask) -> String {
        super::url(&address(server).expect("an address"), ask).to_string()
    }

    #[test]
    fn a_path_is_put_behind_the_servers_own_and_its_parts_are_quoted() {
        let ask = Ask::get("/v2/apps//shop/a b").with("force", "true");
        assert_eq!(url("http://h:1", &ask), "http://h:1/v2/apps/shop/a%20b?force=true");
        assert_eq!(url("https://h/m/", &Ask::get("ping")), "https://h/m/ping");
        assert_eq!(url("h:80", &Ask::get("ping")), "http://h/ping");
    }

    #[test]
    fn what_is_no_address_is_a_usage_error() {
        for server in ["", "ftp://h", "http://", "h:1,"] {
            let remote = Remote { server: server.to_owned(), output: Form::Table };
            assert!(matches!(Client::new(&remote), Err(Failure::Usage(_))), "{server}");
        }
    }

    #[test]
    fn a_warning_is_read_without_its_wrapping() {
        assert_eq!(warning_text(r#"299 - "say \"mem\"""#), r#"say "mem""#);
        assert_eq!(warning_text("odd"), "odd");
    }
}
