//! Bodies as people type them: a JSON file as it is, or `key=value` pairs that become an object.

use serde_json::{Map, Value};

use crate::cli::console::Console;
use crate::cli::failure::Failure;

/// Fields that are texts whatever their value looks like: `cmd=true` runs `true`.
const TEXTS: &[&str] = &["cmd", "executor", "id", "killSelection", "role", "user", "version"];

/// The body of an update: pairs, or a file.
///
/// # Errors
/// When pairs and files are mixed, a pair is given twice, or a file cannot be read.
pub fn of_changes(console: &mut Console, changes: &[String]) -> Result<String, Failure> {
    let pairs: Option<Vec<(&str, &str)>> = changes.iter().map(|change| pair(change)).collect();
    match (pairs, changes) {
        (Some(pairs), _) => of_pairs(&pairs).map(|object| Value::Object(object).to_string()),
        (None, [file]) => console.read(file),
        (None, _) => {
            Err(Failure::Usage("give either key=value pairs or one file, not both".to_owned()))
        }
    }
}

/// Whether the text is a list of apps, as far as its first character says.
pub fn is_list(body: &str) -> bool {
    body.trim_start().starts_with('[')
}

/// The ids in a list of apps.
pub fn ids(body: &str) -> Vec<String> {
    let apps: Vec<Value> = serde_json::from_str(body).unwrap_or_default();
    apps.iter().filter_map(|app| app.get("id")?.as_str()).map(absolute).collect()
}

/// An app id with its leading slash.
pub fn absolute(id: &str) -> String {
    format!("/{}", id.trim_matches('/'))
}

/// `key=value`, where the key is a word; `./a=b` is a file.
fn pair(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.split_once('=')?;
    let is_word = !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric());
    is_word.then_some((key, value))
}

fn of_pairs(pairs: &[(&str, &str)]) -> Result<Map<String, Value>, Failure> {
    let mut object = Map::new();
    for (key, text) in pairs {
        let value = match serde_json::from_str(text) {
            Ok(value) if !TEXTS.contains(key) => value,
            Ok(_) | Err(_) => Value::String((*text).to_owned()),
        };
        if object.insert((*key).to_owned(), value).is_some() {
            return Err(Failure::Usage(format!("{key} is given twice")));
        }
    }
    Ok(object)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn body(changes: &[&str]) -> Result<String, Failure> {
        let mut console = Console::new(&b"{ as: it is"[..], io::sink(), io::sink());
        let changes: Vec<String> = changes.iter().map(|&change| change.to_owned()).collect();
        of_changes(&mut console, &changes)
    }

    #[test]
    fn a_value_is_json_where_it_can_be_and_text_otherwise() {
        let said = body(&["cpus=0.5", "cmd=true", r#"env={"A":"b=c"}"#, "labels=x", "args="]);
        let object = r#"{"args":"","cmd":"true","cpus":0.5,"env":{"A":"b=c"},"labels":"x"}"#;
        assert_eq!(said, Ok(object.to_owned()));
    }

    #[test]
    fn a_file_goes_as_it_is() {
        assert_eq!(body(&["-"]), Ok("{ as: it is".to_owned()));
        assert!(matches!(body(&["./a=b"]), Err(Failure::Usage(_))), "a file that is not there");
    }

    #[test]
    fn what_is_ambiguous_is_refused() {
        assert!(matches!(body(&["cpus=1", "app.json"]), Err(Failure::Usage(_))));
        assert_eq!(body(&["cpus=1", "cpus=2"]), Err(Failure::Usage("cpus is given twice".into())));
    }

    #[test]
    fn ids_of_a_list_are_absolute() {
        assert!(is_list(" \n[{}]") && !is_list("{}"));
        assert_eq!(ids(r#"[{"id":"a"},{"id":"/b/c"},{}]"#), ["/a", "/b/c"]);
    }
}
