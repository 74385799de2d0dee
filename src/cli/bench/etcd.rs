//! An etcd for the figures that need one: Debian's `etcd-server`, on loopback, with its data where the others have theirs.

use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;
use std::time::Duration;

use etcd_client::Client;
use tokio::process::{Child, Command};

use crate::cli::bench::child::{PATIENCE, Scratch};
use crate::cli::bench::host::Stopwatch;
use crate::cli::failure::Failure;

/// Between two looks whether it answers.
const LOOK: Duration = Duration::from_millis(20);

/// A running etcd of one member. Ends when this is dropped.
pub struct Etcd {
    /// Large, and held by futures that are not to be.
    client: Box<Client>,
    address: SocketAddr,
    _child: Child,
}

// === impl Etcd ===

impl Etcd {
    /// Starts one with nothing in it.
    ///
    /// # Errors
    /// When there is none on this machine, or it does not answer in time.
    pub async fn start(scratch: &Scratch) -> Result<Etcd, Failure> {
        let (address, peers) = (free_address()?, free_address()?);
        let (url, peer_url) = (format!("http://{address}"), format!("http://{peers}"));
        let child = Command::new("etcd")
            .args(["--name", "bench", "--logger", "zap", "--data-dir"])
            .arg(scratch.fresh())
            .args(["--listen-client-urls", &url, "--advertise-client-urls", &url])
            .args(["--listen-peer-urls", &peer_url, "--initial-advertise-peer-urls", &peer_url])
            .args(["--initial-cluster", &format!("bench={peer_url}")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed("etcd cannot be started, is etcd-server installed", error))?;
        let connected = Box::pin(Client::connect([address.to_string()], None)).await;
        let client = connected.map_err(|error| failed("etcd is not reached", error))?;
        let mut client = Box::new(client);
        let watch = Stopwatch::start();
        while Box::pin(client.get("/", None)).await.is_err() {
            if watch.seconds() > PATIENCE.as_secs_f64() {
                return Err(Failure::TimedOut("etcd does not answer".to_owned()));
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(Etcd { client, address, _child: child })
    }

    /// What `--store` is told; each name is a tree of its own.
    pub fn store(&self, name: &str) -> String {
        format!("etcd://{}/{name}", self.address)
    }

    /// How long one put of so many bytes takes, in milliseconds.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn put(&mut self, bytes: usize) -> Result<f64, Failure> {
        let value = vec![7; bytes];
        let watch = Stopwatch::start();
        let put = Box::pin(self.client.put("/bench", value, None)).await;
        put.map_err(|error| failed("etcd refuses", error))?;
        Ok(watch.millis())
    }
}

fn free_address() -> Result<SocketAddr, Failure> {
    let address = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    address.map_err(|error| failed("no port is free", error))
}

fn failed(what: &str, why: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("{what}: {why}"))
}
