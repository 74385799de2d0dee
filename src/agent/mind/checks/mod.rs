//! Checks, performed next to the task: when each is asked, and what its answers come to.
//!
//! Only counting is done here (HC-5, HC-10); that a task is to be killed is decided from rows, where it can be weighed
//! against all others of its app. What was found is part of the row, so it comes back with every want: an agent that
//! starts anew counts on from there, without a record of its own that could tell something else. At most what was not
//! durable yet is counted anew.
//!
//! - [`probe`]: what is asked and answered; [`target`]: whom.
//! - [`turns`]: whose turn it is; [`judge`]: what an answer changes.

mod judge;
pub(super) mod probe;
mod target;
#[cfg(test)]
pub(super) mod testing;
pub(super) mod turns;

use std::sync::Arc;

use crate::agent::mind::checks::probe::{Ask, Body, CheckNo, Probe, ProbeId, Reply, Target};
use crate::agent::mind::checks::target::{From, Port, Reach};
use crate::agent::mind::decide::Intent;
use crate::agent::mind::life::{Host, Life};
use crate::agent::mind::{LaunchPlan, Mind, Step};
use crate::agent::runtime::{Running, SandboxId};
use crate::model::check::{AppCheck, CheckProbe, HealthCheck, HealthProtocol, ReadinessCheck};
use crate::model::evidence::MAX_BODY;
use crate::model::findings::{Findings, Readiness};
use crate::model::have::WantGoal;
use crate::model::instance::Place;
use crate::model::spec::Spec;
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;

/// The first question of Marathon's own checks comes after an interval, or after so long (HC-2).
const FIRST_AT_MOST: Span = Span::secs(5);
/// So many characters of a readiness answer are kept in the row.
const BODY: usize = 1_024;
/// So many bytes of any answer are asked for: one more than evidence keeps tells whether that is all.
const GLIMPSE: usize = MAX_BODY + 1;

// === impl Mind: when ===

impl Mind {
    /// Begins or ends to ask a life's checks, by what it is and what it shall be.
    pub(super) fn follow_checks(&mut self, now: Timestamp, id: SandboxId, intent: Intent) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        if let Host::Running(running) = &life.host {
            life.since = life.since.or(Some(running.at.min(now)));
        }
        let is_asked = intent == Intent::Run && life.is_checked();
        match (is_asked, self.turns.has(id)) {
            (true, false) => {
                // Its definition may be on its way; then it is looked at again.
                let _waits = self.begin_checks(now, id);
            }
            (false, true) => self.turns.end(id),
            (true, true) | (false, false) => {}
        }
    }

    fn begin_checks(&mut self, now: Timestamp, id: SandboxId) -> Option<()> {
        let spec = self.specs.get_for(self.lives.get(&id)?.spec_key, id.instance)?;
        let none_yet = Findings::none_yet(&spec)?;
        let WantGoal::Run { findings, .. } = &self.wishes.get(&id.instance)?.want.goal else {
            return None;
        };
        let known = planted!("findings-lost-with-the-agent", findings.as_ref(), None);
        let known = known.filter(|known| known.is_like(&none_yet));
        let life = self.lives.get_mut(&id)?;
        if life.findings.is_none() {
            let known = known.map(|known| Box::new(Findings { turned: None, ..*known.clone() }));
            life.findings = Some(known.unwrap_or(none_yet));
        }
        life.replies.begin(now);
        let findings = life.findings.as_deref()?;
        let first = first_turns(&spec, findings, life.since?);
        let first = first.into_iter().map(|(check, at)| (check, at.max(now)));
        self.turns.begin(id, first.collect());
        Some(())
    }

    /// Asks whatever is due, as far as there is room.
    pub(super) fn probe(&mut self, now: Timestamp, out: &mut Vec<Step>) {
        while let Some(id) = self.turns.take(now) {
            match self.question(id) {
                Some(Ok(probe)) => {
                    let hand = self.lives.get(&id.sandbox).map(|life| life.hand);
                    out.extend(hand.map(|hand| Step::Probe(hand, probe)));
                }
                Some(Err(why)) => self.probed(now, id, Reply::Failed { why }),
                None => self.turns.end(id.sandbox),
            }
        }
    }
}

// === impl Mind: what ===

impl Mind {
    /// What is asked, or what is missing for it; nothing when the life is not what it was.
    fn question(&self, id: ProbeId) -> Option<Result<Probe, String>> {
        let life = self.lives.get(&id.sandbox)?;
        let Host::Running(Running { ips, .. }) = &life.host else { return None };
        let spec = self.specs.get(life.spec_key)?;
        let WantGoal::Run { place, .. } = &self.wishes.get(&id.sandbox.instance)?.want.goal else {
            return None;
        };
        let reach = Reach { spec, place, ips };
        let command = |shell: &str| command(life, id.sandbox, spec, place, shell);
        let (ask, timeout) = match id.check {
            CheckNo::Health(no) => {
                let check = spec.health_checks.iter().nth(no)?;
                (ask_health(check, reach, command), check.timeout_seconds)
            }
            CheckNo::Readiness(no) => {
                let check = spec.readiness_checks.get(no)?;
                (ask_readiness(check, reach), check.timeout_seconds)
            }
            CheckNo::Plain => {
                let check = spec.check.as_ref()?;
                (ask_plain(check, reach, command), check.timeout_seconds)
            }
        };
        Some(ask.map(|ask| Probe { id, ask, timeout: seconds(timeout) }))
    }

    /// An answer came.
    pub(super) fn probed(&mut self, now: Timestamp, id: ProbeId, reply: Reply) {
        let Some(began) = self.turns.answered(id) else { return };
        if let Some(life) = self.lives.get_mut(&id.sandbox).filter(|life| life.is_checked()) {
            life.replies.note(now, id.check, &reply);
        }
        match self.take_answer(now, id, reply) {
            Some(Asked::Again { after, from_answer }) => {
                let at = if from_answer { now + after } else { (began + after).max(now) };
                self.turns.again(id.sandbox, id.check, Some(at));
            }
            Some(Asked::NoMore) => self.turns.again(id.sandbox, id.check, None),
            None => self.turns.end(id.sandbox),
        }
    }

    fn take_answer(&mut self, now: Timestamp, id: ProbeId, reply: Reply) -> Option<Asked> {
        let life = self.lives.get_mut(&id.sandbox)?;
        let spec = Arc::clone(self.specs.get(life.spec_key)?);
        // An answer that comes after the end says nothing of what ran.
        let reply = if life.is_checked() { reply } else { Reply::Unknown };
        let (findings, since) = (life.findings.as_deref_mut()?, life.since?);
        let (changed, asked) = match id.check {
            CheckNo::Health(no) => {
                let check = spec.health_checks.iter().nth(no)?;
                let record = findings.health.get_mut(no)?;
                let changed = judge::health(record, check, &reply, since, now);
                (changed, Asked::every(check.interval_seconds))
            }
            CheckNo::Readiness(no) => {
                let check = spec.readiness_checks.get(no)?;
                let found = findings.readiness.get_mut(no)?;
                let changed = judge::readiness(found, check, reply, &url(check));
                let again =
                    Asked::Again { after: seconds(check.interval_seconds), from_answer: true };
                let is_ready = found.as_ref().is_some_and(|found| found.ready);
                (changed, if is_ready { Asked::NoMore } else { again })
            }
            CheckNo::Plain => {
                let check = spec.check.as_ref()?;
                let tcp = matches!(check.probe, CheckProbe::Tcp { .. });
                let found = judge::plain(&reply, tcp).or(findings.check);
                let changed = found != findings.check;
                findings.check = found;
                (changed, Asked::every(check.interval_seconds))
            }
        };
        if changed {
            self.dirty.insert(id.sandbox.instance);
        }
        Some(asked)
    }
}

/// When a check is asked again.
enum Asked {
    /// After so long, counted from the question or from the answer.
    Again { after: Span, from_answer: bool },
    /// Never in this life.
    NoMore,
}

// === impl Asked ===

impl Asked {
    fn every(interval_seconds: u32) -> Asked {
        Asked::Again { after: seconds(interval_seconds), from_answer: false }
    }
}

/// When each check is first asked (HC-2, HC-15, HC-16).
fn first_turns(spec: &Spec, findings: &Findings, since: Timestamp) -> Vec<(CheckNo, Timestamp)> {
    let health = spec.health_checks.iter().enumerate().map(|(no, check)| {
        let delay = if check.protocol.is_marathons() {
            seconds(check.interval_seconds).min(FIRST_AT_MOST)
        } else {
            Span::secs(u64::from(check.delay_seconds))
        };
        (CheckNo::Health(no), since + delay)
    });
    let unready = |found: &Option<Readiness>| found.as_ref().is_none_or(|found| !found.ready);
    let readiness = findings.readiness.iter().enumerate().filter(|(_, found)| unready(found));
    let readiness = readiness.map(|(no, _)| (CheckNo::Readiness(no), since));
    let plain = spec
        .check
        .iter()
        .map(|check| (CheckNo::Plain, since + Span::secs(u64::from(check.delay_seconds))));
    health.chain(readiness).chain(plain).collect()
}

fn ask_health(
    check: &HealthCheck,
    reach: Reach<'_>,
    command: impl FnOnce(&str) -> Ask,
) -> Result<Ask, String> {
    let target = || reach.find(Port::of(check.port, check.port_index), From::of(check));
    match check.protocol {
        HealthProtocol::Http | HealthProtocol::MesosHttp => {
            Ok(http(target()?, false, check.path.as_deref(), false))
        }
        HealthProtocol::Https | HealthProtocol::MesosHttps => {
            Ok(http(target()?, true, check.path.as_deref(), false))
        }
        HealthProtocol::Tcp | HealthProtocol::MesosTcp => Ok(Ask::Tcp { target: target()? }),
        HealthProtocol::Command => Ok(command(check.command.as_deref().unwrap_or_default())),
    }
}

fn ask_readiness(check: &ReadinessCheck, reach: Reach<'_>) -> Result<Ask, String> {
    let target = reach.find(Port::Name(&check.port_name), From::Outside)?;
    Ok(http(target, check.https, Some(&check.path), check.preserve_last_response))
}

fn ask_plain(
    check: &AppCheck,
    reach: Reach<'_>,
    command: impl FnOnce(&str) -> Ask,
) -> Result<Ask, String> {
    let target = |port, index| reach.find(Port::of(port, index), From::Inside { ipv6: false });
    match &check.probe {
        CheckProbe::Http { port_index, port, path } => {
            Ok(http(target(*port, *port_index)?, false, path.as_deref(), false))
        }
        CheckProbe::Tcp { port_index, port } => {
            Ok(Ask::Tcp { target: target(*port, *port_index)? })
        }
        CheckProbe::Exec { shell } => Ok(command(shell)),
    }
}

/// Where the body is `wanted` it is waited for; else as much of it is taken as comes with the answer.
fn http(target: Target, tls: bool, path: Option<&str>, wanted: bool) -> Ask {
    let path = path.unwrap_or_default();
    let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    Ask::Http { target, tls, path, body: Body { bytes: GLIMPSE, wanted } }
}

fn command(life: &Life, id: SandboxId, spec: &Arc<Spec>, place: &Place, shell: &str) -> Ask {
    let (key, spec_key) = (life.key, life.spec_key);
    let plan = LaunchPlan { id, key, spec_key, spec: Arc::clone(spec), place: place.clone() };
    Ask::Command { plan: Box::new(plan), shell: shell.to_owned() }
}

/// What a readiness check asks, for people: they know the port by its name.
fn url(check: &ReadinessCheck) -> String {
    let scheme = if check.https { "https" } else { "http" };
    format!("{scheme}://{}{}", check.port_name, check.path)
}

/// A time of zero would be no time to answer, or no pause at all.
fn seconds(seconds: u32) -> Span {
    Span::secs(u64::from(seconds.max(1)))
}

// === impl Life ===

impl Life {
    /// Whether its checks say anything: it runs, and is not to end.
    fn is_checked(&self) -> bool {
        matches!(self.host, Host::Running(_)) && self.end.is_none() && self.stop.wanted.is_none()
    }
}
