//! An agent, put together: identity, hands, mind, desk and the dialling.
//!
//! `stayer dev` starts one beside its server, `stayer agent` one on a host of its own, with the addresses of its servers.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::agent::autopsy::archive::Archive;
use crate::agent::autopsy::{Coroner, keep};
use crate::agent::clock::Clock;
use crate::agent::contained::{self, Contained};
use crate::agent::desk::Desk;
use crate::agent::docker::auth::Keyring;
use crate::agent::docker::call::Deadlines;
use crate::agent::docker::connect::{self, Connection, EngineFacts, Search};
use crate::agent::docker::labels::Owner;
use crate::agent::docker::late::LateDocker;
use crate::agent::fetch::{FetchConfig, Fetcher};
use crate::agent::gpu::watch::{Offered, Watcher};
use crate::agent::gpu::{GpuConfig, Shelf};
use crate::agent::hands::{Hands, watch_engine};
use crate::agent::identity::{Home, HomeError, new_run};
use crate::agent::inventory::{Offer, inventory};
use crate::agent::journal::Journal;
use crate::agent::logs::LogLimits;
use crate::agent::mind::{LaunchPlan, Limits};
use crate::agent::process::cgroup;
use crate::agent::process::{ProcessConfig, ProcessRuntime};
use crate::agent::shell::{Examine, Launcher, Shell};
use crate::contract::env::{TaskEnv, task_env};
use crate::model::agent::{Engine, Inventory};
use crate::model::id::{AgentId, ClusterId};
use crate::wire::dial::{Address, dial};
use crate::wire::message::{Dismissal, Leaving};

/// What an agent is told.
pub struct AgentConfig {
    /// Its directory.
    pub dir: PathBuf,
    /// The cluster it must belong to, where its starter knows it; else it learns that from the first leader.
    pub cluster: Option<ClusterId>,
    /// The servers it dials.
    pub servers: Vec<Address>,
    /// What its operator says of it.
    pub offer: Offer,
    /// Where fetches may go.
    pub fetch: FetchConfig,
    /// Where an engine may be; nowhere when the agent is to run without one.
    pub search: Option<Search>,
    /// Where registry credentials are.
    pub keyring: Keyring,
    /// The driver's library, if it is not where the system finds it.
    pub nvml: Option<PathBuf>,
}

/// A running agent.
pub struct Agent {
    /// What it offers.
    pub inventory: Inventory,
    /// The engine, or why there is none.
    pub engine: Result<EngineFacts, String>,
    /// What plain processes can be held to.
    pub limits: cgroup::Limits,
    hands: Arc<AgentHands>,
    desk: Arc<Desk<Journal>>,
    tasks: Vec<JoinHandle<()>>,
}

/// The hands of a real host, bare: what can be listed and ended with them needs no policy.
pub type AgentHands = Hands<Arc<LateDocker>, ProcessRuntime>;

/// What is kept of tasks: evidence of failures, who takes it, and who reads that and their logs.
struct Kept {
    archive: Arc<Archive>,
    examine: Examine,
    journal: Journal,
}

/// Why an agent does not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// Its directory cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// It belongs to another cluster.
    #[error(
        "the agent in {} belongs to cluster {theirs} and the server to {ours}: \
         its tasks would be nobody's. Restore that server's log, or name another directory",
        dir.display()
    )]
    Foreign {
        /// Its directory.
        dir: PathBuf,
        /// Where it belongs.
        theirs: ClusterId,
        /// Whose server it is.
        ours: ClusterId,
    },
    /// The host does not show or give what is needed.
    #[error("the agent cannot work in {}: {why}", dir.display())]
    Host {
        /// Its directory.
        dir: PathBuf,
        /// Why.
        why: std::io::Error,
    },
}

/// Starts an agent; it dials until it is stopped.
///
/// # Errors
/// When its directory is another agent's, or belongs to another cluster, or the host refuses.
pub async fn start(config: AgentConfig) -> Result<Agent, AgentError> {
    let AgentConfig { dir, cluster, servers, offer, fetch, search, keyring, nvml } = config;
    let host = |why| AgentError::Host { dir: dir.clone(), why };
    let (home, identity) = Home::open(&dir)?;
    check_cluster(&dir, identity.cluster, cluster)?;
    let policy = offer.policy.clone();
    let found = find_engine(search.as_ref()).await;
    let engine = found.as_ref().map(|connection| connection.facts.clone()).map_err(Clone::clone);
    let owner = Owner { agent: identity.id };
    let was_used = contained::has_records(&dir).map_err(host)?;
    let is_there = found.is_ok();
    let shelf = Shelf::default();
    let docker = search.map(|search| {
        let shelf = shelf.clone();
        let late = LateDocker::new(search, owner, keyring, policy.clone(), was_used, shelf);
        Arc::new(late.with(found.ok()))
    });
    let process = processes(&dir, identity.id, fetch.clone()).map_err(host)?;
    let contained = match &docker {
        Some(docker) => {
            let fetcher = Fetcher::open(fetch).map_err(host)?;
            Some(Contained::open(docker.clone(), fetcher, policy, &dir).map_err(host)?)
        }
        None => None,
    };
    let facts = engine.as_ref().ok().map(|facts| facts.engine.clone());
    // Where its containers may run, one that does not answer is away and not none.
    let known = facts.or_else(|| docker.as_ref().filter(|_| was_used).map(|_| away()));
    let gpus = GpuConfig { library: nvml, most: offer.resources.gpus };
    let (watcher, offered) = Watcher::start(gpus, shelf).await.map_err(host)?;
    let mut inventory = inventory(offer, known, &dir).map_err(host)?;
    bring_in(&mut inventory, offered.clone());
    let clock = Clock::start();
    let hands = Hands { docker: contained, process: process.clone() };
    let bare = Arc::new(Hands { docker: docker.clone(), process: process.clone() });
    let launcher = Launcher {
        cluster: identity.cluster.or(cluster),
        agent: identity.id,
        sandboxes: dir.join("sandboxes"),
        env: environment(inventory.hostname.clone()),
        address: inventory.address.clone(),
    };
    let cpus = usize::try_from(inventory.cpus.as_whole()).unwrap_or(1);
    let (shell, ends) = Shell::new(hands, launcher, Limits::for_cpus(cpus), clock);
    let kept = Kept::open(&dir, &process, docker.as_ref(), clock).map_err(host)?;
    let Kept { archive, examine, journal } = kept;
    let shell = shell.examined_by(examine);
    let run = new_run().map_err(host)?;
    let desk = Desk::open(
        (home, identity),
        run,
        inventory.clone(),
        clock,
        (ends.words, ends.news),
        journal,
    );
    let desk = Arc::new(desk);
    let limits = process.limits().clone();
    let mut tasks = vec![tokio::spawn(shell.run())];
    tasks.push(tokio::spawn(async move { process.rotate_logs(LogLimits::default()).await }));
    tasks.push(tokio::spawn(tidy(archive, clock)));
    if let Some(docker) = docker {
        tasks.push(tokio::spawn(introduce(docker.clone(), desk.clone(), is_there)));
        let up = is_there || was_used;
        tasks.push(tokio::spawn(watch_engine(move || ping(docker.clone()), ends.sights, up)));
    }
    tasks.extend(watcher.map(|watcher| watch_gpus(watcher, offered, desk.clone())));
    tasks.extend(servers.into_iter().map(|server| tokio::spawn(dial(server, desk.clone()))));
    Ok(Agent { inventory, engine, limits, hands: bare, desk, tasks })
}

fn check_cluster(
    dir: &Path,
    theirs: Option<ClusterId>,
    ours: Option<ClusterId>,
) -> Result<(), AgentError> {
    match (theirs, ours) {
        (Some(theirs), Some(ours)) if theirs != ours => {
            Err(AgentError::Foreign { dir: dir.to_owned(), theirs, ours })
        }
        (Some(_) | None, _) => Ok(()),
    }
}

fn processes(dir: &Path, agent: AgentId, fetch: FetchConfig) -> io::Result<ProcessRuntime> {
    let cgroups = PathBuf::from(cgroup::ROOT);
    ProcessRuntime::open(ProcessConfig { data: dir.to_owned(), agent, fetch, cgroups })
}

async fn find_engine(search: Option<&Search>) -> Result<Connection, String> {
    match search {
        Some(search) => {
            connect::find(search, Deadlines::default()).await.map_err(|error| error.to_string())
        }
        None => Err("this agent was told to run without one".to_owned()),
    }
}

fn away() -> Engine {
    Engine { name: "away".to_owned(), version: String::new(), api: String::new() }
}

/// Tells the leaders what the driver shows, whenever that changes.
fn watch_gpus(watcher: Watcher, first: Offered, desk: Arc<Desk<Journal>>) -> JoinHandle<()> {
    let tell = move |offered| desk.change(|inventory| bring_in(inventory, offered));
    tokio::spawn(watcher.run(first, tell))
}

fn bring_in(inventory: &mut Inventory, offered: Offered) {
    let Offered { driver, devices } = offered;
    inventory.gpu_driver = driver;
    inventory.devices = devices;
}

/// Tells the leaders what the engine is: when it is found, and when another one answers in its place.
async fn introduce(docker: Arc<LateDocker>, desk: Arc<Desk<Journal>>, is_known: bool) {
    let mut news = docker.facts().await;
    if !is_known {
        news.mark_changed();
    }
    while news.changed().await.is_ok() {
        let facts = Arc::clone(&news.borrow_and_update());
        tracing::info!("the engine is {facts}");
        desk.change(|inventory| inventory.engine = Some(facts.engine.clone()));
    }
}

// === impl Kept ===

impl Kept {
    fn open(
        dir: &Path,
        process: &ProcessRuntime,
        docker: Option<&Arc<LateDocker>>,
        clock: Clock,
    ) -> io::Result<Kept> {
        let archive = Arc::new(Archive::open(dir, keep::Limits::default(), clock.now())?);
        let (process, docker) = (process.clone(), docker.cloned());
        let coroner = Coroner::new(process.clone(), docker.clone(), archive.clone(), clock);
        let coroner = Arc::new(coroner);
        let examine: Examine = Box::new(move |hand, evidence| {
            let coroner = Arc::clone(&coroner);
            Box::pin(async move { coroner.examine(hand, evidence).await })
        });
        let journal = Journal { process, docker, archive: archive.clone(), clock };
        Ok(Kept { archive, examine, journal })
    }
}

/// Lets go of evidence that has grown old, also where nothing fails any more.
async fn tidy(archive: Arc<Archive>, clock: Clock) {
    let mut hour = tokio::time::interval(Duration::from_hours(1));
    loop {
        hour.tick().await;
        let archive = Arc::clone(&archive);
        // One that panics is seen in the log, and the next hour comes.
        let _done = tokio::task::spawn_blocking(move || archive.tidy(clock.now())).await;
    }
}

async fn ping(docker: Arc<LateDocker>) -> Result<(), crate::agent::runtime::RuntimeError> {
    docker.ping().await
}

fn environment(hostname: String) -> crate::agent::shell::EnvOf {
    Box::new(move |plan: &LaunchPlan| {
        let task = plan.spec.container().name.as_str();
        task_env(&TaskEnv {
            spec: &plan.spec,
            version: plan.spec_key.version,
            instance: plan.id.instance,
            incarnation: plan.id.incarnation,
            task,
            ports: &plan.place.ports,
            hostname: &hostname,
            prefix: None,
        })
    })
}

// === impl Agent ===

impl Agent {
    /// Says farewell to the leader, so that it knows what the silence means.
    pub async fn leave(&self, why: Leaving) {
        self.desk.leave(why).await;
    }

    /// Waits until a server says that this agent can never be taken.
    pub async fn turned_away(&self) -> Dismissal {
        self.desk.turned_away().await
    }

    /// Stops the agent; what runs goes on.
    pub fn stop(&self) {
        for task in &self.tasks {
            task.abort();
        }
    }

    /// Its hands, for whoever ends tasks by hand once the agent is stopped.
    pub fn hands(&self) -> Arc<AgentHands> {
        self.hands.clone()
    }
}
