//! One simulated cluster: its time, what is to come, and the order in which everybody acts.

use std::collections::BTreeMap;
use std::sync::Arc;

use stayer::agent::mind::{Hand, LaunchPlan, Sight, Step};
use stayer::agent::runtime::SandboxId;
use stayer::model::have::SpecKey;
use stayer::model::id::{
    AgentKey, AppKey, ClusterId, Incarnation, InstanceId, InstanceKey, Version,
};
use stayer::model::instance::Place;
use stayer::model::time::{Span, Timestamp};
use stayer::model::unit::{Cpus, Disk, Mem};
use stayer::wire::message::{Down, Up};

use crate::agent::Agent;
use crate::balancers::Balancers;
use crate::client::Client;
use crate::devices::Gpus;
use crate::faults::{Kind, Plan, Seen};
use crate::history::History;
use crate::probes::Probes;
use crate::rng::Rng;
use crate::server::Server;
use crate::specs;
use crate::trace::{Mode, Trace};
use crate::truth::Truth;
use crate::wire::Wire;

/// When every simulation begins.
pub const BEGIN: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Whose it is.
pub const CLUSTER: ClusterId = ClusterId(uuid::Uuid::from_u128(7));

/// Everybody has acted after so many rounds, or somebody never rests.
const ROUNDS: u32 = 500;
/// The same for turns that do not move time.
const TURNS_AT_ONCE: u32 = 5_000;

/// One simulated cluster.
pub struct Sim {
    /// True time.
    pub now: Timestamp,
    /// All chance but that of devices.
    pub rng: Rng,
    /// That of devices.
    pub devices: Rng,
    /// What is about checks.
    pub probes: Probes,
    /// Who balances over tasks.
    pub balancers: Balancers,
    /// What this seed has.
    pub plan: Plan,
    /// What is to come.
    pub queue: BTreeMap<(Timestamp, u64), Event>,
    /// The server.
    pub server: Server,
    /// The agents.
    pub agents: Vec<Agent>,
    /// The connections.
    pub wires: BTreeMap<u64, Wire>,
    /// How many there were.
    pub wires_made: u64,
    /// The clients.
    pub client: Client,
    /// What is durable.
    pub history: History,
    /// What was really done.
    pub truth: Truth,
    /// How the containers of each app behave.
    pub behaviours: BTreeMap<AppKey, Option<Kind>>,
    /// What runs on every host and is not ours.
    pub foreign: Vec<SandboxId>,
    /// The faults that were met.
    pub seen: Seen,
    /// What happened.
    pub trace: Trace,
    /// What should not have happened.
    pub failure: Option<Violation>,
    /// Whether faults strike.
    pub faulty: bool,
    /// Whether clients ask.
    pub active: bool,
    /// How often everybody acted.
    pub turns: u64,
    events: u64,
}

/// An invariant that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    /// Which.
    pub law: &'static str,
    /// How.
    pub text: String,
}

/// Something to come.
pub enum Event {
    ServerStarts,
    Append(u64),
    Synced(u64),
    AgentStarts(usize),
    Dials(usize, u64),
    Opens(u64),
    Down(u64, Down, bool),
    Up(u64, Up, bool),
    LeaderHears(u64),
    AgentHears(u64),
    Call(usize, u64, Step),
    Sight(usize, u64, Sight),
    EngineUp(usize, bool),
    EngineTold(usize, bool),
    ClientActs,
    Strikes,
    DevicesStir,
    Sickens,
    Balances(usize),
    Released,
}

// === impl Sim ===

impl Sim {
    /// The cluster of a seed.
    pub fn new(seed: u64, mode: Mode) -> Sim {
        let mut rng = Rng::new(seed);
        let mut devices = Rng::new(seed ^ 0x6770_7573);
        let gpus = Gpus::draw(&mut devices);
        let plan = Plan { gpus, ..Plan::draw(&mut rng) };
        let agents = (0..plan.agents)
            .map(|number| Agent::new(number, specs::inventory(number, &plan, &mut rng)))
            .collect();
        let mut sim = Sim {
            now: BEGIN,
            rng,
            devices,
            probes: Probes::new(seed),
            balancers: Balancers::new(seed),
            plan,
            queue: BTreeMap::new(),
            server: Server::new(CLUSTER),
            agents,
            wires: BTreeMap::new(),
            wires_made: 0,
            client: Client::default(),
            history: History::default(),
            truth: Truth::default(),
            behaviours: BTreeMap::new(),
            foreign: Vec::new(),
            seen: Seen::default(),
            trace: Trace::new(mode),
            failure: None,
            faulty: true,
            active: true,
            turns: 0,
            events: 0,
        };
        sim.set_up();
        sim
    }

    fn set_up(&mut self) {
        self.later(0, Event::ServerStarts);
        self.later(50, Event::ClientActs);
        let first = self.rng.between(100, 3_000);
        self.later(first, Event::Strikes);
        if self.plan.gpus.is_some() {
            let first = self.devices.between(100, 5_000);
            self.later(first, Event::DevicesStir);
        }
        if self.probes.on {
            let first = self.probes.rng.between(5_000, 25_000);
            self.later(first, Event::Sickens);
        }
        for number in 0..self.balancers.len() {
            let first = self.balancers.rng.between(0, 5_000);
            self.later(first, Event::Balances(number));
        }
        for agent in 0..self.agents.len() {
            let start = self.rng.between(0, 1_000);
            self.later(start, Event::AgentStarts(agent));
            if self.plan.clocks && self.rng.chance(400) {
                let skew = i64::try_from(self.rng.below(7_200_000)).expect("small") - 3_600_000;
                self.agents[agent].skew = skew;
                self.seen.met(Kind::ClockSkewed);
            }
        }
        if self.plan.strangers {
            self.add_foreign();
        }
    }

    /// Something that is not ours runs on every host.
    fn add_foreign(&mut self) {
        let instance = InstanceId(uuid::Uuid::from_u128(0xF0F0));
        let id = SandboxId { instance, incarnation: Incarnation(1) };
        let app = AppKey(1);
        let path = specs::paths(1).remove(0);
        let plan = LaunchPlan {
            id,
            key: InstanceKey { app, no: 0 },
            spec_key: SpecKey { app, version: Version(BEGIN) },
            spec: Arc::new(specs::spec(path, &self.plan, &mut self.rng)),
            place: Place {
                agent: AgentKey(1),
                ports: Vec::new(),
                devices: Vec::new(),
                cpus: Cpus::ZERO,
                mem: Mem::ZERO,
                disk: Disk::ZERO,
                fields: Vec::new(),
                launch_seconds: None,
            },
        };
        for agent in &mut self.agents {
            agent.host.add_foreign(self.now, Hand::Docker, &plan);
        }
        self.foreign.push(id);
        self.seen.met(Kind::Foreign);
    }

    /// The whole life of a seed.
    pub fn run(&mut self) {
        self.run_until(BEGIN + Span::millis(self.plan.active));
        if self.failure.is_some() {
            return;
        }
        self.calm_down();
        self.converge();
        if self.plan.stays_away && self.failure.is_none() {
            let until = self.agents[0].away_until.unwrap_or(self.now);
            self.run_until(until + Span::secs(1));
            self.converge();
        }
        if self.failure.is_none() {
            self.rest();
        }
    }

    /// Time passes.
    pub fn run_until(&mut self, end: Timestamp) {
        let mut at_once = 0;
        loop {
            self.settle();
            if self.failure.is_some() {
                return;
            }
            let Some(next) = self.next_moment().filter(|next| *next <= end) else { break };
            at_once = if next > self.now { 0 } else { at_once + 1 };
            if at_once > TURNS_AT_ONCE {
                return self.fail("I18", "time stands still".to_owned());
            }
            self.now = self.now.max(next);
            let now = self.now;
            if let Some(((_, _), event)) = self.pop_due(now) {
                self.happen(event);
            }
        }
        self.now = self.now.max(end);
    }

    fn pop_due(&mut self, now: Timestamp) -> Option<((Timestamp, u64), Event)> {
        let due = self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= now);
        if due { self.queue.pop_first() } else { None }
    }

    fn next_moment(&self) -> Option<Timestamp> {
        let now = self.now;
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let agents = self.agents.iter().filter_map(|agent| agent.next_wake(now));
        let hosts = self.agents.iter().filter_map(|agent| agent.host.next_wake());
        let up = self.server.up.as_ref();
        let brain = up.and_then(|up| up.next_wake(now));
        let fleet =
            up.and_then(|up| up.fleet.next_wake().map(|wake| now + wake.since(up.clock(now))));
        queued.into_iter().chain(agents).chain(hosts).chain(brain).chain(fleet).min()
    }

    /// Everybody acts until nobody has anything to do at this moment.
    fn settle(&mut self) {
        for _ in 0..ROUNDS {
            self.turns += 1;
            let mut busy = false;
            for agent in 0..self.agents.len() {
                self.look_at_host(agent);
                busy |= self.pump_agent(agent);
            }
            busy |= self.pump_fleet();
            if self.brain_is_due() {
                self.turn();
                busy = true;
            }
            self.check_patience();
            self.check_absences();
            if !busy || self.failure.is_some() {
                return;
            }
        }
        self.fail("I18", "nobody comes to rest".to_owned());
    }

    fn brain_is_due(&self) -> bool {
        let Some(up) = &self.server.up else { return false };
        let wake = up.next_wake(self.now);
        wake.is_some_and(|wake| wake <= self.now || !up.inbox.is_empty())
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::ServerStarts => self.server_starts(),
            Event::Append(generation) if generation == self.server.generation => self.append(),
            Event::Synced(generation) if generation == self.server.generation => self.synced(),
            Event::Append(_) | Event::Synced(_) => {}
            Event::AgentStarts(agent) => self.agent_starts(agent),
            Event::Dials(agent, life) => self.dials(agent, life),
            Event::Opens(wire) => self.opens(wire),
            Event::Down(wire, frame, copy) => self.down(wire, frame, copy),
            Event::Up(wire, frame, copy) => self.up(wire, frame, copy),
            Event::LeaderHears(wire) => self.leader_hears(wire),
            Event::AgentHears(wire) => self.agent_hears(wire),
            Event::Call(agent, life, step) => self.call(agent, life, step),
            Event::Sight(agent, life, sight) => self.see(agent, life, sight),
            Event::EngineUp(agent, live_restore) => self.engine_returns(agent, live_restore),
            Event::EngineTold(agent, answers) => self.engine_told(agent, answers),
            Event::ClientActs => self.client_acts(),
            Event::Strikes => self.strikes(),
            Event::DevicesStir => self.devices_stir(),
            Event::Sickens => self.sickens(),
            Event::Balances(number) => self.balances(number),
            Event::Released => self.release(),
        }
    }

    /// Something comes later.
    pub fn later(&mut self, millis: u64, event: Event) {
        self.at(self.now + Span::millis(millis), event);
    }

    /// Something comes then.
    pub fn at(&mut self, at: Timestamp, event: Event) {
        self.events += 1;
        self.queue.insert((at, self.events), event);
    }

    /// Something should not have happened; the first of its kind counts.
    pub fn fail(&mut self, law: &'static str, text: String) {
        crate::trace!(self, "VIOLATION of {law}: {text}");
        self.failure.get_or_insert(Violation { law, text });
    }
}
