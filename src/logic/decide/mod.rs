//! What should happen next, from rows and time alone: total, deterministic, idempotent.
//!
//! A message never reaches this folder. It works on dirty subjects; looking at everything at rest changes nothing.
//!
//! - [`app`]: one app: what time alone changes, then its count and configuration, then its launches.
//! - [`rollout`]: how many to start and which to stop, without memory.
//! - [`kill_order`]: who goes first.
//! - [`launch`]: what waits is placed; [`backoff`] holds it back.
//! - [`deployment`]: steps of a deployment, one after another.
//! - [`health`]: who is killed since its checks fail, and when too many would be.
//! - [`agent`] and [`drain`]: what must leave an agent; [`brake`]: when nothing that was lost is replaced.

pub mod agent;
pub mod app;
pub mod backoff;
pub mod brake;
pub mod deployment;
pub mod drain;
pub mod health;
pub mod kill_order;
pub mod launch;
pub mod rollout;

use crate::logic::deploy;
use crate::logic::draft::{Draft, Subject};

/// Instances placed by one step; the rest waits for the next.
const PLACEMENT_BUDGET: u32 = 20_000;

/// Decides dirty subjects until none is left or the budget of rows is used.
pub fn all(draft: &mut Draft<'_>, write_budget: usize) {
    loop {
        while let Some(subject) = draft.next_dirty() {
            match subject {
                Subject::Agent(agent) => agent::decide(draft, agent),
                Subject::Brake => brake::decide(draft),
                Subject::App(app) => app::decide(draft, app),
                Subject::Deployment(id) => deployment::decide(draft, id),
                Subject::Deploy(id) => deploy::decide(draft, id),
            }
            if draft.written() >= write_budget || draft.placements() >= PLACEMENT_BUDGET {
                return;
            }
        }
        let fresh = draft.take_fresh();
        if fresh.is_empty() {
            return;
        }
        launch::retry(draft, &fresh);
    }
}
