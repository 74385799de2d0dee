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

use super::rows::{put_agent, put_app, put_deploy, put_task, spec, write};
use crate::api::Front;
use crate::api::seams::{
    ApiConfig, Backends, EvidenceAnswer, EvidenceError, EvidenceRequest, EvidenceSource, LogAnswer,
    LogError, LogRequest, LogSource,
};
use crate::control::events::Events;
use crate::control::fleet::signs::Signs;
use crate::control::gauges::Gauges;
use crate::control::server::Server;
use crate::model::condition::Condition;
use crate::model::fact::{Answer, Change, Expect, Fact, KillHow, Refusal, Ticket};
use crate::model::id::{DeploymentId, InstanceId, Rev, Version};
use crate::model::instance::Instance;
use crate::model::path::AppPath;
use crate::model::row::{Key, Row};
use crate::model::time::Timestamp;
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
