//! An engine that goes away and comes back under a server that runs on.
//!
//! It is one of the test's own; the machine's is never stopped.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::docker_rig::{Docked, Engine, Watch, comes_true, patient, sh};
use crate::engine_proxy::Profile;
use crate::rig::slow;

/// A dockerd with a root of its own and no bridge.
pub struct OwnEngine {
    dir: tempfile::TempDir,
    process: Child,
    /// Where it looks for programs first.
    bin: Option<PathBuf>,
}

// === impl OwnEngine ===

impl OwnEngine {
    fn start(live_restore: bool) -> OwnEngine {
        OwnEngine::with(&json!({ "live-restore": live_restore }), None)
    }

    /// With this configuration, and programs that it finds before the machine's.
    pub fn with(config: &Value, bin: Option<&Path>) -> OwnEngine {
        assert!(nix::unistd::geteuid().is_root(), "a dockerd of one's own needs root");
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("daemon.json"), config.to_string()).expect("written");
        let process = OwnEngine::spawn(dir.path(), bin);
        let engine = OwnEngine { dir, process, bin: bin.map(Path::to_owned) };
        engine.wait();
        engine.load("busybox:local");
        engine
    }

    /// Brings an image of the machine's engine to it.
    pub fn load(&self, image: &str) {
        let host = self.client().host().expect("its own").to_owned();
        sh(&format!("docker save {image} | docker --host {host} load"));
    }

    fn spawn(dir: &Path, bin: Option<&Path>) -> Child {
        let programs = std::env::var("PATH").expect("a path");
        let programs = bin.map_or(programs.clone(), |bin| format!("{}:{programs}", bin.display()));
        let log = std::fs::File::create(dir.join("log")).expect("a log");
        let path = |name: &str| dir.join(name).display().to_string();
        // In a network of its own: an engine without a bridge removes the one that it finds, the machine's engine's.
        Command::new("unshare")
            .args(["--net", "dockerd"])
            .args(["--host", &format!("unix://{}", path("d.sock"))])
            .args(["--config-file", &path("daemon.json")])
            .args(["--data-root", &path("data"), "--exec-root", &path("run")])
            .args(["--pidfile", &path("pid"), "--bridge", "none"])
            .args(["--iptables=false", "--ip6tables=false"])
            .env("PATH", programs)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unshare is installed")
    }

    /// To ask it.
    pub fn client(&self) -> Engine {
        Engine::at(&self.dir.path().join("d.sock"))
    }

    fn answers(&self) -> bool {
        self.client().attempt(&["version"]).status.success()
    }

    fn wait(&self) {
        let log = || std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        assert!(comes_true(|| self.answers()), "dockerd did not start: {}", log());
    }

    fn signal(&self, name: &str) {
        let pid = self.process.id().to_string();
        let _gone = Command::new("kill").args([name, &pid]).status();
    }

    /// Ends it and waits until it has ended.
    fn stop(&mut self) {
        self.signal("-TERM");
        assert!(comes_true(|| self.has_ended()), "dockerd did not end");
    }

    fn resume(&mut self) {
        self.process = OwnEngine::spawn(self.dir.path(), self.bin.as_deref());
        self.wait();
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }
}

impl Drop for OwnEngine {
    /// Its containers, itself, and the mounts that it leaves behind.
    fn drop(&mut self) {
        if self.has_ended() {
            self.process = OwnEngine::spawn(self.dir.path(), self.bin.as_deref());
        }
        let _answers = comes_true(|| self.answers());
        let host = self.client().host().unwrap_or_default().to_owned();
        let sweep = format!("docker --host {host} ps -aq | xargs -r docker --host {host} rm -fv");
        let _best_effort = Command::new("sh").args(["-c", &sweep]).output();
        self.signal("-TERM");
        let _ended = comes_true(|| self.has_ended());
        let _gone = self.process.kill();
        let dir = self.dir.path().display();
        let unmount = format!("umount -l {dir}/run/netns/default {dir}/data");
        let _best_effort = Command::new("sh").args(["-c", &unmount]).output();
    }
}

/// What must not change: which tasks, since when, in which containers, and since when these run.
async fn portrait(stayer: &Docked, id: &str) -> Vec<[String; 4]> {
    let mut all: Vec<[String; 4]> = stayer
        .tasks(id, "TASK_RUNNING")
        .await
        .iter()
        .map(|task| {
            let container = stayer.engine.of_task(task);
            let started = stayer.engine.started(&container);
            [task["id"].to_string(), task["startedAt"].to_string(), container, started]
        })
        .collect();
    all.sort();
    all
}

#[tokio::test]
async fn what_outlives_its_engine_is_neither_doubled_nor_replaced() {
    // reliability §4.3: live-restore on.
    let mut engine = OwnEngine::start(true);
    let stayer = Docked::on(engine.client(), &[]).await;
    stayer.launch(&patient("/stays", 2)).await;
    stayer.running("/stays", 2).await;
    let before = portrait(&stayer, "/stays").await;
    let shown = stayer.tasks("/stays", "TASK_RUNNING").await;

    engine.stop();
    stayer.launch(&patient("/later", 1)).await;
    // That nothing is concluded can only be shown over a while: several looks at an engine that does not answer.
    let began = Watch::start();
    while began.elapsed() < Duration::from_secs(2) {
        assert_eq!(stayer.tasks("/stays", "TASK_RUNNING").await, shown, "unknown is not dead");
        let later = stayer.get("/v2/apps/later?embed=app.lastTaskFailure").await.json();
        assert_eq!(later["app"]["tasksRunning"], 0, "{later}");
        assert_eq!(later["app"]["lastTaskFailure"], Value::Null, "away is no failure: {later}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    engine.resume();

    stayer.running("/later", 1).await;
    assert_eq!(portrait(&stayer, "/stays").await, before);
    assert_eq!(stayer.containers().len(), 3, "nothing was doubled");
    // They are still ours to end.
    stayer.remove("/stays").await;
    assert_eq!(stayer.alive().len(), 1);
}

#[tokio::test]
async fn what_ends_with_its_engine_is_replaced_once() {
    // reliability §4.3: live-restore off.
    let mut engine = OwnEngine::start(false);
    let stayer = Docked::on(engine.client(), &[]).await;
    stayer.launch(&patient("/returns", 2)).await;
    stayer.running("/returns", 2).await;
    let before = portrait(&stayer, "/returns").await;
    engine.stop();
    engine.resume();
    let is_old = |id: &Value| {
        let id = id.to_string();
        before.iter().any(|old| old[0] == id)
    };
    stayer
        .until("two others run", |stayer| {
            let is_old = &is_old;
            async move {
                let tasks = stayer.tasks("/returns", "TASK_RUNNING").await;
                tasks.len() == 2 && !tasks.iter().any(|task| is_old(&task["id"]))
            }
        })
        .await;
    let tasks = stayer.running("/returns", 2).await;
    let mut alive = stayer.alive();
    alive.sort();
    let mut ours = stayer.engine.of_tasks(&tasks);
    ours.sort();
    assert_eq!(alive, ours, "nothing was doubled");
}

#[tokio::test]
async fn a_server_that_starts_while_the_engine_is_away_concludes_nothing() {
    let mut engine = OwnEngine::start(true);
    let mut stayer = Docked::on(engine.client(), &[]).await;
    stayer.launch(&patient("/stays", 1)).await;
    stayer.running("/stays", 1).await;
    let before = portrait(&stayer, "/stays").await;
    stayer.kill();
    engine.stop();
    stayer.restart().await;
    let began = Watch::start();
    while began.elapsed() < Duration::from_secs(1) {
        assert_eq!(stayer.tasks("/stays", "TASK_RUNNING").await.len(), 1, "unknown is not dead");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What needs no engine does not wait for it.
    stayer.launch(&json!({"id": "/process", "cmd": "sleep 600", "cpus": 0.1, "mem": 16})).await;
    stayer.running("/process", 1).await;
    stayer.remove("/process").await;
    engine.resume();
    stayer.launch(&patient("/later", 1)).await;
    stayer.running("/later", 1).await;
    assert_eq!(portrait(&stayer, "/stays").await, before);
}

#[tokio::test]
async fn an_engine_exchanged_for_a_newer_one_is_recognised_and_nothing_was_replaced_meanwhile() {
    let mut engine = OwnEngine::start(true);
    let old = Profile::named("docker25");
    let stayer = Docked::behind(old, &engine.client(), &[]).await;
    stayer.launch(&patient("/stays", 3)).await;
    stayer.running("/stays", 3).await;
    let before = portrait(&stayer, "/stays").await;
    let shown = stayer.tasks("/stays", "TASK_RUNNING").await;
    assert_eq!(version(&stayer).await, old.version);

    engine.stop();
    let began = Watch::start();
    while began.elapsed() < Duration::from_mins(1) {
        assert_eq!(stayer.tasks("/stays", "TASK_RUNNING").await, shown, "unknown is not dead");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    let new = Profile::named("docker29.0");
    *stayer.proxy.as_ref().expect("it has one").profile.lock().expect("not poisoned") = new;
    engine.resume();

    let back = Watch::start();
    stayer.launch(&patient("/later", 1)).await;
    stayer.running("/later", 1).await;
    stayer
        .until("the newer one is recognised", |stayer| async move {
            version(stayer).await == new.version
        })
        .await;
    let took = back.elapsed();
    assert!(took < slow(Duration::from_secs(30)), "all is back after {took:?}");
    assert_eq!(portrait(&stayer, "/stays").await, before);
    assert_eq!(stayer.containers().len(), 4, "nothing was doubled");
    assert_eq!(stayer.failure_of("/stays").await, None);
}

/// The version of the engine, as the pool of agents shows it.
async fn version(stayer: &crate::rig::Stayer) -> String {
    let pool = stayer.get("/v2/agents").await.json();
    pool["agents"][0]["engine"]["version"].as_str().unwrap_or_default().to_owned()
}
