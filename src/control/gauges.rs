//! What the inner parts of a server count for `/metrics`. They hold these handles and count; who reads them is not their
//! business. Cheap to copy.

use prometheus::core::Collector;
use prometheus::{Histogram, HistogramOpts, IntCounter, IntGauge};

/// What is counted of the log and the brain.
#[derive(Clone, Debug)]
pub struct Gauges {
    /// Commits that became durable.
    pub commits: IntCounter,
    /// From the decision of a commit until it was durable.
    pub commit_seconds: Histogram,
    /// The encoded size of commits.
    pub commit_bytes: Histogram,
    /// The size of the log.
    pub log_bytes: IntGauge,
    /// What the periodic look at everything found and no mark had announced. Must stay 0.
    pub wakeups_missed: IntGauge,
    /// Agents with an open session.
    pub sessions: IntGauge,
    /// Rows that could not be read at the start.
    pub quarantined: IntGauge,
    /// Consumers that follow the events.
    pub event_consumers: IntGauge,
    /// Events that became durable.
    pub events_published: IntCounter,
    /// Consumers that were too slow.
    pub event_overflows: IntCounter,
}

// === impl Gauges ===

impl Default for Gauges {
    fn default() -> Gauges {
        const VALID: &str = "the name is a valid one";
        let seconds = HistogramOpts::new(
            "stayer_commit_seconds",
            "From the decision of a commit until it was durable.",
        )
        .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5]);
        let bytes = HistogramOpts::new("stayer_commit_bytes", "The encoded size of commits.")
            .buckets(vec![256.0, 1_024.0, 4_096.0, 16_384.0, 65_536.0, 524_288.0, 4_194_304.0]);
        Gauges {
            commits: IntCounter::new("stayer_commits_total", "Commits that became durable.")
                .expect(VALID),
            commit_seconds: Histogram::with_opts(seconds).expect(VALID),
            commit_bytes: Histogram::with_opts(bytes).expect(VALID),
            log_bytes: IntGauge::new("stayer_log_bytes", "The size of the log.").expect(VALID),
            wakeups_missed: IntGauge::new(
                "stayer_wakeups_missed_total",
                "What the periodic look at everything found and no mark had announced.",
            )
            .expect(VALID),
            sessions: IntGauge::new("stayer_agent_sessions", "Agents with an open session.")
                .expect(VALID),
            quarantined: IntGauge::new(
                "stayer_rows_quarantined",
                "Rows that could not be read at the start; they are kept.",
            )
            .expect(VALID),
            event_consumers: IntGauge::new(
                "stayer_event_consumers",
                "Consumers that follow the events.",
            )
            .expect(VALID),
            events_published: IntCounter::new(
                "stayer_events_total",
                "Events that became durable since the start.",
            )
            .expect(VALID),
            event_overflows: IntCounter::new(
                "stayer_event_overflows_total",
                "Consumers of events that were too slow and were told so.",
            )
            .expect(VALID),
        }
    }
}

impl Gauges {
    /// All of them, to be read.
    pub fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.commits.clone()),
            Box::new(self.commit_seconds.clone()),
            Box::new(self.commit_bytes.clone()),
            Box::new(self.log_bytes.clone()),
            Box::new(self.wakeups_missed.clone()),
            Box::new(self.sessions.clone()),
            Box::new(self.quarantined.clone()),
            Box::new(self.event_consumers.clone()),
            Box::new(self.events_published.clone()),
            Box::new(self.event_overflows.clone()),
        ]
    }
}
