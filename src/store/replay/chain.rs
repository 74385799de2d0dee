//! Which records of a log count, by their headers alone: whole commits, one after the other.

use crate::model::id::{CommitNo, Epoch, Position};
use crate::model::time::Timestamp;
use crate::store::log::Log;
use crate::store::record::Record;
use crate::store::replay::LoadError;

/// The records that count.
#[derive(Debug)]
pub(super) struct Chain<'a> {
    /// In order.
    pub records: Vec<&'a Record>,
    /// Where each commit begins.
    pub begun: Vec<(CommitNo, Position)>,
    /// The newest whole commit.
    pub no: CommitNo,
    /// When it was decided.
    pub time: Timestamp,
    /// The newest epoch that has written.
    pub epoch: Epoch,
    /// Where the next record goes.
    pub next: Position,
}

/// Links a log's records. Parts at the end, or before a record of a higher epoch, whose last never came are void: their
/// commit was never told to anybody.
pub(super) fn link(log: &Log) -> Result<Chain<'_>, LoadError> {
    let start = log.head.start;
    let mut chain = Chain::new(start);
    match log.records.first() {
        // A log that was moved or written to is never empty again.
        None if start != crate::store::log::FIRST => return Err(LoadError::Lost { start }),
        Some(first) if first.at != start => {
            return Err(LoadError::Start { start, found: first.at });
        }
        None | Some(_) => {}
    }
    let mut parts = Vec::new();
    for record in &log.records {
        chain.admit(record)?;
        if record.epoch > chain.epoch {
            parts.clear();
            chain.epoch = record.epoch;
        }
        if !chain.follows(record, &parts) {
            let Record { at, commit, part, .. } = *record;
            return Err(LoadError::Order { at, commit, part });
        }
        parts.push(record);
        if record.last {
            chain.close(&mut parts);
        }
    }
    Ok(chain)
}

// === impl Chain ===

impl<'a> Chain<'a> {
    fn new(start: Position) -> Chain<'a> {
        Chain {
            records: Vec::new(),
            begun: Vec::new(),
            no: CommitNo::default(),
            time: Timestamp::default(),
            epoch: Epoch::default(),
            next: start,
        }
    }

    /// Takes the record's place in the log, whether it counts or not.
    fn admit(&mut self, record: &Record) -> Result<(), LoadError> {
        let Record { at, epoch, .. } = *record;
        if at != self.next {
            return Err(LoadError::Hole { expected: self.next, found: at });
        }
        if epoch < self.epoch {
            return Err(LoadError::Stale { at, found: epoch, newest: self.epoch });
        }
        self.next = at.next();
        Ok(())
    }

    /// Whether `record` is the next part of the open commit, or begins the next one. The first that counts may have any
    /// number: what lies before the head is gone.
    fn follows(&self, record: &Record, parts: &[&Record]) -> bool {
        if let Some(before) = parts.last() {
            record.commit == before.commit
                && Some(record.part) == before.part.checked_add(1)
                && record.epoch == before.epoch
        } else {
            let expected = self.no.next();
            record.part == 0 && (self.begun.is_empty() || record.commit == expected)
        }
    }

    fn close(&mut self, parts: &mut Vec<&'a Record>) {
        let (first, last) = (parts[0], parts[parts.len() - 1]);
        self.begun.push((first.commit, first.at));
        (self.no, self.time) = (last.commit, last.time);
        self.records.append(parts);
    }
}
