//! Why an app does not run, for people: every agent, every reason, and what would help.
//!
//! Computed when asked, from a view, on the asker's thread: the hot path keeps counts only.

use crate::logic::index::Index;
use crate::logic::index::pool::Free;
use crate::logic::place::check::reasons;
use crate::logic::place::need::Need;
use crate::logic::place::ports;
use crate::model::app::{App, Backoff};
use crate::model::id::AgentKey;
use crate::model::reason::{PinTrouble, Reason};
use crate::model::time::Timestamp;
use crate::model::world::World;

/// Why an app does not run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// How many instances are wanted.
    pub wanted: u32,
    /// How many run.
    pub running: u32,
    /// How many wait to be placed.
    pub waiting: u32,
    /// Until when a backoff holds them back, if it does.
    pub delayed_until: Option<Timestamp>,
    /// What each agent says to one more instance.
    pub agents: Vec<AgentAnswer>,
    /// What would help, the nearest first.
    pub help: Vec<String>,
}

/// What one agent says to one more instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentAnswer {
    /// Which agent.
    pub agent: AgentKey,
    /// What is free there.
    pub free: Free,
    /// How many dynamic ports are free there.
    pub free_ports: u32,
    /// Why not; nothing when it would take it.
    pub reasons: Vec<Reason>,
}

/// Why `app` does not run.
pub fn explain(world: &World, app: &App, now: Timestamp) -> Explanation {
    explain_with(world, &Index::build(world), app, now)
}

/// Why `app` does not run, for one who asks about several: `index` is that of `world`.
pub fn explain_with(world: &World, index: &Index, app: &App, now: Timestamp) -> Explanation {
    let Some(row) = world.current(app) else { return Explanation::default() };
    let need = Need::of(&row.spec, world.gpu_scheduling());
    let agents: Vec<AgentAnswer> = world
        .agents
        .iter()
        .map(|(key, agent)| AgentAnswer {
            agent: *key,
            free: index.pool.slot(*key).map(|slot| index.pool.free(slot)).unwrap_or_default(),
            free_ports: ports::free_dynamic(agent, index.agents.of(*key), &need, now),
            reasons: reasons(world, index, &need, agent, now),
        })
        .collect();
    let instances = || world.instances_of(app.key);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let until =
        app.backoffs.iter().filter(|backoff| backoff.config == row.config).map(Backoff::until);
    Explanation {
        wanted: if app.removed.is_some() { 0 } else { row.spec.instances },
        running: count(instances().filter(|instance| instance.is_healthy()).count()),
        waiting: count(instances().filter(|instance| instance.is_scheduled()).count()),
        delayed_until: until.max().filter(|until| *until > now),
        help: help(world, &agents),
        agents,
    }
}

/// The nearest fixes: agents with the fewest reasons first, three at most.
fn help(world: &World, agents: &[AgentAnswer]) -> Vec<String> {
    if agents.is_empty() {
        return vec!["no agent is registered: start one".to_owned()];
    }
    if agents.iter().any(|answer| answer.reasons.is_empty()) {
        return Vec::new();
    }
    let mut nearest: Vec<&AgentAnswer> = agents.iter().collect();
    nearest.sort_by_key(|answer| (answer.reasons.len(), answer.agent));
    nearest.into_iter().take(3).filter_map(|answer| fix(world, answer)).collect()
}

fn fix(world: &World, answer: &AgentAnswer) -> Option<String> {
    let host = &world.agents.get(&answer.agent)?.inventory.hostname;
    let parts: Vec<String> = answer.reasons.iter().filter_map(fix_one).collect();
    (parts.len() == answer.reasons.len())
        .then(|| format!("would fit on {host} {}", parts.join(" and ")))
}

fn fix_one(reason: &Reason) -> Option<String> {
    Some(match reason {
        Reason::Cpus { wanted, free, .. } => {
            format!("with {} cpus less", wanted.saturating_sub(*free))
        }
        Reason::Mem { wanted, free, .. } => {
            format!("with {} MiB of memory less", wanted.saturating_sub(*free))
        }
        Reason::Disk { wanted, free, .. } => {
            format!("with {} MiB of disk less", wanted.saturating_sub(*free))
        }
        Reason::Gpus { wanted, free, .. } => {
            format!("with {} gpus less", wanted.saturating_sub(*free))
        }
        Reason::Ports { wanted, free } => {
            format!("with {} ports less", wanted.saturating_sub(*free))
        }
        Reason::PortTaken { port, holder } => format!("once {holder} lets go of port {port}"),
        Reason::PortForeign { port, holder } => format!("once port {port} is free (now {holder})"),
        Reason::Policy { what } => format!("if the agent allowed it: {what}"),
        Reason::NoEngine { .. } => "once a container engine answers there".to_owned(),
        Reason::AgentLost => "once the agent is heard again".to_owned(),
        Reason::AgentDraining => "once its draining is taken back".to_owned(),
        Reason::GpuHost { .. } => {
            "with the label GPU_SCHEDULING_BEHAVIOR=unrestricted, or if the server ran with \
             --gpu-scheduling unrestricted"
                .to_owned()
        }
        Reason::GpuPin { trouble: PinTrouble::Held { device, holder }, .. } => {
            format!("once {holder} lets go of {device}")
        }
        Reason::GpuPin { wanted, trouble: PinTrouble::Ambiguous { devices } } => {
            format!("if NV_GPU named one of {} in full instead of {wanted}", devices.join(", "))
        }
        Reason::GpuPin { wanted, .. } => format!("without {wanted} in NV_GPU"),
        Reason::Role { has, .. } => format!("if acceptedResourceRoles named {has}"),
        Reason::Constraint { .. }
        | Reason::Image { .. }
        | Reason::Fetch { .. }
        | Reason::Start { .. }
        | Reason::Vanished { .. }
        | Reason::Overdue { .. }
        | Reason::GpuEngine { .. }
        | Reason::GpuMissing { .. }
        | Reason::Other { .. } => return None,
    })
}
