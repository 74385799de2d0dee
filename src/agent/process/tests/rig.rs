//! A host with one process runtime, and definitions to run on it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::Pid;
use tokio::sync::watch;
use uuid::Uuid;

use crate::agent::fetch::FetchConfig;
use crate::agent::machine::PATIENCE;
use crate::agent::process::proc::Stat;
use crate::agent::process::*;
use crate::agent::runtime::FoundState;
use crate::model::deployment::FailurePolicy;
use crate::model::have::SpecKey;
use crate::model::id::{
    AgentId, AgentKey, AppKey, ClusterId, Incarnation, InstanceId, InstanceKey, Version,
};
use crate::model::instance::Place;
use crate::model::network::Network;
use crate::model::path::AppPath;
use crate::model::spec::{
    BackoffSpec, Container, KillSelection, Restart, Spec, UnreachableStrategy, UpgradeStrategy,
};
use crate::model::unit::{Cpus, Disk, Mem, Ratio};

/// A host with one process runtime, which ends all that it started.
pub(super) struct Rig {
    pub(super) data: tempfile::TempDir,
    pub(super) agent: AgentId,
    pub(super) cgroups: PathBuf,
    pub(super) runtime: ProcessRuntime,
}

// === impl Rig ===

impl Rig {
    pub(super) fn new() -> Rig {
        Rig::on(Path::new(cgroup::ROOT))
    }

    /// On a host that allows no control groups.
    pub(super) fn without_groups() -> Rig {
        Rig::on(Path::new("/nonexistent"))
    }

    pub(super) fn on(cgroups: &Path) -> Rig {
        let data = tempfile::tempdir().expect("a directory");
        open_to_others(data.path());
        let agent = AgentId(fresh());
        let cgroups = cgroups.to_owned();
        let runtime = open(data.path(), agent, &cgroups);
        Rig { data, agent, cgroups, runtime }
    }

    /// As after a restart of the agent.
    pub(super) fn restarted(&self) -> ProcessRuntime {
        open(self.data.path(), self.agent, &self.cgroups)
    }

    pub(super) fn launch(&self, cmd: &str) -> Launch {
        self.launch_with(|spec| spec.containers[0].cmd = Some(cmd.to_owned()))
    }

    pub(super) fn launch_with(&self, change: impl FnOnce(&mut Spec)) -> Launch {
        let id = SandboxId { instance: InstanceId(fresh()), incarnation: Incarnation(1) };
        let mut spec = spec();
        change(&mut spec);
        Launch {
            id,
            key: InstanceKey { app: AppKey(7), no: 3 },
            spec_key: SpecKey { app: AppKey(7), version: Version::default() },
            place: place(&spec),
            spec: Arc::new(spec),
            cluster: ClusterId(Uuid::nil()),
            agent: self.agent,
            env: BTreeMap::from([("GREETING".to_owned(), "hello 'you' $HOME".to_owned())]),
            dir: self.runtime.sandbox(id),
        }
    }

    pub(super) async fn run(&self, launch: &Launch) -> Running {
        prepare(&self.runtime, launch).await.expect("prepared");
        self.runtime.start(launch).await.expect("started")
    }

    /// Runs a command to its end.
    pub(super) async fn end_of(&self, cmd: &str) -> (Launch, End) {
        let launch = self.launch(cmd);
        self.run(&launch).await;
        let end = end(&self.runtime, launch.id).await;
        (launch, end)
    }
}

impl Drop for Rig {
    /// Ends all that a test has left, a failed one too.
    fn drop(&mut self) {
        let shared = &self.runtime.shared;
        for id in shared.ledger.ids().unwrap_or_default() {
            let file = shared.ledger.life(id);
            let read = || file.read().ok().flatten().unwrap_or_default();
            // One that is just being started says who it is in a moment.
            let mut looks = 0..1_000;
            while read().holder.is_none()
                && file.claim().is_ok_and(|claimed| claimed.is_none())
                && looks.next().is_some()
            {
                std::thread::sleep(Duration::from_millis(1));
            }
            let life = read();
            if let Some(holder) =
                life.holder.filter(|holder| holder.holds_its_id().is_ok_and(|is| is))
            {
                let _gone = kill_process_group(holder.pid, Signal::KILL);
                shared.reap(id);
            }
            let _removed = cgroup::remove(&shared.cgroups.paths(id));
        }
        shared.cgroups.leave();
    }
}

pub(super) fn open(data: &Path, agent: AgentId, cgroups: &Path) -> ProcessRuntime {
    let config = ProcessConfig {
        data: data.to_owned(),
        agent,
        fetch: FetchConfig::new(data.join("cache")),
        cgroups: cgroups.to_owned(),
    };
    ProcessRuntime::open(config).expect("opened")
}

pub(super) async fn prepare(runtime: &ProcessRuntime, launch: &Launch) -> Result<(), RuntimeError> {
    let (progress, _) = watch::channel(0);
    runtime.prepare(launch, &progress).await
}

pub(super) async fn end(runtime: &ProcessRuntime, id: SandboxId) -> End {
    let ended = tokio::time::timeout(*PATIENCE, runtime.ended(id)).await;
    ended.expect("it ends in time").expect("its end is known").1
}

pub(super) async fn state(runtime: &ProcessRuntime, id: SandboxId) -> Option<FoundState> {
    let all = runtime.list().await.expect("listed");
    all.into_iter().find(|found| found.id == id).map(|found| found.state)
}

/// Waits for a condition, never for a time.
pub(super) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let wait = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(*PATIENCE, wait).await.unwrap_or_else(|_| panic!("never: {what}"));
}

pub(super) fn read(launch: &Launch, name: &str) -> String {
    fs::read_to_string(launch.dir.join(name)).unwrap_or_default()
}

pub(super) fn runs(pid: &str) -> bool {
    let pid = pid.trim().parse().ok().and_then(Pid::from_raw).expect("a process id");
    Stat::of(pid).expect("readable").is_some_and(|stat| !stat.zombie)
}

pub(super) fn fresh() -> Uuid {
    let text = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel makes one");
    text.trim().parse().expect("a UUID")
}

pub(super) fn open_to_others(dir: &Path) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).expect("permitted");
}

pub(super) fn place(spec: &Spec) -> Place {
    let container = spec.container();
    Place {
        agent: AgentKey::default(),
        ports: Vec::new(),
        devices: Vec::new(),
        cpus: container.cpus,
        mem: container.mem,
        disk: Disk::ZERO,
        fields: Vec::new(),
        launch_seconds: None,
    }
}

pub(super) fn spec() -> Spec {
    let container = Container {
        name: "_app".to_owned(),
        cmd: None,
        args: Vec::new(),
        user: None,
        env: BTreeMap::new(),
        cpus: Cpus::micro(100_000),
        mem: Mem::whole(64),
        disk: Disk::ZERO,
        gpus: 0,
        limits: None,
        fetch: Vec::new(),
        sandbox: None,
        tty: None,
    };
    Spec {
        path: AppPath::parse("/test").expect("a path"),
        instances: 1,
        containers: vec![container],
        networks: vec![Network::host()],
        port_definitions: None,
        require_ports: false,
        constraints: BTreeSet::new(),
        accepted_roles: None,
        role: "*".to_owned(),
        backoff: BackoffSpec { seconds: 1, factor: Ratio::ONE, max_seconds: 60 },
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
