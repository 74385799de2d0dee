//! What tests with containers need beside a server: an engine that can be asked, and hands that clean up after all of it.
//!
//! Engines are asked through `docker` itself, not through our own code.

use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::engine_proxy::{Profile, Proxy};
use crate::rig::{PATIENCE, Stayer};

/// An engine, asked through its own client.
#[derive(Clone)]
pub struct Engine {
    host: Option<String>,
}

/// A server whose containers are gone after it.
pub struct Docked {
    /// Where its containers are.
    pub engine: Engine,
    /// What stands before that engine, if the server sees it in another shape.
    pub proxy: Option<Proxy>,
    /// What marks them as its own.
    pub agent: String,
    // Ends before its containers are looked for.
    stayer: Option<Stayer>,
}

/// A container of the test's own making, removed at the end.
pub struct Stranger {
    /// Its id.
    pub id: String,
    engine: Engine,
}

/// A network of the test's own, removed at the end.
pub struct Wires {
    /// Its name.
    pub name: String,
    engine: Engine,
}

/// How long something takes.
pub struct Watch(Instant);

/// A command that has ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code.
    pub code: i32,
    /// Both outputs.
    pub text: String,
}

// === impl Engine ===

impl Engine {
    /// The machine's.
    pub fn machine() -> Engine {
        Engine { host: None }
    }

    /// The one behind this socket.
    pub fn at(socket: &Path) -> Engine {
        Engine { host: Some(format!("unix://{}", socket.display())) }
    }

    /// Where it listens, if it is not the machine's.
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The socket where it listens.
    pub fn socket(&self) -> PathBuf {
        let said = self.host.clone().or_else(|| std::env::var("DOCKER_HOST").ok());
        let host = said.unwrap_or_else(|| "unix:///var/run/docker.sock".to_owned());
        PathBuf::from(host.strip_prefix("unix://").expect("an engine of this machine"))
    }

    /// Whether it is Podman's service.
    pub fn is_podman(&self) -> bool {
        self.docker(&["version", "--format", "{{json .Server.Components}}"]).contains("Podman")
    }

    /// The second number of the newest API that it speaks: 41 of 1.41.
    pub fn api(&self) -> u16 {
        let version = self.docker(&["version", "--format", "{{.Server.APIVersion}}"]);
        let minor = version.strip_prefix("1.").and_then(|minor| minor.parse().ok());
        minor.unwrap_or_else(|| panic!("no version: {version}"))
    }

    /// `docker …` as it ends.
    pub fn attempt(&self, args: &[&str]) -> Output {
        let mut command = Command::new("docker");
        if let Some(host) = &self.host {
            command.args(["--host", host]);
        }
        // Without a plug-in there is the builder of every engine.
        command.args(args).env("DOCKER_BUILDKIT", "0").output().expect("docker is installed")
    }

    /// What `docker …` prints; it must succeed.
    pub fn docker(&self, args: &[&str]) -> String {
        let output = self.attempt(args);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {}: {errors}", args.join(" "));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// `docker inspect`.
    pub fn inspect(&self, container: &str) -> Value {
        let text = self.docker(&["inspect", "--type", "container", container]);
        let all: Value = serde_json::from_str(&text).expect("it prints JSON");
        all[0].clone()
    }

    /// Ids of all containers with this label, dead ones included.
    pub fn labelled(&self, label: &str) -> Vec<String> {
        let filter = format!("label={label}");
        let ids = self.docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]);
        ids.lines().map(str::to_owned).collect()
    }

    /// The container of a task.
    pub fn of_task(&self, task: &Value) -> String {
        let id = task["id"].as_str().expect("a task id");
        let found = self.labelled(&format!("MESOS_TASK_ID={id}"));
        assert_eq!(found.len(), 1, "containers of {id}: {found:?}");
        found.into_iter().next().expect("counted above")
    }

    /// The containers of tasks, in their order.
    pub fn of_tasks(&self, tasks: &[Value]) -> Vec<String> {
        tasks.iter().map(|task| self.of_task(task)).collect()
    }

    /// When a container was started.
    pub fn started(&self, container: &str) -> String {
        self.inspect(container)["State"]["StartedAt"].as_str().unwrap_or_default().to_owned()
    }

    /// Starts a container that is not ours.
    pub fn stranger(&self, args: &[&str]) -> Stranger {
        let run = ["run", "--detach", "--network", "host"];
        let id = self.docker(&[&run[..], args, &["busybox:local", "sleep", "600"]].concat());
        Stranger { id, engine: self.clone() }
    }

    /// Makes a bridge network.
    pub fn wires(&self) -> Wires {
        let name = format!("stayer-test-{}", std::process::id());
        self.docker(&["network", "create", &name]);
        Wires { name, engine: self.clone() }
    }

    /// Removes every container with this label, if the engine is there.
    pub fn remove_labelled(&self, label: &str) {
        if self.attempt(&["version"]).status.success() {
            self.remove(&self.labelled(label));
        }
    }

    fn remove(&self, containers: &[String]) {
        if containers.is_empty() {
            return;
        }
        let ids: Vec<&str> = containers.iter().map(String::as_str).collect();
        let _best_effort = self.attempt(&[&["rm", "--force", "--volumes"], &ids[..]].concat());
    }
}

// === impl Docked ===

impl Docked {
    /// A server on the engine under test, in the shape that `STAYER_TEST_PROFILE` names, if it names one.
    pub async fn with(args: &[&str]) -> Docked {
        if let Ok(name) = std::env::var("STAYER_TEST_PROFILE") {
            return Docked::behind(Profile::named(&name), &Engine::machine(), args).await;
        }
        let stayer = Stayer::with(&[&["--resources", ROOM], args].concat()).await;
        Docked::new(Engine::machine(), stayer)
    }

    /// A server that sees an engine in another shape.
    pub async fn behind(profile: Profile, engine: &Engine, args: &[&str]) -> Docked {
        let proxy = Proxy::new(profile, &engine.socket());
        let own = ["--resources", ROOM, "--engine", &proxy.host()];
        let stayer = Stayer::with(&[&own[..], args].concat()).await;
        let mut docked = Docked::new(engine.clone(), stayer);
        docked.proxy = Some(proxy);
        docked
    }

    /// A server on an engine of the test's own.
    pub async fn on(engine: Engine, args: &[&str]) -> Docked {
        let host = engine.host().expect("one of the test's own").to_owned();
        let room = ["--resources", ROOM, "--engine", &host];
        let stayer = Stayer::with(&[&room[..], args].concat()).await;
        Docked::new(engine, stayer)
    }

    /// A server that runs.
    pub fn new(engine: Engine, stayer: Stayer) -> Docked {
        let agent = identity(stayer.dir())["id"].as_str().expect("an agent has an id").to_owned();
        Docked { engine, proxy: None, agent, stayer: Some(stayer) }
    }

    /// All containers that it has made and not removed.
    pub fn containers(&self) -> Vec<String> {
        self.engine.labelled(&format!("stayer.agent={}", self.agent))
    }

    /// Those of them that run.
    pub fn alive(&self) -> Vec<String> {
        // In one question: dead ones go while they are looked at.
        let label = format!("label=stayer.agent={}", self.agent);
        let ids = self.engine.docker(&["ps", "--quiet", "--no-trunc", "--filter", &label]);
        ids.lines().map(str::to_owned).collect()
    }

    /// Waits for the message of an app's last failure.
    pub async fn failure(&self, id: &str) -> String {
        self.until(&format!("{id} has failed"), |stayer| async move {
            stayer.failure_of(id).await.is_some()
        })
        .await;
        self.failure_of(id).await.expect("it was there")
    }

    /// Waits until an app waits for this reason, and answers its text.
    pub async fn waits_for(&self, id: &str, kind: &str) -> String {
        self.until(&format!("{id} waits for {kind}"), |stayer| async move {
            stayer.reason(id, kind).await.is_some()
        })
        .await;
        self.reason(id, kind).await.expect("it was there")
    }

    /// Removes an app and waits until it is gone.
    pub async fn remove(&self, id: &str) {
        self.delete(&format!("/v2/apps{id}")).await.expect(200);
        self.until(&format!("nothing of {id} is left"), |stayer| async move {
            stayer.get("/v2/deployments").await.json() == json!([])
        })
        .await;
    }
}

impl Deref for Docked {
    type Target = Stayer;

    fn deref(&self) -> &Stayer {
        self.stayer.as_ref().expect("there until it is dropped")
    }
}

impl DerefMut for Docked {
    fn deref_mut(&mut self) -> &mut Stayer {
        self.stayer.as_mut().expect("there until it is dropped")
    }
}

impl Drop for Docked {
    fn drop(&mut self) {
        drop(self.stayer.take());
        self.engine.remove_labelled(&format!("stayer.agent={}", self.agent));
    }
}

// === impl Stayer ===

impl Stayer {
    /// The message of an app's last failure, if it has failed.
    pub async fn failure_of(&self, id: &str) -> Option<String> {
        let path = format!("/v2/apps{id}?embed=app.lastTaskFailure");
        let shown = self.get(&path).await.json();
        shown["app"]["lastTaskFailure"]["message"].as_str().map(str::to_owned)
    }

    /// The text of a reason for which an app waits, if it waits for such a one.
    pub async fn reason(&self, id: &str, kind: &str) -> Option<String> {
        let told = self.get(&format!("/v2/apps{id}/explain")).await.json();
        let agents = told["agents"].as_array().cloned().unwrap_or_default();
        let mut reasons = agents
            .iter()
            .flat_map(|agent| agent["reasons"].as_array().cloned().unwrap_or_default());
        let found = reasons.find(|reason| told["waiting"] != 0 && reason["kind"] == kind)?;
        found["text"].as_str().map(str::to_owned)
    }
}

// === impl Stranger ===

impl Stranger {
    /// Whether it still runs.
    pub fn runs(&self) -> bool {
        self.engine.inspect(&self.id)["State"]["Running"] == true
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.engine.remove(std::slice::from_ref(&self.id));
    }
}

// === impl Watch ===

impl Watch {
    /// Begins now.
    #[expect(clippy::disallowed_methods, reason = "a test measures what its user would")]
    pub fn start() -> Watch {
        Watch(Instant::now())
    }

    /// Since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

// === impl Wires ===

impl Drop for Wires {
    fn drop(&mut self) {
        let _best_effort = self.engine.attempt(&["network", "rm", &self.name]);
    }
}

/// An app in containers that run until they are told to end, and are replaced without delay.
pub fn patient(id: &str, instances: u32) -> Value {
    json!({
        "id": id, "instances": instances, "cpus": 0.1, "mem": 32, "backoffSeconds": 0,
        "cmd": "trap 'exit 0' TERM; while true; do sleep 0.05; done",
        "container": {"type": "DOCKER", "docker": {"image": "busybox:local"}},
    })
}

/// What an agent's directory says of it.
pub fn identity(data: &Path) -> Value {
    let text = std::fs::read(data.join("agent/agent.json")).expect("an agent has run here");
    serde_json::from_slice(&text).expect("JSON")
}

/// Runs the binary to its end; for starts that are refused.
pub fn stayer(args: &[&str]) -> Ended {
    let mut command = Command::new("timeout");
    let limit = PATIENCE.as_secs().to_string();
    command.args(["--kill-after=5", &limit, env!("CARGO_BIN_EXE_stayer")]).args(args);
    command.env("NO_COLOR", "1");
    ended(&command.output().expect("the binary starts"))
}

/// A command's end.
pub fn ended(output: &Output) -> Ended {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    Ended {
        code: output.status.code().unwrap_or(-1),
        text: String::from_utf8_lossy(&text).into_owned(),
    }
}

/// Looks again and again, outside of any server, until it is so; false when that takes too long.
pub fn comes_true(mut condition: impl FnMut() -> bool) -> bool {
    let began = Watch::start();
    while !condition() {
        if began.elapsed() > *PATIENCE {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

/// Runs a program that must succeed.
pub fn sh(script: &str) -> String {
    let ended = ended(&Command::new("sh").args(["-c", script]).output().expect("sh"));
    assert_eq!(ended.code, 0, "{script}: {}", ended.text);
    ended.text
}

/// Room for whatever the tests run, however small this machine is. Ports are the rig's to give.
pub const ROOM: &str = "cpus:16;mem:8192;gpus:2";

/// Says a line to a port of this host until one comes back.
pub async fn ask(port: u16, line: &str) -> String {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
    let attempt = async || -> std::io::Result<String> {
        let mut stream = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
        stream.write_all(line.as_bytes()).await?;
        let mut answer = String::new();
        BufReader::new(&mut stream).read_line(&mut answer).await?;
        Ok(answer.trim().to_owned())
    };
    let began = Watch::start();
    loop {
        if let Ok(Ok(answer)) = tokio::time::timeout(Duration::from_secs(5), attempt()).await
            && !answer.is_empty()
        {
            return answer;
        }
        assert!(began.elapsed() < *PATIENCE, "port {port} never answered");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Whether everything of `expected` stands in `found`.
pub fn covers(found: &Value, expected: &Value) -> bool {
    match (found, expected) {
        (Value::Object(found), Value::Object(expected)) => {
            expected.iter().all(|(key, value)| found.get(key).is_some_and(|it| covers(it, value)))
        }
        (Value::Array(found), Value::Array(expected)) => {
            found.len() == expected.len()
                && found.iter().zip(expected).all(|(found, expected)| covers(found, expected))
        }
        (Value::Number(found), Value::Number(expected)) => found.as_f64() == expected.as_f64(),
        (found, expected) => found == expected,
    }
}
