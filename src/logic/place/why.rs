//! What the constraints of a definition say of each agent, for people: which value it has, which would do, and who is in
//! the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::logic::place::Ask;
use crate::logic::place::check::holder;
use crate::logic::place::constraint::{Rule, Rules, counted};
use crate::model::constraint::Operator;
use crate::model::id::InstanceKey;
use crate::model::reason::Reason;

/// Who was first to take each value, by constraint.
pub struct Holders(Vec<BTreeMap<Arc<str>, InstanceKey>>);

// === impl Holders ===

impl Holders {
    /// Of all instances that count.
    pub fn of(ask: &Ask<'_>, rules: &Rules<'_>) -> Holders {
        let first = |rule: &Rule<'_>| {
            let mut holders = BTreeMap::new();
            for instance in ask.world.instances_of(ask.app) {
                let place = counted(instance, ask.row);
                if let Some(value) = place.and_then(|place| rule.value_of(ask.world, place)) {
                    holders.entry(value).or_insert(instance.key);
                }
            }
            holders
        };
        Holders(rules.iter().map(first).collect())
    }

    /// What the constraints, but GROUP_BY, have against the agent in a slot.
    pub fn reasons(&self, ask: &Ask<'_>, rules: &Rules<'_>, slot: usize) -> Vec<Reason> {
        let barring = rules.iter().zip(&self.0).filter(|(rule, _)| rule.bars(slot));
        barring
            .map(|(rule, holders)| {
                let has = rule.text(slot);
                reason(rule, has, detail(ask, rule, holders, slot))
            })
            .collect()
    }
}

/// What a GROUP_BY has against the agent in a slot, when `least` is the fewest that any value has where an instance would
/// fit.
pub fn lag(rule: &Rule<'_>, slot: usize, least: Option<u32>) -> Option<Reason> {
    let value = rule.value(slot).filter(|value| rule.lags(*value, least))?;
    let has = rule.text(slot)?;
    let count = rule.placed(value);
    let (used, at_least) = rule.spread()?;
    let detail = if used < at_least {
        format!("{has} has {count} already, and only {used} of {at_least} values are used")
    } else {
        format!("{has} has {count} already, others where it fits have {}", least.unwrap_or(0))
    };
    Some(reason(rule, Some(has), detail))
}

fn reason(rule: &Rule<'_>, has: Option<&Arc<str>>, detail: String) -> Reason {
    let has = has.map(|text| text.as_ref().to_owned());
    Reason::Constraint { constraint: rule.constraint.clone(), has, detail }
}

fn detail(
    ask: &Ask<'_>,
    rule: &Rule<'_>,
    holders: &BTreeMap<Arc<str>, InstanceKey>,
    slot: usize,
) -> String {
    let Some((has, value)) = rule.text(slot).zip(rule.value(slot)) else {
        return format!("the agent has no attribute {}", rule.constraint.field_name());
    };
    match (rule.constraint.operator, holders.get(has), holders.keys().next()) {
        (Operator::Unique, Some(key), _) => {
            format!("{has} is taken by {}", holder(ask.world, *key))
        }
        (Operator::MaxPer, ..) => format!("{has} has {} already", rule.placed(value)),
        (Operator::Cluster, None, Some(used)) if rule.compares() => {
            format!("the agent has {has}, the app is on {used}")
        }
        (
            Operator::Unique
            | Operator::Cluster
            | Operator::GroupBy
            | Operator::Like
            | Operator::Unlike
            | Operator::Is,
            ..,
        ) => format!("the agent has {has}"),
    }
}
