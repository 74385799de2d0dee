//! Where instances go: filters with all their reasons, then a rank.
//!
//! All waiting instances of an app with one definition are one class: one scan over the agents finds where they fit, then
//! each takes the best of these and only that agent is ranked again. Exact, deterministic, no sampling.
//!
//! - [`need`]: what one instance asks for.
//! - [`check`]: whether an agent can take it, the hot path with one word and the slow path with every reason.
//! - [`ports`] and [`devices`]: which ones it gets.
//! - [`rank`]: which agent is best.
//! - [`explain`]: all reasons of all agents for one app, for people.

pub mod check;
pub mod devices;
pub mod explain;
pub mod need;
pub mod ports;
pub mod rank;

use crate::logic::index::Index;
use crate::logic::place::check::refusal;
use crate::logic::place::need::Need;
use crate::logic::place::rank::Candidates;
use crate::model::id::{AgentKey, AppKey, InstanceId};
use crate::model::instance::Place;
use crate::model::reason::Funnel;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// What placing a class of instances came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placed {
    /// Where the instances go, in the order in which they were given; fewer than asked when not all fit.
    pub places: Vec<Place>,
    /// How many agents were looked at.
    pub looked: u32,
    /// How many of them refuse one more instance, each by its strongest reason; only when not all fit and
    /// all agents were looked at.
    pub refused: [u32; Funnel::ALL.len()],
}

/// Finds places for `instances`, all of one definition, on all agents or only on some of them.
pub fn place(
    world: &World,
    index: &Index,
    app: AppKey,
    need: &Need<'_>,
    instances: &[InstanceId],
    only: Option<&std::collections::BTreeSet<AgentKey>>,
    now: Timestamp,
) -> Placed {
    let mut placed = Placed::default();
    let mut candidates = Candidates::scan(world, index, app, need, only, now);
    placed.looked = candidates.looked();
    for instance in instances {
        match candidates.take(world, index, need, *instance, now) {
            Some(place) => placed.places.push(place),
            None => break,
        }
    }
    if placed.places.len() < instances.len() && only.is_none() {
        for slot in 0..index.pool.agents().len() {
            let reason =
                refusal(world, index, need, slot, now).unwrap_or(Funnel::InsufficientPorts);
            placed.refused[reason as usize] += 1;
        }
    }
    placed
}
