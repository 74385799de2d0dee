//! What the machine that tests run on says of itself. Compiled for tests alone.
#![expect(clippy::disallowed_methods, reason = "a test asks the environment of its machine")]

use std::fmt;
use std::net::TcpListener;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::net::TcpSocket;

/// Long enough for anything that is expected to happen.
pub static PATIENCE: LazyLock<Duration> = LazyLock::new(|| slow(Duration::from_secs(30)));

/// An address where nobody listens, and nobody can as long as this is held.
pub struct Nowhere(TcpSocket);

// === impl Nowhere ===

impl Nowhere {
    /// One on loopback.
    pub fn hold() -> Nowhere {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        Nowhere(socket)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.0.local_addr().expect("it is bound").port()
    }
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "127.0.0.1:{}", self.port())
    }
}

/// A port that nobody has, below those that the kernel gives out; no two tests of a process get the same one.
pub fn free_port() -> u16 {
    const FROM: u16 = 17_000;
    const COUNT: u16 = 3_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test processes begin far from each other.
    let start =
        u16::try_from(std::process::id() * 100 % u32::from(COUNT)).expect("below the count");
    for _ in 0..COUNT {
        let turn = NEXT.fetch_add(1, Ordering::Relaxed) % COUNT;
        let port = FROM + (start + turn) % COUNT;
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
    panic!("every port is taken");
}

/// A limit of time on this machine: one under emulation is so much slower than others.
pub fn slow(limit: Duration) -> Duration {
    let factor = std::env::var("STAYER_TEST_SLOWNESS").map(|text| text.parse());
    limit * factor.map_or(1, |factor| factor.expect("STAYER_TEST_SLOWNESS is a number"))
}

/// The engine that is to be tested, if it is not the one that is found.
pub fn docker_host() -> Option<String> {
    std::env::var("DOCKER_HOST").ok()
}
