//! Accepts connections and serves them within bounds: headers in time, so many connections, an end that comes.
//!
//! Written over hyper-util since `axum::serve` sets no timer, and without one hyper has no time limit for headers
//! (reliability §4.4).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::task::TaskTracker;
use tower::Service;

use crate::api::stall::Unstalled;

/// The most connections at once.
const MAX_CONNECTIONS: usize = 10_000;
/// The most connections from one address other than loopback.
const MAX_PER_ADDRESS: usize = 256;
/// After an error of `accept`, such as no free descriptor.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The most streams of one HTTP/2 connection, and the most resets that wait.
const MAX_STREAMS: u32 = 256;
const MAX_RESETS: usize = 32;

/// What answers requests: always ready, cheap to copy.
pub trait Answers:
    Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + 'static
{
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(in crate::api) struct Patience {
    /// A request's headers, the time before them on a kept connection included.
    pub headers: Duration,
    /// Running requests after the server was asked to end.
    pub drain: Duration,
    /// A client that takes nothing of what is sent to it.
    pub write: Duration,
}

/// What every request of a connection comes with.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Who asks.
    pub peer: SocketAddr,
    /// When the server ends, for answers that have no end of their own.
    pub ending: Ending,
}

/// Tells answers without an end of their own that the server ends.
#[derive(Clone, Debug)]
pub struct Ending(watch::Receiver<bool>);

/// How many connections there are, and from where.
#[derive(Clone)]
struct Doors {
    all: Arc<Semaphore>,
    by_address: Arc<Mutex<BTreeMap<IpAddr, usize>>>,
}

/// The right to one connection.
struct Admission {
    _one_of_all: OwnedSemaphorePermit,
    counted: Option<(Doors, IpAddr)>,
}

// === impl Answers ===

impl<S> Answers for S where
    S: Service<Request, Response = Response, Error = Infallible, Future: Send>
        + Clone
        + Send
        + 'static
{
}

// === impl Patience ===

impl Patience {
    /// Those of a server.
    pub const USUAL: Patience = Patience {
        headers: Duration::from_secs(10),
        drain: Duration::from_secs(5),
        write: Duration::from_secs(30),
    };
}

// === impl Ending ===

impl Ending {
    /// Waits until the server is asked to end.
    pub async fn wait(&mut self) {
        asked_to_end(&mut self.0).await;
    }
}

// === impl Doors ===

impl Default for Doors {
    fn default() -> Doors {
        Doors { all: Arc::new(Semaphore::new(MAX_CONNECTIONS)), by_address: Arc::default() }
    }
}

impl Doors {
    fn enter(&self, address: IpAddr) -> Option<Admission> {
        let one_of_all = self.all.clone().try_acquire_owned().ok()?;
        let counted = if address.is_loopback() {
            None
        } else {
            let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
            let count = counts.entry(address).or_insert(0);
            if *count >= MAX_PER_ADDRESS {
                return None;
            }
            *count += 1;
            Some((self.clone(), address))
        };
        Some(Admission { _one_of_all: one_of_all, counted })
    }

    fn leave(&self, address: IpAddr) {
        let mut counts = self.by_address.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&address);
            }
        }
    }
}

// === impl Admission ===

impl Drop for Admission {
    fn drop(&mut self) {
        if let Some((doors, address)) = self.counted.take() {
            doors.leave(address);
        }
    }
}

/// Serves until `shutdown`, then lets running requests end for a short time. A connection that cannot be accepted is tried again, so that this ends with `shutdown` alone.
pub async fn serve<S: Answers>(
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
) {
    serve_with(listener, service, shutdown, Patience::USUAL).await;
}

/// The same, with other limits of time.
pub(in crate::api) async fn serve_with<S: Answers>(
    listener: TcpListener,
    service: S,
    shutdown: impl Future<Output = ()>,
    patience: Patience,
) {
    let doors = Doors::default();
    let connections = TaskTracker::new();
    let (end, ending) = watch::channel(false);
    tokio::pin!(shutdown);
    loop {
        let (stream, peer) = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            },
        };
        // Without a place the connection is closed at once, which is cheaper than any answer.
        if let Some(place) = doors.enter(peer.ip()) {
            let connection = connection(stream, peer, service.clone(), ending.clone(), patience);
            connections.spawn(async move {
                connection.await;
                drop(place);
            });
        }
    }
    drop(listener);
    end.send_replace(true);
    connections.close();
    if tokio::time::timeout(patience.drain, connections.wait()).await.is_err() {
        tracing::info!(open = connections.len(), "requests were still running at the end");
    }
}

/// Serves one connection to its end.
async fn connection<S: Answers>(
    stream: TcpStream,
    peer: SocketAddr,
    service: S,
    mut ending: watch::Receiver<bool>,
    patience: Patience,
) {
    // Answers are small and written whole.
    let _unsupported = stream.set_nodelay(true);
    let origin = Origin { peer, ending: Ending(ending.clone()) };
    let answering = hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(origin.clone());
        service.clone().call(request)
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(patience.headers);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS)
        .max_pending_accept_reset_streams(MAX_RESETS)
        .keep_alive_interval(patience.headers);
    let serving =
        builder.serve_connection(TokioIo::new(Unstalled::new(stream, patience.write)), answering);
    tokio::pin!(serving);
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        () = asked_to_end(&mut ending) => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, error, "a connection broke");
    }
}

async fn asked_to_end(ending: &mut watch::Receiver<bool>) {
    // The sender lives as long as the connections; without it the end has come as well.
    let _gone = ending.wait_for(|ending| *ending).await;
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn one_address_gets_so_many_connections_and_loopback_more() {
        let doors = Doors::default();
        let far: IpAddr = [192, 0, 2, 1].into();
        let mut held: Vec<Admission> =
            (0..MAX_PER_ADDRESS).filter_map(|_| doors.enter(far)).collect();
        assert_eq!(held.len(), MAX_PER_ADDRESS);
        assert!(doors.enter(far).is_none());
        assert!(doors.enter([127, 0, 0, 1].into()).is_some());
        held.pop();
        assert!(doors.enter(far).is_some());
    }

    const HASTY: Patience = Patience {
        headers: Duration::from_millis(20),
        drain: Duration::from_millis(20),
        write: Duration::from_millis(20),
    };

    async fn served(router: Router, patience: Patience) -> (TcpStream, impl FnOnce() -> Ended) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _dropped = stopped.await;
        };
        let serving = tokio::spawn(serve_with(listener, router, shutdown, patience));
        let client = TcpStream::connect(address).await.expect("connects");
        let end = move || {
            stop.send(()).expect("it serves");
            serving
        };
        (client, end)
    }

    type Ended = tokio::task::JoinHandle<()>;

    #[tokio::test]
    async fn headers_that_do_not_come_end_the_connection() {
        let (mut client, _end) = served(Router::new(), HASTY).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow").await.expect("sends");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("the end");
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    }

    #[tokio::test]
    async fn a_request_that_never_ends_does_not_hold_up_the_end() {
        let never = || async {
            std::future::pending::<()>().await;
        };
        let (mut client, end) = served(Router::new().route("/", get(never)), HASTY).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sends");
        end().await.expect("no panic");
    }

    #[tokio::test]
    async fn a_head_has_the_headers_of_a_get_and_no_body() {
        let (mut client, _end) =
            served(Router::new().fallback(|| async { "pong" }), Patience::USUAL).await;
        client
            .write_all(b"HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .await
            .expect("sends");
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer, then the end");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("\r\n\r\n"), "{answer}");
        assert!(answer.contains("content-length: 4"), "{answer}");
    }

    #[tokio::test]
    async fn a_request_in_flight_is_answered_after_shutdown_and_then_serving_ends() {
        let (started, started_once) = oneshot::channel::<()>();
        let started = Arc::new(Mutex::new(Some(started)));
        let (release, released) = watch::channel(false);
        let slow = move || {
            let (started, mut released) = (started.clone(), released.clone());
            async move {
                let started = started.lock().expect("not poisoned").take();
                started.expect("asked once").send(()).expect("the test waits");
                released.wait_for(|released| *released).await.expect("the test holds it");
                "done"
            }
        };
        let router = Router::new().route("/", get(slow));
        let (mut client, end) = served(router, Patience::USUAL).await;
        client.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sends");
        started_once.await.expect("the handler runs");
        let ended = end();
        release.send_replace(true);
        let mut answer = String::new();
        client.read_to_string(&mut answer).await.expect("an answer, then the end");
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
        ended.await.expect("no panic");
    }
}
