//! Wants and definitions for tests.

use crate::agent::runtime::SandboxId;
use crate::model::have::{SpecKey, Want, WantGoal};
use crate::model::id::{AgentKey, AppKey, CommitNo, Incarnation, InstanceId, InstanceKey, Version};
use crate::model::instance::{Place, StopWhy};
use crate::model::spec::Spec;
use crate::model::time::{Span, Timestamp};
use crate::model::unit::{Cpus, Disk, Mem};

/// Of every stop.
pub(in crate::agent) const GRACE: Span = Span::secs(2);

/// Even apps have an image.
pub(in crate::agent) fn spec(app: AppKey) -> Spec {
    let image = if app.0.is_multiple_of(2) {
        serde_json::json!({"kind": "Docker", "volumes": [], "port_mappings": null, "linux_info": null,
            "docker": {"image": format!("image-{app}"), "force_pull": false, "privileged": false,
                       "parameters": [], "pull_secret": null}})
    } else {
        serde_json::Value::Null
    };
    serde_json::from_value(serde_json::json!({
        "path": format!("/app-{app}"), "instances": 1,
        "containers": [{"name": "_app", "cmd": "true", "args": [], "user": null, "env": {},
            "cpus": 0, "mem": 0, "disk": 0, "gpus": 0, "limits": null, "fetch": [],
            "sandbox": image, "tty": null}],
        "networks": [], "port_definitions": null, "require_ports": false, "constraints": [],
        "accepted_roles": null, "role": "*",
        "backoff": {"seconds": 1, "factor": 1_000_000, "max_seconds": 1},
        "upgrade": {"minimum_health": 1_000_000, "over_capacity": 1_000_000},
        "kill_selection": "YoungestFirst", "kill_grace_seconds": null, "unreachable": "Disabled",
        "dependencies": [], "labels": {}, "health_checks": [], "check": null,
        "readiness_checks": [], "secrets": {}, "executor": "", "executor_resources": null
    }))
    .expect("a definition")
}

pub(in crate::agent) fn key(app: u32, no: u32) -> InstanceKey {
    InstanceKey { app: AppKey(app), no }
}

pub(in crate::agent) fn id(key: InstanceKey, incarnation: u32) -> SandboxId {
    let instance = InstanceId(uuid::Uuid::from_u64_pair(u64::from(key.app.0), u64::from(key.no)));
    SandboxId { instance, incarnation: Incarnation(incarnation) }
}

pub(in crate::agent) fn spec_key(app: AppKey) -> SpecKey {
    SpecKey { app, version: Version(Timestamp::from_millis(1)) }
}

pub(in crate::agent) fn place(ports: &[u16]) -> Place {
    Place {
        agent: AgentKey(1),
        ports: ports.iter().map(|port| Some(*port)).collect(),
        devices: Vec::new(),
        cpus: Cpus::ZERO,
        mem: Mem::ZERO,
        disk: Disk::ZERO,
        fields: Vec::new(),
        launch_seconds: None,
    }
}

pub(in crate::agent) fn want(key: InstanceKey, incarnation: u32, rev: u64, goal: WantGoal) -> Want {
    let SandboxId { instance, incarnation } = id(key, incarnation);
    Want { key, instance, incarnation, rev: CommitNo(rev), lives: 1, goal }
}

pub(in crate::agent) fn run(key: InstanceKey, incarnation: u32, rev: u64) -> Want {
    run_after(key, incarnation, rev, None)
}

pub(in crate::agent) fn run_after(
    key: InstanceKey,
    incarnation: u32,
    rev: u64,
    after: Option<InstanceKey>,
) -> Want {
    let version = spec_key(key.app).version;
    want(key, incarnation, rev, WantGoal::Run { version, place: place(&[]), after, findings: None })
}

pub(in crate::agent) fn stop(key: InstanceKey, incarnation: u32, rev: u64) -> Want {
    let goal = WantGoal::Stop { grace: GRACE, why: StopWhy::Killed };
    want(key, incarnation, rev, goal)
}
