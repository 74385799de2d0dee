//! A deployment: one accepted change on its way, step by step.
//!
//! What it does to each app lies in that app's row ([`Part`](crate::model::app::Part)), so that this row does not grow.
//! Marathon's deployments go on for ever; one with a [`FailurePolicy`] has an end either way.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::id::{DeploymentId, Version};
use crate::model::time::{Span, Timestamp};

/// One accepted change on its way. The row leaves with its end; an [`Outcome`](crate::model::outcome::Outcome) and an
/// event tell how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// Its id.
    pub id: DeploymentId,
    /// The version that the change gave to what it changed.
    pub version: Version,
    /// The running step, from 0.
    pub step: u32,
    /// How many steps there are.
    pub steps: u32,
    /// The step in which new apps start with nothing, if there are new apps (DP-6).
    pub start_step: Option<u32>,
    /// Whether the event of the running step is out.
    pub announced: bool,
    /// When it was accepted.
    pub since: Timestamp,
    /// The deployment that this one takes back.
    pub reverts: Option<DeploymentId>,
    /// When it counts as failed, and what follows.
    pub policy: FailurePolicy,
    /// From when its deadline is counted: its acceptance, or the moment it was resumed.
    pub counted_from: Timestamp,
    /// How many lives of what it brings have failed since then.
    pub failures: u32,
    /// How it stands.
    pub state: State,
}

/// When a deployment counts as failed, and what follows. The default is Marathon's: never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailurePolicy {
    /// It shall be done within so many seconds.
    pub deadline_seconds: Option<u32>,
    /// So many failed lives of what it brings are borne; one more is too many.
    pub max_failures: Option<u32>,
    /// What follows when it is late, or too much of it failed.
    pub on_failure: Option<OnFailure>,
}

/// What follows a deployment that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum OnFailure {
    /// It is over. What it began stays as it is.
    None,
    /// It waits for somebody: nothing more is started or stopped for it.
    Pause,
    /// It is taken back.
    Rollback,
}

/// How a running deployment stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// It goes on.
    Going,
    /// It waits for somebody, since this happened.
    Paused(Cause),
    /// It takes another one back and this happened to it. It goes on, since there is nothing else to go back to.
    Stuck(Cause),
}

/// Why a deployment failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// Which of its limits it passed.
    pub kind: CauseKind,
    /// When.
    pub at: Timestamp,
    /// In words, with what was wrong.
    pub message: String,
}

/// The limits of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CauseKind {
    /// It was not done in time.
    Overdue,
    /// Too much of it failed.
    TooManyFailures,
}

// === impl Deployment ===

impl Deployment {
    /// One that has just been accepted: no steps yet, and no limits.
    pub fn accepted(id: DeploymentId, version: Version, now: Timestamp) -> Deployment {
        Deployment {
            id,
            version,
            step: 0,
            steps: 0,
            start_step: None,
            announced: false,
            since: now,
            reverts: None,
            policy: FailurePolicy::default(),
            counted_from: now,
            failures: 0,
            state: State::Going,
        }
    }

    /// When it will be late: never, unless it has a deadline and goes on.
    pub fn deadline(&self) -> Option<Timestamp> {
        let seconds = self.policy.deadline_seconds?;
        Some(self.counted_from + Span::secs(u64::from(seconds)))
    }

    /// When time alone changes something about it.
    pub fn due(&self) -> Option<Timestamp> {
        match self.state {
            State::Going => self.deadline(),
            State::Paused(_) | State::Stuck(_) => None,
        }
    }

    /// Whether it waits for somebody.
    pub fn is_paused(&self) -> bool {
        matches!(self.state, State::Paused(_))
    }
}

// === impl FailurePolicy ===

impl FailurePolicy {
    /// What is said here, and else what `other` says.
    #[must_use]
    pub fn or(self, other: FailurePolicy) -> FailurePolicy {
        FailurePolicy {
            deadline_seconds: self.deadline_seconds.or(other.deadline_seconds),
            max_failures: self.max_failures.or(other.max_failures),
            on_failure: self.on_failure.or(other.on_failure),
        }
    }

    /// The stricter of both, limit by limit; of what follows, what undoes more.
    #[must_use]
    pub fn stricter(self, other: FailurePolicy) -> FailurePolicy {
        let least = |one: Option<u32>, other: Option<u32>| one.into_iter().chain(other).min();
        FailurePolicy {
            deadline_seconds: least(self.deadline_seconds, other.deadline_seconds),
            max_failures: least(self.max_failures, other.max_failures),
            on_failure: self.on_failure.max(other.on_failure),
        }
    }

    /// Whether there is a limit at all.
    pub fn has_limits(self) -> bool {
        self.deadline_seconds.is_some() || self.max_failures.is_some()
    }
}

// === impl OnFailure ===

impl OnFailure {
    /// All, with their words.
    pub const WORDS: [(&str, OnFailure); 3] =
        [("rollback", OnFailure::Rollback), ("pause", OnFailure::Pause), ("none", OnFailure::None)];

    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            OnFailure::None => "none",
            OnFailure::Pause => "pause",
            OnFailure::Rollback => "rollback",
        }
    }
}

// === impl State ===

impl State {
    /// As it is written.
    pub const fn as_str(&self) -> &'static str {
        match self {
            State::Going => "going",
            State::Paused(_) => "paused",
            State::Stuck(_) => "stuck",
        }
    }

    /// Why it is not simply going on.
    pub const fn cause(&self) -> Option<&Cause> {
        match self {
            State::Going => None,
            State::Paused(cause) | State::Stuck(cause) => Some(cause),
        }
    }
}

// === impl Cause ===

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

// === impl CauseKind ===

impl CauseKind {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            CauseKind::Overdue => "overdue",
            CauseKind::TooManyFailures => "tooManyFailures",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: FailurePolicy =
        FailurePolicy { deadline_seconds: None, max_failures: None, on_failure: None };

    #[test]
    fn what_is_asked_goes_before_what_an_app_says() {
        let asked = FailurePolicy { deadline_seconds: Some(60), ..NONE };
        let app = FailurePolicy {
            deadline_seconds: Some(5),
            max_failures: Some(1),
            on_failure: Some(OnFailure::Pause),
        };
        let both = FailurePolicy { deadline_seconds: Some(60), ..app };
        assert_eq!(asked.or(app), both);
        assert!(!NONE.has_limits() && both.has_limits());
    }

    #[test]
    fn of_several_apps_the_strictest_counts() {
        let one = FailurePolicy {
            deadline_seconds: Some(60),
            max_failures: None,
            on_failure: Some(OnFailure::Rollback),
        };
        let other = FailurePolicy {
            deadline_seconds: Some(90),
            max_failures: Some(0),
            on_failure: Some(OnFailure::None),
        };
        let strictest = FailurePolicy { max_failures: Some(0), ..one };
        assert_eq!(one.stricter(other), strictest);
        assert_eq!(other.stricter(one), strictest);
        assert_eq!(NONE.stricter(NONE), NONE);
    }
}
