//! Reading on: the records after a position, for ever.
//!
//! A body says what is new through a watch; what it says is read again from the log, so a slow reader holds nothing up
//! and misses nothing.

use std::collections::VecDeque;

use futures::Stream;
use tokio::sync::watch;

use crate::model::id::{Epoch, Position};
use crate::store::log::{Seen, StoreError};
use crate::store::record::Record;

/// How far a log has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Who leads.
    pub epoch: Epoch,
    /// The position after the last durable record.
    pub next: Position,
}

struct Reader<R> {
    read: R,
    news: watch::Receiver<News>,
    after: Position,
    told: Epoch,
    pending: VecDeque<Record>,
    over: bool,
}

/// Follows a log through `read`, which gives all records after a position.
pub(super) fn follow<R, F>(
    read: R,
    news: watch::Receiver<News>,
    after: Position,
) -> impl Stream<Item = Result<Seen, StoreError>> + Send
where
    R: Fn(Position) -> F + Send,
    F: Future<Output = Result<Vec<Record>, StoreError>> + Send,
{
    let (told, pending, over) = (Epoch::default(), VecDeque::new(), false);
    let reader = Reader { read, news, after, told, pending, over };
    futures::stream::unfold(reader, |mut reader| async move {
        let seen = reader.next().await?;
        Some((seen, reader))
    })
}

// === impl Reader ===

impl<R, F> Reader<R>
where
    R: Fn(Position) -> F,
    F: Future<Output = Result<Vec<Record>, StoreError>>,
{
    async fn next(&mut self) -> Option<Result<Seen, StoreError>> {
        while !self.over {
            if let Some(record) = self.pending.pop_front() {
                self.after = record.at;
                return Some(Ok(Seen::Record(record)));
            }
            let News { epoch, next } = *self.news.borrow_and_update();
            if next > self.after.next() {
                match (self.read)(self.after).await {
                    Ok(records) => self.pending.extend(records),
                    Err(error) => {
                        self.over = true;
                        return Some(Err(error));
                    }
                }
            }
            if !self.pending.is_empty() {
                continue;
            }
            if self.told != epoch {
                self.told = epoch;
                return Some(Ok(Seen::Leader(epoch)));
            }
            if self.news.changed().await.is_err() {
                self.over = true;
            }
        }
        None
    }
}
