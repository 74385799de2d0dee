//! What can be wrong with a body, and what is said beside a good one.
//!
//! How a fault becomes a status and JSON is not decided here.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// How many characters of a name or a text are repeated in an answer.
const MOST_SHOWN: usize = 128;

/// Why a body is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It is no JSON: 400.
    #[error("{0}")]
    Syntax(SyntaxFault),
    /// There is none: 400.
    #[error("no content")]
    Empty,
    /// It does not fit the type: 422 `Invalid JSON`.
    #[error("{}", list(.0))]
    Type(Vec<Problem>),
    /// It breaks rules: 422 `Object is not valid`.
    #[error("{}", list(.0))]
    Invalid(Vec<Problem>),
    /// It asks for what cannot be, without a path: 422 with the message alone.
    #[error("{0}")]
    Illegal(String),
}

/// One thing that is wrong at one place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where, as Marathon writes it: `/container/volumes(0)/hostPath` (contract 2.3).
    pub path: String,
    /// What.
    pub error: String,
}

/// Where and why a text stops being JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyntaxFault {
    /// What the parser says, in Jackson's words where clients know them.
    pub details: String,
    /// The byte, from 0.
    pub offset: usize,
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// The text around the fault, with `▶` before it.
    pub near: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Something that was taken although it is odd.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning(pub String);

/// What was read, and what is odd about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Read<T> {
    /// The value.
    pub value: T,
    /// What the user should know.
    pub warnings: Vec<Warning>,
}

/// The settings that reading depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Whether what Marathon refuses or ignores silently is refused.
    pub strict: bool,
    /// `--mesos_role`.
    pub default_role: String,
    /// `--default_network_name`.
    pub default_network: Option<String>,
}

// === impl Problem ===

impl Problem {
    /// A problem at `path`.
    pub fn new(path: impl Into<String>, error: impl Into<String>) -> Problem {
        Problem { path: path.into(), error: error.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path, self.error)
    }
}

// === impl SyntaxFault ===

impl fmt::Display for SyntaxFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {}, column {}", self.details, self.line, self.column)
    }
}

// === impl Read ===

impl<T> Read<T> {
    /// The same warnings beside another value.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Read<U> {
        Read { value: change(self.value), warnings: self.warnings }
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Options {
        Options { strict: false, default_role: "*".into(), default_network: None }
    }
}

/// Groups messages by path in the order of first mention, without repeating one (contract 2.2).
pub fn grouped(problems: &[Problem]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for problem in problems {
        let place = *places.entry(&problem.path).or_insert(groups.len());
        if place == groups.len() {
            groups.push((problem.path.clone(), Vec::new()));
        }
        let errors = &mut groups[place].1;
        if !errors.contains(&problem.error) {
            errors.push(problem.error.clone());
        }
    }
    groups
}

/// A text of the user's as it is repeated in an answer: cut where nobody would read on.
pub fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_grouped_by_path_without_repeats() {
        let problems = [
            Problem::new("/a", "x"),
            Problem::new("/b", "x"),
            Problem::new("/a", "y"),
            Problem::new("/a", "x"),
        ];
        let expected = vec![
            ("/a".to_owned(), vec!["x".to_owned(), "y".to_owned()]),
            ("/b".to_owned(), vec!["x".to_owned()]),
        ];
        assert_eq!(grouped(&problems), expected);
    }
}
