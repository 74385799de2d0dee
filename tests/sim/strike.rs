//! Faults that strike from outside, each in its own time.

use stayer::model::end::End;
use stayer::model::time::Span;
use stayer::store::memory::Fault;
use stayer::wire::message::Leaving;

use crate::faults::Kind;
use crate::sim::{Event, Sim};
use crate::trace;

// === impl Sim: strikes ===

impl Sim {
    /// Something strikes, and something else later.
    pub fn strikes(&mut self) {
        if !self.faulty || self.plan.strikes.is_empty() {
            return;
        }
        let kind = *self.rng.pick(&self.plan.strikes.clone());
        self.strike(kind);
        let pause = self.rng.between(50, self.plan.strike_pause);
        self.later(pause, Event::Strikes);
    }

    fn strike(&mut self, kind: Kind) {
        let agent = self.rng.index(self.agents.len());
        match kind {
            Kind::SessionCut | Kind::SessionHalfOpen => {
                let ids: Vec<u64> = self.wires.keys().copied().collect();
                if ids.is_empty() {
                    return;
                }
                let id = *self.rng.pick(&ids);
                trace!(self, "{kind} on wire {id}");
                self.seen.met(kind);
                self.cut(id, kind == Kind::SessionHalfOpen);
            }
            Kind::AgentRestarts => self.leave(agent, kind, Leaving::Restart),
            Kind::AgentShutsDown => self.leave(agent, kind, Leaving::Shutdown),
            Kind::AgentKilled => self.kill_agent(agent, kind),
            Kind::AgentAway => {
                let away = Span::millis(self.rng.between(4_500, 40_000));
                self.agents[agent].away_until = Some(self.now + away);
                self.kill_agent(agent, kind);
            }
            Kind::MassLoss => self.lose_many(),
            Kind::EngineAway => self.engine_fails(agent, true),
            Kind::EngineRestarts => self.engine_fails(agent, false),
            Kind::ServerKilled => {
                if self.server.up.as_ref().is_some_and(|up| !up.is_writing()) {
                    self.seen.met(kind);
                    self.server_dies(0);
                }
            }
            Kind::StoreFull | Kind::StoreAway => {
                if self.server.faults > 0 {
                    return;
                }
                // Up to twenty seconds, so that agents are lost meanwhile.
                let most = if self.rng.chance(250) { 40 } else { 8 };
                self.server.faults = self.rng.between(1, most);
                let fault = if kind == Kind::StoreFull { Fault::Full } else { Fault::Away };
                for _ in 0..self.server.faults {
                    self.server.log.fail_next(fault);
                }
                self.seen.met(kind);
            }
            Kind::Sweep => {
                if let Some(up) = &mut self.server.up {
                    up.brain.sweep();
                }
            }
            Kind::ContainerKilled | Kind::ContainerRemoved => self.strike_container(agent, kind),
            of_append if of_append.is_of_append() => self.server.armed = Some(of_append),
            other => unreachable!("{other} does not strike by itself"),
        }
    }

    fn leave(&mut self, agent: usize, kind: Kind, why: Leaving) {
        if self.agents[agent].up.as_ref().is_some_and(|up| up.wire.is_some()) {
            self.seen.met(kind);
            self.agent_leaves(agent, why);
        }
    }

    /// More than a third of the agents, and at least three, go away within a moment.
    fn lose_many(&mut self) {
        let all = self.agents.len();
        let count = (all / 3 + 1).max(3);
        if all < count {
            return;
        }
        self.seen.met(Kind::MassLoss);
        let first = self.rng.index(all);
        for offset in 0..count {
            let agent = (first + offset) % all;
            let away = Span::millis(self.rng.between(6_000, 40_000));
            self.agents[agent].away_until = Some(self.now + away);
            self.agent_dies(agent);
        }
    }

    fn kill_agent(&mut self, agent: usize, kind: Kind) {
        if self.agents[agent].up.is_some() {
            self.seen.met(kind);
            self.agent_dies(agent);
        }
    }

    fn strike_container(&mut self, agent: usize, kind: Kind) {
        let now = self.now;
        let live = self.agents[agent].host.live();
        if live.is_empty() {
            return;
        }
        let id = *self.rng.pick(&live);
        let host = &mut self.agents[agent];
        host.stirred = true;
        if kind == Kind::ContainerKilled {
            host.host.end_from_outside(now, id, End::Signal(9));
        } else {
            host.host.remove_from_outside(now, id);
        }
        self.seen.met(kind);
        trace!(self, "{kind} {}", crate::hands::short(id));
    }
}
