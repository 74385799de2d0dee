//! The leader's agents, wired as `control::fleet` wires them: one session each, and whether each is heard.

use std::collections::{BTreeMap, BTreeSet};

use stayer::model::fact::{Answer, Fact, Ticket};
use stayer::model::id::{AgentId, AgentKey, InstanceKey};
use stayer::model::time::Timestamp;
use stayer::model::view::View;
use stayer::wire::link::absence::Absences;
use stayer::wire::link::leader::LeaderLink;
use stayer::wire::message::{Down, Open, PROTOCOLS, Up};

use crate::faults::Kind;
use crate::sim::Sim;
use crate::trace;

/// The leader's agents.
#[derive(Default)]
pub struct Fleet {
    absences: Absences,
    /// Agents with a session.
    pub sessions: BTreeMap<AgentId, Session>,
    keys: BTreeMap<AgentKey, AgentId>,
    /// Losses in a row of which nobody heard.
    untold: u32,
}

/// As many losses in a row may find nobody who hears.
const UNTOLD_IN_A_ROW: u32 = 3;

/// A session of the leader.
pub struct Session {
    /// On which wire.
    pub wire: u64,
    /// Whether the agent has taken it.
    pub open: bool,
    /// The leader's half.
    pub link: LeaderLink,
}

// === impl Fleet ===

impl Fleet {
    /// A new leader gives everybody time to be heard.
    pub fn inherit(now: Timestamp, view: &View) -> Fleet {
        Fleet { absences: Absences::inherit(now, &view.world), ..Fleet::default() }
    }

    /// When to tick at the latest, in the leader's time.
    pub fn next_wake(&self) -> Option<Timestamp> {
        let open = self.sessions.values().filter(|session| session.open);
        let wakes = open.filter_map(|session| session.link.next_wake());
        wakes.chain([self.absences.next_wake()]).min()
    }

    /// The session on a wire has ended; gives what the agent is measured by.
    fn end(&mut self, wire: u64) {
        let of = self.sessions.iter().find(|(_, session)| session.wire == wire);
        let Some(agent) = of.map(|(agent, _)| *agent) else { return };
        if let Some(session) = self.sessions.remove(&agent) {
            self.absences.ended(agent, session.link.closed());
        }
    }
}

// === impl Sim: the fleet ===

impl Sim {
    /// An agent's connection said who it is: a session is opened on it.
    pub fn connected(&mut self, wire: u64, agent: usize) {
        let (id, run) = match &self.agents[agent].up {
            Some(up) => (self.agents[agent].id, up.run),
            None => return,
        };
        let now = self.now;
        let Some(up) = &mut self.server.up else { return };
        let link = LeaderLink::new(id, run, up.clock(now));
        let old = up.fleet.sessions.remove(&id);
        up.fleet.absences.begins(id);
        up.fleet.sessions.insert(id, Session { wire, open: false, link });
        if let Some(old) = old {
            self.hang_up(old.wire);
        }
    }

    /// What opens a session.
    pub fn opening(&self) -> Option<Open> {
        let up = self.server.up.as_ref()?;
        let cluster = crate::sim::CLUSTER;
        Some(Open { protocol: *PROTOCOLS.end(), cluster, epoch: up.view.epoch })
    }

    /// The agent has taken the session.
    pub fn session_taken(&mut self, wire: u64) {
        let Some(up) = &mut self.server.up else { return };
        if let Some(session) = up.fleet.sessions.values_mut().find(|session| session.wire == wire) {
            session.open = true;
        }
    }

    /// The stream of a session has ended for the leader.
    pub fn leader_hears_end(&mut self, wire: u64) {
        if let Some(up) = &mut self.server.up {
            up.fleet.end(wire);
        }
    }

    /// A frame comes up.
    pub fn frame_up(&mut self, wire: u64, frame: Up) {
        let now = self.now;
        let Some(up) = &mut self.server.up else { return };
        let clock = up.clock(now);
        let Some(session) = up.fleet.sessions.values_mut().find(|session| session.wire == wire)
        else {
            return;
        };
        session.link.up(clock, frame);
    }

    /// What has become durable goes to the sessions that it concerns.
    pub fn hand_out(&mut self, answers: &[(Ticket, Answer)], changed: &[(AgentKey, InstanceKey)]) {
        let Some(up) = &mut self.server.up else { return };
        let (fleet, view) = (&mut up.fleet, &up.view);
        for (ticket, answer) in answers {
            let Ticket::Agent(agent, run, seq) = ticket else { continue };
            let session = fleet.sessions.get_mut(agent);
            let Some(session) = session.filter(|session| session.link.run() == *run) else {
                continue;
            };
            match answer {
                Answer::Attached(key) => {
                    fleet.keys.insert(*key, *agent);
                    session.link.attached(*key, placed_on(view, *key));
                }
                Answer::Noted
                | Answer::Deployed { .. }
                | Answer::Deploying { .. }
                | Answer::Killed { .. }
                | Answer::Cancelled
                | Answer::DelayReset
                | Answer::Done
                | Answer::Refused(_) => session.link.answered(*run, *seq),
            }
        }
        for (agent, instance) in changed {
            let session = fleet.keys.get(agent).and_then(|id| fleet.sessions.get_mut(id));
            if let Some(session) = session {
                session.link.changed([*instance]);
            }
        }
    }

    /// Sessions say and tell what they have, and time passes for who has none. True when anything came of it.
    pub fn pump_fleet(&mut self) -> bool {
        let now = self.now;
        let budget = self.plan.budget;
        let Some(up) = &mut self.server.up else { return false };
        let clock = up.clock(now);
        let mut said: Vec<(u64, Down)> = Vec::new();
        let mut over = Vec::new();
        let mut facts: Vec<Fact> = Vec::new();
        for session in up.fleet.sessions.values_mut().filter(|session| session.open) {
            if session.link.next_wake().is_some_and(|wake| wake <= clock) {
                session.link.tick(clock);
            }
            while let Some(frame) = session.link.pull(clock, &up.view.world, budget) {
                said.push((session.wire, frame));
            }
            facts.extend(session.link.facts());
            if session.link.over().is_some() {
                over.push((session.wire, session.link.over()));
            }
        }
        if clock >= up.fleet.absences.next_wake() {
            let Fleet { absences, sessions, untold: in_a_row, .. } = &mut up.fleet;
            let told = absences.tick(clock, &up.view.world, |agent| sessions.contains_key(&agent));
            // An inbox may be full, or its brain be gone.
            let heard = told.into_iter().filter(|_| {
                let untold = self.faulty && self.rng.chance(self.plan.untold);
                // An inbox that is full has room again at some time, and a loss is told again in vain only so often.
                let untold = untold && *in_a_row < UNTOLD_IN_A_ROW;
                *in_a_row = if untold { *in_a_row + 1 } else { 0 };
                if untold {
                    self.seen.met(Kind::LossUntold);
                }
                !untold
            });
            facts.extend(heard);
        }
        let busy = !said.is_empty() || !facts.is_empty() || !over.is_empty();
        up.inbox.extend(facts);
        for (wire, frame) in said {
            self.send_down(wire, frame);
        }
        for (wire, why) in over {
            trace!(self, "session {wire} is over for the leader: {why:?}");
            self.leader_hears_end(wire);
            self.hang_up(wire);
        }
        busy
    }
}

fn placed_on(view: &View, agent: AgentKey) -> BTreeSet<InstanceKey> {
    let instances = view.world.instances.iter().map(|(_, instance)| instance);
    let there =
        instances.filter(|row| row.place.as_ref().is_some_and(|place| place.agent == agent));
    there.map(|instance| instance.key).collect()
}
