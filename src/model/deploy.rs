//! A deploy: a new definition of an app brought into service by a strategy, step by step, and taken back when it does not
//! work.
//!
//! The row says what was asked, with which apps, and how far it is; what is to be done next follows from it and from the
//! rows of those apps. It changes apps only through the door that clients use, so that locks, versions and deployments
//! are the ordinary ones. It stays for a while when it is over.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::deployment::OnFailure;
use crate::model::id::{AppKey, DeployId, DeploymentId, Version};
use crate::model::path::AppPath;
use crate::model::time::{Span, Timestamp};
use crate::model::unit::Ratio;

/// How many deploys that are over are kept; the longest over go first.
pub const MAX_OVER: usize = 1_000;

/// For so long enough must have been healthy: most versions that cannot work end at once, and each would cost an old
/// instance before it is known to have failed.
pub const SETTLE: Span = Span::millis(300);

/// The most characters that a row keeps of a text that others wrote.
pub const MAX_TEXT: usize = 400;

/// One deploy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deploy {
    /// Its id.
    pub id: DeployId,
    /// The app as it was asked for; a second app has a colour behind it.
    pub app: AppPath,
    /// What was asked.
    pub plan: Plan,
    /// How many instances shall serve in the end.
    pub target: u32,
    /// How many the new app has in each step. Never empty; the last is less than the target when that waits for a
    /// promotion.
    pub counts: Vec<u32>,
    /// What served before, when a second app takes its place.
    pub old: Option<Old>,
    /// What shall serve.
    pub new: New,
    /// Whether somebody has asked for the whole count at once.
    pub promoted: bool,
    /// How many failed instances of the new definition were counted in this step.
    pub failures: u32,
    /// The last of them that was counted.
    pub failed_at: Option<Timestamp>,
    /// What the last analysis found.
    pub last: Option<Finding>,
    /// How far it is.
    pub state: State,
    /// When it was accepted.
    pub since: Timestamp,
    /// Since when it is in its state.
    pub at: Timestamp,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// How the new definition comes.
    pub strategy: Strategy,
    /// How far it comes in each step.
    pub steps: Vec<Amount>,
    /// How long each step is watched.
    pub hold: Span,
    /// What decides at the end of each hold.
    pub analysis: Option<Analysis>,
    /// How long each step may take, its hold not counted.
    pub deadline: Span,
    /// So many failed instances are forgiven in each step.
    pub max_failures: u32,
    /// What follows when it does not work.
    pub on_failure: OnFailure,
}

/// How a new definition comes into service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Strategy {
    /// The app itself changes, by one ordinary deployment.
    Rolling,
    /// A second app grows as the first one shrinks.
    BlueGreen,
    /// As blue/green, watched step by step.
    Canary,
}

/// How far a step goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Amount {
    /// A share of the target.
    Share(Ratio),
    /// A number of instances.
    Count(u32),
}

/// A question to Prometheus, and which answers pass.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Analysis {
    /// Where Prometheus is.
    pub prometheus: String,
    /// What it is asked.
    pub query: String,
    /// The least that passes.
    pub min: Option<Measure>,
    /// The most that passes.
    pub max: Option<Measure>,
    /// How long after an answer that says nothing it is asked again.
    pub interval: Span,
}

/// A measured number, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Measure(pub i64);

/// What an analysis found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Finding {
    /// Numbers, one or several.
    Measured {
        /// The least of them.
        least: Measure,
        /// The most of them.
        most: Measure,
    },
    /// Nothing, or nothing that is a number: neither good nor bad.
    NoTraffic,
    /// No answer, or none that can be read.
    Unanswered(String),
}

/// An app that a deploy changes, as the deploy itself last left it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hand {
    /// Its key.
    pub app: AppKey,
    /// Its path.
    pub path: AppPath,
    /// Its definition. Another one is somebody else's doing.
    pub version: Version,
    /// The deploy's last deployment of it.
    pub deployment: Option<DeploymentId>,
}

/// What served before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Old {
    /// The app.
    pub hand: Hand,
    /// How many instances it had.
    pub whole: u32,
    /// How many of them were healthy.
    pub serving: u32,
}

/// What shall serve.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct New {
    /// The app.
    pub hand: Hand,
    /// The version that the new definition began with: what failed before is not its fault.
    pub born: Version,
    /// The definition of the same app before, when there was one.
    pub before: Option<Version>,
}

/// How far a deploy is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum State {
    /// On its way.
    Going(Phase),
    /// It waits for somebody.
    Paused {
        /// Why.
        cause: Cause,
        /// Where it was.
        phase: Phase,
    },
    /// On its way back.
    RollingBack {
        /// Why.
        cause: Cause,
        /// How far back it is.
        undo: Undo,
    },
    /// It changes nothing any more.
    Over(Ending),
}

/// Where in its steps a deploy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// The new app gets its instances.
    Growing {
        /// In which step, from 0.
        step: u32,
        /// Until when that may take.
        deadline: Timestamp,
        /// Since when enough of them are healthy.
        ready: Option<Timestamp>,
    },
    /// The old app gives as many up.
    Shrinking {
        /// In which step.
        step: u32,
        /// Until when that may take.
        deadline: Timestamp,
    },
    /// The step is watched.
    Holding {
        /// Which.
        step: u32,
        /// How long.
        until: Timestamp,
    },
    /// Prometheus is asked.
    Judging {
        /// In which step.
        step: u32,
        /// For the how many-th time, from 0.
        asking: u32,
        /// When.
        due: Timestamp,
        /// When an answer must have come.
        deadline: Timestamp,
    },
    /// Nothing speaks against the next step, if enough are healthy.
    Passed {
        /// Which step is over.
        step: u32,
        /// Until when enough must be healthy.
        deadline: Timestamp,
    },
    /// The old app is being removed.
    Finishing,
}

/// How far back a deploy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Undo {
    /// Nothing is done yet.
    Begun,
    /// The old app becomes whole.
    Restoring {
        /// Until when that may take.
        deadline: Timestamp,
        /// Whether it takes longer; it goes on.
        stuck: bool,
    },
    /// The app itself gets its earlier definition.
    Reverting {
        /// Until when that may take.
        deadline: Timestamp,
        /// Whether it takes longer; it goes on.
        stuck: bool,
    },
    /// The new app is being removed.
    Removing,
}

/// How a deploy ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The new definition serves.
    Done,
    /// All is as it was.
    RolledBack(Cause),
    /// It stands where it was.
    Failed(Cause),
    /// Another deploy has taken its place.
    Replaced(DeployId),
}

/// Why a deploy does not go on as asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cause {
    /// Too many instances of the new definition failed; what the last one said.
    Failures(String),
    /// The step took too long; what is missing.
    Overdue(String),
    /// The analysis found values out of bounds; which.
    Analysis(String),
    /// The analysis found nothing until the deadline.
    NoTraffic,
    /// Nobody answered until the deadline; what was said last.
    Unanswered(String),
    /// The last step is less than all.
    Promotion,
    /// Somebody else changed an app.
    Changed(AppPath),
    /// Somebody else removed an app.
    Removed(AppPath),
    /// A step was refused.
    Refused(String),
    /// Somebody asked for it.
    Asked,
}

// === impl Deploy ===

impl Deploy {
    /// Whether it changes nothing any more.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over(_))
    }

    /// The apps that it changes.
    pub fn apps(&self) -> impl Iterator<Item = AppKey> + '_ {
        self.old.iter().map(|old| old.hand.app).chain([self.new.hand.app])
    }

    /// The last step, from 0.
    pub fn last_step(&self) -> u32 {
        u32::try_from(self.counts.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// How many instances the new app has in a step.
    pub fn count(&self, step: u32) -> u32 {
        let last = self.counts.last();
        self.counts.get(step as usize).or(last).copied().unwrap_or(self.target)
    }
}

// === impl Phase ===

impl Phase {
    /// The step, where it is in one.
    pub const fn step(self) -> Option<u32> {
        match self {
            Phase::Growing { step, .. }
            | Phase::Shrinking { step, .. }
            | Phase::Holding { step, .. }
            | Phase::Judging { step, .. }
            | Phase::Passed { step, .. } => Some(step),
            Phase::Finishing => None,
        }
    }
}

// === impl Amount ===

impl Amount {
    /// How many of `target` that is: rounded up, at least one, at most all.
    pub fn of(self, target: u32) -> u32 {
        let count = match self {
            Amount::Share(share) => share.of_rounded_up(target),
            Amount::Count(count) => count,
        };
        count.max(1).min(target)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Share(share) => write!(f, "{}%", Ratio::micro(share.as_micro() * 100)),
            Amount::Count(count) => count.fmt(f),
        }
    }
}

// === impl Measure ===

impl fmt::Display for Measure {
    /// The shortest decimal text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 0 {
            f.write_str("-")?;
        }
        Ratio::micro(self.0.unsigned_abs()).fmt(f)
    }
}

// === impl Analysis ===

impl Analysis {
    /// Whether values from `least` to `most` pass.
    pub fn passes(&self, least: Measure, most: Measure) -> bool {
        self.min.is_none_or(|min| least >= min) && self.max.is_none_or(|max| most <= max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_up_and_never_nothing() {
        let five = Amount::Share(Ratio::micro(50_000));
        for (target, count) in [(0, 0), (1, 1), (19, 1), (20, 1), (21, 2), (100, 5)] {
            assert_eq!(five.of(target), count, "5 % of {target}");
        }
        assert_eq!(Amount::Count(7).of(5), 5);
        assert_eq!(five.to_string(), "5%");
        assert_eq!(Amount::Share(Ratio::micro(125_000)).to_string(), "12.5%");
    }

    #[test]
    fn measures_are_shown_as_they_were_written() {
        assert_eq!(Measure(10_000).to_string(), "0.01");
        assert_eq!(Measure(-2_500_000).to_string(), "-2.5");
    }
}
