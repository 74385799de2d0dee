//! Rows and commits for the tests of this folder.

mod events;
mod plans;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use uuid::Uuid;

use crate::model::agent::{
    Agent, AgentState, AttributeValue, Device, DeviceId, Drain, Foreign, GpuScheduling, Inventory,
    PortRange,
};
use crate::model::app::{Action, App, AppVersion, Backoff, Part};
use crate::model::brake::{Brake, HealthBrake};
use crate::model::commit::Commit;
use crate::model::condition::Condition;
use crate::model::deployment::FailurePolicy;
use crate::model::findings::{CheckResult, Findings, HealthRecord, Readiness, Response};
use crate::model::id::{
    AgentId, AgentKey, AppKey, ClusterId, CommitNo, Incarnation, InstanceId, InstanceKey, RunId,
    Version,
};
use crate::model::instance::{FieldValue, Goal, Instance, Place, Task};
use crate::model::meta::Meta;
use crate::model::network::Network;
use crate::model::path::AppPath;
use crate::model::row::{Key, Row, Write};
use crate::model::spec::{
    BackoffSpec, Container, KillSelection, Restart, Spec, UnreachableStrategy, UpgradeStrategy,
};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};
use crate::model::world::World;

pub use events::{event, every_end, every_event};
pub use plans::{autopsy, deploy, deployment, outcome};

pub const AT: Timestamp = Timestamp::from_millis(1_600_000_000_000);

pub fn cluster() -> ClusterId {
    ClusterId(Uuid::from_u128(0xC1))
}

pub fn path(no: u32) -> AppPath {
    AppPath::parse(&format!("/shop/app-{no}")).expect("a valid path")
}

pub fn meta() -> Meta {
    Meta {
        cluster: cluster(),
        next_app: AppKey(300),
        next_agent: AgentKey(2),
        next_id: 70_000,
        brake: Brake { held: Some(AT), ends: None, forgiven: None },
        gpu_scheduling: GpuScheduling::Restricted,
    }
}

pub fn agent(key: u32) -> Agent {
    Agent {
        key: AgentKey(key),
        id: AgentId(Uuid::from_u128(0xA0 + u128::from(key))),
        run: RunId(Uuid::from_u128(0xB0)),
        foreign: BTreeMap::from([(8_080, Foreign { holder: "nginx".into(), until: AT })]),
        state: AgentState::Lost { since: AT },
        drain: Some(Drain { since: AT, deadline: Some(AT) }),
        inventory: Inventory {
            hostname: "host".into(),
            attributes: BTreeMap::from([("rack".into(), AttributeValue::Scalar(-1_500))]),
            role: "*".into(),
            cpus: Cpus::whole(4),
            mem: Mem::whole(1_024),
            ports: vec![PortRange { first: 31_000, last: 32_000 }],
            devices: vec![Device {
                id: DeviceId("gpu".into()),
                model: "m".into(),
                index: 0,
                mem: None,
                minor: Some(1),
                trouble: None,
            }],
            ..Inventory::default()
        },
    }
}

pub fn app(key: u32) -> App {
    App {
        key: AppKey(key),
        path: path(key),
        version: Version(AT),
        priors: vec![],
        visible_from: Version(AT),
        part: Some(Part {
            deployment: deployment().id,
            step: 1,
            action: Action::Restart,
            done: true,
            from: None,
            to: Some(Version(AT)),
        }),
        backoffs: vec![Backoff {
            config: Version(AT),
            delay: Span::secs(1),
            since: AT,
            max: Span::secs(300),
        }],
        last_failure: None,
        next_instance: 3,
        look_again: Some(AT),
        health_brake: HealthBrake { held: Some(AT), forgiven: None, killed: 1, until: Some(AT) },
        removed: None,
    }
}

pub fn version(app: u32, note: &str) -> AppVersion {
    AppVersion {
        spec: spec(app, note),
        version: Version(AT),
        last_scaling_at: AT,
        last_config_change_at: AT,
        config: Version(AT),
    }
}

pub fn instance(app: u32, no: u32) -> Instance {
    Instance {
        key: InstanceKey { app: AppKey(app), no },
        id: InstanceId(Uuid::from_u128(0xE0_0000 + u128::from(no))),
        version: Version(AT),
        config: Version(AT),
        goal: Goal::Run,
        incarnation: Incarnation(1),
        lives: 0,
        place: Some(Place {
            agent: AgentKey(1),
            ports: vec![Some(31_000), None],
            devices: vec![],
            cpus: Cpus::micro(100_000),
            mem: Mem::whole(32),
            disk: Disk::ZERO,
            fields: vec![FieldValue { name: "rack".into(), value: Some("r1".into()) }],
            launch_seconds: Some(30),
        }),
        after: None,
        tasks: vec![Task {
            name: "_app".into(),
            condition: Condition::Running,
            since: AT,
            staged_at: AT,
            started_at: Some(AT),
            ips: vec!["10.0.0.1".parse().expect("an address")],
            handle: Some("4711".into()),
            pulled: 0,
            findings: Some(Box::new(Findings {
                health: vec![Some(HealthRecord {
                    first_success: Some(AT),
                    last_success: Some(AT),
                    last_failure: None,
                    failures: 0,
                    cause: Some("refused".into()),
                })],
                readiness: vec![Some(Readiness {
                    ready: true,
                    last: Some(Response {
                        status: 200,
                        content_type: "t".into(),
                        body: "b".into(),
                    }),
                })],
                check: Some(CheckResult::Http(200)),
                turned: None,
            })),
            end: None,
        }],
        since: AT,
        rev: CommitNo(7),
    }
}

/// A row of each kind, under its key.
pub fn every_row() -> Vec<(Key, Row)> {
    vec![
        (Key::Meta, Row::Meta(Arc::new(meta()))),
        (Key::Agent(AgentKey(1)), Row::Agent(Arc::new(agent(1)))),
        (Key::AppVersion(AppKey(1), Version(AT)), Row::AppVersion(Arc::new(version(1, "sleep 1")))),
        (Key::App(AppKey(1)), Row::App(Arc::new(app(1)))),
        (Key::Deployment(deployment().id), Row::Deployment(Arc::new(deployment()))),
        (Key::Outcome(outcome().key()), Row::Outcome(Arc::new(outcome()))),
        (instance_row(1, 2).key, instance_row(1, 2).row.expect("a row")),
        (Key::Autopsy(autopsy().key), Row::Autopsy(Arc::new(autopsy()))),
        (Key::Deploy(deploy().id), Row::Deploy(Arc::new(deploy()))),
    ]
}

pub fn instance_row(app: u32, no: u32) -> Write {
    let row = instance(app, no);
    Write { key: Key::Instance(row.key), row: Some(Row::Instance(Arc::new(row))) }
}

/// The first commit of a world: a row of each kind.
pub fn first_commit() -> Commit {
    let write = |(key, row)| Write { key, row: Some(row) };
    commit_of(1, every_row().into_iter().map(write).collect())
}

/// A commit of `rows` new instances and one event.
pub fn commit(no: u64, rows: u32) -> Commit {
    let first = u32::try_from(no).expect("a small number") * 10_000;
    commit_of(no, (0..rows).map(|row| instance_row(1, first + row)).collect())
}

/// A commit that takes several records.
pub fn wide_commit(no: u64) -> Commit {
    let app = 1_000 + u32::try_from(no).expect("a small number");
    let key = |row: u32| Key::AppVersion(AppKey(app * 10 + row), Version(AT));
    let row = |row: u32| Row::AppVersion(Arc::new(version(app * 10 + row, &"x".repeat(200_000))));
    commit_of(no, (0..5).map(|no| Write { key: key(no), row: Some(row(no)) }).collect())
}

pub fn commit_of(no: u64, writes: Vec<Write>) -> Commit {
    let mut world = World::default();
    for write in &writes {
        world.apply(write);
    }
    let at = AT + Span::millis(no);
    let (no, events) = (CommitNo(no), vec![event(u32::try_from(no).expect("a small number"))]);
    Commit { no, at, writes, events, answers: vec![], swept_from: None, world }
}

fn spec(app: u32, cmd: &str) -> Spec {
    Spec {
        path: path(app),
        instances: 2,
        containers: vec![container(cmd)],
        networks: vec![Network::host()],
        port_definitions: Some(vec![]),
        require_ports: false,
        constraints: BTreeSet::new(),
        accepted_roles: None,
        role: "*".into(),
        backoff: BackoffSpec { seconds: 1, factor: Ratio::micro(1_150_000), max_seconds: 300 },
        upgrade: UpgradeStrategy { minimum_health: Ratio::ONE, over_capacity: Ratio::ONE },
        kill_selection: KillSelection::YoungestFirst,
        kill_grace_seconds: None,
        unreachable: UnreachableStrategy::Disabled,
        dependencies: BTreeSet::new(),
        labels: BTreeMap::new(),
        health_checks: BTreeSet::new(),
        check: None,
        readiness_checks: vec![],
        secrets: BTreeMap::new(),
        executor: String::new(),
        executor_resources: None,
        restart: Restart::Always,
        priority: 0,
        failure: FailurePolicy::default(),
        drain_seconds: None,
    }
}

fn container(cmd: &str) -> Container {
    Container {
        name: "_app".into(),
        cmd: Some(cmd.into()),
        args: vec![],
        user: None,
        env: BTreeMap::new(),
        cpus: Cpus::micro(100_000),
        mem: Mem::whole(32),
        disk: Disk::ZERO,
        gpus: 0,
        limits: None,
        fetch: vec![],
        sandbox: None,
        tty: None,
    }
}
