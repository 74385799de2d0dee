//! `/v2/agents`: the hosts that run things, what is left of a drain, and giving one up. Our own; Marathon has nothing
//! like it. How an agent is written down is [`show`]'s.

mod show;

use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;

use crate::api::call::{Api, Call};
use crate::api::change::{self, Done};
use crate::api::reply::{self, Outcome};
use crate::contract::error::Reply;
use crate::contract::show::text;
use crate::control::fleet::signs::Sign;
use crate::model::agent::Agent;
use crate::model::fact::{Change, How};
use crate::model::id::{AgentId, AgentKey};
use crate::model::time::Span;
use crate::model::view::View;
use crate::model::world::World;

/// The longest deadline that is taken: ten years.
const MAX_DEADLINE: u64 = 315_360_000;

/// Answers with all agents.
#[utoipa::path(
    get,
    path = "/v2/agents",
    operation_id = "listAgents",
    tag = "agents",
    responses((status = 200, description = "all agents, and whether replacement is held", body = crate::api::schema::Agents)),
)]
pub fn list(api: &Api) -> Response {
    let view = api.view();
    let uses = show::uses(&view.world);
    let text = text::object_text(|object| {
        let agents = view.world.agents.iter();
        object.objects("agents", agents, |object, (key, agent)| {
            let shown = show::Shown::of(&view, agent, uses.of(*key), sign(api, agent), api.now());
            shown.members(object);
        });
        object.object("brake", |brake| show::brake(brake, &view.world, api.now()));
    });
    reply::json_text(text)
}

/// Answers with one agent, its tasks, and what each waits for while it is emptied.
#[utoipa::path(
    get,
    path = "/v2/agents/{agent}",
    operation_id = "getAgent",
    tag = "agents",
    params(("agent" = String, Path, description = "id, or a host name that one agent has")),
    responses(
        (status = 200, description = "the agent", body = crate::api::schema::Agent),
        (status = 404, description = "no such agent", body = crate::api::schema::Message),
        (status = 409, description = "several agents have this host name", body = crate::api::schema::Message),
    ),
)]
pub fn get(api: &Api, name: &str) -> Outcome {
    let view = api.view();
    let agent = find(&view.world, name)?;
    Ok(reply::json_text(one(api, &view, agent)))
}

/// Begins to empty an agent, or moves the deadline of that.
#[utoipa::path(
    post,
    path = "/v2/agents/{agent}/drain",
    operation_id = "drainAgent",
    tag = "agents",
    params(("agent" = String, Path, description = "id, or a host name that one agent has")),
    request_body(content = Option<crate::api::schema::DrainRequest>),
    responses(
        (status = 200, description = "the agent", body = crate::api::schema::Agent),
        (status = 400, description = "the body cannot be read", body = crate::api::schema::Message),
        (status = 404, description = "no such agent", body = crate::api::schema::Message),
        (status = 409, description = "several agents have this host name", body = crate::api::schema::Message),
        (status = 422, description = "no such deadline", body = crate::api::schema::Message),
    ),
)]
pub async fn drain(api: &Api, call: &Call, name: &str) -> Outcome {
    let deadline = deadline(call.bytes())?;
    let drain = |agent| Change::Drain { agent, deadline };
    let key = change(api, call, name, drain).await?;
    Ok(shown(api, key))
}

/// Lets an agent take work again.
#[utoipa::path(
    delete,
    path = "/v2/agents/{agent}/drain",
    operation_id = "undrainAgent",
    tag = "agents",
    params(("agent" = String, Path, description = "id, or a host name that one agent has")),
    responses(
        (status = 200, description = "the agent", body = crate::api::schema::Agent),
        (status = 404, description = "no such agent", body = crate::api::schema::Message),
        (status = 409, description = "several agents have this host name", body = crate::api::schema::Message),
    ),
)]
pub async fn undrain(api: &Api, call: &Call, name: &str) -> Outcome {
    let key = change(api, call, name, |agent| Change::Undrain { agent }).await?;
    Ok(shown(api, key))
}

/// Takes an agent for gone for good: what it had is replaced.
#[utoipa::path(
    delete,
    path = "/v2/agents/{agent}",
    operation_id = "forgetAgent",
    tag = "agents",
    params(("agent" = String, Path, description = "id, or a host name that one agent has")),
    responses(
        (status = 204, description = "it is forgotten; if it comes back it is a new one"),
        (status = 404, description = "no such agent", body = crate::api::schema::Message),
        (status = 409, description = "it is heard and not empty, or several have this host name", body = crate::api::schema::Message),
    ),
)]
pub async fn forget(api: &Api, call: &Call, name: &str) -> Outcome {
    change(api, call, name, |agent| Change::Forget { agent }).await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}

/// Answers whether replacement is held, and why.
#[utoipa::path(
    get,
    path = "/v2/brake",
    operation_id = "getBrake",
    tag = "agents",
    responses((status = 200, description = "whether replacement is held", body = crate::api::schema::Brake)),
)]
pub fn brake(api: &Api) -> Response {
    let view = api.view();
    reply::json_text(text::object_text(|object| show::brake(object, &view.world, api.now())))
}

/// Lets what was lost be replaced, however much that is.
#[utoipa::path(
    delete,
    path = "/v2/brake",
    operation_id = "releaseBrake",
    tag = "agents",
    responses((status = 200, description = "replacement goes on", body = crate::api::schema::Brake)),
)]
pub async fn release(api: &Api, call: &Call) -> Outcome {
    done(change::ask(api, call, How::default(), |_| Ok((Change::ReleaseBrake, ()))).await?)?;
    Ok(brake(api))
}

/// Asks for a change of the agent of this name.
async fn change(
    api: &Api,
    call: &Call,
    name: &str,
    make: impl Fn(AgentKey) -> Change,
) -> Result<AgentKey, Reply> {
    let change = |view: &View| {
        let key = find(&view.world, name)?.key;
        Ok((make(key), key))
    };
    done(change::ask(api, call, How::default(), change).await?)
}

fn done<T>((done, noted): (Done, T)) -> Result<T, Reply> {
    match done {
        Done::Plainly => Ok(noted),
        Done::Deployed(_)
        | Done::Deploying(_)
        | Done::Killed(_)
        | Done::Cancelled
        | Done::DelayReset => Err(change::unexpected(&done)),
    }
}

/// The agent of this id, or the only one of this host name.
fn find<'w>(world: &'w World, name: &str) -> Result<&'w Agent, Reply> {
    let id = uuid::Uuid::try_parse(name).ok().map(AgentId);
    let key = id.and_then(|id| world.agent_ids.get(&id));
    if let Some(agent) = key.and_then(|key| world.agents.get(key)) {
        return Ok(agent);
    }
    let named = world.agents.iter().map(|(_, agent)| agent);
    let named: Vec<&Agent> = named.filter(|agent| agent.inventory.hostname == name).collect();
    match named.as_slice() {
        [] => Err(Reply::no_agent(name)),
        [one] => Ok(one),
        several => {
            let ids: Vec<String> = several.iter().map(|agent| agent.id.to_string()).collect();
            let ids = ids.join(", ");
            Err(Reply::message(409, &format!("Several agents are named '{name}': {ids}")))
        }
    }
}

/// The agent as it is now; an empty body when it was forgotten meanwhile.
fn shown(api: &Api, key: AgentKey) -> Response {
    let view = api.view();
    match view.world.agents.get(&key) {
        Some(agent) => reply::json_text(one(api, &view, agent)),
        None => reply::empty(StatusCode::NO_CONTENT),
    }
}

fn one(api: &Api, view: &View, agent: &Agent) -> String {
    let uses = show::uses(&view.world);
    let shown = show::Shown::of(view, agent, uses.of(agent.key), sign(api, agent), api.now());
    text::object_text(|object| {
        shown.members(object);
        shown.details(object);
    })
}

fn sign(api: &Api, agent: &Agent) -> Option<Arc<Sign>> {
    api.signs().find(agent.id)
}

/// `{"deadlineSeconds": n}`; no body is no deadline.
fn deadline(body: &[u8]) -> Result<Option<Span>, Reply> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let unreadable = |detail: &str| Reply::message(400, &format!("Invalid JSON: {detail}"));
    let body: serde_json::Value =
        serde_json::from_slice(body).map_err(|error| unreadable(&error.to_string()))?;
    let members = body.as_object().ok_or_else(|| unreadable("no object"))?;
    if let Some(other) = members.keys().find(|key| *key != "deadlineSeconds") {
        return Err(Reply::message(422, &format!("'{other}' is no field; deadlineSeconds is")));
    }
    match members.get("deadlineSeconds") {
        None | Some(serde_json::Value::Null) => Ok(None),
        Some(seconds) => match seconds.as_u64().filter(|seconds| *seconds <= MAX_DEADLINE) {
            Some(seconds) => Ok(Some(Span::secs(seconds))),
            None => {
                let text = format!("deadlineSeconds is no whole number from 0 to {MAX_DEADLINE}");
                Err(Reply::message(422, &text))
            }
        },
    }
}
