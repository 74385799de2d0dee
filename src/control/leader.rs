//! A server that leads: from an opened log to a running brain, writer and fleet.
//!
//! Nothing that runs is touched by a start: the world is read, agents open their sessions and say what they have, and
//! only then does anything follow.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::control::analysis::Analyst;
use crate::control::clock::Clock;
use crate::control::events::{Events, Published};
use crate::control::fleet::names::Names;
use crate::control::fleet::signs::Signs;
use crate::control::fleet::{Fleet, FleetEvent, listen};
use crate::control::gauges::Gauges;
use crate::control::history::History;
use crate::control::server::{MAX_WAITING_FACTS, Server};
use crate::control::turn::Turn;
use crate::control::writer::{Writer, WriterEnd};
use crate::logic::audience::Draining;
use crate::logic::brain::{Brain, MAX_PENDING};
use crate::logic::draft::Limits;
use crate::model::agent::GpuScheduling;
use crate::model::brake::Brake;
use crate::model::fact::Fact;
use crate::model::id::{AgentId, AgentKey, AppKey, ClusterId, CommitNo, Epoch};
use crate::model::instance::Instance;
use crate::model::meta::Meta;
use crate::model::view::View;
use crate::model::world::World;
use crate::store::any::AnyStore;
use crate::store::log::{Bid, LeadError, Log, Store, StoreError};
use crate::store::replay::{Happened, LoadError, Loaded, load_world};
use crate::wire::link::absence::Absences;
use crate::wire::reverse::Peer;

/// Events of the fleet that may wait.
const FLEET_EVENTS: usize = 1_024;

/// How long an agent may take to be found.
const FIND_DEADLINE: Duration = Duration::from_secs(2);

/// A running leader.
pub struct Leader {
    /// For readers and askers.
    pub server: Server,
    /// For whoever wants to reach an agent.
    pub agents: Agents,
    /// Figures.
    pub gauges: Gauges,
    /// When each agent was last heard.
    pub signs: Signs,
    /// The steady time.
    pub clock: Clock,
    /// Which cluster it leads.
    pub cluster: ClusterId,
    /// Under which leadership.
    pub epoch: Epoch,
    /// Resolves when the process cannot go on, with why. A server that was deposed goes on: it answers reads, and says
    /// who leads.
    pub ended: oneshot::Receiver<WriterEnd>,
    store: Arc<AnyStore>,
}

/// Reaches agents through the connections that they dialled.
#[derive(Clone)]
pub struct Agents {
    fleet: mpsc::Sender<FleetEvent>,
    server: Server,
}

/// Why a server does not lead.
#[derive(Debug, thiserror::Error)]
pub enum LeaderError {
    /// Somebody else does, or the store failed.
    #[error("the leadership is not to be had: {0}")]
    Lead(#[from] LeadError),
    /// The log cannot be read.
    #[error("the log cannot be read: {0}")]
    Read(#[from] StoreError),
    /// The log must not be acted on.
    #[error("the log cannot be used, and nothing was touched: {0}")]
    Load(#[from] LoadError),
    /// The brain's thread was not given.
    #[error("no thread: {0}")]
    Thread(#[from] std::io::Error),
}

/// Leads: reads the log, starts brain, writer and fleet, and takes agents on `listener`.
///
/// # Errors
/// When somebody else leads or the log cannot be used; then nothing was changed.
pub async fn lead(
    store: AnyStore,
    limits: Limits,
    listener: impl Into<listen::Listener>,
) -> Result<Leader, LeaderError> {
    let lead = store.lead(Bid::IfVacant).await?;
    let (loaded, kept) = load_or_resign(&store).await?;
    let store = Arc::new(store);
    let cluster = lead.head.cluster;
    let gauges = figures_of(&loaded);
    let clock = Clock::start(loaded.at);
    let world = with_meta(loaded.world, cluster);
    let (epoch, no, at) = (lead.epoch, loaded.no, loaded.at);

    let (facts, inbox) = mpsc::channel::<Fact>(MAX_WAITING_FACTS);
    let (commits, waiting) = mpsc::channel(MAX_PENDING);
    let (notices, noticed) = mpsc::unbounded_channel();
    let (to_fleet, published) = mpsc::unbounded_channel();
    let (own, events) = mpsc::channel(FLEET_EVENTS);
    let happened = Events::new(&gauges);
    happened.restore(kept, loaded.complete_after);
    let (server, signs) = (Server::new(facts.clone(), happened), Signs::default());
    server.publish(View { epoch, no, at, world: world.clone(), ..View::default() }, Vec::new());

    let writer = Writer {
        store: store.clone(),
        lead,
        ledger: loaded.ledger,
        commits: waiting,
        notices,
        server: server.clone(),
        gauges: gauges.clone(),
        keep_everything: !loaded.quarantined.is_empty(),
        history: History::default(),
    };
    let analyst = Analyst { server: server.clone(), facts: facts.clone(), clock };
    let audience = watch(&server, facts.clone(), &world, no);
    let fleet = Fleet {
        server: server.clone(),
        facts,
        clock,
        cluster,
        epoch: lead.epoch,
        published,
        events,
        own: own.clone(),
        gauges: gauges.clone(),
        absences: Absences::inherit(clock.now(), &server.view().world),
        sessions: BTreeMap::new(),
        keys: BTreeMap::new(),
        names: Names::default(),
        next: 0,
        signs: signs.clone(),
    };
    let (readers, figures) = (server.clone(), gauges.clone());
    // The brain makes its index on its own thread, while reads are answered already.
    let turn = move || Turn {
        brain: Brain::load(world, epoch, no, at, limits),
        clock,
        inbox,
        notices: noticed,
        writer: commits,
        server: readers,
        fleet: to_fleet,
        gauges: figures,
    };
    spawn_brain(turn)?;
    tokio::spawn(audience);
    tokio::spawn(fleet.run());
    tokio::spawn(analyst.run());
    tokio::spawn(listen::listen(listener.into(), cluster, own.clone()));
    let ended = spawn_writer(end(writer, server.clone()))?;
    let agents = Agents { fleet: own, server: server.clone() };
    Ok(Leader { server, agents, gauges, signs, clock, cluster, epoch: lead.epoch, ended, store })
}

/// Follows those who balance, from what waited already; what lives may have been watched through an earlier leader.
fn watch(
    server: &Server,
    facts: mpsc::Sender<Fact>,
    world: &World,
    no: CommitNo,
) -> impl Future<Output = ()> + use<> {
    let rows = || world.instances.iter().map(|(_, instance)| instance);
    let watched = rows().any(Instance::is_live);
    let inherited = rows().filter_map(|row| Draining::of(row, world, no)).collect();
    server.audience().clone().watch(facts, inherited, watched)
}

/// Figures that begin with what was read; what could not be is said.
fn figures_of(loaded: &Loaded) -> Gauges {
    let gauges = Gauges::default();
    gauges.log_bytes.set(i64::try_from(loaded.bytes.log).unwrap_or(i64::MAX));
    gauges.quarantined.set(i64::try_from(loaded.quarantined.len()).unwrap_or(i64::MAX));
    for row in &loaded.quarantined {
        tracing::error!(what = ?row.what, why = %row.why, "a row cannot be read; it is kept, and what it speaks of is left alone");
    }
    gauges
}

/// Where the log cannot be used another server, or this one when it is mended, need not wait for a lease.
async fn load_or_resign(store: &AnyStore) -> Result<(Loaded, Vec<Published>), LeaderError> {
    let loaded = load(store).await;
    if loaded.is_err() {
        store.resign().await;
    }
    loaded
}

async fn load(store: &AnyStore) -> Result<(Loaded, Vec<Published>), LeaderError> {
    let log = store.load().await?;
    let loaded = tokio::task::spawn_blocking(move || read(&log)).await;
    Ok(loaded.expect("a replay does not panic")?)
}

/// Reads a log: what it means, and the events that it has kept.
fn read(log: &Log) -> Result<(Loaded, Vec<Published>), LoadError> {
    let mut loaded = load_world(log)?;
    let mut runs: Vec<Vec<Happened>> = Vec::new();
    for happened in std::mem::take(&mut loaded.events) {
        let run =
            runs.last_mut().filter(|run| run.last().is_some_and(|last| last.precedes(&happened)));
        match run {
            Some(run) => run.push(happened),
            None => runs.push(vec![happened]),
        }
    }
    let published = |run: Vec<Happened>| {
        let Happened { id, at, .. } = run[0];
        let events = run.into_iter().map(|happened| happened.event).collect();
        let all = Published::with_world(id.commit, at, events, &loaded.world);
        Published { first: id.index, ..all }
    };
    let kept = runs.into_iter().map(published).collect();
    Ok((loaded, kept))
}

/// Whatever ends the writer ends the brain and the fleet. Of a server that was deposed the views remain.
async fn end(writer: Writer, server: Server) -> WriterEnd {
    match writer.run().await {
        WriterEnd::Deposed(by) => {
            server.leads_no_more(by);
            let trouble = server.trouble().map(|trouble| trouble.to_string());
            tracing::error!(
                leader = trouble.unwrap_or_default(),
                "this server leads no more; it answers reads from what it knew, and tasks go on"
            );
            std::future::pending().await
        }
        end @ (WriterEnd::Done | WriterEnd::Impossible(_)) => {
            server.store_is_away(&end.to_string());
            end
        }
    }
}

/// The world with its counters. They are missing in a log that nothing was written to, and where that row cannot be read:
/// then they go on behind every key that is in use. Ids also hold the time, so theirs may begin anew.
fn with_meta(mut world: World, cluster: ClusterId) -> World {
    let app = world.apps.iter().map(|(key, _)| key.next()).max();
    let agent = world.agents.iter().map(|(key, _)| key.next()).max();
    world.meta.get_or_insert(Meta {
        cluster,
        next_app: app.unwrap_or(AppKey(1)),
        next_agent: agent.unwrap_or(AgentKey(1)),
        next_id: 0,
        brake: Brake::default(),
        gpu_scheduling: GpuScheduling::default(),
    });
    world
}

/// The writer waits for the disk, and so has a thread of its own.
fn spawn_writer(
    run: impl Future<Output = WriterEnd> + Send + 'static,
) -> std::io::Result<oneshot::Receiver<WriterEnd>> {
    let runtime = tokio::runtime::Handle::current();
    let (sender, ended) = oneshot::channel();
    let run = move || {
        // Nobody listens only when the process ends anyway.
        let _ended = sender.send(runtime.block_on(run));
    };
    std::thread::Builder::new().name("writer".to_owned()).spawn(run)?;
    Ok(ended)
}

fn spawn_brain(turn: impl FnOnce() -> Turn + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let run = move || runtime.block_on(turn().run());
    std::thread::Builder::new().name("brain".to_owned()).spawn(run)?;
    Ok(())
}

// === impl Leader ===

impl Leader {
    /// Tells other servers that this one ends, so that none need wait until it is taken for dead.
    pub async fn resign(&self) {
        self.store.resign().await;
    }
}

// === impl Agents ===

impl Agents {
    /// The connections of all agents that are there.
    pub async fn all(&self) -> Vec<Peer> {
        let mut peers = Vec::new();
        let view = self.server.view();
        for (key, _) in view.world.agents.iter() {
            peers.extend(self.find(*key).await);
        }
        peers
    }

    /// The connection of an agent, if it is there.
    pub async fn find(&self, key: AgentKey) -> Option<Peer> {
        let agent: AgentId = self.server.view().world.agents.get(&key)?.id;
        let (reply, found) = oneshot::channel();
        self.fleet.send(FleetEvent::Find { agent, reply }).await.ok()?;
        tokio::time::timeout(FIND_DEADLINE, found).await.ok()?.ok()?
    }
}
