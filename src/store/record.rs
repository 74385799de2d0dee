//! One record of the log: a header of fixed size and a body that only the codec reads.
//!
//! ```text
//! schema u16 · crc32c u32 · epoch u64 · commit u64 · at i64 ms · part u16 · last u8 · body          (little endian)
//! ```
//! The first two fields keep their places in every schema, so that a newer record is told from a damaged one. The
//! checksum covers the position too: a record that lies at another's place is damage.

use bytes::Bytes;

use crate::model::id::{CommitNo, Epoch, Position};
use crate::model::time::Timestamp;

/// The schema of records and rows that this program writes, and the newest that it reads.
pub const SCHEMA: u16 = 1;

/// The size of the header.
pub const HEADER_BYTES: usize = 33;

const CHECKSUM: std::ops::Range<usize> = 2..6;

/// One record at its place in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place.
    pub at: Position,
    /// Under which leadership it was written.
    pub epoch: Epoch,
    /// Of which commit it is a part.
    pub commit: CommitNo,
    /// When that commit was decided.
    pub time: Timestamp,
    /// Which part, from 0.
    pub part: u16,
    /// Whether the commit is whole with it.
    pub last: bool,
    /// Header and body, as stored.
    pub bytes: Bytes,
}

/// Why the bytes at a place of the log are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Too short for a header.
    #[error("{bytes} bytes are too few for a record")]
    Short {
        /// How many there are.
        bytes: usize,
    },
    /// What is stored is not what was written.
    #[error("the checksum is {found:08x}, the bytes give {computed:08x}")]
    Checksum {
        /// As stored.
        found: u32,
        /// As computed.
        computed: u32,
    },
    /// Whole, and written by a newer program.
    #[error(
        "schema {found} is newer than {SCHEMA}, the newest that this program reads; use a newer one"
    )]
    Newer {
        /// Its schema.
        found: u16,
    },
    /// The checksum is right and still the body does not fall into rows.
    #[error("the body does not fall into rows: {0}")]
    Body(String),
}

// === impl Record ===

impl Record {
    /// Seals `body` under a header.
    pub(super) fn seal(
        at: Position,
        epoch: Epoch,
        commit: CommitNo,
        time: Timestamp,
        (part, last): (u16, bool),
        body: &[u8],
    ) -> Record {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + body.len());
        bytes.extend_from_slice(&SCHEMA.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&epoch.0.to_le_bytes());
        bytes.extend_from_slice(&commit.0.to_le_bytes());
        bytes.extend_from_slice(&time.as_millis().to_le_bytes());
        bytes.extend_from_slice(&part.to_le_bytes());
        bytes.push(u8::from(last));
        bytes.extend_from_slice(body);
        let sum = checksum(at, &bytes);
        bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        Record { at, epoch, commit, time, part, last, bytes: bytes.into() }
    }

    /// Reads the header of what is stored at a place. The checksum is left to [`Record::verify`].
    ///
    /// # Errors
    /// When there is no header, or it is of a newer schema.
    pub fn open(at: Position, bytes: Bytes) -> Result<Record, Damage> {
        let mut header =
            Header(bytes.get(..HEADER_BYTES).ok_or(Damage::Short { bytes: bytes.len() })?);
        let schema = u16::from_le_bytes(header.take());
        if schema != SCHEMA {
            verify(at, &bytes)?;
            return Err(Damage::Newer { found: schema });
        }
        let _checksum: [u8; 4] = header.take();
        Ok(Record {
            at,
            epoch: Epoch(u64::from_le_bytes(header.take())),
            commit: CommitNo(u64::from_le_bytes(header.take())),
            time: Timestamp::from_millis(i64::from_le_bytes(header.take())),
            part: u16::from_le_bytes(header.take()),
            last: header.take() != [0],
            bytes,
        })
    }

    /// Compares the bytes with their checksum.
    ///
    /// # Errors
    /// When they differ.
    pub fn verify(&self) -> Result<(), Damage> {
        verify(self.at, &self.bytes)
    }

    /// What follows the header.
    pub(super) fn body(&self) -> &[u8] {
        &self.bytes[HEADER_BYTES..]
    }

    /// Whether `other` is the same part of the same commit under the same leadership.
    pub(super) fn is_same_as(&self, other: &Record) -> bool {
        (self.at, self.epoch, self.commit, self.part)
            == (other.at, other.epoch, other.commit, other.part)
    }
}

/// Cuts fields off the front of a header.
struct Header<'a>(&'a [u8]);

// === impl Header ===

impl Header<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self.0.split_first_chunk().expect("a header holds all its fields");
        self.0 = rest;
        *field
    }
}

fn verify(at: Position, bytes: &[u8]) -> Result<(), Damage> {
    let found = bytes[CHECKSUM].try_into().expect("a checksum has four bytes");
    let (found, computed) = (u32::from_le_bytes(found), checksum(at, bytes));
    if found == computed { Ok(()) } else { Err(Damage::Checksum { found, computed }) }
}

fn checksum(at: Position, bytes: &[u8]) -> u32 {
    let sum = crc32c::crc32c(&at.0.to_le_bytes());
    let sum = crc32c::crc32c_append(sum, &bytes[..CHECKSUM.start]);
    crc32c::crc32c_append(sum, &bytes[CHECKSUM.end..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let (epoch, commit) = (Epoch(3), CommitNo(9));
        Record::seal(Position(7), epoch, commit, Timestamp::from_millis(-5), (2, true), b"body")
    }

    #[test]
    fn a_header_comes_back() {
        let record = record();
        assert_eq!(Record::open(Position(7), record.bytes.clone()), Ok(record.clone()));
        assert_eq!(record.verify(), Ok(()));
        assert_eq!(record.body(), b"body");
    }

    #[test]
    fn every_flipped_bit_and_another_place_are_damage() {
        let record = record();
        for bit in 0..record.bytes.len() * 8 {
            let mut bytes = record.bytes.to_vec();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let read = Record::open(Position(7), bytes.into()).and_then(|read| read.verify());
            assert!(matches!(read, Err(Damage::Checksum { .. })), "bit {bit}: {read:?}");
        }
        let moved = Record::open(Position(8), record.bytes).expect("a header");
        assert!(matches!(moved.verify(), Err(Damage::Checksum { .. })));
    }

    #[test]
    fn a_newer_schema_is_told_from_damage() {
        let mut bytes = record().bytes.to_vec();
        bytes[..2].copy_from_slice(&(SCHEMA + 1).to_le_bytes());
        let sum = checksum(Position(7), &bytes);
        bytes[CHECKSUM].copy_from_slice(&sum.to_le_bytes());
        let error = Record::open(Position(7), bytes.into()).expect_err("a newer one");
        assert_eq!(error, Damage::Newer { found: SCHEMA + 1 });
        assert!(error.to_string().contains("use a newer one"));
    }

    #[test]
    fn what_is_too_short_is_no_record() {
        assert_eq!(
            Record::open(Position(1), Bytes::from_static(b"short")),
            Err(Damage::Short { bytes: 5 })
        );
    }
}
