//! `stayer dev`: server and agent in one process, over the real link, on this machine.
//!
//! One command and no other service. The data directory holds `server/` and `agent/` exactly as separate processes use
//! them. What runs outlives this process, and the next one takes it up again.

mod args;
mod banner;
mod serve;
mod signals;
mod store;

pub use args::DevArgs;

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::agent::mind::Hand;
use crate::agent::runtime::FoundState;
use crate::agent::start::{self, Agent, AgentHands};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::control::fleet::listen;
use crate::control::leader::{self, Leader};
use crate::logic::draft::Limits;
use crate::model::spec::Spec;
use crate::store::address::StoreAddress;
use crate::wire::dial::Address;

/// Runs until it is told to end.
///
/// # Errors
/// When it cannot start; then nothing was changed. When it has to end although nobody said so.
pub async fn run(args: DevArgs, console: &mut Console) -> Result<(), Failure> {
    args.check()?;
    let (server_dir, agent_dir) = (args.data_dir.join("server"), args.data_dir.join("agent"));
    make_private(&args.data_dir)?;
    let default = || StoreAddress::Embedded(server_dir.clone());
    let store = args.store.clone().unwrap_or_else(default);
    let store = store::open(&store, &server_dir, &agent_dir, args.new_log).await?;
    let cluster = store.head().cluster;
    let api = TcpListener::bind(args.listen)
        .await
        .map_err(|error| Failure::Failed(format!("cannot listen on {}: {error}", args.listen)))?;
    let address = api.local_addr().map_err(|error| Failure::Failed(error.to_string()))?;
    store.announce(&format!("http://{address}"));
    let agents = server_dir.join("agents.sock");
    let listener = listen::bind(&agents).map_err(|error| {
        Failure::Failed(format!("{} cannot be made: {error}", agents.display()))
    })?;
    let limits = Limits {
        max_running_deployments: args.max_running_deployments,
        gpu_scheduling: args.gpu_scheduling,
        ..Limits::default()
    };
    let mut leader = leader::lead(store, limits, listener)
        .await
        .map_err(|error| Failure::Failed(error.to_string()))?;
    let agent = start::start(args.agent(agent_dir, cluster, Address::Unix(agents))?)
        .await
        .map_err(|error| Failure::Failed(error.to_string()))?;

    let shutdown = CancellationToken::new();
    let served = tokio::spawn(serve::start(&args, &leader, api, address, &server_dir, &shutdown)?);
    for line in banner::lines(&args, address, &agent) {
        console.line(&line)?;
    }
    let ended = tokio::select! {
        () = signals::told_to_end() => Ok(()),
        end = &mut leader.ended => Err(match end {
            Ok(why) => Failure::Failed(format!("the server cannot go on: {why}. Tasks go on")),
            Err(error) => Failure::Failed(format!("the server broke: {error}. Tasks go on")),
        }),
    };
    shutdown.cancel();
    agent.stop();
    finish(&args, &leader, &agent, console).await;
    // It ends by itself, within the bound of its drain.
    let _drained = served.await;
    leader.resign().await;
    ended
}

/// Says what becomes of the tasks, and ends them when asked to.
async fn finish(args: &DevArgs, leader: &Leader, agent: &Agent, console: &mut Console) {
    if args.stop_tasks {
        let stopped = stop_tasks(&agent.hands()).await;
        console.note(&format!("{stopped} tasks were stopped; the next start launches them again"));
        return;
    }
    let view = leader.server.view();
    let live = view.world.instances.iter().filter(|(_, instance)| instance.is_live()).count();
    let dir = args.data_dir.display();
    console.note(&format!(
        "{live} tasks go on running; start again with --data-dir {dir} to look after them, \
         or end with --stop-tasks next time"
    ));
}

/// Ends every task of this agent: asks first, and kills after the grace that Mesos gives.
async fn stop_tasks(hands: &Arc<AgentHands>) -> usize {
    let mut ending = tokio::task::JoinSet::new();
    for hand in hands.present() {
        let Ok(found) = hands.list(hand).await else { continue };
        for sandbox in found {
            if let FoundState::Running(_) = sandbox.state {
                ending.spawn(stop_one(hands.clone(), hand, sandbox.id));
            }
        }
    }
    ending.join_all().await.into_iter().filter(|ended| *ended).count()
}

/// Whether it ended.
async fn stop_one(
    hands: Arc<AgentHands>,
    hand: Hand,
    id: crate::agent::runtime::SandboxId,
) -> bool {
    // What cannot be asked is killed; what cannot be killed is found again by the next start.
    let _asked = hands.terminate(hand, id).await;
    let grace = Spec::DEFAULT_GRACE.into();
    if let Ok(Ok(_)) = tokio::time::timeout(grace, hands.ended(hand, id)).await {
        return true;
    }
    hands.kill(hand, id).await.is_ok()
}

fn make_private(dir: &Path) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(dir)
        .map_err(|error| Failure::Failed(format!("{} cannot be made: {error}", dir.display())))
}
