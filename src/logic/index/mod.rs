//! Everything that follows from the rows and is asked often: mutable, the brain's alone, never stored.
//!
//! `Index::build(&world)` gives it anew at any time; in tests the two are compared after every step. Only
//! `Draft::put` changes it, one row at a time.

pub mod agents;
pub mod apps;
pub mod autopsies;
pub mod census;
pub mod deploys;
pub mod fields;
pub mod plans;
pub mod pool;
pub mod roll;
pub mod timers;

use crate::logic::index::agents::AgentUses;
use crate::logic::index::apps::AppUses;
use crate::logic::index::autopsies::Autopsies;
use crate::logic::index::deploys::Deploys;
use crate::logic::index::fields::Fields;
use crate::logic::index::plans::Plans;
use crate::logic::index::pool::Pool;
use crate::logic::index::roll::Roll;
use crate::logic::index::timers::Timers;
use crate::model::agent::Agent;
use crate::model::instance::Place;
use crate::model::row::{Key, Row};
use crate::model::world::{Broken, World};

/// What follows from the rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Index {
    /// What each agent's instances hold.
    pub agents: AgentUses,
    /// What is free on each agent, by column.
    pub pool: Pool,
    /// Which agents are heard, lost, being emptied.
    pub roll: Roll,
    /// Host names and attributes of the agents, by column.
    pub fields: Fields,
    /// How apps stand, what of them waits, which service ports are taken, which apps are removed.
    pub apps: AppUses,
    /// Which apps each deployment changes.
    pub plans: Plans,
    /// Which apps each deploy changes, and which deploys are over.
    pub deploys: Deploys,
    /// When rows fall due.
    pub timers: Timers,
    /// Which lives failed.
    pub autopsies: Autopsies,
}

// === impl Index ===

impl Index {
    /// The index of `world`.
    pub fn build(world: &World) -> Index {
        let mut index = Index::default();
        for (key, row) in world.rows() {
            index.replace(world, &key, None, Some(&row));
        }
        index
    }

    /// Follows one row that changes from `old` to `new`. `world` holds the definitions that either names.
    pub fn replace(&mut self, world: &World, key: &Key, old: Option<&Row>, new: Option<&Row>) {
        self.fields.follow(agent_in(old), agent_in(new));
        if let Some(old) = old {
            self.timers.remove(world, key, old);
            self.take_out(world, old);
        }
        if let Some(new) = new {
            self.timers.add(world, key, new);
            self.bring_in(world, new);
        }
    }

    fn take_out(&mut self, world: &World, row: &Row) {
        match row {
            Row::Instance(instance) => {
                self.apps.remove_instance(world, instance);
                if let Some(place) = &instance.place {
                    self.agents.release(instance.key, place);
                    self.pool.release(place);
                    self.count_devices(world, place);
                }
            }
            Row::App(app) => {
                self.apps.remove_app(world, app);
                self.plans.remove(app);
            }
            Row::Agent(agent) => {
                self.pool.remove(agent);
                self.roll.remove(agent);
            }
            Row::Autopsy(autopsy) => self.autopsies.remove(autopsy),
            Row::Deploy(deploy) => self.deploys.remove(deploy),
            Row::Meta(_) | Row::AppVersion(_) | Row::Deployment(_) | Row::Outcome(_) => {}
        }
    }

    fn bring_in(&mut self, world: &World, row: &Row) {
        match row {
            Row::Instance(instance) => {
                self.apps.add_instance(world, instance);
                if let Some(place) = &instance.place {
                    self.agents.hold(instance.key, place);
                    self.pool.hold(place);
                    self.count_devices(world, place);
                }
            }
            Row::App(app) => {
                self.apps.add_app(world, app);
                self.plans.add(app);
            }
            Row::Agent(agent) => {
                self.pool.add(agent, self.agents.of(agent.key));
                self.roll.add(agent);
            }
            Row::Autopsy(autopsy) => self.autopsies.add(autopsy),
            Row::Deploy(deploy) => self.deploys.add(deploy),
            Row::Meta(_) | Row::AppVersion(_) | Row::Deployment(_) | Row::Outcome(_) => {}
        }
    }

    fn count_devices(&mut self, world: &World, place: &Place) {
        if let Some(agent) = world.agents.get(&place.agent).filter(|_| !place.devices.is_empty()) {
            self.pool.count_devices(agent, self.agents.of(place.agent));
        }
    }

    /// Whether this is the index of `world` and no port or device has two holders (I5).
    ///
    /// # Errors
    /// What differs, in words.
    pub fn check(&self, world: &World) -> Result<(), Vec<Broken>> {
        let mut broken = self.agents.check(world);
        if *self != Index::build(world) {
            broken.push(Broken("the index does not follow from the rows".to_owned()));
        }
        if broken.is_empty() { Ok(()) } else { Err(broken) }
    }
}

fn agent_in(row: Option<&Row>) -> Option<&Agent> {
    match row {
        Some(Row::Agent(agent)) => Some(agent),
        Some(_) | None => None,
    }
}
