//! Small worlds for tests: one app on one agent, changed step by step.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::agent::{Agent, AgentState, AttributeValue, Inventory};
use crate::model::app::{Action, App, AppVersion, Backoff, Failure, Part};
use crate::model::brake::HealthBrake;
use crate::model::condition::Condition;
use crate::model::deployment::Deployment;
use crate::model::deployment::FailurePolicy;
use crate::model::findings::{Findings, HealthRecord};
use crate::model::id::{
    APP_TASK, AgentId, AgentKey, AppKey, CommitNo, DeploymentId, Incarnation, InstanceId,
    InstanceKey, RunId, Version,
};
use crate::model::instance::{Goal, Instance, Place, StopWhy, Task};
use crate::model::network::{Network, PortDefinition};
use crate::model::path::AppPath;
use crate::model::spec::{
    BackoffSpec, Container, KillSelection, Restart, Spec, UnreachableStrategy, UpgradeStrategy,
};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};
use crate::model::view::{Verdict, View};
use crate::model::world::World;

/// The UUID of the first instance.
pub(crate) const UUID: &str = "0dcc1e4e-9f1a-11eb-8f5c-0242ac110002";
/// The UUID of the only deployment.
pub(crate) const DEPLOYMENT: &str = "5ed4c0c5-0000-4000-8000-000000000000";
/// The UUID of the only agent.
pub(crate) const AGENT: &str = "f3a60000-0000-4000-8000-000000000000";

/// One app on one agent.
pub(crate) struct Rig {
    pub(crate) world: World,
    verdict: Option<Verdict>,
}

/// So many milliseconds after 10 o'clock on the day of the contract's examples.
pub(crate) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_625_133_600_000 + millis)
}

/// The app of 19.1 at any path, as it is stored before ports are assigned.
pub(crate) fn spec(path: &str) -> Spec {
    let container = Container {
        name: APP_TASK.to_owned(),
        cmd: Some("sleep 1000".to_owned()),
        args: Vec::new(),
        user: None,
        env: [].into(),
        cpus: Cpus::micro(100_000),
        mem: Mem::whole(32),
        disk: Disk::ZERO,
        gpus: 0,
        limits: None,
        fetch: Vec::new(),
        sandbox: None,
        tty: None,
    };
    let port = PortDefinition { name: Some("default".to_owned()), ..PortDefinition::default() };
    Spec {
        path: AppPath::parse(path).expect("a path"),
        instances: 1,
        containers: vec![container],
        networks: vec![Network::host()],
        port_definitions: Some(vec![port]),
        require_ports: false,
        constraints: [].into(),
        accepted_roles: None,
        role: "*".to_owned(),
        backoff: BackoffSpec { seconds: 1, factor: Ratio::micro(1_150_000), max_seconds: 300 },
        upgrade: UpgradeStrategy { minimum_health: Ratio::ONE, over_capacity: Ratio::ONE },
        kill_selection: KillSelection::YoungestFirst,
        kill_grace_seconds: None,
        unreachable: UnreachableStrategy::After { inactive_seconds: 0, expunge_seconds: 0 },
        dependencies: [].into(),
        labels: [].into(),
        health_checks: [].into(),
        check: None,
        readiness_checks: Vec::new(),
        secrets: [].into(),
        executor: String::new(),
        executor_resources: None,
        restart: Restart::Always,
        priority: 0,
        failure: FailurePolicy::default(),
        drain_seconds: None,
    }
}

/// A stored definition that is as old as its version.
pub(crate) fn stored(spec: Spec) -> AppVersion {
    let version = Version(at(123));
    AppVersion {
        spec,
        version,
        last_scaling_at: version.0,
        last_config_change_at: version.0,
        config: version,
    }
}

// === impl Rig ===

impl Rig {
    const APP: AppKey = AppKey(1);
    const AGENT: AgentKey = AgentKey(1);

    /// The app `/web` without instances.
    pub(crate) fn new() -> Rig {
        Rig::at_path("/web")
    }

    /// The app at another path.
    pub(crate) fn at_path(path: &str) -> Rig {
        let mut rig = Rig { world: World::default(), verdict: None };
        rig.put_agent();
        let row = stored(spec(path));
        let app = App {
            key: Rig::APP,
            path: row.spec.path.clone(),
            version: row.version,
            priors: Vec::new(),
            visible_from: row.version,
            part: None,
            backoffs: Vec::new(),
            last_failure: None,
            next_instance: 1,
            look_again: None,
            health_brake: HealthBrake::default(),
            removed: None,
        };
        rig.world.versions.put((Rig::APP, row.version), Arc::new(row));
        rig.world.paths.put(app.path.clone(), Arc::new(Rig::APP));
        rig.world.apps.put(Rig::APP, Arc::new(app));
        rig
    }

    fn put_agent(&mut self) {
        let attribute =
            |name: &str, value: &str| (name.to_owned(), AttributeValue::Text(value.to_owned()));
        let inventory = Inventory {
            hostname: "10.0.0.5".to_owned(),
            address: Some("10.0.0.5".to_owned()),
            attributes: [attribute("region", "aws"), attribute("zone", "a")].into(),
            role: "*".to_owned(),
            ..Inventory::default()
        };
        let agent = Agent {
            key: Rig::AGENT,
            id: AgentId(AGENT.parse().expect("a UUID")),
            run: RunId(uuid::Uuid::nil()),
            state: AgentState::Up,
            drain: None,
            inventory,
            foreign: BTreeMap::new(),
        };
        self.world.agents.put(Rig::AGENT, Arc::new(agent));
    }

    pub(crate) fn app(&self) -> &App {
        self.world.apps.get(&Rig::APP).expect("the app")
    }

    pub(crate) fn agent(&self) -> &Agent {
        self.world.agents.get(&Rig::AGENT).expect("the agent")
    }

    pub(crate) fn definition(&self) -> &AppVersion {
        self.world.current(self.app()).expect("its definition")
    }

    pub(crate) fn deployment_id() -> DeploymentId {
        DeploymentId(DEPLOYMENT.parse().expect("a UUID"))
    }

    pub(crate) fn view(&self) -> View {
        let verdicts = self.verdict.iter().map(|verdict| (Rig::APP, Arc::new(verdict.clone())));
        View { world: self.world.clone(), verdicts: verdicts.collect(), ..View::default() }
    }

    pub(crate) fn verdict(&mut self, verdict: Verdict) {
        self.verdict = Some(verdict);
    }

    pub(crate) fn change_app(&mut self, change: impl FnOnce(&mut App)) {
        let mut app = self.app().clone();
        change(&mut app);
        self.world.apps.put(Rig::APP, Arc::new(app));
    }

    pub(crate) fn change_spec(&mut self, change: impl FnOnce(&mut Spec)) {
        let mut row = self.definition().clone();
        change(&mut row.spec);
        self.world.versions.put((Rig::APP, row.version), Arc::new(row));
    }

    pub(crate) fn change_agent(&mut self, change: impl FnOnce(&mut Agent)) {
        let mut agent = self.agent().clone();
        change(&mut agent);
        self.world.agents.put(Rig::AGENT, Arc::new(agent));
    }

    pub(crate) fn attribute(&mut self, name: &str, value: AttributeValue) {
        self.change_agent(|agent| {
            agent.inventory.attributes.insert(name.to_owned(), value);
        });
    }

    /// An instance in its first life on the agent, with one host port.
    pub(crate) fn instance(&mut self, no: u32, condition: Condition) {
        let task = Task {
            name: APP_TASK.into(),
            condition,
            since: at(1_000),
            staged_at: at(1_000),
            started_at: Some(at(2_250)),
            ips: Vec::new(),
            handle: None,
            pulled: 0,
            findings: None,
            end: None,
        };
        let place = Place {
            agent: Rig::AGENT,
            ports: vec![Some(31_412)],
            devices: Vec::new(),
            cpus: Cpus::ZERO,
            mem: Mem::ZERO,
            disk: Disk::ZERO,
            fields: Vec::new(),
            launch_seconds: None,
        };
        self.waiting(no);
        self.change(no, |instance| {
            instance.incarnation = Incarnation(1);
            instance.place = Some(place);
            instance.tasks = vec![task];
        });
    }

    /// An instance that was never launched.
    pub(crate) fn waiting(&mut self, no: u32) {
        let first: uuid::Uuid = UUID.parse().expect("a UUID");
        let version = self.app().version;
        let instance = Instance {
            key: InstanceKey { app: Rig::APP, no },
            id: InstanceId(uuid::Uuid::from_u128(first.as_u128() + u128::from(no) - 1)),
            version,
            config: version,
            goal: Goal::Run,
            incarnation: Incarnation(0),
            lives: 0,
            place: None,
            after: None,
            tasks: Vec::new(),
            since: at(0),
            rev: CommitNo(1),
        };
        self.world.instances.put(instance.key, Arc::new(instance));
    }

    pub(crate) fn change(&mut self, no: u32, change: impl FnOnce(&mut Instance)) {
        let key = InstanceKey { app: Rig::APP, no };
        let mut instance = self.world.instances.get(&key).expect("the instance").clone();
        change(&mut instance);
        self.world.instances.put(key, Arc::new(instance));
    }

    pub(crate) fn ports(&mut self, no: u32, ports: &[Option<u16>]) {
        self.change(no, |instance| {
            instance.place.as_mut().expect("a place").ports = ports.to_vec();
        });
    }

    pub(crate) fn stop(&mut self, no: u32, why: StopWhy) {
        self.change(no, |instance| {
            instance.goal = Goal::Stop {
                then: crate::model::instance::Then::Leave,
                why,
                since: at(3_000),
                drains_until: None,
            };
        });
    }

    /// The second life of the first instance has failed.
    pub(crate) fn fail(&mut self) {
        let failure = Failure {
            instance: InstanceId(UUID.parse().expect("a UUID")),
            task: APP_TASK.to_owned(),
            incarnation: Incarnation(2),
            condition: Condition::Failed,
            message: "Container exited with status 1".to_owned(),
            agent: Some(self.agent().id),
            host: "10.0.0.5".to_owned(),
            at: at(9_000),
            version: self.app().version,
        };
        self.change_app(|app| app.last_failure = Some(failure));
    }

    /// The current configuration is held back for so many seconds from 10 o'clock on.
    pub(crate) fn backoff(&mut self, delay: u64, max: u64) {
        let config = self.definition().config;
        let (delay, max) = (Span::secs(delay), Span::secs(max));
        self.change_app(|app| app.backoffs = vec![Backoff { config, delay, since: at(0), max }]);
    }

    /// A deployment that works on the app in `step` of `steps`.
    pub(crate) fn deploy(&mut self, action: Action, step: u32, steps: u32, start: Option<u32>) {
        let (deployment, version) = (Rig::deployment_id(), self.app().version);
        let row = Deployment {
            steps,
            start_step: start,
            ..Deployment::accepted(deployment, version, at(0))
        };
        self.world.deployments.put(deployment, Arc::new(row));
        self.change_app(|app| {
            app.part =
                Some(Part { deployment, step, action, done: false, from: None, to: Some(version) });
        });
    }

    pub(crate) fn change_deployment(&mut self, change: impl FnOnce(&mut Deployment)) {
        let id = Rig::deployment_id();
        let mut row = self.world.deployments.get(&id).expect("the deployment").clone();
        change(&mut row);
        self.world.deployments.put(id, Arc::new(row));
    }
}

/// What one health check has found: a success or a failure, or nothing yet.
pub(super) fn found(alive: Option<bool>) -> Findings {
    let record = alive.map(|alive| {
        let mut record = HealthRecord::default();
        record.succeeded(at(3_000));
        if !alive {
            record.failed(at(4_000), "HTTP status 503");
        }
        record
    });
    Findings { health: vec![record], ..Findings::default() }
}
