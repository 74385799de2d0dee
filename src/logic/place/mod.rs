//! Where instances go: filters with all their reasons, then a rank.
//!
//! All waiting instances of an app with one definition are one class: one scan over the agents finds where they fit, then
//! each takes the best of these and only that agent is ranked again. Exact, deterministic, no sampling.
//!
//! - [`need`]: what one instance asks for.
//! - [`constraint`]: what the definition's constraints accept.
//! - [`check`]: whether an agent can take it, the hot path with one word and the slow path with every reason.
//! - [`ports`] and [`devices`]: which ones it gets.
//! - [`rank`]: which agent is best; [`taken`] what the class has by then.
//! - [`explain`]: all reasons of all agents for one app, for people, as an [`account`]; [`help`] what would help, [`why`]
//!   what its constraints say of one agent.

pub mod account;
pub mod check;
pub mod constraint;
pub mod devices;
pub mod explain;
pub mod help;
pub mod need;
pub mod ports;
pub mod rank;
pub mod taken;
pub mod why;

use std::collections::BTreeSet;

use crate::logic::index::Index;
use crate::logic::place::check::refusal_of;
use crate::logic::place::constraint::Rules;
use crate::logic::place::need::Need;
use crate::logic::place::rank::Candidates;
use crate::model::app::AppVersion;
use crate::model::id::{AgentKey, AppKey, InstanceId};
use crate::model::instance::Place;
use crate::model::reason::Funnel;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// What is to be placed, and where one looks.
pub struct Ask<'a> {
    /// The rows.
    pub world: &'a World,
    /// What follows from them.
    pub index: &'a Index,
    /// The app.
    pub app: AppKey,
    /// The definition.
    pub row: &'a AppVersion,
    /// What one instance of it needs.
    pub need: Need<'a>,
    /// The time.
    pub now: Timestamp,
}

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

// === impl Ask ===

impl<'a> Ask<'a> {
    /// For instances of this definition.
    pub fn of(
        world: &'a World,
        index: &'a Index,
        app: AppKey,
        row: &'a AppVersion,
        now: Timestamp,
    ) -> Ask<'a> {
        Ask { world, index, app, row, need: Need::of(&row.spec), now }
    }

    /// Finds places for `instances` on all agents, or only on some of them.
    pub fn place(&self, instances: &[InstanceId], only: Option<&BTreeSet<AgentKey>>) -> Placed {
        let mut placed = Placed::default();
        let mut rules = Rules::of(self.world, self.index, self.app, self.row);
        let mut candidates = Candidates::scan(self, &rules, only);
        if only.is_some() && rules.group_count() > 0 {
            // What GROUP_BY accepts here depends on where else instances would fit. With one of them nothing waits that
            // fits elsewhere, unless something fits here.
            if candidates.is_empty() && rules.group_count() == 1 {
                return Placed { looked: candidates.looked(), ..placed };
            }
            candidates = Candidates::scan(self, &rules, None);
        }
        placed.looked = candidates.looked();
        for instance in instances {
            match candidates.take(self, &mut rules, *instance) {
                Some(place) => placed.places.push(place),
                None => break,
            }
        }
        if placed.places.len() < instances.len() && only.is_none() {
            placed.refused = self.refused(&rules, &candidates);
        }
        placed
    }

    /// Counts agents by the strongest reason against one more instance, beside what the class has taken by now.
    fn refused(&self, rules: &Rules<'_>, candidates: &Candidates) -> [u32; Funnel::ALL.len()] {
        let mut refused = [0; Funnel::ALL.len()];
        let least = candidates.least(rules);
        let lags = |slot: usize| {
            let mut groups = rules.groups().zip(&least);
            groups
                .any(|(rule, least)| rule.value(slot).is_some_and(|value| rule.lags(value, *least)))
        };
        for (slot, (_, agent)) in self.world.agents.iter().enumerate() {
            let first = refusal_of(self, rules, agent, slot, candidates.taken(slot));
            let reason = match first {
                Some(reason) if reason <= Funnel::UnfulfilledConstraint => reason,
                _ if lags(slot) => Funnel::UnfulfilledConstraint,
                Some(reason) => reason,
                // It has the room and was dropped: its ports ran out.
                None => Funnel::InsufficientPorts,
            };
            refused[reason as usize] += 1;
        }
        refused
    }
}
