//! Commits to records and back.
//!
//! A body is a run of items, each a row under its key or an event. Keys and items are postcard; a row is bytes with a
//! length of their own, so that a replay can pass over a row without reading it and an unreadable one spoils nothing
//! else. What the rows themselves look like is in [`row`].

pub mod json;
pub mod row;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::commit::Commit;
use crate::model::event::Event;
use crate::model::id::{CommitNo, Epoch, Position};
use crate::model::row::{Key, Write};
use crate::model::time::Timestamp;
use crate::store::record::{Damage, HEADER_BYTES, Record};

/// The most that a record holds, unless one row alone is larger. Keeps the latency of a put to etcd flat.
pub const RECORD_BYTES_MAX: usize = 512 * 1024;

/// The most that a record with a single row holds; etcd takes requests of 1.5 MiB.
pub const ROW_RECORD_BYTES_MAX: usize = 1024 * 1024;

/// A commit that cannot be stored.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// One row or event is larger than a record may be.
    #[error("{what} takes {bytes} bytes, {ROW_RECORD_BYTES_MAX} is the most that a record holds")]
    TooLarge {
        /// Which.
        what: String,
        /// How much it takes.
        bytes: usize,
    },
    /// More parts than a commit may have.
    #[error("the commit has too many parts")]
    TooMany,
}

/// A record, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decoded {
    /// Under which leadership it was written.
    pub epoch: Epoch,
    /// Of which commit it is a part.
    pub commit: CommitNo,
    /// When that commit was decided.
    pub time: Timestamp,
    /// Whether the commit is whole with it.
    pub last: bool,
    /// Its rows.
    pub writes: Vec<Write>,
    /// Its events.
    pub events: Vec<Event>,
    /// What could not be read although it is what was written.
    pub quarantined: Vec<Quarantined>,
}

/// Something that cannot be read although its bytes are those that were written. It is kept aside and shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quarantined {
    /// What it is.
    pub what: What,
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Why it cannot be read.
    pub why: String,
}

/// What is quarantined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum What {
    /// The row under this key. Something may run because of it: its instance, if it is one, is not to be touched.
    Row(Key),
    /// An event of this commit.
    Event(CommitNo),
}

/// One item of a body.
#[derive(Serialize, Deserialize)]
pub(super) enum Item<'a> {
    /// A row, or its end.
    Row(Key, #[serde(borrow)] Option<Raw<'a>>),
    /// An event.
    Event(Raw<'a>),
}

/// Bytes with their length, read in place.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(pub &'a [u8]);

/// Fills records with items and starts a new one when the next item does not fit.
struct Packer<'a> {
    commit: &'a Commit,
    epoch: Epoch,
    first: Position,
    body: Vec<u8>,
    records: Vec<Record>,
}

/// Packs a commit into records from `first` on. There is always at least one, even for a commit of nothing.
///
/// # Errors
/// When a single row or event is larger than a record may be.
pub fn encode(commit: &Commit, epoch: Epoch, first: Position) -> Result<Vec<Record>, EncodeError> {
    let mut packer = Packer { commit, epoch, first, body: Vec::new(), records: Vec::new() };
    for write in &commit.writes {
        let row = write.row.as_ref().map(row::encode);
        let item = Item::Row(write.key, row.as_deref().map(Raw));
        packer.push(&item, || format!("the row of {:?}", write.key))?;
    }
    for event in &commit.events {
        let bytes = row::encode_event(event);
        packer.push(&Item::Event(Raw(&bytes)), || "an event".to_owned())?;
    }
    packer.finish()
}

/// Reads a record.
///
/// # Errors
/// When it is damaged. A row that does not decode in a record whose checksum is right is no damage: it is quarantined.
pub fn decode(record: &Record) -> Result<Decoded, Damage> {
    record.verify()?;
    let Record { epoch, commit, time, last, .. } = *record;
    let (writes, events, quarantined) = (Vec::new(), Vec::new(), Vec::new());
    let mut decoded = Decoded { epoch, commit, time, last, writes, events, quarantined };
    for item in items(record) {
        match item? {
            Item::Row(key, None) => decoded.writes.push(Write { key, row: None }),
            Item::Row(key, Some(Raw(bytes))) => match row::decode(&key, bytes) {
                Ok(row) => decoded.writes.push(Write { key, row: Some(row) }),
                Err(why) => decoded.quarantined.push(Quarantined::new(What::Row(key), bytes, &why)),
            },
            Item::Event(Raw(bytes)) => match row::decode_event(bytes) {
                Ok(event) => decoded.events.push(event),
                Err(why) => {
                    decoded.quarantined.push(Quarantined::new(What::Event(commit), bytes, &why));
                }
            },
        }
    }
    Ok(decoded)
}

/// The items of a record, in order, its rows unread. Ends after the first that is none.
pub(super) fn items(record: &Record) -> impl Iterator<Item = Result<Item<'_>, Damage>> {
    let mut rest = record.body();
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        match postcard::take_from_bytes(rest) {
            Ok((item, after)) => {
                rest = after;
                Some(Ok(item))
            }
            Err(error) => {
                rest = &[];
                Some(Err(Damage::Body(error.to_string())))
            }
        }
    })
}

// === impl Quarantined ===

impl Quarantined {
    pub(super) fn new(what: What, bytes: &[u8], why: &row::Unreadable) -> Quarantined {
        Quarantined { what, bytes: bytes.to_vec(), why: why.to_string() }
    }
}

// === impl Raw ===

impl Serialize for Raw<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&[u8]>::deserialize(deserializer).map(Raw)
    }
}

// === impl Packer ===

impl Packer<'_> {
    fn push(&mut self, item: &Item<'_>, what: impl Fn() -> String) -> Result<(), EncodeError> {
        let before = self.body.len();
        let body = std::mem::take(&mut self.body);
        self.body = postcard::to_extend(item, body).expect("an item of known length serialises");
        let bytes = self.body.len() - before;
        if HEADER_BYTES + bytes > ROW_RECORD_BYTES_MAX {
            return Err(EncodeError::TooLarge { what: what(), bytes });
        }
        if before > 0 && HEADER_BYTES + self.body.len() > RECORD_BYTES_MAX {
            let item = self.body.split_off(before);
            self.seal(false)?;
            self.body = item;
        }
        Ok(())
    }

    fn seal(&mut self, last: bool) -> Result<(), EncodeError> {
        let part = u16::try_from(self.records.len()).map_err(|_| EncodeError::TooMany)?;
        let at = Position(self.first.0 + u64::from(part));
        let Commit { no, at: time, .. } = *self.commit;
        let record = Record::seal(at, self.epoch, no, time, (part, last), &self.body);
        self.body.clear();
        self.records.push(record);
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<Record>, EncodeError> {
        self.seal(true)?;
        Ok(self.records)
    }
}
