//! What no engine at hand does on demand: other versions, hanging, going away, answering half.

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::agent::docker::call::Deadlines;
use crate::agent::docker::connect::{ConnectError, Search, find};
use crate::agent::docker::rig::{
    Answer, FalseEngine, docker, impatient, launch, owner, progress, spec,
};
use crate::agent::runtime::{Runtime, RuntimeError};
use crate::model::reason::Reason;

fn say(body: &str) -> Answer {
    Answer::Say(200, body.to_owned())
}

/// An engine of this newest API version that answers all but `/version` with `rest`.
fn version(line: &str, newest: &str, rest: impl FnOnce() -> Answer) -> Answer {
    if line == "GET /version" {
        say(&format!(r#"{{"ApiVersion": "{newest}", "MinAPIVersion": "1.24", "Version": "99"}}"#))
    } else if line.ends_with("/info") {
        say("{}")
    } else {
        rest()
    }
}

#[tokio::test]
async fn every_request_but_the_first_carries_the_version_that_both_speak() {
    // engines.md §1: the library alone sends none.
    for (newest, spoken) in [("1.41", "1.41"), ("1.53", "1.53"), ("1.60", "1.53")] {
        let engine = FalseEngine::new(move |line| version(line, newest, || say("[]")));
        let runtime = engine.runtime(owner(), Deadlines::default()).await;
        assert_eq!(runtime.facts().engine.api, spoken);
        assert_eq!(runtime.list().await, Ok(Vec::new()));
        let asked = engine.asked.lock().expect("not poisoned").clone();
        assert_eq!(asked[0], "GET /version");
        for line in &asked[1..] {
            assert!(
                line.split(' ')
                    .nth(1)
                    .is_some_and(|path| path.starts_with(&format!("/v{spoken}/"))),
                "{line}"
            );
        }
    }
}

#[tokio::test]
async fn an_engine_exchanged_for_another_is_negotiated_with_again() {
    let minor = Arc::new(AtomicU16::new(53));
    let current = Arc::clone(&minor);
    let engine = FalseEngine::new(move |line| {
        let newest = format!("1.{}", current.load(Ordering::Relaxed));
        version(line, &newest, || {
            if line.contains(&format!("/v{newest}/")) {
                say("[]")
            } else {
                let text =
                    format!("client version is too new. Maximum supported API version is {newest}");
                Answer::Say(400, format!(r#"{{"message": "{text}"}}"#))
            }
        })
    });
    let runtime = engine.runtime(owner(), Deadlines::default()).await;
    assert_eq!(runtime.list().await, Ok(Vec::new()));
    minor.store(41, Ordering::Relaxed);
    let outcome = runtime.list().await;
    assert!(matches!(outcome, Err(RuntimeError::Unknown(_))), "never an end: {outcome:?}");
    assert_eq!(runtime.list().await, Ok(Vec::new()), "the next call speaks the other's version");
}

#[tokio::test]
async fn an_engine_that_hangs_or_cuts_leaves_everything_unknown() {
    // house.md invariant 9, reliability §4.3.
    for answer in [Answer::Hang, Answer::Cut, Answer::Say(503, String::new())] {
        let given = answer.clone();
        let engine = FalseEngine::new(move |line| version(line, "1.41", || given.clone()));
        let runtime = engine.runtime(owner(), impatient()).await;
        let launch = launch(owner(), spec("redis"), Vec::new());
        let outcomes = [
            runtime.list().await.map(drop),
            runtime.prepare(&launch, &progress()).await,
            runtime.start(&launch).await.map(drop),
            runtime.ended(launch.id).await.map(drop),
            runtime.terminate(launch.id).await,
            runtime.kill(launch.id).await,
            runtime.remove(launch.id).await,
        ];
        for outcome in outcomes {
            assert!(matches!(outcome, Err(RuntimeError::Unknown(_))), "{answer:?}: {outcome:?}");
        }
    }
}

#[tokio::test]
async fn a_pull_that_falls_silent_is_given_up() {
    let engine = FalseEngine::new(|line| {
        version(line, "1.41", || {
            if line.contains("/images/create") { Answer::Hang } else { not_found() }
        })
    });
    let deadlines = Deadlines { silence: impatient().silence, ..Deadlines::default() };
    let runtime = engine.runtime(owner(), deadlines).await;
    let outcome = runtime.prepare(&launch(owner(), spec("redis"), Vec::new()), &progress()).await;
    let Err(RuntimeError::Unknown(text)) = outcome else { panic!("{outcome:?}") };
    assert!(text.contains("pull the image: no answer within 0.2 s"), "{text}");
}

fn not_found() -> Answer {
    Answer::Say(404, r#"{"message": "No such image: redis:latest"}"#.to_owned())
}

#[tokio::test]
async fn a_failed_pull_is_told_whichever_way_the_engine_says_it() {
    // engines.md §1: newer engines send `errorDetail` alone, older and other ones `error`.
    for failure in [
        r#"{"errorDetail": {"message": "toomanyrequests: slow down"}}"#,
        r#"{"error": "toomanyrequests: slow down"}"#,
        r#"{"error": "old", "errorDetail": {"message": "toomanyrequests: slow down"}}"#,
    ] {
        let body = format!("{{\"status\": \"Pulling from library/redis\"}}\r\n{failure}\r\n");
        let engine = FalseEngine::new(move |line| {
            version(line, "1.41", || {
                if line.contains("/images/create") { say(&body) } else { not_found() }
            })
        });
        let runtime = engine.runtime(owner(), Deadlines::default()).await;
        let mut spec = spec("redis");
        docker(&mut spec).force_pull = true;
        let outcome = runtime.prepare(&launch(owner(), spec, Vec::new()), &progress()).await;
        let Err(RuntimeError::Refused(Reason::Image { image, detail })) = outcome else {
            panic!("{outcome:?}")
        };
        assert_eq!((image.as_str(), detail.as_str()), ("redis", "toomanyrequests: slow down"));
    }
}

#[tokio::test]
async fn a_pull_that_brings_nothing_is_no_success_and_tells_its_bytes() {
    let body = [
        r#"{"status": "Downloading", "id": "a", "progressDetail": {"current": 5, "total": 9}}"#,
        r#"{"status": "Downloading", "id": "b", "progressDetail": {"current": 7, "total": 9}}"#,
        r#"{"status": "Downloading", "id": "a", "progressDetail": {"current": 9, "total": 9}}"#,
        r#"{"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 9}}"#,
    ]
    .join("\r\n");
    let engine = FalseEngine::new(move |line| {
        version(line, "1.41", || {
            if line.contains("/images/create") { say(&body) } else { not_found() }
        })
    });
    let runtime = engine.runtime(owner(), Deadlines::default()).await;
    let progress = progress();
    let outcome = runtime.prepare(&launch(owner(), spec("redis"), Vec::new()), &progress).await;
    assert_eq!(*progress.borrow(), 16);
    let Err(RuntimeError::Refused(Reason::Image { detail, .. })) = outcome else {
        panic!("{outcome:?}")
    };
    assert!(detail.contains("has not got the image"), "{detail}");
}

#[tokio::test]
async fn a_create_whose_answer_was_lost_is_adopted() {
    // reliability §4.3: "Create succeeded, reply lost".
    let owner = owner();
    let launch = launch(owner, spec("redis"), Vec::new());
    let labels = serde_json::json!(crate::agent::docker::labels::write(&launch));
    let inspection = serde_json::json!({
        "Id": "0123456789abcdef", "State": {"Status": "created"}, "Config": {"Labels": labels},
        // A field and a value of years to come change nothing.
        "Novelty": {"a": 1},
    })
    .to_string();
    let engine = FalseEngine::new(move |line| {
        version(line, "1.60", || {
            if line.contains("/containers/create") {
                Answer::Say(
                    409,
                    r#"{"message": "Conflict. The container name is in use"}"#.to_owned(),
                )
            } else {
                say(&inspection)
            }
        })
    });
    let runtime = engine.runtime(owner, Deadlines::default()).await;
    assert_eq!(runtime.prepare(&launch, &progress()).await, Ok(()));
    let ended = runtime.ended(launch.id).await;
    assert!(matches!(ended, Err(RuntimeError::Unknown(_))), "made is not ended: {ended:?}");
}

#[tokio::test]
async fn why_there_is_no_engine_is_said_with_the_remedy() {
    let nowhere =
        Search { docker_host: Some("unix:///nowhere/docker.sock".to_owned()), ..Search::default() };
    let error = find(&nowhere, impatient()).await.expect_err("nothing is there");
    assert_eq!(error.to_string(), "no container engine was found; looked at /nowhere/docker.sock");

    let remote =
        Search { docker_host: Some("tcp://10.0.0.1:2375".to_owned()), ..Search::default() };
    assert!(matches!(find(&remote, impatient()).await, Err(ConnectError::NotLocal { .. })));

    let mute = FalseEngine::new(|_| Answer::Hang);
    let error = mute.connect(impatient()).await.expect_err("it hangs");
    assert!(
        error.to_string().contains("does not answer: ask the engine for its version"),
        "{error}"
    );

    let old = FalseEngine::new(|line| version(line, "1.24", || say("{}")));
    let error = old.connect(Deadlines::default()).await.expect_err("too old");
    assert!(error.to_string().contains("this agent needs 1.40"), "{error}");

    let dead = tempfile::tempdir().expect("a directory");
    let path = dead.path().join("engine.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket"));
    let search = Search { docker_host: Some(path.display().to_string()), ..Search::default() };
    let error = find(&search, impatient()).await.expect_err("nobody listens");
    assert!(matches!(error, ConnectError::Silent { .. }), "{error}");
}

#[tokio::test]
async fn a_socket_without_rights_names_owner_and_remedy() {
    let engine = FalseEngine::new(|_| Answer::Hang);
    let closed = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&engine.socket, closed).expect("changed");
    let error = crate::agent::docker::connect::refused(
        &engine.socket,
        &std::io::Error::from(std::io::ErrorKind::PermissionDenied),
    );
    let ConnectError::NoRights { socket, mode, owner, remedy } = &error else { panic!("{error}") };
    assert_eq!(socket, &engine.socket.display().to_string());
    assert_eq!(mode, "600");
    assert!(owner.contains(':') && !remedy.is_empty(), "{error}");
}

#[test]
fn sockets_are_tried_in_order_and_docker_host_alone_where_given() {
    let search = Search {
        docker_host: None,
        runtime_dir: Some("/run/user/7".into()),
        home: Some("/home/a".into()),
    };
    let paths: Vec<_> =
        search.sockets().expect("paths").iter().map(|path| path.display().to_string()).collect();
    assert_eq!(
        paths,
        [
            "/var/run/docker.sock",
            "/run/docker.sock",
            "/run/user/7/docker.sock",
            "/home/a/.docker/run/docker.sock",
            "/run/podman/podman.sock",
            "/run/user/7/podman/podman.sock",
        ]
    );
    let one = Search { docker_host: Some("unix:///a.sock".to_owned()), ..search };
    assert_eq!(one.sockets().expect("a path"), [std::path::PathBuf::from("/a.sock")]);
}
