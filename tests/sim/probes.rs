//! Seeds with checks: what apps ask for, and what their containers answer: well, sick, sick for a while, now and then, or
//! all of an app at once.
//!
//! Chance comes from a stream of its own, so that a seed without checks is the run that it always was.

use std::collections::BTreeMap;

use stayer::agent::mind::{Ask, CheckNo, Probe, ProbeId, Reply};
use stayer::agent::runtime::SandboxId;
use stayer::model::check::{HealthCheck, HealthProtocol, ReadinessCheck};
use stayer::model::fact::Change;
use stayer::model::id::AppKey;
use stayer::model::spec::Spec;
use stayer::model::time::{Span, Timestamp};

use crate::faults::Kind;
use crate::hands::short;
use crate::rng::Rng;
use crate::sim::{Event, Sim};
use crate::trace;

/// The port that checks ask at; nobody listens, since nobody dials.
const PORT: u16 = 80;
/// How the port of a readiness check is called.
const PORT_NAME: &str = "http-api";

/// What a seed with checks has, and what its containers have answered.
pub struct Probes {
    /// All chance about checks.
    pub rng: Rng,
    /// Whether the seed has any.
    pub on: bool,
    /// Everything answers well from now on.
    pub calm: bool,
    moods: BTreeMap<SandboxId, Mood>,
    /// Apps of which nothing answers well until then.
    sick: BTreeMap<AppKey, Timestamp>,
    /// What each check of each life was heard to say.
    pub tolls: BTreeMap<(SandboxId, CheckNo), Toll>,
    /// When each life was heard to run.
    pub begun: BTreeMap<SandboxId, Timestamp>,
}

/// How a container answers.
#[derive(Clone, Copy, Debug)]
enum Mood {
    /// Well from then on.
    WellFrom(Timestamp),
    /// Well until then.
    WellUntil(Timestamp),
    /// Now well, now not.
    Fickle,
}

/// What a check was heard to say.
#[derive(Clone, Copy, Debug, Default)]
pub struct Toll {
    /// A success.
    pub good: bool,
    /// So many failures in a row, counting from when they may count.
    pub streak: u32,
    /// The most of these.
    pub longest: u32,
    /// By which process of the agent.
    process: u64,
}

// === impl Probes ===

impl Probes {
    /// Some seeds have checks.
    pub fn new(seed: u64) -> Probes {
        let mut rng = Rng::new(seed ^ 0x6865_616c);
        let on = rng.chance(450);
        Probes {
            rng,
            on,
            calm: false,
            moods: BTreeMap::new(),
            sick: BTreeMap::new(),
            tolls: BTreeMap::new(),
            begun: BTreeMap::new(),
        }
    }

    /// Whether a check of a life was ever heard to succeed.
    pub fn was_good(&self, id: SandboxId, check: CheckNo) -> bool {
        self.tolls.get(&(id, check)).is_some_and(|toll| toll.good)
    }

    /// The most failures in a row of a check of a life.
    pub fn longest(&self, id: SandboxId, check: CheckNo) -> u32 {
        self.tolls.get(&(id, check)).map_or(0, |toll| toll.longest)
    }

    fn draw_check(&mut self) -> HealthCheck {
        use HealthProtocol::{Command, Http, MesosHttp, MesosTcp, Tcp};
        let rng = &mut self.rng;
        let protocol = *rng.pick(&[Http, Http, Tcp, Command, MesosHttp, MesosTcp]);
        let seconds =
            |rng: &mut Rng, from, to| u32::try_from(rng.between(from, to)).expect("small");
        HealthCheck {
            protocol,
            path: None,
            port: Some(PORT),
            port_index: None,
            command: (protocol == Command).then(|| "true".to_owned()),
            grace_period_seconds: *rng.pick(&[0, 0, 3, 8]),
            interval_seconds: seconds(rng, 1, 4),
            timeout_seconds: seconds(rng, 1, 3),
            max_consecutive_failures: *rng.pick(&[0, 1, 1, 2, 3]),
            ignore_http_1xx: false,
            ipv6: false,
            delay_seconds: seconds(rng, 0, 2),
        }
    }

    fn draw_mood(&mut self, now: Timestamp) -> Mood {
        match self.rng.below(10) {
            0..=4 => Mood::WellFrom(now),
            5 | 6 => Mood::WellFrom(now + Span::millis(self.rng.between(500, 9_000))),
            7 | 8 => Mood::WellUntil(now + Span::millis(self.rng.between(500, 20_000))),
            _ => Mood::Fickle,
        }
    }
}

// === impl Toll ===

impl Toll {
    fn hear(&mut self, reply: &Reply, counts: bool) {
        match reply {
            Reply::Unknown => {}
            Reply::Http { status: 200..=399, .. } | Reply::Connected | Reply::Exit(0) => {
                self.good = true;
                self.streak = 0;
            }
            Reply::Http { .. } | Reply::Exit(_) | Reply::Failed { .. } => {
                self.streak += u32::from(counts || self.good);
                self.longest = self.longest.max(self.streak);
            }
        }
    }
}

// === impl Sim: checks ===

impl Sim {
    /// A definition asks for checks.
    pub fn ask_for_checks(&mut self, spec: &mut Spec) {
        let probes = &mut self.probes;
        if !probes.on || probes.rng.chance(150) {
            return;
        }
        if probes.rng.chance(850) {
            let first = probes.draw_check();
            spec.health_checks.insert(first);
        }
        if probes.rng.chance(150) {
            let second = probes.draw_check();
            let is_mesos = |check: &HealthCheck| !check.protocol.is_marathons();
            if !(is_mesos(&second) && spec.health_checks.iter().any(is_mesos)) {
                spec.health_checks.insert(second);
            }
        }
        let first_port = spec.port_definitions.as_mut().and_then(|ports| ports.first_mut());
        if let Some(port) = first_port.filter(|_| probes.rng.chance(300)) {
            port.name = Some(PORT_NAME.to_owned());
            spec.readiness_checks.push(ReadinessCheck {
                name: "readinessCheck".to_owned(),
                https: false,
                path: "/".to_owned(),
                port_name: PORT_NAME.to_owned(),
                interval_seconds: 2,
                timeout_seconds: 1,
                ready_codes: [200].into(),
                preserve_last_response: probes.rng.chance(500),
            });
        }
        if probes.rng.chance(500) {
            spec.instances = spec.instances.max(3);
        }
    }

    /// All of an app answer badly for a while.
    pub fn sickens(&mut self) {
        if !self.faulty || !self.probes.on {
            return;
        }
        let apps: Vec<AppKey> = self.behaviours.keys().copied().collect();
        let pause = self.probes.rng.between(1_000, 25_000);
        self.later(pause, Event::Sickens);
        if apps.is_empty() {
            return;
        }
        let app = *self.probes.rng.pick(&apps);
        let until = self.now + Span::millis(self.probes.rng.between(1_000, 12_000));
        self.probes.sick.insert(app, until);
        self.seen.met(Kind::AppSickens);
        trace!(self, "app {app} is sick until {until}");
    }

    /// Somebody lets the checks kill again.
    pub fn health_brake_acts(&mut self, held: bool) {
        if held && self.active && self.probes.rng.chance(60) {
            self.ask(Change::ReleaseBrake, false);
        }
    }

    /// Everything answers well from now on.
    pub fn checks_heal(&mut self) {
        self.probes.calm = true;
    }

    /// What a container answers, and after how long.
    pub fn answer(&mut self, agent: usize, probe: &Probe) -> (Reply, u64) {
        let (now, id) = (self.now, probe.id.sandbox);
        let app = self.history.keys.get(&id.instance).map(|key| key.app);
        let runs = self.agents[agent].host.is_running(id);
        let sick = app.and_then(|app| self.probes.sick.get(&app)).is_some_and(|until| now < *until);
        let probes = &mut self.probes;
        if !probes.moods.contains_key(&id) {
            let mood = probes.draw_mood(now);
            probes.moods.insert(id, mood);
        }
        let well = match probes.moods.get(&id) {
            Some(Mood::WellFrom(at)) => now >= *at,
            Some(Mood::WellUntil(at)) => now < *at,
            Some(Mood::Fickle) | None => probes.rng.chance(600),
        };
        let good = runs && (probes.calm || well && !sick);
        let odd = if self.faulty { probes.rng.below(1_000) } else { 1_000 };
        let delay = probes.rng.between(0, 12);
        if odd < 20 {
            self.seen.met(Kind::ProbeUnknown);
            return (Reply::Unknown, delay);
        }
        let slow = odd < 60;
        if slow {
            self.seen.met(Kind::ProbeSlow);
        }
        if !good {
            self.seen.met(Kind::ProbeFails);
        }
        (reply(&probe.ask, good), if slow { delay + probe.timeout.as_millis() } else { delay })
    }

    /// A mind hears an answer.
    pub fn heard(&mut self, agent: usize, id: ProbeId, reply: &Reply) {
        let skewed = self.agents[agent].skew != 0;
        let key = self.history.keys.get(&id.sandbox.instance);
        let row = key.and_then(|key| self.history.world.instances.get(key));
        let version = row.map(|row| (row.key.app, row.version));
        let spec = version.and_then(|version| self.history.world.versions.get(&version));
        let grace = match (id.check, spec) {
            (CheckNo::Health(no), Some(row)) => {
                row.spec.health_checks.iter().nth(no).map(|check| check.grace_period_seconds)
            }
            (CheckNo::Readiness(_) | CheckNo::Plain, _) | (CheckNo::Health(_), None) => None,
        };
        let grace = Span::secs(u64::from(grace.unwrap_or(0)));
        let begun = self.probes.begun.get(&id.sandbox).copied().unwrap_or(self.now);
        let counts = skewed || self.now >= begun + grace;
        let durable = row.and_then(|row| row.findings().next()).and_then(|found| match id.check {
            CheckNo::Health(no) => found.health.get(no)?.as_ref().map(|record| record.failures),
            CheckNo::Readiness(_) | CheckNo::Plain => None,
        });
        let process = self.agents[agent].lives;
        let toll = self.probes.tolls.entry((id.sandbox, id.check)).or_default();
        if std::mem::replace(&mut toll.process, process) != process {
            // A later process counts on from what is durable: a success that is not is not known to it.
            toll.streak = toll.streak.max(durable.unwrap_or(0));
        }
        toll.hear(reply, counts);
        let toll = *toll;
        trace!(self, "agent {agent} hears of {:?} of {}: {toll:?}", id.check, short(id.sandbox));
    }
}

fn reply(ask: &Ask, good: bool) -> Reply {
    match (ask, good) {
        (Ask::Http { .. }, _) => {
            let status = if good { 200 } else { 503 };
            Reply::Http { status, content_type: "text/plain".to_owned(), body: String::new() }
        }
        (Ask::Tcp { .. }, true) => Reply::Connected,
        (Ask::Tcp { .. }, false) => Reply::Failed { why: "it refuses".to_owned() },
        (Ask::Command { .. }, good) => Reply::Exit(i32::from(!good)),
    }
}
