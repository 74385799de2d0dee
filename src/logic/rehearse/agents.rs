//! Agents that do what they are told, as a rehearsal plays them: what is launched runs, what runs proves itself, what is
//! asked to end ends. Only agents that are heard, and only for the apps that are followed.

use std::collections::BTreeMap;

use crate::model::agent::Agent;
use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::fact::{Fact, Ticket};
use crate::model::findings::{Findings, HealthRecord, Readiness};
use crate::model::have::{Have, Phase, TaskHave};
use crate::model::id::{AgentKey, AppKey, Seq};
use crate::model::instance::{Goal, Instance, Task};
use crate::model::time::Timestamp;
use crate::model::world::World;

/// What SIGTERM is called.
const SIGTERM: i32 = 15;

/// What agents say next of the instances of `apps`; nothing when all is as wanted.
pub fn act(world: &World, apps: &[AppKey], now: Timestamp) -> Vec<Fact> {
    let mut said: BTreeMap<AgentKey, Vec<Have>> = BTreeMap::new();
    for instance in apps.iter().flat_map(|app| world.instances_of(*app)) {
        let Some(place) = instance.place.as_ref().filter(|_| instance.is_live()) else { continue };
        said.entry(place.agent).or_default().extend(have(instance, now));
    }
    let heard = |(key, haves): (AgentKey, Vec<Have>)| {
        let agent = world.agents.get(&key).filter(|agent| agent.is_heard() && !haves.is_empty())?;
        Some(fact(agent, haves))
    };
    said.into_iter().filter_map(heard).collect()
}

fn fact(agent: &Agent, haves: Vec<Have>) -> Fact {
    let ticket = Ticket::Agent(agent.id, agent.run, Seq(0));
    Fact::Has { ticket, agent: agent.key, haves }
}

fn have(instance: &Instance, now: Timestamp) -> Option<Have> {
    let tasks: Vec<TaskHave> =
        instance.tasks.iter().filter_map(|task| task_have(instance.goal, task, now)).collect();
    (!tasks.is_empty()).then_some(Have {
        instance: instance.id,
        key: instance.key,
        incarnation: instance.incarnation,
        rev_seen: instance.rev,
        tasks,
    })
}

fn task_have(goal: Goal, task: &Task, now: Timestamp) -> Option<TaskHave> {
    let running = || Phase::Running { at: now, ips: Vec::new(), handle: String::new() };
    let (phase, findings) = match goal {
        Goal::Stop { .. } => (Phase::Exited { at: now, end: End::Signal(SIGTERM) }, None),
        Goal::Run if task.condition != Condition::Running => (running(), None),
        Goal::Run if is_unproven(task) => (running(), Some(Box::new(proven(task, now)))),
        Goal::Run => return None,
    };
    Some(TaskHave { task: task.name.as_str().to_owned(), phase, findings })
}

/// Whether it runs and its checks have not all been asked. One that fails goes on failing: nothing is promised for what
/// does not work now.
fn is_unproven(task: &Task) -> bool {
    !task.serves() && !task.fails()
}

fn proven(task: &Task, now: Timestamp) -> Findings {
    let mut findings = task.findings.as_deref().cloned().unwrap_or_default();
    for record in &mut findings.health {
        record.get_or_insert_with(HealthRecord::default).succeeded(now);
    }
    findings.readiness.fill(Some(Readiness { ready: true, last: None }));
    findings
}
