//! `stayer explain`: why an app does not run, agent by agent, and what would help.

use clap::Args;
use serde_json::Value;

use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::table::Table;
use crate::cli::talk::{Talk, app_path, list, number, text};

/// What `stayer explain` is told.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The app
    app: String,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// Does it.
///
/// # Errors
/// When there is no such app, or the server does not answer well.
pub async fn run(args: ExplainArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    let path = format!("{}/explain", app_path(&args.app));
    let answer = talk.send(&Ask::get(&path)).await?;
    talk.show(&answer, explanation_text)
}

/// An explanation in words.
pub fn explanation_text(body: &Value) -> String {
    let none = Value::Null;
    let instances = body.get("instances").unwrap_or(&none);
    let mut lines = vec![format!(
        "{}: {} of {} running, {} waiting",
        text(body, "app"),
        number(instances, "running"),
        number(instances, "wanted"),
        number(body, "waiting")
    )];
    lines.push(text(body, "verdict"));
    let until = text(body, "delayedUntil");
    if !until.is_empty() {
        lines.push(format!("delayed until {until}"));
    }
    lines.extend(body.get("lastAttempt").map(attempt_text));
    lines.extend(body.get("lastEnd").map(end_text));
    let launching = list(body, "launching").iter();
    lines.extend(launching.map(|one| format!("{}: {}", text(one, "task"), text(one, "text"))));
    let agents = list(body, "agents");
    if !agents.is_empty() {
        lines.push(String::new());
        lines.push(agents_text(agents));
    }
    let left_out = list(body, "leftOut").iter();
    lines.extend(left_out.map(|value| format!("left out: {}", text(value, "text"))));
    let help = list(body, "help");
    if !help.is_empty() {
        lines.push("\nwhat would help:".to_owned());
        lines.extend(help.iter().filter_map(Value::as_str).map(|text| format!("  {text}")));
    }
    lines.join("\n")
}

fn end_text(end: &Value) -> String {
    let host = match text(end, "host") {
        host if host.is_empty() => host,
        host => format!(" on {host}"),
    };
    let (task, at) = (text(end, "task"), text(end, "at"));
    format!("last end: {}, {task}{host} at {at}", text(end, "message"))
}

fn attempt_text(attempt: &Value) -> String {
    let refused = attempt.get("refused").and_then(Value::as_object);
    let refused = refused.into_iter().flatten().map(|(why, count)| format!("{why} {count}"));
    let refused: Vec<String> = refused.collect();
    let since = text(attempt, "waitingSince");
    match text(attempt, "at") {
        at if at.is_empty() => format!("waiting since {since}, not tried yet"),
        at => format!(
            "waiting since {since}, last tried at {at} on {} agents; refused: {}",
            number(attempt, "agents"),
            if refused.is_empty() { "none".to_owned() } else { refused.join(", ") }
        ),
    }
}

/// A row for each agent, a further one for each further reason.
fn agents_text(agents: &[Value]) -> String {
    let mut table = Table::new(&["HOST", "FREE CPUS", "MEM", "DISK", "GPUS", "WHY NOT"]);
    let none = Value::Null;
    for agent in agents {
        let free = agent.get("free").unwrap_or(&none);
        let reasons: Vec<String> =
            list(agent, "reasons").iter().map(|reason| text(reason, "text")).collect();
        let first = reasons.first().cloned().unwrap_or_else(|| "takes one more".to_owned());
        let mut row = vec![text(agent, "host")];
        row.extend(["cpus", "mem", "disk", "gpus"].map(|what| text(free, what)));
        row.push(first);
        table.row(row);
        for reason in reasons.into_iter().skip(1) {
            table.row(vec![
                text(agent, "host"),
                " ".into(),
                " ".into(),
                " ".into(),
                " ".into(),
                reason,
            ]);
        }
    }
    table.text()
}
