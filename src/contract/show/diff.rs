//! What differs between two definitions, member by member: JSON pointers with the values before and after.
//!
//! A plan is printed by pipelines and pasted into reviews, so what looks like a secret is told by its name alone.

use serde_json::{Map, Value};

/// What the store says of a definition rather than its author.
const NOT_WRITTEN: &[&str] = &["version", "versionInfo"];

/// Parts of names of variables whose values nobody wants to see in a log.
const SECRET_WORDS: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "TOKEN",
    "CREDENTIAL",
    "API_KEY",
    "APIKEY",
    "ACCESS_KEY",
    "PRIVATE_KEY",
];

/// One member that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Where, as a JSON pointer.
    pub path: String,
    /// What was there.
    pub before: Option<Value>,
    /// What is there.
    pub after: Option<Value>,
    /// Whether the values are not to be shown.
    pub secret: bool,
}

/// Every member that differs, in the order of pointers; each of them when there was no definition, or is none.
pub fn differences(before: Option<&Value>, after: Option<&Value>) -> Vec<Difference> {
    let mut found = Vec::new();
    let (before, after) = (before.map(written), after.map(written));
    let empty = Map::new();
    let (old, new) = (before.as_ref().unwrap_or(&empty), after.as_ref().unwrap_or(&empty));
    objects(&mut found, "", old, new);
    found
}

// === impl Difference ===

impl Difference {
    /// As JSON Patch calls it.
    pub const fn op(&self) -> &'static str {
        match (&self.before, &self.after) {
            (None, _) => "add",
            (Some(_), None) => "remove",
            (Some(_), Some(_)) => "replace",
        }
    }
}

/// The members that the author of a definition wrote or left to their defaults.
fn written(definition: &Value) -> Map<String, Value> {
    let all = definition.as_object().into_iter().flatten();
    let own = all.filter(|(key, _)| !NOT_WRITTEN.contains(&key.as_str()));
    own.map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn values(found: &mut Vec<Difference>, path: &str, before: Option<&Value>, after: Option<&Value>) {
    match (before, after) {
        (before, after) if before == after => {}
        (Some(Value::Object(old)), Some(Value::Object(new))) => objects(found, path, old, new),
        (Some(Value::Array(old)), Some(Value::Array(new))) => lists(found, path, old, new),
        // Variables and secrets are told one by one also where there were none, since some of them are not to be seen.
        (None, Some(Value::Object(new))) if holds_secrets(path) => {
            objects(found, path, &Map::new(), new);
        }
        (Some(Value::Object(old)), None) if holds_secrets(path) => {
            objects(found, path, old, &Map::new());
        }
        (before, after) => found.push(Difference {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
            secret: is_secret(path, before, after),
        }),
    }
}

fn objects(
    found: &mut Vec<Difference>,
    path: &str,
    old: &Map<String, Value>,
    new: &Map<String, Value>,
) {
    let gone = old.keys().filter(|key| !new.contains_key(*key));
    let mut keys: Vec<&String> = new.keys().chain(gone).collect();
    keys.sort();
    for key in keys {
        let below = format!("{path}/{}", key.replace('~', "~0").replace('/', "~1"));
        values(found, &below, old.get(key), new.get(key));
    }
}

fn lists(found: &mut Vec<Difference>, path: &str, old: &[Value], new: &[Value]) {
    for no in 0..old.len().max(new.len()) {
        values(found, &format!("{path}/{no}"), old.get(no), new.get(no));
    }
}

fn holds_secrets(path: &str) -> bool {
    path == "/env" || path == "/secrets"
}

/// The value of a variable whose name says so, and where a secret comes from. That a variable *is* a secret of some name
/// may be seen.
fn is_secret(path: &str, before: Option<&Value>, after: Option<&Value>) -> bool {
    let Some(name) = path.strip_prefix("/env/") else { return path.starts_with("/secrets/") };
    // What is below a variable says where its value comes from.
    if name.contains('/') {
        return false;
    }
    let name = name.to_ascii_uppercase();
    let plain = |value: Option<&Value>| value.is_some_and(|value| !value.is_object());
    SECRET_WORDS.iter().any(|word| name.contains(word)) && (plain(before) || plain(after))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(before: &Value, after: &Value) -> Vec<(String, &'static str)> {
        let all = differences(Some(before), Some(after));
        all.into_iter().map(|one| (one.path.clone(), one.op())).collect()
    }

    #[test]
    fn a_member_is_named_where_it_differs_and_nowhere_else() {
        let before = json!({"cpus": 1.0, "env": {"A": "1", "B": "2"}, "args": ["a", "b"],
            "labels": {"a/b~c": "x"}, "version": "v1", "versionInfo": {"lastScalingAt": "v1"}});
        let after = json!({"cpus": 2.0, "env": {"A": "1", "C": "3"}, "args": ["a"],
            "labels": {"a/b~c": "y"}, "version": "v2"});
        let expected = [
            ("/args/1", "remove"),
            ("/cpus", "replace"),
            ("/env/B", "remove"),
            ("/env/C", "add"),
            ("/labels/a~1b~0c", "replace"),
        ];
        let expected: Vec<_> = expected.map(|(path, op)| (path.to_owned(), op)).into();
        assert_eq!(found(&before, &after), expected);
        assert_eq!(found(&after, &after), []);
    }

    #[test]
    fn a_new_definition_is_all_additions_and_a_removed_one_all_removals() {
        let app = json!({"id": "/web", "env": {"A": "1"}, "version": "v1"});
        let added = differences(None, Some(&app));
        assert_eq!(added.iter().map(Difference::op).collect::<Vec<_>>(), ["add", "add"]);
        assert_eq!(added[0].path, "/env/A");
        let removed = differences(Some(&app), None);
        assert_eq!(removed.iter().map(Difference::op).collect::<Vec<_>>(), ["remove", "remove"]);
    }

    #[test]
    fn what_looks_like_a_secret_is_told_by_its_name_alone() {
        let before = json!({"env": {"DB_PASSWORD": "old", "MODE": "a", "API_TOKEN": {"secret": "t"}},
            "secrets": {"t": {"source": "/one"}}});
        let after = json!({"env": {"DB_PASSWORD": "new", "MODE": "b", "API_TOKEN": {"secret": "u"}},
            "secrets": {"t": {"source": "/two"}}});
        let all = differences(Some(&before), Some(&after));
        let secret: Vec<&str> =
            all.iter().filter(|one| one.secret).map(|one| one.path.as_str()).collect();
        assert_eq!(secret, ["/env/DB_PASSWORD", "/secrets/t/source"]);
        let fresh = differences(None, Some(&after));
        assert!(fresh.iter().any(|one| one.path == "/env/DB_PASSWORD" && one.secret));
        assert!(fresh.iter().any(|one| one.path == "/secrets/t" && one.secret));
    }
}
