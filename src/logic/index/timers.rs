//! When rows fall due. A due timer only marks a subject dirty; what then happens is decided from the rows.

use std::collections::BTreeSet;

use crate::model::condition::Condition;
use crate::model::deploy::{Deploy, Phase, SETTLE, State, Undo};
use crate::model::instance::{Goal, Instance, Task};
use crate::model::row::{Key, Row};
use crate::model::spec::UnreachableStrategy;
use crate::model::time::{Span, Timestamp};
use crate::model::world::World;
use crate::planted::planted;

/// A launch that neither runs nor makes progress for so long is ended and begun anew (SM-12). The time counts from the
/// last progress, so an image that takes long to pull is not killed for ever (BETTER).
const LAUNCH_OVERDUE: Span = Span::secs(300);

/// The label by which an app asks for another time, in whole seconds (SM-12, BETTER).
const LAUNCH_TIMEOUT_LABEL: &str = "STAYER_LAUNCH_TIMEOUT_SECONDS";

/// Due times of all rows, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Timers(BTreeSet<(Timestamp, Key)>);

// === impl Timers ===

impl Timers {
    /// What falls due after `after` and not after `until`.
    pub fn between(&self, after: Timestamp, until: Timestamp) -> impl Iterator<Item = Key> + '_ {
        self.0
            .range((after + Span::millis(1), Key::Meta)..)
            .take_while(move |(at, _)| *at <= until)
            .map(|(_, key)| *key)
    }

    /// The first due time after `after`.
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        self.0.range((after + Span::millis(1), Key::Meta)..).next().map(|(at, _)| *at)
    }

    /// Follows a row that comes or has changed.
    pub fn add(&mut self, world: &World, key: &Key, row: &Row) {
        each_due(world, row, |at| {
            self.0.insert((at, *key));
        });
    }

    /// Follows a row that leaves or changes.
    pub fn remove(&mut self, world: &World, key: &Key, row: &Row) {
        each_due(world, row, |at| {
            self.0.remove(&(at, *key));
        });
    }
}

/// Calls `due` for each moment at which something about the row changes by time alone.
fn each_due(world: &World, row: &Row, mut due: impl FnMut(Timestamp)) {
    match row {
        Row::Instance(instance) => {
            if let Some(at) = instance_due(world, instance) {
                due(at);
            }
        }
        Row::App(app) => {
            if let Some(at) = app.look_again {
                due(at);
            }
            if let Some(at) = app.health_brake.until {
                due(at);
            }
            for backoff in &app.backoffs {
                due(backoff.until());
                due(backoff.expires() + Span::millis(1));
            }
        }
        Row::Agent(agent) => {
            for foreign in agent.foreign.values() {
                due(foreign.until);
            }
            if let Some(deadline) = agent.drain.and_then(|drain| drain.deadline) {
                due(deadline);
            }
        }
        Row::Meta(meta) => {
            if let Some(ends) = meta.brake.ends {
                due(ends);
            }
        }
        Row::Deploy(deploy) => {
            for at in deploy_due(deploy) {
                due(at);
            }
        }
        Row::Deployment(deployment) => {
            if let Some(at) = deployment.due() {
                due(at);
            }
        }
        Row::AppVersion(_) | Row::Outcome(_) | Row::Autopsy(_) => {}
    }
}

/// When a deploy that nothing happens to is to be looked at.
fn deploy_due(deploy: &Deploy) -> impl Iterator<Item = Timestamp> {
    let (first, second) = match &deploy.state {
        State::Going(phase) => match *phase {
            Phase::Growing { deadline, ready, .. } => {
                (Some(deadline), ready.map(|ready| ready + SETTLE))
            }
            Phase::Holding { until, .. } => (Some(until), Some(until + deploy.plan.deadline)),
            Phase::Shrinking { deadline, .. }
            | Phase::Judging { deadline, .. }
            | Phase::Passed { deadline, .. } => (Some(deadline), None),
            Phase::Finishing => (None, None),
        },
        State::RollingBack { undo, .. } => match *undo {
            Undo::Restoring { deadline, .. } | Undo::Reverting { deadline, .. } => {
                (Some(deadline), None)
            }
            Undo::Begun | Undo::Removing => (None, None),
        },
        State::Paused { .. } | State::Over(_) => (None, None),
    };
    first.into_iter().chain(second)
}

/// How long a launch of this instance may go without progress: what its app says, else what its agent said when it was
/// placed there. A label that is no number counts for nothing.
pub fn launch_overdue(world: &World, instance: &Instance) -> Span {
    let row = world.versions.get(&(instance.key.app, instance.version));
    let label = row.and_then(|row| row.spec.labels.get(LAUNCH_TIMEOUT_LABEL));
    let of_app = label.and_then(|text| text.parse().ok()).filter(|seconds| *seconds > 0);
    let of_agent = instance.place.as_ref().and_then(|place| place.launch_seconds);
    of_app.or(of_agent.map(u64::from)).map_or(LAUNCH_OVERDUE, Span::secs)
}

/// When time alone changes something about an instance.
pub(super) fn instance_due(world: &World, instance: &Instance) -> Option<Timestamp> {
    let tasks = instance.tasks.iter().filter_map(|task| task_due(world, instance, task));
    tasks.chain(instance.drains_until()).min()
}

fn task_due(world: &World, instance: &Instance, task: &Task) -> Option<Timestamp> {
    match task.condition {
        Condition::Provisioned | Condition::Staging | Condition::Starting
            if instance.goal == Goal::Run =>
        {
            Some(task.since + launch_overdue(world, instance))
        }
        Condition::Unreachable | Condition::UnreachableInactive => {
            let row = world.versions.get(&(instance.key.app, instance.version))?;
            match (row.spec.unreachable, task.condition) {
                (UnreachableStrategy::Disabled, _) => None,
                (UnreachableStrategy::After { inactive_seconds, .. }, Condition::Unreachable) => {
                    let due = Some(task.since + Span::secs(inactive_seconds));
                    planted!("unreachable-is-never-due", due, None)
                }
                (UnreachableStrategy::After { expunge_seconds, .. }, _) => {
                    Some(task.since + Span::secs(expunge_seconds))
                }
            }
        }
        _ => None,
    }
}
