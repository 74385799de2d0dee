//! How people type: one binary, its verbs and what they share.
//!
//! Every verb but `dev`, `server`, `agent`, `doctor`, `store` and `replay` is a client of the public API and knows nothing that another client
//! could not know. The tree of verbs is here; each file beside this one is a verb or something that verbs share.

use clap::{Command, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::cli::console::Console;
use crate::cli::failure::{Exit, Failure};

pub mod access;
mod agent;
pub mod app;
pub mod autopsy;
pub mod bench;
pub mod client;
pub mod console;
pub mod definition;
pub mod deploy;
pub mod deployment;
pub mod dev;
pub mod dirs;
pub mod doctor;
pub mod duration;
pub mod events;
pub mod explain;
pub mod failure;
pub mod limits;
pub mod logging;
pub mod logs;
pub mod paint;
pub mod plan;
pub mod ps;
pub mod replay;
pub mod rollback;
pub mod server;
pub mod signals;
pub mod store;
pub mod table;
pub mod talk;
pub mod wait;

#[cfg(test)]
mod tests;

/// What every `--help` ends with.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  usage, or the server cannot be reached or failed; or a check found something wrong
  2  rejected: the server said no (4xx)
  3  the deployment failed and was rolled back
  4  the deployment failed, and rolling it back failed too
  5  a human is needed: the deployment is paused, superseded, cancelled or failed as it is; or it goes on after the
     longest wait

Every flag can also be set as an environment variable: --log-level as STAYER_LOG_LEVEL, and so on.";

/// Keeps services running: the REST API of Marathon without Mesos, ZooKeeper or a JVM.
#[derive(Debug, Parser)]
#[command(name = "stayer", version, propagate_version = true)]
pub struct Cli {
    /// Logs.
    #[command(flatten)]
    pub logging: logging::LogArgs,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Run a server and an agent in one process on this machine
    Dev(Box<dev::DevArgs>),
    /// Run a server: the API, and what decides; agents on their hosts dial it
    Server(Box<server::ServerArgs>),
    /// Run an agent: what runs tasks on this host, for the servers that it dials; or look after those of a server
    Agent(Box<agent::AgentArgs>),
    /// Say what is wrong on this host, and what to do about it
    Doctor(doctor::DoctorArgs),
    /// Create, show, change and remove apps
    App(app::AppArgs),
    /// List tasks
    Ps(ps::PsArgs),
    /// Print what a task writes
    Logs(logs::LogsArgs),
    /// Say why an app does not run, agent by agent
    Explain(explain::ExplainArgs),
    /// Say what became of a task that failed: its checks' answers, its last words, what led to it
    Autopsy(autopsy::AutopsyArgs),
    /// Follow what happens, also over a cut or a restart of the server
    Events(events::EventsArgs),
    /// List and cancel deployments
    Deployment(deployment::DeploymentArgs),
    /// Bring apps to what a file says, and say truthfully what came of it
    Deploy(deploy::DeployArgs),
    /// Bring an app back to an earlier configuration
    Rollback(rollback::RollbackArgs),
    /// Show what deploying a file would come to; nothing is changed
    Plan(plan::PlanArgs),
    /// Read a stopped server's store, or back up a running one's
    Store(store::StoreArgs),
    /// Decide again what recorded facts led to, without a server
    Replay(replay::ReplayArgs),
    /// Measure how fast this binary is on this machine
    Bench(bench::BenchArgs),
}

/// What was typed. `--help`, `--version` and what is not understood end the process here.
pub fn parse() -> Cli {
    let parsed = command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches));
    parsed.unwrap_or_else(|told| {
        // Help and version come this way too, and are no fault.
        let exit = if told.use_stderr() { Exit::Usage } else { Exit::Done };
        let _nobody_reads = told.print();
        std::process::exit(exit.code().into())
    })
}

/// The tree of verbs; the help of each ends with the exit codes.
pub fn command() -> Command {
    with_exit_codes(Cli::command())
}

fn with_exit_codes(verb: Command) -> Command {
    verb.after_help(EXIT_CODES).mut_subcommands(with_exit_codes)
}

/// Does what was typed, and says in words and by a number how it went.
pub async fn run(cli: Cli, console: &mut Console) -> Exit {
    match dispatch(cli.verb, console).await {
        Ok(()) => Exit::Done,
        Err(failure) => {
            if let Some(text) = failure.text() {
                console.note(&format!("error: {text}"));
            }
            failure.exit()
        }
    }
}

async fn dispatch(verb: Verb, console: &mut Console) -> Result<(), Failure> {
    match verb {
        Verb::Dev(args) => dev::run(*args, console).await,
        Verb::Server(args) => server::run(*args, console).await,
        Verb::Agent(args) => agent::run(*args, console).await,
        Verb::Doctor(args) => doctor::run(args, console).await,
        Verb::App(args) => app::run(args, console).await,
        Verb::Ps(args) => ps::run(args, console).await,
        Verb::Logs(args) => logs::run(args, console).await,
        Verb::Explain(args) => explain::run(args, console).await,
        Verb::Autopsy(args) => autopsy::run(args, console).await,
        Verb::Events(args) => events::run(args, console).await,
        Verb::Deployment(args) => deployment::run(args, console).await,
        Verb::Deploy(args) => deploy::run(args, console).await,
        Verb::Rollback(args) => rollback::run(args, console).await,
        Verb::Plan(args) => plan::run(args, console).await,
        Verb::Store(args) => store::run(args, console).await,
        Verb::Replay(args) => replay::run(&args, console),
        Verb::Bench(args) => bench::run(args, console).await,
    }
}
