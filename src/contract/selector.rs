//! Which apps a list has: label selectors (contract 17.3) and the filters by id and command.

use std::collections::BTreeMap;

use crate::contract::fault::Fault;
use crate::contract::query::Query;
use crate::model::spec::Spec;

/// A label selector: every requirement must hold. None at all matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(Vec<Requirement>);

/// What one label must be.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    label: String,
    test: Test,
}

/// What must hold of a label that is there; a label that is not there passes no test.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Test {
    Present,
    In(Vec<String>),
    NotIn(Vec<String>),
}

/// Why a text is no selector, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Can not parse label selector {text}. Reason: {expected} expected at character {at}")]
pub struct SelectorError {
    text: String,
    expected: &'static str,
    at: usize,
}

/// Which apps a list has. All of it must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppFilter {
    /// Part of the command, in lower case.
    cmd: Option<String>,
    /// Part of the id, in lower case.
    id: Option<String>,
    /// Labels.
    labels: Selector,
}

/// A text that is read from left to right.
struct Parser<'a> {
    text: &'a str,
    at: usize,
}

// === impl Selector ===

impl Selector {
    /// Reads a selector.
    ///
    /// # Errors
    /// When the text breaks the grammar.
    pub fn parse(text: &str) -> Result<Selector, SelectorError> {
        let mut parser = Parser { text, at: 0 };
        let mut requirements = Vec::new();
        parser.space();
        while !parser.is_done() {
            if !requirements.is_empty() {
                parser.expect(",", "',' or the end")?;
            }
            requirements.push(parser.requirement()?);
        }
        Ok(Selector(requirements))
    }

    /// Whether these labels are selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| {
            labels.get(&requirement.label).is_some_and(|value| match &requirement.test {
                Test::Present => true,
                Test::In(values) => values.contains(value),
                Test::NotIn(values) => !values.contains(value),
            })
        })
    }
}

// === impl SelectorError ===

impl From<SelectorError> for Fault {
    fn from(error: SelectorError) -> Fault {
        Fault::Illegal(error.to_string())
    }
}

// === impl AppFilter ===

impl AppFilter {
    /// Reads `cmd`, `id` and `label` (contract 3.2).
    ///
    /// # Errors
    /// When the label selector breaks its grammar.
    pub fn parse(query: &Query) -> Result<AppFilter, SelectorError> {
        let lower = |name| query.first(name).map(str::to_lowercase);
        let labels = query.first("label").map(Selector::parse).transpose()?.unwrap_or_default();
        Ok(AppFilter { cmd: lower("cmd"), id: lower("id"), labels })
    }

    /// Whether the app of this definition is in the list.
    pub fn takes(&self, spec: &Spec) -> bool {
        let cmd = spec.container().cmd.as_deref().map(str::to_lowercase);
        has_part(cmd.as_deref(), self.cmd.as_deref())
            && has_part(Some(spec.path.as_str()), self.id.as_deref())
            && self.labels.matches(&spec.labels)
    }
}

// === impl Parser ===

impl Parser<'_> {
    fn requirement(&mut self) -> Result<Requirement, SelectorError> {
        let label = self.term("a label")?;
        if self.take("==") {
            let values = vec![self.term("a value")?];
            return Ok(Requirement { label, test: Test::In(values) });
        }
        if self.take("!=") {
            let values = vec![self.term("a value")?];
            return Ok(Requirement { label, test: Test::NotIn(values) });
        }
        if self.is_done() || self.rest().starts_with(',') {
            return Ok(Requirement { label, test: Test::Present });
        }
        let start = self.at;
        let wanted = "'==', '!=', 'in', 'notin', ',' or the end";
        let word = self.term(wanted)?;
        let test = match word.as_str() {
            "in" => Test::In(self.values()?),
            "notin" => Test::NotIn(self.values()?),
            _ => {
                self.at = start;
                return Err(self.error(wanted));
            }
        };
        Ok(Requirement { label, test })
    }

    fn values(&mut self) -> Result<Vec<String>, SelectorError> {
        self.expect("(", "'('")?;
        let mut values = vec![self.term("a value")?];
        while self.take(",") {
            values.push(self.term("a value")?);
        }
        self.expect(")", "',' or ')'")?;
        Ok(values)
    }

    /// Letters, digits, `-`, `_`, `.`, and anything behind a backslash.
    fn term(&mut self, what: &'static str) -> Result<String, SelectorError> {
        let mut term = String::new();
        let mut letters = self.rest().chars();
        let mut length = 0;
        while let Some(letter) = letters.next() {
            let taken = match letter {
                '\\' => letters.next(),
                '-' | '_' | '.' => Some(letter),
                _ => Some(letter).filter(char::is_ascii_alphanumeric),
            };
            let Some(taken) = taken else { break };
            term.push(taken);
            length += taken.len_utf8() + usize::from(letter == '\\');
        }
        if term.is_empty() {
            return Err(self.error(what));
        }
        self.at += length;
        self.space();
        Ok(term)
    }

    fn expect(&mut self, token: &str, what: &'static str) -> Result<(), SelectorError> {
        if self.take(token) { Ok(()) } else { Err(self.error(what)) }
    }

    fn take(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
            self.space();
        }
        found
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn is_done(&self) -> bool {
        self.at == self.text.len()
    }

    fn error(&self, expected: &'static str) -> SelectorError {
        let at = self.text[..self.at].chars().count() + 1;
        SelectorError { text: self.text.to_owned(), expected, at }
    }
}

/// Whether `part` is in `text`, if a part is asked for.
fn has_part(text: Option<&str>, part: Option<&str>) -> bool {
    part.is_none_or(|part| text.is_some_and(|text| text.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::show::rig;

    #[test]
    fn each_form_of_17_3() {
        let labels: BTreeMap<String, String> = [("env", "prod"), ("a b", "x,y"), ("in", "1")]
            .map(|(k, v)| (k.into(), v.into()))
            .into();
        for (selector, expected) in [
            ("", true),
            ("  ", true),
            ("env", true),
            ("other", false),
            ("env==prod", true),
            (" env  ==  prod ", true),
            ("env==test", false),
            ("env!=test", true),
            ("env!=prod", false),
            ("other!=x", false),
            ("env in (test, prod)", true),
            ("env in(test)", false),
            ("env notin (test)", true),
            ("env notin (test,prod)", false),
            ("other notin (x)", false),
            ("env==prod,in==1", true),
            ("env==prod, other", false),
            (r"a\ b==x\,y", true),
            ("in in (1)", true),
            ("in", true),
        ] {
            let read = Selector::parse(selector).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(read.matches(&labels), expected, "{selector}");
        }
    }

    #[test]
    fn what_breaks_the_grammar_is_refused_with_its_place() {
        for (selector, expected, at) in [
            ("env=prod", "'==', '!=', 'in', 'notin', ',' or the end", 4),
            ("env ==", "a value", 7),
            ("env,", "a label", 5),
            (",env", "a label", 1),
            ("env in prod", "'('", 8),
            ("env in (", "a value", 9),
            ("env in (a", "',' or ')'", 10),
            ("env on (a)", "'==', '!=', 'in', 'notin', ',' or the end", 5),
            ("ünv", "a label", 1),
            ("a==b c", "',' or the end", 6),
            ("a\\", "'==', '!=', 'in', 'notin', ',' or the end", 2),
        ] {
            let error = Selector::parse(selector).expect_err(selector);
            let text = format!(
                "Can not parse label selector {selector}. Reason: {expected} expected at character {at}"
            );
            assert_eq!(error.to_string(), text);
            assert_eq!(Fault::from(error), Fault::Illegal(text));
        }
    }

    #[test]
    fn filters_combine_and_ignore_case() {
        let mut spec = rig::spec("/shop/Web".to_lowercase().as_str());
        spec.labels = [("env".to_owned(), "prod".to_owned())].into();
        let takes = |spec: &Spec, text: &str| {
            AppFilter::parse(&Query::parse(text)).expect("a filter").takes(spec)
        };
        for (text, expected) in [
            ("", true),
            ("cmd=SLEEP", true),
            ("cmd=echo", false),
            ("id=/SHOP", true),
            ("id=/web", true),
            ("id=db", false),
            ("label=env", true),
            ("cmd=sleep&id=web&label=env%3D%3Dprod", true),
            ("cmd=sleep&id=web&label=env%3D%3Dtest", false),
        ] {
            assert_eq!(takes(&spec, text), expected, "{text}");
        }
        spec.containers[0].cmd = None;
        assert!(!takes(&spec, "cmd="), "an app without a command never matches one");
    }
}
