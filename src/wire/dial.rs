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
use tokio::net::{TcpStream, UnixStream};

use crate::wire::reverse::{Endpoints, Served, serve};

/// Where a server takes agents unless its address says otherwise.
pub const AGENTS_PORT: u16 = 8081;

/// The longest wait for a connection.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// A connection that lived so long was a good one: the next wait is the shortest again.
const STEADY: Duration = Duration::from_secs(5);

const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(5);

/// Where a server takes agents' connections: `unix:PATH` or `HOST:PORT`; written also as `http://HOST:PORT`, and without
/// the port for [`AGENTS_PORT`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// A socket on this host.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(String),
}

/// The text is no address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {why}")]
pub struct NoAddress {
    text: String,
    why: &'static str,
}

/// Says how dialling goes: what is new at once, the same again ever more seldom.
#[derive(Debug, Default)]
struct Voice {
    last: String,
    times: u64,
}

/// Waits that double, each anywhere between half and all of it: agents that lost one server do not come back as one.
#[derive(Debug)]
struct Backoff {
    next: Duration,
    random: RandomState,
    waits: u64,
}

/// Keeps one connection to the server at `address` and answers on it. Ends when the agent has left, or it is dropped.
pub async fn dial<E: Endpoints>(address: Address, endpoints: Arc<E>) {
    let (mut backoff, mut voice) = (Backoff::new(), Voice::default());
    loop {
        let mut attempt = pin!(connect_and_serve(&address, endpoints.clone()));
        let outcome = tokio::select! {
            outcome = &mut attempt => outcome,
            () = tokio::time::sleep(STEADY) => {
                backoff.reset();
                voice = Voice::default();
                attempt.await
            }
        };
        if endpoints.has_left() {
            return;
        }
        let wait = backoff.wait();
        voice.say(&address, &outcome);
        tokio::time::sleep(wait).await;
    }
}

async fn connect_and_serve<E: Endpoints>(
    address: &Address,
    endpoints: Arc<E>,
) -> io::Result<Served> {
    match address {
        Address::Unix(path) => {
            let stream = in_time(UnixStream::connect(path)).await?;
            Ok(serve(stream, endpoints).await)
        }
        Address::Tcp(name) => {
            let stream = in_time(TcpStream::connect(name)).await?;
            tune(&stream)?;
            Ok(serve(stream, endpoints).await)
        }
    }
}

async fn in_time<T>(connect: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    tokio::time::timeout(CONNECT_DEADLINE, connect).await.map_err(late)?
}

/// Sends frames as they come, and lets the kernel find another side that is gone without a word. A session would be
/// missed by its beats; a connection to a server that does not lead has none, and must work when that server comes to
/// lead.
///
/// # Errors
/// When the kernel refuses, as for a connection that is gone.
pub fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    sockopt::set_socket_keepalive(stream, true)?;
    sockopt::set_tcp_keepidle(stream, Duration::from_secs(5))?;
    sockopt::set_tcp_keepintvl(stream, Duration::from_secs(2))?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    Ok(())
}

// === impl Address ===

impl Address {
    /// Whether the way there stays on this host, as far as the name says it.
    pub fn is_local(&self) -> bool {
        let Address::Tcp(name) = self else { return true };
        let host = name.rsplit_once(':').map_or(name.as_str(), |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    }
}

impl FromStr for Address {
    type Err = NoAddress;

    fn from_str(text: &str) -> Result<Address, NoAddress> {
        let no = |why| NoAddress { text: text.to_owned(), why };
        if let Some(path) = text.strip_prefix("unix:") {
            let path = Some(path).filter(|path| !path.is_empty());
            return path.map(|path| Address::Unix(path.into())).ok_or_else(|| no("names no path"));
        }
        if text.starts_with("https://") {
            return Err(no(
                "asks for TLS, which agents and servers do not speak with each other yet",
            ));
        }
        let plain = text.strip_prefix("http://").unwrap_or(text);
        let plain = plain.strip_suffix('/').unwrap_or(plain);
        // The colons of an IPv6 address stand in brackets.
        let after = plain.rfind(']').map_or(0, |end| end + 1);
        let (host, port) = match plain[after..].find(':') {
            Some(colon) => plain.split_at(after + colon),
            None => (plain, ""),
        };
        let odd = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '@');
        if host.is_empty() || host.contains(odd) {
            return Err(no("is neither unix:PATH nor HOST:PORT"));
        }
        match port.strip_prefix(':').map(str::parse::<u16>) {
            None => Ok(Address::Tcp(format!("{host}:{AGENTS_PORT}"))),
            Some(Ok(port)) => Ok(Address::Tcp(format!("{host}:{port}"))),
            Some(Err(_)) => Err(no("is neither unix:PATH nor HOST:PORT")),
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

// === impl Voice ===

impl Voice {
    fn say(&mut self, address: &Address, outcome: &io::Result<Served>) {
        let text = told(address, outcome);
        if self.last != text {
            *self = Voice { last: text, times: 0 };
        }
        self.times += 1;
        match self.times {
            1 => tracing::warn!("{}; it is dialled again, and tasks go on", self.last),
            times if times.is_power_of_two() => {
                tracing::warn!("{}, {times} times by now", self.last);
            }
            _ => {}
        }
    }
}

fn told(address: &Address, outcome: &io::Result<Served>) -> String {
    match outcome {
        Err(error) => format!("no server answers at {address}: {error}"),
        Ok(Served { asked: false, .. }) => format!(
            "what answers at {address} takes no agents; a server takes them where its --agents-listen says, port \
             {AGENTS_PORT} unless told"
        ),
        Ok(Served { broke: Some(error), .. }) => {
            format!("the connection to the server at {address} broke: {error}")
        }
        Ok(Served { broke: None, .. }) => format!("the server at {address} closed the connection"),
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
        let short = [
            ("stayer.example", "stayer.example:8081"),
            ("http://10.0.0.1:9000/", "10.0.0.1:9000"),
            ("http://stayer.example", "stayer.example:8081"),
            ("[::1]", "[::1]:8081"),
        ];
        for (text, local) in
            [("unix:/a", true), ("[::1]:1", true), ("localhost", true), ("h", false)]
        {
            assert_eq!(text.parse::<Address>().expect(text).is_local(), local, "{text}");
        }
        for (text, whole) in short {
            assert_eq!(text.parse::<Address>().expect(text).to_string(), whole);
        }
        let none = [
            "",
            "unix:",
            "host:",
            ":8081",
            "host:99999",
            "/run/stayer.sock",
            "https://h:1",
            "h:1/x",
        ];
        for text in none {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_same_trouble_is_told_ever_more_seldom() {
        let address = Address::Tcp("127.0.0.1:8081".to_owned());
        let mut voice = Voice::default();
        for times in 1..=3 {
            voice.say(&address, &Err(io::ErrorKind::ConnectionRefused.into()));
            assert_eq!(voice.times, times);
        }
        voice.say(&address, &Ok(Served { asked: false, broke: None }));
        assert_eq!(voice.times, 1, "what is new is told at once");
        assert!(voice.last.contains("--agents-listen"), "{}", voice.last);
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
