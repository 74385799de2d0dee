//! From a log to the world it means.
//!
//! A start with a hundred thousand tasks is a matter of a hundred milliseconds only if old rows are passed over unread
//! and the rest is decoded on all cores: the newest row of each key is found first, then read. What is wrong with a log
//! as a whole stops a start, since acting on a part of it would stop what the other part wants; one unreadable row does
//! not.

mod chain;
mod fold;

#[cfg(test)]
mod tests;

use crate::model::event::{Event, EventId};
use crate::model::id::{ClusterId, CommitNo, Epoch, Position};
use crate::model::row::Write;
use crate::model::time::Timestamp;
use crate::model::world::World;
use crate::store::codec::Quarantined;
use crate::store::ledger::Ledger;
use crate::store::log::Log;
use crate::store::record::Damage;

/// How many of the newest events a replay keeps: as many as a consumer may go on from at least.
pub const EVENTS_KEPT: usize = 100_000;

/// What a log means.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The rows.
    pub world: World,
    /// The newest commit; 0 in a new log.
    pub no: CommitNo,
    /// When it was decided.
    pub at: Timestamp,
    /// The newest epoch that has written.
    pub epoch: Epoch,
    /// Where the next record goes.
    pub next: Position,
    /// The newest events, oldest first.
    pub events: Vec<Happened>,
    /// Everything that happened after this event, of which there is one or not, is among them.
    pub complete_after: EventId,
    /// What could not be read. While there is any the log must not be swept, or these rows are lost for good; an
    /// instance among them may still run.
    pub quarantined: Vec<Quarantined>,
    /// What the log takes.
    pub bytes: Bytes,
    /// The writer's books.
    pub ledger: Ledger,
}

/// An event with its id: its commit and its place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// Which.
    pub id: EventId,
    /// When.
    pub at: Timestamp,
    /// What.
    pub event: Event,
}

/// What a log takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    /// All records.
    pub log: u64,
    /// The newest row of each key.
    pub live: u64,
}

/// Why a log must not be acted on. It is never an empty one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// It does not begin where its head says.
    #[error("the log begins at {found}, its head says {start}")]
    Start {
        /// As the head says.
        start: Position,
        /// As it is.
        found: Position,
    },
    /// It ends before its head.
    #[error("the head is at {start}, and nothing is there")]
    Lost {
        /// As the head says.
        start: Position,
    },
    /// Records are missing.
    #[error("records are missing before {found}: {expected} should come")]
    Hole {
        /// What should come.
        expected: Position,
        /// What comes.
        found: Position,
    },
    /// A record is damaged.
    #[error("the record at {at} cannot be used: {why}")]
    Damaged {
        /// Where.
        at: Position,
        /// Why.
        why: Damage,
    },
    /// A record was written under an older epoch than one before it.
    #[error("epoch {found} writes at {at}, after epoch {newest}")]
    Stale {
        /// Where.
        at: Position,
        /// Its epoch.
        found: Epoch,
        /// The newest before it.
        newest: Epoch,
    },
    /// Commits or their parts do not follow each other.
    #[error("part {part} of commit {commit} at {at} does not follow what lies before it")]
    Order {
        /// Where.
        at: Position,
        /// Of which commit.
        commit: CommitNo,
        /// Which part.
        part: u16,
    },
    /// It is another cluster's.
    #[error("the rows belong to cluster {found}, the log to {expected}")]
    Foreign {
        /// As the rows say.
        found: ClusterId,
        /// As the log says.
        expected: ClusterId,
    },
}

/// Reads a whole log.
///
/// # Errors
/// When anything is wrong with it but single rows.
pub fn load_world(log: &Log) -> Result<Loaded, LoadError> {
    let chain = chain::link(log)?;
    let folded = fold::fold(&chain.records)?;
    let before =
        chain.begun.first().map_or(chain.no, |(first, _)| CommitNo(first.0.saturating_sub(1)));
    let before = EventId { commit: before, index: u32::MAX };
    let mut ledger = Ledger::new(chain.next);
    for (commit, at) in chain.begun {
        ledger.began(commit, at);
    }
    let mut world = World::default();
    let mut live = 0;
    for (key, row, bytes) in folded.rows {
        ledger.wrote(&key, bytes);
        live += bytes as u64;
        world.apply(&Write { key, row: Some(row) });
    }
    let (found, expected) = (world.meta.as_ref().map(|meta| meta.cluster), log.head.cluster);
    if let Some(found) = found.filter(|found| *found != expected) {
        return Err(LoadError::Foreign { found, expected });
    }
    Ok(Loaded {
        world,
        no: chain.no,
        at: chain.time,
        epoch: chain.epoch,
        next: chain.next,
        events: folded.events,
        complete_after: folded.cut.unwrap_or(before),
        quarantined: folded.quarantined,
        bytes: Bytes {
            log: log.records.iter().map(|record| record.bytes.len() as u64).sum(),
            live,
        },
        ledger,
    })
}

// === impl Happened ===

impl Happened {
    /// Whether `next` follows right after it in the same commit.
    pub fn precedes(&self, next: &Happened) -> bool {
        self.id.commit == next.id.commit && self.id.index + 1 == next.id.index
    }
}
