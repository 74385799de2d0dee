//! What goes wrong around a server: it is killed, its disk is full, its log or its agent's directory is not its own.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::docker_rig::{
    Docked, Ended, Engine, ROOM, Watch, identity, patient, stayer as run_stayer,
};
use crate::rig::{Stayer, slow};

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

fn ids(tasks: &[Value]) -> Vec<String> {
    sorted(tasks.iter().map(|task| task["id"].to_string()).collect())
}

#[tokio::test]
async fn containers_outlive_a_killed_server_and_are_the_same_afterwards() {
    // I8, and "a task that died meanwhile is replaced at once".
    let mut stayer = Docked::with(&[]).await;
    stayer.launch(&patient("/stays", 3)).await;
    let tasks = ids(&stayer.running("/stays", 3).await);
    let containers = sorted(stayer.containers());
    let started: Vec<String> = containers.iter().map(|id| stayer.engine.started(id)).collect();
    stayer.kill();
    stayer.restart().await;
    assert_eq!(ids(&stayer.running("/stays", 3).await), tasks);
    assert_eq!(sorted(stayer.alive()), containers);
    let again: Vec<String> = containers.iter().map(|id| stayer.engine.started(id)).collect();
    assert_eq!(again, started);

    stayer.kill();
    stayer.engine.docker(&["kill", &containers[0]]);
    let began = Watch::start();
    stayer.restart().await;
    stayer.until("it is replaced", |_| async { stayer.alive().len() == 3 }).await;
    let took = began.elapsed();
    assert!(took < slow(Duration::from_secs(30)), "replaced after {took:?}");
    let now = ids(&stayer.running("/stays", 3).await);
    assert_eq!(now.iter().filter(|id| tasks.contains(id)).count(), 2, "{now:?} after {tasks:?}");
    let alive = stayer.alive();
    assert!(containers[1..].iter().all(|id| alive.contains(id)), "the others were left alone");

    stayer.kill();
    stayer.engine.docker(&["rm", "--force", &containers[1]]);
    stayer.restart().await;
    stayer.until("it is replaced", |_| async { stayer.alive().len() == 3 }).await;
    stayer.running("/stays", 3).await;
    assert!(stayer.alive().contains(&containers[2]), "the last one was left alone");
}

/// A file system of 16 MiB.
struct SmallDisk {
    dir: TempDir,
}

// === impl SmallDisk ===

impl SmallDisk {
    fn new() -> SmallDisk {
        assert!(nix::unistd::geteuid().is_root(), "mounting a small disk needs root");
        let dir = tempfile::tempdir().expect("a directory");
        let mount = ["-t", "tmpfs", "-o", "size=16m", "stayer-test"];
        let mounted = Command::new("mount").args(mount).arg(dir.path()).status();
        assert!(mounted.expect("mount runs").success(), "a tmpfs can be mounted");
        SmallDisk { dir }
    }

    fn fill(&self) {
        let of = format!("of={}", self.filler());
        // It ends because there is no more room.
        let _full = Command::new("dd").args(["if=/dev/zero", &of, "bs=4k"]).output();
    }

    fn free(&self) {
        std::fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> String {
        self.dir.path().join("filler").display().to_string()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg("-l").arg(self.dir.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_nothing_else() {
    let disk = SmallDisk::new();
    let data = tempfile::tempdir_in(disk.dir.path()).expect("a directory");
    let args = vec!["--resources".to_owned(), ROOM.to_owned()];
    let stayer = Stayer::in_dir(data, args, Vec::new()).await;
    let stayer = Docked::new(Engine::machine(), stayer);
    stayer.launch(&patient("/contained", 1)).await;
    stayer
        .launch(&json!({"id": "/process", "cmd": "while true; do sleep 0.1; done", "cpus": 0.1, "mem": 16}))
        .await;
    let contained = stayer.running("/contained", 1).await;
    let process = stayer.running("/process", 1).await;

    disk.fill();
    let mut refused = None;
    // What the log has room for in its file is still taken.
    for number in 0..500 {
        let id = format!("/filler/a{number}");
        let reply =
            stayer.post("/v2/apps", &json!({"id": id, "cmd": "true", "instances": 0})).await;
        if reply.status != 201 {
            refused = Some(reply.expect(503));
            break;
        }
    }
    let refused = refused.expect("the disk is full");
    let after = refused.header("Retry-After").parse::<u32>();
    assert!(after.is_ok_and(|seconds| seconds > 0), "{refused:?}");
    let sooner = stayer.post("/v2/apps", &patient("/now", 1)).await.expect(503);
    assert!(sooner.text.contains("tasks go on"), "{}", sooner.text);
    assert_eq!(stayer.tasks("/contained", "TASK_RUNNING").await, contained);
    assert_eq!(stayer.tasks("/process", "TASK_RUNNING").await, process);
    assert_eq!(stayer.alive().len(), 1);
    stayer.get("/ping").await.expect(200);

    disk.free();
    stayer
        .until("writes are taken again", |stayer| async move {
            let status = stayer.post("/v2/apps", &patient("/again", 1)).await.status;
            // Taken now, or taken when the answer was given up before.
            status == 201 || status == 409
        })
        .await;
    stayer.running("/again", 1).await;
    assert_eq!(stayer.tasks("/contained", "TASK_RUNNING").await, contained);
    assert_eq!(stayer.tasks("/process", "TASK_RUNNING").await, process);
}

fn start_on(data: &Path) -> Ended {
    let dir = data.display().to_string();
    run_stayer(&["dev", "--listen", "127.0.0.1:0", "--data-dir", &dir])
}

/// Waits until the agent has met its server.
async fn joined(stayer: &Stayer) {
    stayer
        .until("the agent belongs to a cluster", |stayer| async move {
            identity(stayer.dir())["cluster"] != Value::Null
        })
        .await;
}

#[tokio::test]
async fn an_agent_of_another_cluster_is_refused_in_one_sentence() {
    let (mut ours, other) = (Docked::with(&[]).await, Docked::with(&[]).await);
    ours.launch(&patient("/stays", 1)).await;
    ours.running("/stays", 1).await;
    joined(&other).await;
    let before = ours.containers();
    ours.kill();

    let (home, agent) = (ours.dir().join("agent/agent.json"), other.dir().join("agent/agent.json"));
    let kept = std::fs::read(&home).expect("it is there");
    std::fs::copy(agent, &home).expect("copied");
    let ended = start_on(ours.dir());
    assert_eq!(ended.code, 1, "{ended:?}");
    let theirs = identity(other.dir())["cluster"].clone();
    let theirs = theirs.as_str().expect("a text");
    assert!(ended.text.contains("belongs to cluster") && ended.text.contains(theirs), "{ended:?}");
    assert_eq!(ended.text.trim().lines().count(), 1, "{ended:?}");
    assert_eq!(ours.alive(), before);

    std::fs::write(&home, kept).expect("written");
    ours.restart().await;
    ours.running("/stays", 1).await;
    assert_eq!(ours.alive(), before);
}

#[tokio::test]
async fn a_log_that_is_gone_is_asked_for_and_a_new_one_touches_nothing() {
    // house.md, invariant 8.
    let mut stayer = Docked::with(&["--new-log"]).await;
    stayer.launch(&patient("/stray", 1)).await;
    stayer.running("/stray", 1).await;
    let stray = stayer.containers();
    let started = stayer.engine.started(&stray[0]);
    stayer.kill();
    let log = stayer.dir().join("server/log.redb");
    std::fs::remove_file(&log).expect("it was there");

    let ended = start_on(stayer.dir());
    assert_eq!(ended.code, 1, "{ended:?}");
    for words in ["log.redb is missing", "left alone", "--new-log"] {
        assert!(ended.text.contains(words), "{words} is not in {ended:?}");
    }
    assert!(!log.exists(), "a refusal makes nothing");
    assert_eq!(stayer.alive(), stray);

    stayer.restart().await;
    assert_eq!(stayer.get("/v2/apps").await.json()["apps"], json!([]));
    stayer.launch(&patient("/stray", 2)).await;
    let tasks = stayer.running("/stray", 2).await;
    assert_eq!(stayer.alive().len(), 3, "the new ones beside the stray one");
    assert!(!stayer.engine.of_tasks(&tasks).contains(&stray[0]), "it is not adopted");
    stayer.remove("/stray").await;
    assert_eq!(stayer.alive(), stray, "nobody's, and left alone");
    assert_eq!(stayer.engine.started(&stray[0]), started);
}

#[tokio::test]
async fn a_second_server_on_the_same_directory_is_refused_in_one_sentence() {
    let stayer = Docked::with(&[]).await;
    let ended = start_on(stayer.dir());
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.text.contains("another server uses"), "{ended:?}");
    assert_eq!(ended.text.trim().lines().count(), 1, "{ended:?}");
}
