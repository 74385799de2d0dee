//! Placement constraints: three texts whose meaning is checked here (contract 13.5).

use std::collections::BTreeSet;

use crate::contract::read::{At, Reader};
use crate::model::constraint::{Constraint, Expression, Operator};

const UNKNOWN: &str =
    "operator must be one of the following UNIQUE, CLUSTER, GROUP_BY, LIKE, MAX_PER, UNLIKE or IS";
const IS_TEXT: &str = "IS only supports Mesos text and float values (see http://mesos.apache.org/documentation/latest/attributes-resources/)";

/// Reads `[[field, OPERATOR, value?], …]`; an operator in any case is taken (PL-17).
pub fn constraints(reader: &mut Reader<'_>, at: &At<'_>) -> Option<BTreeSet<Constraint>> {
    let path = &at.path;
    let rows = reader.list(at, |reader, at| reader.list(at, Reader::string))?;
    let mut constraints = BTreeSet::new();
    for row in rows {
        match constraint(&row) {
            Ok(constraint) => _ = constraints.insert(constraint),
            Err(error) => reader.breach(path, error),
        }
    }
    Some(constraints)
}

fn constraint(row: &[String]) -> Result<Constraint, &'static str> {
    let (field, operator, value) = match row {
        [field, operator] => (field, operator, None),
        [field, operator, value] => (field, operator, Some(value.as_str())),
        _ => return Err("Each constraint must have either 2 or 3 fields"),
    };
    if field.is_empty() {
        return Err("illegal constraint specification");
    }
    let operator = Operator::parse(operator).ok_or(UNKNOWN)?;
    value_error(operator, value).map_or(Ok(()), Err)?;
    Ok(Constraint { field: field.clone(), operator, value: value.map(str::to_owned) })
}

fn value_error(operator: Operator, value: Option<&str>) -> Option<&'static str> {
    let integer = |value: &str| value.parse::<i32>().is_ok();
    match (operator, value) {
        (Operator::Unique, Some(_)) => Some("UNIQUE does not accept a value"),
        (Operator::Unique | Operator::GroupBy, None) | (Operator::Cluster, _) => None,
        (Operator::GroupBy, Some(value)) => (!integer(value))
            .then_some("GROUP BY must define an integer value or else no value at all"),
        (Operator::MaxPer, value) => {
            (!value.is_some_and(integer)).then_some("MAX_PER requires an integer value")
        }
        (Operator::Like | Operator::Unlike, None) => {
            Some("LIKE and UNLIKE require a non-empty, regular expression value")
        }
        (Operator::Like | Operator::Unlike, Some(value)) => {
            (!Expression::is_one(value)).then_some("is not a valid regular expression")
        }
        (Operator::Is, value) => (!value.is_none_or(is_text)).then_some(IS_TEXT),
    }
}

/// What an attribute can hold.
fn is_text(value: &str) -> bool {
    value.chars().all(|char| char.is_ascii_alphanumeric() || "_/.-".contains(char))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(row: &[&str]) -> Option<&'static str> {
        constraint(&row.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()).err()
    }

    #[test]
    fn each_operator_has_its_own_rule_for_the_value() {
        // Contract 13.5.
        let cases: &[(&[&str], Option<&str>)] = &[
            (&["hostname"], Some("Each constraint must have either 2 or 3 fields")),
            (&["a", "LIKE", "b", "c"], Some("Each constraint must have either 2 or 3 fields")),
            (&["", "UNIQUE"], Some("illegal constraint specification")),
            (&["hostname", "SAME"], Some(UNKNOWN)),
            (&["hostname", "UNIQUE"], None),
            (&["hostname", "UNIQUE", ""], Some("UNIQUE does not accept a value")),
            (&["rack", "CLUSTER"], None),
            (&["rack", "CLUSTER", "rack-2"], None),
            (&["rack", "GROUP_BY"], None),
            (&["rack", "GROUP_BY", "3"], None),
            (
                &["rack", "GROUP_BY", "x"],
                Some("GROUP BY must define an integer value or else no value at all"),
            ),
            (&["rack", "MAX_PER"], Some("MAX_PER requires an integer value")),
            (&["rack", "MAX_PER", "2.5"], Some("MAX_PER requires an integer value")),
            (
                &["rack", "LIKE"],
                Some("LIKE and UNLIKE require a non-empty, regular expression value"),
            ),
            (&["rack", "UNLIKE", "("], Some("is not a valid regular expression")),
            (&["rack", "LIKE", "a)|(b"], Some("is not a valid regular expression")),
            (&["rack", "LIKE", "(a{1000}){1000}"], Some("is not a valid regular expression")),
            (&["rack", "LIKE", ""], None),
            (&["rack", "LIKE", "rack-[1-3]"], None),
            (&["rack", "IS", "a b"], Some(IS_TEXT)),
            (&["rack", "IS", "/a_b-1.5"], None),
        ];
        for (row, expected) in cases {
            assert_eq!(error(row), *expected, "{row:?}");
        }
    }

    #[test]
    fn operators_are_taken_in_any_case() {
        let row = ["hostname".to_owned(), "unique".to_owned()];
        assert_eq!(constraint(&row).map(|constraint| constraint.operator), Ok(Operator::Unique));
    }
}
