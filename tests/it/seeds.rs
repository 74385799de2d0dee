//! The apps that people published for Marathon, posted as they stand, and what runs then (seeds.md §1.6).

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::docker_rig::{Docked, Engine, ask, comes_true, covers, ended};
use crate::registry::Registry;
use crate::rig::Turn;

/// What `curl` got.
struct Posted {
    status: u16,
    warning: String,
    body: Value,
}

/// `curl -X POST …/v2/apps -d@FILE`, as the documents have it: no header says that it is JSON.
fn curl(stayer: &Docked, file: &Path) -> Posted {
    let url = format!("{}/v2/apps", stayer.url);
    let data = format!("@{}", file.display());
    let output = Command::new("curl")
        .args(["--silent", "--show-error", "--include", "--max-time", "60", "-X", "POST"])
        .args([&url, "-d", &data])
        .output();
    let printed = ended(&output.expect("curl is installed"));
    assert_eq!(printed.code, 0, "{}", printed.text);
    let (head, body) = printed.text.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    let warnings = head.lines().filter(|line| line.to_ascii_lowercase().starts_with("warning:"));
    Posted {
        status,
        warning: warnings.collect::<Vec<_>>().join("\n"),
        body: serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}")),
    }
}

/// The files of a folder with what is expected of them.
fn folder(name: &str) -> Vec<(PathBuf, Value)> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apps").join(name);
    let entries =
        std::fs::read_dir(dir).expect("the fixtures").map(|entry| entry.expect("it").path());
    let is_app = |path: &PathBuf| !path.to_string_lossy().ends_with(".expected.json");
    let mut files: Vec<PathBuf> = entries.filter(is_app).collect();
    files.sort();
    assert!(!files.is_empty());
    let with_answer = |path: PathBuf| {
        let text = std::fs::read(path.with_extension("expected.json")).expect("an expected answer");
        let answer = serde_json::from_slice(&text).expect("JSON");
        (path, answer)
    };
    files.into_iter().map(with_answer).collect()
}

/// Posts one file and looks at the answer.
pub fn post(stayer: &Docked, name: &str) -> Value {
    let (path, expected) = folder("ok")
        .into_iter()
        .find(|(path, _)| path.file_stem().is_some_and(|stem| stem == name))
        .expect("a fixture");
    check(&path, &curl(stayer, &path), &expected);
    expected["app"].clone()
}

fn check(path: &Path, posted: &Posted, expected: &Value) {
    let path = path.display();
    assert_eq!(json!(posted.status), expected["status"], "{path}: {}", posted.body);
    assert!(covers(&posted.body, &expected["app"]), "{path}: {:#}", posted.body);
    let words = expected["warnings"].as_array().expect("a list");
    assert_eq!(posted.warning.is_empty(), words.is_empty(), "{path}: {}", posted.warning);
    for word in words {
        let word = word.as_str().expect("a word");
        assert!(posted.warning.contains(word), "{path}: {word} is not in {}", posted.warning);
    }
}

/// One test at a time tries to have memcached's port.
fn memcached() -> Turn {
    Turn::at("port-11211")
}

#[tokio::test]
async fn each_published_app_is_answered_as_expected() {
    let _turn = memcached();
    let stayer = Docked::with(&[]).await;
    for (path, expected) in folder("ok") {
        check(&path, &curl(&stayer, &path), &expected);
        let again = curl(&stayer, &path);
        assert_eq!(again.status, 409, "{}", path.display());
        let told = again.body.to_string();
        assert!(told.contains("PUT"), "the hint is missing in {told}");
        let id = expected["app"]["id"].as_str().expect("an id");
        stayer.remove(id).await;
    }
}

#[tokio::test]
async fn each_broken_one_is_refused_with_the_place_and_creates_nothing() {
    let stayer = Docked::with(&[]).await;
    for (path, expected) in folder("broken") {
        let posted = curl(&stayer, &path);
        assert_eq!(json!(posted.status), expected["status"], "{}", path.display());
        for member in ["message", "details", "hint"] {
            assert_eq!(posted.body[member], expected[member], "{}", path.display());
        }
        assert!(posted.body["location"]["offset"].as_u64() > Some(0), "{}", posted.body);
        assert!(posted.body["near"].as_str().is_some_and(|near| near.contains("\"id\"")));
    }
    assert_eq!(stayer.get("/v2/apps").await.json()["apps"], json!([]));
    assert_eq!(stayer.get("/v2/deployments").await.json(), json!([]));
    stayer.get("/v2/apps/redis").await.expect(404);
}

#[tokio::test]
async fn the_simple_app_runs_twice_with_the_memory_that_it_meant() {
    let stayer = Docked::with(&[]).await;
    post(&stayer, "simple-app");
    let tasks = stayer.running("/ubuntu", 2).await;
    for container in stayer.engine.of_tasks(&tasks) {
        let host = stayer.engine.inspect(&container)["HostConfig"].clone();
        assert_eq!(host["Memory"], json!(256 << 20), "`memory` is taken as `mem`");
        assert_eq!(host["CpuShares"], 256);
    }
}

#[tokio::test]
async fn memcached_runs_once_it_may_start() {
    let _turn = memcached();
    let stayer = Docked::with(&[]).await;
    post(&stayer, "memcached");
    if !can_be_privileged(&stayer.engine) {
        let told = stayer.failure("/memcached").await;
        assert!(told.contains("Failed to run docker container"), "{told}");
        assert!(told.contains("operation not permitted"), "the engine's own words: {told}");
        let mut container = stayer.app("/memcached").await["container"].clone();
        container["docker"]["privileged"] = json!(false);
        let change = json!({ "container": container });
        stayer.put("/v2/apps/memcached?partialUpdate=true&force=true", &change).await.expect(200);
    }
    let task = stayer.running("/memcached", 1).await.remove(0);
    assert_eq!(ask(11_211, "version\r\n").await, "VERSION stand-in");
    assert_eq!(task["ports"], json!([11_211]));

    let container = stayer.engine.of_task(&task);
    stayer.engine.docker(&["exec", &container, "test", "!", "-e", "/entrypoint-ran"]);
    let host = stayer.engine.inspect(&container)["HostConfig"].clone();
    assert_eq!((&host["Memory"], &host["CpuShares"]), (&json!(2000 << 20), &json!(1024)));
    let logs = || stayer.engine.docker(&["logs", &container]);
    assert!(comes_true(|| logs().contains("memcached -m 1024 -vv")), "{}", logs());
}

/// Whether this machine lets an engine give a container all rights.
fn can_be_privileged(engine: &Engine) -> bool {
    let run = ["run", "--rm", "--privileged", "--network", "none", "busybox:local", "true"];
    engine.attempt(&run).status.success()
}

#[tokio::test]
async fn nordicdata_is_pulled_before_each_start_and_runs() {
    let stayer = Docked::with(&[]).await;
    let registry = Registry::of(&stayer.engine, "laketide/nordicdata").await;
    let (path, _) = folder("ok")
        .into_iter()
        .find(|(_, it)| it["app"]["id"] == "/nordicdatasummit")
        .expect("it");
    let mut app: Value = serde_json::from_slice(&std::fs::read(path).expect("it")).expect("JSON");
    app["container"]["docker"]["image"] = json!(registry.image());
    stayer.launch(&app).await;
    let first = stayer.running("/nordicdatasummit", 1).await.remove(0);
    let asked = registry.pulls();
    assert!(asked > 0, "forcePullImage asks the registry");
    let logs = format!("/v2/tasks/{}/logs", first["id"].as_str().expect("an id"));
    stayer
        .until("it speaks", |stayer| {
            let logs = logs.clone();
            async move { stayer.get(&logs).await.text.contains("julia /example.jl") }
        })
        .await;
    stayer.delete("/v2/apps/nordicdatasummit/tasks").await.expect(200);
    stayer.until("it is pulled again", |_| async { registry.pulls() > asked }).await;
    stayer.running("/nordicdatasummit", 1).await;
}

#[tokio::test]
async fn nordicdata_without_its_registry_says_so_and_runs_when_it_need_not_be_pulled() {
    // The name is one of a public registry. Where that can be reached, its word on the image counts as well.
    let stayer = Docked::with(&[]).await;
    post(&stayer, "nordicdatasummit");
    let told = stayer.failure("/nordicdatasummit").await;
    assert!(told.contains("image laketide/nordicdata"), "{told}");
    let mut container = stayer.app("/nordicdatasummit").await["container"].clone();
    container["docker"]["forcePullImage"] = json!(false);
    let change = json!({ "container": container });
    stayer.put("/v2/apps/nordicdatasummit?force=true", &change).await.expect(200);
    stayer.running("/nordicdatasummit", 1).await;
}

#[tokio::test]
async fn the_third_gpu_app_of_two_devices_waits_and_names_the_holders() {
    let stayer = Docked::with(&[]).await;
    post(&stayer, "docker-gpu-test");
    stayer.running("/docker-gpu-test", 1).await;
    stayer.put("/v2/apps/docker-gpu-test", &json!({"instances": 3})).await.expect(200);
    stayer
        .until("two of three run", |stayer| async move {
            stayer.tasks("/docker-gpu-test", "TASK_RUNNING").await.len() == 2
        })
        .await;
    let told = stayer.waits_for("/docker-gpu-test", "gpus").await;
    assert!(told.starts_with("needs 1 gpus, 0 of 2 free (held by "), "{told}");
    let tasks = stayer.tasks("/docker-gpu-test", "TASK_RUNNING").await;
    let visible: std::collections::BTreeSet<String> = stayer
        .engine
        .of_tasks(&tasks)
        .iter()
        .flat_map(|id| {
            let env = stayer.engine.inspect(id)["Config"]["Env"].clone();
            env.as_array().cloned().unwrap_or_default()
        })
        .filter_map(|it| it.as_str()?.strip_prefix("NVIDIA_VISIBLE_DEVICES=").map(str::to_owned))
        .collect();
    assert_eq!(visible.len(), 2, "each has a device of its own: {visible:?}");
    let queue = stayer.get("/v2/queue").await.json();
    assert_eq!(queue["queue"][0]["count"], 1, "{queue}");
}
