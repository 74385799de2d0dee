//! What is durable, commit by commit, and the laws of its order: nothing is lost (I1), one end a life (I12), nothing goes
//! back (I13), launches keep their distance (I18).

use std::collections::{BTreeMap, BTreeSet};

use stayer::agent::runtime::SandboxId;
use stayer::model::app::App;
use stayer::model::commit::Commit;
use stayer::model::condition::Condition;
use stayer::model::event::{Event, StatusUpdate};
use stayer::model::fact::Change;
use stayer::model::id::{AppKey, CommitNo, Incarnation, InstanceId, InstanceKey, Version};
use stayer::model::instance::{Goal, Instance, StopWhy};
use stayer::model::path::AppPath;
use stayer::model::row::{Key, Row};
use stayer::model::time::{Span, Timestamp};
use stayer::model::world::World;

use crate::faults::Kind;
use crate::sim::Sim;
use crate::specs;

/// Configurations whose delay the core remembers.
const MAX_DELAYS: usize = 2;

/// What is durable.
#[derive(Default)]
pub struct History {
    /// The rows.
    pub world: World,
    /// The newest commit.
    pub no: CommitNo,
    /// Where each instance was named.
    pub keys: BTreeMap<InstanceId, InstanceKey>,
    /// The newest life of each instance.
    pub newest: BTreeMap<InstanceId, Incarnation>,
    /// Lives that were told to end.
    pub stops: BTreeSet<SandboxId>,
    /// Lives of which an end was told.
    pub ended: BTreeSet<SandboxId>,
    /// Lives that were on a lost agent.
    pub lost: BTreeSet<SandboxId>,
    /// Instances that no row knew and of which an end was told.
    pub strangers: BTreeSet<InstanceId>,
    at: Timestamp,
    ids: BTreeMap<InstanceKey, InstanceId>,
    conditions: BTreeMap<SandboxId, Condition>,
    versions: BTreeMap<AppKey, Version>,
    delays: BTreeMap<AppKey, Vec<Delay>>,
    /// Paths whose delay somebody has asked to be forgotten, and how many such asks are open.
    resets: BTreeMap<AppPath, u32>,
}

/// The least distance of the launches of one configuration.
struct Delay {
    config: Version,
    span: Span,
    max: Span,
    failed: Timestamp,
    launched: Timestamp,
}

type Law = Result<(), (&'static str, String)>;

// === impl Sim: the history ===

impl Sim {
    /// A commit has become durable.
    pub fn observe(&mut self, commit: &Commit) {
        self.observe_agents(commit);
        if let Err((law, text)) = self.history.observe(commit) {
            self.fail(law, text);
        }
        for write in &commit.writes {
            if let Some(Row::App(app)) = &write.row {
                self.give_behaviour(app, &commit.world);
            }
        }
        self.allow(&commit.world);
    }

    /// A new app's containers behave in some way.
    fn give_behaviour(&mut self, app: &App, world: &World) {
        if self.behaviours.contains_key(&app.key) {
            return;
        }
        let fixed = world.current(app).is_some_and(|row| row.spec.require_ports);
        self.draw_behaviour(app.key, fixed);
    }

    /// An app's containers behave in another way from now on.
    pub fn draw_behaviour(&mut self, app: AppKey, fixed: bool) {
        let odd = self.plan.unruly && self.rng.chance(500);
        let (behaviour, kind) =
            if odd { specs::behaviour(&mut self.rng, fixed) } else { Default::default() };
        for agent in &mut self.agents {
            agent.host.behave(app, behaviour.clone());
        }
        self.behaviours.insert(app, kind);
        if let Some(kind) = kind {
            self.seen.met(kind);
        }
    }

    /// Bad apps behave well from now on, mostly.
    pub fn reform(&mut self) {
        let bad: Vec<AppKey> = self
            .behaviours
            .iter()
            .filter(|(_, kind)| !specs::settles(**kind))
            .map(|(app, _)| *app)
            .collect();
        for app in bad {
            let foreign = self.behaviours.get(&app) == Some(&Some(Kind::PortForeign));
            if foreign || self.rng.chance(500) {
                for agent in &mut self.agents {
                    agent.host.behave(app, stayer::agent::fake::Behaviour::default());
                }
                self.behaviours.insert(app, None);
            }
        }
    }
}

// === impl History ===

impl History {
    fn observe(&mut self, commit: &Commit) -> Law {
        if commit.no != self.no.next() {
            return Err(("I1", format!("commit {} follows {}", commit.no, self.no)));
        }
        if commit.at < self.at {
            return Err(("I13", format!("commit {} is of an earlier time", commit.no)));
        }
        let mut applied = self.world.clone();
        for write in &commit.writes {
            applied.apply(write);
        }
        if applied != commit.world {
            return Err(("I1", format!("commit {} is not what its writes say", commit.no)));
        }
        for event in &commit.events {
            self.happened(commit, event)?;
        }
        let drained = commit.writes.iter().filter_map(|write| match &write.row {
            Some(Row::Instance(row)) => Some(row),
            Some(_) | None => None,
        });
        let drained = drained
            .filter(|row| matches!(row.goal, Goal::Stop { why: StopWhy::Drained, .. }))
            .map(|row| row.key.app);
        for app in drained.collect::<Vec<AppKey>>() {
            // What an operator moves does not wait for what failed before.
            self.forget_delays(app);
        }
        for write in &commit.writes {
            match (&write.key, &write.row) {
                (_, Some(Row::Instance(row))) => self.instance(commit, row)?,
                (Key::AppVersion(app, version), Some(Row::AppVersion(_))) => {
                    self.version(*app, *version)?;
                }
                (_, Some(Row::App(row))) if row.removed.is_some() => {
                    self.forget_delays(row.key);
                }
                _ => {}
            }
        }
        (self.world, self.no, self.at) = (applied, commit.no, commit.at);
        Ok(())
    }

    fn version(&mut self, app: AppKey, version: Version) -> Law {
        // A sweep puts old definitions again.
        if self.world.versions.get(&(app, version)).is_some() {
            return Ok(());
        }
        match self.versions.insert(app, version) {
            Some(before) if before >= version => {
                Err(("I13", format!("app {app}: {version} comes after {before}")))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn instance(&mut self, commit: &Commit, row: &Instance) -> Law {
        let before = self.newest.insert(row.id, row.incarnation).unwrap_or_default();
        if before > row.incarnation {
            return Err(("I13", format!("{} goes back to life {}", row.id, row.incarnation)));
        }
        if *self.ids.entry(row.key).or_insert(row.id) != row.id {
            return Err(("I13", format!("{:?} is another instance now", row.key)));
        }
        self.keys.insert(row.id, row.key);
        let life = SandboxId { instance: row.id, incarnation: row.incarnation };
        if row.goal != Goal::Run {
            self.stops.insert(life);
        }
        if row.incarnation > before {
            self.launched(commit, row)?;
        } else if row.is_live() && self.ended.contains(&life) {
            return Err(("I13", format!("{} lives again in life {}", row.id, row.incarnation)));
        }
        Ok(())
    }

    fn happened(&mut self, commit: &Commit, event: &Event) -> Law {
        match event {
            Event::Status(update) => self.status(commit, update),
            Event::UnknownTerminated { instance, .. } => {
                self.strangers.insert(*instance);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn status(&mut self, commit: &Commit, update: &StatusUpdate) -> Law {
        let life = SandboxId { instance: update.instance, incarnation: update.incarnation };
        let is = update.condition;
        let was = self.conditions.insert(life, is);
        if was.is_some_and(Condition::is_terminal) {
            return Err(("I12", format!("{life} is {is:?} after {was:?}")));
        }
        let back = was.is_some_and(|was| {
            !was.is_unreachable() && !is.is_unreachable() && rank(is) <= rank(was)
        });
        if back {
            return Err(("I13", format!("{life} is {is:?} after {was:?}")));
        }
        if is.is_unreachable() {
            self.lost.insert(life);
        }
        if is.is_terminal() {
            self.ended.insert(life);
        }
        // What was given up with its agent is no failure of its own.
        if is.grows_backoff() && is != Condition::Gone {
            self.failed(commit, update);
        }
        Ok(())
    }

    /// BO-3, as a lower bound: the delay grows with each failure that follows soon.
    fn failed(&mut self, commit: &Commit, update: &StatusUpdate) {
        let Some(key) = self.keys.get(&update.instance) else { return };
        let row = self.world.instances.get(key).or_else(|| commit.world.instances.get(key));
        let Some(config) = row.map(|row| row.config) else { return };
        let Some(row) = commit.world.versions.get(&(key.app, update.version)) else { return };
        let spec = row.spec.backoff;
        let max = Span::secs(u64::from(spec.max_seconds));
        let first = Span::secs(u64::from(spec.seconds)).min(max);
        let delays = self.delays.entry(key.app).or_default();
        match delays.iter_mut().find(|delay| delay.config == config) {
            Some(delay) if commit.at <= delay.failed + max => {
                delay.span = Span::millis(spec.factor.times(delay.span.as_millis())).min(max);
                delay.failed = commit.at;
            }
            Some(delay) => {
                delay.span = first;
                delay.failed = commit.at;
            }
            None => {
                if delays.len() >= MAX_DELAYS {
                    delays.clear();
                }
                let launched = Timestamp::default();
                delays.push(Delay { config, span: first, max, failed: commit.at, launched });
            }
        }
    }

    fn launched(&mut self, commit: &Commit, row: &Instance) -> Law {
        let open = commit.world.apps.get(&row.key.app).map(|app| self.resets.get(&app.path));
        if open.flatten().is_some_and(|open| *open > 0) {
            self.forget_delays(row.key.app);
        }
        let Some(delays) = self.delays.get_mut(&row.key.app) else { return Ok(()) };
        let Some(delay) = delays.iter_mut().find(|delay| delay.config == row.config) else {
            return Ok(());
        };
        let last = delay.failed.max(delay.launched);
        if commit.at > last + delay.max {
            delay.span = Span::ZERO;
            return Ok(());
        }
        if commit.at < last + delay.span {
            let passed = commit.at.since(last);
            let text = format!("{:?} is launched after {passed}, not {}", row.key, delay.span);
            return Err(("I18", text));
        }
        delay.launched = commit.at;
        Ok(())
    }

    /// Somebody asks for a change that may forget a delay.
    pub fn asked(&mut self, change: &Change) {
        if let Some(path) = forgets(change) {
            *self.resets.entry(path.clone()).or_default() += 1;
        }
    }

    /// That was answered, or never will be.
    pub fn told(&mut self, change: &Change) {
        let Some(path) = forgets(change) else { return };
        if let Some(open) = self.resets.get_mut(path) {
            *open -= 1;
        }
        if let Some(key) = self.world.any_app(path).map(|app| app.key) {
            self.forget_delays(key);
        }
    }

    /// No distance is kept to what was before; the core may remember more, and so drop others earlier.
    fn forget_delays(&mut self, app: AppKey) {
        for delay in self.delays.get_mut(&app).into_iter().flatten() {
            delay.span = Span::ZERO;
            delay.failed = Timestamp::default();
        }
    }
}

fn forgets(change: &Change) -> Option<&AppPath> {
    match change {
        Change::ResetDelay { path } | Change::Restart { path } => Some(path),
        Change::Put { .. }
        | Change::Remove { .. }
        | Change::Kill { .. }
        | Change::Cancel { .. }
        | Change::Resume { .. }
        | Change::Drain { .. }
        | Change::Undrain { .. }
        | Change::Forget { .. }
        | Change::Deploy(_)
        | Change::Steer { .. }
        | Change::ReleaseBrake => None,
    }
}

fn rank(condition: Condition) -> u8 {
    match condition {
        Condition::Unreachable | Condition::UnreachableInactive => 0,
        Condition::Provisioned => 1,
        Condition::Staging => 2,
        Condition::Starting => 3,
        Condition::Running => 4,
        Condition::Killing => 5,
        Condition::Finished
        | Condition::Killed
        | Condition::Failed
        | Condition::Error
        | Condition::Gone
        | Condition::Dropped
        | Condition::Unknown => 6,
    }
}
