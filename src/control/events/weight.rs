//! What an event takes in memory, about: the ring is bounded in bytes, and plans may name thousands of apps.

use crate::model::event::{DeploymentStands, Event, Plan, PlanStep, StatusUpdate};
use crate::model::path::AppPath;

/// What each block of the heap costs beside its bytes.
const BLOCK: usize = 16;

/// What an event takes, in bytes.
pub(super) fn weight(event: &Event) -> usize {
    size_of::<Event>()
        + match event {
            Event::ApiPost { client, uri, path, submitted, .. } => {
                let ports = submitted.as_ref().map_or(0, Vec::len);
                text(client) + text(uri) + of_path(path) + 2 * ports + BLOCK
            }
            Event::GroupChanged { group, .. } => of_path(group),
            Event::GroupChangeFailed { group, reason, .. } => of_path(group) + text(reason),
            Event::StepBegan(PlanStep { plan, .. })
            | Event::StepDone(PlanStep { plan, .. })
            | Event::DeploymentDone(plan) => of_plan(plan),
            Event::DeploymentFailed { plan, reason } => of_plan(plan) + text(reason),
            Event::DeploymentStands(DeploymentStands { plan, state }) => {
                of_plan(plan) + state.cause().map_or(0, |cause| text(&cause.message))
            }
            Event::AppTerminated { path }
            | Event::HealthChanged { path, .. }
            | Event::AliveChanged { path, .. }
            | Event::HealthBrake { path, .. }
            | Event::UnknownTerminated { path, .. } => of_path(path),
            Event::CheckFailed { path, check, .. } => {
                let texts = [&check.path, &check.command].into_iter().flatten();
                of_path(path) + size_of_val(&**check) + texts.map(|it| text(it)).sum::<usize>()
            }
            Event::UnhealthyKill { path, reason, agent, .. } => {
                let host = agent.as_ref().map_or(0, |(_, host)| text(host));
                of_path(path) + text(reason) + host
            }
            Event::Status(StatusUpdate { path, message, agent, ips, ports, .. }) => {
                let host = agent.as_ref().map_or(0, |(_, host)| text(host));
                let lists = size_of_val(ips.as_slice()) + size_of_val(ports.as_slice());
                of_path(path) + text(message) + host + lists + BLOCK
            }
            Event::InstanceChanged { path, agent, .. } => {
                of_path(path) + agent.as_ref().map_or(0, |(_, host)| text(host))
            }
            Event::AgentLost { host, .. } | Event::AgentReturned { host, .. } => text(host),
            Event::BrakeHeld { .. } | Event::BrakeReleased { .. } => 0,
        }
}

fn text(text: &str) -> usize {
    text.len() + BLOCK
}

/// A path is shared with the row of its app, which may be gone.
fn of_path(path: &AppPath) -> usize {
    text(path.as_str()) + BLOCK
}

fn of_plan(plan: &Plan) -> usize {
    let actions = plan.steps.iter().flatten();
    let each = actions.map(|(_, path)| of_path(path) + size_of::<(AppPath, u64)>());
    each.sum::<usize>() + plan.steps.len() * (size_of::<Vec<u8>>() + BLOCK)
}
