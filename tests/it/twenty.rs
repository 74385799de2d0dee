//! Twenty ways in which an app does not run, each caused for real, and each named within seconds: to machines by its
//! kind, to people in words.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};

use crate::docker_rig::Docked;
use crate::rig::{Nowhere, Stayer, free_port, sleeper, slow};

/// So soon a cause is named. The goal is five seconds; a machine that does much else at the same time takes longer.
const NAMED: Duration = Duration::from_secs(30);

/// What an app that cannot run is expected to be told of.
struct Case<'a> {
    id: &'a str,
    fields: Value,
    /// The kind of a reason or of an end; empty where the next life began at once and only words are left.
    kind: &'a str,
    /// What stands in `stayer explain`; engines have several ways to say some of it.
    words: &'a [&'a str],
}

impl Case<'_> {
    /// Posts it and waits until it is told of.
    async fn show(self, stayer: &Stayer) {
        let Case { id, mut fields, kind, words } = self;
        fields["backoffSeconds"] = json!(60);
        let began = Instant::now();
        stayer.launch(&sleeper(id, fields)).await;
        let told = stayer
            .wait(&format!("{id}: {kind} with {words:?} is told"), async |stayer| {
                let told = stayer.get(&format!("/v2/apps{id}/explain")).await.json();
                let shown = stayer.cli(&["explain", id]).out;
                let found = kind.is_empty() || kinds(&told).iter().any(|one| one == kind);
                let all = words.iter().all(|word| word.split('|').any(|way| shown.contains(way)));
                (found && all).then_some(told)
            })
            .await;
        let took = began.elapsed();
        assert!(took < slow(NAMED), "{id} is named after {took:?} only: {told}");
    }
}

/// Every kind in an explanation.
fn kinds(told: &Value) -> Vec<String> {
    let agents = told["agents"].as_array().cloned().unwrap_or_default();
    let reasons = agents.iter().filter_map(|agent| agent["reasons"].as_array().cloned());
    let kinds = reasons.flatten().map(|reason| reason["kind"].clone());
    let all = kinds.chain([told["lastEnd"]["kind"].clone()]);
    all.filter_map(|kind| kind.as_str().map(str::to_owned)).collect()
}

/// A registry that answers every question about an image like this; its address.
async fn registry(status: StatusCode, code: &'static str) -> String {
    let router = Router::new().fallback(move |request: axum::extract::Request| {
        let told = json!({"errors": [{"code": code, "message": code.to_lowercase()}]});
        std::future::ready(match request.uri().path() {
            "/v2/" => StatusCode::OK.into_response(),
            _ => (status, axum::Json(told)).into_response(),
        })
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn image(name: &str) -> Value {
    json!({"container": {"type": "DOCKER", "docker": {"image": name}}})
}

fn on_port(port: u16) -> Value {
    json!({"requirePorts": true, "portDefinitions": [{"port": port, "protocol": "tcp"}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn what_images_lack_is_named() {
    let stayer = Docked::with(&["--allow-privileged=false"]).await;
    let unknown = format!("{}/app:none", registry(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN").await);
    let denied = format!("{}/app:1", registry(StatusCode::FORBIDDEN, "DENIED").await);
    let nowhere = Nowhere::hold();
    let away = format!("{nowhere}/app:1");
    let privileged = json!({"container": {"type": "DOCKER", "docker": {
        "image": "busybox:local", "privileged": true,
    }}});
    for case in [
        Case {
            id: "/name",
            fields: image("not/a//name"),
            kind: "image",
            words: &["image not/a//name", "invalid reference format"],
        },
        Case {
            id: "/tag",
            fields: image(&unknown),
            kind: "image",
            words: &[&unknown, "manifest unknown|not found"],
        },
        Case { id: "/denied", fields: image(&denied), kind: "image", words: &[&denied, "denied"] },
        Case { id: "/away", fields: image(&away), kind: "image", words: &[&away, "refused"] },
        Case {
            id: "/policy",
            fields: privileged,
            kind: "policy",
            words: &["privileged containers need --allow-privileged", "would fit on"],
        },
    ] {
        case.show(&stayer).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_agents_lack_is_named() {
    let socket = "unix:///no/such/engine.sock";
    let room = ["--resources", "cpus:2;mem:1024;disk:1024;gpus:1"];
    let args = ["--engine", socket, "--attributes", "rack:rack-1"];
    let stayer = Stayer::with(&[&args[..], &room[..]].concat()).await;
    let stranger = TcpListener::bind("0.0.0.0:0").expect("a port");
    let foreign = stranger.local_addr().expect("bound").port();
    let ours = free_port();
    stayer.launch(&sleeper("/holder", on_port(ours))).await;
    stayer.running("/holder", 1).await;
    let (taken, not_ours) = (format!("port {ours} taken by /holder"), format!("port {foreign}"));
    let me = format!("pid {}", std::process::id());
    for case in [
        Case { id: "/engine", fields: image("busybox:local"), kind: "engine", words: &["engine"] },
        Case { id: "/taken", fields: on_port(ours), kind: "port-taken", words: &[&taken] },
        Case {
            id: "/foreign",
            fields: on_port(foreign),
            kind: "port-foreign",
            words: &[&not_ours, &me],
        },
        Case {
            id: "/constraint",
            fields: json!({"constraints": [["rack", "CLUSTER", "rack-9"]]}),
            kind: "constraint",
            words: &[
                "rack CLUSTER rack-9: the agent has rack-1",
                "no agent has rack=rack-9; known: rack-1",
            ],
        },
        Case {
            id: "/role",
            fields: json!({"acceptedResourceRoles": ["slave_public"]}),
            kind: "role",
            words: &[
                "the agent has role *, the app accepts slave_public",
                "if acceptedResourceRoles named *",
            ],
        },
        Case {
            id: "/cpus",
            fields: json!({"cpus": 10}),
            kind: "cpus",
            words: &["needs 10 cpus", "of 2 free", "cpus less"],
        },
        Case {
            id: "/mem",
            fields: json!({"mem": 2048}),
            kind: "mem",
            words: &["needs 2048 MiB of memory", "of 1024 free", "MiB less"],
        },
        Case {
            id: "/disk",
            fields: json!({"disk": 2000}),
            kind: "disk",
            words: &["needs 2000 MiB of disk, 1024 of 1024 free", "with 976 MiB of disk less"],
        },
        Case {
            id: "/gpus",
            fields: json!({"gpus": 3}),
            kind: "gpus",
            words: &["needs 3 gpus, 1 of 1 free", "with 2 gpus less"],
        },
    ] {
        case.show(&stayer).await;
    }
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_a_life_is_named() {
    let stayer = Stayer::bare_with(&["--allow-fetch", "127.0.0.0/8"]).await;
    // Where the host cannot limit memory the banner says so, and one of these has nothing to show.
    assert!(stayer.banner.contains("memory limit"), "no limits here: {}", stayer.banner);
    let nowhere = Nowhere::hold();
    let gone = format!("http://{nowhere}/file");
    // It takes the connection and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let hangs = format!("http://{}/file", silent.local_addr().expect("bound"));
    for case in [
        Case {
            id: "/crash",
            fields: json!({"cmd": "exit 3"}),
            kind: "exit",
            words: &["Container exited with status 3"],
        },
        Case {
            id: "/done",
            fields: json!({"cmd": "exit 0"}),
            kind: "finished",
            words: &["Container exited with status 0", "its command ends by itself"],
        },
        Case {
            id: "/unknown",
            fields: json!({"cmd": "no-such-command --at-all"}),
            kind: "exit",
            words: &["Container exited with status 127", "there is no such command"],
        },
        Case {
            id: "/oom",
            fields: json!({"cmd": "exec python3 -c 'x = bytearray(200_000_000)'", "mem": 8}),
            kind: "oom",
            words: &["Memory limit exceeded", "more than the 8 MiB"],
        },
        Case {
            id: "/fetch",
            fields: json!({"fetch": [{"uri": gone}]}),
            kind: "fetch",
            words: &["Failed to fetch", &gone],
        },
        Case {
            id: "/overdue",
            fields: json!({
                "fetch": [{"uri": hangs}], "labels": {"STAYER_LAUNCH_TIMEOUT_SECONDS": "1"},
            }),
            kind: "",
            words: &["the launch took too long: Staging for "],
        },
    ] {
        case.show(&stayer).await;
    }
    stayer.finish().await;
}
