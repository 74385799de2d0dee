//! `stayer dev`: server and agent in one process, over the real link, on this machine.
//!
//! One command and no other service. The data directory holds `server/` and `agent/` exactly as `stayer server` and
//! `stayer agent` use them. What runs outlives this process, and the next one takes it up again.

mod args;
mod banner;

pub use args::DevArgs;

use crate::agent::start::{self, Agent};
use crate::cli::agent::stop;
use crate::cli::console::Console;
use crate::cli::dirs::{agent_dir, make_dir, server_dir};
use crate::cli::failure::Failure;
use crate::cli::server::{Entrance, Up};
use crate::cli::{limits, signals};
use crate::control::fleet::listen::Door;
use crate::wire::dial::Address;

/// Runs until it is told to end.
///
/// # Errors
/// When it cannot start; then nothing was changed. When it has to end although nobody said so.
pub async fn run(args: DevArgs, console: &mut Console) -> Result<(), Failure> {
    args.api.check()?;
    limits::raise_files();
    make_dir(&args.data_dir)?;
    let server_dir = server_dir(&args.data_dir);
    let entrance = Entrance::take(args.api.listen).await?;
    let Some(store) = entrance.open_store(&args.api, &args.data_dir, console).await? else {
        return Ok(());
    };
    let cluster = store.head().cluster;
    let agents = server_dir.join("agents.sock");
    let config = args.agent(agent_dir(&args.data_dir), cluster, Address::Unix(agents.clone()))?;
    let limits = args.api.limits(args.gpu_scheduling);
    let door = Door::Unix(agents);
    let mut up = Up::start(store, entrance, &args.api, limits, &server_dir, &door).await?;
    let agent = start::start(config).await.map_err(|error| Failure::Failed(error.to_string()))?;
    for line in banner::lines(&args, up.address, &agent) {
        console.line(&line)?;
    }
    let ended = tokio::select! {
        () = signals::told_to_end() => Ok(()),
        why = up.ended() => Err(why),
    };
    agent.stop();
    finish(&args, &up, &agent, console).await;
    up.end().await;
    ended
}

/// Says what becomes of the tasks, and ends them when asked to.
async fn finish(args: &DevArgs, up: &Up, agent: &Agent, console: &mut Console) {
    if args.host.stop_tasks {
        let stopped = stop::stop_tasks(&agent.hands()).await;
        console.note(&format!("{stopped} tasks were stopped; the next start launches them again"));
        return;
    }
    let view = up.leader.server.view();
    let live = view.world.instances.iter().filter(|(_, instance)| instance.is_live()).count();
    let dir = args.data_dir.display();
    console.note(&format!(
        "{live} tasks go on running; start again with --data-dir {dir} to look after them, \
         or end with --stop-tasks next time"
    ));
}
