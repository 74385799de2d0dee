//! What sights change.
//!
//! A refusal ends a life. A call whose outcome is unknown puts it in doubt until its hand has been listed again. An
//! outcome that nobody waits for is ignored.

use std::collections::BTreeSet;

use crate::agent::mind::life::{Busy, Host, Life};
use crate::agent::mind::step::{Hand, Sight};
use crate::agent::mind::{Mind, backoff};
use crate::agent::runtime::{Found, RuntimeError, SandboxId};
use crate::model::time::Timestamp;
use crate::planted::planted;

// === impl Mind ===

impl Mind {
    /// The hands saw something.
    pub fn sight(&mut self, now: Timestamp, sight: Sight) {
        match sight {
            Sight::Listed(hand, Ok(found)) => self.listed(now, hand, found),
            Sight::Listed(hand, Err(_)) => {
                if let Some(state) = self.hands.get_mut(&hand) {
                    state.list_failed(now);
                }
            }
            Sight::Prepared(id, outcome) => {
                if self.expects(id, |busy| matches!(busy, Busy::Prepare { .. })) {
                    if planted!("slot-leaks", true, outcome.is_ok()) {
                        self.slots.free(id, outcome.is_ok());
                    }
                    self.settle(now, id, outcome, |life, ()| life.host = Host::Prepared);
                }
            }
            Sight::Started(id, outcome) => {
                if self.expects(id, |busy| busy == Busy::Start) {
                    self.slots.free(id, false);
                    self.settle(now, id, outcome, |life, seen| {
                        life.host = Host::Running(seen);
                        life.since = life.since.or(Some(now));
                    });
                }
            }
            Sight::Terminated(id, outcome) => {
                if self.expects(id, |busy| busy == Busy::Terminate) {
                    self.settle(now, id, insist(outcome), |life, ()| life.stop.heard = true);
                }
            }
            Sight::Killed(id, outcome) => {
                if self.expects(id, |busy| busy == Busy::Kill) {
                    self.settle(now, id, insist(outcome), |_, ()| {});
                }
            }
            Sight::Removed(id, outcome) => {
                if self.expects(id, |busy| busy == Busy::Remove) {
                    let removed = outcome.is_ok();
                    self.settle(now, id, insist(outcome), |_, ()| {});
                    if removed {
                        self.drop_life(id);
                    }
                }
            }
            Sight::Ended(id, outcome) => self.ended(now, id, outcome),
            Sight::Pulled(id, bytes) => self.pulled(now, id, bytes),
            Sight::Probed(id, reply) => self.probed(now, id, reply),
            Sight::Examined(id) => self.examined(id),
            Sight::HandDown(hand) => {
                if let Some(state) = self.hands.get_mut(&hand) {
                    state.went_down();
                }
            }
            Sight::HandUp(hand) => self.hand_up(hand),
        }
    }

    /// Whether such a step of `id` is in flight; it is not any more.
    fn expects(&mut self, id: SandboxId, such: impl Fn(Busy) -> bool) -> bool {
        let Some(life) = self.lives.get_mut(&id) else { return false };
        if !life.busy.is_some_and(such) {
            return false;
        }
        self.tick += 1;
        life.busy = None;
        life.touched = self.tick;
        self.dirty.insert(id.instance);
        true
    }

    fn settle<T>(
        &mut self,
        now: Timestamp,
        id: SandboxId,
        outcome: Result<T, RuntimeError>,
        done: impl FnOnce(&mut Life, T),
    ) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        match outcome {
            Ok(seen) => {
                life.backoff.reset();
                done(life, seen);
            }
            Err(RuntimeError::Refused(reason)) => life.refused(now, reason),
            Err(RuntimeError::Unknown(detail)) => {
                if planted!("lost-answer-is-a-failure", false, life.host == Host::Prepared) {
                    return life.refused(now, crate::model::reason::Reason::Start { detail });
                }
                life.backoff.failed(now);
                self.doubt(id);
            }
        }
    }

    fn doubt(&mut self, id: SandboxId) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        life.doubt = true;
        if let Some(state) = self.hands.get_mut(&life.hand) {
            state.doubt(id);
        }
    }

    fn ended(
        &mut self,
        now: Timestamp,
        id: SandboxId,
        outcome: Result<(Timestamp, crate::model::end::End), RuntimeError>,
    ) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        self.tick += 1;
        life.touched = self.tick;
        life.watched = false;
        self.dirty.insert(id.instance);
        match outcome {
            Ok((at, end)) => life.ended(at, end),
            Err(_) if matches!(life.host, Host::Running(_)) => {
                if planted!("error-is-evidence", false, true) {
                    return life.conclude_gone(now);
                }
                life.backoff.failed(now);
                self.doubt(id);
            }
            Err(_) => {}
        }
    }

    /// Progress is taken over twice a second at most.
    fn pulled(&mut self, now: Timestamp, id: SandboxId, bytes: u64) {
        let Some(life) = self.lives.get_mut(&id) else { return };
        let due = life.pulled.1.is_none_or(|last| now >= last + backoff::SHORTEST);
        if due && bytes > life.pulled.0 {
            life.pulled = (bytes, Some(now));
            self.dirty.insert(id.instance);
        }
    }

    fn hand_up(&mut self, hand: Hand) {
        let Some(state) = self.hands.get_mut(&hand) else { return };
        state.came_up();
        // A watch may hang on a connection that is gone.
        for life in self.lives.values_mut().filter(|life| life.hand == hand) {
            life.watched = false;
        }
    }

    /// All that one hand had when its list was begun.
    fn listed(&mut self, now: Timestamp, hand: Hand, found: Vec<Found>) {
        let Some(state) = self.hands.get_mut(&hand) else { return };
        let Some(listed) = state.listed(now) else { return };
        let doubts = state.take_doubts();
        let mut seen = BTreeSet::new();
        for Found { id, key, spec_key, state } in found {
            if listed.removed.contains(&id) {
                continue;
            }
            seen.insert(id);
            self.keys.insert(key, id.instance);
            let new = || Life::new(key, spec_key, hand, listed.began);
            let life = self.lives.entry(id).or_insert_with(new);
            if life.is_known_to(listed.began) {
                life.found(state);
            }
        }
        for (id, life) in &mut self.lives {
            if life.hand == hand && !seen.contains(id) && life.is_known_to(listed.began) {
                life.not_found();
            }
        }
        for id in doubts {
            if self.lives.get(&id).is_some_and(|life| life.doubt) {
                self.doubt(id);
            }
        }
        self.dirty.extend(self.lives.keys().map(|id| id.instance));
        self.dirty.extend(self.wishes.keys());
    }
}

// === impl Life ===

impl Life {
    /// Whether a list that was begun then knows more of it than we do.
    fn is_known_to(&self, began: u64) -> bool {
        self.busy.is_none() && planted!("old-list-believed", self.touched <= began, true)
    }
}

/// What must end or go is tried again whatever the answer: a refusal does not end it.
fn insist<T>(outcome: Result<T, RuntimeError>) -> Result<T, RuntimeError> {
    outcome.map_err(|error| RuntimeError::Unknown(error.to_string()))
}
