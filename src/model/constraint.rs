//! A placement constraint of an app: a field of the agent, an operator and perhaps a value (PL-17).

use std::fmt;

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

/// A regular expression that a whole value must match, in linear time.
#[derive(Clone, Debug)]
pub struct Expression(regex::Regex);

/// The compiled size beyond which an expression is no sensible constraint.
const MAX_EXPRESSION: usize = 1 << 20;

// === impl Constraint ===

impl Constraint {
    /// The field by the name under which agents are looked up: `@hostname`, `@region` and `@zone` are only other names
    /// for the host's name and two attributes (PL-17).
    pub fn field_name(&self) -> &str {
        match self.field.as_str() {
            "@hostname" => "hostname",
            "@region" => "region",
            "@zone" => "zone",
            name => name,
        }
    }

    /// As it is written in a definition.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        [self.field.as_str(), self.operator.as_str()].into_iter().chain(self.value.as_deref())
    }
}

impl fmt::Display for Constraint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.operator.as_str())?;
        self.value.iter().try_for_each(|value| write!(f, " {value}"))
    }
}

// === impl Expression ===

impl Expression {
    /// Compiles what was checked; nothing when it is none, or too big.
    pub fn compile(text: &str) -> Option<Expression> {
        bounded(&format!("^(?:{text})$")).map(Expression)
    }

    /// Whether this is an expression. Alone too, or `a)|(b` would be one as soon as there are parentheses around it.
    pub fn is_one(text: &str) -> bool {
        bounded(text).is_some() && Expression::compile(text).is_some()
    }

    /// Whether it is the whole value.
    pub fn matches(&self, value: &str) -> bool {
        self.0.is_match(value)
    }
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

fn bounded(text: &str) -> Option<regex::Regex> {
    regex::RegexBuilder::new(text).size_limit(MAX_EXPRESSION).build().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_is_anchored_and_bounded() {
        // PL-20: the whole value, at both ends.
        let matches = |text: &str, value: &str| {
            Expression::compile(text).map(|expression| expression.matches(value))
        };
        assert_eq!(matches("rack-[1-3]", "rack-2"), Some(true));
        assert_eq!(matches("rack-[1-3]", "rack-10"), Some(false));
        assert_eq!(matches("a|b", "ab"), Some(false), "both alternatives are anchored");
        assert_eq!(matches("A", "a"), Some(false), "case counts");
        assert_eq!(matches("a", "a\n"), Some(false));
        assert!(Expression::is_one("rack-[1-3]") && Expression::is_one(""));
        for bad in ["(", "a)|(b", "(?x) a # b", "(a{1000}){1000}"] {
            assert!(!Expression::is_one(bad), "{bad}");
        }
    }

    #[test]
    fn a_constraint_is_told_as_it_is_written() {
        let constraint = Constraint {
            field: "@zone".to_owned(),
            operator: Operator::GroupBy,
            value: Some("3".to_owned()),
        };
        assert_eq!(constraint.to_string(), "@zone GROUP_BY 3");
        assert_eq!(constraint.field_name(), "zone");
        assert_eq!(constraint.parts().collect::<Vec<_>>(), ["@zone", "GROUP_BY", "3"]);
    }
}
