//! Agents that are emptied, given up, or lost in numbers.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::events::Stream;
use crate::rig::{Stayer, command, ids, run, sleeper};

/// What is known of an agent, once it is known: a session is opened before the agent has said what it is.
async fn agent(stayer: &Stayer, name: &str) -> Value {
    let known = stayer
        .wait(&format!("{name} is known"), async |stayer| {
            let reply = stayer.get(&format!("/v2/agents/{name}")).await;
            (reply.status != 404).then_some(reply)
        })
        .await;
    known.expect(200).json()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_has_is_shown_as_used_free_and_reserved() {
    let mut cluster = Cluster::start().await;
    cluster.agent("a1").start().await;
    let resources = "cpus(prod):2;mem(prod):512;disk:100";
    cluster.agent("a2").args(&["--resources", resources]).start().await;
    let cpus = |agent: &Value| {
        json!(["total", "used", "free", "reserved"].map(|key| agent[key]["cpus"].clone()))
    };
    let app = json!({"cpus": 0.5, "acceptedResourceRoles": ["prod"]});
    cluster.launch(&sleeper("/app", app)).await;
    cluster.running("/app", 1).await;
    assert_eq!(cpus(&agent(&cluster, "a1").await), json!([8.0, 0.0, 8.0, 0.0]));
    let kept = agent(&cluster, "a2").await;
    assert_eq!(cpus(&kept), json!([2.0, 0.5, 1.5, 2.0]));
    assert_eq!(kept["reserved"], json!({"cpus": 2.0, "mem": 512.0, "disk": 100.0, "gpus": 0}));
    let shown = cluster.cli(&["agent", "show", "a2"]).out;
    assert!(shown.contains("0.5 used, 1.5 free of 2.0, 2.0 reserved"), "{shown}");
    let shown = cluster.cli(&["agent", "show", "a1"]).out;
    assert!(!shown.contains("reserved"), "{shown}");
    cluster.finish().await;
}

async fn is_lost(stayer: &Stayer, name: &str) -> bool {
    agent(stayer, name).await["state"] == "lost"
}

#[test]
fn verbs_for_agents_ask_the_api_wherever_that_is() {
    // What an agent could not dial is no mistake of theirs.
    let ended = run(command().env("STAYER_SERVER", "https://127.0.0.1:1").args(["agent", "list"]));
    assert_eq!(ended.code, 1, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_agent_runs_is_moved_before_it_is_ended() {
    let mut cluster = Cluster::start().await;
    for name in ["a1", "a2"] {
        cluster.agent(name).start().await;
    }
    cluster.launch(&sleeper("/web", json!({"instances": 4}))).await;
    cluster.running("/web", 4).await;
    assert_eq!(cluster.hosts("/web").await, ["a1", "a1", "a2", "a2"]);
    let drained = cluster.cli(&["agent", "drain", "a1"]);
    assert_eq!(drained.code, 0, "{drained:?}");
    // Never fewer than wanted, and at the end nothing is left on it.
    cluster
        .wait("a1 is empty", async |cluster| {
            let hosts = cluster.hosts("/web").await;
            assert!(hosts.len() >= 4, "{hosts:?}");
            (agent(cluster, "a1").await["tasks"] == 0).then_some(())
        })
        .await;
    assert_eq!(cluster.hosts("/web").await, ["a2"; 4]);
    // It takes nothing new until that is taken back.
    cluster.launch(&sleeper("/more", json!({}))).await;
    cluster.running("/more", 1).await;
    assert_eq!(cluster.hosts("/more").await, ["a2"]);
    assert_eq!(cluster.cli(&["agent", "undrain", "a1"]).code, 0);
    cluster.launch(&sleeper("/back", json!({"instances": 2}))).await;
    cluster.running("/back", 2).await;
    assert_eq!(cluster.hosts("/back").await, ["a1", "a2"]);
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_is_forgotten_comes_back_as_another_and_its_tasks_are_left_alone() {
    let mut cluster = Cluster::start().await;
    for name in ["a1", "a2"] {
        cluster.agent(name).start().await;
    }
    let stays = json!({"instances": 2, "unreachableStrategy": "disabled"});
    cluster.launch(&sleeper("/web", stays)).await;
    let before = cluster.running("/web", 2).await;
    // Nobody forgets what is heard and not empty.
    let refused = cluster.delete("/v2/agents/a1").await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    cluster.of("a1").kill();
    cluster.wait("a1 is lost", async |cluster| is_lost(cluster, "a1").await.then_some(())).await;
    let id = cluster.of("a1").id();
    cluster.delete(&format!("/v2/agents/{id}")).await.expect(204);
    let after = cluster.running("/web", 2).await;
    assert_eq!(cluster.hosts("/web").await, ["a2", "a2"]);
    cluster.of("a1").restart().await;
    cluster
        .wait("what it runs is a stray", async |cluster| {
            (agent(cluster, "a1").await["strays"] == 1).then_some(())
        })
        .await;
    assert_eq!(ids(&cluster.running("/web", 2).await), ids(&after));
    let left = before.iter().find(|task| task["host"] == "a1").expect("one was there");
    cluster.process(left, "sleep").await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_lost_at_once_hold_replacement_until_somebody_says_otherwise() {
    let mut cluster = Cluster::start().await;
    for name in ["a1", "a2", "a3", "a4"] {
        cluster.agent(name).start().await;
    }
    // All three are missed before any of their tasks is to be replaced.
    let patient = json!({"inactiveAfterSeconds": 5, "expungeAfterSeconds": 600});
    let app = json!({"instances": 4, "unreachableStrategy": patient});
    cluster.launch(&sleeper("/web", app)).await;
    cluster.running("/web", 4).await;
    let mut told = Stream::open(&cluster, "?event_type=*", None).await;
    for name in ["a2", "a3", "a4"] {
        cluster.of(name).kill();
    }
    let held = told.until("brake_held_event").await;
    let lost = held.iter().filter(|event| event.name == "agent_lost_event");
    let mut lost: Vec<&str> = lost.filter_map(|event| event.data["host"].as_str()).collect();
    lost.sort_unstable();
    assert_eq!(lost, ["a2", "a3", "a4"]);
    let counts = &held.last().expect("one").data;
    assert_eq!((&counts["lost"], &counts["agents"]), (&json!(3), &json!(4)));
    cluster
        .wait("the brake holds", async |cluster| {
            (cluster.get("/v2/brake").await.json()["held"] == true).then_some(())
        })
        .await;
    let listed = cluster.cli(&["agent", "list"]);
    assert!(listed.err.contains("3 of 4 agents are lost"), "{listed:?}");
    assert!(cluster.get("/metrics").await.text.contains("stayer_replacement_held 1"));
    // Whatever was asked for goes on: only what was lost is not replaced.
    cluster.launch(&sleeper("/new", json!({}))).await;
    cluster.running("/new", 1).await;
    assert_eq!(cluster.hosts("/web").await, ["a1"]);
    assert_eq!(cluster.cli(&["agent", "release"]).code, 0);
    let released = told.until("brake_released_event").await.pop().expect("one");
    assert_eq!(released.data["reason"], "an operator released it");
    cluster
        .wait("they are replaced", async |cluster| {
            (cluster.hosts("/web").await == ["a1"; 4]).then_some(())
        })
        .await;
    cluster.of("a2").restart().await;
    let back = told.until("agent_returned_event").await.pop().expect("one");
    assert_eq!(back.data["host"], "a2");
    cluster.finish().await;
}
