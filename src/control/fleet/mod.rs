//! The leader's agents: one session each, and whether each is heard.
//!
//! An actor. It hands what has become durable to the sessions it concerns, keeps what agents are measured by over the
//! end of sessions, and tells the brain which are lost. Rules are in `wire::link`; this brings them sockets and a clock.

pub mod listen;
pub mod session;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::control::clock::Clock;
use crate::control::gauges::Gauges;
use crate::control::server::Server;
use crate::model::fact::{Answer, Fact, Ticket};
use crate::model::id::{AgentId, AgentKey, ClusterId, Epoch, InstanceKey, RunId, Seq};
use crate::model::view::View;
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
}

/// What happens to the fleet.
#[derive(Debug)]
pub enum FleetEvent {
    /// An agent's connection said who it is.
    Connected {
        /// The connection.
        peer: Peer,
        /// The agent.
        agent: AgentId,
        /// Its run.
        run: RunId,
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
    pub absent: BTreeMap<AgentId, Liveness>,
    /// Agents with one.
    pub sessions: BTreeMap<AgentId, SessionHandle>,
    /// By the keys that the sessions learned.
    pub keys: BTreeMap<AgentKey, AgentId>,
    /// Counts sessions.
    pub next: u64,
}

/// A running session.
pub struct SessionHandle {
    number: u64,
    run: RunId,
    peer: Peer,
    events: mpsc::UnboundedSender<SessionEvent>,
}

// === impl Fleet ===

impl Fleet {
    /// Works until the brain's thread is gone.
    pub async fn run(mut self) {
        self.inherit();
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
            self.tick().await;
            self.gauges.sessions.set(i64::try_from(self.sessions.len()).unwrap_or(i64::MAX));
        }
    }

    /// A new leader gives everybody time to be heard.
    fn inherit(&mut self) {
        let now = self.clock.now();
        let view = self.server.view();
        for (_, agent) in view.world.agents.iter().filter(|(_, agent)| agent.is_heard()) {
            self.absent.insert(agent.id, Liveness::inherited(now));
        }
    }

    fn happen(&mut self, event: FleetEvent) {
        match event {
            FleetEvent::Connected { peer, agent, run } => self.open(peer, agent, run),
            FleetEvent::Ended { agent, number, liveness } => {
                if self.sessions.get(&agent).is_some_and(|session| session.number == number) {
                    self.sessions.remove(&agent);
                    self.absent.insert(agent, liveness);
                }
            }
            FleetEvent::Find { agent, reply } => {
                let peer = self.sessions.get(&agent).map(|session| session.peer.clone());
                // Whoever asked may have given up.
                let _gone = reply.send(peer);
            }
        }
    }

    /// The newest connection of an agent counts; an older one of the same agent is hung up.
    fn open(&mut self, peer: Peer, agent: AgentId, run: RunId) {
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
        };
        if let Some(old) = self.sessions.remove(&agent) {
            old.peer.hang_up();
        }
        self.absent.remove(&agent);
        tokio::spawn(session.run());
        self.sessions.insert(agent, SessionHandle { number: self.next, run, peer, events });
    }

    fn hand_out(&mut self, published: &Published) {
        let mut placed = placed(published);
        for (ticket, answer) in &published.answers {
            let Ticket::Agent(agent, run, seq) = ticket else { continue };
            if matches!(answer, Answer::Attached(_)) && !self.sessions.contains_key(agent) {
                self.measure(*agent);
            }
            let session = self.sessions.get(agent).filter(|session| session.run == *run);
            let Some(session) = session else { continue };
            let event = match answer {
                Answer::Attached(key) => {
                    self.keys.insert(*key, *agent);
                    SessionEvent::Attached {
                        key: *key,
                        instances: placed.remove(key).unwrap_or_default(),
                    }
                }
                Answer::Noted
                | Answer::Deployed { .. }
                | Answer::Killed { .. }
                | Answer::Cancelled
                | Answer::DelayReset
                | Answer::Refused(_) => SessionEvent::Answered(*run, *seq),
            };
            // A session that has just ended says so by itself.
            let _ended = session.events.send(event);
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

    /// An agent whose attachment became durable after the end of its session is heard by its row and by nobody else: its
    /// loss may have come when no key could name it.
    fn measure(&mut self, agent: AgentId) {
        let now = self.clock.now();
        self.absent.entry(agent).or_insert_with(|| Liveness::of_agent(now));
    }

    async fn tick(&mut self) {
        let now = self.clock.now();
        let view = self.server.view();
        let mut lost = Vec::new();
        for (agent, liveness) in &mut self.absent {
            if let Some(why) = liveness.tick(now) {
                lost.push((*agent, why));
            }
        }
        for (agent, why) in lost {
            self.absent.remove(&agent);
            if let Some(key) = view.world.agent_ids.get(&agent) {
                let fact = Fact::Lost { agent: *key, why };
                // Without a brain there is nobody to tell.
                let _over = self.facts.send(fact).await;
            }
        }
    }

    fn until_wake(&self) -> Duration {
        let now = self.clock.now();
        let wake = self.absent.values().filter_map(Liveness::next_wake).min();
        wake.map_or(Duration::from_mins(1), |wake| wake.since(now).into())
    }
}

/// What is placed on the agents whose attachments are told of: one look at all instances, however many agents come at
/// once.
fn placed(published: &Published) -> BTreeMap<AgentKey, BTreeSet<InstanceKey>> {
    let attached = published.answers.iter().filter_map(|(_, answer)| match answer {
        Answer::Attached(key) => Some((*key, BTreeSet::new())),
        Answer::Noted
        | Answer::Deployed { .. }
        | Answer::Killed { .. }
        | Answer::Cancelled
        | Answer::DelayReset
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
    use crate::model::time::Timestamp;

    fn fleet() -> Fleet {
        let (facts, _) = mpsc::channel(8);
        let (own, events) = mpsc::channel(8);
        let (_, published) = mpsc::unbounded_channel();
        Fleet {
            server: Server::new(facts.clone()),
            facts,
            clock: Clock::start(Timestamp::default()),
            cluster: ClusterId(Uuid::nil()),
            epoch: Epoch(1),
            published,
            events,
            own,
            gauges: Gauges::default(),
            absent: BTreeMap::new(),
            sessions: BTreeMap::new(),
            keys: BTreeMap::new(),
            next: 0,
        }
    }

    #[test]
    fn an_agent_that_was_gone_before_its_attachment_was_durable_is_measured() {
        // Its row says that it is heard; its loss, if that came before, could name no key and was told to nobody.
        let mut fleet = fleet();
        let (agent, run) = (AgentId(Uuid::from_u128(1)), RunId(Uuid::from_u128(2)));
        let attached = (Ticket::Agent(agent, run, Seq(0)), Answer::Attached(AgentKey(1)));
        let (answers, changed) = (vec![attached], Vec::new());
        fleet.hand_out(&Published { view: Arc::default(), answers, changed });
        assert!(fleet.absent.contains_key(&agent));
    }
}
