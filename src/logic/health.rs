//! What agents find of an instance's checks, and which instances that condemns. Pure functions of rows: the index asks them
//! too. What is told of it is [`status`](crate::logic::status)'s.

use crate::model::check::HealthCheck;
use crate::model::condition::Condition;
use crate::model::findings::{Findings, HealthRecord};
use crate::model::have::TaskHave;
use crate::model::instance::{Goal, Instance, Task};
use crate::model::time::Timestamp;
use crate::model::world::World;
use crate::planted::planted;

/// A task that a check has condemned.
#[derive(Clone, Copy, Debug)]
pub struct Condemned<'a> {
    /// The task.
    pub task: &'a Task,
    /// Which of its definition's checks.
    pub check: usize,
    /// What it has found.
    pub record: &'a HealthRecord,
}

/// What is known of a task's checks after what its agent says. What is of other checks than its definition's counts for
/// nothing, and an agent that has not begun to ask says nothing.
pub fn taken(task: &Task, have: &TaskHave, now: Timestamp) -> Option<Box<Findings>> {
    let old = task.findings.as_ref()?;
    let Some(new) = have.findings.as_ref().filter(|new| new.is_like(old)) else {
        return Some(old.clone());
    };
    let turned = new.has_turned().then(|| old.turned.unwrap_or(now));
    Some(Box::new(Findings { turned, ..Findings::clone(new) }))
}

/// The first task that a check has condemned, of one that runs and is wanted (HC-6, HC-7).
pub fn condemned<'a>(world: &World, instance: &'a Instance) -> Option<Condemned<'a>> {
    if instance.goal != Goal::Run || !instance.fails() {
        return None;
    }
    let row = world.versions.get(&(instance.key.app, instance.version))?;
    let checks = || row.spec.health_checks.iter();
    instance.tasks.iter().filter(|task| task.condition == Condition::Running).find_map(|task| {
        let records = task.findings.as_ref()?.health.iter();
        let mut all = checks().zip(records).enumerate();
        all.find_map(|(no, (check, record))| {
            let record = record.as_ref().filter(|record| condemns(check, record))?;
            Some(Condemned { task, check: no, record })
        })
    })
}

fn condemns(check: &HealthCheck, record: &HealthRecord) -> bool {
    let limit = planted!("zero-kills", check.kills_at(), check.kills_at().or(Some(1)));
    let failures = planted!("kills-before-its-count", record.failures, record.failures + 1);
    planted!("unhealthy-never-killed", limit.is_some_and(|limit| failures >= limit), false)
}

/// When an instance that runs turned, if it is not alive any more.
pub fn turned(instance: &Instance) -> Option<Timestamp> {
    let runs = instance.goal == Goal::Run && instance.condition() == Some(Condition::Running);
    instance.turned().filter(|_| runs)
}
