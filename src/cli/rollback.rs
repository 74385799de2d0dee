//! `stayer rollback`: brings an app back to an earlier configuration, through the door that every change takes.
//!
//! Without `--to` that is the newest earlier definition which runs something else than the current one and whose
//! deployment did not fail. How many instances there are is kept: a rollback is about what runs, and an app that was
//! scaled up meanwhile must not be scaled down by it.

use clap::Args;
use reqwest::Method;
use serde_json::{Map, Value};

use crate::cli::app::body;
use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::deploy::{self, Going, Limits};
use crate::cli::failure::Failure;
use crate::cli::talk::{Talk, app_path, list, text};

/// What is about a definition rather than in it, or is kept.
const NOT_CONFIGURATION: &[&str] = &["version", "versionInfo", "instances"];

/// What `stayer rollback` is told.
#[derive(Debug, Args)]
pub struct RollbackArgs {
    /// The app
    app: String,
    /// To this one of its versions [default: the newest that ran something else and did not fail]
    #[arg(long, env = "STAYER_TO", value_name = "VERSION")]
    to: Option<String>,
    /// Cancel running deployments that hold the app [default: refuse]
    #[arg(long, env = "STAYER_FORCE", value_parser = clap::builder::FalseyValueParser::new())]
    force: bool,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    going: Going,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// Does it.
///
/// # Errors
/// When there is nothing to go back to, the server refuses it, or it does not come to that.
pub async fn run(args: RollbackArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    let path = app_path(&args.app);
    let body = talk.json(&Ask::get(&path)).await?;
    let current = body.get("app").unwrap_or(&body).clone();
    let (version, definition) = match args.to {
        Some(version) => {
            let definition = definition(&mut talk, &path, &version).await?;
            (version, definition)
        }
        None => newest_other(&mut talk, &path, &current).await?,
    };
    talk.console.note(&format!("{}: back to version {version}", body::absolute(&args.app)));
    let request = Ask::new(Method::PUT, &path)
        .with("partialUpdate", "false")
        .with("force", args.force.to_string())
        .body(put_back(&definition, &current).to_string());
    let apps = vec![body::absolute(&args.app)];
    deploy::carry_out(&mut talk, &args.limits.on(request), apps, &args.going).await
}

/// The newest earlier version that ran something else and did not fail, with its definition.
async fn newest_other(
    talk: &mut Talk<'_>,
    path: &str,
    current: &Value,
) -> Result<(String, Value), Failure> {
    let versions = talk.json(&Ask::get(&format!("{path}/versions"))).await?;
    let history = history(talk, path).await;
    let now = text(current, "version");
    let versions = list(&versions, "versions").iter().filter_map(Value::as_str);
    for version in versions.filter(|version| *version < now.as_str()) {
        if failed(&history, version) {
            continue;
        }
        let definition = definition(talk, path, version).await?;
        if configuration(&definition) != configuration(current) {
            return Ok((version.to_owned(), definition));
        }
    }
    let id = text(current, "id");
    let text = format!(
        "{id} has no earlier version that ran something else and did not fail; \
         `stayer rollback {id} --to VERSION` goes to any of GET {path}/versions"
    );
    Err(Failure::Refused { status: 404, text })
}

/// What became of the deployments of an app, as far as that is known.
async fn history(talk: &mut Talk<'_>, path: &str) -> Vec<Value> {
    let app = path.trim_start_matches("/v2/apps").to_owned();
    let ask = Ask::get("/v2/deployments/history").with("app", app).with("limit", "1000");
    let known = talk.client.send(&ask).await.and_then(|answer| answer.json());
    known.ok().and_then(|known| known.as_array().cloned()).unwrap_or_default()
}

/// Whether the deployment that brought a version did not come to its end.
fn failed(history: &[Value], version: &str) -> bool {
    let mut of_version = history.iter().filter(|outcome| text(outcome, "version") == version);
    of_version.any(|outcome| text(outcome, "outcome") != "done")
}

async fn definition(talk: &mut Talk<'_>, path: &str, version: &str) -> Result<Value, Failure> {
    talk.json(&Ask::get(&format!("{path}/versions/{version}"))).await
}

/// The members that decide what runs.
fn configuration(definition: &Value) -> Map<String, Value> {
    let mut members = definition.as_object().cloned().unwrap_or_default();
    // What an answer shows of an app's life is not in a stored definition.
    members.retain(|key, _| {
        let is_life = key.starts_with("tasks") || key == "deployments" || key == "lastTaskFailure";
        !NOT_CONFIGURATION.contains(&key.as_str()) && !is_life
    });
    members
}

/// The earlier definition with as many instances as there are.
fn put_back(definition: &Value, current: &Value) -> Value {
    let mut members = configuration(definition);
    if let Some(instances) = current.get("instances") {
        members.insert("instances".to_owned(), instances.clone());
    }
    Value::Object(members)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_put_back_is_the_configuration_with_todays_count() {
        let before = json!({"id": "/a", "cmd": "one", "instances": 1, "version": "v1",
            "versionInfo": {"lastScalingAt": "v1"}});
        let current = json!({"id": "/a", "cmd": "two", "instances": 7, "version": "v2",
            "tasksRunning": 7, "deployments": []});
        let back = json!({"id": "/a", "cmd": "one", "instances": 7});
        assert_eq!(put_back(&before, &current), back);
        assert_ne!(configuration(&before), configuration(&current));
        let scaled = json!({"id": "/a", "cmd": "two", "instances": 1, "version": "v3"});
        assert_eq!(configuration(&scaled), configuration(&current));
    }

    #[test]
    fn a_version_whose_deployment_did_not_end_well_is_not_gone_back_to() {
        let history = [
            json!({"version": "v2", "outcome": "rolledBack"}),
            json!({"version": "v1", "outcome": "done"}),
        ];
        assert!(failed(&history, "v2") && !failed(&history, "v1") && !failed(&history, "v0"));
    }
}
