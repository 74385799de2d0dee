//! `stayer app`: create, show, change and remove apps.
//!
//! A verb that changes something waits for its deployment and says what came of it, unless told not to.

use clap::{Args, Subcommand};
use reqwest::Method;

use crate::cli::app::change::{Aim, Change};
use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::talk::{Talk, app_path};
use crate::cli::wait::WaitArgs;

pub mod body;
pub mod change;
mod show;

/// What `stayer app` is told.
#[derive(Debug, Args)]
pub struct AppArgs {
    /// Which server.
    #[command(flatten)]
    remote: Remote,
    /// What to do.
    #[command(subcommand)]
    verb: AppVerb,
}

#[derive(Debug, Subcommand)]
enum AppVerb {
    /// Create an app from a JSON file; a list creates or changes all in it as one deployment
    Add {
        /// The file, or `-` for standard input
        #[arg(value_name = "FILE|-")]
        file: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// List apps
    List,
    /// Show an app: how many run, its last failure, its definition
    Show {
        /// The app
        id: String,
        /// Show this stored definition instead of the current one [default: the current one]
        #[arg(long, env = "STAYER_APP_VERSION", value_name = "VERSION")]
        app_version: Option<String>,
    },
    /// Change some fields of an app
    Update {
        /// The app
        id: String,
        /// Fields such as `cpus=0.5 'cmd=sleep 9' 'env={"A":"b"}'`, or a JSON file, or `-` for standard input
        #[arg(required = true, value_name = "KEY=VALUE|FILE|-")]
        changes: Vec<String>,
        #[command(flatten)]
        changing: Changing,
    },
    /// Change how many instances an app has
    Scale {
        /// The app
        id: String,
        /// How many
        instances: u32,
        #[command(flatten)]
        changing: Changing,
    },
    /// Replace every instance of an app
    Restart {
        /// The app
        id: String,
        #[command(flatten)]
        changing: Changing,
    },
    /// End an app and remove it
    Remove {
        /// The app
        id: String,
        #[command(flatten)]
        changing: Changing,
    },
}

/// What every verb that changes something takes.
#[derive(Debug, Args)]
struct Changing {
    /// Cancel running deployments that hold the app [default: refuse]
    #[arg(
        long,
        env = "STAYER_FORCE",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    force: bool,
    #[command(flatten)]
    wait: WaitArgs,
}

/// Does it.
///
/// # Errors
/// When the server does not, or it does not come to what was asked.
pub async fn run(args: AppArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    match args.verb {
        AppVerb::Add { file, changing } => add(&mut talk, &file, &changing).await,
        AppVerb::List => show::list(&mut talk).await,
        AppVerb::Show { id, app_version } => {
            show::one(&mut talk, &id, app_version.as_deref()).await
        }
        AppVerb::Update { id, changes, changing } => {
            let body = body::of_changes(talk.console, &changes)?;
            patch(&mut talk, &id, body, &changing).await
        }
        AppVerb::Scale { id, instances, changing } => {
            let body = serde_json::json!({ "instances": instances }).to_string();
            patch(&mut talk, &id, body, &changing).await
        }
        AppVerb::Restart { id, changing } => restart(&mut talk, &id, &changing).await,
        AppVerb::Remove { id, changing } => remove(&mut talk, &id, &changing).await,
    }
}

async fn add(talk: &mut Talk<'_>, file: &str, changing: &Changing) -> Result<(), Failure> {
    let body = talk.console.read(file)?;
    // The text goes as it is: the server points at a fault better than a second parser would.
    let (method, apps) = if body::is_list(&body) {
        (Method::PUT, body::ids(&body))
    } else {
        (Method::POST, Vec::new())
    };
    let ask = Ask::new(method, "/v2/apps").body(body);
    change::make(talk, Change { ask, apps, aim: Aim::Run }, changing).await
}

async fn patch(
    talk: &mut Talk<'_>,
    id: &str,
    body: String,
    changing: &Changing,
) -> Result<(), Failure> {
    let ask = Ask::new(Method::PATCH, &app_path(id)).body(body);
    let change = Change { ask, apps: vec![body::absolute(id)], aim: Aim::Run };
    match change::make(talk, change, changing).await {
        // For an app that is not there Marathon's contract judges the body as a whole definition. Say what is the case.
        Err(refused @ Failure::Refused { status: 422, .. }) => {
            match talk.client.send(&Ask::get(&app_path(id))).await {
                Err(missing) if missing.is_missing() => Err(missing),
                Ok(_) | Err(_) => Err(refused),
            }
        }
        other => other,
    }
}

async fn restart(talk: &mut Talk<'_>, id: &str, changing: &Changing) -> Result<(), Failure> {
    let ask = Ask::new(Method::POST, &format!("{}/restart", app_path(id)));
    let change = Change { ask, apps: vec![body::absolute(id)], aim: Aim::Run };
    change::make(talk, change, changing).await
}

async fn remove(talk: &mut Talk<'_>, id: &str, changing: &Changing) -> Result<(), Failure> {
    let ask = Ask::new(Method::DELETE, &app_path(id));
    let change = Change { ask, apps: vec![body::absolute(id)], aim: Aim::Gone };
    change::make(talk, change, changing).await
}
