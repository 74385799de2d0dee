//! Figures about the server itself that no row holds: what `/metrics` shows beside the world.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counters and gauges, written by the crank, read by whoever asks.
#[derive(Debug, Default)]
pub struct Gauges {
    /// Commits made durable.
    pub commits: AtomicU64,
    /// Appends to the store; one may hold several commits.
    pub appends: AtomicU64,
    /// Time spent in appends, in microseconds.
    pub append_micros: AtomicU64,
    /// Bytes appended.
    pub appended_bytes: AtomicU64,
    /// Bytes of the log from its head on.
    pub log_bytes: AtomicU64,
    /// How often the periodic look at everything found what no mark had announced. Must stay 0.
    pub missed_wakes: AtomicU64,
    /// Agents with an open session.
    pub sessions: AtomicU64,
    /// Rows that could not be read at the start.
    pub quarantined: AtomicU64,
}

// === impl Gauges ===

impl Gauges {
    /// Reads one.
    pub fn get(gauge: &AtomicU64) -> u64 {
        gauge.load(Ordering::Relaxed)
    }

    /// Sets one.
    pub fn set(gauge: &AtomicU64, value: u64) {
        gauge.store(value, Ordering::Relaxed);
    }

    /// Adds to one.
    pub fn add(gauge: &AtomicU64, value: u64) {
        gauge.fetch_add(value, Ordering::Relaxed);
    }
}
