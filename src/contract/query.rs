//! Query parameters: texts, truth values, embeds, status filters (contract 17).
//!
//! Nothing here refuses anything: what Marathon does not know it ignores. The label selector, which may be refused, is
//! [`selector`](crate::contract::selector)'s.

use crate::model::condition::Condition;
use crate::model::deployment::{FailurePolicy, OnFailure};
use crate::model::instance::Instance;

/// The largest count that a definition may have as well.
const MOST_COUNT: u32 = i32::MAX.unsigned_abs();

/// The parameters of a request in their order, decoded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

/// What is shown of an app besides its definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is one switch of Marathon's")]
pub struct Embed {
    /// Its tasks.
    pub tasks: bool,
    /// How many tasks are in which state.
    pub counts: bool,
    /// The deployments that hold it.
    pub deployments: bool,
    /// Results of readiness checks.
    pub readiness: bool,
    /// Its last failure.
    pub last_failure: bool,
    /// Statistics of its tasks.
    pub stats: bool,
}

/// Which instances a list of tasks has; all when neither is asked for (SD-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaskFilter {
    /// Those that run.
    pub running: bool,
    /// Those that are staged.
    pub staging: bool,
}

// === impl Query ===

impl Query {
    /// Reads what stands behind the `?`. An escape that is none stands for itself.
    pub fn parse(text: &str) -> Query {
        let pairs = text.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Query(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    /// The first value of this name.
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of this name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// A truth value: `true` in any case is true, other text is not, none or blank is the default (17.4).
    pub fn flag(&self, name: &str, default: bool) -> bool {
        match self.first(name).map(str::trim) {
            None | Some("") => default,
            Some(text) => text.eq_ignore_ascii_case("true"),
        }
    }

    /// When the deployment of a change counts as failed (ours).
    ///
    /// # Errors
    /// Which parameter is wrong, and what it may be.
    pub fn policy(&self) -> Result<FailurePolicy, String> {
        let number = |name: &str, least: u32| match self.first(name).map(str::trim) {
            None | Some("") => Ok(None),
            Some(text) => match text.parse::<u32>() {
                Ok(number) if (least..=MOST_COUNT).contains(&number) => Ok(Some(number)),
                Ok(_) | Err(_) => {
                    Err(format!("{name} is no whole number from {least} to {MOST_COUNT}: '{text}'"))
                }
            },
        };
        let on_failure = match self.first("onFailure").map(str::trim) {
            None | Some("") => None,
            Some(text) => {
                let found = OnFailure::WORDS.iter().find(|(word, _)| *word == text);
                let wrong = || format!("onFailure is rollback, pause or none, not '{text}'");
                Some(found.ok_or_else(wrong)?.1)
            }
        };
        Ok(FailurePolicy {
            deadline_seconds: number("deadlineSeconds", 1)?,
            max_failures: number("maxFailures", 0)?,
            on_failure,
        })
    }

    /// What is to be embedded into apps.
    pub fn embed(&self) -> Embed {
        Embed::parse(self.all("embed"))
    }

    /// Whether the queue is to name the agents that refuse.
    pub fn wants_unused_offers(&self) -> bool {
        self.all("embed").any(|value| value == "lastUnusedOffers")
    }

    /// Which tasks are to be listed.
    pub fn task_filter(&self) -> TaskFilter {
        let values = || self.all("status").chain(self.all("status[]"));
        TaskFilter {
            running: values().any(|value| value.eq_ignore_ascii_case("running")),
            staging: values().any(|value| value.eq_ignore_ascii_case("staging")),
        }
    }
}

// === impl Embed ===

impl Embed {
    /// Reads values with or without the prefix of the resource; unknown ones are ignored (17.1).
    pub fn parse<'a>(values: impl IntoIterator<Item = &'a str>) -> Embed {
        let mut embed = Embed::default();
        for value in values {
            let prefixes = ["group.apps.", "apps.", "app."];
            let name = prefixes.iter().find_map(|prefix| value.strip_prefix(prefix));
            embed.add(name.unwrap_or(value));
        }
        embed
    }

    fn add(&mut self, name: &str) {
        match name {
            "tasks" => (self.tasks, self.deployments) = (true, true),
            "counts" => self.counts = true,
            "deployments" => self.deployments = true,
            "readiness" => self.readiness = true,
            "lastTaskFailure" => self.last_failure = true,
            "failures" => {
                (self.tasks, self.deployments, self.last_failure) = (true, true, true);
            }
            "taskStats" => self.stats = true,
            _ => {}
        }
    }

    /// With what a list of apps always shows.
    #[must_use]
    pub fn for_list(self) -> Embed {
        Embed { counts: true, deployments: true, ..self }
    }

    /// With what one app, or a wildcard, always shows.
    #[must_use]
    pub fn for_one(self) -> Embed {
        Embed { tasks: true, last_failure: true, ..self.for_list() }
    }
}

// === impl TaskFilter ===

impl TaskFilter {
    /// Whether an instance is in the list. The condition must be the very one: what starts is not staging.
    pub fn takes(self, instance: &Instance) -> bool {
        let condition = instance.condition();
        self == TaskFilter::default()
            || (self.running && condition == Some(Condition::Running))
            || (self.staging && condition == Some(Condition::Staging))
    }
}

/// `%2F` and `+` in a form's way.
fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match (byte, escaped(bytes, at)) {
            (b'+', _) => out.push(b' '),
            (b'%', Some(value)) => {
                out.push(value);
                at += 2;
            }
            (other, _) => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// The byte that two hexadecimal digits at `at` name.
fn escaped(bytes: &[u8], at: usize) -> Option<u8> {
    let digit = |at: usize| char::from(*bytes.get(at)?).to_digit(16);
    u8::try_from(digit(at)? * 16 + digit(at + 1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_in_order_and_repeat() {
        let query = Query::parse("label=a%3D%3Db+c&embed=x&&embed=y&bare&bad=%zz%2&utf=%C3%A4");
        assert_eq!(query.first("label"), Some("a==b c"));
        assert_eq!(query.all("embed").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(query.first("bare"), Some(""));
        assert_eq!(query.first("bad"), Some("%zz%2"));
        assert_eq!(query.first("utf"), Some("ä"));
        assert_eq!(query.first("none"), None);
    }

    #[test]
    fn truth_values_as_in_17_4() {
        for (text, expected_false, expected_true) in [
            ("", false, true),
            ("force", false, true),
            ("force=", false, true),
            ("force=%20", false, true),
            ("force=true", true, true),
            ("force=True", true, true),
            ("force=TRUE", true, true),
            ("force=1", false, false),
            ("force=yes", false, false),
            ("force=false", false, false),
            ("force=false&force=true", false, false),
        ] {
            let query = Query::parse(text);
            assert_eq!(query.flag("force", false), expected_false, "{text}");
            assert_eq!(query.flag("force", true), expected_true, "{text}");
        }
    }

    #[test]
    fn embeds_with_every_prefix() {
        let none = Embed::default();
        let tasks = Embed { tasks: true, deployments: true, ..none };
        for (text, expected) in [
            ("embed=tasks", tasks),
            ("embed=app.tasks", tasks),
            ("embed=apps.tasks", tasks),
            ("embed=group.apps.tasks", tasks),
            ("embed=app.counts", Embed { counts: true, ..none }),
            ("embed=apps.deployments", Embed { deployments: true, ..none }),
            ("embed=apps.readiness", Embed { readiness: true, ..none }),
            ("embed=lastTaskFailure", Embed { last_failure: true, ..none }),
            ("embed=apps.failures", Embed { last_failure: true, ..tasks }),
            ("embed=app.taskStats", Embed { stats: true, ..none }),
            ("embed=apps.tasks,apps.counts", none),
            ("embed=unknown&embed=", none),
            ("embed=counts&embed=readiness", Embed { counts: true, readiness: true, ..none }),
        ] {
            assert_eq!(Query::parse(text).embed(), expected, "{text}");
        }
        assert_eq!(none.for_list(), Embed { counts: true, deployments: true, ..none });
        assert_eq!(none.for_one(), Embed { counts: true, last_failure: true, ..tasks });
        assert!(Query::parse("embed=lastUnusedOffers").wants_unused_offers());
        assert!(!Query::parse("embed=other").wants_unused_offers());
    }
}
