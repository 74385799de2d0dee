//! Each constraint operator over the attributes of several agents, with what explain says of those that take nothing.
//!
//! What an operator means in every odd case is a table of pure tests in `logic/place/constraint`; here a person posts an
//! app and looks where it runs.

use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::rig::sleeper;

/// Agents by name, with their attributes: two racks, one of them with two hosts, and a host that says nothing.
const HOSTS: [(&str, &str); 4] = [
    ("a1", "rack:rack-1;gen:7"),
    ("a2", "rack:rack-1;gen:9"),
    ("a3", "rack:rack-2;gen:9"),
    ("a4", ""),
];

/// What becomes of an app that asks for more than there is.
struct Case {
    app: &'static str,
    constraint: &'static [&'static str],
    instances: usize,
    /// On which of the hosts instances run, and how many in all.
    hosts: &'static [&'static str],
    running: usize,
    /// Of a host that takes no more: what it is told to lack.
    refuses: (&'static str, &'static str),
}

const CASES: [Case; 7] = [
    Case {
        app: "/unique",
        constraint: &["rack", "UNIQUE"],
        instances: 3,
        hosts: &["a1", "a2", "a3"],
        running: 2,
        refuses: ("a3", "rack UNIQUE"),
    },
    Case {
        app: "/cluster",
        constraint: &["rack", "CLUSTER", "rack-2"],
        instances: 2,
        hosts: &["a3"],
        running: 2,
        refuses: ("a1", "rack CLUSTER rack-2"),
    },
    Case {
        app: "/group",
        constraint: &["rack", "GROUP_BY", "2"],
        instances: 4,
        hosts: &["a1", "a2", "a3"],
        running: 4,
        refuses: ("a4", "rack GROUP_BY 2"),
    },
    Case {
        app: "/like",
        constraint: &["gen", "LIKE", "[89]"],
        instances: 4,
        hosts: &["a2", "a3"],
        running: 4,
        refuses: ("a1", "gen LIKE [89]"),
    },
    Case {
        app: "/unlike",
        constraint: &["rack", "UNLIKE", "rack-1"],
        instances: 2,
        hosts: &["a3", "a4"],
        running: 2,
        refuses: ("a2", "rack UNLIKE rack-1"),
    },
    Case {
        app: "/max",
        constraint: &["rack", "MAX_PER", "2"],
        instances: 5,
        hosts: &["a1", "a2", "a3"],
        running: 4,
        refuses: ("a2", "rack MAX_PER 2"),
    },
    Case {
        app: "/is",
        constraint: &["gen", "IS", "7"],
        instances: 2,
        hosts: &["a1"],
        running: 2,
        refuses: ("a3", "gen IS 7"),
    },
];

/// Values of the rack, by host.
fn rack(host: &str) -> &'static str {
    match host {
        "a1" | "a2" => "rack-1",
        "a3" => "rack-2",
        _ => "none",
    }
}

/// The text of each reason against a host.
async fn reasons(cluster: &Cluster, app: &str, host: &str) -> Vec<String> {
    let said = cluster.get(&format!("/v2/apps{app}/explain")).await.expect(200).json();
    let agents = said["agents"].as_array().expect("agents").clone();
    let agent = agents.into_iter().find(|agent| agent["host"] == host).expect("it is looked at");
    let reasons = agent["reasons"].as_array().expect("reasons");
    reasons.iter().map(|reason| reason["text"].as_str().expect("a text").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_operator_chooses_among_hosts_by_what_they_say_of_themselves() {
    let mut cluster = Cluster::start().await;
    for (name, attributes) in HOSTS {
        cluster.agent(name).attributes(attributes).start().await;
    }
    for case in CASES {
        let Case { app, constraint, instances, hosts, running, refuses } = case;
        let asked = json!({"instances": instances, "constraints": [constraint]});
        cluster.launch(&sleeper(app, asked)).await;
        cluster
            .until(&format!("{app} runs {running} times"), |cluster| async move {
                cluster.app(app).await["tasksRunning"] == json!(running)
            })
            .await;
        let found = cluster.hosts(app).await;
        assert!(found.iter().all(|host| hosts.contains(&host.as_str())), "{app}: {found:?}");
        if constraint[1] == "UNIQUE" || constraint[1] == "GROUP_BY" {
            let each = |value| found.iter().filter(|host| rack(host) == value).count();
            assert_eq!((each("rack-1"), each("rack-2")), (running / 2, running / 2), "{found:?}");
        }
        let (host, words) = refuses;
        let told = reasons(&cluster, app, host).await;
        assert!(told.iter().any(|text| text.contains(words)), "{app} on {host}: {told:?}");
        let waiting = cluster.get("/v2/queue").await.json()["queue"].clone();
        let counts: Vec<Value> = waiting
            .as_array()
            .expect("a queue")
            .iter()
            .map(|item| json!([item["app"]["id"], item["count"]]))
            .collect();
        let expected =
            if running < instances { vec![json!([app, instances - running])] } else { Vec::new() };
        assert_eq!(counts, expected);
        cluster.delete(&format!("/v2/apps{app}?force=true")).await.expect(200);
        cluster.at_rest().await;
    }
    cluster.finish().await;
}
