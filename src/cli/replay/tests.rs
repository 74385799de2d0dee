//! A replay gives the same text each time, whole lives of tasks included, and names the line that it cannot read.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use super::*;
use crate::cli::failure::Exit;
use crate::model::agent::{Inventory, PortRange};
use crate::model::deployment::FailurePolicy;
use crate::model::fact::{Announce, Caller, Change, Expect, How, Put, Ticket};
use crate::model::have::{Have, Phase, TaskHave};
use crate::model::id::{APP_TASK, AgentId, RunId, Seq};
use crate::model::network::{Network, PortDefinition};
use crate::model::path::AppPath;
use crate::model::spec::{
    BackoffSpec, Container, KillSelection, Restart, Spec, UnreachableStrategy, UpgradeStrategy,
};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};

const HEAD: &str =
    r#"{"epoch":1,"now":1700000000000,"cluster":"00000000-0000-0000-0000-000000000007"}"#;

#[derive(Clone, Default)]
struct Sink(Arc<Mutex<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("one writer").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn replay(text: &str) -> (Result<(), Failure>, String) {
    let sink = Sink::default();
    let mut console = Console::new(io::Cursor::new(text.to_owned()), sink.clone(), io::sink());
    let result = run(&ReplayArgs { file: "-".to_owned() }, &mut console);
    let output = sink.0.lock().expect("one reader").clone();
    (result, String::from_utf8(output).expect("text"))
}

fn line(now: i64, facts: Vec<Fact>) -> String {
    let moment = Moment { now: Timestamp::from_millis(now), facts };
    serde_json::to_string(&moment).expect("facts are JSON")
}

fn attached() -> Fact {
    let agent = AgentId(uuid::Uuid::from_u128(1));
    let run = RunId(uuid::Uuid::from_u128(1));
    let inventory = Inventory {
        hostname: "host-1".to_owned(),
        role: "*".to_owned(),
        cpus: Cpus::whole(4),
        mem: Mem::whole(4096),
        disk: Disk::whole(1000),
        ports: vec![PortRange { first: 31_000, last: 31_010 }],
        ..Inventory::default()
    };
    Fact::Attached { ticket: Ticket::Agent(agent, run, Seq(0)), agent, run, inventory }
}

fn container() -> Container {
    Container {
        name: APP_TASK.to_owned(),
        cmd: Some("sleep 1000".to_owned()),
        args: Vec::new(),
        user: None,
        env: BTreeMap::new(),
        cpus: Cpus::micro(100_000),
        mem: Mem::whole(32),
        disk: Disk::ZERO,
        gpus: 0,
        limits: None,
        fetch: Vec::new(),
        sandbox: None,
        tty: None,
    }
}

/// Two sleepers.
fn spec() -> Spec {
    Spec {
        path: AppPath::parse("/a").expect("a path"),
        instances: 2,
        containers: vec![container()],
        networks: vec![Network::host()],
        port_definitions: Some(vec![PortDefinition::default()]),
        require_ports: false,
        constraints: BTreeSet::new(),
        accepted_roles: None,
        role: "*".to_owned(),
        backoff: BackoffSpec { seconds: 1, factor: Ratio::micro(1_150_000), max_seconds: 300 },
        upgrade: UpgradeStrategy { minimum_health: Ratio::ONE, over_capacity: Ratio::ONE },
        kill_selection: KillSelection::YoungestFirst,
        kill_grace_seconds: None,
        unreachable: UnreachableStrategy::After { inactive_seconds: 0, expunge_seconds: 0 },
        dependencies: BTreeSet::new(),
        labels: BTreeMap::new(),
        health_checks: BTreeSet::new(),
        check: None,
        readiness_checks: Vec::new(),
        secrets: BTreeMap::new(),
        executor: String::new(),
        executor_resources: None,
        restart: Restart::Always,
        priority: 0,
        failure: FailurePolicy::default(),
        drain_seconds: None,
    }
}

/// The facts of an app that is created and runs; the agent's words rest on what the brain decided for them.
fn record() -> Vec<String> {
    let put = Fact::Asked {
        ticket: Ticket::Client(1),
        who: Caller::default(),
        change: Change::Put {
            apps: vec![Put { spec: spec(), expect: Expect::Absent }],
            announce: Announce::No,
        },
        how: How::default(),
    };
    let start = vec![
        HEAD.to_owned(),
        line(1_700_000_000_000, vec![attached()]),
        line(1_700_000_000_100, vec![put]),
    ];
    let mut brain = begin(serde_json::from_str(HEAD).expect("a first line"));
    for text in &start[1..] {
        let moment: Moment = serde_json::from_str(text).expect("a moment");
        let mut facts = moment.facts.into();
        while let Some(commit) = brain.step(moment.now, &mut facts) {
            brain.durable(commit.no);
        }
    }
    let has = brain.world().instances.iter().map(|(_, instance)| running(instance)).collect();
    start
        .into_iter()
        .chain([line(1_700_000_000_200, has), "{\"now\":1700000000300}".to_owned()])
        .collect()
}

fn running(instance: &crate::model::instance::Instance) -> Fact {
    let phase = Phase::Running { at: instance.since, ips: Vec::new(), handle: "1".to_owned() };
    let task = TaskHave { task: APP_TASK.to_owned(), phase, findings: None };
    let have = Have {
        instance: instance.id,
        key: instance.key,
        incarnation: instance.incarnation,
        rev_seen: instance.rev,
        tasks: vec![task],
    };
    let id = uuid::Uuid::from_u128(1);
    let agent = instance.place.as_ref().expect("placed").agent;
    Fact::Has { ticket: Ticket::Agent(AgentId(id), RunId(id), Seq(1)), agent, haves: vec![have] }
}

#[test]
fn a_recorded_life_is_decided_again_to_the_same_end() {
    let text = record().join("\n");
    let (result, output) = replay(&text);
    assert_eq!(result, Ok(()));
    assert!(output.starts_with("commit 1 at 2023-11-14T22:13:20.000Z: "), "{output}");
    assert!(output.contains("event {\"DeploymentDone\""), "{output}");
    let (_, tables) = output.split_once("\nAPP ").expect("tables at the end");
    let words: Vec<&str> = tables.split_whitespace().collect();
    assert!(words.windows(2).any(|pair| pair == ["/a", "2/2"]), "{tables}");
    assert_eq!(words.iter().filter(|word| **word == "Running").count(), 2, "{tables}");
    assert_eq!(replay(&text), (Ok(()), output), "the same facts, the same text");
}

#[test]
fn a_refusal_is_part_of_the_story() {
    let mut lines = record();
    let again = lines[2].replace("1700000000100", "1700000000400");
    lines.push(again);
    let (_, output) = replay(&lines.join("\n"));
    assert!(output.contains(r#"answer {"Client":1} {"Refused":{"Exists""#), "{output}");
}

#[test]
fn a_line_that_cannot_be_read_is_named() {
    for (text, words) in [
        ("", "empty"),
        ("{}", "line 1: missing field"),
        (&format!("{HEAD}\n\n{{\"now\":1,\"fact\":[]}}"), "line 3: unknown field"),
    ] {
        let failure = replay(text).0.expect_err("cannot be read");
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(failure.to_string().contains(words), "{failure}");
    }
}
