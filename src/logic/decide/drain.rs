//! What must leave an app's agents because they are being emptied, and how far that has come.
//!
//! Without memory: what is left on an agent says all. [`rollout`](crate::logic::decide::rollout) moves it as it moves
//! what is of an old configuration.

use std::collections::BTreeSet;

use crate::logic::decide::backoff;
use crate::logic::draft::Draft;
use crate::logic::place::Ask;
use crate::logic::status;
use crate::model::agent::Agent;
use crate::model::app::AppVersion;
use crate::model::condition::Condition;
use crate::model::id::{AppKey, InstanceId, InstanceKey};
use crate::model::instance::{Goal, Instance, StopWhy, Then};
use crate::model::spec::Spec;
use crate::model::time::Timestamp;
use crate::model::world::World;
use crate::planted::planted;

/// So many of what must leave are tried one after another.
const TRIED: usize = 16;

/// What must leave its agent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leaving {
    /// As soon as something has taken its place.
    pub moving: BTreeSet<InstanceKey>,
    /// Now.
    pub overdue: BTreeSet<InstanceKey>,
}

/// Why an instance is still on an agent that is being emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitsFor {
    /// It was asked to end.
    End,
    /// It ends before its replacement starts: constraints allow no other order.
    EndFirst,
    /// The agent is not heard: what becomes of it is its app's unreachable strategy.
    Agent,
    /// Too many agents were lost at once: nothing is moved until they are back or the brake is released.
    Brake,
    /// Its volumes cannot move.
    Volumes,
    /// Its definition cannot be read.
    Definition,
    /// No agent can take what is to replace it.
    Place,
    /// What is to replace it is on its way.
    Replacement,
    /// Fewer would be healthy than its app's upgrade strategy allows.
    Health,
}

// === impl Leaving ===

impl Leaving {
    /// Of the instances of an app with this definition.
    pub fn of(draft: &Draft<'_>, app: AppKey, spec: &Spec) -> Leaving {
        let mut leaving = Leaving::default();
        let (world, index) = (draft.world(), draft.index());
        if spec.is_resident() {
            return leaving;
        }
        for agent in index.roll.draining() {
            let Some(drain) = world.agents.get(agent).and_then(|agent| agent.drain) else {
                continue;
            };
            let due = drain.deadline.is_some_and(|deadline| draft.now() >= deadline);
            let due = planted!("drain-deadline-ignored", due, false);
            let side = if due { &mut leaving.overdue } else { &mut leaving.moving };
            let all = InstanceKey { app, no: 0 }..=InstanceKey { app, no: u32::MAX };
            let used = index.agents.of(*agent).into_iter();
            let there = used.flat_map(|used| used.instances.range(all.clone()));
            side.extend(there.filter(|key| draft.instance(**key).is_some_and(can_leave)));
        }
        leaving
    }

    /// Whether nothing must leave.
    pub fn is_empty(&self) -> bool {
        self.moving.is_empty() && self.overdue.is_empty()
    }
}

/// Where constraints let no agent take a replacement because of what it is to replace, that ends first, one at a time:
/// nothing else can work.
pub fn make_way(draft: &mut Draft<'_>, app: AppKey, row: &AppVersion) {
    let compares = !row.spec.constraints.is_empty() && !draft.index().roll.draining().is_empty();
    let busy = draft.index().apps.census(app).leaving > 0 || draft.brake().held.is_some();
    if !compares || busy {
        return;
    }
    let leaving = Leaving::of(draft, app, &row.spec);
    let Some(waiting) = waiting(draft, app, row) else { return };
    let (world, index, now) = (draft.world(), draft.index(), draft.now());
    let frees = |key: &&InstanceKey| {
        let mut without = world.clone();
        without.instances.remove(key);
        !Ask::of(&without, index, app, row, now).place(&[waiting], None).places.is_empty()
    };
    let first = leaving.moving.iter().take(TRIED).find(frees).copied();
    if let Some(key) = first {
        status::stop(draft, key, StopWhy::Drained, Then::Leave);
    }
}

/// An instance of this configuration that waits for nothing but a place.
fn waiting(draft: &Draft<'_>, app: AppKey, row: &AppVersion) -> Option<InstanceId> {
    let until = draft.world().apps.get(&app).and_then(|app| backoff::until(app, row.config));
    if until.is_some_and(|until| draft.now() < until) {
        return None;
    }
    let scheduled = draft.index().apps.scheduled(app).map(|no| InstanceKey { app, no });
    let rows = scheduled.filter_map(|key| draft.instance(key));
    rows.filter(|one| one.config == row.config).map(|one| one.id).next()
}

// === impl WaitsFor ===

impl WaitsFor {
    /// For people.
    pub const fn text(self) -> &'static str {
        match self {
            WaitsFor::End => "was asked to end",
            WaitsFor::EndFirst => {
                "ends before its replacement starts, since constraints allow no other order"
            }
            WaitsFor::Agent => {
                "the agent is not heard; the app's unreachableStrategy decides, or `stayer agent forget`"
            }
            WaitsFor::Brake => {
                "many agents were lost at once, and nothing is moved until they are back; `stayer agent release` goes on"
            }
            WaitsFor::Volumes => "its volumes cannot move to another agent",
            WaitsFor::Definition => "its definition cannot be read",
            WaitsFor::Place => "no other agent can take its replacement; `stayer explain` says why",
            WaitsFor::Replacement => "its replacement is on its way",
            WaitsFor::Health => "fewer would be healthy than minimumHealthCapacity allows",
        }
    }

    /// For programs.
    pub const fn kind(self) -> &'static str {
        match self {
            WaitsFor::End => "end",
            WaitsFor::EndFirst => "end-first",
            WaitsFor::Agent => "agent",
            WaitsFor::Brake => "brake",
            WaitsFor::Volumes => "volumes",
            WaitsFor::Definition => "definition",
            WaitsFor::Place => "place",
            WaitsFor::Replacement => "replacement",
            WaitsFor::Health => "health",
        }
    }
}

/// What is left on an agent that is being emptied, and what each waits for.
pub fn progress<'w>(
    world: &'w World,
    agent: &Agent,
    now: Timestamp,
) -> Vec<(&'w Instance, WaitsFor)> {
    let placed = |row: &Instance| row.place.as_ref().is_some_and(|at| at.agent == agent.key);
    let left = world.instances.iter().map(|(_, row)| row).filter(|row| placed(row));
    left.map(|row| (row, waits_for(world, agent, row, now))).collect()
}

fn waits_for(world: &World, agent: &Agent, row: &Instance, now: Timestamp) -> WaitsFor {
    let held = world.meta.as_ref().is_some_and(|meta| meta.brake.held.is_some());
    if !agent.is_heard() {
        return WaitsFor::Agent;
    }
    if row.goal != Goal::Run {
        let first = row.is_drained() && has_constraints(world, row);
        let waits = world.instances_of(row.key.app).any(Instance::is_scheduled);
        return if first && waits { WaitsFor::EndFirst } else { WaitsFor::End };
    }
    if held {
        return WaitsFor::Brake;
    }
    let Some(version) = world.versions.get(&(row.key.app, row.version)) else {
        return WaitsFor::Definition;
    };
    if version.spec.is_resident() {
        return WaitsFor::Volumes;
    }
    let siblings = || world.instances_of(row.key.app).filter(|other| other.is_wanted());
    if siblings().any(|other| other.is_live() && !other.is_healthy()) {
        return WaitsFor::Replacement;
    }
    let app = world.apps.get(&row.key.app);
    let delayed = app.is_some_and(|app| app.backoffs.iter().any(|backoff| backoff.until() > now));
    match siblings().any(Instance::is_scheduled) {
        true if delayed => WaitsFor::Replacement,
        true => WaitsFor::Place,
        false => WaitsFor::Health,
    }
}

fn has_constraints(world: &World, row: &Instance) -> bool {
    let version = world.versions.get(&(row.key.app, row.version));
    version.is_some_and(|version| !version.spec.constraints.is_empty())
}

/// Runs, or is about to, and can be told to end: what is on a lost agent is left to its strategy.
fn can_leave(instance: &Instance) -> bool {
    let lost = instance.condition().is_some_and(Condition::is_unreachable);
    let lost = planted!("drain-moves-what-is-lost", lost, false);
    instance.goal == Goal::Run && instance.is_live() && !lost
}
