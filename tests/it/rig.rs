//! A running `stayer dev`, or `stayer server`, and how to talk to it.
//!
//! Each server has a data directory and a slice of host ports of its own, so that tests run beside each other, in this and
//! in other processes. Whatever a test does, what it started is gone when its [`Stayer`] is dropped.

use std::fmt::{self, Write as _};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{LazyLock, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

use crate::proc::{self, Process};

/// The longest wait for anything. Goals are a tenth of it or less.
pub static PATIENCE: LazyLock<Duration> = LazyLock::new(|| slow(Duration::from_mins(1)));

/// Between two looks at a condition.
const LOOK: Duration = Duration::from_millis(20);

/// A running server with its data directory. Dropping it ends its tasks and the server.
pub struct Stayer {
    /// Where its API answers.
    pub url: String,
    /// Its data directory.
    pub data: TempDir,
    /// What it printed when it began.
    pub banner: String,
    /// Its host ports.
    pub ports: Slice,
    child: Child,
    verb: &'static str,
    args: Vec<String>,
    envs: Vec<(String, String)>,
    client: Client,
}

/// Host ports that no other server uses as long as this is held: they lie below those that the kernel gives out.
pub struct Slice {
    /// The first of [`Slice::SIZE`].
    pub first: u16,
    _claim: TcpListener,
}

/// An address where nobody listens, and nobody can as long as this is held.
pub struct Nowhere(TcpSocket);

/// What there is one of on a machine, for one test at a time, in this and in other processes.
pub struct Turn(File);

/// An answer of the API.
#[derive(Debug)]
pub struct Reply {
    /// The status code.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body as text.
    pub text: String,
}

/// How a command ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; -1 when a signal ended it.
    pub code: i32,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// What a started server is known by.
struct Started {
    child: Child,
    banner: String,
    url: String,
}

// === impl Slice ===

impl Slice {
    /// How many ports a server has.
    pub const SIZE: u16 = 50;

    const FROM: u16 = 20_000;
    const TO: u16 = 30_000;

    /// The next slice that nobody claims. A port at its end that nothing else binds is the claim.
    pub fn claim() -> Slice {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let slices = (Slice::TO - Slice::FROM) / (Slice::SIZE + 1);
        // Two test processes begin far from each other.
        let start = u16::try_from(std::process::id() % u32::from(slices)).expect("below the count");
        for _ in 0..slices {
            let turn = NEXT.fetch_add(1, Ordering::Relaxed);
            let first = Slice::FROM + (start + turn % slices) % slices * (Slice::SIZE + 1);
            if let Ok(claim) = TcpListener::bind(("127.0.0.1", first + Slice::SIZE)) {
                return Slice { first, _claim: claim };
            }
        }
        panic!("every slice of ports is claimed");
    }

    /// One of the ports.
    pub fn port(&self, no: u16) -> u16 {
        assert!(no < Slice::SIZE);
        self.first + no
    }

    /// As an agent is told of them.
    fn range(&self) -> String {
        format!("{}-{}", self.first, self.first + Slice::SIZE - 1)
    }
}

// === impl Nowhere ===

impl Nowhere {
    /// One on loopback.
    pub fn hold() -> Nowhere {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a port");
        Nowhere(socket)
    }
}

impl fmt::Display for Nowhere {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.local_addr().expect("it is bound"))
    }
}

// === impl Turn ===

impl Turn {
    /// Waits for it.
    pub fn at(what: &str) -> Turn {
        let path = std::env::temp_dir().join(format!("stayer-test-{what}"));
        // Who made it may be another account.
        let file = File::options().create(true).append(true).open(&path);
        let file = file.or_else(|_| File::open(&path)).expect("a file");
        file.lock().expect("a lock");
        Turn(file)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // It would end with the file all the same.
        let _unlocked = self.0.unlock();
    }
}

// === impl Reply ===

impl Reply {
    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header as text, empty when absent.
    pub fn header(&self, name: &str) -> String {
        self.headers
            .get(name)
            .map(|value| value.to_str().expect("ASCII").to_owned())
            .unwrap_or_default()
    }

    /// The same, if the status is this.
    #[track_caller]
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

// === impl Stayer ===

impl Stayer {
    /// A server with plain processes alone.
    pub async fn bare() -> Stayer {
        Stayer::bare_with(&[]).await
    }

    /// A server with plain processes alone, and more arguments.
    pub async fn bare_with(args: &[&str]) -> Stayer {
        Stayer::with(&[&["--no-engine"], args].concat()).await
    }

    /// A server with more arguments.
    pub async fn with(args: &[&str]) -> Stayer {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Stayer::in_dir(tempfile::tempdir().expect("a directory"), args, Vec::new()).await
    }

    /// A server over a data directory.
    pub async fn in_dir(data: TempDir, args: Vec<String>, envs: Vec<(String, String)>) -> Stayer {
        Stayer::of_verb("dev", data, args, envs).await
    }

    /// A server without an agent in its process; agents dial [`Stayer::agents`].
    pub async fn server(data: TempDir, args: &[&str]) -> Stayer {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Stayer::of_verb("server", data, args, Vec::new()).await
    }

    async fn of_verb(
        verb: &'static str,
        data: TempDir,
        args: Vec<String>,
        envs: Vec<(String, String)>,
    ) -> Stayer {
        // Before anything is started that a panic would leave behind.
        stayer::cli::client::install_tls();
        // A connection that a server has closed meanwhile is noticed too late by a test that waits for a program.
        let idle = Duration::from_secs(1);
        let client = Client::builder().timeout(*PATIENCE).pool_idle_timeout(idle);
        let client = client.build().expect("a client");
        let ports = Slice::claim();
        let Started { child, banner, url } = spawn(verb, data.path(), &ports, &args, &envs);
        let stayer = Stayer { url, data, banner, ports, child, verb, args, envs, client };
        stayer.until("the server answers", Stayer::answers).await;
        stayer
    }

    /// SIGKILL to the server; its tasks go on.
    pub fn kill(&mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    /// Sends a signal to the server and waits until it has ended.
    pub async fn signal(&mut self, name: &str) -> ExitStatus {
        proc::signal(self.child.id(), name);
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("it is ours") {
                return status;
            }
            assert!(began.elapsed() < *PATIENCE, "{name} does not end it\n{}", self.said());
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Starts the server again on the same data.
    pub async fn restart(&mut self) {
        let Started { child, banner, url } =
            spawn(self.verb, self.data.path(), &self.ports, &self.args, &self.envs);
        (self.child, self.banner, self.url) = (child, banner, url);
        self.until("the server answers", Stayer::answers).await;
    }

    /// Starts again on the same data, as `server` or as `dev`.
    pub async fn become_verb(&mut self, verb: &'static str) {
        self.verb = verb;
        // What only the agent takes.
        self.args.retain(|arg| arg != "--no-engine" || verb == "dev");
        if verb == "dev" && self.args.is_empty() {
            self.args.push("--no-engine".to_owned());
        }
        self.restart().await;
    }

    /// Where agents dial a server that has none in its process.
    pub fn agents(&self) -> String {
        agents(&self.ports)
    }

    async fn answers(&self) -> bool {
        self.get("/ping").await.status == 200
    }

    /// A request that the caller completes.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    /// One request with a JSON body or none.
    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Reply {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        reply(request).await
    }

    /// GET.
    pub async fn get(&self, path: &str) -> Reply {
        self.send(Method::GET, path, None).await
    }

    /// POST.
    pub async fn post(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::POST, path, Some(body.to_string())).await
    }

    /// PUT.
    pub async fn put(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PUT, path, Some(body.to_string())).await
    }

    /// PATCH.
    pub async fn patch(&self, path: &str, body: &Value) -> Reply {
        self.send(Method::PATCH, path, Some(body.to_string())).await
    }

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    /// An app as `GET /v2/apps/{id}` shows it.
    pub async fn app(&self, id: &str) -> Value {
        self.get(&format!("/v2/apps{id}")).await.json()["app"].clone()
    }

    /// An app's tasks.
    pub async fn all_tasks(&self, id: &str) -> Vec<Value> {
        let all = self.get(&format!("/v2/apps{id}/tasks")).await.json()["tasks"].clone();
        all.as_array().cloned().unwrap_or_default()
    }

    /// An app's tasks in one state.
    pub async fn tasks(&self, id: &str, state: &str) -> Vec<Value> {
        let all = self.all_tasks(id).await;
        all.into_iter().filter(|task| task["state"] == state).collect()
    }

    /// Posts an app that must be taken.
    pub async fn launch(&self, app: &Value) -> Value {
        self.post("/v2/apps", app).await.expect(201).json()
    }

    /// Waits until so many tasks of an app run and no deployment goes on.
    pub async fn running(&self, id: &str, count: usize) -> Vec<Value> {
        self.until(&format!("{id} has {count} running tasks"), |stayer| async move {
            let app = stayer.app(id).await;
            app["tasksRunning"] == json!(count) && app["deployments"] == json!([])
        })
        .await;
        self.tasks(id, "TASK_RUNNING").await
    }

    /// Waits until no deployment goes on.
    pub async fn at_rest(&self) {
        self.until("no deployment goes on", |stayer| async move {
            stayer.get("/v2/deployments").await.json() == json!([])
        })
        .await;
    }

    /// Waits for a condition.
    pub async fn until<'a, F, C>(&'a self, what: &str, condition: C)
    where
        C: Fn(&'a Stayer) -> F,
        F: Future<Output = bool>,
    {
        self.wait(what, async |stayer| condition(stayer).await.then_some(())).await;
    }

    /// Waits until there is something, and gives it.
    pub async fn wait<'a, T>(
        &'a self,
        what: &str,
        look: impl AsyncFn(&'a Stayer) -> Option<T>,
    ) -> T {
        let began = Instant::now();
        loop {
            if let Some(found) = look(self).await {
                return found;
            }
            assert!(began.elapsed() < *PATIENCE, "never: {what}\n{}", self.diagnose().await);
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Every process of some tasks, once a process whose command line begins with `word` is among those of each.
    pub async fn processes(&self, tasks: &[Value], word: &str) -> Vec<Process> {
        self.wait(&format!("each task runs {word}"), async |_| {
            let all: Vec<Vec<Process>> = tasks.iter().map(proc::of_task).collect();
            let begun = |of: &Vec<Process>| of.iter().any(|one| one.line().starts_with(word));
            all.iter().all(begun).then(|| all.concat())
        })
        .await
    }

    /// The process of a task whose command line begins with `word`.
    pub async fn process(&self, task: &Value, word: &str) -> Process {
        let all = self.processes(std::slice::from_ref(task), word).await;
        *all.iter().find(|one| one.line().starts_with(word)).expect("it was waited for")
    }

    /// Waits until each of some tasks has written such a text: a task runs from its start on, and its shell comes to set
    /// its traps a moment later.
    pub async fn says(&self, tasks: &[Value], text: &str) {
        for task in tasks {
            let path = format!("/v2/tasks/{}/logs", task["id"].as_str().expect("an id"));
            self.until(&format!("{path} has {text}"), |stayer| {
                let path = path.clone();
                async move { stayer.get(&path).await.text.contains(text) }
            })
            .await;
        }
    }

    /// The path of the data directory.
    pub fn dir(&self) -> &Path {
        self.data.path()
    }

    /// What the server wrote on its standard error, all its runs.
    pub fn said(&self) -> String {
        std::fs::read_to_string(stderr_of(self.dir())).unwrap_or_default()
    }

    /// A verb of the command line, against this server.
    pub fn cli(&self, args: &[&str]) -> Ended {
        run(command().args(args).env("STAYER_SERVER", &self.url))
    }

    async fn diagnose(&self) -> String {
        let mut text = String::new();
        for path in [
            "/v2/apps?embed=apps.tasks&embed=apps.lastTaskFailure",
            "/v2/queue?embed=lastUnusedOffers",
            "/v2/deployments",
        ] {
            writeln!(text, "{path}: {}", self.get(path).await.text).expect("it is a String");
        }
        text
    }

    /// Removes every app and waits until nothing of them is left.
    pub async fn clear(&self) {
        let apps = self.get("/v2/apps").await;
        if apps.status != 200 {
            return;
        }
        for app in apps.json()["apps"].as_array().cloned().unwrap_or_default() {
            let id = app["id"].as_str().unwrap_or_default().to_owned();
            self.delete(&format!("/v2/apps{id}")).await;
        }
        let began = Instant::now();
        while self.get("/v2/deployments").await.text.trim() != "[]" && began.elapsed() < *PATIENCE {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Ends the test's tasks and the server.
    pub async fn finish(mut self) {
        self.clear().await;
        self.kill();
    }
}

impl Drop for Stayer {
    fn drop(&mut self) {
        if std::thread::panicking() {
            show(&format!("the server at {} said:\n{}", self.url, self.said()));
        }
        if matches!(self.child.try_wait(), Ok(None)) {
            proc::signal(self.child.id(), "KILL");
            let _reaped = self.child.wait();
        }
        let agent = std::fs::read(self.data.path().join("agent/agent.json")).unwrap_or_default();
        // No matter what became of the server: what it started has the data directory in its environment.
        proc::kill_all_below(self.data.path());
        let agent: Value = serde_json::from_slice(&agent).unwrap_or_default();
        if let Some(id) = agent["id"].as_str() {
            proc::remove_groups(id);
        }
    }
}

/// A limit of time on this machine: `STAYER_TEST_SLOWNESS` says how much slower than others it is, one under emulation.
pub fn slow(limit: Duration) -> Duration {
    let factor = std::env::var("STAYER_TEST_SLOWNESS").map(|text| text.parse());
    limit * factor.map_or(1, |factor| factor.expect("STAYER_TEST_SLOWNESS is a number"))
}

/// A port of the tests' own: none of them has it, in this process or another, and the kernel gives it to nobody.
pub fn free_port() -> u16 {
    static OWN: Mutex<(Vec<Slice>, u16)> = Mutex::new((Vec::new(), Slice::SIZE));
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let (slices, given) = &mut *own;
    loop {
        if *given == Slice::SIZE {
            slices.push(Slice::claim());
            *given = 0;
        }
        let port = slices.last().expect("claimed above").port(*given);
        *given += 1;
        // A stranger may have it.
        if TcpListener::bind(("0.0.0.0", port)).is_ok() {
            return port;
        }
    }
}

/// Tells whoever reads of a test that failed.
#[expect(clippy::disallowed_macros, reason = "a failing test's own output is captured with it")]
fn show(text: &str) {
    eprintln!("{text}");
}

/// An app that only waits to be ended, with other or more fields. It needs no port.
pub fn sleeper(id: &str, fields: Value) -> Value {
    let mut app = json!({
        "id": id, "cmd": "exec sleep 1000", "cpus": 0.01, "mem": 16, "portDefinitions": [],
        "backoffSeconds": 0,
    });
    let Value::Object(fields) = fields else { panic!("fields are an object: {fields}") };
    app.as_object_mut().expect("written above").extend(fields);
    app
}

/// The ids of tasks, in order.
pub fn ids(tasks: &[Value]) -> Vec<String> {
    let mut ids: Vec<String> =
        tasks.iter().map(|task| task["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort_unstable();
    ids
}

/// Sends a request; status 0 when there is no answer.
pub async fn reply(request: RequestBuilder) -> Reply {
    match request.send().await {
        Ok(response) => {
            let (status, headers) = (response.status().as_u16(), response.headers().clone());
            let text = response.text().await.unwrap_or_default();
            Reply { status, headers, text }
        }
        Err(error) => Reply { status: 0, headers: HeaderMap::new(), text: error.to_string() },
    }
}

/// The binary, with nothing of the tester's own settings.
pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stayer"));
    let own = std::env::vars_os().map(|(name, _)| name);
    for name in own.filter(|name| name.to_string_lossy().starts_with("STAYER_")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null());
    command
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Ended {
    let output = command.output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    Ended {
        code: output.status.code().unwrap_or(-1),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

fn stderr_of(data: &Path) -> PathBuf {
    data.join("stderr")
}

fn agents(ports: &Slice) -> String {
    format!("127.0.0.1:{}", ports.port(Slice::SIZE - 1))
}

/// Starts a server and reads where it answers.
fn spawn(
    verb: &str,
    data: &Path,
    ports: &Slice,
    args: &[String],
    envs: &[(String, String)],
) -> Started {
    let mut command = command();
    command.args([verb, "--data-dir"]).arg(data);
    let given = |flag: &str| args.iter().any(|arg| arg.starts_with(flag));
    if !given("--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    let own_ports = args.iter().any(|arg| arg.contains("ports:["));
    match verb {
        "dev" if !own_ports => {
            command.arg("--ports").arg(ports.range());
        }
        "server" if !given("--agents-listen") => {
            command.arg("--agents-listen").arg(agents(ports));
        }
        _ => {}
    }
    command.args(args).envs(envs.iter().map(|(name, value)| (name, value)));
    let (child, banner) = begin(&mut command, &stderr_of(data));
    let after = banner.split("http://").nth(1).expect("an address");
    let address: String = after.chars().take_while(|c| !c.is_whitespace() && *c != '/').collect();
    Started { child, banner, url: format!("http://{address}") }
}

/// Starts a process of ours and reads its banner; what it writes on standard error is added to a file.
pub fn begin(command: &mut Command, path: &Path) -> (Child, String) {
    let stderr = File::options().create(true).append(true).open(path).expect("a file");
    let mut child = command.stdout(Stdio::piped()).stderr(stderr).spawn().expect("it starts");
    let stdout = child.stdout.take().expect("piped");
    let (lines, received) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The banner is read; later lines have no reader.
            let _unread = lines.send(line);
        }
    });
    let mut banner = String::new();
    // Its last line follows an empty one.
    let (mut is_after_gap, mut is_last) = (false, false);
    while !is_last {
        let line = received.recv_timeout(*PATIENCE).unwrap_or_else(|_| {
            let _ended = child.kill();
            let said = std::fs::read_to_string(path).unwrap_or_default();
            panic!("no banner, but: {banner}\n{said}")
        });
        writeln!(banner, "{line}").expect("it is a String");
        is_last = is_after_gap;
        is_after_gap = line.is_empty();
    }
    (child, banner)
}
