//! A cluster as processes: a server, and agents that dial it.
//!
//! ```ignore
//! let mut cluster = Cluster::start().await;
//! cluster.agent("a1").args(&["--attributes", "rack:1"]).start().await;
//! cluster.launch(&sleeper("/app", json!({"instances": 2}))).await; // a Cluster is a Stayer too
//! cluster.of("a1").kill();
//! cluster.finish().await;
//! ```
//!
//! All directories lie below the server's, so that whatever runs is gone when the cluster is dropped.

use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::docker_rig::{Engine, identity};
use crate::proc;
use crate::rig::{PATIENCE, Slice, Stayer, begin, command};

/// What an agent says when a leader has taken it.
const TAKEN: &str = "a leader has opened a session";

/// A server with its agents.
pub struct Cluster {
    server: Stayer,
    agents: BTreeMap<String, Agent>,
}

/// An agent of a cluster.
pub struct Agent {
    /// Its data directory.
    pub dir: PathBuf,
    /// What it printed when it began.
    pub banner: String,
    /// Its host ports.
    pub ports: Slice,
    child: Child,
    recipe: Recipe,
}

/// How an agent is started.
#[derive(Clone)]
struct Recipe {
    binary: PathBuf,
    server: String,
    hostname: String,
    args: Vec<String>,
    docker: bool,
}

/// An agent that is about to be started.
pub struct Starting<'a> {
    cluster: &'a mut Cluster,
    name: String,
    dir: PathBuf,
    recipe: Recipe,
}

// === impl Cluster ===

impl Cluster {
    /// A server without agents.
    pub async fn start() -> Cluster {
        Cluster::with(&[]).await
    }

    /// A server with more arguments, without agents.
    pub async fn with(args: &[&str]) -> Cluster {
        let data = tempfile::tempdir().expect("a directory");
        Cluster { server: Stayer::server(data, args).await, agents: BTreeMap::new() }
    }

    /// A new agent of this name, which is also its hostname; it runs plain processes alone unless told otherwise.
    pub fn agent(&mut self, name: &str) -> Starting<'_> {
        let recipe = Recipe {
            binary: env!("CARGO_BIN_EXE_stayer").into(),
            server: self.server.agents(),
            hostname: name.to_owned(),
            args: Vec::new(),
            docker: false,
        };
        let dir = self.server.dir().join(name);
        Starting { cluster: self, name: name.to_owned(), dir, recipe }
    }

    /// An agent that was started.
    pub fn of(&mut self, name: &str) -> &mut Agent {
        self.agents.get_mut(name).expect("an agent of this name was started")
    }

    /// Ends the test's tasks, the agents and the server.
    pub async fn finish(self) {
        self.server.clear().await;
    }
}

impl Deref for Cluster {
    type Target = Stayer;

    fn deref(&self) -> &Stayer {
        &self.server
    }
}

impl DerefMut for Cluster {
    fn deref_mut(&mut self) -> &mut Stayer {
        &mut self.server
    }
}

impl Drop for Cluster {
    /// Agents first: none of them may start anything while the server's directory is swept.
    fn drop(&mut self) {
        self.agents.clear();
    }
}

// === impl Stayer ===

impl Stayer {
    /// The hostnames of the agents on which the tasks of an app run, in order.
    pub async fn hosts(&self, app: &str) -> Vec<String> {
        let mut hosts: Vec<String> = self
            .tasks(app, "TASK_RUNNING")
            .await
            .iter()
            .map(|task| task["host"].as_str().expect("a host").to_owned())
            .collect();
        hosts.sort();
        hosts
    }
}

// === impl Starting ===

impl<'a> Starting<'a> {
    /// More arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.recipe.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// With `--attributes`.
    pub fn attributes(self, text: &str) -> Self {
        self.args(&["--attributes", text])
    }

    /// With the machine's engine; its containers go with it.
    pub fn docker(mut self) -> Self {
        self.recipe.docker = true;
        self
    }

    /// Of another binary than the one under test.
    pub fn binary(mut self, binary: &Path) -> Self {
        binary.clone_into(&mut self.recipe.binary);
        self
    }

    /// Under another hostname than its name.
    pub fn hostname(mut self, hostname: &str) -> Self {
        hostname.clone_into(&mut self.recipe.hostname);
        self
    }

    /// That dials there instead of the cluster's server.
    pub fn server(mut self, server: &str) -> Self {
        server.clone_into(&mut self.recipe.server);
        self
    }

    /// Over this data directory.
    pub fn dir(mut self, dir: &Path) -> Self {
        dir.clone_into(&mut self.dir);
        self
    }

    /// Starts it and waits until the server has taken it and knows what it has.
    pub async fn start(self) {
        let (name, cluster) = (self.name.clone(), self.launch());
        cluster.of(&name).taken().await;
        let path = format!("/v2/agents/{}", cluster.of(&name).id());
        cluster
            .wait(&format!("{name} is known"), async |cluster| {
                let known = cluster.get(&path).await;
                (known.status == 200 && known.json()["state"] == "up").then_some(())
            })
            .await;
    }

    /// Starts it.
    pub fn launch(self) -> &'a mut Cluster {
        let Starting { cluster, name, dir, recipe } = self;
        std::fs::create_dir_all(&dir).expect("a directory");
        let ports = Slice::claim();
        let (child, banner) = recipe.begin(&dir, &ports);
        cluster.agents.insert(name, Agent { dir, banner, ports, child, recipe });
        cluster
    }
}

// === impl Recipe ===

impl Recipe {
    fn command(&self, dir: &Path, ports: &Slice) -> Command {
        let mut command = command();
        if self.binary != Path::new(env!("CARGO_BIN_EXE_stayer")) {
            command = Command::new(&self.binary);
        }
        command.args(["agent", "--server", &self.server, "--data-dir"]).arg(dir);
        command.args(["--hostname", &self.hostname]);
        let given = |flag: &str| self.args.iter().any(|arg| arg == flag);
        if !given("--ports") {
            let last = ports.first + Slice::SIZE - 1;
            command.arg("--ports").arg(format!("{}-{last}", ports.first));
        }
        if !given("--resources") {
            command.args(["--resources", "cpus:8;mem:4096;disk:4096"]);
        }
        if !self.docker {
            command.arg("--no-engine");
        }
        command.args(&self.args);
        command
    }

    fn begin(&self, dir: &Path, ports: &Slice) -> (Child, String) {
        begin(&mut self.command(dir, ports), &dir.join("stderr"))
    }
}

// === impl Agent ===

impl Agent {
    /// Its identity.
    pub fn id(&self) -> String {
        identity(&self.dir)["id"].as_str().expect("an agent has an id").to_owned()
    }

    /// What it wrote on its standard error, all its runs.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.dir.join("stderr")).unwrap_or_default()
    }

    /// Its containers, dead ones included.
    pub fn containers(&self) -> Vec<String> {
        Engine::machine().labelled(&format!("stayer.agent={}", self.id()))
    }

    /// SIGKILL; its tasks go on.
    pub fn kill(&mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    /// Sends a signal and waits until it has ended.
    pub async fn signal(&mut self, name: &str) -> ExitStatus {
        proc::signal(self.child.id(), name);
        self.ended().await
    }

    /// Waits until it has ended.
    pub async fn ended(&mut self) -> ExitStatus {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(began.elapsed() < *PATIENCE, "it does not end\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Whether it has ended.
    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)))
    }

    /// Starts it again over the same directory and waits until a server has taken it.
    pub async fn restart(&mut self) {
        let before = self.said().matches(TAKEN).count();
        (self.child, self.banner) = self.recipe.begin(&self.dir, &self.ports);
        self.said_more(before).await;
    }

    /// The same, with these arguments in place of those before.
    pub async fn restart_with(&mut self, args: &[&str]) {
        self.recipe.args = args.iter().map(|arg| (*arg).to_owned()).collect();
        self.restart().await;
    }

    /// Waits until a server has taken it.
    pub async fn taken(&self) {
        self.said_more(0).await;
    }

    /// Waits until it has written such a text.
    pub async fn says(&self, text: &str) {
        self.until(text, |said| said.contains(text)).await;
    }

    /// Waits until it has noticed that its server is gone.
    pub async fn misses_its_server(&self) {
        let words = ["closed the connection", "broke: ", "no server answers"];
        self.until(words[0], |said| words.iter().any(|word| said.contains(word))).await;
    }

    async fn said_more(&self, before: usize) {
        self.until(TAKEN, |said| said.matches(TAKEN).count() > before).await;
    }

    async fn until(&self, what: &str, condition: impl Fn(&str) -> bool) {
        let began = Instant::now();
        while !condition(&self.said()) {
            assert!(began.elapsed() < *PATIENCE, "never: {what}\n{}", self.said());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        if !self.has_ended() {
            proc::signal(self.child.id(), "KILL");
            let _reaped = self.child.wait();
        }
        let identity = std::fs::read(self.dir.join("agent/agent.json")).unwrap_or_default();
        let identity: Value = serde_json::from_slice(&identity).unwrap_or_default();
        let Some(id) = identity["id"].as_str() else { return };
        proc::kill_all_below(&self.dir);
        proc::remove_groups(id);
        if self.recipe.docker {
            Engine::machine().remove_labelled(&format!("stayer.agent={id}"));
        }
    }
}
