//! Events as `/v2/events` tells them (contract 11): name, one line of JSON, and the frame round both.
//!
//! An event holds all its text needs but for a definition, which is looked up by whoever keeps events. Of what Marathon
//! does not know, two notices tell a consumer that it has missed something; they are events too, so that any client can
//! read them.

mod frame;
mod notice;
mod plan;
#[cfg(test)]
mod tests;

pub use frame::frame;
pub use notice::{Notice, notice};
pub use plan::Plans;

use crate::contract::show::app;
use crate::contract::show::checks;
use crate::contract::show::text::{self, Numbers, Object};
use crate::model::app::AppVersion;
use crate::model::condition::Condition;
use crate::model::event::{DeploymentStands, Event, Plan, StatusUpdate};
use crate::model::id::{AgentId, InstanceId, Version};
use crate::model::path::AppPath;
use crate::model::time::Timestamp;

/// The agent of something and that agent's host name.
type Agent = Option<(AgentId, String)>;

/// The name of an event (contract 11.2).
pub const fn name(event: &Event) -> &'static str {
    match event {
        Event::ApiPost { .. } => "api_post_event",
        Event::GroupChanged { .. } => "group_change_success",
        Event::GroupChangeFailed { .. } => "group_change_failed",
        Event::StepBegan(_) => "deployment_info",
        Event::StepDone(_) => "deployment_step_success",
        Event::DeploymentDone(_) => "deployment_success",
        Event::DeploymentFailed { .. } => "deployment_failed",
        Event::DeploymentStands(_) => "deployment_state_changed_event",
        Event::AppTerminated { .. } => "app_terminated_event",
        Event::Status(_) => "status_update_event",
        Event::InstanceChanged { .. } => "instance_changed_event",
        Event::HealthChanged { .. } => "instance_health_changed_event",
        Event::CheckFailed { .. } => "failed_health_check_event",
        Event::AliveChanged { .. } => "health_status_changed_event",
        Event::UnhealthyKill { .. } => "unhealthy_instance_kill_event",
        Event::HealthBrake { .. } => "health_brake_event",
        Event::UnknownTerminated { .. } => "unknown_instance_terminated_event",
        Event::AgentLost { .. } => "agent_lost_event",
        Event::AgentReturned { .. } => "agent_returned_event",
        Event::BrakeHeld { .. } => "brake_held_event",
        Event::BrakeReleased { .. } => "brake_released_event",
    }
}

/// Writes the JSON of an event that happened at `at`, in one line. `definition` is the one that an `api_post_event` speaks
/// of; of one that is gone the id is left.
pub fn write(
    out: &mut String,
    event: &Event,
    at: Timestamp,
    definition: Option<&AppVersion>,
    plans: Plans,
) {
    text::object_in(out, Numbers::Event, |object| {
        members(object, event, definition, plans);
        object.plain("eventType", name(event));
        object.plain("timestamp", at);
    });
}

fn members(out: &mut Object<'_>, event: &Event, definition: Option<&AppVersion>, plans: Plans) {
    match event {
        Event::ApiPost { client, uri, path, submitted, .. } => {
            out.text("clientIp", client);
            out.text("uri", uri);
            out.raw("appDefinition", app_definition(path, definition, submitted.as_deref()));
        }
        Event::GroupChanged { group, version } => of_group(out, group, *version),
        Event::GroupChangeFailed { group, version, reason } => {
            of_group(out, group, *version);
            out.text("reason", reason);
        }
        Event::StepBegan(step) | Event::StepDone(step) => {
            out.object("plan", |object| plan::write(object, &step.plan, plans));
            out.object("currentStep", |object| plan::actions(object, plan::current(step)));
        }
        Event::DeploymentDone(done) => of_plan(out, done, plans),
        Event::DeploymentFailed { plan: failed, reason } => {
            of_plan(out, failed, plans);
            out.text("reason", reason);
        }
        Event::DeploymentStands(stands) => of_standing(out, stands, plans),
        Event::AppTerminated { path } => out.plain("appId", path),
        Event::Status(update) => status(out, update),
        Event::InstanceChanged { instance, path, version, condition, agent } => {
            out.plain("instanceId", instance.marathon(path));
            out.plain("condition", condition.map_or("Scheduled", Condition::as_str));
            out.plain("runSpecId", path);
            place(out, agent);
            out.plain("runSpecVersion", version);
        }
        Event::HealthChanged { instance, path, version, healthy } => {
            health_changed(out, (*instance, path), *version, *healthy);
        }
        Event::CheckFailed { instance, path, check } => {
            out.plain("appId", path);
            // The instance under the task's name, as Marathon tells it.
            out.plain("taskId", instance.marathon(path));
            out.object("healthCheck", |object| checks::health(object, check));
        }
        Event::AliveChanged { instance, path, version, alive } => {
            of_life(out, (*instance, path), *version);
            out.raw("alive", alive);
        }
        Event::UnhealthyKill { instance, task, incarnation, path, version, reason, agent } => {
            out.plain("appId", path);
            out.plain("taskId", instance.task(path, task.as_str(), *incarnation));
            out.plain("instanceId", instance.marathon(path));
            out.plain("version", version);
            out.text("reason", reason);
            killed_on(out, agent);
        }
        Event::HealthBrake { path, held, unhealthy, instances } => {
            out.plain("appId", path);
            out.raw("held", held);
            counts(out, [("unhealthy", *unhealthy), ("instances", *instances)]);
        }
        Event::UnknownTerminated { instance, path, condition } => {
            out.plain("instanceId", instance.marathon(path));
            out.plain("runSpecId", path);
            out.plain("condition", condition.as_str());
        }
        Event::AgentLost { agent, host, instances } => {
            of_agent(out, *agent, host);
            counts(out, [("instances", *instances)]);
        }
        Event::AgentReturned { agent, host } => of_agent(out, *agent, host),
        Event::BrakeHeld { lost, agents } => counts(out, [("lost", *lost), ("agents", *agents)]),
        Event::BrakeReleased { by_operator: true } => out.text("reason", "an operator released it"),
        Event::BrakeReleased { by_operator: false } => out.text("reason", "enough agents are back"),
    }
}

fn of_standing(out: &mut Object<'_>, stands: &DeploymentStands, plans: Plans) {
    of_plan(out, &stands.plan, plans);
    out.plain("state", stands.state.as_str());
    out.text_if("reason", stands.state.cause().map(|cause| cause.message.as_str()));
}

fn of_group(out: &mut Object<'_>, group: &AppPath, version: Version) {
    out.plain("groupId", group);
    out.plain("version", version);
}

fn of_plan(out: &mut Object<'_>, plan: &Plan, plans: Plans) {
    out.plain("id", plan.id);
    out.object("plan", |object| plan::write(object, plan, plans));
}

fn of_life(out: &mut Object<'_>, (instance, path): (InstanceId, &AppPath), version: Version) {
    out.plain("appId", path);
    out.plain("instanceId", instance.marathon(path));
    out.plain("version", version);
}

fn killed_on(out: &mut Object<'_>, agent: &Agent) {
    out.text("host", agent.as_ref().map_or("", |(_, host)| host));
    if let Some((id, _)) = agent {
        out.plain("slaveId", id);
    }
}

fn of_agent(out: &mut Object<'_>, agent: AgentId, host: &str) {
    out.plain("agentId", agent);
    out.text("host", host);
}

fn counts<const N: usize>(out: &mut Object<'_>, counts: [(&str, u32); N]) {
    for (name, count) in counts {
        out.raw(name, count);
    }
}

fn health_changed(
    out: &mut Object<'_>,
    (instance, path): (InstanceId, &AppPath),
    version: Version,
    healthy: Option<bool>,
) {
    out.plain("instanceId", instance.marathon(path));
    out.plain("runSpecId", path);
    match healthy {
        Some(healthy) => out.raw("healthy", healthy),
        None => out.null("healthy"),
    }
    out.plain("runSpecVersion", version);
}

/// As it was submitted when `submitted` says which service ports it had then, else as it is stored.
fn app_definition(
    path: &AppPath,
    definition: Option<&AppVersion>,
    submitted: Option<&[u16]>,
) -> String {
    match (definition, submitted) {
        (None, _) => text::object_text(|object| object.plain("id", path)),
        (Some(row), None) => app::definition_in(row, Numbers::Event),
        (Some(row), Some(ports)) => {
            let mut spec = row.spec.clone();
            for (slot, port) in spec.service_port_slots().into_iter().zip(ports) {
                *slot = *port;
            }
            app::definition_submitted_in(&spec, row.version, Numbers::Event)
        }
    }
}

fn status(out: &mut Object<'_>, update: &StatusUpdate) {
    let StatusUpdate { instance, task, incarnation, path, agent, .. } = update;
    let (agent, host) = match agent {
        Some((id, host)) => (Some(*id), host.as_str()),
        None => (None, ""),
    };
    match agent {
        Some(agent) => out.plain("slaveId", agent),
        None => out.plain("slaveId", ""),
    }
    out.plain("taskId", instance.task(path, task.as_str(), *incarnation));
    out.plain("taskStatus", update.condition.task_state());
    out.text("message", &update.message);
    out.plain("appId", path);
    out.text("host", host);
    out.objects("ipAddresses", &update.ips, |object, address| {
        object.plain("ipAddress", address);
        object.plain("protocol", if address.is_ipv4() { "IPv4" } else { "IPv6" });
    });
    out.list("ports", &update.ports, text::write);
    out.plain("version", update.version);
}

fn place(out: &mut Object<'_>, agent: &Agent) {
    match agent {
        Some((id, host)) => {
            out.plain("agentId", id);
            out.text("host", host);
        }
        None => {
            out.null("agentId");
            out.null("host");
        }
    }
}
