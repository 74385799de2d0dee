//! The OpenAPI 3.1 document, put together from the handlers' own notes, and from the table of routes for what is answered
//! before a handler is asked. `api-spec/openapi.json` is its committed text.

use utoipa::openapi::path::{Operation, PathItem};
use utoipa::openapi::{Content, Ref, Response};
use utoipa::{Modify, OpenApi};

use crate::api::path::{Route, Verb};
use crate::api::{
    agents, apps, batch, deployments, deploys, events, explain, exposition, failures, kill, logs,
    queue, routes, system, tasks, versions, write,
};

/// Collects the handlers.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stayer",
        description = "Keeps services running. Speaks Marathon's REST API; what Marathon lacks says so.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
    ),
    paths(
        apps::list,
        write::create,
        batch::put,
        batch::patch,
        apps::get,
        write::put,
        write::patch,
        write::remove,
        write::restart,
        explain::get,
        failures::list,
        failures::get,
        apps::below,
        versions::list,
        versions::get,
        tasks::of_app,
        kill::of_app,
        kill::one,
        tasks::below,
        tasks::list,
        kill::many,
        logs::get,
        events::follow,
        deployments::list,
        deployments::history,
        deployments::cancel,
        deployments::resume,
        deploys::create,
        deploys::list,
        deploys::get,
        deploys::remove,
        deploys::resume,
        deploys::promote,
        deploys::roll_back,
        queue::list,
        queue::reset_delay,
        agents::list,
        agents::get,
        agents::drain,
        agents::undrain,
        agents::forget,
        agents::brake,
        agents::release,
        system::info,
        system::leader,
        system::ping,
        exposition::get,
        exposition::prometheus,
    ),
    modifiers(&Refusals),
)]
struct Document;

/// What is answered before a handler is asked, where its own note says nothing of that status.
struct Refusals;

// === impl Refusals ===

impl Modify for Refusals {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        for (path, item) in &mut document.paths.paths {
            let route = Route::parse(path).expect("a documented path leads to a route");
            for (verb, operation) in operations(item) {
                for (status, what) in routes::refusals(&route, verb) {
                    let responses = &mut operation.responses.responses;
                    responses.entry(status.to_string()).or_insert_with(|| refusal(what).into());
                }
            }
        }
    }
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (Verb, &mut Operation)> {
    let PathItem { get, post, put, patch, delete, .. } = item;
    let verbs = [
        (Verb::Get, get),
        (Verb::Post, post),
        (Verb::Put, put),
        (Verb::Patch, patch),
        (Verb::Delete, delete),
    ];
    verbs.into_iter().filter_map(|(verb, operation)| Some((verb, operation.as_mut()?)))
}

fn refusal(what: &str) -> Response {
    let body = Content::new(Some(Ref::from_schema_name("Message")));
    Response::builder().description(what).content("application/json", body).build()
}

/// The document as it is committed.
pub fn openapi() -> String {
    let mut text =
        Document::openapi().to_pretty_json().expect("the document has only texts as keys");
    text.push('\n');
    text
}
