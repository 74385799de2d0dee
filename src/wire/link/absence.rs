//! Who is not heard, over the ends of sessions: every agent whose row says that it is heard is measured, by its session
//! or here, and a loss is told until the row says so.
//!
//! So a loss cannot get lost: not with a session that ends before its agent has a key, not in an inbox that is full, not
//! with an agent that was heard under an earlier leader and never dials again. A session never tells a loss itself:
//! whoever has dialled anew meanwhile is not lost.

use std::collections::BTreeMap;

use crate::model::fact::{Fact, Loss};
use crate::model::id::AgentId;
use crate::model::time::{Span, Timestamp};
use crate::model::world::World;
use crate::planted::planted;
use crate::wire::link::liveness::{BEAT, Liveness};

/// A loss that its row does not show by then is told again.
const AGAIN: Span = Span::secs(5);

/// The agents without a session.
#[derive(Debug, Default)]
pub struct Absences {
    absent: BTreeMap<AgentId, Absence>,
    /// No tick is due before.
    due: Timestamp,
    /// When rows without anything that measures their agents are looked for.
    next_look: Timestamp,
}

#[derive(Clone, Copy, Debug)]
struct Absence {
    liveness: Liveness,
    /// Its loss, once there is one, and when that is told next.
    lost: Option<(Loss, Timestamp)>,
}

// === impl Absences ===

impl Absences {
    /// Those of a leader that begins at `now`: everybody has time to be heard first.
    pub fn inherit(now: Timestamp, world: &World) -> Absences {
        let heard = world.agents.iter().filter(|(_, agent)| agent.is_heard());
        let absent =
            heard.map(|(_, agent)| (agent.id, Absence::new(Liveness::inherited(now)))).collect();
        Absences { absent, due: now, next_look: now + BEAT }
    }

    /// A session with an agent begins, which measures it from now on.
    pub fn begins(&mut self, agent: AgentId) {
        self.absent.remove(&agent);
    }

    /// The session with an agent has ended; this is what it is measured by.
    pub fn ended(&mut self, agent: AgentId, liveness: Liveness) {
        let absence = Absence::new(liveness);
        self.due = self.due.min(absence.next_wake());
        self.absent.insert(agent, absence);
    }

    /// Time has passed; `has_session` says whose sessions are open. Gives the losses that are to be told now.
    pub fn tick(
        &mut self,
        now: Timestamp,
        world: &World,
        has_session: impl Fn(AgentId) -> bool,
    ) -> Vec<Fact> {
        if now >= self.next_look {
            self.next_look = now + BEAT;
            self.look(now, world, has_session);
        }
        let mut told = Vec::new();
        self.absent.retain(|agent, absence| {
            let due = absence.tell(now);
            if absence.lost.is_none() {
                return true;
            }
            let key = world.agent_ids.get(agent).copied();
            let row = key.and_then(|key| world.agents.get(&key)).filter(|row| row.is_heard());
            let Some(row) = row else { return false };
            if let Some(why) = due {
                told.push(Fact::Lost { agent: row.key, why });
            }
            true
        });
        let wakes = self.absent.values().map(Absence::next_wake).min();
        self.due = wakes.map_or(self.next_look, |wake| wake.min(self.next_look));
        told
    }

    /// A loss could not be told: soon again.
    pub fn untold(&mut self, now: Timestamp, agent: AgentId) {
        if let Some((_, next)) =
            self.absent.get_mut(&agent).and_then(|absence| absence.lost.as_mut())
        {
            *next = now + BEAT;
            self.due = self.due.min(*next);
        }
    }

    /// When to tick at the latest.
    pub fn next_wake(&self) -> Timestamp {
        self.due
    }

    /// Finds agents that are heard by their rows and by nobody else.
    fn look(&mut self, now: Timestamp, world: &World, has_session: impl Fn(AgentId) -> bool) {
        for (_, agent) in world.agents.iter().filter(|(_, agent)| agent.is_heard()) {
            if !has_session(agent.id) {
                let new = || Absence::new(Liveness::of_agent(now));
                self.absent.entry(agent.id).or_insert_with(new);
            }
        }
    }
}

// === impl Absence ===

impl Absence {
    fn new(liveness: Liveness) -> Absence {
        Absence { liveness, lost: None }
    }

    /// Its loss, each time that is to be told.
    fn tell(&mut self, now: Timestamp) -> Option<Loss> {
        match self.lost {
            None => {
                let why = self.liveness.tick(now)?;
                self.lost = Some((why, now + AGAIN));
                Some(why)
            }
            Some((why, next)) if now >= next => {
                self.lost = Some((why, now + AGAIN));
                planted!("loss-told-once", Some(why), None)
            }
            Some(_) => None,
        }
    }

    fn next_wake(&self) -> Timestamp {
        match self.lost {
            Some((_, next)) => next,
            None => self.liveness.next_wake().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use uuid::Uuid;

    use super::*;
    use crate::model::agent::{Agent, AgentState, Inventory};
    use crate::model::id::{AgentKey, RunId};
    use crate::wire::message::Leaving;

    const AGENT: AgentId = AgentId(Uuid::from_u128(1));
    const KEY: AgentKey = AgentKey(1);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    fn world(state: AgentState) -> World {
        let row = Agent {
            key: KEY,
            id: AGENT,
            run: RunId(Uuid::from_u128(2)),
            state,
            drain: None,
            inventory: Inventory::default(),
            foreign: BTreeMap::new(),
        };
        let mut world = World::default();
        world.agents.put(KEY, Arc::new(row));
        world.agent_ids.put(AGENT, Arc::new(KEY));
        world
    }

    /// Ticks as promised until `end`; gives when losses were told.
    fn losses(absences: &mut Absences, world: &World, end: i64) -> Vec<i64> {
        let mut told = Vec::new();
        let mut now = absences.next_wake();
        while now <= at(end) {
            let facts = absences.tick(now, world, |_| false);
            told.extend(facts.iter().map(|_| now.as_millis()));
            now = absences.next_wake().max(now + Span::millis(1));
        }
        told
    }

    #[test]
    fn who_was_heard_under_an_earlier_leader_and_never_dials_is_lost() {
        let heard = world(AgentState::Up);
        let mut absences = Absences::inherit(at(0), &heard);
        assert_eq!(losses(&mut absences, &heard, 14_000), [10_000]);
    }

    #[test]
    fn a_loss_is_told_until_the_row_says_so() {
        let heard = world(AgentState::Up);
        let mut absences = Absences::default();
        absences.ended(AGENT, Liveness::of_agent(at(0)));
        assert_eq!(losses(&mut absences, &heard, 20_000), [4_000, 9_000, 14_000, 19_000]);
        let lost = world(AgentState::Lost { since: at(20_000) });
        assert_eq!(losses(&mut absences, &lost, 60_000), [] as [i64; 0]);
        assert!(absences.absent.is_empty(), "the row says so, nothing is left to tell");
    }

    #[test]
    fn a_loss_that_an_inbox_had_no_room_for_is_told_soon_again() {
        let heard = world(AgentState::Up);
        let mut absences = Absences::default();
        absences.ended(AGENT, Liveness::of_agent(at(0)));
        assert_eq!(losses(&mut absences, &heard, 4_000), [4_000]);
        absences.untold(at(4_000), AGENT);
        assert_eq!(losses(&mut absences, &heard, 6_000), [5_000]);
    }

    #[test]
    fn a_row_that_nobody_measures_is_found() {
        // Its attachment became durable after the end of its session, which could name no key.
        let heard = world(AgentState::Up);
        let mut absences = Absences::default();
        let told = losses(&mut absences, &heard, 6_000);
        assert_eq!(told, [4_000]);
    }

    #[test]
    fn whoever_has_a_session_is_measured_there() {
        let heard = world(AgentState::Up);
        let mut absences = Absences::inherit(at(0), &heard);
        absences.begins(AGENT);
        assert_eq!(absences.tick(at(30_000), &heard, |_| true), []);
        let mut left = Liveness::of_agent(at(30_000));
        left.leaving(at(30_000), Leaving::Shutdown);
        absences.ended(AGENT, left);
        let told = absences.tick(at(30_001), &heard, |_| false);
        assert_eq!(told, [Fact::Lost { agent: KEY, why: Loss::Shutdown }]);
    }
}
