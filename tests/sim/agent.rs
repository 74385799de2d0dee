//! An agent: production's mind and link, wired as the agent's shell and desk wire them, over a fake host that outlives
//! them.

use std::collections::BTreeMap;
use std::sync::Arc;

use stayer::agent::fake::FakeHost;
use stayer::agent::mind::{Hand, Limits, Mind};
use stayer::agent::runtime::SandboxId;
use stayer::model::agent::Inventory;
use stayer::model::have::{Have, Phase};
use stayer::model::id::{AgentId, Epoch, RunId};
use stayer::model::time::Timestamp;
use stayer::wire::link::agent::{AgentLink, Identity, Session};
use stayer::wire::link::liveness::RESTART_GRACE;
use stayer::wire::message::{Leaving, Up};

use crate::sim::{Event, Sim};
use crate::trace;

/// Small, so that every queue is met.
const LIMITS: Limits = Limits { docker: 2, pulls: 1, processes: 3, kept_per_app: 2, kept: 5 };

/// What outlives an agent's process, and the process when there is one.
pub struct Agent {
    /// Who it is.
    pub id: AgentId,
    /// What is on its disk.
    pub identity: Identity,
    /// The host.
    pub host: FakeHost,
    /// What it offers.
    pub inventory: Inventory,
    /// The running process.
    pub up: Option<Process>,
    /// Counts processes.
    pub lives: u64,
    /// What is wrong with its clock.
    pub skew: i64,
    /// It is not to be started before.
    pub away_until: Option<Timestamp>,
    /// Something happened on the host that nobody has looked at.
    pub stirred: bool,
    /// The process was told that the engine is away.
    pub told_down: bool,
    /// Since when there is no process, if it did not say that it comes back.
    pub down_since: Option<Timestamp>,
    /// It said that it comes back, and has so long for it.
    pub graced_until: Option<Timestamp>,
}

/// A process of an agent.
pub struct Process {
    /// Which.
    pub life: u64,
    /// The same, as the wire names it.
    pub run: RunId,
    /// The mind.
    pub mind: Mind,
    /// The agent's half of its sessions.
    pub link: AgentLink,
    /// The connection.
    pub wire: Option<u64>,
    /// Every session that it has had, by wire.
    pub sessions: BTreeMap<u64, Session>,
    /// The last session in which its leader has said that it said all, and on which wire.
    pub told_all: Option<(u64, Session)>,
    /// Whether all that the host has was told.
    pub complete: bool,
    /// It is about to end.
    pub leaving: Option<Leaving>,
    /// Watches.
    pub watches: BTreeMap<SandboxId, Hand>,
}

// === impl Agent ===

impl Agent {
    /// An agent that was never started.
    pub fn new(number: usize, inventory: Inventory) -> Agent {
        let id = AgentId(uuid::Uuid::from_u128(1 + number as u128));
        Agent {
            id,
            identity: Identity { agent: id, cluster: None, epoch: Epoch(0) },
            host: FakeHost::default(),
            inventory,
            up: None,
            lives: 0,
            skew: 0,
            away_until: None,
            stirred: true,
            told_down: false,
            down_since: None,
            graced_until: None,
        }
    }

    /// The process's clock.
    pub fn clock(&self, now: Timestamp) -> Timestamp {
        Timestamp::from_millis(now.as_millis() + self.skew)
    }

    /// When it is to think although nothing came, in true time.
    pub fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        let clock = self.clock(now);
        let up = self.up.as_ref()?;
        let wakes = [up.mind.next_wake(clock), up.link.next_wake()];
        wakes.into_iter().flatten().min().map(|wake| now + wake.since(clock))
    }
}

// === impl Sim: agents ===

impl Sim {
    /// A process of an agent starts.
    pub fn agent_starts(&mut self, agent: usize) {
        let now = self.now;
        let host = &mut self.agents[agent];
        if host.up.is_some() {
            return;
        }
        if let Some(until) = host.away_until.filter(|until| *until > now) {
            return self.at(until, Event::AgentStarts(agent));
        }
        host.away_until = None;
        host.down_since = None;
        host.lives += 1;
        host.stirred = true;
        let life = host.lives;
        let run = RunId(uuid::Uuid::from_u128((agent as u128 + 1) << 64 | u128::from(life)));
        let link = AgentLink::new(host.identity, run, host.inventory.clone());
        host.up = Some(Process {
            life,
            run,
            mind: Mind::new(LIMITS, &Hand::ALL),
            link,
            wire: None,
            sessions: BTreeMap::new(),
            told_all: None,
            complete: false,
            leaving: None,
            watches: BTreeMap::new(),
        });
        host.told_down = false;
        trace!(self, "agent {agent} starts, life {life}");
        if !self.agents[agent].host.is_up(Hand::Docker) {
            let delay = self.rng.between(0, 500);
            self.later(delay, Event::EngineTold(agent, false));
        }
        self.dial_later(agent);
    }

    /// A process of an agent is killed; its host goes on. Calls that are on their way may still take effect.
    pub fn agent_dies(&mut self, agent: usize) {
        let Some(up) = self.agents[agent].up.take() else { return };
        self.agents[agent].down_since = Some(self.now);
        trace!(self, "agent {agent} dies");
        let lost = self.rng.chance(500);
        self.queue.retain(|_, event| match event {
            Event::Call(of, life, _) => *of != agent || *life != up.life || !lost,
            _ => true,
        });
        if let Some(wire) = up.wire {
            self.hang_up(wire);
        }
        let away = self.rng.between(20, 2_500);
        self.later(away, Event::AgentStarts(agent));
    }

    /// A process of an agent says that it goes.
    pub fn agent_leaves(&mut self, agent: usize, why: Leaving) {
        if let Some(up) = &mut self.agents[agent].up {
            up.link.leave(why);
            up.leaving = Some(why);
        }
    }

    /// Mind and link say what they have to each other and to the leader. True when anything came of it.
    pub fn pump_agent(&mut self, agent: usize) -> bool {
        let now = self.now;
        let budget = self.plan.budget;
        let host = &mut self.agents[agent];
        let clock = host.clock(now);
        let Some(up) = &mut host.up else { return false };
        if up.link.next_wake().is_some_and(|wake| wake <= clock) {
            up.link.tick(clock);
        }
        let steps = up.mind.steps(clock);
        for key in up.mind.needs() {
            up.link.need_spec(key);
        }
        let haves = up.mind.haves();
        for have in &haves {
            up.link.have(have.clone());
        }
        if !up.complete && up.mind.is_listed() {
            up.complete = true;
            up.link.complete();
        }
        let mut frames: Vec<Up> = Vec::new();
        if let Some((wire, session)) =
            up.wire.and_then(|wire| Some((wire, self.wires.get(&wire)?.session?)))
        {
            up.sessions.insert(wire, session);
            while let Some(frame) = up.link.pull(clock, session, budget) {
                frames.push(frame);
            }
        }
        let heard = up.hear();
        let (life, wire) = (up.life, up.wire);
        let session = wire.and_then(|wire| self.wires.get(&wire)).and_then(|wire| wire.session);
        let dropped = session.is_some() && up.link.session() != session;
        let gone = up.leaving.is_some() && (dropped || session.is_none());
        let busy = heard || !steps.is_empty() || !frames.is_empty() || !haves.is_empty();
        for have in haves {
            self.check_have(agent, &have);
        }
        for step in steps {
            self.begin(agent, life, step);
        }
        for frame in frames {
            if let Some(wire) = wire {
                self.send_up(wire, frame);
            }
        }
        if gone {
            self.agent_ends(agent);
        } else if let Some(wire) = wire.filter(|_| dropped) {
            trace!(self, "agent {agent} drops wire {wire}");
            self.hang_up(wire);
        }
        busy
    }

    /// A process that said that it goes is gone; one whose host goes down stays away for longer.
    fn agent_ends(&mut self, agent: usize) {
        let why = self.agents[agent].up.as_ref().and_then(|up| up.leaving);
        let away = match why {
            Some(Leaving::Shutdown) => self.rng.between(1_000, 12_000),
            Some(Leaving::Restart) | None => self.rng.between(50, 8_000),
        };
        let Some(up) = self.agents[agent].up.take() else { return };
        if why == Some(Leaving::Restart) {
            self.agents[agent].graced_until = Some(self.now + RESTART_GRACE);
        }
        trace!(self, "agent {agent} ends: {why:?}");
        self.queue.retain(
            |_, event| !matches!(event, Event::Call(of, life, _) if *of == agent && *life == up.life),
        );
        // What it said last arrives before the end of the stream.
        if let Some(wire) = up.wire {
            self.later(3_000, Event::LeaderHears(wire));
            self.later(3_000, Event::AgentHears(wire));
        }
        self.later(away, Event::AgentStarts(agent));
    }
}

// === impl Process ===

impl Process {
    /// The mind hears what came from the leader, in the order in which the desk passes it on.
    fn hear(&mut self) -> bool {
        let specs = self.link.take_specs();
        let wants = self.link.take_wants();
        let acked = self.link.take_acked();
        let synced = self.link.take_synced();
        let heard = !specs.is_empty() || !wants.is_empty() || !acked.is_empty() || synced;
        for (key, text) in specs {
            let spec = serde_json::from_slice(&text).expect("a definition as it was sent");
            self.mind.spec(key, Arc::new(spec));
        }
        for want in wants {
            self.mind.want(want);
        }
        for (instance, incarnation) in acked {
            self.mind.acked(instance, incarnation);
        }
        if synced {
            self.mind.leader_synced();
        }
        heard
    }
}

/// A have in a few words.
pub fn brief_have(have: &Have) -> String {
    let phase = have.tasks.first().map_or("nothing".to_owned(), |task| match &task.phase {
        Phase::Preparing { .. } => "preparing".to_owned(),
        Phase::Starting => "starting".to_owned(),
        Phase::Running { .. } => "running".to_owned(),
        Phase::Stopping { .. } => "stopping".to_owned(),
        Phase::Exited { end, .. } => format!("exited ({})", end.message()),
        Phase::Absent => "absent".to_owned(),
    });
    format!("{}/{}.{} {phase}", have.key.app, have.key.no, have.incarnation)
}
