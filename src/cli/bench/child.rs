//! The processes under test: this very binary as `stayer dev`, as simulated agents, as an anchor; and where they keep
//! their data.
//!
//! Whatever is started here ends with what holds it, also when a figure fails half-way.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::cli::bench::host::Stopwatch;
use crate::cli::bench::http::Http;
use crate::cli::failure::Failure;

/// The longest wait for anything.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// Between two tries to reach a server that starts.
const TRY: Duration = Duration::from_micros(500);

/// A directory that goes when this is dropped.
pub struct Scratch {
    dir: PathBuf,
    next: AtomicU32,
}

/// A server under test.
pub struct Server {
    /// Where its API answers.
    pub address: SocketAddr,
    /// Its data directory.
    pub data: PathBuf,
    args: Vec<String>,
    child: Child,
}

/// An agent under test, with the engine of this machine. Its containers end with it.
pub struct HostAgent {
    data: PathBuf,
    socket: PathBuf,
    child: Child,
}

/// A helper: an anchor or simulated agents. Ends when this is dropped.
pub struct Helper {
    child: Child,
}

// === impl Scratch ===

impl Scratch {
    /// A new directory in `parent`.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(parent: &Path) -> Result<Scratch, Failure> {
        let dir = parent.join(format!("stayer-bench-{}", std::process::id()));
        std::fs::create_dir_all(&dir)
            .map_err(|error| Failure::Usage(format!("{}: {error}", dir.display())))?;
        Ok(Scratch { dir, next: AtomicU32::new(0) })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.dir
    }

    /// A name in it that nothing has yet.
    pub fn fresh(&self) -> PathBuf {
        self.dir.join(self.next.fetch_add(1, Ordering::Relaxed).to_string())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever cleans that directory.
        let _left = std::fs::remove_dir_all(&self.dir);
    }
}

// === impl Server ===

impl Server {
    /// `stayer dev` with an empty data directory.
    ///
    /// # Errors
    /// When it does not answer in time.
    pub async fn start(scratch: &Scratch, args: &[&str]) -> Result<Server, Failure> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Server::begin(scratch.fresh(), args).await
    }

    async fn begin(data: PathBuf, args: Vec<String>) -> Result<Server, Failure> {
        let address = free_address()?;
        let child = Command::new(own_binary()?)
            .arg("dev")
            .args(["--stop-tasks", "--listen", &address.to_string(), "--data-dir"])
            .arg(&data)
            .args(&args)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(not_started)?;
        let mut server = Server { address, data, args, child };
        server.answers().await?;
        Ok(server)
    }

    /// Waits until it answers.
    async fn answers(&mut self) -> Result<(), Failure> {
        let watch = Stopwatch::start();
        loop {
            if let Ok(mut http) = Http::tcp(self.address).await
                && http.get("/v2/info").await.is_ok()
            {
                return Ok(());
            }
            let ended = self.child.try_wait().map_err(not_started)?;
            if ended.is_some() || watch.seconds() > PATIENCE.as_secs_f64() {
                return Err(Failure::Failed("the server under test does not answer".to_owned()));
            }
            tokio::time::sleep(TRY).await;
        }
    }

    /// SIGKILL, and another one on the same data; from its start to its first answer, in milliseconds.
    ///
    /// # Errors
    /// When the new one does not answer in time.
    pub async fn restart(mut self) -> Result<(Server, f64), Failure> {
        self.child.kill().await.map_err(not_started)?;
        let (data, args) = (self.data.clone(), self.args.clone());
        let watch = Stopwatch::start();
        let server = Server::begin(data, args).await?;
        Ok((server, watch.millis()))
    }

    /// A new connection to it.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn connect(&self) -> Result<Http, Failure> {
        Http::tcp(self.address).await
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<u32, Failure> {
        self.child.id().ok_or_else(|| Failure::Failed("the server under test has ended".to_owned()))
    }

    /// Where agents dial.
    pub fn agents_socket(&self) -> PathBuf {
        self.data.join("server/agents.sock")
    }

    /// Ends it with all its tasks, and waits for that.
    ///
    /// # Errors
    /// When it does not end in time.
    pub async fn stop(mut self) -> Result<(), Failure> {
        ask_to_end(&self.child);
        let ended = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        ended.map_or_else(
            |_| Err(Failure::Failed("the server under test does not end".to_owned())),
            |_| Ok(()),
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        ask_to_end(&self.child);
    }
}

// === impl HostAgent ===

impl HostAgent {
    /// `stayer agent` at a server, with an empty data directory.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(scratch: &Scratch, server: &Server) -> Result<HostAgent, Failure> {
        let (data, socket) = (scratch.fresh(), server.agents_socket());
        let child = HostAgent::spawn(&data, &socket)?;
        Ok(HostAgent { data, socket, child })
    }

    /// SIGKILL: its containers run on.
    ///
    /// # Errors
    /// When it has ended already.
    pub async fn kill(&mut self) -> Result<(), Failure> {
        self.child.kill().await.map_err(not_started)
    }

    /// Another one on the same data.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_again(&mut self) -> Result<(), Failure> {
        self.child = HostAgent::spawn(&self.data, &self.socket)?;
        Ok(())
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<u32, Failure> {
        self.child.id().ok_or_else(|| Failure::Failed("the agent under test has ended".to_owned()))
    }

    fn spawn(data: &Path, socket: &Path) -> Result<Child, Failure> {
        Command::new(own_binary()?)
            .args(["agent", "--stop-tasks", "--hostname", "under-test", "--server"])
            .arg(format!("unix:{}", socket.display()))
            .args(["--resources", "cpus:64;mem:65536", "--data-dir"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(not_started)
    }
}

impl Drop for HostAgent {
    fn drop(&mut self) {
        ask_to_end(&self.child);
    }
}

// === impl Helper ===

impl Helper {
    /// Simulated agents of a server.
    ///
    /// # Errors
    /// When they cannot be started.
    pub fn agents(scratch: &Scratch, server: &Server, count: u32) -> Result<Helper, Failure> {
        let child = helper()?
            .args(["--be-agents", &count.to_string(), "--socket"])
            .arg(server.agents_socket())
            .arg("--dir")
            .arg(scratch.path())
            .stdout(Stdio::null())
            .spawn()
            .map_err(not_started)?;
        Ok(Helper { child })
    }

    /// An anchor that answers with the bytes of a file, and where it listens.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn anchor(file: &Path) -> Result<(Helper, SocketAddr), Failure> {
        let mut child = helper()?
            .arg("--be-anchor")
            .arg(file)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(not_started)?;
        let output = child.stdout.take().map(BufReader::new);
        let mut line = String::new();
        if let Some(mut output) = output {
            output.read_line(&mut line).await.map_err(not_started)?;
        }
        let address = line.trim().parse().map_err(not_started)?;
        Ok((Helper { child }, address))
    }

    /// Its process.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pid(&self) -> Result<u32, Failure> {
        self.child.id().ok_or_else(|| Failure::Failed("a helper has ended".to_owned()))
    }
}

fn ask_to_end(child: &Child) {
    if let Some(pid) = child.id().and_then(|pid| i32::try_from(pid).ok()) {
        // It may have ended just now.
        let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
}

/// A helper ends when its standard input does, so it does not outlive this process.
fn helper() -> Result<Command, Failure> {
    let mut command = Command::new(own_binary()?);
    command.arg("bench").stdin(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    Ok(command)
}

fn own_binary() -> Result<PathBuf, Failure> {
    std::env::current_exe().map_err(not_started)
}

/// A port that is free now. Another process could take it in between; then the server says so by ending.
fn free_address() -> Result<SocketAddr, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).map_err(not_started)?;
    listener.local_addr().map_err(not_started)
}

fn not_started(error: impl std::fmt::Display) -> Failure {
    Failure::Failed(format!("a process under test cannot be started: {error}"))
}
