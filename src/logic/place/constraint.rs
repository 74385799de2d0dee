//! The constraints of a definition, made ready for one look at the agents (PL-17 to PL-22).
//!
//! What only asks for a value (LIKE, UNLIKE, IS, CLUSTER with a value) is answered once per value. What compares
//! instances (UNIQUE, CLUSTER without a value, MAX_PER, GROUP_BY) counts those that are placed, and goes on counting while
//! a class is being placed.
//!
//! GROUP_BY is that of Marathon up to 1.10 and of its documentation (PL-21 b), with what is BETTER: the values are those
//! of registered agents, and one where no agent can take an instance holds up nobody. It needs to know where else
//! instances would fit, so it is asked apart from the rest: [`Rules::bars`] knows the others, [`Rule::lags`] knows it.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::logic::index::Index;
use crate::logic::index::fields::{Column, ValueId};
use crate::model::agent::{AttributeValue, thousandths};
use crate::model::app::AppVersion;
use crate::model::condition::Condition;
use crate::model::constraint::{Constraint, Expression, Operator};
use crate::model::id::AppKey;
use crate::model::instance::{FieldValue, Instance, Place};
use crate::model::world::World;

/// The constraints of a definition.
#[derive(Default)]
pub struct Rules<'a> {
    rules: Vec<Rule<'a>>,
    /// Which of them are GROUP_BY.
    groups: Vec<usize>,
}

/// One constraint.
pub struct Rule<'a> {
    /// As it is written.
    pub constraint: &'a Constraint,
    /// The values of its field, if any agent has one.
    pub column: Option<&'a Column>,
    name: Arc<str>,
    test: Test,
}

/// What a constraint asks, with what it has to remember.
enum Test {
    /// The value is this one; nothing when no agent has it.
    Is(Option<ValueId>),
    /// The value matches, or does not.
    Matches { expression: Option<Expression>, wanted: bool, known: Vec<Cell<Option<bool>>> },
    /// No placed instance has the value.
    Unique(Tally),
    /// Nothing is placed, or something that is placed has the value.
    Cluster(Tally),
    /// Fewer than so many placed instances have the value.
    MaxPer(Tally, u32),
    /// Values are used evenly, and at least so many before one is used again.
    GroupBy(Tally, u32),
}

/// How many placed instances have each value.
#[derive(Default)]
pub struct Tally {
    counts: Vec<u32>,
    /// Values that no agent has any more, and those without a value.
    elsewhere: BTreeMap<Option<Arc<str>>, u32>,
    groups: u32,
}

// === impl Rules ===

impl<'a> Rules<'a> {
    /// The constraints of a definition, against the instances that its app has.
    pub fn of(world: &World, index: &'a Index, app: AppKey, row: &'a AppVersion) -> Rules<'a> {
        if row.spec.constraints.is_empty() {
            return Rules::default();
        }
        let mut rules: Vec<Rule<'a>> =
            row.spec.constraints.iter().map(|constraint| Rule::of(constraint, index)).collect();
        if rules.iter().any(Rule::compares) {
            for instance in world.instances_of(app) {
                if let Some(place) = counted(instance, row) {
                    for rule in &mut rules {
                        rule.count_placed(world, place);
                    }
                }
            }
        }
        let is_group = |rule: &Rule<'_>| matches!(rule.test, Test::GroupBy(..));
        let groups = rules.iter().enumerate().filter(|(_, rule)| is_group(rule));
        let groups = groups.map(|(number, _)| number).collect();
        Rules { rules, groups }
    }

    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &Rule<'a>> {
        self.rules.iter()
    }

    /// Those of them that are GROUP_BY.
    pub fn groups(&self) -> impl Iterator<Item = &Rule<'a>> {
        self.groups.iter().map(|number| &self.rules[*number])
    }

    /// How many of them are GROUP_BY.
    pub fn group_count(&self) -> usize {
        self.groups.len()
    }

    /// Whether one of them refuses the agent in this slot, whatever is possible elsewhere. While instances are only
    /// added, what is refused once stays so.
    pub fn bars(&self, slot: usize) -> bool {
        self.rules.iter().any(|rule| rule.bars(slot))
    }

    /// Notes that one more instance is placed on the agent in this slot.
    pub fn count(&mut self, slot: usize) {
        for rule in &mut self.rules {
            let value = rule.value(slot);
            if let Some(tally) = rule.test.tally_mut() {
                tally.add_known(value);
            }
        }
    }

    /// The fields of an agent by which instances are compared, to be kept with an instance that is placed there.
    pub fn fields(&self, slot: usize) -> Vec<FieldValue> {
        let mut fields: Vec<FieldValue> = Vec::new();
        for rule in self.rules.iter().filter(|rule| rule.compares()) {
            if !fields.iter().any(|field| field.name == rule.name) {
                let value = rule.text(slot).cloned();
                fields.push(FieldValue { name: Arc::clone(&rule.name), value });
            }
        }
        fields
    }
}

// === impl Rule ===

impl<'a> Rule<'a> {
    fn of(constraint: &'a Constraint, index: &'a Index) -> Rule<'a> {
        let name = constraint.field_name();
        let known = index.fields.column(name);
        let column = known.map(|(_, column)| column);
        let name = known.map_or_else(|| Arc::from(name), |(name, _)| Arc::clone(name));
        let bound = column.map_or(0, Column::bound);
        let tally = || Tally { counts: vec![0; bound], ..Tally::default() };
        let value = constraint.value.as_deref().unwrap_or_default();
        let matches = |wanted| Test::Matches {
            // An empty one matches no value, and none does without it either (PL-20).
            expression: Expression::compile(value).filter(|_| !value.is_empty()),
            wanted,
            known: vec![Cell::new(None); bound],
        };
        let number = value.parse::<i32>().ok().and_then(|number| u32::try_from(number).ok());
        let test = match constraint.operator {
            Operator::Unique => Test::Unique(tally()),
            Operator::Cluster if value.is_empty() => Test::Cluster(tally()),
            Operator::Cluster => Test::Is(column.and_then(|column| column.id(value))),
            Operator::Is => Test::Is(column.and_then(|column| column.id(&normal_number(value)))),
            Operator::Like => matches(true),
            Operator::Unlike => matches(false),
            // One is always accepted, so that less than one is one.
            Operator::MaxPer => Test::MaxPer(tally(), number.unwrap_or(0).max(1)),
            Operator::GroupBy => Test::GroupBy(tally(), number.unwrap_or(0)),
        };
        Rule { constraint, column, name, test }
    }

    /// What the agent in this slot has in the field.
    pub fn value(&self, slot: usize) -> Option<ValueId> {
        self.column.and_then(|column| column.get(slot))
    }

    /// The same as text.
    pub fn text(&self, slot: usize) -> Option<&'a Arc<str>> {
        let column = self.column?;
        column.get(slot).map(|id| column.text(id))
    }

    /// Whether it compares instances with each other.
    pub fn compares(&self) -> bool {
        self.test.tally().is_some()
    }

    /// How many placed instances have a value; only where that matters.
    pub fn placed(&self, value: ValueId) -> u32 {
        self.test.tally().map_or(0, |tally| tally.counts[value.index()])
    }

    /// Whether it refuses the agent in this slot, whatever is possible elsewhere (PL-20).
    pub fn bars(&self, slot: usize) -> bool {
        match self.value(slot) {
            Some(value) => self.bars_value(value),
            // Only what must not match does without a value.
            None => self.constraint.operator != Operator::Unlike,
        }
    }

    /// Whether it refuses every agent with this value.
    pub fn bars_value(&self, value: ValueId) -> bool {
        match &self.test {
            Test::Is(wanted) => *wanted != Some(value),
            Test::Matches { expression, wanted, known } => {
                let matches = || {
                    let Some((expression, column)) = expression.as_ref().zip(self.column) else {
                        return !wanted;
                    };
                    expression.matches(column.text(value))
                };
                let known = &known[value.index()];
                let matches = known.get().unwrap_or_else(matches);
                known.set(Some(matches));
                matches != *wanted
            }
            Test::Unique(tally) => tally.counts[value.index()] > 0,
            Test::Cluster(tally) => tally.groups > 0 && tally.counts[value.index()] == 0,
            Test::MaxPer(tally, most) => tally.counts[value.index()] >= *most,
            Test::GroupBy(..) => false,
        }
    }

    /// Whether this GROUP_BY refuses a value for now: a used one before enough others are used, or one that has more than
    /// `least`, the fewest of any value where an instance would fit (PL-21).
    pub fn lags(&self, value: ValueId, least: Option<u32>) -> bool {
        let Test::GroupBy(tally, at_least) = &self.test else { return false };
        let count = tally.counts[value.index()];
        count > 0 && (tally.groups < *at_least || least.is_some_and(|least| count > least))
    }

    /// How many values are used and how many must be before one is used again; only of a GROUP_BY.
    pub fn spread(&self) -> Option<(u32, u32)> {
        match &self.test {
            Test::GroupBy(tally, at_least) => Some((tally.groups, *at_least)),
            Test::Is(_)
            | Test::Matches { .. }
            | Test::Unique(_)
            | Test::Cluster(_)
            | Test::MaxPer(..) => None,
        }
    }

    /// How many instances one value takes; only where there is such a number.
    pub fn most(&self) -> Option<u32> {
        match &self.test {
            Test::Unique(_) => Some(1),
            Test::MaxPer(_, most) => Some(*most),
            Test::Is(_) | Test::Matches { .. } | Test::Cluster(_) | Test::GroupBy(..) => None,
        }
    }

    /// The value that the constraint had for a placed instance: that of its launch, or that of its agent now for one that
    /// was launched without this constraint.
    pub fn value_of(&self, world: &World, place: &Place) -> Option<Arc<str>> {
        match place.fields.iter().find(|field| *field.name == *self.name) {
            Some(field) => field.value.clone(),
            None => {
                let agent = world.agents.get(&place.agent)?;
                agent.inventory.field(&self.name).map(|text| Arc::from(&*text))
            }
        }
    }

    fn count_placed(&mut self, world: &World, place: &Place) {
        if !self.compares() {
            return;
        }
        let text = self.value_of(world, place);
        let known = text.as_deref().and_then(|text| self.column?.id(text));
        let Some(tally) = self.test.tally_mut() else { return };
        match known {
            Some(_) => tally.add_known(known),
            None => tally.add_elsewhere(text),
        }
    }
}

// === impl Test ===

impl Test {
    fn tally(&self) -> Option<&Tally> {
        match self {
            Test::Unique(tally)
            | Test::Cluster(tally)
            | Test::MaxPer(tally, _)
            | Test::GroupBy(tally, _) => Some(tally),
            Test::Is(_) | Test::Matches { .. } => None,
        }
    }

    fn tally_mut(&mut self) -> Option<&mut Tally> {
        match self {
            Test::Unique(tally)
            | Test::Cluster(tally)
            | Test::MaxPer(tally, _)
            | Test::GroupBy(tally, _) => Some(tally),
            Test::Is(_) | Test::Matches { .. } => None,
        }
    }
}

// === impl Tally ===

impl Tally {
    fn add_known(&mut self, value: Option<ValueId>) {
        let Some(value) = value else { return self.add_elsewhere(None) };
        let count = &mut self.counts[value.index()];
        *count += 1;
        self.groups += u32::from(*count == 1);
    }

    /// Placed instances without a value form a group of their own (PL-21).
    fn add_elsewhere(&mut self, value: Option<Arc<str>>) {
        let count = self.elsewhere.entry(value).or_default();
        *count += 1;
        self.groups += u32::from(*count == 1);
    }
}

/// Where an instance counts for the constraints of a definition, if it does (PL-19). Instances of other configurations do
/// not, so that in an upgrade new ones may stand beside old ones; what is kept on its volume does, although it waits
/// (BETTER).
pub fn counted<'i>(instance: &'i Instance, row: &AppVersion) -> Option<&'i Place> {
    let is_known = match instance.condition() {
        Some(
            Condition::Unreachable | Condition::Gone | Condition::Dropped | Condition::Unknown,
        ) => false,
        None
        | Some(
            Condition::Provisioned
            | Condition::Staging
            | Condition::Starting
            | Condition::Running
            | Condition::Killing
            | Condition::UnreachableInactive
            | Condition::Finished
            | Condition::Killed
            | Condition::Failed
            | Condition::Error,
        ) => true,
    };
    let is_kin = instance.config == row.config || instance.version.0 >= row.last_config_change_at;
    instance.place.as_ref().filter(|_| is_known && is_kin)
}

/// A number as attributes are written, all else as it is (PL-20).
fn normal_number(text: &str) -> String {
    let number =
        thousandths(text).filter(|_| text.starts_with(|first: char| first.is_ascii_digit()));
    number.map_or_else(|| text.to_owned(), |number| AttributeValue::Scalar(number).to_string())
}

#[cfg(test)]
mod tests;
