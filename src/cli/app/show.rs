//! Apps as people read them.

use serde_json::{Map, Value};

use crate::cli::client::Ask;
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use crate::cli::talk::{self, Talk, app_path, number, text};
use crate::cli::wait::Standing;

/// What an answer says of an app beyond its definition.
const NOT_DEFINITION: &[&str] = &[
    "tasksStaged",
    "tasksRunning",
    "tasksHealthy",
    "tasksUnhealthy",
    "deployments",
    "tasks",
    "lastTaskFailure",
    "readinessCheckResults",
    "taskStats",
];

/// Lists all apps.
///
/// # Errors
/// When the server does not answer well.
pub async fn list(talk: &mut Talk<'_>) -> Result<(), Failure> {
    let ask = Ask::get("/v2/apps").with("embed", "apps.counts").with("embed", "apps.deployments");
    let answer = talk.send(&ask).await?;
    talk.show(&answer, list_text)
}

/// Shows one app, or one of its stored definitions.
///
/// # Errors
/// When there is no such app, or the server does not answer well.
pub async fn one(talk: &mut Talk<'_>, id: &str, version: Option<&str>) -> Result<(), Failure> {
    if let Some(version) = version {
        let path = format!("{}/versions/{version}", app_path(id));
        let answer = talk.send(&Ask::get(&path)).await?;
        return talk.show(&answer, pretty);
    }
    let embeds = ["app.counts", "app.deployments", "app.lastTaskFailure"];
    let ask = embeds.iter().fold(Ask::get(&app_path(id)), |ask, embed| ask.with("embed", *embed));
    let answer = talk.send(&ask).await?;
    talk.show(&answer, |body| one_text(body.get("app").unwrap_or(body)))
}

fn list_text(body: &Value) -> String {
    let mut table = Table::new(&["ID", "STATE", "RUNNING", "CPUS", "MEM", "VERSION", "RUNS"]);
    let mut apps: Vec<&Value> = talk::list(body, "apps").iter().collect();
    apps.sort_by_key(|app| text(app, "id"));
    for app in apps {
        table.row(vec![
            text(app, "id"),
            state(app).to_owned(),
            format!("{}/{}", number(app, "tasksRunning"), number(app, "instances")),
            text(app, "cpus"),
            text(app, "mem"),
            text(app, "version"),
            runs(app),
        ]);
    }
    table.text()
}

fn state(app: &Value) -> &'static str {
    let (running, wanted) = (number(app, "tasksRunning"), number(app, "instances"));
    if !talk::list(app, "deployments").is_empty() {
        "deploying"
    } else if running < wanted {
        "waiting"
    } else if number(app, "tasksUnhealthy") > 0 {
        "unhealthy"
    } else if wanted == 0 {
        "suspended"
    } else {
        "running"
    }
}

/// What an app runs, in a few words.
fn runs(app: &Value) -> String {
    const LONGEST: usize = 40;
    let image = app.pointer("/container/docker/image").and_then(Value::as_str);
    let args =
        || talk::list(app, "args").iter().filter_map(Value::as_str).collect::<Vec<_>>().join(" ");
    let cmd = app.get("cmd").and_then(Value::as_str);
    let all = image.or(cmd).map_or_else(args, str::to_owned);
    let mut shown: String = all.chars().take(LONGEST).collect();
    if all.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}

fn one_text(app: &Value) -> String {
    let mut lines = vec![Standing::of(app, "").text()];
    let deployments = talk::list(app, "deployments").iter().map(|item| text(item, "id"));
    lines.extend(deployments.map(|id| format!("  deployment {id} is running")));
    let definition: Map<String, Value> = app
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(key, _)| !NOT_DEFINITION.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    lines.push(pretty(&Value::Object(definition)));
    lines.join("\n")
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_state_is_what_stands_out_most() {
        let app = |extra: Value| {
            let mut app = json!({"instances": 1, "tasksRunning": 1});
            let into = app.as_object_mut().expect("an object");
            into.extend(extra.as_object().expect("an object").clone());
            app
        };
        assert_eq!(state(&app(json!({}))), "running");
        assert_eq!(state(&app(json!({"deployments": [{"id": "d"}]}))), "deploying");
        assert_eq!(state(&app(json!({"tasksRunning": 0}))), "waiting");
        assert_eq!(state(&app(json!({"tasksUnhealthy": 1}))), "unhealthy");
        assert_eq!(state(&app(json!({"tasksRunning": 0, "instances": 0}))), "suspended");
    }

    #[test]
    fn an_app_runs_its_image_or_its_command() {
        assert_eq!(
            runs(&json!({"container": {"docker": {"image": "nginx"}}, "cmd": "x"})),
            "nginx"
        );
        assert_eq!(runs(&json!({"args": ["a", "b"]})), "a b");
        assert_eq!(runs(&json!({"cmd": "x".repeat(50)})).chars().count(), 41);
    }
}
