//! The body that a server was started with. An enum rather than a trait object: the trait's futures are plain ones.

use futures::{Stream, StreamExt};
use tokio::sync::watch;

use crate::model::id::Position;
use crate::store::embedded::Embedded;
use crate::store::etcd::Etcd;
use crate::store::log::{
    AppendError, Bid, Head, Lead, LeadError, Lease, Log, Seen, Store, StoreError, Usage,
};
use crate::store::memory::Memory;
use crate::store::record::Record;

/// Any body of a store.
#[derive(Debug)]
pub enum AnyStore {
    /// Nothing outlives the process.
    Memory(Memory),
    /// One file on this host.
    Embedded(Embedded),
    /// A tree of keys in etcd.
    Etcd(Etcd),
}

// === impl AnyStore ===

/// Does the same with whichever body it is.
macro_rules! each {
    ($any:expr, $store:ident => $act:expr) => {
        match $any {
            AnyStore::Memory($store) => $act,
            AnyStore::Embedded($store) => $act,
            AnyStore::Etcd($store) => $act,
        }
    };
}

impl AnyStore {
    /// Where the log begins, and whose it is.
    pub fn head(&self) -> Head {
        match self {
            AnyStore::Memory(store) => store.with(|log| log.head()),
            AnyStore::Embedded(store) => store.head(),
            AnyStore::Etcd(store) => store.head(),
        }
    }

    /// What other servers are told of this one when it leads: where its API answers.
    pub fn announce(&self, url: &str) {
        match self {
            // No other server can ask.
            AnyStore::Memory(_) | AnyStore::Embedded(_) => {}
            AnyStore::Etcd(store) => store.announce(url),
        }
    }
}

impl Store for AnyStore {
    async fn lead(&self, bid: Bid) -> Result<Lead, LeadError> {
        each!(self, store => store.lead(bid).await)
    }

    async fn append(&self, lead: &Lead, records: &[Record]) -> Result<(), AppendError> {
        each!(self, store => store.append(lead, records).await)
    }

    async fn move_head(&self, lead: &Lead, start: Position) -> Result<(), AppendError> {
        each!(self, store => store.move_head(lead, start).await)
    }

    async fn load(&self) -> Result<Log, StoreError> {
        each!(self, store => store.load().await)
    }

    fn follow(&self, after: Position) -> impl Stream<Item = Result<Seen, StoreError>> + Send {
        match self {
            AnyStore::Memory(store) => store.follow(after).left_stream().left_stream(),
            AnyStore::Embedded(store) => store.follow(after).right_stream().left_stream(),
            AnyStore::Etcd(store) => store.follow(after).right_stream(),
        }
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        each!(self, store => store.usage().await)
    }

    fn lease(&self) -> watch::Receiver<Lease> {
        each!(self, store => store.lease())
    }

    async fn resign(&self) {
        each!(self, store => store.resign().await);
    }
}
