//! What the tests of this folder share: launches by default, a runtime on the machine's engine, and a false engine.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use bollard::Docker;
use bollard::query_parameters::RemoveContainerOptionsBuilder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixListener;
use tokio::sync::watch;

use super::auth::Keyring;
use super::call::Deadlines;
use super::connect::{self, Connection, Search};
use super::labels::{self, Owner};
use super::{DockerRuntime, Listed, raw};
use crate::agent::gpu::Shelf;
use crate::agent::machine;
use crate::agent::runtime::{Launch, Running, Runtime, SandboxId};
use crate::model::deployment::FailurePolicy;
use crate::model::end::End;
use crate::model::have::SpecKey;
use crate::model::id::{
    AgentId, AgentKey, AppKey, ClusterId, Incarnation, InstanceId, InstanceKey, Version,
};
use crate::model::instance::Place;
use crate::model::network::Network;
use crate::model::path::AppPath;
use crate::model::spec::{
    BackoffSpec, Container, ContainerKind, DockerImage, KillSelection, Parameter, Restart, Sandbox,
    Spec, UnreachableStrategy, UpgradeStrategy,
};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};

/// A definition with one container of `image` and nothing else said.
pub fn spec(image: &str) -> Spec {
    Spec {
        path: AppPath::parse("/test/app").expect("a path"),
        instances: 1,
        containers: vec![container(image)],
        networks: vec![Network::host()],
        port_definitions: None,
        require_ports: false,
        constraints: [].into(),
        accepted_roles: None,
        role: "*".to_owned(),
        backoff: BackoffSpec { seconds: 1, factor: Ratio::ONE, max_seconds: 60 },
        upgrade: UpgradeStrategy { minimum_health: Ratio::ONE, over_capacity: Ratio::ONE },
        kill_selection: KillSelection::YoungestFirst,
        kill_grace_seconds: None,
        unreachable: UnreachableStrategy::Disabled,
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

fn container(image: &str) -> Container {
    let docker = DockerImage {
        image: image.to_owned(),
        force_pull: false,
        privileged: false,
        parameters: Vec::new(),
        pull_secret: None,
    };
    Container {
        name: "_app".to_owned(),
        cmd: None,
        args: Vec::new(),
        user: None,
        env: [].into(),
        cpus: Cpus::micro(100_000),
        mem: Mem::whole(32),
        disk: Disk::ZERO,
        gpus: 0,
        limits: None,
        fetch: Vec::new(),
        sandbox: Some(Sandbox {
            kind: ContainerKind::Docker,
            docker: Some(docker),
            volumes: Vec::new(),
            port_mappings: None,
            linux_info: None,
        }),
        tty: None,
    }
}

/// The only container of a spec.
pub fn only(spec: &mut Spec) -> &mut Container {
    spec.containers.first_mut().expect("one container")
}

/// Its `container` object.
pub fn sandbox(spec: &mut Spec) -> &mut Sandbox {
    only(spec).sandbox.as_mut().expect("an image")
}

/// Its image.
pub fn docker(spec: &mut Spec) -> &mut DockerImage {
    sandbox(spec).docker.as_mut().expect("an image")
}

/// `key=value` pairs as parameters.
pub fn parameters(pairs: &[(&str, &str)]) -> Vec<Parameter> {
    let one = |(key, value): &(&str, &str)| Parameter {
        key: (*key).to_owned(),
        value: (*value).to_owned(),
    };
    pairs.iter().map(one).collect()
}

/// A launch of `spec` as a new instance of `owner`'s.
pub fn launch(owner: Owner, spec: Spec, ports: Vec<Option<u16>>) -> Launch {
    let app = AppKey(7);
    let Container { cpus, mem, disk, .. } = *spec.container();
    let id = SandboxId { instance: InstanceId(uuid()), incarnation: Incarnation(1) };
    Launch {
        id,
        key: InstanceKey { app, no: 3 },
        spec_key: SpecKey { app, version: Version(Timestamp::from_millis(1_600_000_000_123)) },
        spec: Arc::new(spec),
        place: Place {
            agent: AgentKey(1),
            ports,
            devices: Vec::new(),
            cpus,
            mem,
            disk,
            fields: Vec::new(),
            launch_seconds: None,
        },
        // By the cluster all that a test makes is found again, also for another agent.
        cluster: ClusterId(owner.agent.0),
        agent: owner.agent,
        env: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
        dir: std::env::temp_dir().join(format!("stayer-docker-test-{id}")),
    }
}

/// An owner that nobody else is.
pub fn owner() -> Owner {
    Owner { agent: AgentId(uuid()) }
}

/// A UUID that no other test has: the process, then a counter.
fn uuid() -> uuid::Uuid {
    use std::sync::atomic::{AtomicU64, Ordering};
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let seed = std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel's");
    let seed = uuid::Uuid::try_parse(seed.trim()).expect("a uuid").as_u64_pair().0;
    uuid::Uuid::from_u64_pair(seed, COUNTER.fetch_add(1, Ordering::Relaxed))
}

/// A runtime on the machine's engine whose containers and sandboxes go at the end of the test.
pub struct Rig {
    pub runtime: DockerRuntime,
    pub owner: Owner,
    pub engine: Docker,
    dirs: Mutex<Vec<PathBuf>>,
}

impl Rig {
    pub async fn new() -> Rig {
        let owner = owner();
        let runtime = runtime(owner, Keyring::default()).await;
        let socket = runtime.facts().socket.display().to_string();
        let engine = Docker::connect_with_unix(&socket, 60, bollard::API_DEFAULT_VERSION);
        let engine = engine.expect("it has just answered");
        Rig { runtime, owner, engine, dirs: Mutex::default() }
    }

    /// A launch of ours.
    pub fn launch(&self, spec: Spec) -> Launch {
        self.launch_with_ports(spec, Vec::new())
    }

    pub fn launch_with_ports(&self, spec: Spec, ports: Vec<Option<u16>>) -> Launch {
        let launch = launch(self.owner, spec, ports);
        self.dirs.lock().expect("not poisoned").push(launch.dir.clone());
        launch
    }

    /// A launch of `busybox` that runs `cmd`.
    pub fn shell(&self, cmd: &str) -> Launch {
        let mut spec = spec("busybox:local");
        only(&mut spec).cmd = Some(cmd.to_owned());
        self.launch(spec)
    }

    pub async fn run(&self, launch: &Launch) -> Running {
        self.runtime.prepare(launch, &progress()).await.expect("prepared");
        self.runtime.start(launch).await.expect("started")
    }

    /// Runs `cmd` to its end.
    pub async fn end_of(&self, launch: &Launch) -> End {
        self.run(launch).await;
        self.runtime.ended(launch.id).await.expect("it ends").1
    }

    /// Removes what the test left.
    pub async fn clear(self) {
        // The client library does not know every state of a container that engines name.
        let marks = [format!("{}={}", labels::CLUSTER, self.owner.agent)];
        let filters = raw::escaped(&serde_json::json!({ "label": marks }).to_string());
        let path = format!("/containers/json?all=1&filters={filters}");
        let listed: Vec<Listed> =
            raw::get(&self.runtime.facts().socket, &path).await.expect("a list");
        for container in listed {
            remove(&self.engine, &container.id).await;
        }
    }

    pub fn is_podman(&self) -> bool {
        self.runtime.facts().engine.name == "Podman"
    }
}

impl Drop for Rig {
    /// Sandboxes go always; the containers of a test that failed go by the engine's own client, since nothing can be
    /// awaited here.
    fn drop(&mut self) {
        for dir in self.dirs.get_mut().map(std::mem::take).unwrap_or_default() {
            let _ = std::fs::remove_dir_all(dir);
        }
        if std::thread::panicking() {
            let mark = format!("label={}={}", labels::CLUSTER, self.owner.agent);
            let list = format!("docker ps -aq --filter {mark} | xargs -r docker rm -fv");
            let _ = std::process::Command::new("sh").args(["-c", &list]).output();
        }
    }
}

pub async fn remove(engine: &Docker, id: &str) {
    let options = RemoveContainerOptionsBuilder::default().v(true).force(true).build();
    engine.remove_container(id, Some(options)).await.expect("removed");
}

pub async fn runtime(owner: Owner, keyring: Keyring) -> DockerRuntime {
    DockerRuntime::new(connection().await, owner, keyring, Shelf::default(), |_| Vec::new())
}

/// The engine under test.
pub async fn connection() -> Connection {
    let search = Search { docker_host: machine::docker_host(), ..Search::default() };
    connect::find(&search, Deadlines::default()).await.expect("an engine runs here")
}

pub fn progress() -> crate::agent::runtime::Progress {
    watch::channel(0).0
}

/// What a false engine does with one request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// This status and body.
    Say(u16, String),
    /// Nothing, for ever.
    Hang,
    /// The connection ends without an answer.
    Cut,
}

/// An engine of the test's making, behind a socket of its own.
pub struct FalseEngine {
    pub socket: PathBuf,
    /// Request lines in order.
    pub asked: Arc<Mutex<Vec<String>>>,
    _dir: tempfile::TempDir,
}

impl FalseEngine {
    /// `answer` gets method and path of each request.
    pub fn new(answer: impl Fn(&str) -> Answer + Send + Sync + 'static) -> FalseEngine {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (answer, log) = (Arc::new(answer), Arc::clone(&asked));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, log) = (Arc::clone(&answer), Arc::clone(&log));
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                        match stream.read_buf(&mut head).await {
                            Ok(0) | Err(_) => return,
                            Ok(_) => {}
                        }
                    }
                    let head = String::from_utf8_lossy(&head).into_owned();
                    let line = head.lines().next().unwrap_or_default();
                    let line = line.trim_end_matches(" HTTP/1.1").to_owned();
                    log.lock().expect("not poisoned").push(line.clone());
                    match answer(&line) {
                        Answer::Say(status, body) => {
                            let text = format!(
                                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                                body.len()
                            );
                            let _ = stream.write_all(text.as_bytes()).await;
                        }
                        Answer::Hang => std::future::pending::<()>().await,
                        Answer::Cut => {}
                    }
                });
            }
        });
        FalseEngine { socket, asked, _dir: dir }
    }

    pub async fn connect(
        &self,
        deadlines: Deadlines,
    ) -> Result<connect::Connection, connect::ConnectError> {
        let docker_host = Some(format!("unix://{}", self.socket.display()));
        connect::find(&Search { docker_host, ..Search::default() }, deadlines).await
    }

    pub async fn runtime(&self, owner: Owner, deadlines: Deadlines) -> DockerRuntime {
        // Short deadlines are for what hangs; a machine that does much else may miss them with an answer.
        let answers = async {
            loop {
                if let Ok(connection) = self.connect(deadlines).await {
                    return connection;
                }
            }
        };
        let connection = tokio::time::timeout(*machine::PATIENCE, answers).await;
        let connection = connection.expect("it answers");
        DockerRuntime::new(connection, owner, Keyring::default(), Shelf::default(), |_| Vec::new())
    }
}

/// The span that a test may take at most, for engines that hang.
pub fn impatient() -> Deadlines {
    let short: std::time::Duration = Span::millis(200).into();
    Deadlines { read: short, change: short, silence: short }
}
