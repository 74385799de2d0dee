//! The output of tasks, of those that run and of those that are gone.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{PATIENCE, Stayer, sleeper};

fn path(task: &Value, query: &str) -> String {
    format!("/v2/tasks/{}/logs{query}", task["id"].as_str().expect("an id"))
}

async fn has(stayer: &Stayer, path: &str, text: &str) -> String {
    stayer
        .wait(&format!("{path} has {text}"), async |stayer| {
            let answer = stayer.get(path).await;
            (answer.status == 200 && answer.text.contains(text)).then_some(answer.text)
        })
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_outputs_from_the_start_or_from_the_end() {
    let stayer = Stayer::bare().await;
    let cmd = "for i in 1 2 3 4 5; do echo out $i; echo err $i >&2; done; exec sleep 1000";
    stayer.launch(&sleeper("/app", json!({"cmd": cmd}))).await;
    let task = stayer.running("/app", 1).await.remove(0);
    assert_eq!(
        has(&stayer, &path(&task, ""), "out 5\n").await,
        "out 1\nout 2\nout 3\nout 4\nout 5\n"
    );
    let errors = has(&stayer, &path(&task, "?stream=stderr&tail=2"), "err 5\n").await;
    assert_eq!(errors, "err 4\nerr 5\n");
    assert_eq!(stayer.get(&path(&task, "?tail=0")).await.expect(200).text, "");
    let answer = stayer.get(&path(&task, "?stream=stdout")).await.expect(200);
    assert!(answer.header("content-type").starts_with("text/plain"));
    stayer.get(&path(&task, "?stream=stdin")).await.expect(400);
    stayer
        .get("/v2/tasks/app.instance-00000000-0000-0000-0000-000000000000._app.1/logs")
        .await
        .expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_follows_sees_what_comes_and_the_end() {
    let stayer = Stayer::bare().await;
    let gate = stayer.dir().join("gate");
    let cmd = format!("echo one; while [ ! -e {} ]; do sleep 0.05; done; echo two", gate.display());
    stayer.launch(&sleeper("/app", json!({"cmd": cmd, "backoffSeconds": 60}))).await;
    let task = stayer.running("/app", 1).await.remove(0);
    let request = stayer.request(Method::GET, &path(&task, "?follow=true")).timeout(*PATIENCE);
    let mut answer = request.send().await.expect("an answer");
    let mut text = String::new();
    while let Some(chunk) = answer.chunk().await.expect("it goes on until the task has ended") {
        text.push_str(std::str::from_utf8(&chunk).expect("UTF-8"));
        if text == "one\n" {
            std::fs::write(&gate, "").expect("a file");
        }
    }
    assert_eq!(text, "one\ntwo\n");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_a_task_that_is_gone_is_still_there() {
    let mut stayer = Stayer::bare().await;
    let cmd = "echo last words; echo the trouble >&2; exit 1";
    stayer.launch(&sleeper("/crash", json!({"cmd": cmd, "backoffSeconds": 60}))).await;
    let app = stayer
        .wait("it has crashed", async |stayer| {
            let app = stayer.get("/v2/apps/crash?embed=app.lastTaskFailure").await.json();
            Some(app["app"].clone()).filter(|app| app["lastTaskFailure"].is_object())
        })
        .await;
    let dead = json!({"id": app["lastTaskFailure"]["taskId"]});
    assert_eq!(has(&stayer, &path(&dead, ""), "last").await, "last words\n");
    assert_eq!(has(&stayer, &path(&dead, "?stream=stderr"), "trouble").await, "the trouble\n");
    // Also when its app is gone, and for the next server.
    stayer.delete("/v2/apps/crash").await.expect(200);
    stayer.at_rest().await;
    assert_eq!(has(&stayer, &path(&dead, ""), "last").await, "last words\n");
    stayer.kill();
    stayer.restart().await;
    assert_eq!(has(&stayer, &path(&dead, ""), "last").await, "last words\n");
    stayer.finish().await;
}
