//! The published script as it stands, which knows one port only: 8080.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::docker_rig::comes_true;
use crate::rig::{Stayer, Turn, run};

#[tokio::test(flavor = "multi_thread")]
async fn the_published_script_posts_an_app() {
    let _turn = Turn::at("port-8080");
    let free = || TcpListener::bind("127.0.0.1:8080").is_ok();
    assert!(comes_true(free), "this test needs 127.0.0.1:8080");
    let stayer = Stayer::bare_with(&["--listen", "127.0.0.1:8080"]).await;
    assert_eq!(stayer.url, "http://127.0.0.1:8080");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/apps");
    let posted = run(Command::new("bash")
        .arg(fixtures.join("launch.sh"))
        .arg(fixtures.join("try/hello.json"))
        .env("MESOS_MASTER", "127.0.0.1"));
    assert_eq!(posted.code, 0, "{posted:?}");
    let created: Value = serde_json::from_str(&posted.out).expect("the app");
    assert_eq!(created["id"], "/hello");
    stayer.running("/hello", 1).await;
    let without = run(Command::new("bash").arg(fixtures.join("launch.sh")));
    assert_eq!(without.code, 1);
    stayer.finish().await;
}
