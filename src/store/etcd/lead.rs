//! Who leads: taking the leader key by compare and set, and telling the others that it is still held.
//!
//! Not etcd's own elections: they wait for a lease to end, and its shortest is 2 s.

use std::sync::Arc;
use std::time::Duration;

use etcd_client::{
    Compare, CompareOp, Error, KeyValue, PutOptions, StatusResponse, Txn, TxnOp, TxnOpResponse,
};
use tokio::sync::watch;

use crate::model::id::{ClusterId, Epoch};
use crate::store::etcd::Tree;
use crate::store::etcd::client::SOON;
use crate::store::etcd::keys::{read_head, read_member, write_head, write_member};
use crate::store::log::{Bid, Head, Holder, Lead, LeadError, Lease, StoreError};
use crate::store::record::SCHEMA;

/// How long a server counts as there that says nothing.
pub(super) const LEASE_SECONDS: i64 = 5;

/// Between two signs of life. With the deadline of a call this stays below a lease.
const TICK: Duration = Duration::from_secs(1);

/// How often a bid is made anew that another server's came before.
const BIDS: usize = 5;

/// What stands before a bid.
struct Before {
    head: Head,
    holder: Option<(Holder, bool)>,
}

/// What a sign of life came to.
enum Heard {
    /// The lease is kept, or this new one was given.
    Kept(i64),
    /// Somebody else leads.
    Lost(Option<Holder>),
}

// === impl Tree ===

impl Tree {
    /// Takes the leadership, if the bid allows it, with a lease. `mine` is the epoch under which this process leads.
    pub(super) async fn lead(
        &self,
        bid: Bid,
        mine: Option<Epoch>,
        cluster: ClusterId,
    ) -> Result<(Lead, i64), LeadError> {
        let mut held = None;
        for _ in 0..BIDS {
            let before = self.before().await?;
            if before.head.cluster != cluster {
                return Err(StoreError::Identity("it belongs to another cluster now").into());
            }
            if before.head.schema > SCHEMA {
                return Err(StoreError::Identity("a newer program has written to it").into());
            }
            let compares = self.may_take(bid, mine, before.holder.as_ref())?;
            let lease = self.grant().await?;
            if let Some(lead) = self.take(before.head, compares, lease).await? {
                if let Err(error) = self.newest_is_older(lead.epoch).await {
                    self.revoke(lease).await;
                    return Err(error.into());
                }
                self.lease.send_replace(Lease::Kept);
                return Ok((lead, lease));
            }
            self.revoke(lease).await;
            held = before.holder;
        }
        Err(match held {
            Some((holder, _)) => LeadError::Held(holder),
            None => LeadError::Store(StoreError::Identity("its leader changes all the time")),
        })
    }

    /// Tells the others that this server is there, for as long as it leads.
    pub(super) async fn keep(self: Arc<Tree>, epoch: Epoch, said: watch::Sender<i64>) {
        loop {
            tokio::time::sleep(TICK).await;
            let lease = *said.borrow();
            let now = match self.hear(epoch, lease).await {
                Ok(Heard::Kept(lease)) => {
                    said.send_replace(lease);
                    Lease::Kept
                }
                Ok(Heard::Lost(holder)) => {
                    self.lease.send_replace(Lease::Lost(holder));
                    return;
                }
                Err(error) => Lease::Silent(error),
            };
            self.lease.send_if_modified(|lease| {
                let changed = *lease != now;
                *lease = now;
                changed
            });
        }
    }

    /// Ends a lease, as well as that goes: it ends by itself too.
    pub(super) async fn revoke(&self, lease: i64) {
        let revoked = self.members.call(SOON, |client| async move {
            client.lease_client().revoke(lease).await.map(drop)
        });
        if let Err(error) = revoked.await {
            tracing::debug!(%error, "a lease was not ended");
        }
    }

    /// Who leads, by the leader key.
    pub(super) async fn holder(&self) -> Result<Option<Holder>, StoreError> {
        let key = self.keys.leader();
        let get = |client: etcd_client::Client| {
            let key = key.clone();
            async move { client.kv_client().get(key, None).await }
        };
        let answer = self.members.ask(SOON, get).await?;
        answer.kvs().first().map(holder).transpose()
    }

    pub(super) async fn head(&self) -> Result<Option<Head>, StoreError> {
        let key = self.keys.head();
        let get = |client: etcd_client::Client| {
            let key = key.clone();
            async move { client.kv_client().get(key, None).await }
        };
        let answer = self.members.ask(SOON, get).await?;
        answer.kvs().first().map(|head| read_head(head.value())).transpose()
    }

    pub(super) async fn status(&self) -> Result<StatusResponse, StoreError> {
        let status =
            |client: etcd_client::Client| async move { client.maintenance_client().status().await };
        self.members.ask(SOON, status).await
    }

    /// That this epoch leads: what every transaction of a leader compares.
    pub(super) fn fence(&self, epoch: Epoch) -> Compare {
        Compare::mod_revision(self.keys.leader(), CompareOp::Equal, revision(epoch))
    }

    async fn before(&self) -> Result<Before, StoreError> {
        let Some(head) = self.head().await? else {
            return Err(StoreError::Identity("its key 'head' is gone"));
        };
        let Some(holder) = self.holder().await? else {
            return Ok(Before { head, holder: None });
        };
        let id = holder.server.as_ref().map(|server| server.id);
        let there = match id {
            Some(id) => !self.members.get(self.keys.server(id), None).await?.kvs().is_empty(),
            None => false,
        };
        Ok(Before { head, holder: Some((holder, there)) })
    }

    /// What must still be so when the bid arrives.
    fn may_take(
        &self,
        bid: Bid,
        mine: Option<Epoch>,
        holder: Option<&(Holder, bool)>,
    ) -> Result<Vec<Compare>, LeadError> {
        let Some((holder, there)) = holder else {
            return Ok(vec![Compare::create_revision(self.keys.leader(), CompareOp::Equal, 0)]);
        };
        let fence = self.fence(holder.epoch);
        // This server's earlier run has ended, or an answer to it was lost: nobody else has its identity.
        let earlier = holder.server.as_ref().is_some_and(|server| server.id == self.me.load().id)
            && mine != Some(holder.epoch);
        match bid {
            Bid::Depose(epoch) if epoch == holder.epoch => Ok(vec![fence]),
            Bid::IfVacant if earlier => Ok(vec![fence]),
            Bid::IfVacant if !there => {
                let gone = holder.server.as_ref().map(|server| self.keys.server(server.id));
                let gone = gone.map(|key| Compare::create_revision(key, CompareOp::Equal, 0));
                Ok(gone.into_iter().chain([fence]).collect())
            }
            Bid::Depose(_) | Bid::IfVacant => Err(LeadError::Held(holder.clone())),
        }
    }

    /// Puts the leader key; nothing when it was put by somebody else meanwhile.
    async fn take(
        &self,
        head: Head,
        compares: Vec<Compare>,
        lease: i64,
    ) -> Result<Option<Lead>, StoreError> {
        let me = write_member(&self.me.load());
        let leased = Some(PutOptions::new().with_lease(lease));
        let mut puts = vec![
            TxnOp::put(self.keys.leader(), me.clone(), None),
            TxnOp::put(self.keys.server(self.me.load().id), me, leased),
        ];
        let newer = Head { schema: SCHEMA, ..head };
        if head != newer {
            puts.push(TxnOp::put(self.keys.head(), write_head(newer), None));
        }
        let answer = self.members.txn(Txn::new().when(compares).and_then(puts)).await?;
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        Ok(answer.succeeded().then(|| Lead { epoch: epoch(revision), head: newer }))
    }

    /// An etcd that was rebuilt counts its revisions anew. A log that was brought into it has records of later epochs then,
    /// and what is appended to it would be void.
    async fn newest_is_older(&self, epoch: Epoch) -> Result<(), StoreError> {
        match self.newest().await? {
            Some(newest) if newest.epoch >= epoch => Err(StoreError::Identity(
                "its records are of later epochs than this etcd gives; it was rebuilt or restored",
            )),
            Some(_) | None => Ok(()),
        }
    }

    async fn grant(&self) -> Result<i64, StoreError> {
        let granted = self.members.ask(SOON, |client| async move {
            client.lease_client().grant(LEASE_SECONDS, None).await
        });
        Ok(granted.await?.id())
    }

    /// One sign of life. A lease that has ended is replaced, as long as nobody has taken the leadership.
    async fn hear(&self, epoch: Epoch, lease: i64) -> Result<Heard, StoreError> {
        let holder = self.holder().await?;
        if holder.as_ref().map(|holder| holder.epoch) != Some(epoch) {
            return Ok(Heard::Lost(holder));
        }
        let kept = self.members.ask(SOON, |client| async move {
            match client.lease_client().keep_alive(lease).await {
                Ok(_) => Ok(true),
                Err(Error::LeaseKeepAliveError(_)) => Ok(false),
                Err(error) => Err(error),
            }
        });
        if kept.await? {
            return Ok(Heard::Kept(lease));
        }
        let lease = self.grant().await?;
        let leased = Some(PutOptions::new().with_lease(lease));
        let put =
            TxnOp::put(self.keys.server(self.me.load().id), write_member(&self.me.load()), leased);
        let again = Txn::new().when([self.fence(epoch)]).and_then([put]);
        if self.members.txn(again).await?.succeeded() {
            tracing::warn!("the lease had ended and is renewed; nobody had taken the leadership");
            return Ok(Heard::Kept(lease));
        }
        self.revoke(lease).await;
        Ok(Heard::Lost(self.holder().await?))
    }

    /// This server leads no more.
    pub(super) fn deposed(&self, by: Option<Holder>) {
        self.lease.send_replace(Lease::Lost(by));
    }
}

/// Who leads, as the leader key says.
pub(super) fn holder(leader: &KeyValue) -> Result<Holder, StoreError> {
    let server = Some(read_member(leader.value())?);
    Ok(Holder { epoch: epoch(leader.mod_revision()), server })
}

/// The keys that a read in a transaction found.
pub(super) fn found(answer: TxnOpResponse) -> Vec<KeyValue> {
    match answer {
        TxnOpResponse::Get(mut answer) => answer.take_kvs(),
        TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_) => Vec::new(),
    }
}

fn epoch(revision: i64) -> Epoch {
    Epoch(u64::try_from(revision).unwrap_or(0))
}

fn revision(epoch: Epoch) -> i64 {
    i64::try_from(epoch.0).unwrap_or(i64::MAX)
}
