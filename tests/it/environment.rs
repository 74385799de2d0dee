//! What a task finds in its environment (EN-1 to EN-6), read from its own output.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::rig::{Stayer, sleeper};

/// What a task says of itself.
async fn environment(stayer: &Stayer, task: &Value) -> BTreeMap<String, String> {
    let path = format!("/v2/tasks/{}/logs", task["id"].as_str().expect("an id"));
    let text = stayer
        .wait("it has told its environment", async |stayer| {
            let text = stayer.get(&path).await.text;
            text.contains("THE=END").then_some(text)
        })
        .await;
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_knows_who_it_is_where_and_on_which_ports() {
    let stayer = Stayer::bare_with(&["--hostname", "box.test"]).await;
    let fixed = stayer.ports.port(9);
    let app = json!({
        "cmd": "env; echo THE=END; exec sleep 1000",
        "cpus": 0.1, "mem": 32, "requirePorts": true,
        "portDefinitions": [
            {"port": fixed, "name": "http", "protocol": "tcp"},
            {"port": stayer.ports.port(8), "protocol": "udp"},
        ],
        "labels": {"tier.name": "web", "other": "x y"},
        "env": {"OWN": "a $HOME b", "HOST": "mine"},
    });
    let created = stayer.launch(&sleeper("/shop/front", app)).await;
    let task = stayer.running("/shop/front", 1).await.remove(0);
    let env = environment(&stayer, &task).await;
    let (first, second) = (fixed.to_string(), stayer.ports.port(8).to_string());
    let both = format!("{first},{second}");
    for (name, value) in [
        ("MESOS_TASK_ID", task["id"].as_str().expect("an id")),
        ("MARATHON_APP_ID", "/shop/front"),
        ("MARATHON_APP_VERSION", created["version"].as_str().expect("a version")),
        ("MARATHON_APP_RESOURCE_CPUS", "0.1"),
        ("MARATHON_APP_RESOURCE_MEM", "32.0"),
        ("MARATHON_APP_RESOURCE_DISK", "0.0"),
        ("MARATHON_APP_RESOURCE_GPUS", "0"),
        ("MARATHON_APP_LABELS", "OTHER TIER_NAME"),
        ("MARATHON_APP_LABEL_TIER_NAME", "web"),
        ("MARATHON_APP_LABEL_OTHER", "x y"),
        ("PORT", first.as_str()),
        ("PORT0", first.as_str()),
        ("PORT1", second.as_str()),
        ("PORTS", both.as_str()),
        ("PORT_HTTP", first.as_str()),
        (&format!("PORT_{first}"), first.as_str()),
        // EN-5: values are not expanded. EN-1: the user's own win.
        ("OWN", "a $HOME b"),
        ("HOST", "mine"),
    ] {
        assert_eq!(env.get(name).map(String::as_str), Some(value), "{name}");
    }
    assert_eq!(task["ports"], json!([fixed, stayer.ports.port(8)]));
    let sandbox = env.get("MESOS_SANDBOX").expect("a sandbox");
    assert!(sandbox.starts_with(stayer.dir().to_str().expect("UTF-8")), "{sandbox}");
    assert_eq!(env.get("HOME"), Some(sandbox));
    assert_eq!(env.get("PWD"), Some(sandbox), "it starts in its sandbox");
    assert!(env.keys().all(|name| !name.starts_with("STAYER_") && !name.starts_with("CARGO")));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dynamic_ports_come_from_the_range_and_none_is_given_twice() {
    let stayer = Stayer::bare_with(&["--hostname", "box.test"]).await;
    let ports = json!([{"port": 0, "name": "a"}, {"port": 0, "name": "b"}]);
    let app = json!({"cmd": "env; echo THE=END; exec sleep 1000", "instances": 6, "portDefinitions": ports});
    stayer.launch(&sleeper("/app", app)).await;
    let tasks = stayer.running("/app", 6).await;
    let mut given = Vec::new();
    for task in &tasks {
        let env = environment(&stayer, task).await;
        let own: Vec<u64> =
            task["ports"].as_array().expect("ports").iter().filter_map(Value::as_u64).collect();
        assert_eq!(env["PORTS"], own.iter().map(u64::to_string).collect::<Vec<_>>().join(","));
        assert_eq!((&env["PORT_A"], &env["PORT_B"]), (&own[0].to_string(), &own[1].to_string()));
        assert_eq!(env["HOST"], "box.test");
        given.extend(own);
    }
    let (first, last) = (u64::from(stayer.ports.port(0)), u64::from(stayer.ports.port(49)));
    assert!(given.iter().all(|port| (first..=last).contains(port)), "{given:?}");
    given.sort_unstable();
    given.dedup();
    assert_eq!(given.len(), 12);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_ports_there_are_no_port_variables() {
    let stayer = Stayer::bare().await;
    let app = json!({"cmd": "env; echo THE=END; exec sleep 1000"});
    stayer.launch(&sleeper("/app", app)).await;
    let task = stayer.running("/app", 1).await.remove(0);
    let env = environment(&stayer, &task).await;
    assert!(env.keys().all(|name| !name.starts_with("PORT")), "{env:?}");
    assert!(env.contains_key("HOST"));
    stayer.finish().await;
}
