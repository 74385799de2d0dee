//! What really runs, against what may run: asserted on the hosts, with the durable rows as the only licence.

use std::collections::{BTreeMap, BTreeSet};

use stayer::agent::mind::Step;
use stayer::agent::runtime::{FoundState, SandboxId};
use stayer::logic::decide::rollout::Capacity;
use stayer::model::agent::Agent;
use stayer::model::app::{Action, App, AppVersion};
use stayer::model::commit::Commit;
use stayer::model::condition::Condition;
use stayer::model::findings::Findings;
use stayer::model::have::{Have, Phase};
use stayer::model::id::{AppKey, InstanceKey, Version};
use stayer::model::instance::{Goal, Instance, Place, StopWhy};
use stayer::model::row::Row;
use stayer::model::spec::Spec;
use stayer::model::time::{Span, Timestamp};
use stayer::model::unit::{Cpus, Mem};
use stayer::model::world::World;

use crate::hands::short;
use crate::operators::is_overdue;
use crate::sim::Sim;

/// What is remembered of what was done.
#[derive(Default)]
pub struct Truth {
    /// What each life may use, and where.
    pub places: BTreeMap<SandboxId, (usize, Place)>,
    graces: BTreeMap<SandboxId, Span>,
    /// When each life was first asked to end.
    asked: BTreeMap<SandboxId, Timestamp>,
    /// What each life was said to run as.
    handles: BTreeMap<SandboxId, (Timestamp, String)>,
    /// What each app was last to become.
    aims: BTreeMap<AppKey, (Version, bool)>,
    /// How many containers of each app there may be.
    allowed: BTreeMap<AppKey, u32>,
}

/// What an app shall be.
pub struct Target<'a> {
    /// By which definition.
    pub row: &'a AppVersion,
    /// Whether instances of other configurations are replaced.
    pub rolling: bool,
}

/// What goes on in an app; what ends for it takes its room until it has ended.
#[derive(Clone, Copy)]
struct Moves {
    /// Its configuration changes.
    upgrades: bool,
    /// Something must leave its agent.
    drains: bool,
}

// === impl Sim: before something is done ===

impl Sim {
    /// A mind decides a step.
    pub fn check_step(&mut self, agent: usize, step: &Step) {
        match step {
            Step::Start(_, plan) => {
                self.truth.graces.insert(plan.id, plan.spec.kill_grace());
            }
            Step::Terminate(_, id) => {
                self.truth.asked.entry(*id).or_insert(self.now);
            }
            Step::Kill(_, id) => {
                let grace = self.truth.graces.get(id).copied().unwrap_or_default();
                let grace = grace.min(Spec::DEFAULT_GRACE);
                let asked = self.truth.asked.get(id);
                if asked.is_none_or(|asked| self.now < *asked + grace) {
                    let text = format!("agent {agent} kills {}, asked {asked:?}", short(*id));
                    self.fail("grace", text);
                }
            }
            Step::List(_)
            | Step::Prepare(..)
            | Step::Cancel(..)
            | Step::Watch(..)
            | Step::Probe(..)
            | Step::Examine(..)
            | Step::Remove(..) => {}
        }
    }

    /// A call reaches a host.
    pub fn check_effect(&mut self, agent: usize, step: &Step) {
        let history = &self.history;
        let newest = |id: &SandboxId| history.newest.get(&id.instance).copied().unwrap_or_default();
        let broken = match step {
            Step::Start(_, plan) if newest(&plan.id) < plan.id.incarnation => {
                Some(("I1", format!("{} is started before it is durable", short(plan.id))))
            }
            Step::Terminate(_, id) | Step::Kill(_, id)
                if !history.stops.contains(id) && newest(id) <= id.incarnation =>
            {
                Some(("I12", format!("{} is ended and nothing says so", short(*id))))
            }
            Step::Remove(_, id) => {
                let state =
                    self.agents[agent].host.sandboxes().into_iter().find(|(at, _)| at == id);
                let exited = matches!(state, Some((_, FoundState::Exited { .. })));
                let known = history.ended.contains(id) || history.strangers.contains(&id.instance);
                let text = format!("{} is removed before its end is durable", short(*id));
                (exited && !known).then_some(("I11", text))
            }
            Step::Start(..)
            | Step::Terminate(..)
            | Step::Kill(..)
            | Step::List(_)
            | Step::Prepare(..)
            | Step::Cancel(..)
            | Step::Probe(..)
            | Step::Examine(..)
            | Step::Watch(..) => None,
        };
        if let Some((law, text)) = broken {
            self.fail(law, text);
        }
        if let Step::Terminate(_, id) = step {
            self.check_unwatched(*id);
        }
    }

    /// A mind says something: what runs is what ran (I8).
    pub fn check_have(&mut self, _agent: usize, have: &Have) {
        let id = SandboxId { instance: have.instance, incarnation: have.incarnation };
        for task in &have.tasks {
            let Phase::Running { at, handle, .. } = &task.phase else { continue };
            let first = self.truth.handles.entry(id).or_insert_with(|| (*at, handle.clone()));
            if (first.0, first.1.as_str()) != (*at, handle) {
                let text = format!("{} runs as {handle}, not {}", short(id), first.1);
                return self.fail("I8", text);
            }
        }
    }
}

// === impl Sim: what is there ===

impl Sim {
    /// What runs on a host may run there.
    pub fn check_truth(&mut self, agent: usize) {
        if let Some(breach) = self.agents[agent].host.breaches().first() {
            let text = breach.clone();
            return self.fail("I5/I9/I11", text);
        }
        let live = self.agents[agent].host.live();
        let (mut cpus, mut mem) = (Cpus::ZERO, Mem::ZERO);
        for id in &live {
            if let Err((law, text)) = self.licence(*id) {
                return self.fail(law, format!("agent {agent}: {text}"));
            }
            if let Some((_, place)) = self.truth.places.get(id) {
                cpus += place.cpus;
                mem += place.mem;
            }
        }
        let offers = &self.agents[agent].inventory;
        if cpus > offers.cpus || mem > offers.mem {
            return self.fail("I5", format!("agent {agent} runs {cpus} cpus and {mem} MiB"));
        }
        self.check_ceilings();
    }

    /// The row that lets a life run (I2: nothing runs that no row knows).
    fn licence(&self, id: SandboxId) -> Result<(), (&'static str, String)> {
        let name = short(id);
        let key = self.history.keys.get(&id.instance);
        let row = key.and_then(|key| self.history.world.instances.get(key));
        let Some(row) = row else {
            return Err(("I2", format!("{name} runs and has no row")));
        };
        if row.incarnation != id.incarnation {
            return Err(("I2", format!("{name} runs and life {} is known", row.incarnation)));
        }
        if !row.is_live() {
            return Err(("I2", format!("{name} runs and is known as {:?}", row.condition())));
        }
        Ok(())
    }

    /// No app has more containers than it may have (I3).
    fn check_ceilings(&mut self) {
        let world = self.history.world.clone();
        if world.agents.iter().any(|(_, agent)| !agent.is_heard()) {
            return;
        }
        for (key, app) in world.apps.iter() {
            let target = target(&world, app);
            let drains = drains(&world, *key);
            let rolling = target.as_ref().is_some_and(|target| target.rolling);
            let moves = Moves { upgrades: rolling, drains: rolling || drains };
            let there: Vec<SandboxId> =
                self.agents.iter().flat_map(|agent| agent.host.live_of(*key)).collect();
            let leaving = there.iter().filter(|id| self.is_leaving(**id, moves)).count();
            let counted = u32::try_from(there.len() - leaving).expect("small");
            let cap = target.map_or(0, |target| ceiling(&target, drains));
            // What is on its way counts as there: it may still start.
            let coming = world.instances_of(*key).filter(|row| row.is_live());
            let coming =
                coming.map(|row| SandboxId { instance: row.id, incarnation: row.incarnation });
            let coming = coming.filter(|id| !self.is_leaving(*id, moves)).count();
            let allowed = self.truth.allowed.entry(*key).or_insert(u32::MAX);
            if count(coming) <= cap {
                *allowed = cap;
            }
            if counted > *allowed {
                let text = format!("{} has {counted} containers, {allowed} are allowed", app.path);
                return self.fail("I3", text);
            }
        }
    }

    /// Whether a container is on its way out for another reason than what goes on, an earlier upgrade for example, or was
    /// not counted while its agent was lost.
    fn is_leaving(&self, id: SandboxId, moves: Moves) -> bool {
        let key = self.history.keys.get(&id.instance);
        let row = key.and_then(|key| self.history.world.instances.get(key));
        row.is_some_and(|row| match row.goal {
            _ if self.history.lost.contains(&id) => true,
            Goal::Run => false,
            Goal::Stop { why: StopWhy::Upgrade, .. } => !moves.upgrades,
            Goal::Stop { why: StopWhy::Drained, .. } => !moves.drains,
            Goal::Stop { .. } => true,
        })
    }

    /// A new target begins with what is there.
    pub fn allow(&mut self, world: &World) {
        for (key, app) in world.apps.iter() {
            if world.instances_of(*key).any(is_unreachable) {
                // What was lost is not counted, and may come back to what took its place.
                self.truth.allowed.insert(*key, u32::MAX);
            }
            let Some(target) = target(world, app) else { continue };
            let aim = (target.row.version, target.rolling);
            if self.truth.aims.insert(*key, aim) != Some(aim) {
                let there = world.instances_of(*key).filter(|row| row.is_live()).count();
                let allowed = self.truth.allowed.entry(*key).or_insert(0);
                *allowed = (*allowed).max(ceiling(&target, false)).max(count(there));
            }
        }
    }
}

// === impl Sim: what the brain decides ===

impl Sim {
    /// A commit stops and starts no more than it may (I3, I4).
    pub fn check_decisions(&mut self, before: &World, commit: &Commit) {
        self.check_devices(before, commit);
        let mut apps: Vec<AppKey> = commit
            .writes
            .iter()
            .filter_map(|write| match &write.row {
                Some(Row::Instance(row)) => Some(row.key.app),
                _ => None,
            })
            .collect();
        apps.sort_unstable();
        apps.dedup();
        for key in apps {
            let Some(app) = commit.world.apps.get(&key) else { continue };
            let Some(target) = target(&commit.world, app) else { continue };
            let asked = self.client.asked_to_end();
            if let Err((law, text)) = decided(before, commit, app, &target, &asked) {
                return self.fail(law, format!("{}: {text}", app.path));
            }
        }
    }
}

fn decided(
    before: &World,
    commit: &Commit,
    app: &App,
    target: &Target<'_>,
    asked: &BTreeSet<InstanceKey>,
) -> Result<(), (&'static str, String)> {
    let after = &commit.world;
    let rows: Vec<&Instance> = after.instances_of(app.key).collect();
    let ran = |row: &Instance| {
        !asked.contains(&row.key)
            && before.instances.get(&row.key).is_some_and(|old| old.goal == Goal::Run)
            && row.condition() == Some(Condition::Killing)
    };
    let stopped = |why: StopWhy| {
        let such = |row: &&&Instance| {
            matches!(row.goal, Goal::Stop { why: of, .. } if of == why) && ran(row)
        };
        rows.iter().filter(such).collect::<Vec<_>>()
    };
    // What turned unhealthy in this very commit was none that served when it was ended.
    let served = |row: &Instance| row.findings().all(Findings::serves);
    let was_healthy = |row: &&&&Instance| {
        served(row) && before.instances.get(&row.key).is_some_and(Instance::is_healthy)
    };
    let healthy = count(rows.iter().filter(|row| row.is_healthy()).count());
    let wanted = target.row.spec.instances;
    let counted = count(rows.iter().filter(|row| counts(row)).count());
    let upgraded = stopped(StopWhy::Upgrade);
    let upgraded = count(upgraded.iter().filter(was_healthy).count());
    let drained = stopped(StopWhy::Drained);
    let overdue = drained.iter().any(|row| is_overdue(before, after, row, commit.at));
    let drained = count(drained.iter().filter(was_healthy).count());
    let moved = (drains(before, app.key), drains(after, app.key));
    let (drains, bounded) = (moved.0 || moved.1, target.rolling || moved.0 && moved.1);
    let capacity = Capacity::of(
        target.row.spec.upgrade,
        wanted,
        healthy + upgraded + drained,
        target.row.spec.is_resident(),
    );
    let moves = upgraded > 0 && target.rolling || drained > 0;
    if moves && !overdue && healthy < capacity.floor {
        return Err(("I4", format!("{healthy} healthy are left of {}", capacity.floor)));
    }
    if !stopped(StopWhy::Surplus).is_empty() && !target.rolling && !drains && counted < wanted {
        return Err(("I4", format!("{counted} are left of {wanted}")));
    }
    let added = rows.iter().any(|row| before.instances.get(&row.key).is_none());
    if added && bounded {
        let there = rows.iter().filter(|row| {
            if !target.rolling || row.config == target.row.config {
                counts(row) || is_leaving(row)
            } else {
                row.is_live() && !is_unreachable(row)
            }
        });
        let there = count(there.count());
        if there > capacity.ceiling {
            return Err(("I3", format!("{there} are there, {} are allowed", capacity.ceiling)));
        }
    }
    let surplus = stopped(StopWhy::Surplus);
    let served = surplus.iter().any(|row| was_healthy(&row));
    let idle = rows.iter().any(|row| counts(row) && !row.is_healthy() && !is_unreachable(row));
    if served && !target.rolling && !drains && healthy < wanted && idle {
        return Err(("I4", format!("{healthy} of {wanted} serve, and one that served had to end")));
    }
    if added && !target.rolling && !drains && counted > wanted {
        return Err(("I3", format!("{counted} are there, {wanted} are wanted")));
    }
    Ok(())
}

fn counts(row: &Instance) -> bool {
    row.is_wanted() && row.condition() != Some(Condition::UnreachableInactive)
}

fn is_leaving(row: &Instance) -> bool {
    !row.is_wanted() && row.is_live() && !is_unreachable(row)
}

fn is_unreachable(row: &Instance) -> bool {
    row.condition().is_some_and(Condition::is_unreachable)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).expect("small")
}

/// Whether something of an app must leave its agent, or is leaving it for that.
pub fn drains(world: &World, app: AppKey) -> bool {
    world.instances_of(app).filter(|row| row.is_live() && !is_unreachable(row)).any(|row| {
        let agent = row.place.as_ref().and_then(|place| world.agents.get(&place.agent));
        match row.goal {
            Goal::Run => agent.is_some_and(Agent::is_draining),
            Goal::Stop { why, .. } => why == StopWhy::Drained,
        }
    })
}

fn ceiling(target: &Target<'_>, drains: bool) -> u32 {
    let spec = &target.row.spec;
    if target.rolling || drains {
        Capacity::of(spec.upgrade, spec.instances, u32::MAX, spec.is_resident()).ceiling
    } else {
        spec.instances
    }
}

/// What an app shall be; nothing when nothing of it shall run.
pub fn target<'a>(world: &'a World, app: &App) -> Option<Target<'a>> {
    let row = |version| world.versions.get(&(app.key, version));
    let Some(part) = &app.part else {
        let row = if app.removed.is_some() { None } else { row(app.version) };
        return row.map(|row| Target { row, rolling: false });
    };
    let running = world.deployments.get(&part.deployment);
    if running.is_some_and(|running| running.step >= part.step) {
        let rolling = part.action == Action::Restart;
        part.to.and_then(row).map(|row| Target { row, rolling })
    } else {
        part.from.and_then(row).map(|row| Target { row, rolling: false })
    }
}
