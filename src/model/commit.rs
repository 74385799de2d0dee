//! A commit: the only output of the core. Row writes, events and answers, numbered.

use crate::model::event::Event;
use crate::model::fact::{Answer, Ticket};
use crate::model::id::CommitNo;
use crate::model::row::Write;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// What one step of the brain decided.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its number.
    pub no: CommitNo,
    /// When it was decided, in the leader's steady time.
    pub at: Timestamp,
    /// What changes, by key.
    pub writes: Vec<Write>,
    /// What happened.
    pub events: Vec<Event>,
    /// Who is told once this is durable. Not stored.
    pub answers: Vec<(Ticket, Answer)>,
    /// From where the log must be kept, when a sweep has just ended: the position at which it began is the shell's to
    /// know, so the brain only says that the sweep which began at this commit is complete. Not stored.
    pub swept_from: Option<CommitNo>,
    /// The world after it. Not stored.
    pub world: World,
}
