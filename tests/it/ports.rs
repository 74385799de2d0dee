//! Fixed host ports that somebody has: another app, or a stranger.

use std::net::TcpListener;

use serde_json::{Value, json};

use crate::rig::{Stayer, ids, sleeper};

fn on(port: u16, fields: Value) -> Value {
    let mut app =
        json!({"requirePorts": true, "portDefinitions": [{"port": port, "protocol": "tcp"}]});
    let Value::Object(fields) = fields else { panic!("fields are an object") };
    app.as_object_mut().expect("written above").extend(fields);
    app
}

/// Waits until explain has this against the only agent; its words.
async fn against(stayer: &Stayer, id: &str, kind: &str) -> String {
    stayer
        .wait(&format!("{kind} stands against {id}"), async |stayer| {
            let told = stayer.get(&format!("/v2/apps{id}/explain")).await.json();
            let reasons = told["agents"][0]["reasons"].as_array().cloned().unwrap_or_default();
            let found = reasons.iter().find(|reason| reason["kind"] == kind)?;
            found["text"].as_str().map(str::to_owned)
        })
        .await
}

/// What the queue says of an app, once it has this to say: while it is tried it does not wait.
async fn in_queue(stayer: &Stayer, id: &str, details: &str) -> Value {
    stayer
        .wait(&format!("{id} waits, {details}"), async |stayer| {
            let queue = stayer.get("/v2/queue?embed=lastUnusedOffers").await.expect(200).json();
            let items = queue["queue"].as_array().cloned().expect("a list");
            let item = items.into_iter().find(|item| item["app"]["id"] == id)?;
            let told = item["lastUnusedOffers"][0]["details"][0].as_str()?;
            told.contains(details).then_some(item)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_another_app_is_waited_for_and_its_holder_named() {
    // PL-13; the issue, 4: who holds it, and what would help.
    let stayer = Stayer::bare().await;
    let port = stayer.ports.port(1);
    stayer.launch(&sleeper("/holder", on(port, json!({})))).await;
    let holder = ids(&stayer.running("/holder", 1).await).remove(0);
    stayer.launch(&sleeper("/waits", on(port, json!({})))).await;
    let told = against(&stayer, "/waits", "port-taken").await;
    assert_eq!(told, format!("port {port} taken by /holder ({holder})"));
    let explained = stayer.get("/v2/apps/waits/explain").await.json();
    let help = explained["help"][0].as_str().expect("help");
    assert!(help.contains("/holder") && help.contains(&port.to_string()), "{help}");
    let item = in_queue(&stayer, "/waits", &told).await;
    assert_eq!(item["lastUnusedOffers"][0]["reason"], json!(["InsufficientPorts"]));
    assert_eq!(item["lastUnusedOffers"][0]["details"], json!([told]));
    assert_eq!(stayer.all_tasks("/waits").await, Vec::<Value>::new());
    stayer.delete("/v2/apps/holder").await.expect(200);
    let task = stayer.running("/waits", 1).await.remove(0);
    assert_eq!(task["ports"], json!([port]));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_a_stranger_is_found_before_the_start_and_taken_once_it_is_free() {
    let stayer = Stayer::bare().await;
    let port = stayer.ports.port(2);
    let stranger = TcpListener::bind(("0.0.0.0", port)).expect("nobody else has it");
    stayer.launch(&sleeper("/waits", on(port, json!({})))).await;
    let me = format!("(pid {})", std::process::id());
    let told = against(&stayer, "/waits", "port-foreign").await;
    assert!(told.contains(&port.to_string()) && told.contains(&me), "{told}");
    let failure = stayer.wait("it has failed", async |it| it.failure_of("/waits").await).await;
    assert!(failure.contains(&me), "{failure}");
    in_queue(&stayer, "/waits", &me).await;
    drop(stranger);
    let task = stayer.running("/waits", 1).await.remove(0);
    assert_eq!(task["ports"], json!([port]));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dynamic_port_of_a_stranger_is_passed_over() {
    let stayer = Stayer::bare().await;
    // All but two ports of the range are somebody's.
    let strangers: Vec<TcpListener> = (1..3)
        .map(|no| {
            TcpListener::bind(("0.0.0.0", stayer.ports.port(no))).expect("nobody else has it")
        })
        .collect();
    let range = format!("ports:[{}-{}]", stayer.ports.port(0), stayer.ports.port(3));
    let other = Stayer::bare_with(&["--resources", &range]).await;
    let dynamic = json!({"instances": 2, "portDefinitions": [{"port": 0}]});
    other.launch(&sleeper("/app", dynamic)).await;
    let tasks = other.running("/app", 2).await;
    let mut given: Vec<u64> = tasks.iter().filter_map(|task| task["ports"][0].as_u64()).collect();
    given.sort_unstable();
    assert_eq!(given, [u64::from(stayer.ports.port(0)), u64::from(stayer.ports.port(3))]);
    drop(strangers);
    other.finish().await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_comes_back_is_not_kept_from_its_own_port() {
    let mut stayer = Stayer::bare().await;
    let port = stayer.ports.port(3);
    let serve = json!({"cmd": format!("exec python3 -m http.server --bind 127.0.0.1 {port}")});
    stayer.launch(&sleeper("/web", on(port, serve))).await;
    let before = stayer.running("/web", 1).await;
    stayer
        .until("it listens", |_| async move {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        })
        .await;
    stayer.kill();
    stayer.restart().await;
    assert_eq!(ids(&stayer.running("/web", 1).await), ids(&before));
    stayer.process(&before[0], "python3").await.signal("KILL");
    let id = ids(&before).remove(0);
    stayer
        .until("another one listens in its place", |stayer| {
            let id = id.clone();
            async move {
                let now = ids(&stayer.tasks("/web", "TASK_RUNNING").await);
                now.len() == 1
                    && now[0] != id
                    && std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
            }
        })
        .await;
    stayer.finish().await;
}
