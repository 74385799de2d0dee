//! A thousand consumers of the event stream: how late the last one is, how much goes out in a burst, and what consumers
//! cost that have stopped reading.
//!
//! The server is `stayer dev`, its consumers are connections of this process: both share the cores of this machine.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
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
/// Instances of one burst: each is one event for every consumer, all in one commit.
const BURST: u32 = 1_000;
/// So often instances are made and removed while some consumers read nothing.
const CHURN: u32 = 40;
/// Lines of one event.
const LINES: usize = 4;
/// Until what came before is over.
const SETTLE: Duration = Duration::from_millis(300);

/// Consumers that count the lines that they are told.
struct Consumers {
    readers: JoinSet<()>,
    lines: Arc<AtomicUsize>,
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
        let before = consumers.lines();
        let body = small_app(&format!("late-{round}"), 0);
        let watch = Stopwatch::start();
        http.post("/v2/apps", &body).await?;
        let answered = watch.millis();
        consumers.until(before + CONSUMERS * LINES).await?;
        millis.push(watch.millis() - answered);
        whole.push(watch.millis());
    }
    let what = "one event to 1,000 consumers: POST answered → the last one has it";
    let note = format!("from the POST being sent: {:.1} ms", Spread::of(whole).median);
    Ok(Outcome::absolute(("events-last", what), "ms", millis, Goal::AtMost(30.0)).with_note(note))
}

/// Instances that fit nowhere: they are made, told of, and removed with their app.
async fn bursts(bench: &Bench, server: &Server, http: &mut Http) -> Result<Outcome, Failure> {
    let consumers = Consumers::new(server.address, "instance_changed_event").await?;
    let mut rates = Vec::new();
    for round in 0..bench.rounds(9) {
        let before = consumers.lines();
        let app = homeless(&format!("burst-{round}"));
        let watch = Stopwatch::start();
        http.post("/v2/apps", &app).await?;
        let wanted = CONSUMERS * BURST as usize;
        consumers.until(before + wanted * LINES).await?;
        #[expect(clippy::cast_precision_loss, reason = "a count")]
        rates.push(wanted as f64 / watch.seconds());
        http.delete(&format!("/v2/apps/burst-{round}?force=true")).await?;
        consumers.until(before + 2 * wanted * LINES).await?;
    }
    let what =
        "1,000 events of one commit to 1,000 consumers, the commit and their reading included";
    Ok(Outcome::absolute(("events-burst", what), "/s", rates, Goal::AtLeast(1_000_000.0)))
}

/// Consumers that read nothing, while more happens than the kernel takes for them.
async fn stalled(server: &Server, http: &mut Http) -> Result<Outcome, Failure> {
    // What is kept of events costs the same with and without them.
    churn(http, "before").await?;
    let before = host::resident(server.pid()?)?;
    let mut held = Vec::new();
    for _ in 0..STALLED {
        held.push(open(server.address, "instance_changed_event").await?);
    }
    churn(http, "with").await?;
    tokio::time::sleep(SETTLE).await;
    let with = host::resident(server.pid()?)?;
    drop(held);
    let what = "100 consumers that read nothing while 80,000 events happen: resident memory more than before";
    let name = ("events-stalled", what);
    Ok(Outcome::absolute(name, "MiB", vec![with - before], Goal::AtMost(64.0)))
}

/// Makes and removes instances that fit nowhere.
async fn churn(http: &mut Http, name: &str) -> Result<(), Failure> {
    for round in 0..CHURN {
        let id = format!("{name}-{round}");
        http.post("/v2/apps", &homeless(&id)).await?;
        http.delete(&format!("/v2/apps/{id}?force=true")).await?;
    }
    Ok(())
}

/// An app of many instances, for which no host is big enough.
fn homeless(id: &str) -> Value {
    let mut app = small_app(id, BURST);
    app["cpus"] = json!(1_000_000);
    app
}

/// In HTTP/1.0 events come as they are, up to the end.
async fn open(address: SocketAddr, types: &str) -> Result<TcpStream, Failure> {
    let mut stream = TcpStream::connect(address).await.map_err(broken)?;
    let ask = format!(
        "GET /v2/events?event_type={types} HTTP/1.0\r\nhost: {address}\r\naccept: text/event-stream\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await.map_err(broken)?;
    // The first bytes are the head of the answer: from then on it follows.
    stream.readable().await.map_err(broken)?;
    Ok(stream)
}

// === impl Consumers ===

impl Consumers {
    async fn new(address: SocketAddr, types: &str) -> Result<Consumers, Failure> {
        let (mut readers, lines) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
        for _ in 0..CONSUMERS {
            readers.spawn(count(open(address, types).await?, lines.clone()));
        }
        // The heads of the answers are read as well, and are not counted.
        tokio::time::sleep(SETTLE).await;
        Ok(Consumers { readers, lines })
    }

    fn lines(&self) -> usize {
        self.lines.load(Ordering::Relaxed)
    }

    async fn until(&self, wanted: usize) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        while self.lines() < wanted {
            if watch.seconds() > PATIENCE.as_secs_f64() || self.readers.is_empty() {
                let told = self.lines();
                return Err(Failure::TimedOut(format!("{told} of {wanted} lines were told")));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }
}

/// Counts the lines of one consumer. However it ends, what is missing is missed by who waits for it.
async fn count(mut stream: TcpStream, lines: Arc<AtomicUsize>) {
    let mut buffer = vec![0; 64 * 1_024];
    while let Ok(read @ 1..) = stream.read(&mut buffer).await {
        let ends = buffer[..read].iter().map(|byte| usize::from(*byte == b'\n'));
        lines.fetch_add(ends.sum(), Ordering::Relaxed);
    }
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err takes")]
fn broken(error: std::io::Error) -> Failure {
    Failure::Failed(format!("a consumer broke off: {error}"))
}
