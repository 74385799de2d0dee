//! The command line against a real server.

use serde_json::{Value, json};

use crate::rig::{Ended, Stayer, command, ids, run, sleeper};

fn file(stayer: &Stayer, name: &str, text: &str) -> String {
    let path = stayer.dir().join(name);
    std::fs::write(&path, text).expect("a file");
    path.display().to_string()
}

/// A verb that goes on while the test does.
fn run_beside(stayer: &Stayer, args: &[&str]) -> tokio::task::JoinHandle<Ended> {
    let mut verb = command();
    verb.args(args).env("STAYER_SERVER", &stayer.url);
    tokio::task::spawn_blocking(move || run(&mut verb))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_from_added_to_removed() {
    let stayer = Stayer::bare().await;
    let body = file(&stayer, "app.json", &sleeper("/shop/front", json!({})).to_string());
    let added = stayer.cli(&["app", "add", &body]);
    assert_eq!(added.code, 0, "{added:?}");
    assert!(added.out.contains("/shop/front"), "{added:?}");
    let again = stayer.cli(&["app", "add", &body]);
    assert_eq!(again.code, 2, "{again:?}");
    assert!(again.err.contains("already exists"), "{again:?}");

    let listed = stayer.cli(&["app", "list"]);
    assert_eq!(listed.code, 0);
    assert!(listed.out.contains("/shop/front") && listed.out.contains("1/1"), "{}", listed.out);
    let listed = stayer.cli(&["app", "list", "--output", "json"]);
    let json: Value = serde_json::from_str(&listed.out).expect("JSON");
    assert_eq!(json["apps"][0]["id"], "/shop/front");

    assert_eq!(stayer.cli(&["app", "scale", "shop/front", "3"]).code, 0);
    let three = ids(&stayer.tasks("/shop/front", "TASK_RUNNING").await);
    assert_eq!(three.len(), 3, "it has waited for them");
    assert_eq!(
        stayer.cli(&["app", "update", "/shop/front", "cpus=0.02", r#"env={"A":"b"}"#]).code,
        0
    );
    let app = stayer.app("/shop/front").await;
    assert_eq!((&app["cpus"], &app["env"]), (&json!(0.02), &json!({"A": "b"})));
    let updated = ids(&stayer.tasks("/shop/front", "TASK_RUNNING").await);
    assert!(updated.len() == 3 && updated.iter().all(|task| !three.contains(task)));
    assert_eq!(stayer.cli(&["app", "restart", "/shop/front"]).code, 0);
    let restarted = ids(&stayer.tasks("/shop/front", "TASK_RUNNING").await);
    assert!(restarted.len() == 3 && restarted.iter().all(|task| !updated.contains(task)));

    let shown = stayer.cli(&["app", "show", "/shop/front"]);
    assert_eq!(shown.code, 0);
    assert!(shown.out.contains("exec sleep 1000"), "{}", shown.out);
    let tasks = stayer.cli(&["ps", "/shop/front"]);
    assert!(restarted.iter().all(|task| tasks.out.contains(task)), "{}", tasks.out);

    assert_eq!(stayer.cli(&["app", "remove", "/shop/front"]).code, 0);
    assert_eq!(stayer.all_tasks("/shop/front").await, Vec::<Value>::new());
    assert_eq!(stayer.cli(&["app", "show", "/shop/front"]).code, 2);
    assert_eq!(stayer.cli(&["app", "scale", "/shop/front", "x"]).code, 1);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_task_writes_and_why_an_app_waits() {
    let stayer = Stayer::bare().await;
    let cmd = "echo hello; echo trouble >&2; exec sleep 1000";
    stayer.launch(&sleeper("/talks", json!({"cmd": cmd}))).await;
    let id = ids(&stayer.running("/talks", 1).await).remove(0);
    stayer
        .until("it has said it", |stayer| async {
            stayer.cli(&["logs", "/talks"]).out == "hello\n"
        })
        .await;
    let errors = stayer.cli(&["logs", &id, "--stderr", "--tail", "1"]);
    assert_eq!((errors.code, errors.out.as_str()), (0, "trouble\n"));
    assert_eq!(stayer.cli(&["logs", "/none"]).code, 1);

    stayer.launch(&sleeper("/huge", json!({"mem": 900_000_000}))).await;
    let told = stayer.cli(&["explain", "/huge"]);
    assert_eq!(told.code, 0);
    assert!(told.out.contains("needs 900000000 MiB of memory"), "{}", told.out);
    assert!(told.out.contains("what would help"), "{}", told.out);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deployments_and_what_does_not_come_to_be() {
    let stayer = Stayer::bare().await;
    let never = json!({"user": "no-such-account", "backoffSeconds": 60});
    let body = file(&stayer, "never.json", &sleeper("/never", never).to_string());
    let timed_out = stayer.cli(&["app", "add", &body, "--timeout", "2"]);
    assert_eq!(timed_out.code, 5, "{timed_out:?}");
    let listed = stayer.cli(&["deployment", "list"]);
    assert!(listed.out.contains("/never"), "{}", listed.out);
    let all = stayer.get("/v2/deployments").await.json();
    let id = all[0]["id"].as_str().expect("one runs").to_owned();
    let cancelled = stayer.cli(&["deployment", "cancel", &id]);
    assert_eq!(cancelled.code, 0, "{cancelled:?}");
    stayer.at_rest().await;
    stayer.get("/v2/apps/never").await.expect(404);
    assert_eq!(stayer.cli(&["deployment", "cancel", &id]).code, 2);
    // Somebody else ends it half-way: then it is over, and not everything runs.
    let adding = run_beside(&stayer, &["app", "add", &body]);
    let id = stayer
        .wait("it has begun", async |stayer| {
            let all = stayer.get("/v2/deployments").await.json();
            all[0]["id"].as_str().map(str::to_owned)
        })
        .await;
    stayer.wait("its task has failed", async |it| it.failure_of("/never").await).await;
    stayer.delete(&format!("/v2/deployments/{id}?force=true")).await.expect(202);
    let added = adding.await.expect("it ends");
    assert_eq!(added.code, 5, "{added:?}");
    assert!(added.err.contains("no-such-account"), "{added:?}");
    let nobody = run(command().args(["app", "list", "--server", "http://127.0.0.1:1"]));
    assert_eq!(nobody.code, 1, "{nobody:?}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_is_backed_up_dumped_checked_and_restored() {
    let mut stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/kept", json!({"instances": 2}))).await;
    stayer.running("/kept", 2).await;
    let dir = stayer.dir().display().to_string();
    let backup = stayer.dir().join("backup").display().to_string();
    let made = stayer.cli(&["store", "backup", &backup, "--data-dir", &dir]);
    assert_eq!(made.code, 0, "{made:?}");
    // A store in use is not read.
    let busy = stayer.cli(&["store", "check", &dir]);
    assert_eq!(busy.code, 1, "{busy:?}");
    stayer.kill();
    let checked = stayer.cli(&["store", "check", &dir]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let dumped = stayer.cli(&["store", "dump", &dir]);
    assert_eq!(dumped.code, 0, "{dumped:?}");
    assert!(dumped.out.contains("/kept"), "{}", dumped.out);
    for line in dumped.out.lines() {
        let _row: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    let other = tempfile::tempdir().expect("a directory");
    let restored = stayer.cli(&["store", "restore", &backup, &other.path().display().to_string()]);
    assert_eq!(restored.code, 0, "{restored:?}");
    let checked = stayer.cli(&["store", "check", &other.path().display().to_string()]);
    assert_eq!(checked.code, 0, "{checked:?}");
    stayer.restart().await;
    stayer.running("/kept", 2).await;
    stayer.finish().await;
}

#[test]
fn a_record_of_facts_is_replayed() {
    let data = tempfile::tempdir().expect("a directory");
    let path = data.path().join("facts");
    let head =
        r#"{"epoch":1,"now":1700000000000,"cluster":"00000000-0000-0000-0000-000000000007"}"#;
    std::fs::write(&path, format!("{head}\n{{\"now\":1700000000100}}\n")).expect("a file");
    let replayed = run(command().arg("replay").arg(&path));
    assert_eq!(replayed.code, 0, "{replayed:?}");
    assert!(!replayed.out.is_empty());
    std::fs::write(&path, format!("{head}\nnonsense\n")).expect("a file");
    let refused = run(command().arg("replay").arg(&path));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("line 2"), "{refused:?}");
}
