//! Dialling a server, again and again: the agent's only way out.
//!
//! Which of the servers leads is not asked here. An agent keeps a connection to each, and whoever leads opens a session.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use crate::wire::reverse::{Endpoints, serve};

/// The longest wait for a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// A connection that lived so long was a good one: the next wait is the shortest again.
const STEADY: Duration = Duration::from_secs(5);

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Where a server takes agents' connections: `unix:PATH` or `HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket on this host.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String),
}

/// The text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither unix:PATH nor HOST:PORT")]
pub struct NoAddress(String);

/// Waits that double, each anywhere between half and all of it: agents that lost one server do not come back as one.
#[derive(Debug)]
struct Backoff {
    next: Duration,
    random: RandomState,
    waits: u64,
}

/// Keeps one connection to the server at `address` and answers on it. Ends only when it is dropped.
pub async fn dial<E: Endpoints>(address: Address, endpoints: Arc<E>) {
    let mut backoff = Backoff::new();
    loop {
        let mut attempt = pin!(connect_and_serve(&address, endpoints.clone()));
        let outcome = tokio::select! {
            outcome = &mut attempt => outcome,
            () = tokio::time::sleep(STEADY) => {
                backoff.reset();
                attempt.await
            }
        };
        let wait = backoff.wait();
        match outcome {
            Ok(()) => tracing::info!(%address, ?wait, "the server closed the connection"),
            Err(error) => tracing::info!(%address, ?wait, %error, "no connection to the server"),
        }
        tokio::time::sleep(wait).await;
    }
}

async fn connect_and_serve<E: Endpoints>(
    address: &Address,
    endpoints: Arc<E>,
) -> Result<(), io::Error> {
    match address {
        Address::Unix(path) => {
            let stream = in_time(UnixStream::connect(path)).await?;
            answer(stream, endpoints).await
        }
        Address::Tcp(name) => {
            let stream = in_time(TcpStream::connect(name)).await?;
            stream.set_nodelay(true)?;
            keep_alive(&stream)?;
            answer(stream, endpoints).await
        }
    }
}

async fn answer<S, E>(stream: S, endpoints: Arc<E>) -> Result<(), io::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Endpoints,
{
    serve(stream, endpoints).await.map_err(io::Error::other)
}

async fn in_time<T>(connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    tokio::time::timeout(CONNECT_DEADLINE, connect).await.map_err(late)?
}

/// Lets the kernel find a server that is gone without a word. A session would be missed by its beats; a connection to a
/// server that does not lead has none, and must work when that server comes to lead.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(2))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    Ok(())
}

// === impl Address ===

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Address, NoAddress> {
        if let Some(path) = text.strip_prefix("unix:").filter(|path| !path.is_empty()) {
            return Ok(Address::Unix(PathBuf::from(path)));
        }
        match text.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
                Ok(Address::Tcp(text.to_owned()))
            }
            Some(_) | None => Err(NoAddress(text.to_owned())),
        }
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
            Address::Tcp(name) => f.write_str(name),
        }
    }
}

// === impl Backoff ===

impl Backoff {
    fn new() -> Backoff {
        Backoff { next: SHORTEST, random: RandomState::new(), waits: 0 }
    }

    fn reset(&mut self) {
        self.next = SHORTEST;
    }

    fn wait(&mut self) -> Duration {
        self.waits += 1;
        let half = self.next / 2;
        let share = u32::try_from(self.random.hash_one(self.waits) % 1_000).unwrap_or(0);
        self.next = (self.next * 2).min(LONGEST);
        half + half * share / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_or_hosts_with_ports() {
        for text in ["unix:/run/stayer.sock", "127.0.0.1:8081", "[::1]:8081", "stayer.example:1"] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), text);
        }
        for text in ["", "unix:", "host", "host:", ":8081", "host:99999", "/run/stayer.sock"] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn waits_double_up_to_a_bound_and_differ() {
        let mut backoff = Backoff::new();
        let mut full = SHORTEST;
        for _ in 0..12 {
            let wait = backoff.wait();
            assert!(full / 2 <= wait && wait <= full, "{wait:?} for {full:?}");
            full = (full * 2).min(LONGEST);
        }
        let (first, second) = (backoff.wait(), backoff.wait());
        assert!(first != second || backoff.wait() != second, "without jitter all come at once");
        backoff.reset();
        assert!(backoff.wait() <= SHORTEST);
    }
}
