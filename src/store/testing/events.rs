//! Events of every kind, and ends of every kind.

use crate::model::check::{HealthCheck, HealthProtocol};
use crate::model::condition::Condition;
use crate::model::constraint::{Constraint, Operator};
use crate::model::deployment::State;
use crate::model::end::End;
use crate::model::event::{DeploymentStands, Event, Plan, PlanAction, PlanStep, StatusUpdate};
use crate::model::id::{AppKey, Incarnation, Version};
use crate::model::reason::{PinTrouble, Reason};
use crate::model::time::Span;
use crate::model::unit::{Cpus, Disk, Mem};
use crate::store::testing::{AT, agent, deployment, instance, path};

pub fn event(app: u32) -> Event {
    Event::AppTerminated { path: path(app) }
}

/// An event of each kind.
pub fn every_event() -> Vec<Event> {
    let (instance, version, path) = (instance(1, 2).id, Version(AT), path(1));
    let (client, uri, reason) = ("10.0.0.9".into(), "/v2/apps".into(), "no".to_owned());
    let id = agent(1).id;
    let agent = Some((id, "host".to_owned()));
    let steps = vec![vec![(PlanAction::Stop, path.clone())]];
    let plan = Plan { id: deployment().id, version, steps };
    let step = PlanStep { plan: plan.clone(), step: 1 };
    vec![
        Event::ApiPost {
            client,
            uri,
            app: AppKey(1),
            path: path.clone(),
            version,
            submitted: Some(vec![0, 10_001]),
        },
        Event::GroupChanged { group: path.clone(), version },
        Event::GroupChangeFailed { group: path.clone(), version, reason: reason.clone() },
        Event::StepBegan(step.clone()),
        Event::StepDone(step),
        Event::DeploymentDone(plan.clone()),
        Event::DeploymentFailed { plan: plan.clone(), reason },
        Event::DeploymentStands(DeploymentStands { plan, state: State::Going }),
        Event::AppTerminated { path: path.clone() },
        Event::Status(StatusUpdate {
            instance,
            task: "_app".into(),
            incarnation: Incarnation(1),
            path: path.clone(),
            version,
            condition: Condition::Failed,
            message: "ended".into(),
            agent: agent.clone(),
            ips: vec!["fe80::1".parse().expect("an address")],
            ports: vec![31_000],
        }),
        Event::InstanceChanged {
            instance,
            path: path.clone(),
            version,
            condition: Some(Condition::Running),
            agent: agent.clone(),
        },
        Event::HealthChanged { instance, path: path.clone(), version, healthy: Some(false) },
        Event::CheckFailed { instance, path: path.clone(), check: Box::new(health_check()) },
        Event::AliveChanged { instance, path: path.clone(), version, alive: true },
        Event::UnhealthyKill {
            instance,
            task: "_app".into(),
            incarnation: Incarnation(1),
            path: path.clone(),
            version,
            reason: "no".into(),
            agent,
        },
        Event::HealthBrake { path: path.clone(), held: true, unhealthy: 4, instances: 10 },
        Event::UnknownTerminated { instance, path, condition: Condition::Gone },
        Event::AgentLost { agent: id, host: "host".into(), instances: 2 },
        Event::AgentReturned { agent: id, host: "host".into() },
        Event::BrakeHeld { lost: 3, agents: 8 },
        Event::BrakeReleased { by_operator: true },
    ]
}

fn health_check() -> HealthCheck {
    HealthCheck {
        protocol: HealthProtocol::Http,
        path: Some("/".into()),
        port: None,
        port_index: Some(0),
        command: None,
        grace_period_seconds: 300,
        interval_seconds: 60,
        timeout_seconds: 20,
        max_consecutive_failures: 3,
        ignore_http_1xx: false,
        ipv6: false,
        delay_seconds: 15,
    }
}

/// Every way in which a task ends, and with it every reason.
pub fn every_end() -> Vec<End> {
    let text = || "t".to_owned();
    let (wanted, free, total) = (1, 2, 3);
    let (cpus, mem, disk) = (Cpus::micro, Mem::micro, Disk::micro);
    let reasons = vec![
        Reason::AgentLost,
        Reason::AgentDraining,
        Reason::Role { has: text(), accepts: vec![text()] },
        Reason::Constraint {
            constraint: Constraint {
                field: text(),
                operator: Operator::Unique,
                value: Some(text()),
            },
            has: Some(text()),
            detail: text(),
        },
        Reason::Cpus { wanted: cpus(1), free: cpus(2), total: cpus(3) },
        Reason::Mem { wanted: mem(1), free: mem(2), total: mem(3) },
        Reason::Disk { wanted: disk(1), free: disk(2), total: disk(3) },
        Reason::Gpus { wanted, free, total, holders: vec![text()], unhealthy: vec![text()] },
        Reason::Ports { wanted, free },
        Reason::PortTaken { port: 1, holder: text() },
        Reason::PortForeign { port: 1, holder: text() },
        Reason::Policy { what: text() },
        Reason::NoEngine { detail: text() },
        Reason::Image { image: text(), detail: text() },
        Reason::Fetch { uri: text(), detail: text() },
        Reason::Start { detail: text() },
        Reason::Vanished { detail: text() },
        Reason::Overdue { condition: Condition::Starting, after: Span::secs(1) },
        Reason::Other { detail: text() },
        Reason::GpuHost { devices: 1 },
        Reason::GpuPin { wanted: text(), trouble: PinTrouble::Absent { devices: vec![text()] } },
        Reason::GpuPin { wanted: text(), trouble: PinTrouble::Ambiguous { devices: vec![text()] } },
        Reason::GpuPin { wanted: text(), trouble: PinTrouble::Twice { device: text() } },
        Reason::GpuPin {
            wanted: text(),
            trouble: PinTrouble::Held { device: text(), holder: text() },
        },
        Reason::GpuPin {
            wanted: text(),
            trouble: PinTrouble::Unhealthy { device: text(), trouble: text() },
        },
        Reason::GpuEngine { detail: text() },
        Reason::GpuMissing { allocated: vec![text()], found: vec![text()] },
    ];
    let mut ends = vec![End::Code(-1), End::Signal(9), End::Oom { peak: Some(Mem::whole(1)) }];
    ends.extend(reasons.into_iter().map(End::Refused));
    ends.push(End::Gone(Reason::AgentLost));
    ends
}
