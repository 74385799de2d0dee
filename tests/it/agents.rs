//! Server and agents as processes of their own: each may end, be replaced and come back, and no task is touched.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::docker_rig::{comes_true, patient};
use crate::proc::Process;
use crate::rig::{self, Stayer, command, ids, run};

/// An app whose tasks are waited for, however late a busy machine's agent comes back: usually one that says nothing for a
/// few seconds is lost, and its tasks are replaced.
fn sleeper(id: &str, fields: Value) -> Value {
    let mut app = rig::sleeper(id, fields);
    app["unreachableStrategy"] = json!("disabled");
    app
}

/// One instance on each host: two of them find no room on one.
fn spread(id: &str, instances: u32) -> Value {
    sleeper(id, json!({"instances": instances, "cpus": 5}))
}

/// The processes of an app's tasks.
async fn held(stayer: &Stayer, id: &str, count: usize) -> Vec<Process> {
    let tasks = stayer.running(id, count).await;
    stayer.processes(&tasks, "sleep").await
}

/// Whether an unused offer has such a text.
async fn offers(stayer: &Stayer, text: &str) -> bool {
    stayer.get("/v2/queue?embed=lastUnusedOffers").await.text.contains(text)
}

/// Puts the binary there, in place of an older one, as a package manager does it.
fn installed(at: &Path) {
    let new = at.with_extension("new");
    std::fs::copy(env!("CARGO_BIN_EXE_stayer"), &new).expect("copied");
    std::fs::rename(&new, at).expect("replaced");
}

fn copied(from: &Path, to: &Path) {
    // What is written meanwhile may be gone before it is copied.
    let copy = || {
        let _not_there = std::fs::remove_dir_all(to);
        Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp").success()
    };
    assert!(comes_true(copy), "{} cannot be copied", from.display());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_agent_is_seen_with_what_it_says_of_itself() {
    let mut cluster = Cluster::start().await;
    for (name, rack) in [("a1", "rack:rack-1"), ("a2", "rack:rack-2")] {
        cluster.agent(name).attributes(rack).start().await;
    }
    cluster.agent("a3").args(&["--role", "slave_public"]).start().await;
    cluster.launch(&spread("/each", 2)).await;
    cluster.running("/each", 2).await;
    assert_eq!(cluster.hosts("/each").await, ["a1", "a2"]);
    let public = json!({"acceptedResourceRoles": ["slave_public"]});
    cluster.launch(&sleeper("/public", public)).await;
    cluster.running("/public", 1).await;
    assert_eq!(cluster.hosts("/public").await, ["a3"]);
    // Of an app that finds no room every offer is shown, with the attributes.
    cluster.launch(&sleeper("/huge", json!({"cpus": 1000}))).await;
    cluster.until("rack-2 is shown", |cluster| offers(cluster, "rack-2")).await;
    // It says anew what it is whenever it starts.
    assert!(cluster.of("a2").signal("TERM").await.success());
    cluster.of("a2").restart_with(&["--attributes", "rack:rack-9"]).await;
    cluster.until("rack-9 is shown", |cluster| offers(cluster, "rack-9")).await;
    assert_eq!(cluster.hosts("/each").await, ["a1", "a2"]);
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_killed_finds_its_agents_with_the_same_processes() {
    let mut cluster = Cluster::start().await;
    for name in ["a1", "a2"] {
        cluster.agent(name).start().await;
    }
    cluster.launch(&spread("/app", 2)).await;
    let before = held(&cluster, "/app", 2).await;
    let names = ids(&cluster.running("/app", 2).await);
    cluster.kill();
    cluster.of("a1").misses_its_server().await;
    cluster.restart().await;
    assert_eq!(ids(&cluster.running("/app", 2).await), names);
    assert_eq!(held(&cluster, "/app", 2).await, before);
    // Both are led again.
    cluster.launch(&sleeper("/next", json!({"instances": 2, "cpus": 2}))).await;
    cluster.running("/next", 2).await;
    assert_eq!(held(&cluster, "/app", 2).await, before);
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_ends_and_is_replaced_by_another_binary_keeps_its_tasks() {
    let mut cluster = Cluster::start().await;
    let binary = cluster.dir().join("stayer-a1");
    installed(&binary);
    cluster.agent("a1").binary(&binary).start().await;
    cluster.launch(&sleeper("/app", json!({"instances": 3}))).await;
    let before = held(&cluster, "/app", 3).await;
    let shown = cluster.tasks("/app", "TASK_RUNNING").await;

    assert!(cluster.of("a1").signal("TERM").await.success());
    let said = cluster.of("a1").said();
    assert!(said.contains("3 tasks go on running") && said.contains("--data-dir"), "{said}");
    assert!(before.iter().all(|process| process.runs()));
    assert_eq!(cluster.tasks("/app", "TASK_RUNNING").await, shown, "it said that it comes back");
    installed(&binary);
    cluster.of("a1").restart().await;
    assert_eq!(held(&cluster, "/app", 3).await, before);

    cluster.of("a1").kill();
    cluster.of("a1").restart().await;
    assert_eq!(held(&cluster, "/app", 3).await, before);
    // They are still looked after.
    before[0].signal("KILL");
    cluster
        .until("another one runs in its place", |cluster| {
            let shown = &shown;
            async move {
                let now = cluster.tasks("/app", "TASK_RUNNING").await;
                now.len() == 3 && ids(&now) != ids(shown)
            }
        })
        .await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn told_to_stop_its_tasks_an_agent_ends_them_and_they_run_elsewhere() {
    let mut cluster = Cluster::start().await;
    cluster.agent("a1").args(&["--stop-tasks"]).start().await;
    cluster.launch(&rig::sleeper("/app", json!({"instances": 2}))).await;
    let before = held(&cluster, "/app", 2).await;
    cluster.agent("a2").start().await;
    assert!(cluster.of("a1").signal("INT").await.success());
    let said = cluster.of("a1").said();
    assert!(said.contains("2 tasks were stopped"), "{said}");
    assert!(before.iter().all(|process| !process.runs()));
    cluster
        .until("both run elsewhere", |cluster| async {
            cluster.hosts("/app").await == ["a2", "a2"]
        })
        .await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_waits_for_its_server_and_says_so() {
    let mut cluster = Cluster::start().await;
    cluster.kill();
    let address = cluster.agents();
    cluster.agent("a1").launch();
    assert!(cluster.of("a1").banner.contains(&format!("It dials {address}")));
    cluster.of("a1").says(&format!("no server answers at {address}")).await;
    cluster.restart().await;
    cluster.of("a1").taken().await;
    cluster.launch(&sleeper("/app", json!({}))).await;
    cluster.running("/app", 1).await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_agent_with_the_identity_of_the_first_is_refused_and_the_first_goes_on() {
    let mut cluster = Cluster::start().await;
    cluster.agent("a1").start().await;
    cluster.launch(&sleeper("/app", json!({"instances": 2}))).await;
    let before = held(&cluster, "/app", 2).await;
    let copy = cluster.dir().join("copy");
    copied(&cluster.dir().join("a1"), &copy);
    cluster.agent("twin").dir(&copy).launch();
    let ended = cluster.of("twin").ended().await;
    assert_eq!(ended.code(), Some(1));
    let said = cluster.of("twin").said();
    for words in ["another process with the identity of this agent", "Stop the other one"] {
        assert!(said.contains(words), "{said}");
    }
    assert!(cluster.said().contains("two processes have the identity of one agent"));
    assert!(!cluster.of("a1").has_ended());
    assert_eq!(held(&cluster, "/app", 2).await, before);
    // The first may still come back as often and as quickly as it likes.
    for _ in 0..3 {
        cluster.of("a1").kill();
        cluster.of("a1").restart().await;
    }
    assert_eq!(held(&cluster, "/app", 2).await, before);
    // One directory is one agent's: the second does not even start.
    let dir = cluster.dir().join("a1");
    let refused = run(command().args(["agent", "--no-engine", "--data-dir"]).arg(&dir));
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.err.contains("another agent uses"), "{refused:?}");
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_of_another_cluster_is_turned_away_and_waits_until_that_is_put_right() {
    let mut theirs = Cluster::start().await;
    theirs.agent("a1").start().await;
    theirs.launch(&sleeper("/app", json!({}))).await;
    let before = held(&theirs, "/app", 1).await;
    theirs.of("a1").kill();
    let ours = Cluster::start().await;
    let (dir, other) = (theirs.dir().join("a1"), ours.agents());
    theirs.agent("lost").dir(&dir).server(&other).launch();
    theirs.of("lost").says("this agent belongs to another").await;
    assert!(ours.said().contains("an agent belongs to another cluster"));
    assert!(
        !theirs.of("lost").has_ended(),
        "a server that was set up wrong is put right without it"
    );
    assert!(before.iter().all(|process| process.runs()));
    theirs.of("lost").kill();
    theirs.of("a1").restart().await;
    assert_eq!(held(&theirs, "/app", 1).await, before);
    theirs.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_agents_with_one_hostname_work_with_a_warning() {
    let socket = tempfile::tempdir().expect("a directory");
    let door = format!("unix:{}/agents.sock", socket.path().display());
    let mut cluster = Cluster::with(&["--agents-listen", &door]).await;
    cluster.agent("a1").hostname("same").server(&door).start().await;
    // One server under two names is one server.
    let twice = format!("{door},unix:{}/./agents.sock", socket.path().display());
    cluster.agent("a2").hostname("same").server(&twice).start().await;
    cluster
        .until("the server warns", |cluster| async {
            cluster.said().contains("two agents have one hostname")
        })
        .await;
    cluster.launch(&sleeper("/app", json!({"instances": 2}))).await;
    cluster.running("/app", 2).await;
    assert_eq!(cluster.hosts("/app").await, ["same", "same"]);
    let said = cluster.of("a2").said();
    let count = |text: &str| said.matches(text).count();
    let ended = count("closed the connection") + count("broke: ");
    assert_eq!(count("a leader has opened a session"), 1 + ended, "{said}");
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_of_dev_is_taken_over_by_a_server_and_an_agent_and_back() {
    let mut stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"instances": 2}))).await;
    let before = held(&stayer, "/app", 2).await;
    let names = ids(&stayer.running("/app", 2).await);
    assert!(stayer.signal("INT").await.success());

    stayer.become_verb("server").await;
    let mut agent = command();
    let ports = format!("{}-{}", stayer.ports.port(0), stayer.ports.port(40));
    agent.args(["agent", "--no-engine", "--ports", &ports, "--server", &stayer.agents()]);
    agent.arg("--data-dir").arg(stayer.dir());
    let (mut child, _) = crate::rig::begin(&mut agent, &stayer.dir().join("agent-stderr"));
    stayer.launch(&sleeper("/next", json!({}))).await;
    stayer.running("/next", 1).await;
    assert_eq!(ids(&stayer.running("/app", 2).await), names);
    assert_eq!(held(&stayer, "/app", 2).await, before);
    child.kill().expect("it ran");
    child.wait().expect("it ended");
    stayer.kill();

    stayer.become_verb("dev").await;
    stayer.launch(&sleeper("/last", json!({}))).await;
    stayer.running("/last", 1).await;
    assert_eq!(held(&stayer, "/app", 2).await, before);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_a_neighbours_task_holds_is_reported_with_its_holder() {
    let mut cluster = Cluster::start().await;
    cluster.agent("a1").start().await;
    cluster.agent("a2").start().await;
    // A fixed port may lie anywhere: both agents have it to give, and there is one of it on their common host.
    let port = cluster.ports.port(0);
    let app = json!({
        "instances": 2, "requirePorts": true, "portDefinitions": [{"port": port}],
        "cmd": format!("exec python3 -m http.server {port}"),
    });
    cluster.launch(&sleeper("/web", app)).await;
    cluster
        .until("the second waits for the port", |cluster| async move {
            let told = cluster.get("/v2/apps/web/explain").await.text;
            told.contains("port-foreign") && told.contains("python3")
        })
        .await;
    assert_eq!(cluster.app("/web").await["tasksRunning"], 1);
    cluster.finish().await;
}

#[test]
fn listeners_beyond_this_host_are_refused_until_somebody_says_that_it_is_meant() {
    let dir = tempfile::tempdir().expect("a directory");
    let server =
        |args: &[&str]| run(command().args(["server", "--data-dir"]).arg(dir.path()).args(args));
    let agents = server(&["--agents-listen", "0.0.0.0:0"]);
    assert_eq!(agents.code, 1, "{agents:?}");
    assert!(agents.err.contains("--insecure-agents"), "{agents:?}");
    let api = server(&["--listen", "0.0.0.0:0", "--insecure-agents"]);
    assert_eq!(api.code, 1, "{api:?}");
    assert!(api.err.contains("--insecure-no-auth"), "{api:?}");
    let store = server(&["--store", "zk://host"]);
    assert_eq!(store.code, 1, "{store:?}");
    let agent = run(command().args(["agent", "--server", "https://h:1"]));
    assert_eq!(agent.code, 1, "{agent:?}");
    assert!(agent.err.contains("TLS"), "{agent:?}");
}

/// A program that runs the binary on what it takes for another host, since that has booted at another time.
fn elsewhere(dir: &Path) -> PathBuf {
    let (boot, program) = (dir.join("boot_id"), dir.join("elsewhere"));
    std::fs::write(&boot, "11111111-2222-3333-4444-555555555555\n").expect("written");
    let mount = format!("mount --bind {} /proc/sys/kernel/random/boot_id", boot.display());
    let run = format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_stayer"));
    let script = format!("#!/bin/sh\nexec unshare --mount sh -c '{mount} && {run}' sh \"$@\"\n");
    std::fs::write(&program, script).expect("written");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("ours");
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn the_identity_of_an_agent_that_is_away_is_not_taken_by_another_host() {
    let mut cluster = Cluster::start().await;
    cluster.agent("a1").start().await;
    cluster.launch(&sleeper("/app", json!({"instances": 2}))).await;
    let before = held(&cluster, "/app", 2).await;
    let (copy, program) = (cluster.dir().join("copy"), elsewhere(cluster.dir()));
    cluster.of("a1").kill();
    copied(&cluster.dir().join("a1"), &copy);
    cluster.agent("a2").binary(&program).dir(&copy).launch();
    let ended = cluster.of("a2").ended().await;
    let said = cluster.of("a2").said();
    assert_eq!(ended.code(), Some(1), "{said}");
    for words in ["is on a1, which is away", "agent.json here to begin as a new agent"] {
        assert!(said.contains(words), "{said}");
    }
    // A host that booted keeps its name, and is taken; then it was no copy.
    cluster.of("a1").restart().await;
    assert_eq!(held(&cluster, "/app", 2).await, before);
    // Once it is forgotten the identity is nobody's.
    cluster.clear().await;
    cluster.of("a1").kill();
    let id = cluster.of("a1").id();
    cluster
        .wait("a1 is lost", async |cluster| {
            let agent = cluster.get(&format!("/v2/agents/{id}")).await.json();
            (agent["state"] == "lost").then_some(())
        })
        .await;
    cluster.delete(&format!("/v2/agents/{id}")).await.expect(204);
    cluster.of("a2").restart().await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_of_a_mesos_agent_is_read_as_it_is() {
    // seeds.md 4-2, 4-3.
    let mut cluster = Cluster::start().await;
    let mesos = cluster.dir().join("mesos-slave");
    std::fs::create_dir_all(mesos.join("attributes")).expect("made");
    for (file, text) in [
        ("attributes/host", "box-7\n"),
        ("containerizers", "docker,mesos\n"),
        ("default_role", "slave_public\n"),
        ("executor_registration_timeout", "5mins\n"),
        ("hostname", "file.example\n"),
        ("isolation", "cgroups/cpu\n"),
    ] {
        std::fs::write(mesos.join(file), text).expect("written");
    }
    let path = mesos.to_str().expect("UTF-8");
    cluster.agent("a1").args(&["--mesos-config-dir", path]).start().await;
    let banner = cluster.of("a1").banner.clone();
    for words in ["a1: 8 cpus", "host:box-7", "slave_public"] {
        assert!(banner.contains(words), "{words}: {banner}");
    }
    let said = cluster.of("a1").said();
    assert!(
        said.contains("isolation") && !said.contains("executor_registration_timeout"),
        "{said}"
    );
    assert!(!said.contains("containerizers"), "{said}");
    let app = json!({"acceptedResourceRoles": ["slave_public"]});
    cluster.launch(&sleeper("/app", app)).await;
    cluster.running("/app", 1).await;
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_that_share_an_engine_have_their_own_containers_each() {
    let mut cluster = Cluster::start().await;
    let binary = cluster.dir().join("stayer-a1");
    installed(&binary);
    cluster.agent("a1").docker().binary(&binary).start().await;
    cluster.agent("a2").docker().start().await;
    let mut app = patient("/app", 4);
    // Two on each, and they are waited for.
    app["cpus"] = json!(4);
    app["unreachableStrategy"] = json!("disabled");
    cluster.launch(&app).await;
    let tasks = cluster.running("/app", 4).await;
    let (first, second) = (cluster.of("a1").containers(), cluster.of("a2").containers());
    assert_eq!((first.len(), second.len()), (2, 2));
    let engine = crate::docker_rig::Engine::machine();
    for task in &tasks {
        let own = if task["host"] == "a1" { &first } else { &second };
        assert!(own.contains(&engine.of_task(task)), "{task}");
    }
    let began = |containers: &[String]| -> Vec<String> {
        containers.iter().map(|container| engine.started(container)).collect()
    };
    let since = (began(&first), began(&second));
    // One is upgraded and one is killed; neither touches its own containers or the other's.
    assert!(cluster.of("a1").signal("TERM").await.success());
    cluster.of("a2").kill();
    installed(&binary);
    cluster.of("a1").restart().await;
    cluster.of("a2").restart().await;
    assert_eq!(ids(&cluster.running("/app", 4).await), ids(&tasks));
    assert_eq!(cluster.of("a1").containers(), first);
    assert_eq!(cluster.of("a2").containers(), second);
    assert_eq!((began(&first), began(&second)), since);
    // What one ends is its own.
    let gone = cluster.tasks("/app", "TASK_RUNNING").await;
    let gone = gone.iter().find(|task| task["host"] == "a1").expect("two are there")["id"].clone();
    let gone = gone.as_str().expect("an id");
    cluster.delete(&format!("/v2/apps/app/tasks/{gone}?scale=true")).await;
    cluster.running("/app", 3).await;
    cluster
        .until("its container has ended", |_| async {
            let left = engine.labelled(&format!("MESOS_TASK_ID={gone}"));
            left.iter().all(|container| engine.inspect(container)["State"]["Running"] != true)
        })
        .await;
    let runs = |container: &&String| engine.inspect(container)["State"]["Running"] == true;
    assert_eq!(first.iter().filter(runs).count(), 1);
    assert_eq!(began(&second), since.1);
    cluster.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_comes_after_the_agent_is_used() {
    let mut cluster = Cluster::start().await;
    let socket = cluster.dir().join("docker.sock");
    let engine = format!("unix://{}", socket.display());
    cluster.agent("a1").docker().args(&["--engine", &engine]).start().await;
    assert!(cluster.of("a1").banner.contains("none, apps with an image wait"));
    cluster.launch(&patient("/app", 1)).await;
    cluster
        .until("it is told that there is no engine", |cluster| async {
            cluster.get("/v2/apps/app/explain").await.text.contains("no engine answers")
        })
        .await;
    // What needs none does not wait.
    cluster.launch(&sleeper("/process", json!({}))).await;
    cluster.running("/process", 1).await;
    std::os::unix::fs::symlink("/var/run/docker.sock", &socket).expect("a socket");
    cluster.running("/app", 1).await;
    assert_eq!(cluster.of("a1").containers().len(), 1);
    cluster.finish().await;
}
