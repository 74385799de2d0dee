//! The Task object (contract 8.1) and lists of tasks (SD-9).
//!
//! A task that ended stays listed while its instance waits for the next launch. What an agent may still run of an
//! instance that has been given up is not listed: for its app it is gone.

use std::net::IpAddr;

use crate::contract::query::TaskFilter;
use crate::contract::show::checks;
use crate::contract::show::text::{self, Object};
use crate::model::agent::{Agent, AttributeValue};
use crate::model::app::App;
use crate::model::id::{AgentId, InstanceKey};
use crate::model::instance::{Goal, Instance, StopWhy, Task};
use crate::model::spec::Spec;
use crate::model::world::World;

/// A task with all that its object speaks of.
#[derive(Clone, Copy)]
struct Shown<'a> {
    app: &'a App,
    spec: &'a Spec,
    instance: &'a Instance,
    task: &'a Task,
    agent: Option<&'a Agent>,
    service_ports: &'a [u16],
}

/// Whether an instance is shown at all: it has been launched, and is not given up.
pub fn is_listed(instance: &Instance) -> bool {
    let given_up =
        matches!(instance.goal, Goal::Stop { why: StopWhy::Replaced | StopWhy::Wiped, .. });
    !instance.tasks.is_empty() && !given_up
}

/// The tasks of an app, a JSON list.
pub fn list(world: &World, app: &App) -> String {
    let mut out = String::new();
    text::list(&mut out, shown(world, app, &[]), write);
    out
}

/// `{"tasks":[…]}` of some apps.
pub fn of_apps<'a>(world: &World, apps: impl IntoIterator<Item = &'a App>) -> String {
    text::object_text(|object| {
        object.list("tasks", apps.into_iter().flat_map(|app| shown(world, app, &[])), write);
    })
}

/// `{"tasks":[…]}` of all apps that `filter` leaves, with their service ports (SD-9).
pub fn of_all<'a>(
    world: &World,
    apps: impl IntoIterator<Item = &'a App>,
    filter: TaskFilter,
) -> String {
    let mut out = String::from(r#"{"tasks":["#);
    let empty = out.len();
    for app in apps {
        let ports = world.current(app).map(|row| row.spec.service_ports()).unwrap_or_default();
        for task in shown(world, app, &ports).filter(|task| filter.takes(task.instance)) {
            if out.len() > empty {
                out.push(',');
            }
            write(&mut out, task);
        }
    }
    out.push_str("]}");
    out
}

/// `{"tasks":[…]}` of some instances, as the answer to a kill.
pub fn of_instances(world: &World, instances: &[InstanceKey]) -> String {
    text::object_text(|object| object.list("tasks", among(world, instances), write))
}

/// `{"task":…}` of one instance, nothing when it was never launched.
pub fn of_instance(world: &World, instance: InstanceKey) -> Option<String> {
    let task = among(world, &[instance]).next()?;
    Some(text::object_text(|object| object.object("task", |inner| members(inner, &task))))
}

fn shown<'a>(
    world: &'a World,
    app: &'a App,
    service_ports: &'a [u16],
) -> impl Iterator<Item = Shown<'a>> {
    let listed = world.instances_of(app.key).filter(|instance| is_listed(instance));
    listed.flat_map(move |instance| shown_of(world, app, instance, service_ports))
}

/// Unlike elsewhere an instance that is given up is shown: the one who gave it up asks.
fn among<'a>(world: &'a World, instances: &[InstanceKey]) -> impl Iterator<Item = Shown<'a>> {
    let rows = instances.iter().filter_map(|key| world.instances.get(key));
    let rows = rows.filter_map(|row| Some((world.apps.get(&row.key.app)?, row)));
    rows.flat_map(|(app, instance)| shown_of(world, app, instance, &[]))
}

fn shown_of<'a>(
    world: &'a World,
    app: &'a App,
    instance: &'a Instance,
    service_ports: &'a [u16],
) -> impl Iterator<Item = Shown<'a>> {
    let spec = world.versions.get(&(app.key, instance.version)).map(|row| &row.spec);
    let agent = instance.place.as_ref().and_then(|place| world.agents.get(&place.agent));
    instance.tasks.iter().filter_map(move |task| {
        Some(Shown { app, spec: spec?, instance, task, agent, service_ports })
    })
}

fn write(out: &mut String, task: Shown<'_>) {
    text::object(out, |object| members(object, &task));
}

fn members(out: &mut Object<'_>, shown: &Shown<'_>) {
    let Shown { app, spec, instance, task, agent, service_ports } = shown;
    let active = task.condition.is_active();
    out.plain("appId", &app.path);
    let findings = task.findings.as_deref();
    let records = findings.into_iter().flat_map(|found| found.health.iter().flatten());
    out.objects("healthCheckResults", records, |object, record| {
        checks::result(object, app, instance, record);
    });
    if let Some(check) = findings.and_then(|found| found.check) {
        out.object("checkResult", |object| checks::plain_result(object, check));
    }
    out.text("host", host(shown));
    out.plain("id", instance.id.task(&app.path, task.name.as_str(), instance.incarnation));
    out.objects("ipAddresses", addresses(shown), |object, address| {
        object.plain("ipAddress", address);
        object.plain("protocol", if address.is_ipv4() { "IPv4" } else { "IPv6" });
    });
    let ports = instance.place.as_ref().filter(|_| active).map_or(&[][..], |place| &place.ports);
    out.list("ports", ports.iter().flatten(), text::write);
    out.list("servicePorts", *service_ports, text::write);
    if let Some(agent) = agent_id(shown) {
        out.plain("slaveId", agent);
    }
    out.plain("state", task.condition.task_state());
    if active {
        out.plain("stagedAt", task.staged_at);
        if let Some(started) = task.started_at {
            out.plain("startedAt", started);
        }
        out.plain("version", instance.version);
    }
    out.raw("localVolumes", "[]");
    out.text_if("region", attribute(*agent, "region"));
    out.text_if("zone", attribute(*agent, "zone"));
    out.text("role", &spec.role);
}

/// The agent's host name; for a task that ended and holds no place any more, what is remembered of its failure.
fn host<'a>(shown: &Shown<'a>) -> &'a str {
    match (shown.agent, &shown.app.last_failure) {
        (Some(agent), _) => &agent.inventory.hostname,
        (None, Some(last)) if last.instance == shown.instance.id => &last.host,
        (None, _) => "",
    }
}

fn agent_id(shown: &Shown<'_>) -> Option<AgentId> {
    match (shown.agent, &shown.app.last_failure) {
        (Some(agent), _) => Some(agent.id),
        (None, Some(last)) if last.instance == shown.instance.id => last.agent,
        (None, _) => None,
    }
}

/// A task on the host's network has the agent's address.
fn addresses(shown: &Shown<'_>) -> Vec<IpAddr> {
    if !shown.task.ips.is_empty() || !shown.spec.on_host_network() {
        return shown.task.ips.clone();
    }
    let address = shown.agent.and_then(|agent| agent.inventory.address.as_deref());
    address.and_then(|text| text.parse().ok()).into_iter().collect()
}

fn attribute<'a>(agent: Option<&'a Agent>, name: &str) -> Option<&'a str> {
    match agent?.inventory.attributes.get(name)? {
        AttributeValue::Text(text) => Some(text),
        AttributeValue::Scalar(_) | AttributeValue::Ranges(_) | AttributeValue::Set(_) => None,
    }
}

#[cfg(test)]
mod tests;
