//! When the other side counts as gone: the one rule (house.md, invariant 9).
//!
//! Nothing heard for its patience, counted in our own waking time: a tick that comes late moves the deadline, since we
//! did not listen meanwhile and what was sent to us may still wait in a buffer. A reset connection is no evidence, so
//! this outlives sessions: the fleet keeps one per agent, and takes it over from a session that has ended.

use crate::model::fact::Loss;
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;
use crate::wire::message::Leaving;

/// An agent that says nothing for so long is lost.
pub const AGENT_PATIENCE: Span = Span::secs(4);

/// A leader that says nothing for so long has its session dropped.
pub const LEADER_PATIENCE: Span = Span::secs(10);

/// A new leader gives every agent so long to be heard of first.
pub const NEW_LEADER_GRACE: Span = Span::secs(10);

/// An agent that restarts gets so long.
pub const RESTART_GRACE: Span = Span::secs(60);

/// Either side says something at least so often.
pub const BEAT: Span = Span::secs(1);

/// A tick that is later than this has missed waking time.
const LATE: Span = Span::millis(500);

/// Whether the other side is heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Liveness {
    patience: Span,
    deadline: Timestamp,
    /// When the next tick should come.
    due: Timestamp,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not lost, or not yet.
    Heard,
    /// It said that it goes for good.
    Left,
    /// Its loss was told.
    Lost,
}

// === impl Liveness ===

impl Liveness {
    /// Of an agent heard at `now`.
    pub fn of_agent(now: Timestamp) -> Liveness {
        Liveness::new(AGENT_PATIENCE, now, now + AGENT_PATIENCE)
    }

    /// Of an agent that somebody who leads since `now` knows from its row alone.
    pub fn inherited(now: Timestamp) -> Liveness {
        Liveness::new(AGENT_PATIENCE, now, now + NEW_LEADER_GRACE)
    }

    /// Of a leader heard at `now`.
    pub fn of_leader(now: Timestamp) -> Liveness {
        Liveness::new(LEADER_PATIENCE, now, now + LEADER_PATIENCE)
    }

    fn new(patience: Span, now: Timestamp, deadline: Timestamp) -> Liveness {
        Liveness { patience, deadline, due: now + BEAT, state: State::Heard }
    }

    /// Something was heard. Never shortens a grace that was given.
    pub fn heard(&mut self, now: Timestamp) {
        match self.state {
            State::Heard => self.deadline = self.deadline.max(now + self.patience),
            State::Left | State::Lost => self.deadline = now + self.patience,
        }
        self.state = State::Heard;
        self.due = now + BEAT;
    }

    /// It said that it goes.
    pub fn leaving(&mut self, now: Timestamp, why: Leaving) {
        match why {
            Leaving::Restart => self.deadline = self.deadline.max(now + RESTART_GRACE),
            Leaving::Shutdown => self.state = State::Left,
        }
    }

    /// Time has passed. Gives a loss once; being heard again starts anew.
    pub fn tick(&mut self, now: Timestamp) -> Option<Loss> {
        self.wake(now);
        let loss = self.loss(now)?;
        self.state = State::Lost;
        Some(loss)
    }

    /// When to tick at the latest, so that waking time is counted right.
    pub fn next_wake(&self) -> Option<Timestamp> {
        match self.state {
            State::Heard => Some(self.deadline.min(self.due)),
            State::Left => Some(self.due),
            State::Lost => None,
        }
    }

    /// Moves the deadline by what was slept through, and leaves time to read what came meanwhile.
    pub(super) fn wake(&mut self, now: Timestamp) {
        let promised = self.deadline.min(self.due);
        let late = now.since(promised);
        if late > LATE {
            self.deadline = (self.deadline + late).max(now + BEAT);
        }
        self.due = now + BEAT;
    }

    /// Whether it is to be told as lost at `now`.
    pub(super) fn loss(&self, now: Timestamp) -> Option<Loss> {
        match self.state {
            State::Heard => {
                let late = planted!("silence-is-no-loss", now >= self.deadline, false);
                late.then_some(Loss::Silence)
            }
            State::Left => Some(Loss::Shutdown),
            State::Lost => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Ticks as promised from `from` until it is lost; gives when.
    fn lost_at(liveness: &mut Liveness) -> Timestamp {
        while let Some(wake) = liveness.next_wake() {
            if liveness.tick(wake).is_some() {
                return wake;
            }
        }
        panic!("it was lost before")
    }

    #[test]
    fn four_silent_seconds_are_a_loss_told_once() {
        let mut liveness = Liveness::of_agent(at(0));
        liveness.heard(at(700));
        assert_eq!(liveness.tick(at(1_700)), None);
        assert_eq!(liveness.tick(at(2_700)), None);
        assert_eq!(liveness.tick(at(3_700)), None);
        assert_eq!(liveness.tick(at(4_699)), None);
        assert_eq!(liveness.tick(at(4_700)), Some(Loss::Silence));
        assert_eq!(liveness.tick(at(9_000)), None, "told once");
        liveness.heard(at(10_000));
        assert_eq!(lost_at(&mut liveness), at(14_000), "heard again, lost again");
    }

    #[test]
    fn time_slept_through_does_not_count() {
        let mut liveness = Liveness::of_agent(at(0));
        assert_eq!(liveness.tick(at(1_000)), None);
        // Due at 2,000, comes 58 s late: 3 s of silence were left, and are left still.
        assert_eq!(liveness.tick(at(60_000)), None);
        assert_eq!(lost_at(&mut liveness), at(62_000));
    }

    #[test]
    fn nobody_is_lost_in_the_tick_that_wakes_up() {
        let mut liveness = Liveness::of_agent(at(0));
        for tick in [1_000, 2_000, 3_000] {
            assert_eq!(liveness.tick(at(tick)), None);
        }
        // Due at the deadline itself: nothing would be left, but what was sent meanwhile may wait in a buffer.
        assert_eq!(liveness.tick(at(4_501)), None);
        assert_eq!(lost_at(&mut liveness), at(5_501));
    }

    #[test]
    fn a_tick_half_a_second_late_is_no_sleep() {
        let mut liveness = Liveness::of_agent(at(0));
        for tick in [1_500, 3_000] {
            assert_eq!(liveness.tick(at(tick)), None);
        }
        assert_eq!(liveness.tick(at(4_000)), Some(Loss::Silence));
    }

    #[test]
    fn a_new_leader_waits_ten_seconds() {
        assert_eq!(lost_at(&mut Liveness::inherited(at(0))), at(10_000));
        let mut heard = Liveness::inherited(at(0));
        heard.heard(at(1_000));
        assert_eq!(lost_at(&mut heard), at(10_000), "a sign of life never shortens a grace");
    }

    #[test]
    fn a_restart_has_a_minute_and_a_shutdown_is_loss_at_once() {
        let mut restart = Liveness::of_agent(at(0));
        restart.leaving(at(0), Leaving::Restart);
        assert_eq!(lost_at(&mut restart), at(60_000));
        let mut shutdown = Liveness::of_agent(at(0));
        shutdown.leaving(at(0), Leaving::Shutdown);
        assert_eq!(shutdown.tick(at(1)), Some(Loss::Shutdown));
    }
}
