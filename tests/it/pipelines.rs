//! `stayer plan`, `deploy` and `rollback` against a real server with real processes: each exit code, and what is said.

use serde_json::{Value, json};

use crate::proc;
use crate::rig::{Ended, Slice, Stayer, command, ids, run, sleeper};

/// Writes an app into a file.
fn file(stayer: &Stayer, app: &Value) -> String {
    let path = stayer.dir().join("app.json");
    std::fs::write(&path, app.to_string()).expect("a file");
    path.display().to_string()
}

/// Deploys an app as a pipeline does.
fn deploy(stayer: &Stayer, app: &Value, more: &[&str]) -> Ended {
    let file = file(stayer, app);
    stayer.cli(&[&["deploy", &file, "--wait", "--output", "json"], more].concat())
}

fn report(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"))
}

/// The same app, which ends at once.
fn broken(id: &str, more: Value) -> Value {
    let mut app = sleeper(id, more);
    app["cmd"] = json!("echo broken; exit 3");
    app
}

/// The same app, which cannot be started.
fn never(id: &str, more: Value) -> Value {
    let mut app = sleeper(id, more);
    app["user"] = json!("no-such-account");
    app
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_creates_updates_and_says_so_with_0() {
    let stayer = Stayer::bare().await;
    let junit = stayer.dir().join("junit.xml").display().to_string();
    let created = deploy(&stayer, &sleeper("/web", json!({"instances": 2})), &["--junit", &junit]);
    assert_eq!(created.code, 0, "{created:?}");
    let told = report(&created);
    assert_eq!(
        (&told["outcome"], &told["apps"][0]["ready"]),
        (&json!("done"), &json!(2)),
        "{told}"
    );
    assert!(created.err.contains("/web: 2 of 2 ready"), "a line for each change: {created:?}");
    let written = std::fs::read_to_string(&junit).expect("it was written");
    assert!(written.contains("tests=\"2\" failures=\"0\""), "{written}");
    let before = ids(&stayer.tasks("/web", "TASK_RUNNING").await);
    // A list, whose app has another configuration now, and one more.
    let list = json!([{"id": "/web", "cmd": "exec sleep 999"}, sleeper("/db", json!({}))]);
    let updated = deploy(&stayer, &list, &[]);
    assert_eq!(updated.code, 0, "{updated:?}");
    let after = ids(&stayer.tasks("/web", "TASK_RUNNING").await);
    assert!(after.len() == 2 && after.iter().all(|task| !before.contains(task)), "{after:?}");
    let same = deploy(&stayer, &list, &[]);
    assert_eq!((same.code, &report(&same)["outcome"]), (0, &json!("done")), "{same:?}");
    assert_eq!(ids(&stayer.tasks("/web", "TASK_RUNNING").await), after, "nothing was restarted");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_and_network_are_1_and_a_refusal_is_2() {
    let stayer = Stayer::bare().await;
    assert_eq!(stayer.cli(&["deploy", "/nonexistent.json"]).code, 1);
    assert_eq!(stayer.cli(&["deploy"]).code, 1);
    let body = file(&stayer, &sleeper("/web", json!({})));
    let nobody = run(command().args(["deploy", &body, "--server", "http://127.0.0.1:1"]));
    assert_eq!(nobody.code, 1, "{nobody:?}");
    let refused = deploy(&stayer, &json!({"id": "/web", "instances": -1}), &[]);
    assert_eq!(
        (refused.code, &report(&refused)["outcome"]),
        (2, &json!("rejected")),
        "{refused:?}"
    );
    assert!(refused.err.contains("/instances"), "{refused:?}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_is_rolled_back_is_3_and_names_its_cause() {
    let stayer = Stayer::bare().await;
    assert_eq!(deploy(&stayer, &sleeper("/web", json!({"instances": 2})), &[]).code, 0);
    let before = ids(&stayer.tasks("/web", "TASK_RUNNING").await);
    let limits = ["--max-failures", "1", "--on-failure", "rollback"];
    let failed = deploy(&stayer, &broken("/web", json!({"instances": 2})), &limits);
    assert_eq!(failed.code, 3, "{failed:?}");
    let told = report(&failed);
    assert_eq!(told["outcome"], "rolledBack", "{told}");
    assert!(told["rollback"].is_string() && told["cause"].is_string(), "{told}");
    assert!(told["autopsy"]["taskId"].is_string(), "{told}");
    for said in ["FAILED", "status 3", "taken back by", " failed at "] {
        assert!(failed.err.contains(said), "{said}: {failed:?}");
    }
    assert_eq!(ids(&stayer.tasks("/web", "TASK_RUNNING").await), before, "none was touched");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_that_fails_too_is_4() {
    let stayer = Stayer::bare().await;
    let gate = stayer.dir().join("gate");
    std::fs::write(&gate, "").expect("the gate is open");
    let strategy = json!({"minimumHealthCapacity": 0, "maximumOverCapacity": 0});
    let cmd = format!("test -e {} && exec sleep 1000; exit 1", gate.display());
    let good = sleeper("/web", json!({"cmd": cmd, "upgradeStrategy": strategy}));
    assert_eq!(deploy(&stayer, &good, &[]).code, 0);
    std::fs::remove_file(&gate).expect("the gate is shut");
    let limits = ["--deadline", "2s", "--on-failure", "rollback"];
    let failed = deploy(&stayer, &never("/web", json!({"upgradeStrategy": strategy})), &limits);
    assert_eq!(failed.code, 4, "{failed:?}");
    assert_eq!(report(&failed)["outcome"], "rollbackFailed");
    std::fs::write(&gate, "").expect("the gate is open");
    stayer.running("/web", 1).await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_a_human_is_5() {
    let stayer = Stayer::bare().await;
    assert_eq!(deploy(&stayer, &sleeper("/web", json!({})), &[]).code, 0);
    let next = never("/web", json!({}));
    let paused = deploy(&stayer, &next, &["--deadline", "1s", "--on-failure", "pause"]);
    assert_eq!((paused.code, &report(&paused)["outcome"]), (5, &json!("paused")), "{paused:?}");
    assert!(paused.err.contains("stayer deployment resume"), "{paused:?}");
    let next = never("/web", json!({"cpus": 0.05}));
    let failed = deploy(&stayer, &next, &["--force", "--deadline", "1s"]);
    assert_eq!((failed.code, &report(&failed)["outcome"]), (5, &json!("failed")), "{failed:?}");
    assert!(failed.err.contains("no-such-account"), "{failed:?}");
    let next = never("/web", json!({"cpus": 0.02}));
    let unfinished = deploy(&stayer, &next, &["--timeout", "1s"]);
    assert_eq!((unfinished.code, &report(&unfinished)["outcome"]), (5, &json!("unfinished")));
    let held = deploy(&stayer, &never("/web", json!({"cpus": 0.03})), &[]);
    assert_eq!(held.code, 2, "a lock refuses: {held:?}");
    assert!(held.err.contains("held by deployment"), "{held:?}");
    // Somebody goes over it while it is followed.
    let body = file(&stayer, &never("/web", json!({"cpus": 0.04})));
    let (url, line) = (stayer.url.clone(), body.clone());
    let followed = tokio::task::spawn_blocking(move || {
        run(command()
            .args(["deploy", &line, "--force", "--output", "json"])
            .env("STAYER_SERVER", url))
    });
    stayer
        .until("it is followed", |stayer| async { stayer.app("/web").await["cpus"] == json!(0.04) })
        .await;
    stayer
        .put("/v2/apps/web?force=true&partialUpdate=false", &sleeper("/web", json!({})))
        .await
        .expect(200);
    let followed = followed.await.expect("it ends");
    assert_eq!(
        (followed.code, &report(&followed)["outcome"]),
        (5, &json!("superseded")),
        "{followed:?}"
    );
    stayer.at_rest().await;
    stayer.finish().await;
}

/// U4: without limits and checks a deployment is done once something ran; that it ends right after that is no success.
#[tokio::test(flavor = "multi_thread")]
async fn what_ends_right_after_its_start_is_no_success() {
    let stayer = Stayer::bare().await;
    let ended = deploy(&stayer, &broken("/web", json!({})), &[]);
    assert_eq!((ended.code, &report(&ended)["outcome"]), (5, &json!("notRunning")), "{ended:?}");
    assert!(ended.err.contains("status 3"), "{ended:?}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_meanwhile_is_ridden_out() {
    let own = Slice::claim();
    let listen = format!("127.0.0.1:{}", own.port(0));
    let mut stayer = Stayer::bare_with(&["--listen", &listen]).await;
    let gate = stayer.dir().join("gate");
    let cmd = format!("until test -e {}; do sleep 0.1; done; exec sleep 1000", gate.display());
    let check = json!([{"protocol": "COMMAND", "command": {"value": format!("test -e {}", gate.display())},
        "intervalSeconds": 1, "gracePeriodSeconds": 600}]);
    let body = file(&stayer, &sleeper("/web", json!({"cmd": cmd, "healthChecks": check})));
    let url = stayer.url.clone();
    let followed = tokio::task::spawn_blocking(move || {
        run(command().args(["deploy", &body]).env("STAYER_SERVER", url))
    });
    stayer
        .until("it is on its way", |stayer| async {
            !stayer.tasks("/web", "TASK_RUNNING").await.is_empty()
        })
        .await;
    stayer.kill();
    stayer.restart().await;
    std::fs::write(&gate, "").expect("the gate opens");
    let followed = followed.await.expect("it ends");
    assert_eq!(followed.code, 0, "{followed:?}");
    assert!(followed.out.starts_with("the deployment is done"), "{followed:?}");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stops_waiting_is_told_how_to_go_on() {
    let stayer = Stayer::bare().await;
    let body = file(&stayer, &never("/web", json!({})));
    let child = command()
        .args(["deploy", &body])
        .env("STAYER_SERVER", &stayer.url)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    let id = stayer
        .wait("it has failed once", async |stayer| {
            let all = stayer.get("/v2/deployments?embed=state").await.json();
            let one = all.get(0).filter(|one| one["lastFailure"].is_object())?;
            one["id"].as_str().map(str::to_owned)
        })
        .await;
    proc::signal(child.id(), "INT");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{said}");
    assert!(said.contains(&format!("stayer deployment cancel {id}")), "{said}");
    let all = stayer.get("/v2/deployments").await.json();
    assert_eq!(all[0]["id"], id.as_str(), "it goes on");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_what_comes_and_changes_nothing() {
    let stayer = Stayer::bare().await;
    let body = file(&stayer, &sleeper("/web", json!({"instances": 2})));
    let planned = stayer.cli(&["plan", &body]);
    assert_eq!(planned.code, 0, "{planned:?}");
    assert!(planned.out.contains("+ /web is created with 2 instances"), "{planned:?}");
    assert!(planned.out.contains("starts 2 on"), "{planned:?}");
    assert!(!planned.out.contains('\u{1b}'), "no colours in a pipe: {planned:?}");
    assert_eq!(stayer.get("/v2/apps").await.json(), json!({"apps": []}));
    assert_eq!(stayer.cli(&["deploy", &body]).code, 0);
    let same = stayer.cli(&["plan", &body]);
    assert_eq!((same.code, same.out.contains("nothing changes")), (0, true), "{same:?}");
    let before = ids(&stayer.tasks("/web", "TASK_RUNNING").await);
    let mut next = sleeper(
        "/web",
        json!({"instances": 2, "mem": 17,
        "upgradeStrategy": {"minimumHealthCapacity": 0, "maximumOverCapacity": 0}}),
    );
    let restarts = stayer.cli(&["plan", &file(&stayer, &next), "--output", "json"]);
    let plan: Value = serde_json::from_str(&restarts.out).expect("JSON");
    let kinds: Vec<&str> = plan["apps"][0]["warnings"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one["kind"].as_str().expect("a text"))
        .collect();
    assert_eq!(kinds, ["downtime", "restarts"], "{plan}");
    next["mem"] = json!(900_000_000);
    let huge = stayer.cli(&["plan", &file(&stayer, &next)]);
    assert_eq!(huge.code, 0);
    assert!(huge.out.contains("needs 900000000 MiB of memory"), "{huge:?}");
    let refused = stayer.cli(&["plan", &file(&stayer, &json!({"id": "/web", "instances": -1}))]);
    assert_eq!(refused.code, 2, "{refused:?}");
    assert_eq!(ids(&stayer.tasks("/web", "TASK_RUNNING").await), before, "nothing was changed");
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rollback_goes_to_what_ran_well_and_keeps_the_count() {
    let stayer = Stayer::bare().await;
    assert_eq!(deploy(&stayer, &sleeper("/web", json!({})), &[]).code, 0);
    let nowhere = stayer.cli(&["rollback", "/web"]);
    assert_eq!(nowhere.code, 2, "{nowhere:?}");
    assert!(nowhere.err.contains("no earlier version"), "{nowhere:?}");
    let next = sleeper("/web", json!({"cmd": "exec sleep 999"}));
    assert_eq!(deploy(&stayer, &next, &[]).code, 0);
    let limits = ["--max-failures", "0", "--on-failure", "rollback"];
    assert_eq!(deploy(&stayer, &broken("/web", json!({})), &limits).code, 3);
    assert_eq!(stayer.cli(&["app", "scale", "/web", "2"]).code, 0);
    let back = stayer.cli(&["rollback", "/web", "--wait"]);
    assert_eq!(back.code, 0, "{back:?}");
    let app = stayer.app("/web").await;
    assert_eq!((&app["cmd"], &app["instances"]), (&json!("exec sleep 1000"), &json!(2)), "{app}");
    stayer.finish().await;
}
