//! What a process is given before it starts, and how it is ended.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::proc;
use crate::rig::{Stayer, sleeper, slow};

/// Serves one body to everybody who asks.
async fn web(body: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((mut peer, _)) = listener.accept().await {
            let mut asked = [0; 1024];
            let _request = peer.read(&mut asked).await;
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                body.len()
            );
            let _gone = peer.write_all(format!("{head}{body}").as_bytes()).await;
        }
    });
    format!("http://{address}")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_fetched_lies_in_the_sandbox_if_its_network_is_allowed() {
    let url = web("#!/bin/sh\necho fetched and run\nexec sleep 1000\n").await;
    let stayer = Stayer::bare_with(&["--allow-fetch", "127.0.0.0/8"]).await;
    let fetch = json!([{"uri": format!("{url}/start.sh"), "executable": true}]);
    stayer.launch(&sleeper("/app", json!({"cmd": "exec ./start.sh", "fetch": fetch}))).await;
    let task = stayer.running("/app", 1).await.remove(0);
    let path = format!("/v2/tasks/{}/logs", task["id"].as_str().expect("an id"));
    stayer
        .until("it says so", |stayer| {
            let path = path.clone();
            async move { stayer.get(&path).await.text == "fetched and run\n" }
        })
        .await;
    stayer.finish().await;
    // Unless it is named, loopback is not for fetches.
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"fetch": fetch, "backoffSeconds": 60}))).await;
    let message = stayer
        .wait("it is refused", async |stayer| {
            let app = stayer.get("/v2/apps/app?embed=app.lastTaskFailure").await.json();
            app["app"]["lastTaskFailure"]["message"].as_str().map(str::to_owned)
        })
        .await;
    assert!(message.contains(&url) && message.contains("--allow-fetch"), "{message}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_end_when_asked_is_killed_after_the_grace() {
    let stayer = Stayer::bare().await;
    let (heard, ready) = (stayer.dir().join("heard"), stayer.dir().join("ready"));
    // `:` in place of the text would be the same, but then nobody would know that it was asked.
    let cmd = format!(
        "trap 'echo asked > {}' TERM; : > {}; while true; do sleep 0.1; done",
        heard.display(),
        ready.display()
    );
    stayer.launch(&sleeper("/app", json!({"cmd": cmd, "taskKillGracePeriodSeconds": 2}))).await;
    let task = stayer.running("/app", 1).await.remove(0);
    // A task runs from its start on; its shell has set the trap a moment later.
    stayer.until("it hears", async |_| ready.exists()).await;
    let processes = proc::of_task(&task);
    let began = Instant::now();
    stayer.delete("/v2/apps/app").await.expect(200);
    stayer.at_rest().await;
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(2) && took < slow(Duration::from_secs(20)), "{took:?}");
    assert_eq!(std::fs::read_to_string(heard).expect("it was asked first"), "asked\n");
    assert!(processes.iter().all(|process| !process.runs()));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_that_came_of_a_task_ends_with_it() {
    let stayer = Stayer::bare().await;
    // Children in a session and a group of their own, one of them without the environment by which they are found.
    let cmd =
        "sleep 1111 & setsid sleep 2222 & (trap '' TERM; sleep 3333; sleep 1000) & exec sleep 4444";
    stayer.launch(&sleeper("/app", json!({"cmd": cmd, "taskKillGracePeriodSeconds": 1}))).await;
    let task = stayer.running("/app", 1).await.remove(0);
    stayer
        .until("all have begun", |_| {
            let task = task.clone();
            async move {
                let lines: Vec<String> =
                    proc::of_task(&task).iter().map(|process| process.line()).collect();
                ["1111", "2222", "3333", "4444"]
                    .iter()
                    .all(|word| lines.iter().any(|line| *line == format!("sleep {word}")))
            }
        })
        .await;
    let processes = proc::of_task(&task);
    stayer.delete("/v2/apps/app").await.expect(200);
    stayer.at_rest().await;
    let left: Vec<String> =
        processes.iter().filter(|process| process.runs()).map(|process| process.line()).collect();
    assert_eq!(left, Vec::<String>::new());
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_main_process_that_ends_takes_its_children_along() {
    let stayer = Stayer::bare().await;
    let gate = stayer.dir().join("gate");
    let cmd =
        format!("sleep 1000 & while [ ! -e {} ]; do sleep 0.05; done; exit 5", gate.display());
    stayer.launch(&sleeper("/app", json!({"cmd": cmd, "backoffSeconds": 60}))).await;
    let task = stayer.running("/app", 1).await.remove(0);
    let child = stayer.process(&task, "sleep 1000").await;
    std::fs::write(gate, "").expect("a file");
    stayer.until("the child is gone", |_| async move { !child.runs() }).await;
    let app = stayer
        .wait("its end is told", async |stayer| {
            let app = stayer.get("/v2/apps/app?embed=app.lastTaskFailure").await.json();
            app["app"]["lastTaskFailure"]["message"].as_str().map(str::to_owned)
        })
        .await;
    assert_eq!(app, "Container exited with status 5");
    stayer.finish().await;
}
