//! What would help an app that waits: what no agent can ever give first, then the agents that lack least.

use crate::logic::place::account::{AgentAnswer, LeftOut, PastEnd};
use crate::logic::place::constraint::{Rule, Rules};
use crate::model::constraint::Operator;
use crate::model::reason::Reason;
use crate::model::spec::Spec;
use crate::model::unit::Mem;
use crate::model::world::World;

/// So many agents are named, and so many values of a field.
const NAMED: (usize, usize) = (3, 10);

/// Sentences, the nearest fix first.
pub fn help(
    world: &World,
    rules: &Rules<'_>,
    agents: &[AgentAnswer],
    left_out: &[LeftOut],
) -> Vec<String> {
    if agents.is_empty() {
        return vec!["no agent is registered: start one".to_owned()];
    }
    if agents.iter().any(|answer| answer.reasons.is_empty()) {
        return Vec::new();
    }
    let mut help: Vec<String> = rules.iter().filter_map(of_constraint).collect();
    let mut nearest: Vec<&AgentAnswer> = agents.iter().collect();
    nearest.sort_by_key(|answer| (answer.reasons.len(), answer.agent));
    help.extend(nearest.into_iter().filter_map(|answer| fix(world, answer)).take(NAMED.0));
    if help.is_empty() {
        help.extend(left_out.iter().map(|value| format!("room where {value}")));
    }
    help
}

/// What would help an app whose lives end again and again.
pub fn of_end(end: &PastEnd, spec: &Spec) -> Option<String> {
    let mem: Mem = spec.containers.iter().fold(Mem::ZERO, |sum, container| sum + container.mem);
    Some(match end.kind? {
        "finished" => {
            "its command ends by itself, and an app is expected to go on running".to_owned()
        }
        "oom" => format!("it needs more than the {mem} MiB of memory that its definition gives it"),
        _ if end.message.ends_with("status 127") => {
            "with 127 a shell says that there is no such command; its log names it".to_owned()
        }
        _ => return None,
    })
}

/// What is wrong with a constraint on all agents alike.
fn of_constraint(rule: &Rule<'_>) -> Option<String> {
    let name = rule.constraint.field_name();
    let value = rule.constraint.value.as_deref().unwrap_or_default();
    let Some(column) = rule.column else {
        let is_needed = rule.constraint.operator != Operator::Unlike;
        return is_needed.then(|| format!("no agent has an attribute {name}"));
    };
    let count = column.values().count();
    if let Some((_, at_least)) = rule.spread() {
        return (u32::try_from(count).is_ok_and(|count| count < at_least)).then(|| {
            format!(
                "{} needs {at_least} values, agents have {count}: {}",
                rule.constraint,
                known(rule)
            )
        });
    }
    if !column.values().all(|(_, value)| rule.bars_value(value)) {
        return None;
    }
    Some(match rule.constraint.operator {
        Operator::Unique | Operator::MaxPer => all_taken(rule, name, count),
        Operator::Is | Operator::Cluster => {
            format!("no agent has {name}={value}; known: {}", known(rule))
        }
        Operator::Like => format!("no agent has a {name} like {value}; known: {}", known(rule)),
        Operator::Unlike => format!("every {name} is like {value}; known: {}", known(rule)),
        Operator::GroupBy => return None,
    })
}

fn all_taken(rule: &Rule<'_>, name: &str, count: usize) -> String {
    let most = rule.most().unwrap_or(1);
    let all = match count {
        1 => format!("the only value of {name} is taken"),
        _ => format!("all {count} values of {name} are taken"),
    };
    let more = if name == "hostname" { String::new() } else { format!(" with another {name}") };
    let fits = u32::try_from(count).unwrap_or(u32::MAX).saturating_mul(most);
    format!("{all}; add an agent{more} or scale to {fits}")
}

/// The values that agents have, the first few of them by name.
fn known(rule: &Rule<'_>) -> String {
    let values =
        || rule.column.into_iter().flat_map(|column| column.values().map(|(text, _)| text));
    let (all, named) = (values().count(), NAMED.1);
    let mut text: Vec<&str> = values().take(named).map(AsRef::as_ref).collect();
    let more = format!("{} more", all.saturating_sub(named));
    if all > named {
        text.push(&more);
    }
    text.join(", ")
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
            format!("with {} MiB less", wanted.saturating_sub(*free))
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
        Reason::Role { has, .. } => format!("if acceptedResourceRoles named {has}"),
        Reason::Constraint { .. }
        | Reason::Image { .. }
        | Reason::Fetch { .. }
        | Reason::Start { .. }
        | Reason::Vanished { .. }
        | Reason::Overdue { .. }
        | Reason::Other { .. } => return None,
    })
}
