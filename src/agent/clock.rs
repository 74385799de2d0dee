//! The host's clock: wall time at the start plus the steady time since, so that a jump of the wall clock moves nothing.
//!
//! The only place under `agent` that reads a clock.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::time::{Span, Timestamp};

/// Steady time with a wall-clock origin. Cheap to copy.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    wall: Timestamp,
    start: Instant,
}

// === impl Clock ===

impl Clock {
    /// Starts from the wall clock.
    #[expect(clippy::disallowed_methods, reason = "the one place where the agent reads a clock")]
    pub fn start() -> Clock {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let wall = i64::try_from(wall.as_millis()).unwrap_or(i64::MAX);
        Clock { wall: Timestamp::from_millis(wall), start: Instant::now() }
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.wall + self.uptime()
    }

    fn uptime(&self) -> Span {
        Span::millis(u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX))
    }
}
