//! `/v2/queue`: what waits to be launched and why, and launching it without further delay (contract 3.9, 10).

use axum::http::StatusCode;
use axum::response::Response;

use crate::api::call::{Api, Call};
use crate::api::change::{self, Done};
use crate::api::path::AppId;
use crate::api::reply::{self, Outcome};
use crate::contract::show::queue::{self, Free, UnusedOffer};
use crate::logic::index::Index;
use crate::logic::place::account::AgentAnswer;
use crate::logic::place::explain::explain_with;
use crate::model::app::App;
use crate::model::fact::{Change, How};
use crate::model::time::Timestamp;
use crate::model::view::View;

/// Answers with everything that waits.
#[utoipa::path(
    get,
    path = "/v2/queue",
    operation_id = "listQueue",
    tag = "queue",
    params(("embed" = Option<String>, Query, description = "`lastUnusedOffers` adds what each agent lacks")),
    responses((status = 200, description = "apps of which something waits", body = crate::api::schema::Queue)),
)]
pub fn list(api: &Api, call: &Call) -> Response {
    let (view, now) = (api.view(), api.now());
    let waiting: Vec<&App> = call
        .scope
        .apps(&view)
        .filter(|app| view.world.instances_of(app.key).any(queue::is_queued))
        .collect();
    let with_offers = call.query.wants_unused_offers();
    let mut offers = if with_offers {
        // One index for all of them.
        let index = Index::build(&view.world);
        let explain = |app: &&App| explain_with(&view.world, &index, app, now).agents;
        waiting.iter().map(|app| unused_offers(&view, explain(app), now)).collect()
    } else {
        Vec::new()
    }
    .into_iter();
    let items = api.fragments().current(&view, &waiting).into_iter().filter_map(|(app, text)| {
        let unused = with_offers.then(|| offers.next().unwrap_or_default());
        queue::item(&view, app, &text, unused, now)
    });
    reply::json_text(queue::queue(items))
}

fn unused_offers(view: &View, agents: Vec<AgentAnswer>, at: Timestamp) -> Vec<UnusedOffer<'_>> {
    let refusing = agents.into_iter().filter(|answer| !answer.reasons.is_empty());
    refusing
        .filter_map(|answer| {
            let agent = view.world.agents.get(&answer.agent)?;
            let free = Free {
                cpus: answer.free.cpus,
                mem: answer.free.mem,
                disk: answer.free.disk,
                gpus: answer.free.gpus,
                ports: agent.inventory.ports.clone(),
            };
            Some(UnusedOffer { agent, free, reasons: answer.reasons, at })
        })
        .collect()
}

/// Launches what waits of an app without further delay.
#[utoipa::path(
    delete,
    path = "/v2/queue/{id}/delay",
    operation_id = "resetDelay",
    tag = "queue",
    params(("id" = String, Path, description = "app id, slashes included")),
    responses(
        (status = 204, description = "the delay is gone"),
        (status = 404, description = "nothing of it waits", body = crate::api::schema::Message),
    ),
)]
pub async fn reset_delay(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let missing =
        || reply::not_found(&format!("Application {} not found in tasks queue.", id.text()));
    let path = id.path().map_err(|_| missing())?;
    let reset = |view: &View| {
        call.scope.app(view, &path).ok_or_else(missing)?;
        Ok((Change::ResetDelay { path: path.clone() }, ()))
    };
    match change::ask(api, call, How::default(), reset).await? {
        (Done::DelayReset, ()) => Ok(reply::empty(StatusCode::NO_CONTENT)),
        (
            done @ (Done::Deployed(_)
            | Done::Deploying(_)
            | Done::Killed(_)
            | Done::Cancelled
            | Done::Plainly),
            (),
        ) => Err(change::unexpected(&done)),
    }
}
