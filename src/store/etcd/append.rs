//! Writing: records, and the head.
//!
//! A transaction holds as many records as wait and fit, and is stored whole or not at all. When its answer was lost, the
//! same records come again; then the comparison fails and the answer says what lies in their place.

use etcd_client::{Compare, CompareOp, GetOptions, Txn, TxnOp};

use crate::model::id::Position;
use crate::store::etcd::Tree;
use crate::store::etcd::keys::write_head;
use crate::store::etcd::lead::{found, holder};
use crate::store::log::{AppendError, FIRST, Head, Lead, admit};
use crate::store::record::Record;

/// The most records of a transaction: etcd takes 128 operations.
pub(super) const BATCH: usize = 64;

/// The most bytes of a transaction with several records. etcd takes 1.5 MiB; beyond this others wait for long.
const BATCH_BYTES: usize = 512 * 1024;

// === impl Tree ===

impl Tree {
    /// Appends to the log that begins at `start` what is not stored yet.
    pub(super) async fn append(
        &self,
        lead: &Lead,
        start: Position,
        records: &[Record],
    ) -> Result<(), AppendError> {
        if let Some(first) = records.first() {
            // That they follow each other is known before the first is stored.
            admit(lead, first.at, records, |_| Ok(None))?;
        }
        let mut left = records;
        while !left.is_empty() {
            let batch = &left[..batch(left)];
            let stored = self.put(lead, start, batch).await?;
            left = &left[stored..];
        }
        Ok(())
    }

    /// Lets the log begin elsewhere.
    pub(super) async fn move_head(&self, lead: &Lead, head: Head) -> Result<(), AppendError> {
        let record = self.keys.record(head.start);
        let is_there = Compare::version(record, CompareOp::Greater, 0);
        let txn = Txn::new()
            .when([self.fence(lead.epoch), is_there])
            .and_then([TxnOp::put(self.keys.head(), write_head(head), None)])
            .or_else([TxnOp::get(self.keys.leader(), None)]);
        let answer = self.members.txn(txn).await?;
        if answer.succeeded() {
            return Ok(());
        }
        let mut answers = answer.op_responses().into_iter().map(found);
        self.still_leads(lead, &answers.next().unwrap_or_default())?;
        Err(self.misplaced(head.start).await)
    }

    /// One transaction. How many of the records are stored now, all of them or what an earlier one has stored.
    async fn put(
        &self,
        lead: &Lead,
        start: Position,
        batch: &[Record],
    ) -> Result<usize, AppendError> {
        let (first, last) = (batch[0].at, batch[batch.len() - 1].at);
        let mut compares = vec![
            self.fence(lead.epoch),
            Compare::create_revision(self.keys.record(first), CompareOp::Equal, 0),
        ];
        // The first record of a new log follows none.
        if first != start || first != FIRST {
            let before = self.keys.record(Position(first.0.saturating_sub(1)));
            compares.push(Compare::version(before, CompareOp::Greater, 0));
        }
        let put =
            |record: &Record| TxnOp::put(self.keys.record(record.at), record.bytes.to_vec(), None);
        let puts: Vec<TxnOp> = batch.iter().map(put).collect();
        let place = GetOptions::new().with_range(self.keys.record(last.next()));
        let look = [
            TxnOp::get(self.keys.leader(), None),
            TxnOp::get(self.keys.record(first), Some(place)),
        ];
        let txn = Txn::new().when(compares).and_then(puts).or_else(look);
        let answer = self.members.txn(txn).await?;
        if answer.succeeded() {
            return Ok(batch.len());
        }
        let mut answers = answer.op_responses().into_iter().map(found);
        self.still_leads(lead, &answers.next().unwrap_or_default())?;
        let there = self.records(answers.next().unwrap_or_default())?;
        let same = |(there, ours): &(&Record, &Record)| there.is_same_as(ours);
        let stored = there.iter().zip(batch).take_while(same).count();
        if stored == 0 || stored < there.len() {
            return Err(self.misplaced(first).await);
        }
        Ok(stored)
    }

    fn still_leads(
        &self,
        lead: &Lead,
        leader: &[etcd_client::KeyValue],
    ) -> Result<(), AppendError> {
        let by = leader.first().map(holder).transpose()?;
        if by.as_ref().is_some_and(|by| by.epoch == lead.epoch) {
            return Ok(());
        }
        self.deposed(by);
        Err(AppendError::Deposed)
    }

    async fn misplaced(&self, found: Position) -> AppendError {
        match self.newest().await {
            Ok(newest) => {
                let next = newest.map_or(FIRST, |newest| newest.at.next());
                AppendError::Misplaced { next, found }
            }
            Err(error) => error.into(),
        }
    }
}

/// How many of the records go together.
fn batch(records: &[Record]) -> usize {
    let mut bytes = 0;
    let fits = |record: &&Record| {
        bytes += record.bytes.len();
        bytes <= BATCH_BYTES
    };
    records.iter().take(BATCH).take_while(fits).count().max(1)
}
