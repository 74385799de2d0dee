//! What an agent keeps of a life that failed: what its checks were answered last, what it wrote last, how it ended and from
//! which image. It stays on the agent, is read through the agent's session, and is at most [`MAX_BYTES`] as JSON.
//!
//! JSON, every field with a default: agents and servers of different versions read each other's. Nothing of the task's
//! environment is in it; what a task writes itself is there as it wrote it.

use serde::{Deserialize, Serialize};

use crate::model::autopsy::Exit;
use crate::model::id::{AppKey, Incarnation, InstanceId};
use crate::model::time::Timestamp;

/// The most that one takes.
pub const MAX_BYTES: usize = 64 * 1_024;
/// So many last answers to checks are kept.
pub const MAX_REPLIES: usize = 5;
/// So much of the body of each.
pub const MAX_BODY: usize = 2 * 1_024;
/// So many last lines of each output.
pub const MAX_LINES: usize = 200;

/// What an agent keeps of a life that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Of which app.
    pub app: AppKey,
    /// Of which instance.
    pub instance: InstanceId,
    /// Of which life.
    pub incarnation: Incarnation,
    /// When this was taken, by the agent's clock.
    pub at: Timestamp,
    /// How it ended, if it has.
    #[serde(default)]
    pub ended: Option<Ended>,
    /// How it was ended, if it was.
    #[serde(default)]
    pub stop: Option<Stopped>,
    /// How many bytes were pulled and fetched for it.
    #[serde(default)]
    pub pulled: u64,
    /// The image it ran from.
    #[serde(default)]
    pub image: Option<Image>,
    /// Since when its checks were asked by the agent process that took this; answers to an earlier one are not known.
    #[serde(default)]
    pub asked_since: Option<Timestamp>,
    /// The last answers to its checks, oldest first.
    #[serde(default)]
    pub replies: Vec<Reply>,
    /// The end of its standard output.
    #[serde(default)]
    pub stdout: Output,
    /// The end of its standard error.
    #[serde(default)]
    pub stderr: Output,
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// When, by the host's clock.
    pub at: Timestamp,
    /// In numbers.
    pub exit: Exit,
    /// For people.
    pub message: String,
}

/// How a life was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// When it was asked to end.
    pub asked: Option<Timestamp>,
    /// When it was killed, since it had not ended after its grace period.
    pub killed: Option<Timestamp>,
}

/// The image of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Image {
    /// As the definition names it.
    pub name: String,
    /// The engine's id of it: the digest of its configuration.
    #[serde(default)]
    pub id: String,
    /// The digest under which its registry has it; none of one that was never pulled or pushed.
    #[serde(default)]
    pub digest: Option<String>,
}

/// An answer to a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// When it came.
    pub at: Timestamp,
    /// To which check, for people.
    pub check: String,
    /// What came.
    pub answer: Answer,
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// An answer over HTTP.
    Http {
        /// Its status.
        status: u16,
        /// The begin of its body, as far as it came at once.
        body: String,
        /// Whether that is known not to be all of it.
        cut: bool,
    },
    /// The connection was taken.
    Connected,
    /// The command ended with this code.
    Exit(i32),
    /// Nothing of the kind.
    Failed(String),
}

/// The end of what a task wrote to one of its outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Output {
    /// Its last lines.
    pub lines: Vec<String>,
    /// Whether it wrote more before these.
    pub more: bool,
    /// How many of these lines are cut; each says by how much.
    pub shortened: u32,
    /// Why it could not be read, if so.
    pub unread: Option<String>,
}

// === impl Answer ===

impl Answer {
    /// Whether it is one of those that say that a task is well (HC-4).
    pub const fn is_good(&self) -> bool {
        matches!(self, Answer::Connected | Answer::Exit(0) | Answer::Http { status: 200..=399, .. })
    }
}
