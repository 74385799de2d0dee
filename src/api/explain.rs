//! `GET /v2/apps/{id}/explain`: why an app does not run, agent by agent. Our own; Marathon has nothing like it.
//!
//! What stands against each agent is worked out by the placement itself, on this thread; here it is only written down.

use crate::api::call::{Api, Call};
use crate::api::path::AppId;
use crate::api::reply::{self, Outcome};
use crate::contract::show::text::{self, Object};
use crate::logic::place::explain::{AgentAnswer, Explanation, explain};
use crate::model::app::App;
use crate::model::reason::{Funnel, Reason};
use crate::model::time::Timestamp;
use crate::model::view::{Verdict, View};

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
    Ok(reply::json_text(text_of(&view, app, &explanation, now)))
}

fn text_of(view: &View, app: &App, explanation: &Explanation, now: Timestamp) -> String {
    let verdict = view.verdicts.get(&app.key);
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
        object.objects("agents", &explanation.agents, |object, answer| {
            agent_members(object, view, answer);
        });
        object.texts("help", &explanation.help);
    })
}

/// The whole in one sentence.
fn sentence(explanation: &Explanation, verdict: Option<&Verdict>, now: Timestamp) -> String {
    let Explanation { wanted, running, waiting, delayed_until, agents, held, .. } = explanation;
    if *held > 0 {
        return format!(
            "{held} are on agents that are not heard, and nothing is replaced while so many are lost: `stayer agent release` goes on"
        );
    }
    if *waiting == 0 {
        return format!("nothing waits: {running} of {wanted} run");
    }
    if let Some(until) = delayed_until.filter(|until| *until > now) {
        return format!("{waiting} wait for {} more, since earlier ones failed", until.since(now));
    }
    let fits = agents.iter().filter(|answer| answer.reasons.is_empty()).count();
    match (agents.len(), fits) {
        (0, _) => format!("{waiting} wait: no agent is registered"),
        (all, 0) => format!("{waiting} wait: none of {all} agents takes one more"),
        (_, fits) if verdict.is_none_or(|verdict| verdict.tried.is_none()) => {
            format!("{waiting} wait to be placed: {fits} agents would take one")
        }
        (_, fits) => format!("{waiting} wait: {fits} agents would take one by now"),
    }
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

fn agent_members(out: &mut Object<'_>, view: &View, answer: &AgentAnswer) {
    if let Some(agent) = view.world.agents.get(&answer.agent) {
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

fn reason_members(out: &mut Object<'_>, reason: &Reason) {
    out.plain("kind", reason.kind());
    out.text("text", &reason.to_string());
    out.plain("marathon", reason.funnel().as_str());
}
