//! Reading on: the records after a position, for ever, and who leads.
//!
//! ```text
//! List ── what is there, and at which revision ──▶ Watch ── what comes after it
//!   ▲                                                │ ended, cancelled by compaction, silent, or not in order
//!   └────────────────────────────────────────────────┘
//! ```
//! etcd's client neither reconnects a watch nor says which of its ends can be mended; so every end is mended in the same
//! way, by listing anew. Only what listing itself cannot mend ends the stream.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{EventType, WatchOptions, WatchResponse, WatchStream};
use futures::Stream;

use crate::model::id::{ClusterId, Epoch, Position};
use crate::store::etcd::Tree;
use crate::store::etcd::client::SOON;
use crate::store::etcd::lead::holder;
use crate::store::log::{Seen, StoreError};

/// Before the next try when etcd did not answer.
const RETRY: Duration = Duration::from_millis(500);

/// A watch that says nothing for so long is asked whether it is still there.
const SILENCE: Duration = Duration::from_secs(10);

struct Follower {
    tree: Arc<Tree>,
    cluster: ClusterId,
    after: Position,
    told: Epoch,
    pending: VecDeque<Seen>,
    step: Step,
}

enum Step {
    /// What is there is read.
    List,
    /// What comes is heard.
    Watch(Box<WatchStream>),
    /// Nothing comes any more.
    Over,
}

/// Follows a tree.
pub(super) fn follow(
    tree: Arc<Tree>,
    cluster: ClusterId,
    after: Position,
) -> impl Stream<Item = Result<Seen, StoreError>> + Send {
    from(tree, cluster, after, Step::List)
}

/// Follows a tree whose watch is there already.
#[cfg(test)]
pub(super) fn resume(
    tree: Arc<Tree>,
    cluster: ClusterId,
    after: Position,
    watch: WatchStream,
) -> impl Stream<Item = Result<Seen, StoreError>> + Send {
    from(tree, cluster, after, Step::Watch(Box::new(watch)))
}

fn from(
    tree: Arc<Tree>,
    cluster: ClusterId,
    after: Position,
    step: Step,
) -> impl Stream<Item = Result<Seen, StoreError>> + Send {
    let (told, pending) = (Epoch::default(), VecDeque::new());
    let follower = Follower { tree, cluster, after, told, pending, step };
    futures::stream::unfold(follower, |mut follower| async move {
        let seen = follower.next().await?;
        Some((seen, follower))
    })
}

// === impl Follower ===

impl Follower {
    async fn next(&mut self) -> Option<Result<Seen, StoreError>> {
        loop {
            if let Some(seen) = self.pending.pop_front() {
                return Some(Ok(seen));
            }
            let step = match &mut self.step {
                Step::Over => return None,
                Step::List => self.list().await.map(|stream| Step::Watch(Box::new(stream))),
                Step::Watch(stream) => match heard(stream).await {
                    Some(response) if self.take(&response) => continue,
                    Some(_) | None => Ok(Step::List),
                },
            };
            match step {
                Ok(step) => self.step = step,
                Err(error) if may_pass(&error) => {
                    tracing::debug!(%error, "the log is not read on now");
                    tokio::time::sleep(RETRY).await;
                }
                Err(error) => {
                    self.step = Step::Over;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Reads what is there, and begins to watch from before it: what is seen twice is told once.
    async fn list(&mut self) -> Result<WatchStream, StoreError> {
        let leader = self.tree.keys.leader();
        let answer = self.tree.members.get(leader, None).await?;
        let revision = answer.header().map_or(0, etcd_client::ResponseHeader::revision);
        let holder = answer.kvs().first().map(holder).transpose()?;
        for record in self.tree.after(self.cluster, self.after).await? {
            self.after = record.at;
            self.pending.push_back(Seen::Record(record));
        }
        if let Some(holder) = holder {
            self.led(holder.epoch);
        }
        let options =
            WatchOptions::new().with_prefix().with_fragment().with_start_revision(revision + 1);
        let all = self.tree.keys.all();
        let watch = |client: etcd_client::Client| async move {
            client.watch_client().watch(all, Some(options)).await
        };
        self.tree.members.call(SOON, watch).await
    }

    fn led(&mut self, epoch: Epoch) {
        if epoch > self.told {
            self.told = epoch;
            self.pending.push_back(Seen::Leader(epoch));
        }
    }

    /// Takes what came. False when the log must be listed anew.
    fn take(&mut self, response: &WatchResponse) -> bool {
        if response.canceled() || response.compact_revision() != 0 {
            return false;
        }
        let puts = response.events().iter().filter(|event| event.event_type() == EventType::Put);
        let leader = self.tree.keys.leader();
        for kv in puts.filter_map(etcd_client::Event::kv) {
            if kv.key() == leader {
                match holder(kv) {
                    Ok(holder) => self.led(holder.epoch),
                    Err(_) => return false,
                }
                continue;
            }
            let Some(at) = self.tree.keys.position(kv.key()) else { continue };
            if at <= self.after {
                continue;
            }
            let Ok(mut records) = self.tree.records(vec![kv.clone()]) else { return false };
            if at != self.after.next() {
                return false;
            }
            self.after = at;
            self.pending.extend(records.pop().map(Seen::Record));
        }
        true
    }
}

/// The next thing that a watch says; none when it ended, or does not answer.
async fn heard(stream: &mut WatchStream) -> Option<WatchResponse> {
    if let Ok(heard) = tokio::time::timeout(SILENCE, stream.message()).await {
        return heard.ok().flatten();
    }
    stream.request_progress().await.ok()?;
    tokio::time::timeout(SOON, stream.message()).await.ok()?.ok().flatten()
}

/// Whether another try may go better.
fn may_pass(error: &StoreError) -> bool {
    match error {
        StoreError::Failed(_) | StoreError::Denied(_) | StoreError::Full => true,
        StoreError::Damaged { .. }
        | StoreError::Trimmed { .. }
        | StoreError::Identity(_)
        | StoreError::Missing(_) => false,
    }
}
