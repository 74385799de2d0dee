//! How an agent is written down: what it offers, what is used of it, what lives there, and how far its drain has come.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::sync::Arc;

use crate::contract::show::text::Object;
use crate::control::fleet::signs::Sign;
use crate::logic::decide::brake as rule;
use crate::logic::decide::drain::{WaitsFor, progress};
use crate::logic::health;
use crate::logic::index::agents::{AgentUse, AgentUses};
use crate::model::agent::{Agent, AgentState};
use crate::model::app::App;
use crate::model::condition::Condition;
use crate::model::id::{Incarnation, InstanceId, InstanceKey};
use crate::model::instance::Instance;
use crate::model::time::Timestamp;
use crate::model::unit::{Cpus, Disk, Mem};
use crate::model::view::View;
use crate::model::world::World;

/// The role of agents that are reserved for none.
const ANYBODY: &str = "*";

/// An agent with what is known of it beside its row.
pub struct Shown<'v> {
    world: &'v World,
    agent: &'v Agent,
    used: Option<&'v AgentUse>,
    heard_at: Option<Timestamp>,
    /// What lives there and no row knows.
    strays: Vec<(InstanceId, InstanceKey, Incarnation)>,
    /// What is left of its drain.
    left: Vec<(&'v Instance, WaitsFor)>,
}

/// What is held on every agent.
pub fn uses(world: &World) -> AgentUses {
    let mut uses = AgentUses::default();
    for (key, instance) in world.instances.iter() {
        if let Some(place) = &instance.place {
            uses.hold(*key, place);
        }
    }
    uses
}

/// Whether replacement is held, and why.
pub fn brake(out: &mut Object<'_>, world: &World, now: Timestamp) {
    let brake = world.meta.as_ref().map(|meta| meta.brake).unwrap_or_default();
    out.raw("held", brake.held.is_some());
    let held_apps: Vec<&App> = world
        .apps
        .iter()
        .map(|(_, app)| app)
        .filter(|app| app.health_brake.held.is_some())
        .collect();
    if !held_apps.is_empty() {
        out.objects("apps", held_apps, |object, app| health_brake(object, world, app));
    }
    let Some(held) = brake.held else { return };
    let from = rule::counts_from(brake, now);
    let counted = || world.agents.iter().map(|(_, agent)| agent).filter(|row| !row.is_draining());
    let is_lost = |agent: &&Agent| match agent.state {
        AgentState::Lost { since } => since > from,
        AgentState::Up => false,
    };
    let lost = counted().filter(is_lost).count();
    let all = lost + counted().filter(|agent| agent.is_heard()).count();
    out.plain("since", held);
    if let Some(ends) = brake.ends {
        out.plain("ends", ends);
    }
    out.raw("lost", lost);
    out.raw("agents", all);
    let text = format!(
        "{lost} of {all} agents are lost: nothing of theirs is replaced until more are back, or the brake is released"
    );
    out.text("text", &text);
}

/// An app whose health checks kill nothing, and why.
fn health_brake(out: &mut Object<'_>, world: &World, app: &App) {
    let turned = world.instances_of(app.key).filter(|one| health::turned(one).is_some()).count();
    let all = world.instances_of(app.key).filter(|one| one.is_counted()).count();
    out.plain("id", &app.path);
    if let Some(since) = app.health_brake.held {
        out.plain("since", since);
    }
    out.raw("unhealthy", turned);
    out.raw("instances", all);
    let path = &app.path;
    let text = format!(
        "{turned} of {all} instances of {path} have turned unhealthy: its health checks kill nothing until most are alive again, or the brake is released"
    );
    out.text("text", &text);
}

// === impl Shown ===

impl<'v> Shown<'v> {
    /// An agent of a view.
    pub fn of(
        view: &'v View,
        agent: &'v Agent,
        used: Option<&'v AgentUse>,
        sign: Option<Arc<Sign>>,
        now: Timestamp,
    ) -> Shown<'v> {
        let world = &view.world;
        let is_ours = |(id, key): (InstanceId, InstanceKey)| {
            let row = world.instances.get(&key).filter(|row| row.id == id);
            let place = row.and_then(|row| row.place.as_ref());
            place.is_some_and(|place| place.agent == agent.key)
        };
        let living = sign.as_ref().map(|sign| sign.living()).unwrap_or_default();
        let strays = living.into_iter().filter(|(id, key, _)| !is_ours((*id, *key))).collect();
        let left = if agent.is_draining() { progress(world, agent, now) } else { Vec::new() };
        Shown { world, agent, used, heard_at: sign.and_then(|sign| sign.heard_at()), strays, left }
    }

    /// What every list has.
    pub fn members(&self, out: &mut Object<'_>) {
        let Agent { id, state, drain, inventory, .. } = self.agent;
        out.plain("id", id);
        out.text("hostname", &inventory.hostname);
        out.text_if("address", inventory.address.as_deref());
        out.plain("state", self.state());
        if let AgentState::Lost { since } = state {
            out.plain("lostSince", since);
        }
        if let Some(heard) = self.heard_at {
            out.plain("lastHeard", heard);
        }
        out.text("role", &inventory.role);
        out.object("attributes", |attributes| {
            for (name, value) in &inventory.attributes {
                crate::contract::show::text::quote(attributes.entry(name), &value.to_string());
            }
        });
        out.text("version", &inventory.version);
        if let Some(engine) = &inventory.engine {
            out.object("engine", |out| {
                out.text("name", &engine.name);
                out.text("version", &engine.version);
                out.text("api", &engine.api);
            });
        }
        self.resources(out);
        out.raw("tasks", self.used.map_or(0, |used| used.instances.len()));
        out.raw("strays", self.strays.len());
        if let Some(drain) = drain {
            out.object("drain", |out| {
                out.plain("since", drain.since);
                if let Some(deadline) = drain.deadline {
                    out.plain("deadline", deadline);
                }
                out.raw("left", self.left.len());
                let reasons = counts(&self.left);
                out.objects("waitsFor", reasons, |out, (reason, count)| {
                    out.plain("kind", reason.kind());
                    out.text("text", reason.text());
                    out.raw("instances", count);
                });
            });
        }
    }

    /// What one agent has beside that.
    pub fn details(&self, out: &mut Object<'_>) {
        let used = self.used.into_iter().flat_map(|used| &used.instances);
        let rows = used.filter_map(|key| self.world.instances.get(key));
        out.objects("taskList", rows, |out, row| {
            out.plain("id", self.task_id(row.id, row.key, row.incarnation));
            if let Some(app) = self.world.apps.get(&row.key.app) {
                out.plain("appId", &app.path);
            }
            out.plain("state", row.condition().unwrap_or(Condition::Unknown).task_state());
            out.list(
                "ports",
                row.place.iter().flat_map(|place| &place.ports).flatten(),
                |out, port| {
                    crate::contract::show::text::write(out, port);
                },
            );
            if let Some((_, waits)) = self.left.iter().find(|(left, _)| left.key == row.key) {
                out.text("waitsFor", waits.text());
            }
        });
        out.objects("strayList", &self.strays, |out, (id, key, incarnation)| {
            out.plain("id", self.task_id(*id, *key, *incarnation));
        });
    }

    /// In a word.
    fn state(&self) -> &'static str {
        match (self.agent.state, self.agent.drain) {
            (AgentState::Lost { .. }, _) => "lost",
            (AgentState::Up, None) => "up",
            (AgentState::Up, Some(_)) if self.left.is_empty() => "drained",
            (AgentState::Up, Some(_)) => "draining",
        }
    }

    fn resources(&self, out: &mut Object<'_>) {
        let offers = &self.agent.inventory;
        let none = AgentUse::default();
        let used = self.used.unwrap_or(&none);
        let healthy = offers.devices.iter().filter(|device| device.is_healthy()).count();
        let held = used.devices.len();
        amounts(out, "total", (offers.cpus, offers.mem, offers.disk, healthy));
        amounts(out, "used", (used.cpus, used.mem, used.disk, held));
        let free = (
            offers.cpus.saturating_sub(used.cpus),
            offers.mem.saturating_sub(used.mem),
            offers.disk.saturating_sub(used.disk),
            healthy.saturating_sub(held),
        );
        amounts(out, "free", free);
        let reserved = match offers.role.as_str() {
            ANYBODY => (Cpus::ZERO, Mem::ZERO, Disk::ZERO, 0),
            _ => (offers.cpus, offers.mem, offers.disk, healthy),
        };
        amounts(out, "reserved", reserved);
        let ranges = offers.ports.iter().map(|range| format!("{}-{}", range.first, range.last));
        out.texts("ports", ranges);
    }

    fn task_id(&self, id: InstanceId, key: InstanceKey, incarnation: Incarnation) -> String {
        match self.world.apps.get(&key.app) {
            Some(app) => id.task(&app.path, crate::model::id::APP_TASK, incarnation),
            None => format!("{id}.{incarnation}"),
        }
    }
}

fn amounts(
    out: &mut Object<'_>,
    key: &str,
    (cpus, mem, disk, gpus): (Cpus, Mem, Disk, impl Display),
) {
    out.object(key, |out| {
        out.double("cpus", cpus);
        out.double("mem", mem);
        out.double("disk", disk);
        out.raw("gpus", gpus);
    });
}

/// How many wait for what, in the order in which the reasons are listed.
fn counts(left: &[(&Instance, WaitsFor)]) -> BTreeMap<WaitsFor, usize> {
    let mut counts = BTreeMap::new();
    for (_, waits) in left {
        *counts.entry(*waits).or_insert(0) += 1;
    }
    counts
}
