//! Removing what lies below the head, and its history, a little at a time: a large compaction makes everybody wait.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{DeleteOptions, GetOptions, ResponseHeader, Txn, TxnOp};

use crate::model::id::{Epoch, Position};
use crate::store::etcd::Tree;
use crate::store::etcd::client::LATER;
use crate::store::log::StoreError;

/// How many records go at a time.
const STEP: u64 = 1_000;

/// Between two steps, and after a failed one.
const PAUSE: Duration = Duration::from_millis(100);
const RETRY: Duration = Duration::from_secs(5);

// === impl Tree ===

impl Tree {
    /// Removes the records before `start`, until all are gone or somebody else leads, who goes on with it.
    pub(super) async fn trim(self: Arc<Tree>, epoch: Epoch, start: Position) {
        loop {
            match self.trim_a_little(epoch, start).await {
                Ok(true) => tokio::time::sleep(PAUSE).await,
                Ok(false) => return,
                Err(error) => {
                    tracing::debug!(%error, "old records were not removed now");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Whether there is more to remove.
    async fn trim_a_little(&self, epoch: Epoch, start: Position) -> Result<bool, StoreError> {
        let oldest =
            GetOptions::new().with_range(self.keys.record(start)).with_limit(1).with_keys_only();
        let answer = self.members.get(self.keys.log(), Some(oldest)).await?;
        let Some(oldest) = answer.kvs().first().and_then(|kv| self.keys.position(kv.key())) else {
            return Ok(false);
        };
        let end = Position(oldest.0 + STEP).min(start);
        let range = DeleteOptions::new().with_range(self.keys.record(end));
        let delete = TxnOp::delete(self.keys.log(), Some(range));
        let txn = Txn::new().when([self.fence(epoch)]).and_then([delete]);
        let answer = self.members.txn(txn).await?;
        if !answer.succeeded() {
            return Ok(false);
        }
        let revision = answer.header().map_or(0, ResponseHeader::revision);
        self.compact(revision).await?;
        Ok(end < start)
    }

    async fn compact(&self, revision: i64) -> Result<(), StoreError> {
        let compact = |client: etcd_client::Client| async move {
            client.kv_client().compact(revision, None).await.map(drop)
        };
        self.members.call(LATER, compact).await
    }
}
