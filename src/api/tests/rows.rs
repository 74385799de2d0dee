//! Rows as the fake brain writes them.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::rig::START;
use crate::contract::app::read_app;
use crate::contract::fault::Options;
use crate::model::agent::{Agent, AgentState, Inventory, PortRange};
use crate::model::app::{Action, App, AppVersion, Part};
use crate::model::autopsy::{Autopsy, AutopsyKey, Exit, Fault, Locus};
use crate::model::brake::HealthBrake;
use crate::model::condition::Condition;
use crate::model::deploy::{self, Deploy, Hand, New, Phase};
use crate::model::deployment::Deployment;
use crate::model::fact::Proposal;
use crate::model::id::{
    AgentId, AgentKey, AppKey, DeployId, DeploymentId, Incarnation, InstanceId, InstanceKey, Rev,
    RunId, Version,
};
use crate::model::instance::{Goal, Instance, Place, Task};
use crate::model::path::AppPath;
use crate::model::row::{Key, Row, Write};
use crate::model::spec::Spec;
use crate::model::time::Timestamp;
use crate::model::unit::{Cpus, Disk, Mem};
use crate::model::world::World;

pub fn spec(json: &str) -> Spec {
    let value: Value = serde_json::from_str(json).expect("JSON");
    read_app(&value, &AppPath::root(), &Options::default()).expect("an app").value
}

pub fn put_app(world: &mut World, spec: Spec, version: Version) {
    let next = AppKey(u32::try_from(world.apps.len()).expect("few") + 1);
    let before = world.any_app(&spec.path).cloned();
    let key = before.as_ref().map_or(next, |app| app.key);
    let mut priors = before.as_ref().map_or(Vec::new(), |app| app.priors.clone());
    priors.extend(before.as_ref().map(|app| app.version));
    let app = App {
        key,
        path: spec.path.clone(),
        version,
        priors,
        visible_from: before.as_ref().map_or(version, |app| app.visible_from),
        part: None,
        backoffs: Vec::new(),
        last_failure: None,
        next_instance: 1,
        look_again: None,
        health_brake: HealthBrake::default(),
        removed: None,
    };
    let row = AppVersion {
        spec,
        version,
        last_scaling_at: version.0,
        last_config_change_at: version.0,
        config: version,
    };
    write(world, Key::AppVersion(key, version), Row::AppVersion(Arc::new(row)));
    write(world, Key::App(key), Row::App(Arc::new(app)));
}

/// A life of an app that failed.
pub fn put_autopsy(world: &mut World, path: &str, life: u32) -> InstanceId {
    let app = world.any_app(&AppPath::parse(path).expect("a path")).expect("the app is there");
    let (instance, at) = (InstanceId(Uuid::from_u128(0x77)), Timestamp::from_millis(START));
    let row = Autopsy {
        key: AutopsyKey { app: app.key, no: life },
        slot: 1,
        instance,
        task: crate::model::id::APP_TASK.into(),
        incarnation: Incarnation(life),
        version: app.version,
        during: None,
        agent: Some(Locus {
            key: AgentKey(1),
            id: AgentId(Uuid::from_u128(7)),
            host: "10.0.0.5".into(),
        }),
        at,
        started_at: None,
        condition: Condition::Failed,
        fault: Fault::Ended,
        message: "it failed".into(),
        exit: Some(Exit::Code(7)),
    };
    write(world, Key::Autopsy(row.key), Row::Autopsy(Arc::new(row)));
    instance
}

/// A deployment that holds an app.
pub fn put_deployment(world: &mut World, path: &str, id: u128) -> DeploymentId {
    let id = DeploymentId(Uuid::from_u128(id));
    let path = AppPath::parse(path).expect("a path");
    let mut app = world.app(&path).expect("the app is there").clone();
    app.part = Some(Part {
        deployment: id,
        step: 0,
        action: Action::Scale,
        from: Some(app.version),
        to: Some(app.version),
        done: false,
    });
    let row = Deployment {
        steps: 1,
        announced: true,
        ..Deployment::accepted(id, app.version, app.version.0)
    };
    write(world, Key::Deployment(id), Row::Deployment(Arc::new(row)));
    write(world, Key::App(app.key), Row::App(Arc::new(app)));
    id
}

pub fn put_agent(world: &mut World) {
    let agent = Agent {
        key: AgentKey(1),
        id: AgentId(Uuid::from_u128(7)),
        run: RunId(Uuid::from_u128(8)),
        state: AgentState::Up,
        drain: None,
        inventory: Inventory {
            hostname: "10.0.0.5".to_owned(),
            role: "*".to_owned(),
            cpus: Cpus::micro(500_000),
            mem: Mem::whole(1_024),
            ports: vec![PortRange { first: 31_000, last: 32_000 }],
            ..Inventory::default()
        },
        foreign: std::collections::BTreeMap::new(),
    };
    write(world, Key::Agent(agent.key), Row::Agent(Arc::new(agent)));
}

pub fn put_task(world: &mut World, path: &AppPath, no: u32, id: InstanceId, condition: Condition) {
    let app = world.app(path).expect("the app is there");
    let at = Timestamp::from_millis(START);
    let task = Task {
        name: crate::model::id::APP_TASK.into(),
        condition,
        since: at,
        staged_at: at,
        started_at: (condition == Condition::Running).then_some(at),
        ips: Vec::new(),
        handle: None,
        pulled: 0,
        findings: None,
        end: None,
    };
    let place = Place {
        agent: AgentKey(1),
        ports: vec![Some(31_000)],
        devices: Vec::new(),
        cpus: Cpus::ZERO,
        mem: Mem::ZERO,
        disk: Disk::ZERO,
        fields: Vec::new(),
        launch_seconds: None,
    };
    let row = Instance {
        key: InstanceKey { app: app.key, no },
        id,
        version: app.version,
        config: app.version,
        goal: Goal::Run,
        incarnation: Incarnation(1),
        lives: 0,
        place: Some(place).filter(|_| !condition.is_terminal()),
        after: None,
        tasks: vec![task],
        since: at,
        rev: Rev::default(),
    };
    write(world, Key::Instance(row.key), Row::Instance(Arc::new(row)));
}

pub fn write(world: &mut World, key: Key, row: Row) {
    world.apply(&Write { key, row: Some(row) });
}

/// A deploy that has just begun, on apps that are not there.
pub fn put_deploy(world: &mut World, clock: i64, proposal: &Proposal) -> DeployId {
    let id = DeployId(Uuid::from_u128(u128::try_from(clock).expect("positive")));
    let version = Version(Timestamp::from_millis(clock));
    let path = AppPath::parse(&format!("{}-blue", proposal.put.spec.path)).expect("a path");
    let hand = Hand { app: AppKey(900), path, version, deployment: None };
    let at = version.0;
    let row = Deploy {
        id,
        app: proposal.put.spec.path.clone(),
        plan: proposal.plan.clone(),
        target: 20,
        counts: vec![1, 5, 20],
        old: None,
        new: New { hand, born: version, before: None },
        promoted: false,
        failures: 0,
        failed_at: None,
        last: None,
        state: deploy::State::Going(Phase::Growing { step: 0, deadline: at, ready: None }),
        since: at,
        at,
    };
    write(world, Key::Deploy(id), Row::Deploy(Arc::new(row)));
    id
}
