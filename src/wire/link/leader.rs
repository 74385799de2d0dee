//! The leader's half of one session with one agent.
//!
//! It turns what the agent says into facts, and the durable rows of the agent's instances into wants. What waits to be
//! said is a set of keys, never a queue of orders: rows are read when there is room to send.

use std::collections::{BTreeSet, VecDeque};

use crate::model::agent::Inventory;
use crate::model::fact::{Fact, Ticket};
use crate::model::have::{Have, SpecKey, Want};
use crate::model::id::{AgentId, AgentKey, ClusterId, Epoch, InstanceId, InstanceKey, RunId, Seq};
use crate::model::time::Timestamp;
use crate::model::world::World;
use crate::planted::planted;
use crate::wire::link::liveness::{BEAT, Liveness};
use crate::wire::link::want::{definition, needs, want_in};
use crate::wire::link::{MAX_BATCH, WINDOW, encoded_size};
use crate::wire::message::{Down, Hello, Leaving, Open, PROTOCOLS, Refused, Up};

/// The number of the ticket under which an agent attaches. Batches of haves count from 1.
pub const ATTACH: Seq = Seq(0);

/// How many definitions a session remembers as sent; beyond it they are sent again.
const MAX_SPECS: usize = 16_384;

/// The leader's half of one session with one agent.
#[derive(Debug)]
pub struct LeaderLink {
    agent: AgentId,
    run: RunId,
    liveness: Liveness,
    /// When something was last sent.
    said: Timestamp,
    /// The newest inventory that the agent sent; none before it has said what it is.
    offered: Option<Seq>,
    /// The agent's key, from the answer to its introduction.
    key: Option<AgentKey>,
    facts: Vec<Fact>,
    /// Batches that came before the key.
    parked: VecDeque<(Seq, Vec<Have>)>,
    acks: Acks,
    theirs: Theirs,
    ours: Ours,
    /// What changed and was not sent.
    outbox: BTreeSet<InstanceKey>,
    specs_said: BTreeSet<SpecKey>,
    specs_due: BTreeSet<SpecKey>,
    over: Option<Over>,
}

/// Why a session has ended for the leader. Its connection is closed then, and the agent dials anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Over {
    /// Nothing was heard for too long.
    #[error("nothing was heard of the agent for 4 s")]
    Silent,
    /// The agent said that it goes.
    #[error("the agent leaves: {0:?}")]
    Left(Leaving),
    /// An operator has given the agent up; if it dials again it is a new one.
    #[error("the agent was forgotten")]
    Forgotten,
    /// It said something before it said what it is.
    #[error("the agent did not begin with its inventory")]
    NotIntroduced,
    /// A batch is missing; all is said again in a new session.
    #[error("batch {0} of haves is missing")]
    Hole(Seq),
    /// It sends on without waiting for acknowledgements.
    #[error("the agent does not wait for acknowledgements")]
    Flood,
}

/// What was received, and what of it is durable.
#[derive(Debug, Default)]
struct Acks {
    /// The newest batch received.
    newest: Option<Seq>,
    /// Received and not durable.
    owed: BTreeSet<Seq>,
    /// The newest batch up to which the agent was told.
    told: Option<Seq>,
}

/// Whether the agent has said all it has.
#[derive(Debug)]
enum Theirs {
    /// Not yet.
    Speaking,
    /// It has, and this is what there is; the core is not told yet.
    Said(Vec<(InstanceKey, InstanceId)>),
    /// The core is told.
    Told,
}

/// Whether the agent was sent all its wants.
#[derive(Debug)]
enum Ours {
    /// These of the instances that it had at its attachment were not.
    Speaking(BTreeSet<InstanceKey>),
    /// It was.
    Said,
}

// === impl LeaderLink ===

impl LeaderLink {
    /// A session that was opened at `now` with this run of this agent.
    pub fn new(agent: AgentId, run: RunId, now: Timestamp) -> LeaderLink {
        LeaderLink {
            agent,
            run,
            liveness: Liveness::of_agent(now),
            said: now,
            offered: None,
            key: None,
            facts: Vec::new(),
            parked: VecDeque::new(),
            acks: Acks::default(),
            theirs: Theirs::Speaking,
            ours: Ours::Speaking(BTreeSet::new()),
            outbox: BTreeSet::new(),
            specs_said: BTreeSet::new(),
            specs_due: BTreeSet::new(),
            over: None,
        }
    }

    /// The agent's identity.
    pub fn agent(&self) -> AgentId {
        self.agent
    }

    /// The run of the agent's process.
    pub fn run(&self) -> RunId {
        self.run
    }

    /// The agent's key, once its attachment is durable.
    pub fn key(&self) -> Option<AgentKey> {
        self.key
    }

    /// Why the session has ended, if it has. Nothing is sent or taken any more.
    pub fn over(&self) -> Option<Over> {
        self.over
    }

    /// The agent said something.
    pub fn up(&mut self, now: Timestamp, frame: Up) {
        if self.over.is_some() {
            return;
        }
        self.liveness.heard(now);
        match frame {
            Up::Inventory(seq, inventory) => self.take_inventory(seq, *inventory),
            Up::Have(seq, haves) => self.take_batch(seq, haves),
            Up::NeedSpecs(specs) => self.specs_due.extend(specs),
            Up::Synced(instances) => self.take_synced(instances),
            Up::Leaving(why) => self.leave(now, why),
            Up::Beat => {}
        }
    }

    /// The rows of these instances of this agent have changed in the durable view.
    pub fn changed(&mut self, keys: impl IntoIterator<Item = InstanceKey>) {
        self.outbox.extend(keys);
    }

    /// The agent's introduction is durable: this is its key, and these are the instances placed on it in a view that
    /// is no older. A second introduction in one session changes neither.
    pub fn attached(&mut self, key: AgentKey, instances: BTreeSet<InstanceKey>) {
        if self.key.is_some() || self.over.is_some() {
            return;
        }
        self.key = Some(key);
        let instances = planted!("resync-sends-nothing", instances, BTreeSet::new());
        self.ours = Ours::Speaking(instances);
        while let Some((seq, haves)) = self.parked.pop_front() {
            self.tell_batch(key, seq, haves);
        }
    }

    /// The facts of this batch are durable. Runs count their batches each from 1, so an answer names the run too.
    pub fn answered(&mut self, run: RunId, seq: Seq) {
        if run == self.run {
            self.acks.owed.remove(&seq);
        }
    }

    /// What the core is to be told. Ask after everything that was said either way.
    pub fn facts(&mut self) -> Vec<Fact> {
        self.conclude();
        std::mem::take(&mut self.facts)
    }

    /// The next frame to send, of at most about `budget` bytes unless it is a definition. Ask again until there is
    /// none, whenever there is room.
    pub fn pull(&mut self, now: Timestamp, world: &World, budget: usize) -> Option<Down> {
        if self.key.is_some_and(|key| world.agents.get(&key).is_none()) {
            self.over.get_or_insert(Over::Forgotten);
        }
        if self.over.is_some() {
            return None;
        }
        let idle = now >= self.said + BEAT;
        let frame = self.next_frame(world, budget.min(MAX_BATCH));
        let frame = frame.or(idle.then_some(Down::Beat))?;
        self.said = now;
        Some(frame)
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Timestamp) {
        if self.over.is_some() {
            return;
        }
        self.liveness.wake(now);
        if self.liveness.loss(now).is_some() {
            self.over = Some(Over::Silent);
        }
    }

    /// When to tick and pull at the latest.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if self.over.is_some() {
            return None;
        }
        let beat = self.said + BEAT;
        Some(self.liveness.next_wake().map_or(beat, |wake| wake.min(beat)))
    }

    /// The connection is gone, or the session is over. That alone means nothing for the agent: what it is measured by
    /// goes on, and [`Absences`](crate::wire::link::absence::Absences) tell its loss.
    pub fn closed(self) -> Liveness {
        self.liveness
    }

    fn ticket(&self, seq: Seq) -> Ticket {
        Ticket::Agent(self.agent, self.run, seq)
    }

    fn take_inventory(&mut self, seq: Seq, inventory: Inventory) {
        if self.offered.is_some_and(|newest| seq <= newest) {
            return;
        }
        self.offered = Some(seq);
        let ticket = self.ticket(ATTACH);
        let (agent, run) = (self.agent, self.run);
        self.facts.push(Fact::Attached { ticket, agent, run, inventory });
    }

    fn take_batch(&mut self, seq: Seq, haves: Vec<Have>) {
        if self.offered.is_none() {
            self.over = Some(Over::NotIntroduced);
            return;
        }
        match self.acks.newest {
            Some(newest) if seq <= newest => return,
            Some(newest) if seq > newest.next() => {
                self.over = Some(Over::Hole(newest.next()));
                return;
            }
            Some(_) | None => {}
        }
        // An agent waits for acknowledgements after a window of batches; twice as many are nobody's mistake.
        if self.acks.owed.len() >= 2 * WINDOW {
            self.over = Some(Over::Flood);
            return;
        }
        self.acks.receive(seq);
        match self.key {
            Some(key) => self.tell_batch(key, seq, haves),
            None => self.parked.push_back((seq, haves)),
        }
    }

    fn tell_batch(&mut self, agent: AgentKey, seq: Seq, haves: Vec<Have>) {
        let ticket = self.ticket(seq);
        self.facts.push(Fact::Has { ticket, agent, haves });
    }

    fn take_synced(&mut self, instances: Vec<(InstanceKey, InstanceId)>) {
        if self.offered.is_none() {
            self.over = Some(Over::NotIntroduced);
        } else if matches!(self.theirs, Theirs::Speaking) {
            self.theirs = Theirs::Said(instances);
        }
    }

    fn leave(&mut self, now: Timestamp, why: Leaving) {
        self.over = Some(Over::Left(why));
        self.liveness.leaving(now, why);
    }

    /// Tells that both sides have said all they had.
    fn conclude(&mut self) {
        let (Some(agent), Ours::Said, None) = (self.key, &self.ours, self.over) else { return };
        match std::mem::replace(&mut self.theirs, Theirs::Told) {
            Theirs::Said(instances) => self.facts.push(Fact::Synced { agent, instances }),
            Theirs::Speaking => self.theirs = Theirs::Speaking,
            Theirs::Told => {}
        }
    }

    fn next_frame(&mut self, world: &World, limit: usize) -> Option<Down> {
        if let Some(seq) = self.acks.due() {
            return Some(Down::Ack(seq));
        }
        let key = self.key?;
        if let Some(frame) = self.next_spec(world) {
            return Some(frame);
        }
        if let Some(frame) = self.next_wants(world, key, limit) {
            return Some(frame);
        }
        match &self.ours {
            // All that was left of it is no longer wanted, or was sent.
            Ours::Speaking(_) => {
                self.ours = Ours::Said;
                Some(Down::Synced)
            }
            Ours::Said => None,
        }
    }

    /// A definition that is asked for or due. One that is not there counts as sent: its want goes without it, and
    /// whoever asks again gets no answer rather than an endless exchange.
    fn next_spec(&mut self, world: &World) -> Option<Down> {
        while let Some(key) = self.specs_due.pop_first() {
            if self.specs_said.len() >= MAX_SPECS {
                self.specs_said.clear();
            }
            self.specs_said.insert(key);
            if let Some(text) = definition(world, key) {
                return Some(Down::Spec(key, text));
            }
        }
        None
    }

    /// A batch of wants, or a definition that one of them needs first.
    fn next_wants(&mut self, world: &World, agent: AgentKey, limit: usize) -> Option<Down> {
        loop {
            let queue = match &self.ours {
                Ours::Speaking(left) => left,
                Ours::Said => &self.outbox,
            };
            let (taken, wants) = collect(queue, world, agent, limit);
            let needed = wants.iter().filter_map(needs);
            self.specs_due.extend(needed.filter(|spec| !self.specs_said.contains(spec)));
            if !self.specs_due.is_empty() {
                match self.next_spec(world) {
                    Some(frame) => return Some(frame),
                    None => continue,
                }
            }
            let queue = match &mut self.ours {
                Ours::Speaking(left) => left,
                Ours::Said => &mut self.outbox,
            };
            for key in taken {
                queue.remove(&key);
            }
            return (!wants.is_empty()).then_some(Down::Want(wants));
        }
    }
}

// === impl Acks ===

impl Acks {
    fn receive(&mut self, seq: Seq) {
        if self.newest.is_none() {
            self.told = Some(Seq(seq.0.saturating_sub(1)));
        }
        self.newest = Some(seq);
        planted!("ack-before-durable", self.owed.insert(seq), false);
    }

    /// The batch up to which all is durable, unless the agent was told.
    fn due(&mut self) -> Option<Seq> {
        let durable = match self.owed.first() {
            Some(first) => Some(Seq(first.0.saturating_sub(1))),
            None => self.newest,
        };
        if durable > self.told {
            self.told = durable;
            return durable;
        }
        None
    }
}

/// How to open a session with the agent that said `hello`.
///
/// # Errors
/// When it would be refused.
pub fn open_for(hello: &Hello, cluster: ClusterId, epoch: Epoch) -> Result<Open, Refused> {
    let protocol = *hello.protocols.end().min(PROTOCOLS.end());
    if !hello.protocols.contains(&protocol) || !PROTOCOLS.contains(&protocol) {
        return Err(Refused::Protocol(hello.protocols.clone()));
    }
    if let Some(other) = hello.cluster.filter(|other| *other != cluster) {
        return Err(Refused::Cluster(other));
    }
    if hello.epoch > epoch {
        return Err(Refused::Epoch(hello.epoch));
    }
    Ok(Open { protocol, cluster, epoch })
}

/// Wants from `queue` for one frame, and the keys they stand for; keys without a want are taken too.
fn collect(
    queue: &BTreeSet<InstanceKey>,
    world: &World,
    agent: AgentKey,
    limit: usize,
) -> (Vec<InstanceKey>, Vec<Want>) {
    let (mut bytes, mut taken, mut wants) = (0, Vec::new(), Vec::new());
    for key in queue {
        if let Some(want) = want_in(world, *key, agent) {
            let size = encoded_size(&want);
            if !wants.is_empty() && bytes + size > limit {
                break;
            }
            bytes += size;
            wants.push(want);
        }
        taken.push(*key);
    }
    (taken, wants)
}
