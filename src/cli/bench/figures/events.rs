//! A thousand consumers of the event stream: how late the last one is, how much goes out in a burst, and what consumers
//! cost that have stopped reading.
//!
//! The server is `stayer dev`, its consumers are connections of this process: both share the cores of this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hyper::Method;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::cli::bench::Bench;
use crate::cli::bench::child::{PATIENCE, Server};
use crate::cli::bench::figures::small_app;
use crate::cli::bench::host::{self, Stopwatch};
use crate::cli::bench::http::Http;
use crate::cli::bench::measure::{Goal, Outcome, Spread};
use crate::cli::failure::Failure;

/// Who follows.
const CONSUMERS: usize = 1_000;
/// Who follows and never reads.
const STALLED: usize = 100;
/// Apps of one burst: each is one event for every consumer.
const BURST: usize = 1_000;
/// The event that is counted.
const COUNTED: &str = "app_terminated_event";
/// Until what came before is over.
const SETTLE: Duration = Duration::from_millis(300);

/// Consumers that count what they are told.
struct Consumers {
    readers: JoinSet<()>,
    told: Arc<AtomicUsize>,
}

/// All three.
pub async fn all(bench: &Bench) -> Result<Vec<Outcome>, Failure> {
    let server = Server::start(&bench.scratch, &["--no-engine"]).await?;
    let mut http = server.connect().await?;
    let late = last_one(bench, &server, &mut http).await?;
    let bursts = bursts(bench, &server, &mut http).await?;
    let memory = stalled(&server, &mut http).await?;
    server.stop().await?;
    Ok(vec![late, bursts, memory])
}

/// From the answer to a change, which is given when it is durable, until the last consumer has its event.
async fn last_one(bench: &Bench, server: &Server, http: &mut Http) -> Result<Outcome, Failure> {
    let consumers = Consumers::new(server.address, "deployment_success").await?;
    let (mut millis, mut whole) = (Vec::new(), Vec::new());
    for round in 0..bench.rounds(60) {
        tokio::time::sleep(SETTLE / 10).await;
        let before = consumers.told();
        let body = small_app(&format!("late-{round}"), 0);
        let watch = Stopwatch::start();
        http.post("/v2/apps", &body).await?;
        let answered = watch.millis();
        consumers.until(before + CONSUMERS).await?;
        millis.push(watch.millis() - answered);
        whole.push(watch.millis());
    }
    let what = "one event to 1,000 consumers: POST answered → the last one has it";
    let note = format!("from the POST being sent: {:.1} ms", Spread::of(whole).median);
    Ok(Outcome::absolute(("events-last", what), "ms", millis, Goal::AtMost(30.0)).with_note(note))
}

/// Events of apps that are removed at once, as fast as they go out.
async fn bursts(bench: &Bench, server: &Server, http: &mut Http) -> Result<Outcome, Failure> {
    let consumers = Consumers::new(server.address, COUNTED).await?;
    let mut rates = Vec::new();
    for round in 0..bench.rounds(6) {
        let wanted = consumers.told() + CONSUMERS * BURST;
        let ids: Vec<String> =
            (0..BURST).map(|number| format!("/burst-{round}/{number}")).collect();
        let apps = ids.iter().map(|id| small_app(id, 0)).collect();
        http.send(Method::PUT, "/v2/apps", Some(&Value::Array(apps))).await?.good()?;
        tokio::time::sleep(SETTLE).await;
        let watch = Stopwatch::start();
        remove(server, ids).await?;
        consumers.until(wanted).await?;
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        rates.push((CONSUMERS * BURST) as f64 / watch.seconds());
    }
    let what =
        "1,000 apps removed one by one: their ends to 1,000 consumers, the removals included";
    Ok(Outcome::absolute(("events-burst", what), "/s", rates, Goal::AtLeast(1_000_000.0)))
}

/// Consumers that stop reading at once, while much happens.
async fn stalled(server: &Server, http: &mut Http) -> Result<Outcome, Failure> {
    churn(server, http, "warm").await?;
    let before = host::resident(server.pid()?)?;
    let mut held = Vec::new();
    for _ in 0..STALLED {
        held.push(open(server.address, "x&event_type=deployment_info&event_type=deployment_step_success&event_type=deployment_success&event_type=app_terminated_event&event_type=group_change_success").await?);
    }
    churn(server, http, "held").await?;
    let with = host::resident(server.pid()?)?;
    let what = "100 consumers that read nothing, while 10,000 events happen";
    let outcome =
        Outcome::absolute(("events-stalled", what), "MiB", vec![with - before], Goal::AtMost(64.0));
    drop(held);
    Ok(outcome)
}

/// Makes and removes apps one by one.
async fn churn(server: &Server, http: &mut Http, name: &str) -> Result<(), Failure> {
    let ids: Vec<String> = (0..BURST).map(|number| format!("/{name}/{number}")).collect();
    for id in &ids {
        http.post("/v2/apps", &small_app(id, 0)).await?;
    }
    remove(server, ids).await
}

/// Removes apps from several connections at once.
async fn remove(server: &Server, ids: Vec<String>) -> Result<(), Failure> {
    let mut clients = JoinSet::new();
    for some in ids.chunks(ids.len().div_ceil(32)).map(<[String]>::to_vec) {
        let mut http = server.connect().await?;
        clients.spawn(async move {
            for id in some {
                http.delete(&format!("/v2/apps{id}?force=true")).await?;
            }
            Ok::<(), Failure>(())
        });
    }
    clients.join_all().await.into_iter().collect()
}

async fn open(address: SocketAddr, types: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address).await.map_err(broken)?;
    let ask = format!(
        "GET /v2/events?event_type={types} HTTP/1.1\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await.map_err(broken)?;
    // The first bytes are the head of the answer: from then on it follows.
    stream.readable().await.map_err(broken)?;
    Ok(stream)
}

// === impl Consumers ===

impl Consumers {
    async fn new(address: SocketAddr, counted: &'static str) -> Result<Consumers, Failure> {
        let (mut readers, told) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..CONSUMERS {
            let stream = open(address, counted).await?;
            readers.spawn(count(stream, format!("event: {counted}\r\n"), told.clone()));
        }
        Ok(Consumers { readers, told })
    }

    fn told(&self) -> usize {
        self.told.load(Ordering::Relaxed)
    }

    async fn until(&self, wanted: usize) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        while self.told() < wanted {
            if watch.seconds() > PATIENCE.as_secs_f64() || self.readers.is_empty() {
                let told = self.told();
                return Err(Failure::TimedOut(format!("{told} of {wanted} events were told")));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

/// Counts the events of one consumer. What is cut between two reads is kept for the next.
async fn count(mut stream: TcpStream, what: String, told: Arc<AtomicUsize>) {
    let (mut buffer, mut kept) = (vec![0; 64 * 1_024], 0);
    // However it ends, what is missing is missed by who waits for it.
    while let Ok(read @ 1..) = stream.read(&mut buffer[kept..]).await {
        let filled = kept + read;
        let (mut from, mut found) = (0, 0);
        while let Some(at) = find(&buffer[from..filled], what.as_bytes()) {
            (from, found) = (from + at + what.len(), found + 1);
        }
        told.fetch_add(found, Ordering::Relaxed);
        kept = (filled - from).min(what.len() - 1);
        buffer.copy_within(filled - kept..filled, 0);
    }
}

/// Looks for the first byte with what the machine has for that.
fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|byte| *byte == what[0]) {
        if text[from + at..].starts_with(what) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn broken(error: std::io::Error) -> Failure {
    Failure::Failed(format!("a consumer broke off: {error}"))
}
