//! GPUs from outside: a driver's library of our own, an engine with a toolkit of our own, and what tasks get (seeds.md 1-1 to
//! 1-7, 1-15; gpu.md §4.4).

use std::time::Duration;

use serde_json::{Value, json};

use crate::docker_rig::{Docked, Engine, Watch, patient};
use crate::engine::OwnEngine;
use crate::nvml::Driver;
use crate::rig::{Stayer, sleeper, slow};
use crate::seeds::post;

const ONE: &str = "GPU-836c0c09-7fd1-4c0b-9f3e-000000000000";
const TWO: &str = "GPU-b78a60a1-2b5d-4f6e-8c1a-000000000001";

/// Two devices, as the driver shows them.
fn both() -> [String; 2] {
    [(ONE, 0), (TWO, 1)]
        .map(|(id, minor)| format!("gpu {id} name=T4 mem=16384 minor={minor} mig=0"))
}

fn driver() -> Driver {
    let [one, two] = both();
    Driver::new(&["driver 550.54.15", "cuda 12040", &one, &two])
}

/// A server with plain processes on a host with this driver.
async fn bare(driver: &Driver, args: &[&str]) -> Stayer {
    Stayer::bare_with(&[&["--nvml-library", &driver.library()], args].concat()).await
}

fn gpus(id: &str, count: u32, fields: Value) -> Value {
    let mut app = sleeper(id, fields);
    app["gpus"] = json!(count);
    app
}

/// A variable of the only task of an app of plain processes.
async fn variable(stayer: &Stayer, id: &str, name: &str) -> String {
    let task = stayer.running(id, 1).await.remove(0);
    let environment = stayer.process(&task, "sleep").await.environment();
    let value = environment.iter().find_map(|it| it.strip_prefix(&format!("{name}=")));
    value.expect("it is set").to_owned()
}

async fn waits_for(stayer: &Stayer, id: &str, kind: &str) -> String {
    stayer.wait(&format!("{id} waits for {kind}"), async |it| it.reason(id, kind).await).await
}

/// What a container was created with.
fn created(stayer: &Docked, task: &Value) -> Value {
    stayer.engine.inspect(&stayer.engine.of_task(task))
}

fn visible(container: &Value) -> Vec<&str> {
    let env = container["Config"]["Env"].as_array().expect("a list");
    let all = env.iter().filter_map(Value::as_str);
    all.filter_map(|it| it.strip_prefix("NVIDIA_VISIBLE_DEVICES=")).collect()
}

async fn output(stayer: &Stayer, task: &Value) -> String {
    let path = format!("/v2/tasks/{}/logs", task["id"].as_str().expect("an id"));
    stayer
        .wait("it has written something", async |stayer| {
            Some(stayer.get(&path).await.text).filter(|text| text.contains("GPUs: "))
        })
        .await
}

#[tokio::test]
async fn the_seed_runs_by_the_hook_and_a_third_task_of_two_gpus_waits() {
    // seeds.md 1-1, 1-2, 1-3, F11, F13.
    let driver = driver();
    let toolkit = driver.toolkit(&[(ONE, 0), (TWO, 1)]);
    let engine = OwnEngine::with(&json!({}), Some(&toolkit.bin));
    engine.load("nvidia/cuda");
    let stayer = Docked::on(engine.client(), &["--nvml-library", &driver.library()]).await;
    post(&stayer, "docker-gpu-test");
    stayer.running("/docker-gpu-test", 1).await;
    stayer.put("/v2/apps/docker-gpu-test", &json!({"instances": 3})).await.expect(200);
    let tasks = stayer
        .wait("two of three run", async |stayer| {
            let tasks = stayer.tasks("/docker-gpu-test", "TASK_RUNNING").await;
            (tasks.len() == 2).then_some(tasks)
        })
        .await;
    let told = stayer.waits_for("/docker-gpu-test", "gpus").await;
    assert!(told.starts_with("needs 1 gpus, 0 of 2 free (held by /docker-gpu-test ("), "{told}");
    let mut given = Vec::new();
    for task in &tasks {
        let container = created(&stayer, task);
        let request = &container["HostConfig"]["DeviceRequests"][0];
        let id = request["DeviceIDs"][0].as_str().expect("an id").to_owned();
        assert_eq!((&request["Driver"], &request["Count"]), (&json!("nvidia"), &json!(0)));
        assert_eq!(request["DeviceIDs"], json!([id]));
        assert_eq!(visible(&container), [&id]);
        let text = output(&stayer, task).await;
        assert!(text.lines().all(|line| line == format!("GPUs: {id}")), "{text}");
        let dev = stayer.engine.docker(&["exec", &stayer.engine.of_task(task), "ls", "/dev"]);
        let files: Vec<&str> = dev.lines().filter(|name| name.starts_with("nvidia")).collect();
        assert_eq!(files, [if id == ONE { "nvidia0" } else { "nvidia1" }]);
        given.push(id);
    }
    given.sort();
    assert_eq!(given, [ONE, TWO]);
    // Of type DOCKER too, and one without GPUs sees none, although its image and its maker say `all`.
    stayer.remove("/docker-gpu-test").await;
    let mut app = patient("/docker", 1);
    app["gpus"] = json!(2);
    stayer.launch(&app).await;
    let task = stayer.running("/docker", 1).await.remove(0);
    let ids = &created(&stayer, &task)["HostConfig"]["DeviceRequests"][0]["DeviceIDs"];
    assert_eq!(*ids, json!([ONE, TWO]));
    let mut app = patient("/blind", 1);
    app["env"] = json!({"NVIDIA_VISIBLE_DEVICES": "all"});
    stayer.launch(&app).await;
    let task = stayer.running("/blind", 1).await.remove(0);
    let container = created(&stayer, &task);
    assert_eq!(visible(&container), ["void"]);
    assert!(container["HostConfig"]["DeviceRequests"].as_array().is_none_or(Vec::is_empty));

    // The toolkit says that all is well and brings nothing: the task fails, with both lists, and does not run on.
    toolkit.breaks();
    stayer.remove("/docker").await;
    let mut app = patient("/betrayed", 1);
    app["gpus"] = json!(1);
    app["backoffSeconds"] = json!(3600);
    stayer.launch(&app).await;
    let why = stayer.failure("/betrayed").await;
    let told = format!("started without its gpus: it was given {ONE} and has none");
    assert!(why.contains(&told), "{why}");
    assert_eq!(stayer.alive().len(), 1, "only the blind one runs");
}

#[tokio::test]
async fn an_engine_without_the_hook_gives_gpus_by_the_runtime_or_says_what_it_lacks() {
    // seeds.md 1-15, F15.
    let driver = driver();
    let toolkit = driver.toolkit(&[(ONE, 0), (TWO, 1)]);
    let engine = OwnEngine::with(&json!({"runtimes": toolkit.runtimes()}), None);
    let library = driver.library();
    let stayer = Docked::on(engine.client(), &["--nvml-library", &library]).await;
    let mut app = patient("/runtime", 1);
    app["gpus"] = json!(1);
    app["env"] = json!({"NV_GPU": "1"});
    app["cmd"] = json!("nvidia-smi; trap 'exit 0' TERM; while true; do sleep 0.05; done");
    stayer.launch(&app).await;
    let task = stayer.running("/runtime", 1).await.remove(0);
    let container = created(&stayer, &task);
    assert_eq!(container["HostConfig"]["Runtime"], "nvidia");
    assert_eq!(visible(&container), [TWO]);
    assert_eq!(output(&stayer, &task).await.trim(), format!("GPUs: {TWO}"));

    let stayer = Docked::with(&["--nvml-library", &library]).await;
    app["id"] = json!("/lacking");
    stayer.launch(&app).await;
    let why = stayer.failure("/lacking").await;
    assert!(
        why.contains(&format!("it does not know nvidia.com/gpu={TWO}, finds no nvidia-")),
        "{why}"
    );
    assert!(why.contains("install NVIDIA's container toolkit"), "{why}");
}

/// How an engine that knows CDI is told of the devices.
fn cdi(dir: &std::path::Path) {
    let device = |(id, minor): (&str, u32)| {
        let node = json!({"path": format!("/dev/nvidia{minor}"), "hostPath": "/dev/null"});
        json!({"name": id, "containerEdits": {"deviceNodes": [node]}})
    };
    let devices = [(ONE, 0), (TWO, 1)].map(device);
    let spec = json!({"cdiVersion": "0.5.0", "kind": "nvidia.com/gpu", "devices": devices});
    std::fs::create_dir_all(dir).expect("a directory");
    std::fs::write(dir.join("nvidia.json"), spec.to_string()).expect("written");
}

#[tokio::test]
async fn gpus_come_by_their_cdi_names_where_the_engine_knows_those() {
    // seeds.md 1-15, gpu.md §4.2: Docker tells which devices it has discovered since API 1.50, Podman takes their names for
    // devices and takes requests for nothing.
    let driver = driver();
    let args = ["--nvml-library", &driver.library()];
    let machine = Engine::machine();
    let dir = tempfile::tempdir().expect("a directory");
    let (engine, stayer) = if machine.is_podman() {
        let told = std::env::var("STAYER_TEST_CDI").expect("where Podman looks for CDI specs");
        cdi(std::path::Path::new(&told));
        (None, Docked::with(&args).await)
    } else if machine.api() >= 50 {
        cdi(dir.path());
        let engine = OwnEngine::with(&json!({"cdi-spec-dirs": [dir.path()]}), None);
        let client = engine.client();
        (Some(engine), Docked::on(client, &args).await)
    } else {
        (None, Docked::with(&args).await)
    };
    let mut app = patient("/cdi", 1);
    app["gpus"] = json!(1);
    app["env"] = json!({"NV_GPU": "1"});
    app["backoffSeconds"] = json!(3600);
    stayer.launch(&app).await;
    if engine.is_none() && !machine.is_podman() {
        let why = stayer.failure("/cdi").await;
        assert!(why.contains(&format!("it does not know nvidia.com/gpu={TWO}")), "{why}");
        return;
    }
    let task = stayer.running("/cdi", 1).await.remove(0);
    assert_eq!(visible(&created(&stayer, &task)), ["void"], "no toolkit adds to what CDI gives");
    let dev = stayer.engine.docker(&["exec", &stayer.engine.of_task(&task), "ls", "/dev"]);
    let files: Vec<&str> = dev.lines().filter(|name| name.starts_with("nvidia")).collect();
    assert_eq!(files, ["nvidia1"]);
}

#[tokio::test]
async fn processes_get_the_gpus_that_they_name_and_others_see_none() {
    // seeds.md 1-6, 1-7, F10.
    let driver = driver();
    let stayer = bare(&driver, &[]).await;
    stayer.launch(&gpus("/second", 1, json!({"env": {"NV_GPU": "1"}}))).await;
    assert_eq!(variable(&stayer, "/second", "CUDA_VISIBLE_DEVICES").await, TWO);
    assert_eq!(variable(&stayer, "/second", "NVIDIA_VISIBLE_DEVICES").await, TWO);
    let greedy = json!({"env": {"CUDA_VISIBLE_DEVICES": "0,1"}});
    stayer.launch(&sleeper("/blind", greedy)).await;
    assert_eq!(variable(&stayer, "/blind", "CUDA_VISIBLE_DEVICES").await, "");
    assert_eq!(variable(&stayer, "/blind", "NVIDIA_VISIBLE_DEVICES").await, "void");
    stayer.launch(&gpus("/named", 1, json!({"labels": {"NV_GPU": "GPU-b78a60a"}}))).await;
    let told = waits_for(&stayer, "/named", "gpu-pin").await;
    assert!(
        told.starts_with(&format!("needs gpu GPU-b78a60a, {TWO} is held by /second (")),
        "{told}"
    );
    stayer.launch(&gpus("/absent", 1, json!({"env": {"NV_GPU": "7"}}))).await;
    let told = waits_for(&stayer, "/absent", "gpu-pin").await;
    assert_eq!(told, format!("needs gpu 7, and the agent has {ONE}, {TWO}"));
    let vague = gpus("/vague", 1, json!({"env": {"NV_GPU": "GPU-"}}));
    let refused = stayer.post("/v2/apps", &vague).await.expect(422).json();
    assert_eq!(refused["details"][0]["path"], "/env/NV_GPU", "{refused}");
    let unequal = gpus("/unequal", 1, json!({"env": {"NV_GPU": "0,1"}}));
    stayer.post("/v2/apps", &unequal).await.expect(422);
    stayer.delete("/v2/apps/second").await.expect(200);
    assert_eq!(variable(&stayer, "/named", "CUDA_VISIBLE_DEVICES").await, TWO);
    stayer.finish().await;
}

#[tokio::test]
async fn a_driver_that_comes_late_hangs_or_loses_a_device_is_followed() {
    // reliability §4.3, gpu.md §4.3.
    let driver = Driver::later();
    let stayer = bare(&driver, &[]).await;
    stayer.launch(&gpus("/early", 1, json!({}))).await;
    let told = waits_for(&stayer, "/early", "gpus").await;
    assert_eq!(told, "needs 1 gpus, 0 of 0 free");
    let [one, two] = both();
    driver.shows(&[&one, &two]);
    driver.install();
    let began = Watch::start();
    stayer.running("/early", 1).await;
    assert!(began.elapsed() < slow(Duration::from_secs(30)), "seen after {:?}", began.elapsed());

    // A device is lost: the task that holds it is left alone, and nobody else gets it.
    stayer.launch(&gpus("/holds", 1, json!({"env": {"NV_GPU": "1"}}))).await;
    stayer.running("/holds", 1).await;
    stayer.launch(&gpus("/second", 1, json!({}))).await;
    let sick = async |what: &str| {
        let told = async |it: &Stayer| it.reason("/second", "gpus").await;
        stayer.wait(what, async |it| told(it).await.filter(|told| told.contains(what))).await
    };
    let lost = format!("gpu {TWO} lost");
    driver.shows(&[&one, &lost]);
    let told = sick("fell off the bus").await;
    assert!(told.starts_with("needs 1 gpus, 0 of 2 free (held by /"), "{told}");
    assert!(told.contains(&format!("(not given out: {TWO}: ")), "{told}");
    stayer.running("/holds", 1).await;

    // While a call hangs everything else goes on.
    driver.shows(&["hang", &one, &two]);
    let told = sick("the driver has not answered for 5 s").await;
    assert!(told.contains(ONE) && told.contains(TWO), "{told}");
    stayer.delete("/v2/apps/holds").await.expect(200);
    stayer.launch(&sleeper("/plain", json!({}))).await;
    stayer.running("/plain", 1).await;
    assert_eq!(stayer.tasks("/second", "TASK_RUNNING").await.len(), 0);
    driver.shows(&[&one, &two]);
    assert_eq!(variable(&stayer, "/second", "CUDA_VISIBLE_DEVICES").await, TWO);
    stayer.finish().await;
}

#[tokio::test]
async fn hosts_with_gpus_are_kept_for_gpu_apps_where_that_is_said() {
    // PL-12; metrics that are absent, and an operator who offers fewer.
    let [one, two] = [ONE, TWO].map(|id| format!("gpu {id}"));
    let driver = Driver::new(&[&one, &two]);
    let kept = ["--gpu-scheduling", "restricted", "--resources", "gpus:1"];
    let stayer = bare(&driver, &kept).await;
    stayer.launch(&sleeper("/plain", json!({}))).await;
    let told = waits_for(&stayer, "/plain", "gpu-host").await;
    assert_eq!(told, "the agent's 1 gpus are kept for apps that ask for gpus");
    let help = stayer.get("/v2/apps/plain/explain").await.json()["help"].clone();
    assert!(help[0].as_str().is_some_and(|it| it.contains("GPU_SCHEDULING_BEHAVIOR")), "{help}");
    let open = json!({"labels": {"GPU_SCHEDULING_BEHAVIOR": "unrestricted"}});
    stayer.launch(&sleeper("/open", open)).await;
    stayer.running("/open", 1).await;
    stayer.launch(&gpus("/gpu", 1, json!({}))).await;
    assert_eq!(variable(&stayer, "/gpu", "CUDA_VISIBLE_DEVICES").await, ONE);
    stayer.finish().await;
}
