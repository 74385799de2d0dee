//! The leader's agents: one session each, and whether each is heard.
//!
//! An actor. It hands what has become durable to the sessions it concerns, keeps what agents are measured by over the
//! end of sessions, and tells the brain which are lost. Rules are in `wire::link`; this brings them sockets and a clock.

pub mod listen;
pub mod names;
pub mod session;
pub mod signs;
pub mod twin;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::control::clock::Clock;
use crate::control::fleet::names::Names;
use crate::control::fleet::signs::Signs;
use crate::control::fleet::twin::{Held, Newcomer};
use crate::control::gauges::Gauges;
use crate::control::server::Server;
use crate::model::fact::{Answer, Fact, Ticket};
use crate::model::id::{AgentId, AgentKey, ClusterId, Epoch, InstanceKey, RunId, Seq};
use crate::model::view::View;
use crate::wire::link::absence::Absences;
use crate::wire::link::liveness::Liveness;
use crate::wire::reverse::Peer;

/// What has become durable and concerns agents.
#[derive(Debug)]
pub struct Published {
    /// The view that holds it.
    pub view: Arc<View>,
    /// Answers to agents.
    pub answers: Vec<(Ticket, Answer)>,
    /// Instances whose wants may have changed.
    pub changed: Vec<(AgentKey, InstanceKey)>,
    /// Agents whose rows left.
    pub forgotten: Vec<AgentKey>,
}

/// What happens to the fleet.
#[derive(Debug)]
pub enum FleetEvent {
    /// An agent's connection said who it is.
    Connected(Newcomer),
    /// The connection that an agent had does not answer: this one takes its place.
    Replaces {
        /// Which of its sessions is over.
        number: u64,
        /// The agent's new connection.
        newcomer: Newcomer,
    },
    /// A session has ended.
    Ended {
        /// The agent.
        agent: AgentId,
        /// Which of its sessions.
        number: u64,
        /// What it is measured by from now on.
        liveness: Liveness,
    },
    /// Somebody wants to reach an agent.
    Find {
        /// The agent.
        agent: AgentId,
        /// Where its connection goes, if there is one.
        reply: oneshot::Sender<Option<Peer>>,
    },
}

/// What a session is told.
#[derive(Debug)]
pub enum SessionEvent {
    /// Its agent's attachment is durable.
    Attached {
        /// The agent's key.
        key: AgentKey,
        /// What is placed on it.
        instances: BTreeSet<InstanceKey>,
    },
    /// A batch of a run is durable.
    Answered(RunId, Seq),
    /// Rows have changed.
    Changed(Vec<InstanceKey>),
}

/// The actor.
pub struct Fleet {
    /// Figures, view and facts.
    pub server: Server,
    /// Where facts go.
    pub facts: mpsc::Sender<Fact>,
    /// The leader's time.
    pub clock: Clock,
    /// Whose agents.
    pub cluster: ClusterId,
    /// Under which leadership.
    pub epoch: Epoch,
    /// What has become durable.
    pub published: mpsc::UnboundedReceiver<Published>,
    /// What happens.
    pub events: mpsc::Receiver<FleetEvent>,
    /// Where sessions and listeners tell what happens.
    pub own: mpsc::Sender<FleetEvent>,
    /// Figures.
    pub gauges: Gauges,
    /// Agents without a session.
    pub absences: Absences,
    /// Agents with one.
    pub sessions: BTreeMap<AgentId, SessionHandle>,
    /// By the keys that the sessions learned.
    pub keys: BTreeMap<AgentKey, AgentId>,
    /// Who has which hostname.
    pub names: Names,
    /// Counts sessions.
    pub next: u64,
    /// When each agent was last heard, for people.
    pub signs: Signs,
}

/// A running session.
pub struct SessionHandle {
    number: u64,
    run: RunId,
    peer: Peer,
    from: String,
    /// Whether it was told of.
    introduced: bool,
    events: mpsc::UnboundedSender<SessionEvent>,
}

// === impl Fleet ===

impl Fleet {
    /// Works until the brain's thread is gone.
    pub async fn run(mut self) {
        loop {
            let sleep = self.until_wake();
            tokio::select! {
                published = self.published.recv() => match published {
                    Some(published) => self.hand_out(&published),
                    None => return,
                },
                event = self.events.recv() => match event {
                    Some(event) => self.happen(event),
                    None => return,
                },
                () = tokio::time::sleep(sleep) => {}
            }
            self.tick();
            self.gauges.sessions.set(i64::try_from(self.sessions.len()).unwrap_or(i64::MAX));
        }
    }

    fn happen(&mut self, event: FleetEvent) {
        match event {
            FleetEvent::Connected(newcomer) => self.greet(newcomer),
            FleetEvent::Replaces { number, newcomer } => {
                let held = self.sessions.get(&newcomer.agent);
                if held.is_none_or(|session| session.number == number) {
                    self.open(newcomer);
                } else {
                    // Yet another one was faster.
                    self.greet(newcomer);
                }
            }
            FleetEvent::Ended { agent, number, liveness } => {
                if self.sessions.get(&agent).is_some_and(|session| session.number == number) {
                    self.sessions.remove(&agent);
                    self.absences.ended(agent, liveness);
                    if self.server.view().world.agent_ids.get(&agent).is_none() {
                        self.signs.forget(agent);
                    }
                }
            }
            FleetEvent::Find { agent, reply } => {
                let peer = self.sessions.get(&agent).map(|session| session.peer.clone());
                // Whoever asked may have given up.
                let _gone = reply.send(peer);
            }
        }
    }

    /// An agent that is connected already is asked on that connection whether it is still there; see [`twin`].
    fn greet(&mut self, newcomer: Newcomer) {
        let Some(held) = self.sessions.get(&newcomer.agent) else {
            let view = self.server.view();
            let known = view.world.agent_ids.get(&newcomer.agent);
            match known.and_then(|key| view.world.agents.get(key)) {
                Some(agent) if twin::is_elsewhere(&agent.inventory, &newcomer) => {
                    let hostname = agent.inventory.hostname.clone();
                    tokio::spawn(twin::turn_away(newcomer, hostname));
                }
                Some(_) | None => self.open(newcomer),
            }
            return;
        };
        let held = Held {
            number: held.number,
            run: held.run,
            peer: held.peer.clone(),
            from: held.from.clone(),
        };
        tokio::spawn(twin::settle(held, newcomer, self.own.clone()));
    }

    /// Opens a session; an older one of the same agent is hung up.
    fn open(&mut self, newcomer: Newcomer) {
        let Newcomer { peer, agent, run, from, .. } = newcomer;
        self.next += 1;
        let (events, received) = mpsc::unbounded_channel();
        let session = session::Session {
            server: self.server.clone(),
            facts: self.facts.clone(),
            clock: self.clock,
            open: crate::wire::message::Open {
                protocol: *crate::wire::message::PROTOCOLS.end(),
                cluster: self.cluster,
                epoch: self.epoch,
            },
            agent,
            run,
            number: self.next,
            peer: peer.clone(),
            events: received,
            fleet: self.own.clone(),
            sign: self.signs.of(agent),
        };
        if let Some(old) = self.sessions.remove(&agent) {
            old.peer.hang_up();
        }
        self.absences.begins(agent);
        tokio::spawn(session.run());
        let handle =
            SessionHandle { number: self.next, run, peer, from, introduced: false, events };
        self.sessions.insert(agent, handle);
    }

    fn hand_out(&mut self, published: &Published) {
        let mut placed = placed(published);
        for (ticket, answer) in &published.answers {
            let Ticket::Agent(agent, run, seq) = ticket else { continue };
            let session = self.sessions.get_mut(agent).filter(|session| session.run == *run);
            let Some(session) = session else { continue };
            let event = match answer {
                Answer::Attached(key) => {
                    self.keys.insert(*key, *agent);
                    if !std::mem::replace(&mut session.introduced, true) {
                        self.names.came(&published.view.world, *key, &session.from);
                    }
                    SessionEvent::Attached {
                        key: *key,
                        instances: placed.remove(key).unwrap_or_default(),
                    }
                }
                Answer::Noted
                | Answer::Deployed { .. }
                | Answer::Deploying { .. }
                | Answer::Killed { .. }
                | Answer::Cancelled
                | Answer::DelayReset
                | Answer::Done
                | Answer::Refused(_) => SessionEvent::Answered(*run, *seq),
            };
            // A session that has just ended says so by itself.
            let _ended = session.events.send(event);
        }
        for agent in published.forgotten.iter().filter_map(|key| self.keys.remove(key)) {
            // With a session its sign is let go when that ends.
            if !self.sessions.contains_key(&agent) {
                self.signs.forget(agent);
            }
        }
        let mut changed: BTreeMap<AgentKey, Vec<InstanceKey>> = BTreeMap::new();
        for (agent, instance) in &published.changed {
            changed.entry(*agent).or_default().push(*instance);
        }
        for (agent, instances) in changed {
            let session = self.keys.get(&agent).and_then(|id| self.sessions.get(id));
            if let Some(session) = session {
                let _ended = session.events.send(SessionEvent::Changed(instances));
            }
        }
    }

    /// Tells losses. A full inbox is no reason to wait here, where sessions are opened and wants handed out.
    fn tick(&mut self) {
        let now = self.clock.now();
        if now < self.absences.next_wake() {
            return;
        }
        let view = self.server.view();
        let has_session = |agent| self.sessions.contains_key(&agent);
        for fact in self.absences.tick(now, &view.world, has_session) {
            let Fact::Lost { agent, .. } = fact else { continue };
            if self.facts.try_send(fact).is_err()
                && let Some(row) = view.world.agents.get(&agent)
            {
                self.absences.untold(now, row.id);
            }
        }
    }

    fn until_wake(&self) -> Duration {
        self.absences.next_wake().since(self.clock.now()).into()
    }
}

/// What is placed on the agents whose attachments are told of: one look at all instances, however many agents come at
/// once.
fn placed(published: &Published) -> BTreeMap<AgentKey, BTreeSet<InstanceKey>> {
    let attached = published.answers.iter().filter_map(|(_, answer)| match answer {
        Answer::Attached(key) => Some((*key, BTreeSet::new())),
        Answer::Noted
        | Answer::Deployed { .. }
        | Answer::Deploying { .. }
        | Answer::Killed { .. }
        | Answer::Cancelled
        | Answer::DelayReset
        | Answer::Done
        | Answer::Refused(_) => None,
    });
    let mut placed: BTreeMap<AgentKey, BTreeSet<InstanceKey>> = attached.collect();
    if placed.is_empty() {
        return placed;
    }
    for (key, instance) in published.view.world.instances.iter() {
        let agent = instance.place.as_ref().map(|place| place.agent);
        if let Some(there) = agent.and_then(|agent| placed.get_mut(&agent)) {
            there.insert(*key);
        }
    }
    placed
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::control::events::Events;
    use crate::model::time::Timestamp;
    use crate::model::world::World;

    fn fleet() -> Fleet {
        let (gauges, now) = (Gauges::default(), Timestamp::from_millis(1_600_000_000_000));
        Fleet {
            server: Server::new(mpsc::channel(1).0, Events::new(&gauges)),
            facts: mpsc::channel(1).0,
            clock: Clock::start(now),
            cluster: ClusterId(Uuid::from_u128(7)),
            epoch: Epoch(1),
            published: mpsc::unbounded_channel().1,
            events: mpsc::channel(1).1,
            own: mpsc::channel(1).0,
            gauges,
            absences: Absences::inherit(now, &World::default()),
            sessions: BTreeMap::new(),
            keys: BTreeMap::new(),
            names: Names::default(),
            next: 0,
            signs: Signs::default(),
        }
    }

    #[test]
    fn the_sign_of_an_agent_that_is_away_leaves_with_its_row() {
        let mut fleet = fleet();
        let agents = [(AgentKey(1), 1), (AgentKey(2), 2)];
        let agents = agents.map(|(key, id)| (key, AgentId(Uuid::from_u128(id))));
        for (key, agent) in agents {
            fleet.signs.of(agent);
            fleet.keys.insert(key, agent);
        }
        let published = Published {
            view: Arc::default(),
            answers: Vec::new(),
            changed: Vec::new(),
            forgotten: vec![AgentKey(1)],
        };
        fleet.hand_out(&published);
        let known = agents.map(|(_, agent)| fleet.signs.find(agent).is_some());
        assert_eq!(known, [false, true]);
    }
}
