//! How large the log is: the sizes of its records, so that nobody reads them again to know.

use std::collections::VecDeque;

use crate::model::id::Position;
use crate::store::log::Log;
use crate::store::record::Record;

/// The sizes of the records from the head on.
#[derive(Debug)]
pub(super) struct Sizes {
    first: Position,
    bytes: VecDeque<u32>,
    total: u64,
}

// === impl Sizes ===

impl Sizes {
    pub(super) fn of(log: &Log) -> Sizes {
        let mut sizes = Sizes { first: log.head.start, bytes: VecDeque::new(), total: 0 };
        sizes.add(&log.records);
        sizes
    }

    /// All bytes.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Records that were stored now, or by an earlier call whose answer was lost.
    pub(super) fn add(&mut self, records: &[Record]) {
        for record in records {
            if record.at.0 == self.first.0 + self.bytes.len() as u64 {
                let size = u32::try_from(record.bytes.len()).unwrap_or(u32::MAX);
                self.bytes.push_back(size);
                self.total += u64::from(size);
            }
        }
    }

    /// The head is at `start` now.
    pub(super) fn forget_before(&mut self, start: Position) {
        while self.first < start
            && let Some(size) = self.bytes.pop_front()
        {
            self.first = self.first.next();
            self.total -= u64::from(size);
        }
    }
}
