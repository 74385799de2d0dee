//! An engine of our own that goes away and comes back, while the machine's keeps running.

use std::path::PathBuf;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::agent::docker::DockerRuntime;
use crate::agent::docker::auth::Keyring;
use crate::agent::docker::call::Deadlines;
use crate::agent::docker::connect::{self, Connection, Search};
use crate::agent::docker::labels::Owner;
use crate::agent::docker::rig::{launch, only, owner, progress, spec};
use crate::agent::gpu::Shelf;
use crate::agent::machine::PATIENCE;
use crate::agent::runtime::{FoundState, Launch, Runtime, RuntimeError};
use crate::model::end::End;

/// A dockerd with a root of its own and no bridge.
struct OwnEngine {
    dir: tempfile::TempDir,
    process: Child,
}

impl OwnEngine {
    async fn start(live_restore: bool) -> OwnEngine {
        let dir = tempfile::tempdir().expect("a directory");
        let config = format!(r#"{{"live-restore": {live_restore}}}"#);
        std::fs::write(dir.path().join("daemon.json"), config).expect("written");
        let process = OwnEngine::spawn(dir.path());
        let engine = OwnEngine { dir, process };
        engine.connection().await;
        let load = format!("docker save busybox:local | docker -H {} load", engine.host());
        let loaded = Command::new("sh").args(["-c", &load]).output().await.expect("sh runs");
        assert!(loaded.status.success(), "{loaded:?}");
        engine
    }

    fn spawn(dir: &std::path::Path) -> Child {
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
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("unshare is installed")
    }

    fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("d.sock").display())
    }

    /// Connects, once it answers.
    async fn connection(&self) -> Connection {
        let search = Search { docker_host: Some(self.host()), ..Search::default() };
        let attempt = async {
            loop {
                if let Ok(connection) = connect::find(&search, Deadlines::default()).await {
                    return connection;
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let connected = tokio::time::timeout(*PATIENCE, attempt).await;
        connected.unwrap_or_else(|_| {
            panic!("{}", std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default())
        })
    }

    async fn stop(&mut self) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok()).expect("it runs");
        kill(Pid::from_raw(id), Signal::SIGTERM).expect("asked to end");
        let ended = tokio::time::timeout(*PATIENCE, self.process.wait()).await;
        ended.expect("in time").expect("it ends");
    }

    async fn resume(&mut self) {
        self.process = OwnEngine::spawn(self.dir.path());
        self.connection().await;
    }

    async fn runtime(&self, owner: Owner) -> DockerRuntime {
        DockerRuntime::new(
            self.connection().await,
            owner,
            Keyring::default(),
            Shelf::default(),
            |_| Vec::new(),
        )
    }
}

impl Drop for OwnEngine {
    /// An engine leaves mounts behind when it ends; a test that failed leaves also its containers and the engine.
    fn drop(&mut self) {
        let run = |script: String| std::process::Command::new("sh").args(["-c", &script]).output();
        if let Some(id) = self.process.id() {
            let host = self.host();
            let _ = run(format!(
                "docker -H {host} ps -aq | xargs -r docker -H {host} rm -fv; kill {id}"
            ));
        }
        let dir = self.dir.path().display();
        let _ = run(format!("umount -l {dir}/run/netns/default {dir}/data"));
    }
}

/// Waits until this process holds a handle of that one.
async fn watched(pid: i32) {
    let line = format!("Pid:\t{pid}\n");
    let is_held = || {
        let all = std::fs::read_dir("/proc/self/fdinfo").expect("our descriptors");
        all.filter_map(|entry| std::fs::read_to_string(entry.ok()?.path()).ok())
            .any(|info| info.contains(&line))
    };
    let held = async {
        while !is_held() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(*PATIENCE, held).await.expect("in time");
}

fn patient(owner: Owner) -> (Launch, PathBuf) {
    let mut spec = spec("busybox:local");
    only(&mut spec).cmd = Some(super::PATIENT.to_owned());
    let launch = launch(owner, spec, Vec::new());
    let dir = launch.dir.clone();
    (launch, dir)
}

#[tokio::test]
async fn what_outlives_its_engine_is_the_same_afterwards() {
    // reliability §4.3: live-restore on.
    let owner = owner();
    let mut engine = OwnEngine::start(true).await;
    let runtime = std::sync::Arc::new(engine.runtime(owner).await);
    assert_eq!(runtime.facts().live_restore, Some(true));
    let (launch, dir) = patient(owner);
    runtime.prepare(&launch, &progress()).await.expect("prepared");
    let running = runtime.start(&launch).await.expect("started");
    super::ready(&runtime, launch.id).await;
    let watcher = std::sync::Arc::clone(&runtime);
    let ended = tokio::spawn(async move { watcher.ended(launch.id).await });
    let seen = runtime.own(launch.id).await.expect("an answer").expect("ours");
    watched(seen.pid.expect("it runs")).await;

    engine.stop().await;
    assert!(matches!(runtime.list().await, Err(RuntimeError::Unknown(_))));
    assert!(matches!(runtime.ping().await, Err(RuntimeError::Unknown(_))));
    assert!(matches!(runtime.kill(launch.id).await, Err(RuntimeError::Unknown(_))));
    engine.resume().await;

    runtime.ping().await.expect("it answers again");
    let found = runtime.list().await.expect("a list");
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].state, FoundState::Running(running), "the same start, the same container");
    assert!(!ended.is_finished(), "an engine's end is no task's end");
    runtime.terminate(launch.id).await.expect("asked to end");
    let ended = tokio::time::timeout(*PATIENCE, ended).await.expect("in time").expect("no panic");
    assert_eq!(ended.expect("an end").1, End::Code(3), "seen without an engine in between");
    runtime.remove(launch.id).await.expect("removed");
    engine.stop().await;
    let _ = std::fs::remove_dir_all(dir);
}

#[tokio::test]
async fn what_ends_with_its_engine_is_known_to_have_ended_afterwards() {
    // reliability §4.3: live-restore off.
    let owner = owner();
    let mut engine = OwnEngine::start(false).await;
    let runtime = engine.runtime(owner).await;
    let (launch, dir) = patient(owner);
    runtime.prepare(&launch, &progress()).await.expect("prepared");
    runtime.start(&launch).await.expect("started");
    super::ready(&runtime, launch.id).await;
    let (ended, ()) = tokio::join!(runtime.ended(launch.id), engine.stop());
    assert!(
        matches!(ended, Err(RuntimeError::Unknown(_)) | Ok((_, End::Code(3)))),
        "told by the engine or not at all: {ended:?}"
    );
    engine.resume().await;
    assert_eq!(runtime.ended(launch.id).await.expect("an end").1, End::Code(3));
    runtime.remove(launch.id).await.expect("removed");
    engine.stop().await;
    let _ = std::fs::remove_dir_all(dir);
}
