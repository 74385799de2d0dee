//! A server whose brain is a task of the test: it answers facts by editing rows, without deciding anything.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::Value;
use tokio::sync::mpsc;
use tower::ServiceExt;
use uuid::Uuid;

use crate::api::Front;
use crate::api::seams::{
    ApiConfig, Backends, EvidenceAnswer, EvidenceError, EvidenceRequest, EvidenceSource, LogAnswer,
    LogError, LogRequest, LogSource,
};
use crate::contract::app::read_app;
use crate::contract::fault::Options;
use crate::control::events::Events;
use crate::control::fleet::signs::Signs;
use crate::control::gauges::Gauges;
use crate::control::server::Server;
use crate::model::agent::{Agent, AgentState, Inventory, PortRange};
use crate::model::app::{Action, App, AppVersion, Part};
use crate::model::autopsy::{Autopsy, AutopsyKey, Exit, Fault, Locus};
use crate::model::brake::HealthBrake;
use crate::model::condition::Condition;
use crate::model::deploy::{self, Deploy, Hand, New, Phase};
use crate::model::deployment::Deployment;
use crate::model::fact::{Answer, Change, Expect, Fact, KillHow, Proposal, Refusal, Ticket};
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
use crate::model::view::View;
use crate::model::world::World;

/// 2021-07-01T10:00:00.000Z.
pub const START: i64 = 1_625_133_600_000;

/// The API over a fake brain.
pub struct Rig {
    pub front: Front,
    pub server: Server,
    pub signs: Signs,
    state: Arc<Mutex<State>>,
}

/// An answer, read.
#[derive(Debug)]
pub struct Answered {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub text: String,
}

/// Edits rows before the next fact is looked at.
type Interference = Box<dyn FnOnce(&mut World) + Send>;

#[derive(Default)]
struct State {
    world: World,
    clock: i64,
    asked: Vec<(Change, bool)>,
    refusals: VecDeque<Refusal>,
    interferences: VecDeque<Interference>,
}

struct FakeLogs;

// === impl Rig ===

impl Rig {
    pub fn new() -> Rig {
        Rig::with(|_| {})
    }

    pub fn with(configure: impl FnOnce(&mut ApiConfig)) -> Rig {
        let (inbox, facts) = mpsc::channel(16);
        let gauges = Gauges::default();
        let server = Server::new(inbox, Events::new(&gauges));
        let mut config = ApiConfig::new("m1:8080");
        configure(&mut config);
        let signs = Signs::default();
        let backends = Backends {
            clock: Arc::new(|| Timestamp::from_millis(START + 60_000)),
            logs: Arc::new(FakeLogs),
            evidence: Arc::new(FakeLogs),
            gauges,
            signs: signs.clone(),
        };
        let front = crate::api::front(server.clone(), config, backends);
        let state = Arc::new(Mutex::new(State { clock: START, ..State::default() }));
        tokio::spawn(brain(server.clone(), facts, state.clone()));
        Rig { front, server, signs, state }
    }

    /// Puts rows directly.
    pub fn edit(&self, edit: impl FnOnce(&mut World)) {
        let mut state = self.state.lock().expect("not poisoned");
        edit(&mut state.world);
        let view = state.view();
        drop(state);
        self.server.publish(view, Vec::new());
    }

    /// Refuses the next change.
    pub fn refuse(&self, refusal: Refusal) {
        self.state.lock().expect("not poisoned").refusals.push_back(refusal);
    }

    /// Edits rows just before the next change is looked at, after its asker has looked.
    pub fn interfere(&self, edit: impl FnOnce(&mut World) + Send + 'static) {
        self.state.lock().expect("not poisoned").interferences.push_back(Box::new(edit));
    }

    /// Every change that was asked for, with its `force`.
    pub fn asked(&self) -> Vec<(Change, bool)> {
        self.state.lock().expect("not poisoned").asked.clone()
    }

    /// An app that is there.
    pub fn app(&self, json: &str) {
        let spec = spec(json);
        self.edit(|world| put_app(world, spec, Version(Timestamp::from_millis(START))));
    }

    /// The first agent, and a task of an app on it.
    pub fn task(&self, path: &str, no: u32, condition: Condition) -> InstanceId {
        let path = AppPath::parse(path).expect("a path");
        let id = InstanceId(Uuid::from_u128(u128::from(no)));
        self.edit(|world| {
            put_agent(world);
            put_task(world, &path, no, id, condition);
        });
        id
    }

    pub async fn send(&self, request: Request<Body>) -> Answered {
        let response = self.front.clone().oneshot(request).await.expect("infallible");
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a whole body").to_bytes();
        Answered {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8_lossy(&bytes).into_owned(),
        }
    }

    pub async fn ask(&self, method: Method, path: &str, body: &str) -> Answered {
        self.ask_with(method, path, body, &[]).await
    }

    pub async fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: &str,
        headers: &[(&str, &str)],
    ) -> Answered {
        let mut request = Request::builder().method(method).uri(path);
        if !headers.iter().any(|(name, _)| *name == "host") {
            request = request.header("host", "localhost:8080");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(Body::from(body.to_owned())).expect("a request")).await
    }

    pub async fn get(&self, path: &str) -> Answered {
        self.ask(Method::GET, path, "").await
    }

    pub async fn post(&self, path: &str, body: &str) -> Answered {
        self.ask(Method::POST, path, body).await
    }

    pub async fn put(&self, path: &str, body: &str) -> Answered {
        self.ask(Method::PUT, path, body).await
    }

    pub async fn delete(&self, path: &str) -> Answered {
        self.ask(Method::DELETE, path, "").await
    }
}

// === impl Answered ===

impl Answered {
    /// Its body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// A header, empty when it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

// === impl State ===

impl State {
    fn view(&mut self) -> View {
        self.clock += 1;
        let no = Rev::default().0 + u64::try_from(self.clock - START).expect("after the start");
        View {
            no: crate::model::id::CommitNo(no),
            at: Timestamp::from_millis(self.clock),
            world: self.world.clone(),
            ..View::default()
        }
    }

    fn answer(&mut self, change: Change, force: bool) -> Answer {
        if let Some(interference) = self.interferences.pop_front() {
            interference(&mut self.world);
        }
        self.asked.push((change.clone(), force));
        if let Some(refusal) = self.refusals.pop_front() {
            return Answer::Refused(refusal);
        }
        match self.make(change, force) {
            Ok(answer) => answer,
            Err(refusal) => Answer::Refused(refusal),
        }
    }

    fn make(&mut self, change: Change, force: bool) -> Result<Answer, Refusal> {
        self.clock += 1;
        let version = Version(Timestamp::from_millis(self.clock));
        let deployment =
            DeploymentId(Uuid::from_u128(u128::try_from(self.clock).expect("positive")));
        let mut created = Vec::new();
        match change {
            Change::Put { apps, .. } => {
                for put in apps {
                    let path = put.spec.path.clone();
                    match (put.expect, self.world.app(&path).map(|app| app.version)) {
                        (Expect::Absent, Some(_)) => return Err(Refusal::Exists { path }),
                        (Expect::None, Some(_)) | (Expect::Version(_), None) => {
                            return Err(Refusal::Stale);
                        }
                        (Expect::Version(seen), Some(is)) if seen != is => {
                            return Err(Refusal::Stale);
                        }
                        (Expect::Absent | Expect::None, None) => created.push(path),
                        (Expect::Version(_), Some(_)) => {}
                    }
                    put_app(&mut self.world, put.spec, version);
                }
            }
            Change::Remove { path } => {
                let mut app = self.world.app(&path).cloned().ok_or(Refusal::NoApp { path })?;
                app.removed = Some(Timestamp::from_millis(self.clock));
                write(&mut self.world, Key::App(app.key), Row::App(Arc::new(app)));
            }
            Change::Restart { path } => {
                self.world.app(&path).ok_or(Refusal::NoApp { path: path.clone() })?;
            }
            Change::Kill { how: KillHow::Scale, .. } => {}
            Change::Kill { instances, how: KillHow::Restart | KillHow::Wipe } => {
                for key in &instances {
                    let mut row = self.world.instances.get(key).expect("it was seen").clone();
                    row.tasks[0].condition = Condition::Killing;
                    write(&mut self.world, Key::Instance(*key), Row::Instance(Arc::new(row)));
                }
                return Ok(Answer::Killed { instances });
            }
            Change::Cancel { deployment } => {
                let running = self.world.deployments.get(&deployment).is_some();
                if !running {
                    return Err(Refusal::NoDeployment { deployment });
                }
                if force {
                    return Ok(Answer::Cancelled);
                }
            }
            Change::ResetDelay { path } => {
                let app = self.world.app(&path).ok_or(Refusal::NoApp { path: path.clone() })?;
                let waits = self.world.instances_of(app.key).any(Instance::is_scheduled);
                return if waits {
                    Ok(Answer::DelayReset)
                } else {
                    Err(Refusal::NotQueued { path })
                };
            }
            Change::Deploy(proposal) => {
                let deploy = put_deploy(&mut self.world, self.clock, &proposal);
                return Ok(Answer::Deploying { deploy });
            }
            Change::Steer { deploy, .. } => return Ok(Answer::Deploying { deploy }),
            Change::Resume { .. }
            | Change::Drain { .. }
            | Change::Undrain { .. }
            | Change::Forget { .. }
            | Change::ReleaseBrake => return Ok(Answer::Done),
        }
        Ok(Answer::Deployed { deployment, version, created })
    }
}

impl LogSource for FakeLogs {
    fn open(&self, request: LogRequest) -> LogAnswer {
        Box::pin(async move {
            if request.tail == Some(0) {
                return Err(LogError::Gone);
            }
            let text = format!(
                "{:?} life {} follow {} tail {:?}\n",
                request.stream, request.incarnation, request.follow, request.tail
            );
            let stream: crate::api::seams::LogBytes =
                Box::pin(futures::stream::iter([Ok(Bytes::from(text))]));
            Ok(stream)
        })
    }
}

impl EvidenceSource for FakeLogs {
    /// Of life 1; of life 2 there is none, and a third is away.
    fn find(&self, request: EvidenceRequest) -> EvidenceAnswer {
        let EvidenceRequest { instance, incarnation, .. } = request;
        Box::pin(async move {
            match incarnation.0 {
                1 => Ok(Bytes::from(format!(
                    r#"{{"app":1,"instance":"{instance}","incarnation":1,"at":{START},"stdout":{{"lines":["last words"]}}}}"#
                ))),
                2 => Err(EvidenceError::None),
                _ => Err(EvidenceError::Away("it has no connection".to_owned())),
            }
        })
    }
}

async fn brain(server: Server, mut facts: mpsc::Receiver<Fact>, state: Arc<Mutex<State>>) {
    while let Some(fact) = facts.recv().await {
        let Fact::Asked { ticket: Ticket::Client(number), change, how, .. } = fact else {
            panic!("the API asks and nothing else");
        };
        let (view, answer) = {
            let mut state = state.lock().expect("not poisoned");
            let answer = state.answer(change, how.force);
            (state.view(), answer)
        };
        server.publish(view, vec![(number, answer)]);
    }
}

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

fn put_agent(world: &mut World) {
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

fn put_task(world: &mut World, path: &AppPath, no: u32, id: InstanceId, condition: Condition) {
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

fn write(world: &mut World, key: Key, row: Row) {
    world.apply(&Write { key, row: Some(row) });
}

/// A deploy that has just begun, on apps that are not there.
fn put_deploy(world: &mut World, clock: i64, proposal: &Proposal) -> DeployId {
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
