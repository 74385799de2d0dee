//! Waiting longer after each failure: 0.5 s, doubling, 10 s at most.

use crate::model::time::{Span, Timestamp};

/// The first wait.
pub(super) const SHORTEST: Span = Span::millis(500);
/// The longest wait.
pub(super) const LONGEST: Span = Span::secs(10);

/// When the next try may be made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Backoff {
    delay: Span,
    not_before: Option<Timestamp>,
}

// === impl Backoff ===

impl Backoff {
    /// A try failed.
    pub(super) fn failed(&mut self, now: Timestamp) {
        let doubled = Span::millis(self.delay.as_millis() * 2);
        self.delay = doubled.clamp(SHORTEST, LONGEST);
        self.not_before = Some(now + self.delay);
    }

    /// A try came to something; the next one may follow after a breath.
    pub(super) fn breathe(&mut self, now: Timestamp) {
        *self = Backoff { delay: Span::ZERO, not_before: Some(now + SHORTEST) };
    }

    /// Nothing to wait for any more.
    pub(super) fn reset(&mut self) {
        *self = Backoff::default();
    }

    /// When to try again, if that is not yet.
    pub(super) fn waits(&self, now: Timestamp) -> Option<Timestamp> {
        self.not_before.filter(|at| *at > now)
    }
}
