//! The log of servers on several hosts: a tree of keys in etcd (`keys` is the layout).
//!
//! Every change of the log is one transaction that compares the leader key's mod_revision with the epoch, so whoever was
//! deposed stores nothing, however late its request arrives. Exactly one append is in flight: order needs no other care,
//! and records that wait meanwhile go together into the next transaction, up to `append::BATCH`.
//!
//! The leader key itself is under no lease. The lease keeps `servers/<id>` instead, and leadership may be taken when the
//! holder's is gone. So an etcd that was away for longer than a lease costs the only server that is there nothing: it is
//! still the one that the fence knows, gets a new lease and goes on; with another one waiting, that one takes over.
//!
//! `client` makes calls, with a deadline each; `lead` takes and keeps leadership; `read` reads, `watch` reads on;
//! `trim` removes what lies below the head.

mod append;
mod client;
mod keys;
mod lead;
mod read;
mod sizes;
mod trim;
mod watch;

#[cfg(test)]
mod rig;
#[cfg(test)]
pub(super) mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use etcd_client::{Compare, CompareOp, Txn, TxnOp};
use futures::Stream;
use tokio::sync::watch as channel;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

use crate::model::id::{Epoch, Position, ServerId};
use crate::store::access::Access;
use crate::store::address::EtcdAddress;
use crate::store::etcd::client::Members;
use crate::store::etcd::keys::{Keys, write_head};
use crate::store::etcd::sizes::Sizes;
use crate::store::expect::{Expect, OpenError};
use crate::store::identity::Identity;
use crate::store::log::{
    AppendError, Bid, Head, Lead, LeadError, Lease, Log, Seen, Store, StoreError, Usage,
};
use crate::store::member::Member;
use crate::store::record::{Record, SCHEMA};

/// A log in etcd.
#[derive(Debug)]
pub struct Etcd {
    tree: Arc<Tree>,
    held: Mutex<Held>,
    _identity: Identity,
}

/// A tree of keys, and the server that works on it.
#[derive(Debug)]
struct Tree {
    members: Members,
    keys: Keys,
    me: ArcSwap<Member>,
    lease: channel::Sender<Lease>,
}

/// What this process knows of the log.
#[derive(Debug)]
struct Held {
    head: Head,
    reign: Option<Reign>,
    sizes: Option<Sizes>,
}

/// A leadership that lasts. What works for it ends with it.
#[derive(Debug)]
struct Reign {
    epoch: Epoch,
    lease: channel::Receiver<i64>,
    _keeper: AbortOnDropHandle<()>,
    trimmer: AbortOnDropHandle<()>,
}

// === impl Etcd ===

impl Etcd {
    /// Opens the tree at an address, or makes a new one if that is welcome.
    ///
    /// # Errors
    /// When it is not the one that is expected, or etcd does not answer.
    pub async fn open(
        address: &EtcdAddress,
        access: &Access,
        identity: Identity,
        expect: Expect,
    ) -> Result<Etcd, OpenError> {
        let tree = Arc::new(Tree::at(address, access, identity.id()));
        let head = match (tree.head().await?, expect) {
            (Some(head), _) => head,
            (None, Expect::AnyOrNew(cluster)) => tree.found(Head::new(cluster)).await?,
            (None, Expect::Of(_) | Expect::Any) => {
                return Err(OpenError::Missing(address.to_string()));
            }
        };
        check(head, expect)?;
        let held = Mutex::new(Held { head, reign: None, sizes: None });
        Ok(Etcd { tree, held, _identity: identity })
    }

    /// Reads the log at an address for people, also beside the server that leads, with the epoch of who led last.
    ///
    /// # Errors
    /// When there is none, or etcd does not answer.
    pub async fn look(address: &EtcdAddress, access: &Access) -> Result<(Log, Epoch), OpenError> {
        let tree = Tree::at(address, access, ServerId(Uuid::nil()));
        let Some(head) = tree.head().await? else {
            return Err(OpenError::Missing(address.to_string()));
        };
        check(head, Expect::Any)?;
        let log = tree.load(head.cluster).await?;
        let epoch = tree.holder().await?.map(|holder| holder.epoch).unwrap_or_default();
        Ok((log, epoch))
    }

    /// Where the log begins, and whose it is.
    pub fn head(&self) -> Head {
        self.held().head
    }

    /// Where this server answers, for the others.
    pub fn announce(&self, url: &str) {
        let id = self.tree.me.load().id;
        self.tree.me.store(Arc::new(Member { id, url: url.to_owned() }));
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn count(&self) -> Result<u64, StoreError> {
        if let Some(sizes) = &self.held().sizes {
            return Ok(sizes.total());
        }
        let log = self.load().await?;
        Ok(log.records.iter().map(|record| record.bytes.len() as u64).sum())
    }
}

impl Store for Etcd {
    async fn lead(&self, bid: Bid) -> Result<Lead, LeadError> {
        let mine = self.held().reign.as_ref().map(|reign| reign.epoch);
        let cluster = self.head().cluster;
        let (lead, lease) = self.tree.lead(bid, mine, cluster).await?;
        let (said, heard) = channel::channel(lease);
        let keeper = tokio::spawn(self.tree.clone().keep(lead.epoch, said));
        let trimmer = tokio::spawn(self.tree.clone().trim(lead.epoch, lead.head.start));
        let mut held = self.held();
        held.head = lead.head;
        held.reign = Some(Reign {
            epoch: lead.epoch,
            lease: heard,
            _keeper: AbortOnDropHandle::new(keeper),
            trimmer: AbortOnDropHandle::new(trimmer),
        });
        Ok(lead)
    }

    async fn append(&self, lead: &Lead, records: &[Record]) -> Result<(), AppendError> {
        let start = self.head().start;
        self.tree.append(lead, start, records).await?;
        if let Some(sizes) = &mut self.held().sizes {
            sizes.add(records);
        }
        Ok(())
    }

    async fn move_head(&self, lead: &Lead, start: Position) -> Result<(), AppendError> {
        let head = Head { start, ..self.head() };
        self.tree.move_head(lead, head).await?;
        let mut held = self.held();
        held.head = head;
        if let Some(sizes) = &mut held.sizes {
            sizes.forget_before(start);
        }
        if let Some(reign) = held.reign.as_mut().filter(|reign| reign.epoch == lead.epoch) {
            let trimmer = tokio::spawn(self.tree.clone().trim(lead.epoch, start));
            reign.trimmer = AbortOnDropHandle::new(trimmer);
        }
        Ok(())
    }

    async fn load(&self) -> Result<Log, StoreError> {
        let log = self.tree.load(self.head().cluster).await?;
        let mut held = self.held();
        held.head = log.head;
        held.sizes = Some(Sizes::of(&log));
        Ok(log)
    }

    fn follow(&self, after: Position) -> impl Stream<Item = Result<Seen, StoreError>> + Send {
        watch::follow(self.tree.clone(), self.head().cluster, after)
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        let log = self.count().await?;
        let status = self.tree.status().await?;
        let bytes = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        // etcd tells its quota from 3.6 on.
        let quota = Some(bytes(status.db_size_quota())).filter(|quota| *quota > 0);
        Ok(Usage { log, stored: bytes(status.db_size()), quota })
    }

    fn lease(&self) -> channel::Receiver<Lease> {
        self.tree.lease.subscribe()
    }

    async fn resign(&self) {
        let reign = self.held().reign.take();
        if let Some(reign) = reign {
            let lease = *reign.lease.borrow();
            drop(reign);
            self.tree.revoke(lease).await;
        }
    }
}

// === impl Tree ===

impl Tree {
    /// What lies at an address; nobody is asked yet.
    fn at(address: &EtcdAddress, access: &Access, id: ServerId) -> Tree {
        Tree {
            members: Members::new(address, access),
            keys: Keys::new(&address.name),
            me: ArcSwap::from_pointee(Member { id, url: String::new() }),
            lease: channel::Sender::new(Lease::Kept),
        }
    }

    /// Makes a new log, unless somebody does so at the same time.
    async fn found(&self, head: Head) -> Result<Head, OpenError> {
        let (key, log) = (self.keys.head(), self.keys.log());
        let new = [
            Compare::create_revision(key.clone(), CompareOp::Equal, 0),
            Compare::create_revision(log, CompareOp::Equal, 0).with_prefix(),
        ];
        let put = TxnOp::put(key, write_head(head), None);
        if self.members.txn(Txn::new().when(new).and_then([put])).await?.succeeded() {
            return Ok(head);
        }
        let there = self.head().await?;
        Ok(there.ok_or(StoreError::Identity("it has records and no key 'head'"))?)
    }
}

fn check(head: Head, expect: Expect) -> Result<(), OpenError> {
    if head.schema > SCHEMA {
        return Err(OpenError::Newer(head.schema));
    }
    match expect {
        Expect::Of(expected) if expected != head.cluster => {
            Err(OpenError::Foreign { found: head.cluster, expected })
        }
        Expect::Of(_) | Expect::Any | Expect::AnyOrNew(_) => Ok(()),
    }
}
