//! The hands of an agent over its fake host: calls take time, and go wrong at any of their points.

use stayer::agent::fake::{Call, CrashPoint};
use stayer::agent::mind::{Hand, Sight, Step};
use stayer::agent::runtime::{RuntimeError, SandboxId};

use crate::faults::{CallFault, Kind};
use crate::sim::{Event, Sim};
use crate::trace;

/// What came of a call.
struct Outcome<T> {
    /// The answer, when there is one.
    answer: Option<Result<T, RuntimeError>>,
    /// It hung.
    hung: bool,
    /// A fault was met.
    faulty: bool,
}

// === impl Sim: calls ===

impl Sim {
    /// A step of a mind is begun.
    pub fn begin(&mut self, agent: usize, life: u64, step: Step) {
        trace!(self, "agent {agent}: {}", brief(&step));
        match step {
            Step::Watch(hand, id) => {
                let host = &mut self.agents[agent];
                host.stirred = true;
                if let Some(up) = &mut host.up {
                    up.watches.insert(id, hand);
                }
            }
            Step::Cancel(_, id) => self.cancel(agent, life, id),
            // What is left of it is looked at, and nothing of the host changes.
            Step::Examine(_, of) => {
                let id = SandboxId { instance: of.instance, incarnation: of.incarnation };
                self.later(1, Event::Sight(agent, life, Sight::Examined(id)));
            }
            step => {
                self.check_step(agent, &step);
                let delay = self.rng.between(0, 12);
                self.later(delay, Event::Call(agent, life, step));
            }
        }
    }

    /// A preparation is given up; one that has not begun never does.
    fn cancel(&mut self, agent: usize, life: u64, id: SandboxId) {
        self.queue.retain(|_, event| match event {
            Event::Call(of, _, Step::Prepare(_, plan)) => *of != agent || plan.id != id,
            Event::Sight(of, _, Sight::Prepared(prepared, _)) => *of != agent || *prepared != id,
            _ => true,
        });
        let answer = Err(RuntimeError::Unknown("given up".to_owned()));
        self.later(1, Event::Sight(agent, life, Sight::Prepared(id, answer)));
    }

    /// A call reaches the host.
    pub fn call(&mut self, agent: usize, life: u64, step: Step) {
        let now = self.now;
        let fault = self.arm(agent, points(&step));
        self.check_effect(agent, &step);
        let host = &mut self.agents[agent];
        host.stirred |= !matches!(step, Step::Probe(..));
        let (hung, faulty, sight) = match step {
            Step::List(hand) => {
                let seen = outcome(host.host.list(now, hand));
                (seen.hung, seen.faulty, seen.answer.map(|answer| Sight::Listed(hand, answer)))
            }
            Step::Prepare(hand, plan) => {
                let seen = outcome(host.host.prepare(now, hand, &plan));
                (seen.hung, seen.faulty, seen.answer.map(|answer| Sight::Prepared(plan.id, answer)))
            }
            Step::Probe(_, probe) => {
                let (reply, delay) = self.answer(agent, &probe);
                let sight = Sight::Probed(probe.id, reply);
                return self.later(delay, Event::Sight(agent, life, sight));
            }
            Step::Start(hand, plan) => {
                self.probes.begun.entry(plan.id).or_insert(now);
                self.truth.places.insert(plan.id, (agent, plan.place.clone()));
                let seen = outcome(host.host.start(now, hand, &plan));
                (seen.hung, seen.faulty, seen.answer.map(|answer| Sight::Started(plan.id, answer)))
            }
            Step::Terminate(hand, id) => {
                let seen = outcome(host.host.terminate(now, hand, id));
                (seen.hung, seen.faulty, seen.answer.map(|answer| Sight::Terminated(id, answer)))
            }
            Step::Kill(hand, id) => {
                let seen = outcome(host.host.kill(now, hand, id));
                (seen.hung, seen.faulty, seen.answer.map(|answer| Sight::Killed(id, answer)))
            }
            Step::Remove(hand, id) => {
                let seen = outcome(host.host.remove(now, hand, id));
                (seen.hung, seen.faulty, seen.answer.map(|answer| Sight::Removed(id, answer)))
            }
            Step::Watch(..) | Step::Cancel(..) | Step::Examine(..) => return,
        };
        host.host.heal();
        if let Some(kind) = fault.filter(|_| faulty) {
            self.seen.met(kind);
            trace!(self, "agent {agent}: {kind}");
        }
        let alive = self.agents[agent].up.as_ref().is_some_and(|up| up.life == life);
        match sight {
            Some(sight) => self.see_later(agent, life, sight, hung),
            None if alive => self.agent_dies(agent),
            None => {}
        }
    }

    fn see_later(&mut self, agent: usize, life: u64, sight: Sight, hung: bool) {
        let slow = matches!(sight, Sight::Prepared(..)) && self.rng.chance(100);
        let delay = match (hung, slow) {
            (true, _) => self.rng.between(3_000, 15_000),
            (false, true) => self.rng.between(100, 3_000),
            (false, false) => self.rng.between(0, 12),
        };
        if let (Sight::Prepared(id, _), true) = (&sight, slow) {
            let bytes = self.rng.between(1, 1_000_000);
            self.later(delay / 2, Event::Sight(agent, life, Sight::Pulled(*id, bytes)));
        }
        self.later(delay, Event::Sight(agent, life, sight));
    }

    /// Chooses how a call goes wrong, if it does.
    fn arm(&mut self, agent: usize, points: &[CrashPoint]) -> Option<Kind> {
        // Kills are the rarest of calls: without favour hardly a run would see one go wrong.
        let favour = if points.contains(&CrashPoint::BeforeKill) { 3 } else { 1 };
        if !self.faulty || points.is_empty() || !self.rng.chance(self.plan.calls * favour) {
            return None;
        }
        let point = *self.rng.pick(points);
        let fault = *self.rng.pick(&CallFault::ALL);
        self.agents[agent].host.fault(point, fault.into());
        Some(Kind::Call(point, fault))
    }

    /// A mind hears what came of a step.
    pub fn see(&mut self, agent: usize, life: u64, sight: Sight) {
        let clock = self.agents[agent].clock(self.now);
        if self.agents[agent].up.as_ref().is_none_or(|up| up.life != life) {
            return;
        }
        if let Sight::Probed(id, reply) = &sight {
            self.heard(agent, *id, reply);
        }
        let Some(up) = &mut self.agents[agent].up else { return };
        up.mind.sight(clock, sight);
    }

    /// What happens on a host by itself, and what watches see of it.
    pub fn look_at_host(&mut self, agent: usize) {
        let now = self.now;
        let host = &mut self.agents[agent];
        host.stirred |= !host.host.advance(now).is_empty();
        if !std::mem::take(&mut host.stirred) {
            return;
        }
        let Some(up) = &host.up else { return self.check_truth(agent) };
        let life = up.life;
        let watches: Vec<(SandboxId, Hand)> =
            up.watches.iter().map(|(id, hand)| (*id, *hand)).collect();
        for (id, hand) in watches {
            let host = &self.agents[agent].host;
            if host.is_running(id) && host.is_up(hand) {
                continue;
            }
            let fault = self.arm(agent, &[CrashPoint::BeforeEnded, CrashPoint::AfterEnded]);
            let host = &mut self.agents[agent];
            let Some(call) = host.host.ended(now, hand, id) else { continue };
            host.host.heal();
            let seen = outcome(call);
            if let Some(kind) = fault.filter(|_| seen.faulty) {
                self.seen.met(kind);
                trace!(self, "agent {agent}: {kind}");
            }
            match seen.answer {
                Some(answer) => {
                    if let Some(up) = &mut self.agents[agent].up {
                        up.watches.remove(&id);
                    }
                    self.see_later(agent, life, Sight::Ended(id, answer), seen.hung);
                }
                None => {
                    self.agent_dies(agent);
                    break;
                }
            }
        }
        self.check_truth(agent);
    }

    /// The engine of an agent goes away for a while.
    pub fn engine_fails(&mut self, agent: usize, live_restore: bool) {
        let host = &mut self.agents[agent];
        if !host.host.is_up(Hand::Docker) {
            return;
        }
        host.host.engine_down(Hand::Docker);
        host.stirred = true;
        let away = self.rng.between(100, 9_000);
        let told = self.rng.between(0, 1_500);
        if self.rng.chance(800) {
            self.later(told.min(away), Event::EngineTold(agent, false));
        }
        self.later(away, Event::EngineUp(agent, live_restore));
        self.seen.met(if live_restore { Kind::EngineAway } else { Kind::EngineRestarts });
        trace!(self, "agent {agent}: engine away, live restore {live_restore}");
    }

    /// The engine of an agent is back.
    pub fn engine_returns(&mut self, agent: usize, live_restore: bool) {
        let now = self.now;
        let host = &mut self.agents[agent];
        host.host.engine_up(now, Hand::Docker, live_restore);
        host.stirred = true;
        let told = self.rng.between(0, 1_500);
        self.later(told, Event::EngineTold(agent, true));
        trace!(self, "agent {agent}: engine back");
    }

    /// The process of an agent hears of its engine.
    pub fn engine_told(&mut self, agent: usize, answers: bool) {
        let host = &mut self.agents[agent];
        if host.host.is_up(Hand::Docker) != answers {
            return;
        }
        let clock = host.clock(self.now);
        let Some(up) = &mut host.up else { return };
        if answers {
            if host.told_down || self.rng.chance(500) {
                up.mind.sight(clock, Sight::HandUp(Hand::Docker));
            }
        } else {
            up.mind.sight(clock, Sight::HandDown(Hand::Docker));
        }
        host.told_down = !answers;
    }
}

fn outcome<T>(call: Call<T>) -> Outcome<T> {
    let hung = matches!(call, Call::Hangs);
    let faulty = match &call {
        Call::Hangs | Call::Crashes => true,
        Call::Answers(Err(RuntimeError::Unknown(text))) => text.starts_with("fault at"),
        Call::Answers(_) => false,
    };
    Outcome { answer: call.answer(), hung, faulty }
}

fn points(step: &Step) -> &'static [CrashPoint] {
    match step {
        Step::List(_) => &[CrashPoint::BeforeList, CrashPoint::AfterList],
        Step::Prepare(..) => {
            &[CrashPoint::BeforePrepare, CrashPoint::HalfPrepared, CrashPoint::AfterPrepare]
        }
        Step::Start(..) => &[CrashPoint::BeforeStart, CrashPoint::AfterStart],
        Step::Terminate(..) => &[CrashPoint::BeforeTerminate, CrashPoint::AfterTerminate],
        Step::Kill(..) => &[CrashPoint::BeforeKill, CrashPoint::AfterKill],
        Step::Remove(..) => &[CrashPoint::BeforeRemove, CrashPoint::AfterRemove],
        Step::Watch(..) | Step::Cancel(..) | Step::Probe(..) | Step::Examine(..) => &[],
    }
}

fn brief(step: &Step) -> String {
    match step {
        Step::List(hand) => format!("list {hand:?}"),
        Step::Prepare(_, plan) => {
            format!("prepare {}/{} {}", plan.key.app, plan.key.no, short(plan.id))
        }
        Step::Start(_, plan) => {
            format!("start {}/{} {}", plan.key.app, plan.key.no, short(plan.id))
        }
        Step::Cancel(_, id) => format!("cancel {}", short(*id)),
        Step::Watch(_, id) => format!("watch {}", short(*id)),
        Step::Terminate(_, id) => format!("terminate {}", short(*id)),
        Step::Kill(_, id) => format!("kill {}", short(*id)),
        Step::Remove(_, id) => format!("remove {}", short(*id)),
        Step::Probe(_, probe) => {
            format!("probe {} {:?}", short(probe.id.sandbox), probe.id.check)
        }
        Step::Examine(_, of) => {
            format!("examine {:.8}.{}", of.instance.to_string(), of.incarnation)
        }
    }
}

/// The part of a sandbox's name that differs.
pub fn short(id: SandboxId) -> String {
    format!("{:.8}.{}", id.instance.to_string(), id.incarnation)
}
