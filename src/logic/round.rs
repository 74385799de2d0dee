//! One round of deciding: dirty subjects, until none is left or a budget is used.
//!
//! What is decided from rows and time alone is [`decide`]'s. A deployment that passed its limits asks for more: it may be
//! taken back, and a deploy makes changes all the time; these are changes like any client's, so that both go through
//! [`change`](crate::logic::change) here, above all.

use crate::logic::change::fail;
use crate::logic::decide::{self, deployment};
use crate::logic::deploy;
use crate::logic::draft::{Draft, Subject};

/// Instances placed by one step; the rest waits for the next.
const PLACEMENT_BUDGET: u32 = 20_000;

/// Decides dirty subjects until none is left or the budget of rows is used.
pub fn all(draft: &mut Draft<'_>, write_budget: usize) {
    loop {
        while let Some(subject) = draft.next_dirty() {
            match subject {
                Subject::Agent(agent) => decide::agent::decide(draft, agent),
                Subject::Brake => decide::brake::decide(draft),
                Subject::App(app) => decide::app::decide(draft, app),
                Subject::Deploy(id) => deploy::decide(draft, id),
                Subject::Deployment(id) => {
                    if let Some(cause) = deployment::decide(draft, id) {
                        fail::fail(draft, id, cause);
                    }
                }
            }
            if draft.written() >= write_budget || draft.placements() >= PLACEMENT_BUDGET {
                return;
            }
        }
        let fresh = draft.take_fresh();
        if fresh.is_empty() {
            return;
        }
        decide::launch::retry(draft, &fresh);
    }
}
