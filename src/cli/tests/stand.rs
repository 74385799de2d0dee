//! A server that stands in for the real one: answers by a script and remembers what it was asked.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use clap::Parser;
use tokio::net::TcpListener;

use crate::cli::console::Console;
use crate::cli::failure::Exit;
use crate::cli::{self, Cli, client};

/// A scripted server.
pub struct Stand {
    url: String,
    script: Arc<Mutex<Script>>,
}

/// What came of a verb.
#[derive(Debug)]
pub struct Outcome {
    /// Its exit code.
    pub exit: Exit,
    /// Standard output.
    pub output: String,
    /// Standard error.
    pub error: String,
}

#[derive(Default)]
struct Script {
    answers: BTreeMap<String, VecDeque<Scripted>>,
    asked: Vec<String>,
}

#[derive(Clone)]
struct Scripted {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

/// Shared bytes that a console writes to.
#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

// === impl Stand ===

impl Stand {
    /// A server that answers 404 to everything.
    pub async fn start() -> Stand {
        let script = Arc::new(Mutex::new(Script::default()));
        let router = Router::new().fallback(answer).with_state(script.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Stand { url, script }
    }

    /// Answers `METHOD /path` so, once; the last of several answers is given for ever.
    pub fn on(&self, ask: &str, status: u16, body: &str) -> &Stand {
        self.on_with(ask, status, &[], body)
    }

    /// The same with headers.
    pub fn on_with(
        &self,
        ask: &str,
        status: u16,
        headers: &[(&'static str, &str)],
        body: &str,
    ) -> &Stand {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        let scripted = Scripted { status, headers, body: body.to_owned() };
        lock(&self.script).answers.entry(ask.to_owned()).or_default().push_back(scripted);
        self
    }

    /// Where it listens.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What was asked so far: `METHOD /path?query body`.
    pub fn asked(&self) -> Vec<String> {
        lock(&self.script).asked.clone()
    }

    /// Types a command line against this server.
    pub async fn run(&self, line: &[&str]) -> Outcome {
        self.run_with(line, "").await
    }

    /// The same with this on standard input.
    pub async fn run_with(&self, line: &[&str], input: &str) -> Outcome {
        let server = ["--server", &self.url];
        run(&[line, &server].concat(), input).await
    }
}

/// Types a command line.
pub async fn run(line: &[&str], input: &str) -> Outcome {
    client::install_tls();
    let (output, error) = (Sink::default(), Sink::default());
    let input = io::Cursor::new(input.to_owned());
    let mut console = Console::new(input, output.clone(), error.clone());
    let cli = Cli::try_parse_from([&["stayer"], line].concat());
    let exit = match cli {
        Ok(cli) => cli::run(cli, &mut console).await,
        Err(wrong) => {
            console.note(&wrong.to_string());
            Exit::Usage
        }
    };
    Outcome { exit, output: output.text(), error: error.text() }
}

async fn answer(State(script): State<Arc<Mutex<Script>>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 1 << 20).await.expect("a small body");
    let asked = format!("{} {} {}", parts.method, parts.uri, String::from_utf8_lossy(&body));
    let key = format!("{} {}", parts.method, parts.uri.path());
    let scripted = {
        let mut script = lock(&script);
        script.asked.push(asked.trim_end().to_owned());
        let queue = script.answers.get_mut(&key);
        queue.and_then(
            |queue| if queue.len() > 1 { queue.pop_front() } else { queue.front().cloned() },
        )
    };
    let missing = || Scripted {
        status: 404,
        headers: Vec::new(),
        body: format!(r#"{{"message":"nothing at {key}"}}"#),
    };
    let scripted = scripted.unwrap_or_else(missing);
    let response = Response::builder().status(scripted.status);
    let response = scripted
        .headers
        .iter()
        .fold(response, |response, (name, value)| response.header(*name, value));
    response.body(Body::from(scripted.body)).expect("a valid answer")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Sink ===

impl Sink {
    fn text(&self) -> String {
        String::from_utf8_lossy(&lock(&self.0)).into_owned()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        lock(&self.0).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
