//! `GET /v2/apps/{id}/explain`: why an app does not run, agent by agent. Our own; Marathon has nothing like it.
//!
//! What stands against each agent is worked out by the placement itself, on this thread; here it is only written down.

use crate::api::call::{Api, Call};
use crate::api::path::AppId;
use crate::api::reply::{self, Outcome};
use crate::contract::show::text::{self, Object};
use crate::logic::place::account::{AgentAnswer, Explanation, Launching, PastEnd};
use crate::logic::place::explain::explain;
use crate::model::app::App;
use crate::model::id::APP_TASK;
use crate::model::reason::{Funnel, PinTrouble, Reason};
use crate::model::time::Timestamp;
use crate::model::view::Verdict;
use crate::model::world::World;

/// Answers why an app does not run.
#[utoipa::path(
    get,
    path = "/v2/apps/{id}/explain",
    operation_id = "explainApp",
    tag = "apps",
    params(("id" = String, Path, description = "app id, slashes included")),
    responses(
        (status = 200, description = "what runs, what waits, and what each agent says", body = crate::api::schema::Explanation),
        (status = 404, description = "no such app", body = crate::api::schema::Message),
    ),
)]
pub fn get(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let view = api.view();
    let app = call.scope.find(&view, id)?;
    let now = api.now();
    let explanation = explain(&view.world, app, now);
    let verdict = view.verdicts.get(&app.key);
    Ok(reply::json_text(text_of(&view.world, app, verdict, &explanation, now)))
}

/// An explanation as it is shown.
pub fn text_of(
    world: &World,
    app: &App,
    verdict: Option<&Verdict>,
    explanation: &Explanation,
    now: Timestamp,
) -> String {
    text::object_text(|object| {
        object.plain("app", &app.path);
        object.object("instances", |instances| {
            instances.raw("wanted", explanation.wanted);
            instances.raw("running", explanation.running);
        });
        object.raw("waiting", explanation.waiting);
        if let Some(until) = explanation.delayed_until {
            object.plain("delayedUntil", until);
        }
        object.text("verdict", &sentence(explanation, verdict, now));
        if let Some(verdict) = verdict {
            object.object("lastAttempt", |attempt| attempt_members(attempt, verdict));
        }
        object.objects("launching", &explanation.launching, |object, launch| {
            launch_members(object, world, app, launch, now);
        });
        if let Some(end) = &explanation.last_end {
            object.object("lastEnd", |object| end_members(object, app, end));
        }
        object.objects("agents", &explanation.agents, |object, answer| {
            agent_members(object, world, answer);
        });
        object.objects("leftOut", &explanation.left_out, |object, value| {
            object.text("field", &value.field);
            object.text("value", &value.value);
            object.raw("agents", value.agents);
            object.text("text", &value.to_string());
        });
        object.texts("help", &explanation.help);
    })
}

/// The whole in one sentence.
fn sentence(explanation: &Explanation, verdict: Option<&Verdict>, now: Timestamp) -> String {
    let Explanation { waiting, delayed_until, agents, held, .. } = explanation;
    if *held > 0 {
        return format!(
            "{held} are on agents that are not heard, and nothing is replaced while so many are lost: `stayer agent release` goes on"
        );
    }
    if *waiting == 0 {
        return on_its_way(explanation, now);
    }
    if let Some(until) = delayed_until.filter(|until| *until > now) {
        let left = until.since(now);
        return match &explanation.last_end {
            Some(end) => {
                format!("{waiting} wait for {left} more, since earlier ones ended: {}", end.message)
            }
            None => format!("{waiting} wait for {left} more, since earlier ones failed"),
        };
    }
    let fits = agents.iter().filter(|answer| answer.reasons.is_empty()).count();
    match (agents.len(), fits) {
        (0, _) => format!("{waiting} wait: no agent is registered"),
        (1, 0) => format!("{waiting} wait: the only agent does not take one more"),
        (all, 0) => format!("{waiting} wait: none of {all} agents takes one more"),
        (_, fits) if verdict.is_none_or(|verdict| verdict.tried.is_none()) => {
            format!("{waiting} wait to be placed: {fits} agents would take one")
        }
        (_, fits) => format!("{waiting} wait: {fits} agents would take one by now"),
    }
}

/// When nothing waits: what runs, and what is longest on its way.
fn on_its_way(explanation: &Explanation, now: Timestamp) -> String {
    let Explanation { wanted, running, launching, last_end, .. } = explanation;
    let text = format!("nothing waits: {running} of {wanted} run");
    match (launching.first(), last_end) {
        (None, _) => text,
        (Some(launch), None) => format!("{text}; one is {}", stage(launch, now)),
        (Some(launch), Some(end)) => {
            format!("{text}; one is {}, the last one ended: {}", stage(launch, now), end.message)
        }
    }
}

/// Where a launch stands, and for how long without progress.
fn stage(launch: &Launching, now: Timestamp) -> String {
    let for_so_long = now.since(launch.since);
    match launch.pulled {
        0 => format!("{} for {for_so_long}", launch.condition.as_str()),
        pulled => format!(
            "{} for {for_so_long} after {} MiB were pulled",
            launch.condition.as_str(),
            pulled >> 20
        ),
    }
}

fn launch_members(
    out: &mut Object<'_>,
    world: &World,
    app: &App,
    launch: &Launching,
    now: Timestamp,
) {
    out.plain("task", launch.instance.task(&app.path, APP_TASK, launch.incarnation));
    let agent = launch.agent.and_then(|key| world.agents.get(&key));
    if let Some(agent) = agent {
        out.text("host", &agent.inventory.hostname);
    }
    out.plain("condition", launch.condition.as_str());
    out.plain("since", launch.since);
    out.raw("pulled", launch.pulled);
    out.text("text", &stage(launch, now));
}

fn end_members(out: &mut Object<'_>, app: &App, end: &PastEnd) {
    out.plain("task", end.instance.task(&app.path, APP_TASK, end.incarnation));
    if let Some(kind) = end.kind {
        out.plain("kind", kind);
    }
    out.plain("state", end.condition.task_state());
    out.text("message", &end.message);
    if let Some(host) = &end.host {
        out.text("host", host);
    }
    out.plain("at", end.at);
}

fn attempt_members(out: &mut Object<'_>, verdict: &Verdict) {
    out.plain("waitingSince", verdict.since);
    if let Some((at, agents)) = verdict.tried {
        out.plain("at", at);
        out.raw("agents", agents);
    }
    out.object("refused", |refused| {
        for (funnel, count) in Funnel::ALL.into_iter().zip(verdict.refused) {
            if count > 0 {
                refused.raw(funnel.as_str(), count);
            }
        }
    });
}

fn agent_members(out: &mut Object<'_>, world: &World, answer: &AgentAnswer) {
    if let Some(agent) = world.agents.get(&answer.agent) {
        out.plain("agent", agent.id);
        out.text("host", &agent.inventory.hostname);
    }
    out.raw("fits", answer.reasons.is_empty());
    out.object("free", |free| {
        free.raw("cpus", answer.free.cpus);
        free.raw("mem", answer.free.mem);
        free.raw("disk", answer.free.disk);
        free.raw("gpus", answer.free.gpus);
    });
    out.objects("reasons", &answer.reasons, reason_members);
}

/// For people, for Marathon's clients, and for machines: each kind with its own amounts and names.
fn reason_members(out: &mut Object<'_>, reason: &Reason) {
    out.plain("kind", reason.kind());
    out.text("text", &reason.to_string());
    out.plain("marathon", reason.funnel().as_str());
    match reason {
        Reason::AgentLost | Reason::AgentDraining | Reason::GpuMissing { .. } => {}
        Reason::Role { has, accepts } => {
            out.text("has", has);
            out.texts("accepts", accepts);
        }
        Reason::Constraint { constraint, has, detail: _ } => {
            out.texts("constraint", constraint.parts());
            out.text_if("has", has.as_deref());
        }
        Reason::Cpus { wanted, free, total } => amounts(out, [wanted, free, total]),
        Reason::Mem { wanted, free, total } => amounts(out, [wanted, free, total]),
        Reason::Disk { wanted, free, total } => amounts(out, [wanted, free, total]),
        Reason::Gpus { wanted, free, total, holders, unhealthy: _ } => {
            amounts(out, [wanted, free, total]);
            out.texts("holders", holders);
        }
        Reason::GpuHost { devices } => out.raw("total", devices),
        Reason::GpuPin { wanted: _, trouble } => {
            if let PinTrouble::Held { holder, .. } = trouble {
                out.text("holder", holder);
            }
            out.text("detail", &trouble.to_string());
        }
        Reason::Ports { wanted, free } => {
            out.raw("wanted", wanted);
            out.raw("free", free);
        }
        Reason::PortTaken { port, holder } | Reason::PortForeign { port, holder } => {
            out.raw("port", port);
            out.text("holder", holder);
        }
        Reason::Policy { what } => out.text("detail", what),
        Reason::Image { image, detail } => {
            out.text("image", image);
            out.text("detail", detail);
        }
        Reason::Fetch { uri, detail } => {
            out.text("uri", uri);
            out.text("detail", detail);
        }
        Reason::NoEngine { detail }
        | Reason::GpuEngine { detail }
        | Reason::Start { detail }
        | Reason::Vanished { detail }
        | Reason::Other { detail } => out.text("detail", detail),
        Reason::Overdue { condition, after } => {
            out.plain("condition", condition.as_str());
            out.raw("afterSeconds", after.as_secs());
        }
    }
}

fn amounts(out: &mut Object<'_>, [wanted, free, total]: [impl std::fmt::Display; 3]) {
    out.raw("wanted", wanted);
    out.raw("free", free);
    out.raw("total", total);
}
