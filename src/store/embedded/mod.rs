//! The log of a server on its own: one redb file that one process holds.
//!
//! A call of `append` is one transaction and one wait for the disk, however many commits it carries. What lies below the
//! head goes a few records at a time with later appends, so that no append waits long for it. Everything here blocks, and
//! so runs on threads that may.

mod file;
mod table;

#[cfg(test)]
mod crash_tests;
#[cfg(test)]
mod tests;

pub use crate::store::expect::{Expect, OpenError};
pub use file::FILE;
pub(super) use file::sync_dir;

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use redb::Database;
use tokio::sync::watch;

use crate::model::id::{Epoch, Position};
use crate::store::follow::{News, follow};
use crate::store::log::{
    AppendError, Bid, Head, Holder, Lead, LeadError, Lease, Log, Seen, Store, StoreError, Usage,
};
use crate::store::record::Record;

/// A log in one file.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    held: Mutex<Held>,
    news: watch::Sender<News>,
}

/// What the process holds of the file.
struct Held {
    opener: file::Opener,
    /// Absent after the disk has failed: redb then wants the file opened anew.
    database: Option<Database>,
    head: Head,
    epoch: Epoch,
    led: bool,
    /// Bytes from the head on, once counted.
    log_bytes: Option<u64>,
}

// === impl Embedded ===

impl Embedded {
    /// Opens the log in a directory, which is made if need be.
    ///
    /// # Errors
    /// When another process holds it, when it is not the log that is expected, or the disk fails.
    pub fn open(dir: &Path, expect: Expect) -> Result<Embedded, OpenError> {
        file::prepare(dir, expect)?;
        Embedded::open_with(file::opener(dir), expect)
    }

    fn open_with(opener: file::Opener, expect: Expect) -> Result<Embedded, OpenError> {
        let database = opener()?;
        let (head, epoch) = file::identify(&database, expect)?;
        let news = News { epoch, next: table::next(&database, head)? };
        let (database, led, log_bytes) = (Some(database), false, None);
        let held = Held { opener, database, head, epoch, led, log_bytes };
        Ok(Embedded {
            shared: Arc::new(Shared { held: Mutex::new(held), news: watch::Sender::new(news) }),
        })
    }

    /// Where the log begins, and whose it is.
    pub fn head(&self) -> Head {
        self.shared.held().head
    }

    /// The newest epoch.
    pub fn epoch(&self) -> Epoch {
        self.shared.held().epoch
    }

    /// [`Store::load`] for callers that may block.
    ///
    /// # Errors
    /// As the trait.
    pub fn load_blocking(&self) -> Result<Log, StoreError> {
        self.shared.load()
    }

    /// [`Store::lead`] for callers that may block.
    ///
    /// # Errors
    /// As the trait.
    pub fn lead_blocking(&self, bid: Bid) -> Result<Lead, LeadError> {
        self.lead_above(bid, Epoch::default())
    }

    /// [`Embedded::lead_blocking`] under an epoch above one that is known from elsewhere, a backup or an agent.
    ///
    /// # Errors
    /// As the trait.
    pub fn lead_above(&self, bid: Bid, above: Epoch) -> Result<Lead, LeadError> {
        self.shared.lead(bid, above)
    }

    /// [`Store::append`] for callers that may block.
    ///
    /// # Errors
    /// As the trait.
    pub fn append_blocking(&self, lead: &Lead, records: &[Record]) -> Result<(), AppendError> {
        self.shared.append(lead, records)
    }

    async fn run<T, E>(
        &self,
        act: impl FnOnce(&Shared) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let shared = self.shared.clone();
        let done = tokio::task::spawn_blocking(move || act(&shared)).await;
        done.unwrap_or_else(|cut| Err(StoreError::Failed(Arc::new(cut)).into()))
    }
}

impl Store for Embedded {
    async fn lead(&self, bid: Bid) -> Result<Lead, LeadError> {
        self.run(move |shared| shared.lead(bid, Epoch::default())).await
    }

    async fn append(&self, lead: &Lead, records: &[Record]) -> Result<(), AppendError> {
        self.shared.append(lead, records)
    }

    async fn move_head(&self, lead: &Lead, start: Position) -> Result<(), AppendError> {
        let lead = *lead;
        self.run(move |shared| shared.move_head(&lead, start)).await
    }

    async fn load(&self) -> Result<Log, StoreError> {
        self.run(Shared::load).await
    }

    fn follow(&self, after: Position) -> impl Stream<Item = Result<Seen, StoreError>> + Send {
        let reader = Embedded { shared: self.shared.clone() };
        let read = move |after| {
            let reader = Embedded { shared: reader.shared.clone() };
            async move { reader.run(move |shared| shared.read(after)).await }
        };
        follow(read, self.shared.news.subscribe(), after)
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        self.run(Shared::usage).await
    }

    fn lease(&self) -> watch::Receiver<Lease> {
        watch::Sender::new(Lease::Kept).subscribe()
    }

    async fn resign(&self) {}
}

// === impl Shared ===

impl Shared {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lead(&self, bid: Bid, above: Epoch) -> Result<Lead, LeadError> {
        let mut held = self.held();
        if held.led && bid != Bid::Depose(held.epoch) {
            return Err(LeadError::Held(Holder { epoch: held.epoch, server: None }));
        }
        let (epoch, head) = held.on_disk(|database| table::lead(database, above))?;
        (held.epoch, held.head, held.led) = (epoch, head, true);
        self.news.send_modify(|news| news.epoch = epoch);
        Ok(Lead { epoch, head })
    }

    fn append(&self, lead: &Lead, records: &[Record]) -> Result<(), AppendError> {
        let mut held = self.held();
        held.fence(lead)?;
        let head = held.head;
        let stored = held.on_disk(|database| table::append(database, head, lead, records))??;
        held.log_bytes = held.log_bytes.map(|bytes| bytes + stored.bytes);
        drop(held);
        self.news.send_modify(|news| news.next = stored.next);
        Ok(())
    }

    fn move_head(&self, lead: &Lead, start: Position) -> Result<(), AppendError> {
        let mut held = self.held();
        held.fence(lead)?;
        let head = Head { start, ..held.head };
        held.on_disk(|database| table::move_head(database, lead, head))??;
        held.head = head;
        held.log_bytes = None;
        Ok(())
    }

    fn load(&self) -> Result<Log, StoreError> {
        let mut held = self.held();
        let head = held.head;
        let records = held.on_disk(|database| table::read(database, head.start))?;
        held.log_bytes = Some(records.iter().map(|record| record.bytes.len() as u64).sum());
        Ok(Log { head, records })
    }

    fn read(&self, after: Position) -> Result<Vec<Record>, StoreError> {
        let mut held = self.held();
        let start = held.head.start;
        if after.next() < start {
            return Err(StoreError::Trimmed { after, start });
        }
        held.on_disk(|database| table::read(database, after.next()))
    }

    fn usage(&self) -> Result<Usage, StoreError> {
        let mut held = self.held();
        let start = held.head.start;
        let log = match held.log_bytes {
            Some(bytes) => bytes,
            None => held.on_disk(|database| table::bytes(database, start))?,
        };
        held.log_bytes = Some(log);
        let stored = held.on_disk(table::stored_bytes)?;
        Ok(Usage { log, stored, quota: None })
    }
}

// === impl Held ===

impl Held {
    fn fence(&self, lead: &Lead) -> Result<(), AppendError> {
        if self.led && lead.epoch == self.epoch { Ok(()) } else { Err(AppendError::Deposed) }
    }

    /// Acts on the open file. One that has failed is closed, and opened anew by the next call.
    fn on_disk<T>(
        &mut self,
        act: impl FnOnce(&Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.database.is_none() {
            self.database = Some((self.opener)().map_err(OpenError::into_store_error)?);
        }
        let database = self.database.as_ref().expect("it was opened above");
        let result = act(database);
        if matches!(result, Err(StoreError::Full | StoreError::Failed(_))) {
            self.database = None;
        }
        result
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Held")
            .field("head", &self.head)
            .field("epoch", &self.epoch)
            .field("led", &self.led)
            .finish_non_exhaustive()
    }
}
