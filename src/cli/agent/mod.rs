//! `stayer agent`: what runs tasks on one host, for the servers that it dials. With a verb it is a client that looks after
//! the agents of a server: [`verbs`].
//!
//! `stayer dev` is a server with this in the same process, so what an agent is told, what it says at its start and how its
//! tasks are stopped is here and is used by both; the data directory holds `agent/` in either case, and one can take over
//! from the other.

mod args;
pub mod banner;
mod mesos;
pub mod stop;
pub mod verbs;
mod wait;

pub use args::{Account, AgentArgs, HostArgs, Setting};

use std::path::{Path, PathBuf};

use crate::agent::start::{self, Agent};
use crate::cli::agent::mesos::MesosDir;
use crate::cli::console::Console;
use crate::cli::dirs::{DEFAULT_DATA_DIR, agent_dir, make_dir};
use crate::cli::failure::Failure;
use crate::cli::{limits, signals};
use crate::wire::message::{Dismissal, Leaving};

/// Runs until it is told to end; with a verb, does that.
///
/// # Errors
/// When it cannot start; then nothing was changed. When a server says that it can never be taken.
pub async fn run(mut args: AgentArgs, console: &mut Console) -> Result<(), Failure> {
    if let Some(verb) = args.verb.take() {
        return verbs::run(verb, console).await;
    }
    let servers = args.servers()?;
    let mesos = match &args.mesos_config_dir {
        Some(dir) => mesos_dir(dir, console)?,
        None => MesosDir::default(),
    };
    let fallback = mesos.work_dir.clone().unwrap_or_else(|| PathBuf::from(DEFAULT_DATA_DIR));
    let data = args.data_dir.unwrap_or(fallback);
    let host = args.host.or(mesos);
    let setting = Setting {
        dir: agent_dir(&data),
        cluster: None,
        servers: servers.clone(),
        privileged: args.allow_privileged,
        volumes: args.allow_volumes,
    };
    let config = host.config(setting, Account::of_process())?;
    limits::raise_files();
    make_dir(&data)?;
    let agent = start::start(config).await.map_err(|error| Failure::Failed(error.to_string()))?;
    for line in banner::lines(&data, &servers, &agent) {
        console.line(&line)?;
    }
    tokio::select! {
        () = signals::told_to_end() => {
            finish(&agent, host.stop_tasks, &data, console).await;
            Ok(())
        }
        why = agent.turned_away() => {
            agent.stop();
            Err(turned_away(&why, &data))
        }
    }
}

fn mesos_dir(dir: &Path, console: &mut Console) -> Result<MesosDir, Failure> {
    let read = MesosDir::read(dir).map_err(Failure::Usage)?;
    if !read.unused.is_empty() {
        let unused = read.unused.join(", ");
        console.note(&format!("warning: in {} this is not used: {unused}", dir.display()));
    }
    Ok(read)
}

/// Says farewell, and what becomes of the tasks; ends them when asked to.
async fn finish(agent: &Agent, stop_tasks: bool, data: &Path, console: &mut Console) {
    if stop_tasks {
        // First the farewell: a leader that takes this host for gone launches elsewhere, not here.
        agent.leave(Leaving::Shutdown).await;
        agent.stop();
        let stopped = stop::stop_tasks(&agent.hands()).await;
        return console
            .note(&format!("{stopped} tasks were stopped; the servers launch them elsewhere"));
    }
    agent.leave(Leaving::Restart).await;
    agent.stop();
    let count = stop::count_running(&agent.hands()).await;
    let tasks = count.map_or("the tasks".to_owned(), |count| format!("{count} tasks"));
    console.note(&format!(
        "{tasks} go on running; start again with --data-dir {} within a minute, before they count as lost, or end with \
         --stop-tasks next time",
        data.display()
    ));
}

fn turned_away(why: &Dismissal, data: &Path) -> Failure {
    let remedy = match why {
        Dismissal::Twin { .. } => format!(
            ". Stop the other one, or give this one a data directory of its own: {} says who it is. Nothing that runs \
             was touched",
            agent_dir(data).join("agent.json").display()
        ),
        Dismissal::Elsewhere { hostname } => format!(
            ". Remove {} here to begin as a new agent. If this is that very host under a new name, or {hostname} will \
             not come back, tell the server: stayer agent forget {hostname}. Nothing that runs was touched",
            agent_dir(data).join("agent.json").display()
        ),
        Dismissal::Cluster { .. } | Dismissal::Protocol { .. } => String::new(),
    };
    Failure::Failed(format!("{why}{remedy}"))
}
