//! The OpenAPI 3.1 document, put together from the handlers' own notes. `api-spec/openapi.json` is its committed text.

use utoipa::OpenApi;

use crate::api::{
    agents, apps, batch, deployments, events, explain, exposition, kill, logs, queue, system,
    tasks, versions, write,
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
        deployments::cancel,
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
    )
)]
struct Document;

/// The document as it is committed.
pub fn openapi() -> String {
    let mut text =
        Document::openapi().to_pretty_json().expect("the document has only texts as keys");
    text.push('\n');
    text
}
