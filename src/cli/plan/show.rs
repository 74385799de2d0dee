//! A plan in words: for each app what becomes of it, what differs, where its instances go and what may go wrong.

use serde_json::Value;

use crate::cli::explain::explanation_text;
use crate::cli::paint::Paint;
use crate::cli::table::printable;
use crate::cli::talk::{list, number, text};

/// The longest value that is shown whole.
const LONGEST_VALUE: usize = 100;

/// A plan in words.
pub fn plan_text(body: &Value, paint: Paint) -> String {
    let apps = list(body, "apps");
    let mut paragraphs: Vec<String> = apps.iter().map(|app| app_text(app, paint)).collect();
    paragraphs.extend(steps_text(body));
    let cancels: Vec<String> =
        list(body, "cancels").iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if !cancels.is_empty() {
        let line = format!("! cancels the running deployment {}", cancels.join(", "));
        paragraphs.push(paint.red(&line));
    }
    paragraphs.push(summary(apps));
    paragraphs.join("\n\n")
}

fn app_text(app: &Value, paint: Paint) -> String {
    let mut lines = vec![head(app, paint)];
    lines.extend(list(app, "diff").iter().map(|one| format!("    {}", difference(one, paint))));
    lines.extend(places(app).map(|line| format!("    {line}")));
    let warnings = list(app, "warnings").iter();
    lines.extend(
        warnings.map(|one| format!("    {}", paint.yellow(&format!("! {}", text(one, "text"))))),
    );
    if let Some(explanation) = app.get("explanation") {
        lines.extend(explanation_text(explanation).lines().map(|line| format!("      {line}")));
    }
    lines.join("\n")
}

/// The sign of what becomes of an app, and in words.
fn head(app: &Value, paint: Paint) -> String {
    let none = Value::Null;
    let instances = app.get("instances").unwrap_or(&none);
    let (before, after) = (number(instances, "before"), number(instances, "after"));
    let (kept, ended) = (number(instances, "kept"), number(instances, "ended"));
    let id = paint.bold(&printable(&text(app, "id")));
    match text(app, "change").as_str() {
        "create" => format!("{} {id} is created with {}", paint.green("+"), counted(after)),
        "remove" => format!("{} {id} is removed, {} end", paint.red("-"), counted(ended)),
        "scale" => {
            format!("{} {id} is scaled from {before} to {}", paint.yellow("~"), counted(after))
        }
        "restart" => format!(
            "{} {id} is restarted: {} of the new configuration, {kept} go on",
            paint.yellow("~"),
            counted(after)
        ),
        "update" => format!("{} {id} is stored anew, nothing restarts", paint.yellow("~")),
        _ => paint.dim(&format!("  {} stays as it is", text(app, "id"))),
    }
}

fn counted(instances: u64) -> String {
    if instances == 1 { "1 instance".to_owned() } else { format!("{instances} instances") }
}

fn difference(one: &Value, paint: Paint) -> String {
    let path = printable(&text(one, "path"));
    let hidden = one.get("secret").and_then(Value::as_bool).unwrap_or(false);
    let value = |key: &str| match one.get(key) {
        Some(value) => short(&value.to_string()),
        None if hidden => "(not shown)".to_owned(),
        None => String::new(),
    };
    match text(one, "op").as_str() {
        "add" => paint.green(&format!("+ {path}: {}", value("after"))),
        "remove" => paint.red(&format!("- {path}: {}", value("before"))),
        _ if hidden => paint.yellow(&format!("~ {path}: (not shown)")),
        _ => paint.yellow(&format!("~ {path}: {} -> {}", value("before"), value("after"))),
    }
}

fn short(value: &str) -> String {
    let value = printable(value);
    match value.char_indices().nth(LONGEST_VALUE) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value,
    }
}

fn places(app: &Value) -> impl Iterator<Item = String> {
    let places = list(app, "placements").iter();
    let places: Vec<String> = places
        .map(|place| {
            format!("{} on {}", number(place, "instances"), printable(&text(place, "host")))
        })
        .collect();
    (!places.is_empty()).then(|| format!("starts {}", places.join(", "))).into_iter()
}

fn steps_text(body: &Value) -> Option<String> {
    let steps = list(body, "steps");
    let action = |one: &Value| format!("{} {}", text(one, "action"), text(one, "app"));
    let line = |(no, step): (usize, &Value)| {
        let actions: Vec<String> = list(step, "actions").iter().map(action).collect();
        format!("  {}. {}", no + 1, actions.join(", "))
    };
    let lines: Vec<String> = steps.iter().enumerate().map(line).collect();
    (!lines.is_empty()).then(|| format!("steps:\n{}", lines.join("\n")))
}

fn summary(apps: &[Value]) -> String {
    let count = |change: &str| apps.iter().filter(|app| text(app, "change") == change).count();
    let kinds = ["create", "restart", "scale", "update", "remove"];
    let parts: Vec<String> = kinds
        .iter()
        .map(|kind| (count(kind), kind))
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{count} to {kind}"))
        .collect();
    if parts.is_empty() {
        return "nothing changes".to_owned();
    }
    format!("plan: {}; nothing was changed", parts.join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plan() -> Value {
        json!({"apps": [
            {"id": "/a", "change": "restart",
                "instances": {"before": 2, "after": 2, "kept": 0, "ended": 2, "waiting": 1},
                "diff": [{"op": "replace", "path": "/cpus", "before": 0.1, "after": 0.2},
                    {"op": "add", "path": "/env/A", "after": "1"},
                    {"op": "remove", "path": "/env/TOKEN", "secret": true}],
                "placements": [{"host": "h1", "instances": 1}],
                "explanation": {"app": "/a", "waiting": 1, "verdict": "1 wait: no agent", "instances": {}},
                "warnings": [{"kind": "downtime", "text": "there is downtime"}]},
            {"id": "/b", "change": "none", "instances": {}}],
            "steps": [{"actions": [{"action": "RestartApplication", "app": "/a"}]}],
            "cancels": ["d1"]})
    }

    #[test]
    fn a_plan_is_read_from_top_to_bottom() {
        let expected = "\
~ /a is restarted: 2 instances of the new configuration, 0 go on
    ~ /cpus: 0.1 -> 0.2
    + /env/A: \"1\"
    - /env/TOKEN: (not shown)
    starts 1 on h1
    ! there is downtime
      /a: 0 of 0 running, 1 waiting
      1 wait: no agent

  /b stays as it is

steps:
  1. RestartApplication /a

! cancels the running deployment d1

plan: 1 to restart; nothing was changed";
        assert_eq!(plan_text(&plan(), Paint::new(false)), expected);
    }

    #[test]
    fn a_terminal_gets_colours_for_what_comes_goes_and_changes() {
        let shown = plan_text(&plan(), Paint::new(true));
        for part in ["\u{1b}[32m+ /env/A", "\u{1b}[31m- /env/TOKEN", "\u{1b}[33m~ /cpus"] {
            assert!(shown.contains(part), "{part:?}: {shown:?}");
        }
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        let same = json!({"apps": [{"id": "/b", "change": "none", "instances": {}}]});
        assert_eq!(plan_text(&same, Paint::new(false)), "  /b stays as it is\n\nnothing changes");
    }
}
