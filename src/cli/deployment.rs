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
            let answer = talk.send(&Ask::get("/v2/deployments")).await?;
            talk.show(&answer, list_text)
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
    let mut table = Table::new(&["ID", "STEP", "DOES", "VERSION"]);
    for deployment in body.as_array().into_iter().flatten() {
        table.row(vec![
            text(deployment, "id"),
            format!("{}/{}", number(deployment, "currentStep"), number(deployment, "totalSteps")),
            does(deployment),
            text(deployment, "version"),
        ]);
    }
    table.text()
}

/// The actions of the running step, else the apps it will change.
fn does(deployment: &Value) -> String {
    let action = |item: &Value| {
        let subject = [text(item, "app"), text(item, "pod")].concat();
        format!("{} {subject}", text(item, "action"))
    };
    let actions: Vec<String> = list(deployment, "currentActions").iter().map(action).collect();
    if !actions.is_empty() {
        return actions.join(", ");
    }
    let apps = list(deployment, "affectedApps").iter().filter_map(Value::as_str);
    apps.collect::<Vec<_>>().join(", ")
}
