//! How programs ask: Marathon's REST API. A handler reads a view or sends a fact.
//!
//! ```text
//! request ─ serve ─ front ─ observe ─ guard ─ routes ─▶ reads: view → contract::show ─▶ bytes
//!                                                 └───▶ writes: contract → change → Server::ask → view
//! ```
//!
//! Texts and rules are the contract's, decisions the brain's; here is HTTP. What a caller may see is [`scope`]'s alone, so
//! that rights narrow every read in one place. What the API needs of the rest of a server comes through [`seams`].

mod accept;
mod agents;
mod apps;
mod batch;
mod body;
mod call;
mod change;
mod deployments;
mod deploys;
mod events;
mod explain;
mod exposition;
mod failures;
mod fragments;
mod front;
mod guard;
mod kill;
mod logs;
mod metrics;
mod observe;
pub mod openapi;
mod path;
mod plan;
mod queue;
mod read;
mod reply;
mod routes;
pub mod schema;
pub mod scope;
pub mod seams;
pub mod serve;
mod stall;
mod system;
mod tasks;
mod versions;
pub mod waiting;
mod write;

pub use crate::api::front::Front;

use crate::api::call::Api;
use crate::api::seams::{ApiConfig, Backends};
use crate::control::server::Server;

/// The API over `server`. Requests without a peer address are taken too, so that tests need no socket.
pub fn front(server: Server, config: ApiConfig, backends: Backends) -> Front {
    Front::new(Api::new(server, config, backends))
}

#[cfg(test)]
mod tests;
