//! The store's writer: what waits becomes durable in one append, then the brain's thread is told.
//!
//! While the store cannot take anything it tries again, askers are told 503, and everything that runs goes on. It also
//! hears whether the leadership lasts, so that a store that is away is known before somebody writes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};

use crate::control::gauges::Gauges;
use crate::control::history::{self, History};
use crate::control::server::Server;
use crate::control::turn::{Notice, Told};
use crate::model::commit::Commit;
use crate::model::id::CommitNo;
use crate::model::world::World;
use crate::store::any::AnyStore;
use crate::store::ledger::Ledger;
use crate::store::log::{AppendError, Holder, Lead, Lease, Store};
use crate::store::record::Record;

/// The most commits of one append.
const GROUP: usize = 64;

/// Between two tries while the store takes nothing.
const RETRY: Duration = Duration::from_millis(500);

/// The writer and what it talks to.
pub struct Writer {
    /// The log.
    pub store: Arc<AnyStore>,
    /// Under which leadership.
    pub lead: Lead,
    /// Positions and sizes.
    pub ledger: Ledger,
    /// Commits to store.
    pub commits: mpsc::Receiver<Commit>,
    /// Where it tells what is durable.
    pub notices: mpsc::UnboundedSender<Notice>,
    /// Who is told that nothing can be stored.
    pub server: Server,
    /// Figures.
    pub gauges: Gauges,
    /// Whether rows could not be read at the start: then nothing old may go.
    pub keep_everything: bool,
    /// What is kept for those who follow events.
    pub history: History,
}

/// Why the writer ended.
#[derive(Debug, thiserror::Error)]
pub enum WriterEnd {
    /// The brain's thread is gone.
    #[error("the server ends")]
    Done,
    /// Another leadership has begun; whose, if that is known.
    #[error("another server leads now")]
    Deposed(Option<Holder>),
    /// What was to be stored cannot be, whatever is tried.
    #[error("a commit cannot be stored: {0}")]
    Impossible(String),
}

// === impl Writer ===

impl Writer {
    /// Stores commits until the brain's thread is gone or the leadership is lost.
    pub async fn run(mut self) -> WriterEnd {
        let mut lease = self.store.lease();
        let mut waiting = Vec::with_capacity(GROUP);
        loop {
            let done = tokio::select! {
                count = self.commits.recv_many(&mut waiting, GROUP) => match count {
                    0 => Err(WriterEnd::Done),
                    _ => self.store(std::mem::take(&mut waiting)).await,
                },
                lease = changed(&mut lease) => self.heard(&lease),
            };
            if let Err(end) = done {
                return end;
            }
        }
    }

    /// How the leadership stands while nothing is written.
    fn heard(&self, lease: &Lease) -> Result<(), WriterEnd> {
        match lease {
            Lease::Kept => self.server.store_is_back(),
            Lease::Silent(error) => {
                tracing::error!(%error, "the store is away; tasks go on");
                self.server.store_is_away(&format!("the store does not answer: {error}"));
            }
            Lease::Lost(by) => return Err(WriterEnd::Deposed(by.clone())),
        }
        Ok(())
    }

    /// Another one leads; the store may have said who.
    fn deposed(&self) -> WriterEnd {
        match &*self.store.lease().borrow() {
            Lease::Lost(by) => WriterEnd::Deposed(by.clone()),
            Lease::Kept | Lease::Silent(_) => WriterEnd::Deposed(None),
        }
    }

    async fn store(&mut self, commits: Vec<Commit>) -> Result<(), WriterEnd> {
        let mut records = Vec::new();
        for commit in &commits {
            let encoded = self.ledger.encode(commit, self.lead.epoch);
            records.extend(encoded.map_err(|error| WriterEnd::Impossible(error.to_string()))?);
        }
        self.append(&records).await?;
        self.gauges.commits.inc_by(commits.len() as u64);
        let needless = self.history.stored(&commits);
        let world = commits.last().map(|commit| commit.world.clone());
        let told = commits.into_iter().map(Told::of).collect();
        self.notices.send(Notice::Durable(told)).map_err(|_| WriterEnd::Done)?;
        if let Some(began) = needless {
            self.move_head(began).await?;
        }
        let Some(world) = world else { return Ok(()) };
        if self.history.is_kept() {
            return self.keep_in_bounds(&world).await;
        }
        self.ask_for_sweep(&world)
    }

    #[expect(clippy::disallowed_methods, reason = "a figure for /metrics, which decides nothing")]
    async fn append(&mut self, records: &[Record]) -> Result<(), WriterEnd> {
        let began = Instant::now();
        loop {
            match self.store.append(&self.lead, records).await {
                Ok(()) => break,
                Err(AppendError::Deposed) => return Err(self.deposed()),
                Err(error @ AppendError::Misplaced { .. }) => {
                    return Err(WriterEnd::Impossible(error.to_string()));
                }
                Err(error @ (AppendError::Full | AppendError::Unavailable(_))) => {
                    let why = told(&error);
                    tracing::error!(error = %why, "the store takes nothing; tasks go on");
                    self.server.store_is_away(&why);
                    // Room first, then what has been.
                    if let (AppendError::Full, Some(began)) = (&error, self.history.release()) {
                        self.move_head(began).await?;
                    }
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
        self.server.store_is_back();
        let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
        self.gauges.log_bytes.add(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.gauges.commit_bytes.observe(f64::from(u32::try_from(bytes).unwrap_or(u32::MAX)));
        self.gauges.commit_seconds.observe(began.elapsed().as_secs_f64());
        Ok(())
    }

    /// What is kept for its events alone has an end.
    async fn keep_in_bounds(&mut self, world: &World) -> Result<(), WriterEnd> {
        if !self.ledger.sweep_is_due(self.log_bytes() / history::PATIENCE, world) {
            return Ok(());
        }
        match self.history.release() {
            Some(began) => self.move_head(began).await,
            None => Ok(()),
        }
    }

    fn log_bytes(&self) -> u64 {
        u64::try_from(self.gauges.log_bytes.get()).unwrap_or(0)
    }

    /// A sweep is complete: what lies before it may go.
    async fn move_head(&mut self, began: CommitNo) -> Result<(), WriterEnd> {
        let Some(start) = self.ledger.position_of(began) else { return Ok(()) };
        match self.store.move_head(&self.lead, start).await {
            Ok(()) => {
                self.ledger.forget_before(start);
                if let Ok(usage) = self.store.usage().await {
                    self.gauges.log_bytes.set(i64::try_from(usage.log).unwrap_or(i64::MAX));
                }
                Ok(())
            }
            Err(AppendError::Deposed) => Err(self.deposed()),
            Err(error) => {
                // Nothing is lost: the next sweep moves it.
                tracing::warn!(%error, "the head of the log was not moved");
                Ok(())
            }
        }
    }

    fn ask_for_sweep(&self, world: &World) -> Result<(), WriterEnd> {
        if self.keep_everything || !self.ledger.sweep_is_due(self.log_bytes(), world) {
            return Ok(());
        }
        self.notices.send(Notice::Sweep).map_err(|_| WriterEnd::Done)
    }
}

/// An error with what is behind it, which says of the store which one it is.
fn told(error: &AppendError) -> String {
    match error {
        AppendError::Unavailable(source) => format!("{error}: {source}"),
        AppendError::Deposed | AppendError::Full | AppendError::Misplaced { .. } => {
            error.to_string()
        }
    }
}

/// The next news of a lease; never for a store that has none.
async fn changed(lease: &mut watch::Receiver<Lease>) -> Lease {
    if lease.changed().await.is_err() {
        return std::future::pending().await;
    }
    lease.borrow_and_update().clone()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::events::Events;
    use crate::model::id::Position;
    use crate::model::time::Span;
    use crate::store::log::Bid;
    use crate::store::memory::{Memory, MemoryLog};
    use crate::store::testing::{AT, cluster, commit};

    /// What was swept away is still read after a restart within ten minutes.
    #[tokio::test]
    async fn the_head_moves_when_events_before_it_are_old() {
        let store = Arc::new(AnyStore::Memory(Memory::new(MemoryLog::new(cluster()))));
        let lead = store.lead(Bid::IfVacant).await.expect("nobody leads");
        let (commits, waiting) = mpsc::channel(8);
        let (notices, mut noticed) = mpsc::unbounded_channel();
        let gauges = Gauges::default();
        let writer = Writer {
            store: store.clone(),
            lead,
            ledger: Ledger::new(Position(1)),
            commits: waiting,
            notices,
            server: Server::new(mpsc::channel(1).0, Events::new(&gauges)),
            gauges,
            keep_everything: false,
            history: History::default(),
        };
        let running = tokio::spawn(writer.run());
        let mut stored = async |no, seconds, swept_from| {
            let at = AT + Span::secs(seconds);
            commits.send(Commit { at, swept_from, ..commit(no, 1) }).await.expect("it runs");
            while let Some(notice) = noticed.recv().await {
                match notice {
                    Notice::Durable(_) => return,
                    Notice::Sweep => {}
                }
            }
        };
        for no in 1..=3 {
            stored(no, no, None).await;
        }
        stored(4, 4, Some(CommitNo(3))).await;
        stored(5, 603, None).await;
        assert_eq!(store.head().start, Position(1));
        stored(6, 604, None).await;
        drop((commits, noticed));
        running.await.expect("it ends well");
        assert_eq!(store.head().start, Position(3));
    }
}
