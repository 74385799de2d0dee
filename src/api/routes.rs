//! From a request to the handler that answers it: one table over resources and verbs, whole by construction.
//!
//! What every answer has in common is settled here in the framework's order: 404, 405, 415, 406, then the body.

use axum::body::{Body, HttpBody};
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::api::body::{MANY_LIMIT, ONE_LIMIT, Taken};
use crate::api::call::{Api, Call};
use crate::api::path::{Route, Verb};
use crate::api::reply::Outcome;
use crate::api::scope::Scope;
use crate::api::serve::Origin;
use crate::api::{
    accept, agents, apps, batch, deployments, deploys, events, explain, exposition, failures,
    guard, kill, logs, queue, reply, system, tasks, versions, write,
};
use crate::contract::error::Reply;
use crate::contract::query::Query;

/// Answers a request for `route`, if it is for any.
pub async fn answer(api: &Api, route: Option<Route>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Some(route) = route else { return Reply::unknown_route().into_response() };
    if parts.method == Method::OPTIONS {
        return with_allow(&route, reply::empty(StatusCode::OK));
    }
    let verb = Verb::of(&parts.method).filter(|verb| route.verbs().contains(verb));
    let Some(verb) = verb else {
        let refused = Reply::reason_phrase(405).into_response();
        return with_allow(&route, refused);
    };
    match prepare(api, &route, verb, parts, body).await {
        Ok(call) => handle(api, &call, route, verb).await.unwrap_or_else(Reply::into_response),
        Err(refused) => refused.into_response(),
    }
}

/// Reads a request as far as its route needs it.
async fn prepare(
    api: &Api,
    route: &Route,
    verb: Verb,
    parts: Parts,
    body: Body,
) -> Result<Call, Reply> {
    if !takes_any_type(route) {
        guard::check_type(&parts.headers, !body.is_end_stream())?;
    }
    let offers = offers(route, verb);
    if !offers.is_empty() && accept::choose(&parts.headers, offers).is_none() {
        return Err(Reply::reason_phrase(406));
    }
    let body = match body_limit(route, verb) {
        Some(limit) => api.budget().read(&parts.headers, body, limit).await?,
        None => Taken::default(),
    };
    let origin = parts.extensions.get::<Origin>();
    Ok(Call {
        peer: origin.map(|origin| origin.peer),
        ending: origin.map(|origin| origin.ending.clone()),
        query: Query::parse(parts.uri.query().unwrap_or_default()),
        scope: Scope::Everything,
        version: parts.version,
        headers: parts.headers,
        uri: parts.uri,
        body,
    })
}

/// Verbs that a route does not have have been refused before.
async fn handle(api: &Api, call: &Call, route: Route, verb: Verb) -> Outcome {
    match (route, verb) {
        (Route::Apps, Verb::Get) => apps::list(api, call),
        (Route::Apps, Verb::Post) => write::create(api, call).await,
        (Route::Apps, Verb::Put) => batch::put(api, call).await,
        (Route::Apps, _) => batch::patch(api, call).await,
        (Route::Explain(id), Verb::Get) if !apps::exists(api, call, &id.with("explain")) => {
            explain::get(api, call, &id)
        }
        (Route::Explain(id), verb) => app(api, call, &id.with("explain"), verb).await,
        (Route::Failures(id), Verb::Get) if !apps::exists(api, call, &id.with("failures")) => {
            failures::list(api, call, &id)
        }
        (Route::Failures(id), verb) => app(api, call, &id.with("failures"), verb).await,
        (Route::Failure(id, task), verb) => {
            let name = id.with("failures").with(&task);
            if verb == Verb::Get && !apps::exists(api, call, &name) {
                failures::get(api, call, &id, &task).await
            } else {
                app(api, call, &name, verb).await
            }
        }
        (Route::App(id), verb) => app(api, call, &id, verb).await,
        (Route::AppsBelow(group), _) => apps::below(api, call, &group),
        (Route::AppTasks(id), Verb::Delete) => kill::of_app(api, call, &id).await,
        (Route::AppTasks(id), _) => tasks::of_app(api, call, &id),
        (Route::TasksBelow(group), _) => tasks::below(api, call, &group),
        (Route::AppTask(id, task), _) => kill::one(api, call, &id, &task).await,
        (Route::Versions(id), _) => versions::list(api, call, &id),
        (Route::Version(id, version), _) => versions::get(api, call, &id, &version),
        (Route::Restart(id), Verb::Delete) => write::remove(api, call, &id.with("restart")).await,
        (Route::Restart(id), _) => write::restart(api, call, &id).await,
        (Route::Tasks, _) => Ok(tasks::list(api, call)),
        (Route::TasksDelete, _) => kill::many(api, call).await,
        (Route::TaskLogs(task), _) => logs::get(api, call, &task).await,
        (Route::Events, _) => events::follow(api, call),
        (Route::Deployments, _) => Ok(deployments::list(api, call)),
        (Route::DeploymentHistory, _) => deployments::history(api, call),
        (Route::DeploymentResume(id), _) => deployments::resume(api, call, &id).await,
        (Route::Deployment(id), _) => deployments::cancel(api, call, &id).await,
        (Route::Deploys, Verb::Post) => deploys::create(api, call).await,
        (Route::Deploys, _) => Ok(deploys::list(api, call)),
        (Route::Deploy(id), Verb::Delete) => deploys::remove(api, call, &id).await,
        (Route::Deploy(id), _) => deploys::get(api, call, &id),
        (Route::DeployResume(id), _) => deploys::resume(api, call, &id).await,
        (Route::DeployPromote(id), _) => deploys::promote(api, call, &id).await,
        (Route::DeployRollBack(id), _) => deploys::roll_back(api, call, &id).await,
        (Route::Queue, _) => Ok(queue::list(api, call)),
        (Route::QueueDelay(id), _) => queue::reset_delay(api, call, &id).await,
        (Route::Agents, _) => Ok(agents::list(api)),
        (Route::Agent(agent), Verb::Delete) => agents::forget(api, call, &agent).await,
        (Route::Agent(agent), _) => agents::get(api, &agent),
        (Route::AgentDrain(agent), Verb::Delete) => agents::undrain(api, call, &agent).await,
        (Route::AgentDrain(agent), _) => agents::drain(api, call, &agent).await,
        (Route::Brake, Verb::Delete) => agents::release(api, call).await,
        (Route::Brake, _) => Ok(agents::brake(api)),
        (Route::Info, _) => Ok(system::info(api)),
        (Route::Leader, _) => system::leader(api),
        (Route::Ping, _) => Ok(system::ping(call)),
        (Route::Metrics, _) => exposition::get(api, call),
        (Route::MetricsPrometheus, _) => exposition::prometheus(api),
        (Route::Root, _) => Ok(system::root()),
    }
}

async fn app(api: &Api, call: &Call, id: &crate::api::path::AppId, verb: Verb) -> Outcome {
    match verb {
        Verb::Get | Verb::Post => apps::get(api, call, id),
        Verb::Put => write::put(api, call, id).await,
        Verb::Patch => write::patch(api, call, id).await,
        Verb::Delete => write::remove(api, call, id).await,
    }
}

/// What a route may answer before its handler is asked, or in its place.
pub fn refusals(route: &Route, verb: Verb) -> Vec<(u16, &'static str)> {
    let mut refusals = Vec::new();
    if body_limit(route, verb).is_some() {
        refusals.push((400, "the body cannot be read"));
        refusals.push((413, "the body is too long"));
    }
    refusals
        .push((403, "the name that was asked for, or the page that asks, is not this server's"));
    if !offers(route, verb).is_empty() {
        refusals.push((406, "the answer has none of the types that `Accept` names"));
    }
    if !takes_any_type(route) {
        refusals.push((415, "`Content-Type` is not JSON"));
    }
    refusals.push((503, "not now: `Retry-After` says when to ask again"));
    refusals
}

/// What declares no types of its own (contract 1.7).
const fn takes_any_type(route: &Route) -> bool {
    matches!(
        route,
        Route::Tasks
            | Route::TaskLogs(_)
            | Route::Events
            | Route::Leader
            | Route::Ping
            | Route::MetricsPrometheus
            | Route::Root
    )
}

/// The forms that an answer may have; none where the handler chooses for itself.
fn offers(route: &Route, verb: Verb) -> &'static [&'static str] {
    match route {
        Route::Tasks => &[accept::JSON, accept::TEXT],
        Route::AppTasks(_) if verb == Verb::Get => &[accept::JSON, accept::TEXT],
        Route::TaskLogs(_) => &[accept::TEXT],
        Route::Ping
        | Route::Events
        | Route::Metrics
        | Route::MetricsPrometheus
        | Route::Root
        | Route::QueueDelay(_) => &[],
        Route::Apps
        | Route::App(_)
        | Route::AppsBelow(_)
        | Route::AppTasks(_)
        | Route::TasksBelow(_)
        | Route::AppTask(..)
        | Route::Versions(_)
        | Route::Version(..)
        | Route::Restart(_)
        | Route::Explain(_)
        | Route::Failures(_)
        | Route::Failure(..)
        | Route::TasksDelete
        | Route::Deployments
        | Route::DeploymentHistory
        | Route::Deployment(_)
        | Route::Deploys
        | Route::Deploy(_)
        | Route::DeployResume(_)
        | Route::DeployPromote(_)
        | Route::DeployRollBack(_)
        | Route::DeploymentResume(_)
        | Route::Queue
        | Route::Agents
        | Route::Agent(_)
        | Route::AgentDrain(_)
        | Route::Brake
        | Route::Info
        | Route::Leader => &[accept::JSON],
    }
}

/// How long a body may be; none where a body is not looked at.
const fn body_limit(route: &Route, verb: Verb) -> Option<usize> {
    let writes = matches!(verb, Verb::Post | Verb::Put | Verb::Patch);
    match route {
        Route::Apps if matches!(verb, Verb::Put | Verb::Patch) => Some(MANY_LIMIT),
        Route::Apps
        | Route::App(_)
        | Route::Explain(_)
        | Route::Failures(_)
        | Route::Failure(..)
        | Route::Deploys
            if writes =>
        {
            Some(ONE_LIMIT)
        }
        Route::TasksDelete => Some(MANY_LIMIT),
        Route::AgentDrain(_) if writes => Some(ONE_LIMIT),
        Route::Apps
        | Route::App(_)
        | Route::Explain(_)
        | Route::Failures(_)
        | Route::Failure(..)
        | Route::AppsBelow(_)
        | Route::AppTasks(_)
        | Route::TasksBelow(_)
        | Route::AppTask(..)
        | Route::Versions(_)
        | Route::Version(..)
        | Route::Restart(_)
        | Route::Tasks
        | Route::TaskLogs(_)
        | Route::Events
        | Route::Deployments
        | Route::DeploymentHistory
        | Route::Deployment(_)
        | Route::Deploys
        | Route::Deploy(_)
        | Route::DeployResume(_)
        | Route::DeployPromote(_)
        | Route::DeployRollBack(_)
        | Route::DeploymentResume(_)
        | Route::Queue
        | Route::QueueDelay(_)
        | Route::Agents
        | Route::Agent(_)
        | Route::AgentDrain(_)
        | Route::Brake
        | Route::Info
        | Route::Leader
        | Route::Ping
        | Route::Metrics
        | Route::MetricsPrometheus
        | Route::Root => None,
    }
}

fn with_allow(route: &Route, mut response: Response) -> Response {
    let verbs = route.verbs().iter().map(|verb| verb.as_str());
    let allow = verbs.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ");
    if let Ok(value) = HeaderValue::try_from(allow) {
        response.headers_mut().insert(header::ALLOW, value);
    }
    response
}
