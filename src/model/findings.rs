//! What the checks of a task have found: the record from which kills, upgrades and answers follow.
//!
//! Only what changes something is in it (core.md §1): the first success, each failure that counts, the success after one.
//! It is counted next to the task, stored as a part of its instance's row, and given back to its agent with every want, so
//! that counting goes on after any restart. Its times are those of the agent's clock.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::spec::Spec;
use crate::model::time::Timestamp;

/// What the checks of a task have found in its current life (HC-9, BETTER).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// Of each health check of its definition, in their order; nothing before the first result that counts (HC-5).
    pub health: Vec<Option<HealthRecord>>,
    /// Of each readiness check; nothing before the first answer.
    pub readiness: Vec<Option<Readiness>>,
    /// What its plain check found last.
    pub check: Option<CheckResult>,
    /// When the leader heard that it is no longer alive, having been so; by the leader's clock, and the leader's alone.
    pub turned: Option<Timestamp>,
}

/// What one health check has found (HC-10).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthRecord {
    /// When it first succeeded.
    pub first_success: Option<Timestamp>,
    /// When it last succeeded for the first time, or after a failure.
    pub last_success: Option<Timestamp>,
    /// When it last failed.
    pub last_failure: Option<Timestamp>,
    /// How many failures followed each other without a success.
    pub failures: u32,
    /// Why it last failed.
    pub cause: Option<Arc<str>>,
}

/// What a readiness check has found (HC-16).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether it has ever said that the task is ready; nothing takes that back.
    pub ready: bool,
    /// The last answer, where it is to be shown.
    pub last: Option<Response>,
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Response {
    /// Its status.
    pub status: u16,
    /// What its body is.
    pub content_type: String,
    /// The begin of its body.
    pub body: String,
}

/// What a plain check has found (HC-15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckResult {
    /// It answered with this status.
    Http(u16),
    /// Whether it could be connected to.
    Tcp(bool),
    /// The command ended with this code.
    Command(i32),
}

// === impl Findings ===

impl Findings {
    /// Of a task of which nothing was found yet; none when its definition has no checks.
    pub fn none_yet(spec: &Spec) -> Option<Box<Findings>> {
        let findings = Findings {
            health: vec![None; spec.health_checks.len()],
            readiness: vec![None; spec.readiness_checks.len()],
            ..Findings::default()
        };
        (findings != Findings::default() || spec.check.is_some()).then(|| Box::new(findings))
    }

    /// Whether `other` is of the same checks.
    pub fn is_like(&self, other: &Findings) -> bool {
        self.health.len() == other.health.len() && self.readiness.len() == other.readiness.len()
    }

    /// What the health checks come to: alive when all are, nothing while one has no result, or without any (HC-12).
    pub fn health(&self) -> Option<bool> {
        let mut all = true;
        for record in &self.health {
            all &= record.as_ref()?.is_alive();
        }
        Some(all).filter(|_| !self.health.is_empty())
    }

    /// Whether every health check says that it is alive, and every readiness check said that it is ready (RU-10).
    pub fn serves(&self) -> bool {
        let alive =
            |record: &Option<HealthRecord>| record.as_ref().is_some_and(HealthRecord::is_alive);
        self.health.iter().all(alive) && self.is_ready()
    }

    /// Whether every readiness check said that it is ready.
    pub fn is_ready(&self) -> bool {
        self.readiness.iter().all(|of| of.as_ref().is_some_and(|of| of.ready))
    }

    /// Whether a health check says that it is not alive.
    pub fn fails(&self) -> bool {
        self.health.iter().flatten().any(|record| !record.is_alive())
    }

    /// Whether one of the checks that fail said once that it is alive.
    pub fn has_turned(&self) -> bool {
        let turned = |record: &HealthRecord| !record.is_alive() && record.first_success.is_some();
        self.health.iter().flatten().any(turned)
    }
}

// === impl HealthRecord ===

impl HealthRecord {
    /// Whether a success exists and no failure has followed it (HC-10).
    pub fn is_alive(&self) -> bool {
        self.first_success.is_some() && self.failures == 0
    }

    /// A success; whether that changes anything.
    pub fn succeeded(&mut self, now: Timestamp) -> bool {
        if self.is_alive() {
            return false;
        }
        self.first_success = self.first_success.or(Some(now));
        self.last_success = Some(now);
        self.failures = 0;
        true
    }

    /// A failure that counts.
    pub fn failed(&mut self, now: Timestamp, cause: &str) {
        self.last_failure = Some(now);
        self.failures = self.failures.saturating_add(1);
        if self.cause.as_deref() != Some(cause) {
            self.cause = Some(cause.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// HC-10: alive = a success exists and is later than the last failure.
    #[test]
    fn a_record_is_alive_from_a_success_to_the_next_failure() {
        let mut record = HealthRecord::default();
        assert!(!record.is_alive());
        record.failed(at(1), "refused");
        assert!(!record.is_alive());
        assert!(record.succeeded(at(2)));
        assert!(record.is_alive() && record.failures == 0);
        assert!(!record.succeeded(at(3)), "a further success is no news");
        assert_eq!(record.last_success, Some(at(2)));
        record.failed(at(4), "refused");
        record.failed(at(5), "silent");
        assert_eq!((record.failures, record.cause.as_deref()), (2, Some("silent")));
        assert!(record.succeeded(at(6)));
        assert_eq!((record.first_success, record.last_success), (Some(at(2)), Some(at(6))));
    }

    /// HC-12: true when all are alive, nothing when one has no result, else false.
    #[test]
    fn the_aggregate_of_several_checks() {
        let mut good = HealthRecord::default();
        good.succeeded(at(1));
        let mut bad = HealthRecord::default();
        bad.failed(at(1), "refused");
        let of = |health: [Option<&HealthRecord>; 2]| Findings {
            health: health.map(Option::<&HealthRecord>::cloned).to_vec(),
            ..Findings::default()
        };
        let rows = [
            ([Some(&good), Some(&good)], Some(true), true, false),
            ([Some(&good), None], None, false, false),
            ([Some(&good), Some(&bad)], Some(false), false, true),
            ([None, Some(&bad)], None, false, true),
        ];
        for (records, health, serves, fails) in rows {
            let findings = of(records);
            let found = (findings.health(), findings.serves(), findings.fails());
            assert_eq!(found, (health, serves, fails), "{records:?}");
        }
        let unready = Findings { readiness: vec![None], ..of([Some(&good), Some(&good)]) };
        assert!(!unready.serves() && unready.health() == Some(true));
        assert_eq!(Findings::default().health(), None, "without a check nothing is known");
    }
}
