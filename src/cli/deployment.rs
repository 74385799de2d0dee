//! `stayer deployment`: changes on their way, and how to take one back.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::Value;

use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use crate::cli::talk::{Talk, list, number, text};

/// What `stayer deployment` is told.
#[derive(Debug, Args)]
pub struct DeploymentArgs {
    /// Which server.
    #[command(flatten)]
    remote: Remote,
    /// What to do.
    #[command(subcommand)]
    verb: DeploymentVerb,
}

#[derive(Debug, Subcommand)]
enum DeploymentVerb {
    /// List running deployments
    List,
    /// What became of deployments that are over, the newest first
    History {
        /// Only of this app or group [default: of all]
        #[arg(long, value_name = "ID", env = "STAYER_APP")]
        app: Option<String>,
        /// At most so many
        #[arg(long, default_value_t = 20, env = "STAYER_LIMIT")]
        limit: u32,
    },
    /// Go on with a deployment that is paused; its limits are counted anew
    Resume {
        /// The deployment
        id: String,
    },
    /// Take a deployment back: a new one undoes what it did
    Cancel {
        /// The deployment
        id: String,
        /// Just end it and leave its apps half-way [default: undo it]
        #[arg(
            long,
            env = "STAYER_FORCE",
            value_parser = clap::builder::FalseyValueParser::new()
        )]
        force: bool,
    },
}

/// Does it.
///
/// # Errors
/// When there is no such deployment, or the server does not answer well.
pub async fn run(args: DeploymentArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    match args.verb {
        DeploymentVerb::List => {
            let ask = Ask::get("/v2/deployments").with("embed", "state");
            let answer = talk.send(&ask).await?;
            talk.show(&answer, list_text)
        }
        DeploymentVerb::History { app, limit } => {
            let ask = Ask::get("/v2/deployments/history").with("limit", limit.to_string());
            let ask = app.iter().fold(ask, |ask, app| ask.with("app", app.clone()));
            let answer = talk.send(&ask).await?;
            talk.show(&answer, history_text)
        }
        DeploymentVerb::Resume { id } => {
            let path = format!("/v2/deployments/{id}/resume");
            let answer = talk.send(&Ask::new(Method::POST, &path)).await?;
            if talk.is_json() {
                return talk.body(&answer);
            }
            talk.console.line(&format!("deployment {id} goes on"))
        }
        DeploymentVerb::Cancel { id, force } => cancel(&mut talk, &id, force).await,
    }
}

async fn cancel(talk: &mut Talk<'_>, id: &str, force: bool) -> Result<(), Failure> {
    let path = format!("/v2/deployments/{id}");
    let answer =
        talk.send(&Ask::new(Method::DELETE, &path).with("force", force.to_string())).await?;
    if talk.is_json() {
        return talk.body(&answer);
    }
    // A forced end has no body: there is no deployment that undoes it.
    let undoing = answer.json().map(|body| text(&body, "deploymentId")).unwrap_or_default();
    let said = match undoing.as_str() {
        "" => format!("deployment {id} is ended, its apps are left half-way"),
        undoing => format!("deployment {id} is cancelled, deployment {undoing} undoes it"),
    };
    talk.console.line(&said)
}

fn list_text(body: &Value) -> String {
    let mut table = Table::new(&["ID", "STATE", "STEP", "DOES", "FAILED", "WHY"]);
    for deployment in body.as_array().into_iter().flatten() {
        table.row(vec![
            text(deployment, "id"),
            text(deployment, "state"),
            format!("{}/{}", number(deployment, "currentStep"), number(deployment, "totalSteps")),
            does(deployment),
            number(deployment, "failures").to_string(),
            why(deployment),
        ]);
    }
    table.text()
}

/// Which limit it passed, else what failed last.
fn why(deployment: &Value) -> String {
    let said = ["cause", "lastFailure"].map(|key| text(&deployment[key], "message"));
    said.into_iter().find(|said| !said.is_empty()).unwrap_or_default()
}

fn history_text(body: &Value) -> String {
    let mut table = Table::new(&["ID", "ENDED", "OUTCOME", "DID", "FAILED", "WHY"]);
    for outcome in body.as_array().into_iter().flatten() {
        table.row(vec![
            text(outcome, "id"),
            text(outcome, "endedAt"),
            ending(outcome),
            actions(outcome, "actions").join(", "),
            number(outcome, "failures").to_string(),
            text(&outcome["cause"], "message"),
        ]);
    }
    table.text()
}

/// How it ended. What took another one back is not simply done.
fn ending(outcome: &Value) -> String {
    let (word, reverts) = (text(outcome, "outcome"), text(outcome, "reverts"));
    if reverts.is_empty() { word } else { format!("{word}, took {reverts} back") }
}

/// The actions of the running step, else the apps it will change.
fn does(deployment: &Value) -> String {
    let actions = actions(deployment, "currentActions");
    if !actions.is_empty() {
        return actions.join(", ");
    }
    let apps = list(deployment, "affectedApps").iter().filter_map(Value::as_str);
    apps.collect::<Vec<_>>().join(", ")
}

/// The actions under a key, each in words.
fn actions(body: &Value, key: &str) -> Vec<String> {
    let action = |item: &Value| {
        let subject = [text(item, "app"), text(item, "pod")].concat();
        format!("{} {subject}", text(item, "action"))
    };
    list(body, key).iter().map(action).collect()
}
