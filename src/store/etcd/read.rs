//! Reading the log, page by page.
//!
//! Records never change and come in one order, so pages need no common revision: what was appended meanwhile belongs to
//! them, and what was trimmed meanwhile shows as a head that has moved.

use etcd_client::{GetOptions, KeyValue, SortOrder, SortTarget};

use crate::model::id::{ClusterId, Position};
use crate::store::etcd::Tree;
use crate::store::log::{FIRST, Head, Log, StoreError};
use crate::store::record::Record;

/// About how many bytes a page is to have: etcd answers others while it sends one.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// How many records a page may have. The first one has few, since each may be large; the next ones as their sizes allow.
const PAGE: std::ops::RangeInclusive<usize> = 8..=2_000;

// === impl Tree ===

impl Tree {
    /// The whole log.
    pub(super) async fn load(&self, cluster: ClusterId) -> Result<Log, StoreError> {
        loop {
            let head = self.head_of(cluster).await?;
            match self.after(cluster, Position(head.start.0 - 1)).await {
                Ok(records) => {
                    if records.is_empty() && head.start != FIRST {
                        return Err(StoreError::Missing(head.start));
                    }
                    return Ok(Log { head, records });
                }
                // It moved while it was read.
                Err(StoreError::Trimmed { start, .. }) if start != head.start => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The records after a position.
    pub(super) async fn after(
        &self,
        cluster: ClusterId,
        after: Position,
    ) -> Result<Vec<Record>, StoreError> {
        // What lies below the head may still be there, and is not whole any more.
        let start = self.head_of(cluster).await?.start;
        if after.next() < start {
            return Err(StoreError::Trimmed { after, start });
        }
        let mut all: Vec<Record> = Vec::new();
        let mut next = after.next();
        let mut limit = *PAGE.start();
        loop {
            let (page, more) = self.page(next, limit).await?;
            for record in &page {
                if record.at != next {
                    return Err(self.gap(cluster, Position(next.0 - 1)).await?);
                }
                next = next.next();
            }
            limit = next_limit(&page, limit);
            all.extend(page);
            if !more {
                return Ok(all);
            }
        }
    }

    /// The last record.
    pub(super) async fn newest(&self) -> Result<Option<Record>, StoreError> {
        let last = GetOptions::new()
            .with_range(self.keys.log_end())
            .with_sort(SortTarget::Key, SortOrder::Descend)
            .with_limit(1);
        let mut answer = self.members.get(self.keys.log(), Some(last)).await?;
        Ok(self.records(answer.take_kvs())?.pop())
    }

    /// What is stored, as records. Their checksums are left to whoever reads their rows.
    pub(super) fn records(&self, stored: Vec<KeyValue>) -> Result<Vec<Record>, StoreError> {
        let record = |stored: KeyValue| {
            let (key, value) = stored.into_key_value();
            let at = self.keys.position(&key);
            let at = at.ok_or(StoreError::Identity("a key of its log is no position"))?;
            Record::open(at, value.into()).map_err(|why| StoreError::Damaged { at, why })
        };
        stored.into_iter().map(record).collect()
    }

    pub(super) async fn head_of(&self, cluster: ClusterId) -> Result<Head, StoreError> {
        match self.head().await? {
            Some(head) if head.cluster == cluster => Ok(head),
            Some(_) => Err(StoreError::Identity("it belongs to another cluster now")),
            None => Err(StoreError::Identity("its key 'head' is gone")),
        }
    }

    async fn page(&self, from: Position, limit: usize) -> Result<(Vec<Record>, bool), StoreError> {
        let range = GetOptions::new()
            .with_range(self.keys.log_end())
            .with_limit(i64::try_from(limit).unwrap_or(i64::MAX));
        let mut answer = self.members.get(self.keys.record(from), Some(range)).await?;
        let more = answer.more();
        Ok((self.records(answer.take_kvs())?, more))
    }

    /// Why the record after a position is not there: it was trimmed, or it is missing.
    async fn gap(&self, cluster: ClusterId, after: Position) -> Result<StoreError, StoreError> {
        let start = self.head_of(cluster).await?.start;
        Ok(if after.next() < start {
            StoreError::Trimmed { after, start }
        } else {
            StoreError::Missing(after.next())
        })
    }
}

/// So many records as the last page's sizes allow, and at most twice as many as it had.
fn next_limit(page: &[Record], limit: usize) -> usize {
    let bytes: usize = page.iter().map(|record| record.bytes.len()).sum();
    let fit = (PAGE_BYTES * page.len()).checked_div(bytes).unwrap_or(limit);
    fit.min(limit * 2).clamp(*PAGE.start(), *PAGE.end())
}
