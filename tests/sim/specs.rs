//! Definitions and behaviours by chance: small enough to be many, odd enough to meet each other.

use std::collections::{BTreeMap, BTreeSet};

use stayer::agent::fake::Behaviour;
use stayer::model::agent::{Engine, Inventory, PortRange};
use stayer::model::end::End;
use stayer::model::id::APP_TASK;
use stayer::model::network::{Network, PortDefinition};
use stayer::model::path::AppPath;
use stayer::model::reason::Reason;
use stayer::model::spec::{
    BackoffSpec, Container, ContainerKind, DockerImage, EnvValue, KillSelection, Restart, Sandbox,
    Spec, UnreachableStrategy, UpgradeStrategy,
};
use stayer::model::time::Span;
use stayer::model::unit::{Cpus, Disk, Mem, Ratio};

use crate::devices::{self, Gpus};
use crate::faults::{Kind, Plan};
use crate::rng::Rng;

/// The port that several apps want for themselves.
pub const FIXED_PORT: u16 = 31_003;

/// The paths that clients use.
pub fn paths(count: usize) -> Vec<AppPath> {
    let names = ["/a", "/b", "/shop/db", "/shop/web", "/x/y/z", "/c"];
    names.iter().take(count).map(|name| AppPath::parse(name).expect("a path")).collect()
}

/// What an agent offers.
pub fn inventory(number: usize, plan: &Plan, rng: &mut Rng) -> Inventory {
    let most = plan.gpus.map_or(3, |gpus| gpus.most);
    let devices = (0..rng.between(0, most))
        .map(|number| devices::device(usize::try_from(number).expect("small")));
    let (cpus, mem) = if plan.crowded { (2, 512) } else { (64, 16_384) };
    Inventory {
        hostname: format!("host-{number}"),
        role: "*".to_owned(),
        cpus: Cpus::whole(cpus),
        mem: Mem::whole(mem),
        disk: Disk::whole(10_000),
        ports: vec![PortRange { first: 31_000, last: if plan.crowded { 31_007 } else { 31_099 } }],
        devices: devices.collect(),
        engine: Some(Engine {
            name: "Docker".to_owned(),
            version: "20".to_owned(),
            api: "1.41".to_owned(),
        }),
        ..Inventory::default()
    }
}

/// A definition.
pub fn spec(path: AppPath, plan: &Plan, rng: &mut Rng) -> Spec {
    let fixed = rng.chance(120);
    let ports = if fixed { 1 } else { rng.between(0, 2) };
    let definition = |_| PortDefinition {
        port: if fixed { FIXED_PORT } else { 0 },
        ..PortDefinition::default()
    };
    let mut spec = Spec {
        path,
        instances: u32::try_from(rng.between(0, 6)).expect("small"),
        containers: vec![container(plan, rng)],
        networks: vec![Network::host()],
        port_definitions: Some((0..ports).map(definition).collect()),
        require_ports: fixed,
        constraints: BTreeSet::new(),
        accepted_roles: None,
        role: "*".to_owned(),
        backoff: BackoffSpec {
            seconds: u32::try_from(rng.between(1, 3)).expect("small"),
            factor: *rng.pick(&[Ratio::ONE, Ratio::micro(1_150_000), Ratio::whole(2)]),
            max_seconds: *rng.pick(&[2, 4, 8]),
        },
        upgrade: strategy(rng),
        kill_selection: *rng.pick(&[KillSelection::YoungestFirst, KillSelection::OldestFirst]),
        kill_grace_seconds: *rng.pick(&[None, Some(0), Some(1), Some(4)]),
        unreachable: *rng.pick(&[
            UnreachableStrategy::Disabled,
            UnreachableStrategy::After { inactive_seconds: 0, expunge_seconds: 0 },
            UnreachableStrategy::After { inactive_seconds: 0, expunge_seconds: 30 },
            UnreachableStrategy::After { inactive_seconds: 5, expunge_seconds: 10 },
        ]),
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
        failure: stayer::model::deployment::FailurePolicy::default(),
        drain_seconds: None,
    };
    if plan.gpus.is_some() {
        Gpus::ask(&mut spec, rng);
    }
    spec
}

/// How many may be missing or too many.
pub fn strategy(rng: &mut Rng) -> UpgradeStrategy {
    let ratios = [Ratio::ZERO, Ratio::micro(250_000), Ratio::micro(500_000), Ratio::ONE];
    let half = rng.chance(500);
    UpgradeStrategy {
        minimum_health: if half { Ratio::ONE } else { *rng.pick(&ratios) },
        over_capacity: *rng.pick(&ratios),
    }
}

fn container(plan: &Plan, rng: &mut Rng) -> Container {
    let mut env = BTreeMap::new();
    if plan.fat {
        env.insert("FAT".to_owned(), EnvValue::Plain("x".repeat(200_000)));
    }
    Container {
        name: APP_TASK.to_owned(),
        cmd: Some("sleep 0".to_owned()),
        args: Vec::new(),
        user: None,
        env,
        cpus: *rng.pick(&[Cpus::ZERO, Cpus::micro(100_000), Cpus::micro(500_000)]),
        mem: *rng.pick(&[Mem::whole(16), Mem::whole(64), Mem::whole(160)]),
        disk: Disk::ZERO,
        gpus: u32::from(rng.chance(120)),
        limits: None,
        fetch: Vec::new(),
        sandbox: rng.chance(500).then(|| image(rng)),
        tty: None,
    }
}

fn image(rng: &mut Rng) -> Sandbox {
    Sandbox {
        kind: ContainerKind::Docker,
        docker: Some(DockerImage {
            image: format!("image-{}", rng.below(3)),
            force_pull: rng.chance(200),
            privileged: false,
            parameters: Vec::new(),
            pull_secret: None,
        }),
        volumes: Vec::new(),
        port_mappings: None,
        linux_info: None,
    }
}

/// A behaviour with the name of what is wrong with it. Bad ones never settle; odd ones do.
pub fn behaviour(rng: &mut Rng, fixed: bool) -> (Behaviour, Option<Kind>) {
    let good = Behaviour::default();
    let ends = |after: u64, code| Some((Span::millis(after), End::Code(code)));
    let refused = || Some(Reason::Start { detail: "it cannot be started".to_owned() });
    if fixed && rng.chance(400) {
        let holder = "a stranger".to_owned();
        let never = Some(Reason::PortForeign { port: FIXED_PORT, holder });
        return (Behaviour { never_starts: never, ..good }, Some(Kind::PortForeign));
    }
    match rng.below(12) {
        0 => (Behaviour { ends: ends(rng.between(0, 300), 1), ..good }, Some(Kind::ExitsAtOnce)),
        1 => {
            let after = rng.between(2_000, 20_000);
            let code = i32::from(rng.chance(500));
            (Behaviour { ends: ends(after, code), ..good }, Some(Kind::ExitsLater))
        }
        2 => (Behaviour { never_starts: refused(), ..good }, Some(Kind::NeverStarts)),
        3 => {
            let image = "image".to_owned();
            let reason = Reason::Image { image, detail: "no such image".to_owned() };
            (Behaviour { never_prepares: Some(reason), ..good }, Some(Kind::NeverPrepares))
        }
        4 | 5 => (Behaviour { on_terminate: None, ..good }, Some(Kind::IgnoresTerm)),
        6 => {
            let kills = u32::try_from(rng.between(1, 2)).expect("small");
            let stubborn = Behaviour { on_terminate: None, survives_kills: kills, ..good };
            (stubborn, Some(Kind::SurvivesKill))
        }
        7 => {
            let slow = Some(Span::millis(rng.between(100, 6_000)));
            (Behaviour { on_terminate: slow, ..good }, None)
        }
        _ => (good, None),
    }
}

/// Whether what behaves so settles in the end.
pub fn settles(kind: Option<Kind>) -> bool {
    matches!(kind, None | Some(Kind::IgnoresTerm | Kind::SurvivesKill))
}
