//! When faults and asks have stopped: everything becomes what it shall be, in time, and then nothing happens (I2, I7,
//! I16, I17, I18).

use std::collections::BTreeSet;

use stayer::agent::runtime::SandboxId;
use stayer::logic::place::need::{Need, PortNeed};
use stayer::model::agent::Agent;
use stayer::model::app::App;
use stayer::model::condition::Condition;
use stayer::model::fact::Change;
use stayer::model::id::{AgentKey, AppKey};
use stayer::model::instance::{Goal, Instance};
use stayer::model::spec::UnreachableStrategy;
use stayer::model::time::{Span, Timestamp};
use stayer::model::unit::{Cpus, Mem};
use stayer::model::world::World;

use crate::devices;
use crate::faults::Kind;
use crate::operators::is_overdue;
use crate::sim::{Event, Sim};
use crate::specs;
use crate::trace;
use crate::truth::{drains, target};

/// All is as it shall be within so long.
const CONVERGES: u64 = 120;
/// What began before may end so much later.
const SETTLES: Span = Span::secs(21);
/// Then it is watched for so long, beyond the brain's periodic look at everything.
const RESTS: Span = Span::secs(40);
/// In this last part of it nothing happens.
const QUIET: Span = Span::secs(35);

type Yet = Result<(), String>;

// === impl Sim: the end ===

impl Sim {
    /// Faults and asks stop.
    pub fn calm_down(&mut self) {
        trace!(self, "faults and asks stop");
        self.faulty = false;
        self.active = false;
        self.server.armed = None;
        self.devices_heal();
        self.checks_heal();
        self.reform();
        let now = self.now;
        let away = self.plan.stays_away;
        for agent in 0..self.agents.len() {
            self.agents[agent].away_until = None;
            if agent == 0 && away {
                self.agents[agent].away_until = Some(now + Span::secs(CONVERGES + 30));
                self.agent_dies(agent);
                self.seen.met(Kind::AgentStaysAway);
            }
            self.later(0, Event::AgentStarts(agent));
        }
        self.take_drains_back();
    }

    /// Some agents take work again, others stay as they are.
    fn take_drains_back(&mut self) {
        let Some(up) = &self.server.up else { return };
        let draining = up.view.world.agents.iter().filter(|(_, agent)| agent.is_draining());
        let draining: Vec<AgentKey> = draining.map(|(key, _)| *key).collect();
        for agent in draining {
            if self.rng.chance(500) {
                self.ask(Change::Undrain { agent }, false);
            }
        }
    }

    /// Waits until all is as it shall be; a failure when that does not come.
    pub fn converge(&mut self) {
        let deadline = self.now + Span::secs(CONVERGES);
        self.run_until(self.now + SETTLES);
        loop {
            self.run_until(self.now + Span::secs(1));
            if self.failure.is_some() {
                return;
            }
            match self.is_converged() {
                Ok(()) => return,
                Err(why) if self.now >= deadline => return self.fail("I16", why),
                Err(_) => {}
            }
        }
    }

    /// Nothing happens any more.
    pub fn rest(&mut self) {
        self.run_until(self.now + RESTS);
        let (commits, turns) = (self.server.commits, self.turns);
        self.run_until(self.now + QUIET);
        if self.failure.is_some() {
            return;
        }
        // A commit may be on its way just now.
        for _ in 0..100 {
            if self.server.up.as_ref().is_some_and(|up| up.brain.pending() > 0) {
                self.run_until(self.now + Span::millis(1));
            }
        }
        if let Err(why) = self.is_converged() {
            return self.fail("I16", format!("it did not stay so: {why}"));
        }
        let made = self.server.commits - commits;
        let flapping = self.behaviours.values().filter(|kind| !specs::settles(**kind)).count();
        let most = flapping as u64 * QUIET.as_secs() * 12;
        if made > most {
            return self.fail("I7", format!("{made} commits at rest, {most} are explained"));
        }
        let turns = self.turns - turns;
        let world = &self.history.world;
        let probed = world.instances.iter().filter(|(_, row)| row.findings().next().is_some());
        let probed = probed.count() as u64;
        let busy = self.agents.len() as u64 + 2 * flapping as u64;
        let most = QUIET.as_secs() * (60 * busy + 24 * probed);
        if turns > most {
            self.fail("I18", format!("{turns} turns at rest, {most} are explained"));
        }
        for agent in 0..self.agents.len() {
            let foreign = self.foreign.iter().find(|id| !self.agents[agent].host.is_running(**id));
            if let Some(id) = foreign {
                return self.fail("I9", format!("the stranger {id} does not run any more"));
            }
        }
    }

    fn is_converged(&self) -> Yet {
        let up = self.server.up.as_ref().ok_or("there is no server")?;
        if up.brain.pending() > 0 {
            return Err("something is not durable".to_owned());
        }
        let world = &up.view.world;
        self.agents_are_known(world)?;
        if world.meta.as_ref().is_some_and(|meta| meta.brake.held.is_some()) {
            return Err("the brake holds, and hardly anybody is away".to_owned());
        }
        for (key, app) in world.apps.iter() {
            if app.health_brake.held.is_some() {
                return Err(format!("the brake holds on {}, and all is well", app.path));
            }
            self.app_settled(world, *key, app)?;
        }
        for (_, row) in world.instances.iter() {
            self.drain_goes_on(world, row)?;
        }
        self.deployments_settled(world)?;
        self.hosts_agree(world)?;
        for (key, id) in &self.client.killed {
            if self.agents.iter().any(|agent| agent.up.is_some() && agent.host.live().contains(id))
            {
                return Err(format!("{key:?} was killed and runs in life {}", id.incarnation));
            }
        }
        Ok(())
    }

    /// Who is away is known to be, and of the others what they offer.
    fn agents_are_known(&self, world: &World) -> Yet {
        for agent in &self.agents {
            let row = world.agent_ids.get(&agent.id).and_then(|key| world.agents.get(key));
            let Some(row) = row.filter(|row| row.is_heard()) else { continue };
            if agent.away_until.is_some() {
                return Err(format!("{} is away and nobody knows", agent.id));
            }
            if row.inventory != agent.inventory {
                return Err(format!("{} offers something else than is known", agent.id));
            }
        }
        Ok(())
    }

    fn settles(&self, app: AppKey) -> bool {
        specs::settles(self.behaviours.get(&app).copied().flatten())
    }

    fn app_settled(&self, world: &World, key: AppKey, app: &App) -> Yet {
        let rows: Vec<&Instance> = world.instances_of(key).collect();
        let name = app.path.as_str();
        let lost = count(&rows, |row| row.condition().is_some_and(Condition::is_unreachable));
        let Some(target) = target(world, app) else {
            if rows.len() > lost {
                return Err(format!("{name} is removed and has {} instances", rows.len()));
            }
            return Ok(());
        };
        if !self.settles(key) {
            return Ok(());
        }
        let is_moving = |row: &Instance| {
            let lost = row.condition().is_some_and(Condition::is_unreachable);
            !row.is_healthy() && !lost && !row.is_scheduled()
        };
        let moving: Vec<String> =
            rows.iter().filter(|row| is_moving(row)).map(|row| brief(row)).collect();
        if !moving.is_empty() {
            return Err(format!("{name}: on their way are {}", moving.join(", ")));
        }
        let wanted = target.row.spec.instances as usize;
        let waiting: Vec<&&Instance> = rows.iter().filter(|row| row.is_scheduled()).collect();
        for row in &waiting {
            self.waits_honestly(world, app, row)?;
        }
        if !waiting.is_empty() {
            return Ok(());
        }
        for row in rows.iter().filter(|row| row.condition() == Some(Condition::Unreachable)) {
            let spec = world.versions.get(&(key, row.version)).map(|version| &version.spec);
            if row.is_wanted()
                && spec.is_some_and(|spec| spec.unreachable != UnreachableStrategy::Disabled)
            {
                return Err(format!("{name}: {} is absent and not replaced", row.key.no));
            }
        }
        let absent =
            count(&rows, |row| row.is_wanted() && row.condition() == Some(Condition::Unreachable));
        let healthy = count(&rows, Instance::is_healthy);
        // Where something is absent an upgrade may have to leave more than is wanted.
        let moves = target.rolling || drains(world, key);
        let held = moves && absent > 0 && healthy + absent > wanted;
        if healthy + absent != wanted && !held {
            return Err(format!("{name}: {healthy} healthy, {absent} absent, {wanted} wanted"));
        }
        let old = count(&rows, |row| row.config != target.row.config && row.is_healthy());
        if target.rolling && old > 0 && absent == 0 {
            return Err(format!("{name}: {old} are of an old configuration"));
        }
        Ok(())
    }

    /// What is left on an agent that is emptied has nowhere to go, or is waited for by its app.
    fn drain_goes_on(&self, world: &World, row: &Instance) -> Yet {
        let agent = row.place.as_ref().and_then(|place| world.agents.get(&place.agent));
        let Some(agent) = agent.filter(|agent| agent.is_heard() && agent.is_draining()) else {
            return Ok(());
        };
        let up = self.server.up.as_ref().ok_or("there is no server")?;
        let overdue = is_overdue(world, world, row, up.clock(self.now));
        let siblings = || world.instances_of(row.key.app);
        let waits = siblings().any(|one| {
            one.is_scheduled() || one.condition().is_some_and(Condition::is_unreachable)
        });
        if row.goal == Goal::Run
            && row.is_live()
            && self.settles(row.key.app)
            && (overdue || !waits)
        {
            let host = &agent.inventory.hostname;
            return Err(format!("{host} is emptied, {:?} stays, overdue {overdue}", row.key));
        }
        Ok(())
    }

    /// What waits has no agent that could take it.
    fn waits_honestly(&self, world: &World, app: &App, row: &Instance) -> Yet {
        let up = self.server.up.as_ref().ok_or("there is no server")?;
        let now = up.clock(self.now);
        let held = app
            .backoffs
            .iter()
            .any(|backoff| backoff.config == row.config && backoff.until() > now);
        if held {
            return Err(format!("{} is held back", app.path));
        }
        let version = world.versions.get(&(row.key.app, row.version)).ok_or("no definition")?;
        let need = Need::of(&version.spec, world.gpu_scheduling());
        for (_, agent) in world.agents.iter().filter(|(_, agent)| agent.takes_work()) {
            if fits(world, agent, &need, now) {
                return Err(format!("{} waits and fits on {}", app.path, agent.inventory.hostname));
            }
        }
        if up.view.verdicts.get(&row.key.app).is_none() {
            return Err(format!("{} waits and nobody is told why", app.path));
        }
        Ok(())
    }

    /// A deployment that still runs has an app that is not done for a reason.
    fn deployments_settled(&self, world: &World) -> Yet {
        for (id, _) in world.deployments.iter() {
            let mut of = world
                .apps
                .iter()
                .filter(|(_, app)| app.part.as_ref().is_some_and(|part| part.deployment == *id));
            let held = of.any(|(key, app)| {
                let lost = |row: &Instance| {
                    row.is_scheduled() || row.condition().is_some_and(Condition::is_unreachable)
                };
                !app.part.as_ref().is_some_and(|part| part.done)
                    && (!self.settles(*key) || world.instances_of(*key).any(lost))
            });
            if !held {
                return Err(format!("deployment {id} runs and nothing holds it"));
            }
        }
        Ok(())
    }

    /// What runs is what the rows say (I2).
    fn hosts_agree(&self, world: &World) -> Yet {
        for agent in self.agents.iter().filter(|agent| agent.away_until.is_none()) {
            let Some(key) = world.agent_ids.get(&agent.id) else {
                return Err(format!("{} is not known", agent.id));
            };
            let there = |row: &&Instance| {
                let placed = row.place.as_ref().is_some_and(|place| place.agent == *key);
                placed && row.condition() == Some(Condition::Running)
            };
            let rows = world.instances.iter().map(|(_, row)| row).filter(there);
            let known: BTreeSet<SandboxId> = rows
                .filter(|row| self.settles(row.key.app))
                .map(|row| SandboxId { instance: row.id, incarnation: row.incarnation })
                .collect();
            let live = agent.host.live().into_iter().filter(|id| {
                self.history.keys.get(&id.instance).is_none_or(|key| self.settles(key.app))
            });
            let live: BTreeSet<SandboxId> = live.collect();
            if live != known {
                return Err(format!("I2: {live:?} run, {known:?} are known"));
            }
        }
        Ok(())
    }
}

fn count(rows: &[&Instance], such: impl Fn(&Instance) -> bool) -> usize {
    rows.iter().filter(|row| such(row)).count()
}

/// Whether an agent has room, from the rows alone.
fn fits(world: &World, agent: &Agent, need: &Need<'_>, now: Timestamp) -> bool {
    let places: Vec<_> = world
        .instances
        .iter()
        .filter_map(|(_, row)| row.place.as_ref())
        .filter(|place| place.agent == agent.key)
        .collect();
    let (mut cpus, mut mem) = (Cpus::ZERO, Mem::ZERO);
    let mut taken: BTreeSet<u16> = agent
        .foreign
        .iter()
        .filter(|(_, foreign)| foreign.until > now)
        .map(|(port, _)| *port)
        .collect();
    for place in places {
        cpus += place.cpus;
        mem += place.mem;
        taken.extend(place.ports.iter().flatten());
    }
    let offers = &agent.inventory;
    let room = cpus + need.amounts.cpus <= offers.cpus
        && mem + need.amounts.mem <= offers.mem
        && devices::are_free(world, agent, need.spec)
        && !devices::is_kept_off(world, agent, need.spec);
    let fixed_free = need.ports.iter().all(|port| match port {
        PortNeed::Fixed(port) => !taken.contains(port),
        PortNeed::Dynamic | PortNeed::Inside => true,
    });
    let free = offers.ports.iter().flat_map(|range| range.first..=range.last);
    let free = free.filter(|port| !taken.contains(port)).count();
    room && fixed_free && free >= need.dynamic_ports() as usize
}

fn brief(row: &Instance) -> String {
    let no = row.key.no;
    format!("{no}.{} {:?} {:?}", row.incarnation, row.condition(), row.goal)
}
