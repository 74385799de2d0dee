//! The mind of an agent: from what is wanted and what the host shows to one next step per instance.
//!
//! The host is the ledger (house.md, invariant 7): a mind starts knowing nothing, has every hand listed, and adopts what
//! it finds. It never starts a life twice, never two lives of one instance at once, touches nothing that no want names,
//! and takes an error for what it is: not knowing. Pure: the shell brings the clock, the hands and the wire.
//!
//! ```text
//!  leader ── want, spec, ack, synced ──▶ ┌──────┐ ── steps ──▶ Docker, processes
//!         ◀────────── haves, needs ───── │ Mind │ ◀── sights ──
//!                                        └──────┘ ── next_wake
//! ```
//!
//! After any input: take [`Mind::steps`], then [`Mind::haves`] and [`Mind::needs`], then wait for the next input or
//! [`Mind::next_wake`].
//!
//! - `decide`: the next step of one life, a function.
//! - `look`: what stands between that step and its begin; the life cycle of wants and lives.
//! - `outcome`: what sights change.
//! - `checks`: health checks and their kin.
//! - `exam`: which lives failed, and the evidence of that.
//! - `report`: what is said of it all.

mod alarms;
mod backoff;
mod checks;
mod decide;
mod exam;
mod graves;
mod hand;
mod keep;
mod life;
mod look;
mod outcome;
mod report;
mod slots;
mod specs;
mod step;
#[cfg(test)]
pub(in crate::agent) mod testing;
#[cfg(test)]
mod tests;
mod witness;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::agent::runtime::SandboxId;
use crate::model::have::{Have, SpecKey, Want, WantGoal};
use crate::model::id::{Incarnation, InstanceId, InstanceKey};
use crate::model::spec::Spec;
use crate::model::time::Timestamp;
use crate::planted::planted;

use self::alarms::Alarms;
use self::checks::turns::Turns;
use self::graves::Graves;
use self::hand::HandState;
use self::keep::Kept;
use self::life::Life;
use self::slots::Slots;
use self::specs::Specs;

pub use self::checks::probe::{Ask, At, Body, CheckNo, Probe, ProbeId, Reply, Target};
pub use self::slots::Limits;
pub use self::step::{Hand, LaunchPlan, Sight, Step};

/// Wants and haves of one agent.
#[derive(Clone, Debug)]
pub struct Mind {
    limits: Limits,
    hands: BTreeMap<Hand, HandState>,
    specs: Specs,
    wishes: BTreeMap<InstanceId, Wish>,
    lives: BTreeMap<SandboxId, Life>,
    keys: BTreeMap<InstanceKey, InstanceId>,
    graves: Graves,
    /// Who waits until an instance is gone.
    followers: BTreeMap<InstanceKey, BTreeSet<InstanceId>>,
    /// Every want of this agent was sent in this session.
    synced: bool,
    dirty: BTreeSet<InstanceId>,
    alarms: Alarms,
    turns: Turns,
    slots: Slots,
    kept: Kept,
    /// Of which something new is to be said.
    changed: BTreeSet<SandboxId>,
    /// Of what is gone and was not said yet.
    farewells: Vec<Have>,
    /// Counts begins and ends of steps; tells what a list can know.
    tick: u64,
    /// Counts wants; earlier ones launch first.
    orders: u64,
}

/// The newest want of an instance.
#[derive(Clone, Debug)]
struct Wish {
    want: Want,
    order: u64,
    /// It was sent in this session.
    confirmed: bool,
    /// That nothing of it is here was said.
    absent_said: bool,
    /// … and is durable.
    absent_acked: bool,
}

// === impl Mind: inputs from the leader ===

impl Mind {
    /// A mind that knows nothing yet, with these hands. All of them are listed first.
    pub fn new(limits: Limits, hands: &[Hand]) -> Mind {
        Mind {
            limits,
            hands: hands.iter().map(|hand| (*hand, HandState::default())).collect(),
            specs: Specs::default(),
            wishes: BTreeMap::new(),
            lives: BTreeMap::new(),
            keys: BTreeMap::new(),
            graves: Graves::default(),
            followers: BTreeMap::new(),
            synced: false,
            dirty: BTreeSet::new(),
            alarms: Alarms::default(),
            turns: Turns::default(),
            slots: Slots::new(limits),
            kept: Kept::default(),
            changed: BTreeSet::new(),
            farewells: Vec::new(),
            tick: 0,
            orders: 0,
        }
    }

    /// A session begins: the leader will send every want of this agent, then say that it has.
    pub fn session_opened(&mut self) {
        self.synced = false;
        self.specs.ask_again();
        for wish in self.wishes.values_mut() {
            wish.confirmed = false;
        }
    }

    /// Every want of this agent was sent in this session. Only now may absence mean something: wants that were not
    /// sent again have no row any more, and what no want names is a stray.
    pub fn leader_synced(&mut self) {
        self.synced = true;
        let lapsed: Vec<InstanceId> =
            self.wishes.iter().filter(|(_, w)| !w.confirmed).map(|(id, _)| *id).collect();
        for instance in lapsed {
            self.drop_wish(instance);
        }
        self.dirty.extend(self.lives.keys().map(|id| id.instance));
    }

    /// What an instance shall be. An older one than known is ignored; a known one is answered again (SM-15).
    pub fn want(&mut self, want: Want) {
        let instance = want.instance;
        let newest = match self.wishes.get(&instance) {
            Some(wish) => wish.want.rev,
            None => self.graves.get(instance).rev,
        };
        if want.rev < newest
            && planted!("older-want-taken", true, false)
            && planted!("late-kill-hits-the-successor", true, false)
        {
            return;
        }
        self.orders += 1;
        let order = self.wishes.get(&instance).map_or(self.orders, |wish| wish.order);
        self.keys.insert(want.key, instance);
        // How earlier lives ended is said already, and kept by the link until it is durable.
        let named = SandboxId { instance, incarnation: want.incarnation };
        if let Some(life) = self.lives.get_mut(&named).filter(|life| life.end.is_some()) {
            life.said = None;
        }
        let wish = Wish { want, order, confirmed: true, absent_said: false, absent_acked: false };
        self.wishes.insert(instance, wish);
        self.dirty.insert(instance);
    }

    /// A definition.
    pub fn spec(&mut self, key: SpecKey, spec: Arc<Spec>) {
        let waiting = self.specs.put(key, spec);
        self.dirty.extend(waiting);
        if self.specs.is_crowded() {
            let mut used: BTreeSet<SpecKey> = self.wishes.values().filter_map(Wish::spec).collect();
            used.extend(self.lives.values().map(|life| life.spec_key));
            // The wants that name the newest one may be on their way.
            used.insert(key);
            self.specs.keep_only(&used);
        }
    }

    /// The end of a life, or its absence, is durable at the leader.
    pub fn acked(&mut self, instance: InstanceId, incarnation: Incarnation) {
        let id = SandboxId { instance, incarnation };
        if let Some(life) = self.lives.get_mut(&id) {
            life.acked |= life.end.is_some();
        } else if let Some(wish) = self.wishes.get_mut(&instance)
            && wish.want.incarnation == incarnation
        {
            wish.absent_acked = wish.absent_said;
        }
        self.dirty.insert(instance);
    }
}

// === impl Mind: outputs ===

impl Mind {
    /// What is to be begun now. What is handed out counts as begun.
    pub fn steps(&mut self, now: Timestamp) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Some(instance) = self.alarms.pop_due(now) {
            self.dirty.insert(instance);
        }
        self.probe(now, &mut steps);
        loop {
            while let Some(instance) = self.dirty.pop_first() {
                self.look(now, instance, &mut steps);
            }
            let woken = self.slots.wake();
            if woken.is_empty() {
                break;
            }
            self.dirty.extend(woken);
        }
        for (hand, state) in &mut self.hands {
            if state.begin_list(now, self.tick) {
                self.tick += 1;
                steps.push(Step::List(*hand));
            }
        }
        steps
    }

    /// Definitions that wants name and that are not here, each once a session.
    pub fn needs(&mut self) -> Vec<SpecKey> {
        self.specs.needs()
    }

    /// When to take steps again although nothing comes in.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        let lists = self.hands.values().filter_map(|hand| hand.next_wake(now));
        let unseen = (!self.dirty.is_empty()).then_some(now);
        lists.chain(self.alarms.next()).chain(self.turns.next_wake()).chain(unseen).min()
    }

    /// Whether every hand has shown all it has, so that all haves are known.
    pub fn is_listed(&self) -> bool {
        self.hands.values().all(HandState::was_listed)
    }
}

// === impl Wish ===

impl Wish {
    /// The definition to run, if it shall run.
    fn spec(&self) -> Option<SpecKey> {
        match self.want.goal {
            WantGoal::Run { version, .. } => Some(SpecKey { app: self.want.key.app, version }),
            WantGoal::Stop { .. } | WantGoal::Forget => None,
        }
    }
}

fn lives_of(instance: InstanceId) -> std::ops::RangeInclusive<SandboxId> {
    let at = |incarnation| SandboxId { instance, incarnation: Incarnation(incarnation) };
    at(0)..=at(u32::MAX)
}
