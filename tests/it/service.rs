//! A service that behaves well: asked to end, it takes no more connections and answers what it was asked.
//!
//! It is this very test program. Told a port it serves there, as a task of other tests; else it starts itself and shows
//! that it is what those rely on.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::proc;
use crate::rig::{PATIENCE, Slice};

/// By this it is told where to serve.
const PORT: &str = "STAYER_TEST_SERVICE_PORT";
/// Its name among the tests.
const NAME: &str = "service::asked_to_end_it_answers_what_it_was_asked_and_takes_no_more";

#[tokio::test(flavor = "multi_thread")]
async fn asked_to_end_it_answers_what_it_was_asked_and_takes_no_more() {
    match std::env::var(PORT) {
        Ok(port) => serve(port.parse().expect("a port")).await,
        Err(_) => prove().await,
    }
}

/// The shell text of the service, as a task of one port.
pub fn cmd() -> String {
    let program = std::env::current_exe().expect("it has a path");
    format!("{PORT}=$PORT0 exec {} --exact {NAME} --nocapture", program.display())
}

/// Serves until it is asked to end, and answers then what it was asked before. `/last` is answered only then, and
/// `/waiting` says how many wait for that.
async fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).await.expect("its port is free");
    let mut asked = signal(SignalKind::terminate()).expect("it can be heard");
    let (end, ends) = watch::channel(false);
    let waiting = Arc::new(AtomicU32::new(0));
    let last = {
        let waiting = waiting.clone();
        move || async move {
            waiting.fetch_add(1, Ordering::Relaxed);
            let mut ends = ends;
            let _ended = ends.wait_for(|ended| *ended).await;
            "the last\n"
        }
    };
    let answers = Router::new()
        .route("/", get(|| async { "served\n" }))
        .route("/last", get(last))
        .route("/waiting", get(|| async move { waiting.load(Ordering::Relaxed).to_string() }));
    let asked = async move {
        asked.recv().await;
        end.send_replace(true);
    };
    axum::serve(listener, answers).with_graceful_shutdown(asked).await.expect("it serves");
}

async fn prove() {
    let ports = Slice::claim();
    let url = format!("http://127.0.0.1:{}", ports.port(0));
    let program = std::env::current_exe().expect("it has a path");
    let mut service = Command::new(program)
        .args(["--exact", NAME, "--nocapture"])
        .env(PORT, ports.port(0).to_string())
        .spawn()
        .expect("it starts");
    let client = reqwest::Client::builder().timeout(*PATIENCE).build().expect("a client");
    let ask = async |path: &str| {
        let answer = client.get(format!("{url}{path}")).send().await.ok()?;
        answer.text().await.ok()
    };
    while ask("/").await.as_deref() != Some("served\n") {
        assert!(service.try_wait().expect("it is ours").is_none(), "it has ended");
        tokio::task::yield_now().await;
    }
    let last = tokio::spawn(client.get(format!("{url}/last")).send());
    while ask("/waiting").await.as_deref() != Some("1") {
        tokio::task::yield_now().await;
    }
    proc::signal(service.id(), "TERM");
    let last = last.await.expect("no panic").expect("it is answered");
    assert_eq!(last.text().await.expect("a text"), "the last\n");
    let ended = tokio::task::spawn_blocking(move || service.wait()).await.expect("no panic");
    assert!(ended.expect("it is ours").success());
    assert_eq!(ask("/").await, None);
}
