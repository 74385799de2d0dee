//! Rows, haves and ends of a session to test with.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::agent::{Agent, AgentState, Inventory};
use crate::model::app::AppVersion;
use crate::model::condition::Condition;
use crate::model::deployment::FailurePolicy;
use crate::model::end::End;
use crate::model::have::{Have, Phase, TaskHave};
use crate::model::id::{
    APP_TASK, AgentId, AgentKey, AppKey, ClusterId, CommitNo, Epoch, Incarnation, InstanceId,
    InstanceKey, Rev, RunId, Version,
};
use crate::model::instance::{Goal, Instance, Place, Task};
use crate::model::network::{Network, NetworkMode};
use crate::model::path::AppPath;
use crate::model::row::{Key, Row, Write};
use crate::model::spec::{
    BackoffSpec, KillSelection, Restart, Spec, UnreachableStrategy, UpgradeStrategy,
};
use crate::model::time::Timestamp;
use crate::model::unit::{Cpus, Disk, Mem, Ratio};
use crate::model::world::World;
use crate::wire::link::agent::{AgentLink, Identity};
use crate::wire::message::{Open, PROTOCOLS};

pub(super) const AGENT: AgentId = AgentId(uuid::Uuid::from_u128(1));
pub(super) const CLUSTER: ClusterId = ClusterId(uuid::Uuid::from_u128(2));
pub(super) const RUN: RunId = RunId(uuid::Uuid::from_u128(3));
pub(super) const KEY: AgentKey = AgentKey(7);

const APP: AppKey = AppKey(1);

/// Rows, with a definition for versions 1 to 5 of one app, and the commits that write them.
pub(super) struct Rows {
    pub(super) rows: World,
    no: CommitNo,
}

impl Rows {
    /// Writes a row in a commit of its own.
    pub(super) fn put(&mut self, mut row: Instance) {
        self.no = self.no.next();
        row.rev = self.no;
        let write = Write { key: Key::Instance(row.key), row: Some(Row::Instance(Arc::new(row))) };
        self.rows.apply(&write);
    }
}

pub(super) fn world() -> Rows {
    let mut rows = World::default();
    for no in 1..=5 {
        let at = version(no);
        let row = AppVersion {
            spec: spec(),
            version: at,
            last_scaling_at: at.0,
            last_config_change_at: at.0,
            config: at,
        };
        let row = Some(Row::AppVersion(Arc::new(row)));
        rows.apply(&Write { key: Key::AppVersion(APP, at), row });
    }
    let agent = Agent {
        key: KEY,
        id: AGENT,
        run: RUN,
        state: AgentState::Up,
        drain: None,
        inventory: inventory(),
        foreign: BTreeMap::new(),
    };
    rows.apply(&Write { key: Key::Agent(KEY), row: Some(Row::Agent(Arc::new(agent))) });
    Rows { rows, no: CommitNo(0) }
}

pub(super) fn version(no: u32) -> Version {
    Version(Timestamp::from_millis(i64::from(no)))
}

pub(super) fn key(no: u32) -> InstanceKey {
    InstanceKey { app: APP, no }
}

pub(super) fn id(no: u32) -> InstanceId {
    InstanceId(uuid::Uuid::from_u128(1_000 + u128::from(no)))
}

/// An instance in its first life on the agent, of the definition `of`.
pub(super) fn instance(no: u32, of: u32) -> Instance {
    let now = Timestamp::default();
    let task = Task {
        name: APP_TASK.into(),
        condition: Condition::Provisioned,
        since: now,
        staged_at: now,
        started_at: None,
        ips: Vec::new(),
        handle: None,
        pulled: 0,
        findings: None,
        end: None,
    };
    let place = Place {
        agent: KEY,
        ports: Vec::new(),
        devices: Vec::new(),
        cpus: Cpus::ZERO,
        mem: Mem::ZERO,
        disk: Disk::ZERO,
        fields: Vec::new(),
        launch_seconds: None,
    };
    Instance {
        key: key(no),
        id: id(no),
        version: version(of),
        config: version(of),
        goal: Goal::Run,
        incarnation: Incarnation(1),
        lives: 1,
        place: Some(place),
        after: None,
        tasks: vec![task],
        since: now,
        rev: Rev::default(),
    }
}

pub(super) fn inventory() -> Inventory {
    Inventory { hostname: "host".to_owned(), ..Inventory::default() }
}

pub(super) fn agent() -> AgentLink {
    let identity = Identity { agent: AGENT, cluster: None, epoch: Epoch(0) };
    AgentLink::new(identity, RUN, inventory())
}

pub(super) fn open(epoch: u64) -> Open {
    Open { protocol: *PROTOCOLS.end(), cluster: CLUSTER, epoch: Epoch(epoch) }
}

pub(super) fn preparing(no: u32, life: u32) -> Have {
    have(no, life, Phase::Preparing { pulled: 0 })
}

pub(super) fn running(no: u32, life: u32) -> Have {
    let at = Timestamp::from_millis(i64::from(life));
    have(no, life, Phase::Running { at, ips: Vec::new(), handle: "4711".to_owned() })
}

pub(super) fn exited(no: u32, life: u32, code: i32) -> Have {
    let at = Timestamp::from_millis(i64::from(life));
    have(no, life, Phase::Exited { at, end: End::Code(code) })
}

pub(super) fn absent(no: u32, life: u32) -> Have {
    have(no, life, Phase::Absent)
}

fn have(no: u32, life: u32, phase: Phase) -> Have {
    let task = TaskHave { task: APP_TASK.to_owned(), phase, findings: None };
    Have {
        instance: id(no),
        key: key(no),
        incarnation: Incarnation(life),
        rev_seen: Rev::default(),
        tasks: vec![task],
    }
}

fn spec() -> Spec {
    Spec {
        path: AppPath::parse("/a").expect("a path"),
        instances: 1,
        containers: Vec::new(),
        networks: vec![Network { mode: NetworkMode::Host, name: None, labels: BTreeMap::new() }],
        port_definitions: None,
        require_ports: false,
        constraints: BTreeSet::new(),
        accepted_roles: None,
        role: "*".to_owned(),
        backoff: BackoffSpec { seconds: 1, factor: Ratio::ONE, max_seconds: 300 },
        upgrade: UpgradeStrategy { minimum_health: Ratio::ONE, over_capacity: Ratio::ONE },
        kill_selection: KillSelection::YoungestFirst,
        kill_grace_seconds: None,
        unreachable: UnreachableStrategy::Disabled,
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
