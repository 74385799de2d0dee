//! A running `stayer dev` and how to talk to it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, HeaderMap};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest wait for anything. Goals are a tenth of it or less.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A running server with its data directory. Dropping it ends its tasks and the server.
pub struct Stayer {
    /// Where its API answers.
    pub url: String,
    /// Its data directory.
    pub data: TempDir,
    /// What it printed when it began.
    pub banner: String,
    child: Child,
    args: Vec<String>,
    envs: Vec<(String, String)>,
    client: Client,
}

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
    pub fn expect(self, status: u16) -> Reply {
        assert_eq!(self.status, status, "{}", self.text);
        self
    }
}

// === impl Stayer ===

impl Stayer {
    /// A server with plain processes and whatever engine there is.
    pub async fn start() -> Stayer {
        Stayer::with(&[]).await
    }

    /// A server with more arguments.
    pub async fn with(args: &[&str]) -> Stayer {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        Stayer::in_dir(tempfile::tempdir().expect("a directory"), args, Vec::new()).await
    }

    /// A server over a data directory.
    pub async fn in_dir(data: TempDir, args: Vec<String>, envs: Vec<(String, String)>) -> Stayer {
        // Before anything is started that a panic would leave behind.
        stayer::cli::client::install_tls();
        let client = Client::builder().timeout(PATIENCE).build().expect("a client");
        let (child, banner, url) = spawn(data.path(), &args, &envs);
        let stayer = Stayer { url, data, banner, child, args, envs, client };
        stayer
            .until(
                "the server answers",
                |stayer| async move { stayer.get("/ping").await.status == 200 },
            )
            .await;
        stayer
    }

    /// SIGKILL to the server; its tasks go on.
    pub fn kill(&mut self) {
        self.child.kill().expect("it ran");
        self.child.wait().expect("it ended");
    }

    /// Starts the server again on the same data.
    pub async fn restart(&mut self) {
        let (child, banner, url) = spawn(self.data.path(), &self.args, &self.envs);
        (self.child, self.banner, self.url) = (child, banner, url);
        self.until("the server answers", |stayer| async move {
            stayer.get("/ping").await.status == 200
        })
        .await;
    }

    /// One request with a JSON body or none.
    pub async fn send(&self, method: Method, path: &str, body: Option<String>) -> Reply {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some(body) = body {
            request = request.header(CONTENT_TYPE, "application/json").body(body);
        }
        match request.send().await {
            Ok(response) => {
                let (status, headers) = (response.status().as_u16(), response.headers().clone());
                let text = response.text().await.unwrap_or_default();
                Reply { status, headers, text }
            }
            Err(error) => Reply { status: 0, headers: HeaderMap::new(), text: error.to_string() },
        }
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

    /// DELETE.
    pub async fn delete(&self, path: &str) -> Reply {
        self.send(Method::DELETE, path, None).await
    }

    /// An app as `GET /v2/apps/{id}` shows it.
    pub async fn app(&self, id: &str) -> Value {
        self.get(&format!("/v2/apps{id}")).await.json()["app"].clone()
    }

    /// An app's tasks in one state.
    pub async fn tasks(&self, id: &str, state: &str) -> Vec<Value> {
        let all = self.get(&format!("/v2/apps{id}/tasks")).await.json()["tasks"].clone();
        let all = all.as_array().cloned().unwrap_or_default();
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

    /// Waits for a condition.
    pub async fn until<'a, F, C>(&'a self, what: &str, condition: C)
    where
        C: Fn(&'a Stayer) -> F,
        F: Future<Output = bool>,
    {
        let began = Instant::now();
        while !condition(self).await {
            assert!(began.elapsed() < PATIENCE, "never: {what}\n{}", self.diagnose().await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The path of the data directory.
    pub fn dir(&self) -> &Path {
        self.data.path()
    }

    async fn diagnose(&self) -> String {
        let mut text = String::new();
        for path in
            ["/v2/apps?embed=apps.tasks&embed=apps.lastTaskFailure", "/v2/queue", "/v2/deployments"]
        {
            text += &format!("{path}: {}\n", self.get(path).await.text);
        }
        text
    }

    /// Removes every app and waits until nothing of them is left.
    async fn clear(&self) {
        let apps = self.get("/v2/apps").await;
        if apps.status != 200 {
            return;
        }
        for app in apps.json()["apps"].as_array().cloned().unwrap_or_default() {
            let id = app["id"].as_str().unwrap_or_default().to_owned();
            self.delete(&format!("/v2/apps{id}")).await;
        }
        let began = Instant::now();
        while self.get("/v2/deployments").await.text.trim() != "[]" && began.elapsed() < PATIENCE {
            tokio::time::sleep(Duration::from_millis(20)).await;
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
        // A test that failed leaves its tasks to the server's own way of ending them.
        let _ended = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(10) {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(Duration::from_millis(20)),
                Ok(Some(_)) | Err(_) => return,
            }
        }
        let _gone = self.child.kill();
    }
}

/// Starts the binary and reads what it says until it names its address.
fn spawn(data: &Path, args: &[String], envs: &[(String, String)]) -> (Child, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stayer"));
    command
        .args(["dev", "--listen", "127.0.0.1:0", "--stop-tasks", "--data-dir"])
        .arg(data)
        .args(args);
    command.envs(envs.iter().map(|(name, value)| (name, value)));
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the binary starts");
    let stdout = child.stdout.take().expect("piped");
    let (lines, received) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            // The banner is read; later lines have no reader.
            let _unread = lines.send(line);
        }
    });
    let mut banner = String::new();
    loop {
        let line =
            received.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("no address in: {banner}"));
        banner.push_str(&line);
        banner.push('\n');
        if let Some(rest) = line.split("http://").nth(1) {
            let address: String =
                rest.chars().take_while(|c| !c.is_whitespace() && *c != '/').collect();
            return (child, banner, format!("http://{address}"));
        }
    }
}
