//! The GPUs of this very machine. Ignored, since most machines have none: `scripts/test` runs it where NVIDIA's driver
//! lists one, and says so where it does not.

use serde_json::json;

use crate::rig::Stayer;

/// What the driver's own tool lists, if there is one.
fn uuids() -> Vec<String> {
    let query = ["--query-gpu=uuid", "--format=csv,noheader"];
    let output = std::process::Command::new("nvidia-smi").args(query).output();
    let text = output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned());
    let text = text.unwrap_or_default();
    text.lines().map(str::trim).filter(|it| it.starts_with("GPU-")).map(str::to_owned).collect()
}

#[tokio::test]
#[ignore = "wants a machine with NVIDIA GPUs; scripts/test runs it where there are some"]
async fn real_gpus_are_found_and_given_out_one_by_one() {
    let uuids = uuids();
    assert!(!uuids.is_empty(), "NVIDIA's driver lists no GPU here");
    let stayer = Stayer::bare().await;
    let count = uuids.len();
    let app = json!({
        "id": "/gpu", "cmd": "exec sleep 1000", "cpus": 0.01, "mem": 16, "gpus": 1, "instances": count,
    });
    stayer.launch(&app).await;
    let tasks = stayer.running("/gpu", count).await;
    let mut given = Vec::new();
    for task in &tasks {
        let process = stayer.process(task, "sleep").await;
        let own = process.environment();
        let own = own.iter().filter_map(|it| it.strip_prefix("CUDA_VISIBLE_DEVICES="));
        given.extend(own.map(str::to_owned));
    }
    given.sort();
    let mut uuids = uuids;
    uuids.sort();
    assert_eq!(given, uuids);
}
