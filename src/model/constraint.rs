//! A placement constraint of an app: a field of the agent, an operator and perhaps a value (PL-17).

use serde::{Deserialize, Serialize};

/// `[field, OPERATOR, value?]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Constraint {
    /// `hostname`, `@hostname`, `@region`, `@zone`, or the name of an attribute.
    pub field: String,
    /// What must hold.
    pub operator: Operator,
    /// Against which value.
    pub value: Option<String>,
}

/// What a constraint demands (PL-20).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Operator {
    /// No two instances share the value.
    Unique,
    /// All instances have the value.
    Cluster,
    /// Instances are spread evenly over the values.
    GroupBy,
    /// The value matches a regular expression.
    Like,
    /// The value does not match a regular expression.
    Unlike,
    /// At most so many instances share the value.
    MaxPer,
    /// The value is exactly this.
    Is,
}

// === impl Operator ===

impl Operator {
    /// As Marathon writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Operator::Unique => "UNIQUE",
            Operator::Cluster => "CLUSTER",
            Operator::GroupBy => "GROUP_BY",
            Operator::Like => "LIKE",
            Operator::Unlike => "UNLIKE",
            Operator::MaxPer => "MAX_PER",
            Operator::Is => "IS",
        }
    }

    /// Reads an operator in any case.
    pub fn parse(text: &str) -> Option<Operator> {
        Some(match text.to_ascii_uppercase().as_str() {
            "UNIQUE" => Operator::Unique,
            "CLUSTER" => Operator::Cluster,
            "GROUP_BY" => Operator::GroupBy,
            "LIKE" => Operator::Like,
            "UNLIKE" => Operator::Unlike,
            "MAX_PER" => Operator::MaxPer,
            "IS" => Operator::Is,
            _ => return None,
        })
    }
}
