//! How an instance changes: what its agent says, what it is asked, what becomes of it when it ended.
//!
//! All changes of conditions go through here, so that each comes with its events, its effect on the backoff and on the
//! app's last failure, exactly once (SM-3, SM-11).

use std::net::IpAddr;

use crate::logic::autopsy;
use crate::logic::decide::{backoff, limits};
use crate::logic::draft::Draft;
use crate::model::app::Failure;
use crate::model::autopsy::Fault;
use crate::model::check::HealthCheck;
use crate::model::condition::Condition;
use crate::model::event::{Event, StatusUpdate};
use crate::model::findings::{Findings, HealthRecord};
use crate::model::id::{AgentId, InstanceKey};
use crate::model::instance::{Goal, Instance, StopWhy, Task, Then};
use crate::model::path::AppPath;
use crate::model::reason::Reason;
use crate::model::row::Key;
use crate::model::text::cut;
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;

/// The longest message that is kept (SM-2).
const MAX_MESSAGE: usize = 10_000;

/// A task's new state, with why.
#[derive(Clone, Debug)]
pub struct Change {
    /// The task as it now is.
    pub task: Task,
    /// Why, for people.
    pub message: String,
}

/// Writes the new state of one task of an instance, with everything that follows from it.
///
/// `instance` is the row with its other changes already made; `changes` holds the tasks that changed condition.
pub fn update(draft: &mut Draft<'_>, mut instance: Instance, changes: Vec<Change>) {
    let before = draft.instance(instance.key);
    let (before, health) =
        (before.and_then(Instance::condition), before.and_then(Instance::health));
    let (mut moved, mut found) = (Vec::new(), Vec::new());
    for change in changes {
        if let Some(slot) = instance.tasks.iter_mut().find(|task| task.name == change.task.name) {
            let old = std::mem::replace(slot, change.task.clone());
            if old.findings != change.task.findings {
                found.push((old.findings, change.task.findings.clone()));
            }
            // The same condition with other details is stored and tells nobody (SM-3).
            if old.condition != change.task.condition {
                moved.push(change);
            }
        }
    }
    for change in &moved {
        publish_status(draft, &instance, change);
        backoff::follow(draft, &instance, change.task.condition);
        let unasked = instance.goal == Goal::Run || change.task.condition == Condition::Gone;
        if change.task.condition.is_failure() && unasked {
            keep_failure(draft, &instance, change);
            let Change { task, message } = change;
            autopsy::keep(draft, &instance, task, fault_of(task), message);
        } else if change.task.condition.is_terminal() {
            autopsy::close(draft, &instance, &change.task);
        }
    }
    let after = instance.condition();
    if before != after {
        publish_instance(draft, &instance);
    }
    let path = path_of(draft, &instance);
    for (old, new) in &found {
        publish_findings(draft, &instance, &path, (old.as_deref(), new.as_deref()));
    }
    if health != instance.health() && instance.is_live() {
        publish_health(draft, &instance);
    }
    if instance.is_live() || instance.tasks.is_empty() {
        draft.put_instance(instance);
    } else {
        settle(draft, instance);
    }
}

/// What becomes of an instance whose tasks have all ended.
fn settle(draft: &mut Draft<'_>, mut instance: Instance) {
    match instance.goal {
        Goal::Run => {
            instance.place = None;
            instance.since = draft.now();
            draft.put_instance(instance);
        }
        Goal::Stop { then: Then::Relaunch, .. } => {
            instance.goal = Goal::Run;
            instance.place = None;
            instance.since = draft.now();
            draft.put_instance(instance);
        }
        Goal::Stop { then: Then::Keep, .. } => draft.put_instance(instance),
        Goal::Stop { then: Then::Leave, .. } => draft.remove(Key::Instance(instance.key)),
    }
}

/// Asks an instance to end. What it holds stays held until its agent has confirmed the end.
pub fn stop(draft: &mut Draft<'_>, key: InstanceKey, why: StopWhy, then: Then) {
    let Some(instance) = draft.instance(key) else { return };
    if let Goal::Stop { then: standing, .. } = instance.goal {
        // What is to leave is never called back (SM-6); what was to be relaunched may still be told to leave.
        if standing != Then::Relaunch || then == Then::Relaunch {
            return;
        }
    }
    let mut instance = instance.clone();
    if !instance.is_live() {
        match then {
            Then::Relaunch => {}
            Then::Leave | Then::Keep => {
                publish_gone(draft, &instance);
                draft.remove(Key::Instance(key));
            }
        }
        return;
    }
    let now = draft.now();
    let unreachable = instance.condition().is_some_and(Condition::is_unreachable);
    // A lost instance cannot be relaunched in place: it leaves when its agent returns, and is replaced now (SC-9).
    let stays = planted!("kill-of-the-lost-hangs", unreachable, false);
    let then = if stays && then == Then::Relaunch { Then::Leave } else { then };
    if planted!("row-leaves-before-its-end", false, then == Then::Leave) {
        return draft.remove(Key::Instance(key));
    }
    let drains_until = drains_until(draft, &instance, why);
    instance.goal = Goal::Stop { then, why, since: now, drains_until };
    planted!("port-let-go-while-stopping", (), {
        instance.place.iter_mut().for_each(|place| place.ports.clear());
    });
    let asked = |task: &Task| {
        matches!(
            task.condition,
            Condition::Provisioned | Condition::Staging | Condition::Starting | Condition::Running
        )
    };
    let changes: Vec<Change> = instance
        .tasks
        .iter()
        .filter(|task| asked(task))
        .map(|task| Change {
            task: Task { condition: Condition::Killing, since: now, ..task.clone() },
            message: String::new(),
        })
        .collect();
    // A goal that changes is told too where the condition stays, as that of an unreachable instance does.
    if changes.is_empty() {
        publish_instance(draft, &instance);
    }
    update(draft, instance, changes);
}

/// Until when an instance that is asked to end goes on serving, for those who balance to learn that it ends: only where
/// anybody does, it runs and can be reached. One that is asked again waits no longer than it did.
fn drains_until(draft: &Draft<'_>, instance: &Instance, why: StopWhy) -> Option<Timestamp> {
    if let Goal::Stop { drains_until, .. } = instance.goal {
        return drains_until;
    }
    let row = draft.world().versions.get(&(instance.key.app, instance.version))?;
    let runs = instance.tasks.iter().any(|task| task.condition == Condition::Running);
    let served = runs && why.drains() && !row.spec.service_ports().is_empty();
    let drain = row.spec.drain();
    let waits = planted!("drain-skipped", draft.is_attended() && served, false);
    (waits && drain > Span::ZERO).then(|| draft.now() + drain)
}

/// Those who balance know, or had their time: the agent is told.
pub fn end_drain(draft: &mut Draft<'_>, key: InstanceKey) {
    let Some(instance) = draft.instance(key).filter(|one| one.drains_until().is_some()) else {
        return;
    };
    let mut instance = instance.clone();
    if let Goal::Stop { drains_until, .. } = &mut instance.goal {
        *drains_until = None;
    }
    draft.put_instance(instance);
}

/// Gives up an instance whose agent is gone for good: its row leaves, though nobody has confirmed its end.
pub fn give_up(draft: &mut Draft<'_>, key: InstanceKey) {
    let Some(mut instance) = draft.instance(key).cloned() else { return };
    let now = draft.now();
    let gone = |task: &Task| Change {
        task: Task { condition: Condition::Gone, since: now, ..task.clone() },
        message: "its agent is gone for good".to_owned(),
    };
    let changes: Vec<Change> =
        instance.tasks.iter().filter(|task| !task.condition.is_terminal()).map(gone).collect();
    instance.goal =
        Goal::Stop { then: Then::Leave, why: StopWhy::Forgotten, since: now, drains_until: None };
    if changes.is_empty() {
        publish_gone(draft, &instance);
        draft.remove(Key::Instance(key));
    } else {
        update(draft, instance, changes);
    }
}

/// The agent of an instance and that agent's host name, for people.
pub fn agent_of(draft: &Draft<'_>, instance: &Instance) -> Option<(AgentId, String)> {
    let place = instance.place.as_ref()?;
    let agent = draft.world().agents.get(&place.agent)?;
    Some((agent.id, agent.inventory.hostname.clone()))
}

/// The path of an instance's app.
pub fn path_of(draft: &Draft<'_>, instance: &Instance) -> AppPath {
    let app = draft.world().apps.get(&instance.key.app);
    app.map_or_else(AppPath::root, |app| app.path.clone())
}

fn publish_status(draft: &mut Draft<'_>, instance: &Instance, change: &Change) {
    let ports = match (&instance.place, change.task.condition.is_active()) {
        (Some(place), true) => place.ports.iter().flatten().copied().collect(),
        (Some(_) | None, _) => Vec::new(),
    };
    let ips = addresses_of(draft, instance, &change.task);
    let update = StatusUpdate {
        instance: instance.id,
        task: change.task.name.clone(),
        incarnation: instance.incarnation,
        path: path_of(draft, instance),
        version: instance.version,
        condition: change.task.condition,
        message: cut(&change.message, MAX_MESSAGE).to_owned(),
        agent: agent_of(draft, instance),
        ips,
        ports,
    };
    // Provisioned is ours alone; Mesos had no status for it.
    if change.task.condition != Condition::Provisioned {
        draft.event(Event::Status(update));
    }
}

/// The addresses of a task that runs; on the host's network these are the agent's.
fn addresses_of(draft: &Draft<'_>, instance: &Instance, task: &Task) -> Vec<IpAddr> {
    if !task.ips.is_empty() || task.condition != Condition::Running {
        return task.ips.clone();
    }
    let row = draft.world().versions.get(&(instance.key.app, instance.version));
    let place =
        instance.place.as_ref().filter(|_| row.is_some_and(|row| row.spec.on_host_network()));
    let agent = place.and_then(|place| draft.world().agents.get(&place.agent));
    let address = agent.and_then(|agent| agent.inventory.address.as_deref());
    address.and_then(|text| text.parse().ok()).into_iter().collect()
}

/// Tells that an instance's condition or goal changed.
pub fn publish_instance(draft: &mut Draft<'_>, instance: &Instance) {
    let event = Event::InstanceChanged {
        instance: instance.id,
        path: path_of(draft, instance),
        version: instance.version,
        condition: instance.condition(),
        agent: agent_of(draft, instance),
    };
    draft.event(event);
}

/// Tells what changed of a task's checks (HC-6, HC-12). An instance without results counts as not alive: a first success
/// is told, a first failure is none of a status.
fn publish_findings(
    draft: &mut Draft<'_>,
    instance: &Instance,
    path: &AppPath,
    (old, new): (Option<&Findings>, Option<&Findings>),
) {
    let Some(new) = new else { return };
    let row = draft.world().versions.get(&(instance.key.app, instance.version));
    let checks: Vec<HealthCheck> =
        row.into_iter().flat_map(|row| row.spec.health_checks.iter().cloned()).collect();
    for (no, (check, record)) in checks.into_iter().zip(&new.health).enumerate() {
        let before = old.and_then(|old| old.health.get(no)?.as_ref());
        let Some(record) = record.as_ref().filter(|record| Some(*record) != before) else {
            continue;
        };
        let (id, version) = (instance.id, instance.version);
        if record.last_failure.is_some()
            && record.last_failure != before.and_then(|it| it.last_failure)
        {
            let check = Box::new(check);
            draft.event(Event::CheckFailed { instance: id, path: path.clone(), check });
        }
        let alive = record.is_alive();
        if alive != before.is_some_and(HealthRecord::is_alive) {
            draft.event(Event::AliveChanged { instance: id, path: path.clone(), version, alive });
        }
    }
}

/// Tells that the health of an instance changed (HC-12).
fn publish_health(draft: &mut Draft<'_>, instance: &Instance) {
    let event = Event::HealthChanged {
        instance: instance.id,
        path: path_of(draft, instance),
        version: instance.version,
        healthy: instance.health(),
    };
    draft.event(event);
}

/// Tells that an instance left that was not there on any agent.
fn publish_gone(draft: &mut Draft<'_>, instance: &Instance) {
    let event = Event::InstanceChanged {
        instance: instance.id,
        path: path_of(draft, instance),
        version: instance.version,
        condition: Some(instance.condition().unwrap_or(Condition::Killed)),
        agent: None,
    };
    draft.event(event);
}

/// Keeps an overdue launch as the app's last failure: its end itself is none, and the next life begins at once, so that
/// nothing else would tell of it (SM-12, BETTER).
pub fn note_overdue(draft: &mut Draft<'_>, instance: &Instance, task: &Task) {
    let after = draft.now().since(task.since);
    let reason = Reason::Overdue { condition: task.condition, after };
    let fault = Fault::Overdue { condition: task.condition, after };
    let task = Task { condition: Condition::Killed, ..task.clone() };
    autopsy::keep(draft, instance, &task, fault, &reason.to_string());
    keep_failure(draft, instance, &Change { task, message: reason.to_string() });
}

/// Keeps a kill by a health check as the app's last failure (HC-7).
pub fn note_unhealthy(draft: &mut Draft<'_>, instance: &Instance, task: &Task, cause: &str) {
    let message = format!("Task was killed since health check failed. Reason: {cause}");
    let task = Task { condition: Condition::Killed, ..task.clone() };
    let fault = autopsy::unhealthy(draft, instance, cause);
    autopsy::keep(draft, instance, &task, fault, &message);
    keep_failure(draft, instance, &Change { task, message });
}

fn keep_failure(draft: &mut Draft<'_>, instance: &Instance, change: &Change) {
    let Some(mut app) = draft.world().apps.get(&instance.key.app).cloned() else { return };
    let agent = agent_of(draft, instance);
    app.last_failure = Some(Failure {
        instance: instance.id,
        task: change.task.name.as_str().to_owned(),
        incarnation: instance.incarnation,
        condition: change.task.condition,
        message: cut(&change.message, MAX_MESSAGE).to_owned(),
        agent: agent.as_ref().map(|(id, _)| *id),
        host: agent.map(|(_, host)| host).unwrap_or_default(),
        at: draft.now(),
        version: instance.version,
    });
    draft.put_app(app);
    limits::count_failure(draft, instance);
}

/// What an end without being asked says of a life.
fn fault_of(task: &Task) -> Fault {
    match task.condition {
        Condition::Gone | Condition::Dropped | Condition::Unknown => Fault::Lost,
        Condition::Failed
        | Condition::Error
        | Condition::Provisioned
        | Condition::Staging
        | Condition::Starting
        | Condition::Running
        | Condition::Killing
        | Condition::Unreachable
        | Condition::UnreachableInactive
        | Condition::Finished
        | Condition::Killed => Fault::Ended,
    }
}
