//! From nothing to a running task: what is printed, what a plain `curl` and a simple poller meet, and who is refused.

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Slice, Stayer, command, reply, run, sleeper};

#[tokio::test(flavor = "multi_thread")]
async fn the_banner_says_where_what_and_how_to_begin() {
    let own = Slice::claim();
    let range = format!("{}-{}", own.port(0), own.port(1));
    let resources = format!("cpus:3;mem:512;gpus:2;ports:[{range}]");
    let stayer = Stayer::bare_with(&["--resources", &resources]).await;
    let banner = &stayer.banner;
    for part in [
        stayer.url.as_str(),
        stayer.dir().to_str().expect("UTF-8"),
        "3 cpus, 512 MiB of memory",
        &format!("ports {range}"),
        "engine     none",
    ] {
        assert!(banner.contains(part), "{part} is missing:\n{banner}");
    }
    let devices = banner.lines().find(|line| line.contains("devices")).expect("devices are named");
    assert_eq!(devices.split(',').count(), 2, "{devices}");
    // The line to paste, as a shell takes it.
    let line = banner.lines().find_map(|line| line.strip_prefix("Try it:  ")).expect("a curl line");
    let pasted = run(std::process::Command::new("sh").args(["-c", &format!("{line} -sS -m 20")]));
    assert_eq!(pasted.code, 0, "{}", pasted.err);
    let created: Value = serde_json::from_str(&pasted.out).expect("an app");
    assert_eq!(created["id"], "/hello");
    stayer.running("/hello", 1).await;
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_without_a_type_is_taken_and_its_task_runs() {
    let stayer = Stayer::bare().await;
    let body = sleeper("plain", json!({})).to_string();
    let request = stayer.request(Method::POST, "/v2/apps").body(body);
    let created = reply(request).await.expect(201);
    assert_eq!(created.header("location"), format!("{}/plain", stayer.url));
    let deployment = created.header("marathon-deployment-id");
    assert_eq!(created.json()["deployments"], json!([{"id": deployment}]));
    // The type that `curl -d` declares by itself.
    let form = stayer
        .request(Method::POST, "/v2/apps")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(sleeper("form", json!({})).to_string());
    reply(form).await.expect(201);
    stayer.running("/plain", 1).await;
    stayer.running("/form", 1).await;
    let again = stayer.post("/v2/apps", &sleeper("/plain", json!({}))).await.expect(409);
    assert!(again.text.contains("already exists"), "{}", again.text);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poller_of_tasks_sees_only_bodies_that_parse() {
    // Seed 0-1: `GET /v2/apps/nordicdatasummit/tasks` for ever, from before the app is there until after it is gone.
    let stayer = Arc::new(Stayer::bare().await);
    let (over, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let pollers: Vec<_> = (0..8)
        .map(|_| {
            let (stayer, over, seen) = (stayer.clone(), over.clone(), seen.clone());
            tokio::spawn(async move {
                let mut polls = 0_u32;
                while !over.load(Ordering::Relaxed) {
                    let answer = stayer.get("/v2/apps/nordicdatasummit/tasks").await;
                    assert!(matches!(answer.status, 200 | 404), "{answer:?}");
                    let body = answer.json();
                    for task in body["tasks"].as_array().into_iter().flatten() {
                        assert!(task["host"].is_string() && task["ports"].is_array(), "{task}");
                        seen.store(true, Ordering::Relaxed);
                    }
                    polls += 1;
                }
                polls
            })
        })
        .collect();
    stayer.launch(&sleeper("/nordicdatasummit", json!({"instances": 3}))).await;
    stayer.running("/nordicdatasummit", 3).await;
    stayer.put("/v2/apps/nordicdatasummit", &json!({"env": {"A": "B"}})).await.expect(200);
    stayer.running("/nordicdatasummit", 3).await;
    stayer.delete("/v2/apps/nordicdatasummit").await.expect(200);
    stayer.at_rest().await;
    over.store(true, Ordering::Relaxed);
    let mut polls = 0;
    for poller in pollers {
        polls += poller.await.expect("every answer parses");
    }
    assert!(polls > 20 && seen.load(Ordering::Relaxed), "{polls} polls");
    Arc::into_inner(stayer).expect("the pollers are gone").finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_are_refused_at_the_socket() {
    let stayer = Stayer::bare_with(&["--allow-host", "stayer.test"]).await;
    let get = |name: &'static str, value: String| {
        reply(stayer.request(Method::GET, "/v2/apps").header(name, value))
    };
    let port = stayer.url.rsplit(':').next().expect("a port");
    for (name, value, status) in [
        ("host", format!("localhost:{port}"), 200),
        ("host", "[::1]:8080".to_owned(), 200),
        ("host", "10.1.2.3".to_owned(), 200),
        ("host", "stayer.test".to_owned(), 200),
        ("host", "rebound.example".to_owned(), 403),
        ("origin", "http://rebound.example".to_owned(), 403),
        ("origin", "null".to_owned(), 403),
        ("origin", stayer.url.clone(), 200),
        ("sec-fetch-site", "cross-site".to_owned(), 403),
        ("sec-fetch-site", "same-site".to_owned(), 403),
        ("sec-fetch-site", "same-origin".to_owned(), 200),
    ] {
        let answer = get(name, value.clone()).await;
        assert_eq!(answer.status, status, "{name}: {value}: {}", answer.text);
        assert!(status == 200 || answer.json()["message"].is_string(), "{}", answer.text);
    }
    // What a page may send without asking creates nothing.
    let page = stayer
        .request(Method::POST, "/v2/apps")
        .header("sec-fetch-mode", "no-cors")
        .header("content-type", "text/plain")
        .body(sleeper("/page", json!({})).to_string());
    reply(page).await.expect(415);
    stayer.get("/v2/apps/page").await.expect(404);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_large_too_deep_and_not_json_are_refused_and_nothing_breaks() {
    // Reliability 5.4: 2 MiB for an app, 32 MiB for arrays.
    let stayer = Stayer::bare().await;
    let long = sleeper("/long", json!({"labels": {"a": "x".repeat(2 << 20)}}));
    for _ in 0..10 {
        // Whoever is still sending hears it too.
        let refused = stayer.post("/v2/apps", &long).await.expect(413);
        assert!(refused.json()["message"].is_string());
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    stayer.send(Method::POST, "/v2/apps", Some(deep)).await.expect(400);
    let broken = r#"{"id":"/broken" "cmd":"true"}"#.to_owned();
    let told = stayer.send(Method::POST, "/v2/apps", Some(broken)).await.expect(400).json();
    assert!(told["details"].is_string(), "{told}");
    let wrong = json!({"id": "/wrong", "cmd": true, "cpus": "many", "instances": -1});
    let faults = stayer.post("/v2/apps", &wrong).await.expect(422).json();
    let paths = faults["details"].as_array().map(Vec::len);
    assert!(paths >= Some(2), "all at once: {faults}");
    assert_eq!(stayer.get("/v2/apps").await.expect(200).json(), json!({"apps": []}));
    stayer.finish().await;
}

#[test]
fn another_address_than_loopback_is_refused_unless_it_is_said_twice() {
    let data = tempfile::tempdir().expect("a directory");
    let refused = run(command()
        .args(["dev", "--listen", "0.0.0.0:0", "--data-dir"])
        .arg(data.path().join("new")));
    assert_eq!(refused.code, 1, "{}", refused.err);
    assert!(refused.err.contains("--insecure-no-auth"), "{}", refused.err);
    assert!(refused.err.contains("no authentication"), "{}", refused.err);
    assert!(!data.path().join("new").exists(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_server_on_the_same_directory_is_refused_in_one_sentence() {
    let stayer = Stayer::bare().await;
    let second = run(command()
        .args(["dev", "--listen", "127.0.0.1:0", "--no-engine", "--data-dir"])
        .arg(stayer.dir()));
    assert_eq!(second.code, 1, "{}", second.err);
    assert_eq!(second.err.trim().lines().count(), 1, "{}", second.err);
    assert!(second.err.contains("another server uses"), "{}", second.err);
    assert!(second.err.contains(stayer.dir().to_str().expect("UTF-8")), "{}", second.err);
    // The first one notices nothing.
    stayer.get("/ping").await.expect(200);
    stayer.finish().await;
}

#[test]
fn help_names_every_variable_and_default() {
    let help = run(command().args(["dev", "--help"]).stderr(Stdio::inherit()));
    assert_eq!(help.code, 0);
    for part in [
        "STAYER_LISTEN",
        "STAYER_DATA_DIR",
        "STAYER_STOP_TASKS",
        "STAYER_LOG_FORMAT",
        "127.0.0.1:8080",
    ] {
        assert!(help.out.contains(part), "{part}:\n{}", help.out);
    }
    let flags = help.out.matches("      --").count();
    let known = help.out.matches("[env: ").count() + help.out.matches("--help").count();
    assert!(flags > 10 && known >= flags, "{known} of {flags}:\n{}", help.out);
    let version = run(command().arg("--version"));
    assert_eq!(
        (version.code, version.out.trim()),
        (0, concat!("stayer ", env!("CARGO_PKG_VERSION")))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_is_as_good_as_its_flag_and_logs_may_be_json() {
    let variables = [("STAYER_HOSTNAME", "box.test"), ("STAYER_LOG_FORMAT", "json")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let data = tempfile::tempdir().expect("a directory");
    let stayer = Stayer::in_dir(data, vec!["--no-engine".to_owned()], variables).await;
    stayer.launch(&sleeper("/named", json!({}))).await;
    assert_eq!(stayer.running("/named", 1).await[0]["host"], "box.test");
    stayer.until("something is logged", |stayer| async { !stayer.said().is_empty() }).await;
    // The last one may be on its way.
    let said = stayer.said();
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    for line in whole.lines() {
        let _log: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    }
    stayer.finish().await;
}
