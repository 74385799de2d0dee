//! `stayer agent list|show|drain|undrain|forget|release`: clients of `/v2/agents` and `/v2/brake`.

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::agent::wait;
use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::duration;
use crate::cli::failure::Failure;
use crate::cli::table::{Table, printable};
use crate::cli::talk::{Talk, list, number, text};

/// What people do to agents.
#[derive(Debug, Subcommand)]
pub enum AgentVerb {
    /// List agents
    List {
        /// Which server.
        #[command(flatten)]
        remote: Remote,
    },
    /// Show one agent, its tasks and how far its drain has come
    Show {
        /// Which.
        #[command(flatten)]
        of: AgentName,
    },
    /// Empty an agent: replace what it runs elsewhere, then end it here
    Drain(DrainArgs),
    /// Let an agent take work again
    Undrain {
        /// Which.
        #[command(flatten)]
        of: AgentName,
    },
    /// Take an agent for gone for good: what it had is replaced at once
    Forget {
        /// Which.
        #[command(flatten)]
        of: AgentName,
    },
    /// Replace what was lost although many agents were lost at once
    Release {
        /// Which server.
        #[command(flatten)]
        remote: Remote,
    },
}

/// Which agent.
#[derive(Debug, Args)]
pub struct AgentName {
    /// The agent: its id, or a host name that no other has
    #[arg(value_name = "AGENT")]
    name: String,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// What `stayer agent drain` is told.
#[derive(Debug, Args)]
pub struct DrainArgs {
    #[command(flatten)]
    of: AgentName,
    /// After so long what is left is ended, replaced or not, as in 90s, 30m, 1h [default: never]
    #[arg(
        long,
        env = "STAYER_DEADLINE",
        value_name = "TIME",
        value_parser = duration::seconds,
        conflicts_with = "force"
    )]
    deadline: Option<u64>,
    /// End what it runs at once, replaced or not [default: replace first]
    #[arg(long, env = "STAYER_FORCE", value_parser = FalseyValueParser::new())]
    force: bool,
    /// Return when nothing is left on it, and say meanwhile what is [default: return at once]
    #[arg(long, env = "STAYER_WAIT", value_parser = FalseyValueParser::new())]
    wait: bool,
    /// The longest wait; the drain goes on after it
    #[arg(long, env = "STAYER_TIMEOUT", value_name = "SECONDS", default_value_t = 3_600)]
    timeout: u64,
}

/// Does it.
///
/// # Errors
/// When there is no such agent, or the server does not answer well.
pub async fn run(verb: AgentVerb, console: &mut Console) -> Result<(), Failure> {
    match verb {
        AgentVerb::List { remote } => {
            let mut talk = Talk::begin(&remote, console)?;
            let answer = talk.send(&Ask::get("/v2/agents")).await?;
            if let Ok(body) = answer.json() {
                warn_of_brake(&mut talk, &body["brake"]);
            }
            talk.show(&answer, list_text)
        }
        AgentVerb::Show { of } => {
            let mut talk = Talk::begin(&of.remote, console)?;
            let answer = talk.send(&Ask::get(&path(&of.name))).await?;
            talk.show(&answer, show_text)
        }
        AgentVerb::Drain(args) => drain(&args, console).await,
        AgentVerb::Undrain { of } => undrain(&of, console).await,
        AgentVerb::Forget { of } => forget(&of, console).await,
        AgentVerb::Release { remote } => release(&remote, console).await,
    }
}

async fn drain(args: &DrainArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.of.remote, console)?;
    let deadline = if args.force { Some(0) } else { args.deadline };
    let body = deadline.map_or(json!({}), |seconds| json!({ "deadlineSeconds": seconds }));
    let path = path(&args.of.name);
    let ask = Ask::new(Method::POST, &format!("{path}/drain")).body(body.to_string());
    let answer = talk.send(&ask).await?;
    if args.wait {
        return wait::until_empty(&mut talk, &path, args.timeout).await;
    }
    talk.show(&answer, |agent| match number(&agent["drain"], "left") {
        0 => format!("{} is drained, nothing is on it", text(agent, "hostname")),
        left => format!(
            "{} is being drained, {left} instances are left: `stayer agent show` says what they wait for",
            text(agent, "hostname")
        ),
    })
}

async fn undrain(of: &AgentName, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&of.remote, console)?;
    let ask = Ask::new(Method::DELETE, &format!("{}/drain", path(&of.name)));
    let answer = talk.send(&ask).await?;
    talk.show(&answer, |agent| format!("{} takes work again", text(agent, "hostname")))
}

async fn forget(of: &AgentName, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&of.remote, console)?;
    talk.send(&Ask::new(Method::DELETE, &path(&of.name))).await?;
    if talk.is_json() {
        return Ok(());
    }
    talk.console.line(&format!("{} is forgotten, what it had is replaced", of.name))
}

async fn release(remote: &Remote, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(remote, console)?;
    let answer = talk.send(&Ask::new(Method::DELETE, "/v2/brake")).await?;
    talk.show(&answer, |_| "nothing is held, what was lost is replaced".to_owned())
}

/// What is held is no part of a table, and nobody must miss it.
fn warn_of_brake(talk: &mut Talk<'_>, brake: &Value) {
    if brake["held"].as_bool() == Some(true) {
        let text = text(brake, "text");
        talk.console.note(&format!("warning: {text}\n  hint: stayer agent release"));
    }
    for app in list(brake, "apps") {
        let text = text(app, "text");
        talk.console.note(&format!("warning: {text}\n  hint: stayer agent release"));
    }
}

fn path(name: &str) -> String {
    format!("/v2/agents/{name}")
}

fn list_text(body: &Value) -> String {
    let head = ["HOSTNAME", "STATE", "TASKS", "CPUS", "MEM", "GPUS", "ROLE", "HEARD", "ID"];
    let mut table = Table::new(&head);
    for agent in list(body, "agents") {
        let used =
            |what: &str| format!("{}/{}", text(&agent["used"], what), text(&agent["total"], what));
        table.row(vec![
            text(agent, "hostname"),
            state_text(agent),
            text(agent, "tasks"),
            used("cpus"),
            used("mem"),
            used("gpus"),
            text(agent, "role"),
            text(agent, "lastHeard"),
            text(agent, "id"),
        ]);
    }
    table.text()
}

/// The state, and how many are left while it is emptied.
fn state_text(agent: &Value) -> String {
    let state = text(agent, "state");
    match (state.as_str(), number(&agent["drain"], "left")) {
        ("draining", left) => format!("draining ({left} left)"),
        ("lost", _) if agent.get("drain").is_some() => "lost, draining".to_owned(),
        _ => state,
    }
}

fn show_text(agent: &Value) -> String {
    let mut lines = vec![
        format!("agent     {}", text(agent, "id")),
        format!("hostname  {}", printable(&text(agent, "hostname"))),
        format!("state     {}", state_text(agent)),
    ];
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            lines.push(format!("{name:<9} {}", printable(&value)));
        }
    };
    line("address", text(agent, "address"));
    line("lost", text(agent, "lostSince"));
    line("heard", text(agent, "lastHeard"));
    line("version", text(agent, "version"));
    line(
        "engine",
        [text(&agent["engine"], "name"), text(&agent["engine"], "version")]
            .join(" ")
            .trim()
            .to_owned(),
    );
    line("role", text(agent, "role"));
    let attributes = agent["attributes"].as_object().into_iter().flatten();
    let attributes: Vec<String> = attributes
        .map(|(name, value)| format!("{name}:{}", value.as_str().unwrap_or_default()))
        .collect();
    line("attrs", attributes.join(";"));
    for what in ["cpus", "mem", "disk", "gpus"] {
        let of = |key: &str| text(&agent[key], what);
        let reserved = match of("reserved") {
            none if matches!(none.as_str(), "" | "0" | "0.0") => String::new(),
            some => format!(", {some} reserved"),
        };
        line(
            what,
            format!("{} used, {} free of {}{reserved}", of("used"), of("free"), of("total")),
        );
    }
    let ports: Vec<&str> = list(agent, "ports").iter().filter_map(Value::as_str).collect();
    line("ports", ports.join(","));
    if let Some(drain) = agent.get("drain") {
        let deadline = text(drain, "deadline");
        let until = if deadline.is_empty() { String::new() } else { format!(", until {deadline}") };
        line(
            "drain",
            format!("since {}{until}, {} left", text(drain, "since"), number(drain, "left")),
        );
    }
    let tasks = list(agent, "taskList");
    if !tasks.is_empty() {
        lines.push(String::new());
        lines.push(tasks_text(tasks));
    }
    let strays = list(agent, "strayList");
    if !strays.is_empty() {
        lines.push(format!(
            "\n{} strays, which nothing here asked for; they are left alone:",
            strays.len()
        ));
        lines.extend(strays.iter().map(|stray| format!("  {}", text(stray, "id"))));
    }
    lines.join("\n")
}

fn tasks_text(tasks: &[Value]) -> String {
    let mut table = Table::new(&["TASK", "APP", "STATE", "PORTS", "WAITS FOR"]);
    for task in tasks {
        let ports: Vec<String> = list(task, "ports").iter().map(Value::to_string).collect();
        table.row(vec![
            text(task, "id"),
            text(task, "appId"),
            text(task, "state"),
            ports.join(","),
            text(task, "waitsFor"),
        ]);
    }
    table.text()
}
