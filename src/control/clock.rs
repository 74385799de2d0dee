//! The only place where the server reads a clock.
//!
//! Steady: the wall time of a start plus monotonic time since. So a step of the wall clock neither ends a wait early nor
//! makes one endless.

use std::time::Instant;

use crate::model::time::{Span, Timestamp};

/// The leader's time.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Timestamp,
    at: Instant,
}

// === impl Clock ===

impl Clock {
    /// Reads the wall clock once; it is never behind `newest`, the newest time that is known.
    #[expect(clippy::disallowed_methods, reason = "the server's one clock")]
    pub fn start(newest: Timestamp) -> Clock {
        let wall = jiff::Timestamp::now().as_millisecond();
        let began = Timestamp::from_millis(wall).max(newest + Span::millis(1));
        Clock { began, at: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        let passed = u64::try_from(self.at.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.began + Span::millis(passed)
    }
}
