//! What the server itself remembers of a life that failed: one small row a life, so that a crash loop writes little and a
//! lost agent still leaves the outline. What was seen and written at its end is [`Evidence`](crate::model::evidence) and
//! stays with the agent.
//!
//! Not here: which rows are kept for how long (`logic::index::autopsies`), and words for it (`contract::show::autopsy`).

use serde::{Deserialize, Serialize};

use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::id::{
    AgentId, AgentKey, AppKey, DeploymentId, Incarnation, InstanceId, InstanceKey, TaskName,
    Version,
};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::Mem;

/// What is older is not shown, and not kept for long.
pub const KEPT_FOR: Span = Span::secs(24 * 60 * 60);

/// So many of one app are kept, in rows as on each agent.
pub const MAX_PER_APP: usize = 1_000;

/// Longer messages are cut, that a row stays small; the agent has more.
pub const MAX_MESSAGE: usize = 500;

/// An autopsy by its app and a number that rises within the app.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct AutopsyKey {
    /// The app.
    pub app: AppKey,
    /// Its number within the app; later ones are higher.
    pub no: u32,
}

/// A life that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Autopsy {
    /// Its key.
    pub key: AutopsyKey,
    /// The number of its instance within the app.
    pub slot: u32,
    /// Its instance.
    pub instance: InstanceId,
    /// Which container.
    pub task: TaskName,
    /// In which life.
    pub incarnation: Incarnation,
    /// The definition it ran.
    pub version: Version,
    /// The deployment that worked on its app then.
    pub during: Option<During>,
    /// Its agent.
    pub agent: Option<Locus>,
    /// When it was known to have failed.
    pub at: Timestamp,
    /// When it first ran, if it did.
    pub started_at: Option<Timestamp>,
    /// As the app's last failure has it.
    pub condition: Condition,
    /// What was wrong with it.
    pub fault: Fault,
    /// The same, and how it ended, for people.
    pub message: Box<str>,
    /// How it ended, once it has.
    pub exit: Option<Exit>,
}

/// A deployment that worked on an app when one of its lives failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct During {
    /// Which.
    pub deployment: DeploymentId,
    /// Whether what failed ran the configuration that this deployment brings.
    pub brings: bool,
}

/// Where it ran. Kept whole: an agent may be forgotten, and named anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locus {
    /// The agent.
    pub key: AgentKey,
    /// Its identity.
    pub id: AgentId,
    /// Its host's name.
    pub host: Box<str>,
}

/// What was wrong with a life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fault {
    /// It ended by itself, or could not begin.
    Ended,
    /// A health check failed too often, and it was ended for that.
    Unhealthy {
        /// Which check.
        check: Box<str>,
        /// How many failures followed each other.
        failures: u32,
        /// What the last one was.
        cause: Box<str>,
    },
    /// Its launch took too long, and was given up.
    Overdue {
        /// Where it stood.
        condition: Condition,
        /// For how long.
        after: Span,
    },
    /// Its agent was given up, or came back without it.
    Lost,
}

/// How a life ended, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// With this exit code.
    Code(i32),
    /// By this signal.
    Signal(i32),
    /// The kernel killed it for its memory.
    Oom {
        /// The most it used, if known.
        peak: Option<Mem>,
    },
    /// It never ran.
    Never,
    /// Nobody knows.
    Unknown,
}

// === impl Autopsy ===

impl Autopsy {
    /// The row of its instance, as long as there is one.
    pub fn instance_key(&self) -> InstanceKey {
        InstanceKey { app: self.key.app, no: self.slot }
    }

    /// Whether it was ended for a fault and its end is not known yet.
    pub fn is_open(&self) -> bool {
        self.exit.is_none()
    }

    /// Whether it is too old to be shown.
    pub fn is_outdated(&self, now: Timestamp) -> bool {
        now > self.at + KEPT_FOR
    }
}

// === impl Exit ===

impl Exit {
    /// Of what is known of an end. Without one, what never ran is known never to have run.
    pub fn of(end: Option<&End>, has_run: bool) -> Exit {
        match end {
            Some(End::Code(code)) => Exit::Code(*code),
            Some(End::Signal(signal)) => Exit::Signal(*signal),
            Some(End::Oom { peak }) => Exit::Oom { peak: *peak },
            Some(End::Refused(_)) => Exit::Never,
            None if !has_run => Exit::Never,
            Some(End::Gone(_)) | None => Exit::Unknown,
        }
    }

    /// As a shell says it: 128 and the number of a signal.
    pub const fn code(self) -> Option<i32> {
        match self {
            Exit::Code(code) => Some(code),
            Exit::Signal(signal) => Some(signal.saturating_add(128)),
            Exit::Oom { .. } => Some(128 + SIGKILL),
            Exit::Never | Exit::Unknown => None,
        }
    }

    /// The signal it ended by.
    pub const fn signal(self) -> Option<i32> {
        match self {
            Exit::Signal(signal) => Some(signal),
            Exit::Oom { .. } => Some(SIGKILL),
            Exit::Code(_) | Exit::Never | Exit::Unknown => None,
        }
    }
}

/// What nothing survives.
pub const SIGKILL: i32 = 9;
