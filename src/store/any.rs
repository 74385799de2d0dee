//! The body that a server was started with. An enum rather than a trait object: the trait's futures are plain ones.

use futures::{Stream, StreamExt};

use crate::model::id::Position;
use crate::store::embedded::Embedded;
use crate::store::log::{AppendError, Bid, Lead, LeadError, Log, Seen, Store, StoreError, Usage};
use crate::store::memory::Memory;
use crate::store::record::Record;

/// Any body of a store.
#[derive(Debug)]
pub enum AnyStore {
    /// Nothing outlives the process.
    Memory(Memory),
    /// One file on this host.
    Embedded(Embedded),
}

// === impl AnyStore ===

impl Store for AnyStore {
    async fn lead(&self, bid: Bid) -> Result<Lead, LeadError> {
        match self {
            AnyStore::Memory(store) => store.lead(bid).await,
            AnyStore::Embedded(store) => store.lead(bid).await,
        }
    }

    async fn append(&self, lead: &Lead, records: &[Record]) -> Result<(), AppendError> {
        match self {
            AnyStore::Memory(store) => store.append(lead, records).await,
            AnyStore::Embedded(store) => store.append(lead, records).await,
        }
    }

    async fn move_head(&self, lead: &Lead, start: Position) -> Result<(), AppendError> {
        match self {
            AnyStore::Memory(store) => store.move_head(lead, start).await,
            AnyStore::Embedded(store) => store.move_head(lead, start).await,
        }
    }

    async fn load(&self) -> Result<Log, StoreError> {
        match self {
            AnyStore::Memory(store) => store.load().await,
            AnyStore::Embedded(store) => store.load().await,
        }
    }

    fn follow(&self, after: Position) -> impl Stream<Item = Result<Seen, StoreError>> + Send {
        match self {
            AnyStore::Memory(store) => store.follow(after).left_stream(),
            AnyStore::Embedded(store) => store.follow(after).right_stream(),
        }
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        match self {
            AnyStore::Memory(store) => store.usage().await,
            AnyStore::Embedded(store) => store.usage().await,
        }
    }
}
