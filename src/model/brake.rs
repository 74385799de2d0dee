//! The brakes on replacement and on kills: what is remembered of them. When they hold is decided in
//! [`logic`](crate::logic).

use serde::{Deserialize, Serialize};

use crate::model::time::Timestamp;

/// Whether nothing that was lost is replaced, since too many agents were lost at once (I19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brake {
    /// Since when it holds.
    pub held: Option<Timestamp>,
    /// When it ends, since enough are back: those that come a moment later are not to be replaced.
    pub ends: Option<Timestamp>,
    /// Losses up to then are not counted any more: somebody has released the brake.
    pub forgiven: Option<Timestamp>,
}

/// Whether the health checks of one app kill nothing, since too many of its instances turned at once (I19).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthBrake {
    /// Since when it holds.
    pub held: Option<Timestamp>,
    /// What turned up to then does not count any more: somebody has released the brake.
    pub forgiven: Option<Timestamp>,
    /// How many of those that turned were killed, not long ago.
    pub killed: u32,
    /// Until when these count.
    pub until: Option<Timestamp>,
}
