//! The fake wire: a connection that delivers a prefix of what either side says, in order, or is cut. Beyond what a real
//! one does, frames may come a second time, late, or after their session.

use stayer::model::id::Epoch;
use stayer::model::time::{Span, Timestamp};
use stayer::wire::link::agent::Session;
use stayer::wire::message::{Down, Open, Refused, Up};

use crate::faults::Kind;
use crate::sim::{Event, Sim};
use crate::trace;

/// A connection that an agent dialled.
pub struct Wire {
    /// Which agent.
    pub agent: usize,
    /// Which of its processes.
    pub life: u64,
    /// The session that the agent took on it.
    pub session: Option<Session>,
    /// From then on nothing arrives.
    cut: Option<Timestamp>,
    /// When the newest frame down arrives.
    last_down: Timestamp,
    /// When the newest frame up arrives.
    last_up: Timestamp,
}

// === impl Sim: connections ===

impl Sim {
    /// An agent dials, if there is somebody to dial.
    pub fn dials(&mut self, agent: usize, life: u64) {
        let ready =
            self.agents[agent].up.as_ref().is_some_and(|up| up.life == life && up.wire.is_none());
        if !ready {
            return;
        }
        if self.server.up.is_none() {
            return self.dial_later(agent);
        }
        self.wires_made += 1;
        let id = self.wires_made;
        let now = self.now;
        let wire = Wire { agent, life, session: None, cut: None, last_down: now, last_up: now };
        self.wires.insert(id, wire);
        if let Some(up) = &mut self.agents[agent].up {
            up.wire = Some(id);
        }
        trace!(self, "agent {agent} dials: wire {id}");
        self.connected(id, agent);
        let delay = self.rng.between(0, 5);
        self.later(delay, Event::Opens(id));
    }

    /// An agent dials soon.
    pub fn dial_later(&mut self, agent: usize) {
        if let Some(up) = &self.agents[agent].up {
            let life = up.life;
            let delay = self.rng.between(20, 1_500);
            self.later(delay, Event::Dials(agent, life));
        }
    }

    /// The leader's opening reaches the agent.
    pub fn opens(&mut self, id: u64) {
        let now = self.now;
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.cut.is_none()) else { return };
        let (agent, life) = (wire.agent, wire.life);
        let Some(open) = self.opening() else { return };
        let host = &mut self.agents[agent];
        let clock = host.clock(now);
        let Some(up) = host.up.as_mut().filter(|up| up.life == life) else { return };
        let needs = match up.link.open(&open) {
            Ok(needs) => needs,
            Err(refused) => return self.refused(id, &refused),
        };
        host.identity.cluster = Some(needs.cluster);
        host.identity.epoch = needs.epoch;
        if self.faulty && self.plan.calls > 0 && self.rng.chance(8) {
            self.seen.met(Kind::AgentKilledOpening);
            return self.agent_dies(agent);
        }
        match up.link.opened(clock, needs) {
            Ok(session) => {
                up.mind.session_opened();
                if let Some(wire) = self.wires.get_mut(&id) {
                    wire.session = Some(session);
                }
                trace!(self, "agent {agent} takes a session on wire {id}");
                self.session_taken(id);
                self.old_word_comes(agent);
                self.old_leader_opens(agent, &open);
            }
            Err(refused) => self.refused(id, &refused),
        }
    }

    /// That all is said, in an earlier session, comes once more right after another has begun.
    fn old_word_comes(&mut self, agent: usize) {
        let told = self.agents[agent].up.as_ref().and_then(|up| up.told_all);
        let (true, Some((wire, _))) = (self.faulty, told) else { return };
        if self.rng.chance(300) {
            let late = self.rng.between(0, 40);
            self.later(late, Event::Down(wire, Down::Synced, true));
        }
    }

    /// All counts as said only where the leader of that very session has said so.
    fn check_told_all(&mut self, agent: usize) {
        let Some(up) = &self.agents[agent].up else { return };
        let told = up.told_all.map(|(_, session)| session);
        if up.link.is_synced() && up.link.session() != told {
            let text = format!("agent {agent} takes all as said, and its leader has not said so");
            self.fail("I7", text);
        }
    }

    /// A leader that was deposed does not know it yet, and asks for a session too.
    fn old_leader_opens(&mut self, agent: usize, newest: &Open) {
        let old = Open { epoch: Epoch(newest.epoch.0 - 1), ..newest.clone() };
        let Some(up) = self.agents[agent].up.as_mut().filter(|_| old.epoch > Epoch(0)) else {
            return;
        };
        self.seen.met(Kind::OldLeaderOpens);
        if up.link.open(&old).is_ok() {
            self.fail("I10", format!("agent {agent} obeys the leader of {}", old.epoch));
        }
    }

    fn refused(&mut self, id: u64, refused: &Refused) {
        trace!(self, "wire {id}: refused: {refused}");
        self.leader_hears_end(id);
        self.hang_up(id);
    }

    /// One side closes: nothing more arrives, and the other hears of it.
    pub fn hang_up(&mut self, id: u64) {
        let now = self.now;
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.cut.get_or_insert(now);
        }
        let (one, other) = (self.rng.between(0, 20), self.rng.between(0, 20));
        self.later(one, Event::LeaderHears(id));
        self.later(other, Event::AgentHears(id));
    }

    /// A connection is cut; `deaf` hears only by silence.
    pub fn cut(&mut self, id: u64, half_open: bool) {
        let Some(wire) = self.wires.get(&id) else { return };
        if wire.session.is_none() || !half_open {
            return self.hang_up(id);
        }
        let at = self.now;
        if let Some(wire) = self.wires.get_mut(&id) {
            wire.cut.get_or_insert(at);
        }
        match self.rng.below(3) {
            0 => self.later(15, Event::LeaderHears(id)),
            1 => self.later(15, Event::AgentHears(id)),
            _ => {}
        }
    }

    /// The server is gone: its connections are reset, most of them at once.
    pub fn cut_all_wires(&mut self) {
        let ids: Vec<u64> = self.wires.keys().copied().collect();
        for id in ids {
            if self.faulty && self.rng.chance(100) {
                self.cut(id, true);
            } else {
                self.hang_up(id);
            }
        }
    }

    /// The leader's side of a wire has ended.
    pub fn leader_hears(&mut self, id: u64) {
        self.leader_hears_end(id);
    }

    /// The agent's side of a wire has ended.
    pub fn agent_hears(&mut self, id: u64) {
        let Some(wire) = self.wires.remove(&id) else { return };
        let Some(up) = self.agents[wire.agent].up.as_mut().filter(|up| up.life == wire.life) else {
            return;
        };
        if let Some(session) = wire.session {
            up.link.closed(session);
        }
        if up.wire == Some(id) {
            up.wire = None;
            self.dial_later(wire.agent);
        }
    }
}

// === impl Sim: frames ===

impl Sim {
    /// A frame goes down.
    pub fn send_down(&mut self, id: u64, frame: Down) {
        if !self.wires.contains_key(&id) {
            return;
        }
        let delay = self.delay();
        if let Some(late) = self.doubles() {
            self.later(late, Event::Down(id, frame.clone(), true));
        }
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let at = (self.now + delay).max(wire.last_down);
        wire.last_down = at;
        self.at(at, Event::Down(id, frame, false));
    }

    /// A frame goes up.
    pub fn send_up(&mut self, id: u64, frame: Up) {
        if !self.wires.contains_key(&id) {
            return;
        }
        let delay = self.delay();
        // Who leaves says so once.
        if !matches!(frame, Up::Leaving(_))
            && let Some(late) = self.doubles()
        {
            self.later(late, Event::Up(id, frame.clone(), true));
        }
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let at = (self.now + delay).max(wire.last_up);
        wire.last_up = at;
        self.at(at, Event::Up(id, frame, false));
    }

    fn delay(&mut self) -> Span {
        if self.faulty && self.rng.chance(self.plan.delayed) {
            self.seen.met(Kind::FrameDelayed);
            return Span::millis(self.rng.between(50, 2_500));
        }
        Span::millis(self.rng.between(0, 3))
    }

    fn doubles(&mut self) -> Option<u64> {
        let doubles = self.faulty && self.rng.chance(self.plan.doubled);
        doubles.then(|| self.rng.between(0, 5_000))
    }

    /// A frame arrives below.
    pub fn down(&mut self, id: u64, frame: Down, copy: bool) {
        let now = self.now;
        let Some(wire) = self.wires.get(&id) else { return self.stale(id, frame, copy) };
        if wire.cut.is_some_and(|cut| now >= cut) && !copy {
            return;
        }
        let (agent, life, session) = (wire.agent, wire.life, wire.session);
        let host = &mut self.agents[agent];
        let clock = host.clock(now);
        let Some(up) = host.up.as_mut().filter(|up| up.life == life) else { return };
        let Some(session) = session else { return };
        if copy {
            // A copy can come only after what it copies.
            if wire.last_down > now {
                return;
            }
            self.seen.met(Kind::FrameDoubled);
        }
        up.sessions.insert(id, session);
        if frame == Down::Synced && up.link.session() == Some(session) {
            up.told_all = Some((id, session));
        }
        up.link.down(clock, session, frame);
        self.check_told_all(agent);
    }

    /// A copy of a frame of a wire that is gone reaches the agent under its old session.
    fn stale(&mut self, id: u64, frame: Down, copy: bool) {
        let now = self.now;
        if !copy {
            return;
        }
        for (agent, host) in self.agents.iter_mut().enumerate() {
            let clock = host.clock(now);
            let Some(up) = &mut host.up else { continue };
            if let Some(session) = up.sessions.get(&id).copied() {
                up.link.down(clock, session, frame);
                self.seen.met(Kind::FrameStale);
                return self.check_told_all(agent);
            }
        }
    }

    /// A frame arrives above.
    pub fn up(&mut self, id: u64, frame: Up, copy: bool) {
        let now = self.now;
        let Some(wire) = self.wires.get(&id) else { return };
        if wire.cut.is_some_and(|cut| now >= cut) || (copy && wire.last_up > now) {
            return;
        }
        if copy {
            self.seen.met(Kind::FrameDoubled);
        }
        self.frame_up(id, frame);
    }
}
