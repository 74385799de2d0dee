//! `stayer ps`: tasks, of all apps or of one.

use clap::Args;
use serde_json::Value;

use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use crate::cli::talk::{Talk, app_path, list, text};

/// What `stayer ps` is told.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Only tasks of this app [default: of all]
    app: Option<String>,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// Does it.
///
/// # Errors
/// When there is no such app, or the server does not answer well.
pub async fn run(args: PsArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    let path = args.app.map_or("/v2/tasks".to_owned(), |app| format!("{}/tasks", app_path(&app)));
    let answer = talk.send(&Ask::get(&path).accept_json()).await?;
    talk.show(&answer, tasks_text)
}

fn tasks_text(body: &Value) -> String {
    let head = ["ID", "APP", "STATE", "HOST", "PORTS", "STARTED", "VERSION"];
    let mut table = Table::new(&head);
    let mut tasks: Vec<&Value> = list(body, "tasks").iter().collect();
    tasks.sort_by_key(|task| (text(task, "appId"), text(task, "stagedAt"), text(task, "id")));
    for task in tasks {
        let ports: Vec<String> = list(task, "ports").iter().map(Value::to_string).collect();
        table.row(vec![
            text(task, "id"),
            text(task, "appId"),
            text(task, "state"),
            text(task, "host"),
            ports.join(","),
            text(task, "startedAt"),
            text(task, "version"),
        ]);
    }
    table.text()
}
