//! What a store is: a log that one writer at a time extends and anybody reads.
//!
//! The log decides nothing. It refuses what would make it wrong: a writer whose epoch is not the newest, a record that
//! is not the next. Who may lead is asked of it too, since only the store can compare and set. A body that several servers
//! reach also knows whether they hear of each other: that is a [`Lease`], and it is no part of the fence.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use futures::Stream;
use tokio::sync::watch;

use crate::model::id::{ClusterId, Epoch, Position};
use crate::store::member::Member;
use crate::store::record::{Damage, Record};

/// The position of the first record of a new log.
pub const FIRST: Position = Position(1);

/// A fenced log of records.
///
/// # Guarantees
/// Records are durable in the order of their positions, without holes. Of an append that failed the first records may be
/// stored, the rest is not. An append under an epoch that is no longer the newest stores nothing.
///
/// # Assumptions
/// One caller of `append` and `move_head` per lead, one call at a time.
///
/// # Caveats
/// `append` may take for ever while the store is away; drop the future only together with the lead.
pub trait Store: Send + Sync + 'static {
    /// Takes the leadership under a new epoch, higher than all before.
    fn lead(&self, bid: Bid) -> impl Future<Output = Result<Lead, LeadError>> + Send;

    /// Appends records of one or several commits. A body on this host waits for its disk in the caller's thread, which is
    /// the writer's own: a hand-over to another costs as much as the disk. When the outcome is not known the same records may be given again:
    /// those that are stored already count as stored now.
    fn append(
        &self,
        lead: &Lead,
        records: &[Record],
    ) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// Lets the log begin at `start`, the first record of a commit from which on the log holds every live row. What lies
    /// before may go.
    fn move_head(
        &self,
        lead: &Lead,
        start: Position,
    ) -> impl Future<Output = Result<(), AppendError>> + Send;

    /// The records from the head to the end at the time of the call. An error is never an empty log.
    fn load(&self) -> impl Future<Output = Result<Log, StoreError>> + Send;

    /// The records after `after`, for ever, interleaved with changes of leadership. Ends with the store, or with an
    /// error.
    fn follow(&self, after: Position) -> impl Stream<Item = Result<Seen, StoreError>> + Send;

    /// What the log takes.
    fn usage(&self) -> impl Future<Output = Result<Usage, StoreError>> + Send;

    /// Whether other servers are told that this one leads. Changes while it leads; a body that one server alone can reach
    /// says [`Lease::Kept`] for ever.
    fn lease(&self) -> watch::Receiver<Lease>;

    /// Tells other servers that this one ends, so that none need wait before it leads. Until one does, what is appended
    /// still counts.
    fn resign(&self) -> impl Future<Output = ()> + Send;
}

/// How leadership is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bid {
    /// Only if nobody leads.
    IfVacant,
    /// In place of the leader of this epoch.
    Depose(Epoch),
}

/// A leadership.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lead {
    /// Its epoch.
    pub epoch: Epoch,
    /// Where the log begins.
    pub head: Head,
}

/// Who leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Under which epoch.
    pub epoch: Epoch,
    /// Which server, where the store is one that several reach.
    pub server: Option<Member>,
}

/// How a leadership stands with the others that could lead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lease {
    /// They are told that it lasts.
    Kept,
    /// The store was not reached in time, so another one may lead soon.
    Silent(StoreError),
    /// Another one leads, if the store still says who.
    Lost(Option<Holder>),
}

/// Where the log begins, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The first position of a full state.
    pub start: Position,
    /// The newest schema that was ever written to it.
    pub schema: u16,
    /// The cluster.
    pub cluster: ClusterId,
}

/// A log, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Where it begins.
    pub head: Head,
    /// Its records, in order.
    pub records: Vec<Record>,
}

/// What a follower sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    /// A record.
    Record(Record),
    /// Somebody leads under this epoch.
    Leader(Epoch),
}

/// What a log takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Bytes of the records from the head on.
    pub log: u64,
    /// Bytes of storage, older records and free space included.
    pub stored: u64,
    /// How many bytes of storage there may be, where the store says so.
    pub quota: Option<u64>,
}

/// Why leadership was not given.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LeadError {
    /// Somebody leads, and not the one who was to be deposed.
    #[error("{0} leads")]
    Held(Holder),
    /// The store failed.
    #[error("the store failed")]
    Store(
        #[source]
        #[from]
        StoreError,
    ),
}

/// Why nothing was appended.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AppendError {
    /// Another leadership has begun; this one is over. Nothing was stored.
    #[error("this leadership is over")]
    Deposed,
    /// No space is left. Nothing was stored; the same records may be given again.
    #[error("no space is left in the store")]
    Full,
    /// The records are not those that come next. Nothing was stored, and this writer knows another log than this one.
    #[error("position {next} comes next, not {found}")]
    Misplaced {
        /// What comes next.
        next: Position,
        /// What was given.
        found: Position,
    },
    /// The outcome is not known; the same records may be given again.
    #[error("the store does not answer")]
    Unavailable(#[source] StoreError),
}

/// Why a log cannot be read or written.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// What is stored at a place is no record.
    #[error("the record at {at} cannot be used: {why}")]
    Damaged {
        /// The place.
        at: Position,
        /// Why.
        why: Damage,
    },
    /// The log begins later than the reader wants to.
    #[error("the log begins at {start}, records after {after} are gone")]
    Trimmed {
        /// Where the reader is.
        after: Position,
        /// Where the log begins.
        start: Position,
    },
    /// What identifies the log is missing or wrong.
    #[error("the log does not say what it is: {0}")]
    Identity(&'static str),
    /// A record is missing that others follow, or that the head names.
    #[error("the record at {0} is missing")]
    Missing(Position),
    /// No space is left.
    #[error("no space is left in the store")]
    Full,
    /// The store does not take this server for one that may; asking again does not help.
    #[error("{0}")]
    Denied(Arc<dyn Error + Send + Sync>),
    /// Anything else that the disk or the network says.
    #[error("{0}")]
    Failed(Arc<dyn Error + Send + Sync>),
}

// === impl Head ===

impl Head {
    /// The head of a new log.
    pub fn new(cluster: ClusterId) -> Head {
        Head { start: FIRST, schema: super::record::SCHEMA, cluster }
    }
}

// === impl Holder ===

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "the server at {} (epoch {})", server.url, self.epoch),
            None => write!(f, "epoch {}", self.epoch),
        }
    }
}

// === impl StoreError ===

impl PartialEq for StoreError {
    /// By what they say.
    fn eq(&self, other: &StoreError) -> bool {
        self.to_string() == other.to_string()
    }
}

impl Eq for StoreError {}

// === impl AppendError ===

impl From<StoreError> for AppendError {
    fn from(error: StoreError) -> AppendError {
        match error {
            StoreError::Full => AppendError::Full,
            other @ (StoreError::Damaged { .. }
            | StoreError::Trimmed { .. }
            | StoreError::Identity(_)
            | StoreError::Missing(_)
            | StoreError::Denied(_)
            | StoreError::Failed(_)) => AppendError::Unavailable(other),
        }
    }
}

/// Which of `records` are still to be stored in a log whose next position is `next`: all of them, or those that an
/// earlier call with an unknown outcome has not stored.
///
/// # Errors
/// When they are not what comes next, or others are stored in their place.
pub(super) fn admit<'a>(
    lead: &Lead,
    next: Position,
    records: &'a [Record],
    stored: impl Fn(Position) -> Result<Option<Record>, StoreError>,
) -> Result<&'a [Record], AppendError> {
    let misplaced = |found: &Record| AppendError::Misplaced { next, found: found.at };
    let mut expected = records.first().map_or(next, |first| first.at.min(next));
    for record in records {
        if record.at != expected || record.epoch != lead.epoch {
            return Err(misplaced(record));
        }
        expected = expected.next();
        if record.at < next {
            match stored(record.at)? {
                Some(there) if there.is_same_as(record) => {}
                Some(_) | None => return Err(misplaced(record)),
            }
        }
    }
    let known = records.iter().filter(|record| record.at < next).count();
    Ok(&records[known..])
}
