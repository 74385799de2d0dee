//! Facts into rows: what clients ask goes through `change`, what agents say is taken as it is.
//!
//! Total: what does not fit (an unknown instance, an older life) is an event or nothing, never an error. Idempotent:
//! the same have twice writes once.

use std::collections::BTreeMap;

use crate::logic::change;
use crate::logic::decide::brake;
use crate::logic::deploy;
use crate::logic::draft::Draft;
use crate::logic::health;
use crate::logic::status::{self, Change};
use crate::model::agent::{Agent, AgentState, Device, Foreign, Inventory};
use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::event::Event;
use crate::model::fact::{Answer, Fact};
use crate::model::have::{Have, Phase, TaskHave};
use crate::model::id::{AgentId, AgentKey, InstanceKey, RunId};
use crate::model::instance::{Goal, Instance, Task};
use crate::model::path::AppPath;
use crate::model::reason::Reason;
use crate::model::time::Span;
use crate::planted::planted;

/// For so long a port found taken by a stranger is not tried again.
const FOREIGN_PORT_HOLD: Span = Span::secs(20);

/// Brings one fact into the rows.
pub fn absorb(draft: &mut Draft<'_>, fact: Fact) {
    match fact {
        Fact::Asked { ticket, who, change, how } => {
            let answer = change::apply(draft, &who, change, how);
            draft.answer(ticket, answer);
        }
        Fact::Attached { ticket, agent, run, inventory } => {
            let key = attach(draft, agent, run, inventory);
            draft.answer(ticket, Answer::Attached(key));
        }
        Fact::Has { ticket, agent, haves } => {
            for have in haves {
                take(draft, agent, &have);
            }
            draft.answer(ticket, Answer::Noted);
        }
        Fact::Synced { agent, .. } => hear(draft, agent),
        Fact::Lost { agent, .. } => lose(draft, agent),
        Fact::Analysed { deploy, step, asking, finding } => {
            deploy::analysed(draft, deploy, step, asking, finding);
        }
        Fact::Attended { by_anybody } => draft.attend(by_anybody),
        Fact::Released { lives } => {
            for (key, incarnation) in lives {
                if draft.instance(key).is_some_and(|row| row.incarnation == incarnation) {
                    status::end_drain(draft, key);
                }
            }
        }
    }
}

/// A new leadership keeps its own flags, and takes up the waits of the one before. While nobody led nobody listened: what
/// launched then may have come up, what was lost may be back, so both have their whole time again before anything is
/// concluded (invariant 8).
pub fn resume(draft: &mut Draft<'_>) {
    draft.keep_gpus();
    deploy::resume(draft);
    let now = draft.now();
    let pending = |task: &Task| {
        matches!(
            task.condition,
            Condition::Provisioned
                | Condition::Staging
                | Condition::Starting
                | Condition::Unreachable
                | Condition::UnreachableInactive
        )
    };
    let waiting: Vec<Instance> = draft
        .world()
        .instances
        .iter()
        .map(|(_, instance)| instance)
        .filter(|instance| instance.tasks.iter().any(pending))
        .cloned()
        .collect();
    for mut instance in waiting {
        for task in instance.tasks.iter_mut().filter(|task| pending(task)) {
            task.since = now;
        }
        draft.put_instance(instance);
    }
}

fn attach(draft: &mut Draft<'_>, id: AgentId, run: RunId, mut inventory: Inventory) -> AgentKey {
    let known = draft.world().agent_ids.get(&id).copied();
    yield_shared(draft, known, &mut inventory);
    let old = known.and_then(|key| draft.world().agents.get(&key).cloned());
    let agent = match old {
        Some(old) => {
            // Whoever comes back while it is being emptied goes on being emptied.
            let drain = planted!("drain-forgotten-on-return", old.drain, {
                old.drain.filter(|_| old.is_heard())
            });
            if !old.is_heard() {
                let host = inventory.hostname.clone();
                draft.event(Event::AgentReturned { agent: id, host });
            }
            Agent { run, state: AgentState::Up, drain, inventory, ..old }
        }
        None => {
            let key = draft.new_agent();
            let (state, foreign) = (AgentState::Up, BTreeMap::new());
            Agent { key, id, run, state, drain: None, inventory, foreign }
        }
    };
    let key = agent.key;
    draft.put_agent(agent);
    key
}

/// Several agents may look after one host, and each sees all its devices: who came first has them, as long as it is heard or
/// a task of its own holds them (I5).
fn yield_shared(draft: &Draft<'_>, own: Option<AgentKey>, inventory: &mut Inventory) {
    let is_real = |device: &Device| device.id.is_real() && device.is_healthy();
    for device in inventory.devices.iter_mut().filter(|device| is_real(device)) {
        let id = &device.id;
        let has = |other: &Agent| {
            other.inventory.devices.iter().any(|it| it.id == *id && it.is_healthy())
                && (other.is_heard()
                    || draft
                        .index()
                        .agents
                        .of(other.key)
                        .is_some_and(|used| used.device_holder(id).is_some()))
        };
        let mut others = draft.world().agents.iter().map(|(_, agent)| agent);
        let first = others.find(|other| {
            Some(other.key) != own && other.inventory.boot == inventory.boot && has(other)
        });
        device.trouble = first.map(|first| {
            format!(
                "another agent of this host offers it: {} {}",
                first.inventory.hostname, first.id
            )
        });
    }
}

fn hear(draft: &mut Draft<'_>, key: AgentKey) {
    let Some(agent) = draft.world().agents.get(&key) else { return };
    if let AgentState::Lost { .. } = agent.state {
        let heard = Agent { state: AgentState::Up, ..agent.clone() };
        let host = heard.inventory.hostname.clone();
        draft.event(Event::AgentReturned { agent: heard.id, host });
        draft.put_agent(heard);
    }
}

/// The agent is lost: what ran there may still run, and nobody knows.
fn lose(draft: &mut Draft<'_>, key: AgentKey) {
    let Some(agent) = draft.world().agents.get(&key) else { return };
    if !agent.is_heard() {
        return;
    }
    let now = draft.now();
    let lost = Agent { state: AgentState::Lost { since: now }, ..agent.clone() };
    let there: Vec<InstanceKey> = draft
        .index()
        .agents
        .of(key)
        .into_iter()
        .flat_map(|used| used.instances.iter().copied())
        .collect();
    draft.event(Event::AgentLost {
        agent: lost.id,
        host: lost.inventory.hostname.clone(),
        instances: u32::try_from(there.len()).unwrap_or(u32::MAX),
    });
    draft.put_agent(lost);
    for instance in there {
        // Nobody is sent to what is not heard: whoever balances need not be waited for.
        status::end_drain(draft, instance);
        let Some(instance) = draft.instance(instance).cloned() else { continue };
        let changes = instance
            .tasks
            .iter()
            .filter(|task| !task.condition.is_terminal() && !task.condition.is_unreachable())
            .map(|task| Change {
                task: Task { condition: Condition::Unreachable, since: now, ..task.clone() },
                message: "the agent is not heard".to_owned(),
            })
            .collect();
        status::update(draft, instance, changes);
    }
    // What was not heard before and has not been spoken of since has its time counted on.
    brake::mark(draft, key);
}

/// Takes what an agent has of one instance.
fn take(draft: &mut Draft<'_>, agent: AgentKey, have: &Have) {
    let Some(instance) = draft.instance(have.key).filter(|row| row.id == have.instance).cloned()
    else {
        unknown(draft, have);
        return;
    };
    let is_there = instance.place.as_ref().is_some_and(|place| place.agent == agent);
    let other_life =
        planted!("have-of-an-older-life-taken", instance.incarnation != have.incarnation, false);
    if !is_there || other_life || !instance.is_live() {
        return;
    }
    let changes: Vec<Change> = have
        .tasks
        .iter()
        .filter_map(|task_have| {
            let task = instance.tasks.iter().find(|task| task.name.as_str() == task_have.task)?;
            next(draft, &instance, task, task_have)
        })
        .collect();
    for task in &have.tasks {
        note_foreign_port(draft, agent, task);
    }
    if !changes.is_empty() {
        status::update(draft, instance, changes);
    }
}

/// Something ended that no row knows; what lives and no row knows is a stray, left alone.
fn unknown(draft: &mut Draft<'_>, have: &Have) {
    let ended = have.tasks.iter().find_map(|task| match &task.phase {
        Phase::Exited { end: End::Code(0), .. } => Some(Condition::Finished),
        Phase::Exited { .. } => Some(Condition::Failed),
        Phase::Preparing { .. }
        | Phase::Starting
        | Phase::Running { .. }
        | Phase::Stopping { .. }
        | Phase::Absent => None,
    });
    if let Some(condition) = ended {
        // Removed apps are remembered for long; of one that is forgotten too nobody knows the path any more.
        let app = draft.world().apps.get(&have.key.app);
        let path = app.map_or_else(AppPath::root, |app| app.path.clone());
        draft.event(Event::UnknownTerminated { instance: have.instance, path, condition });
    }
}

/// The state of a task after what its agent says, or nothing when that changes nothing.
fn next(draft: &Draft<'_>, instance: &Instance, task: &Task, have: &TaskHave) -> Option<Change> {
    let now = draft.now();
    let (condition, message) = condition_of(instance, &have.phase);
    let was = task.condition;
    if !moves_forward(was, condition) {
        return None;
    }
    let findings = health::taken(task, have, now);
    let mut next = Task { condition, findings, ..task.clone() };
    match &have.phase {
        Phase::Preparing { pulled } => next.pulled = *pulled,
        Phase::Running { ips, handle, .. } => {
            next.ips.clone_from(ips);
            next.handle = Some(handle.as_str().into());
            next.started_at = task.started_at.or(Some(now));
        }
        Phase::Exited { end, .. } => next.end = Some(Box::new(end.clone())),
        Phase::Starting | Phase::Stopping { .. } | Phase::Absent => {}
    }
    if condition != was || next.pulled > task.pulled {
        next.since = now;
    }
    (next != *task).then_some(Change { task: next, message })
}

fn condition_of(instance: &Instance, phase: &Phase) -> (Condition, String) {
    let asked_to_end = instance.goal != Goal::Run;
    match phase {
        Phase::Preparing { .. } => (Condition::Staging, String::new()),
        Phase::Starting => (Condition::Starting, String::new()),
        // What was told to end is never shown as running again, also when its agent comes back with it: nobody is to be
        // sent there.
        Phase::Running { .. } if asked_to_end => (Condition::Killing, String::new()),
        Phase::Running { .. } => (Condition::Running, String::new()),
        Phase::Stopping { .. } => (Condition::Killing, String::new()),
        Phase::Absent if asked_to_end => (Condition::Killed, String::new()),
        Phase::Absent => (Condition::Dropped, "the agent has nothing of it".to_owned()),
        Phase::Exited { end, .. } if asked_to_end => (Condition::Killed, end.message()),
        Phase::Exited { end, .. } => {
            let condition = match end {
                End::Code(0) => Condition::Finished,
                End::Refused(Reason::Policy { .. }) => Condition::Error,
                End::Code(_)
                | End::Signal(_)
                | End::Oom { .. }
                | End::Refused(_)
                | End::Gone(_) => Condition::Failed,
            };
            (condition, end.message())
        }
    }
}

/// States only go forward; a task whose agent was lost takes up where its agent says it is.
fn moves_forward(was: Condition, is: Condition) -> bool {
    let rank = |condition: Condition| match condition {
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
    };
    !was.is_terminal() && planted!("conditions-go-back", rank(is) >= rank(was), true)
}

/// A launch found a host port taken by somebody else: it is not tried again for a while.
fn note_foreign_port(draft: &mut Draft<'_>, agent: AgentKey, have: &TaskHave) {
    let Phase::Exited { end: End::Refused(Reason::PortForeign { port, holder }), .. } = &have.phase
    else {
        return;
    };
    let Some(mut row) = draft.world().agents.get(&agent).cloned() else { return };
    let now = draft.now();
    row.foreign.retain(|_, foreign| foreign.until > now);
    row.foreign.insert(*port, Foreign { holder: holder.clone(), until: now + FOREIGN_PORT_HOLD });
    draft.put_agent(row);
}
