//! A log that lives as long as its process: for tests, for the simulator, and for a server that is to forget.
//!
//! [`MemoryLog`] is a plain struct with synchronous methods, so that the simulator can hold it, stop between an append
//! and its durability, crash it there and look what is left. [`Memory`] shares one as a [`Store`].

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures::Stream;
use tokio::sync::watch;

use crate::model::id::{ClusterId, Epoch, Position};
use crate::store::follow::{News, follow};
use crate::store::log::{
    AppendError, Bid, Head, Holder, Lead, LeadError, Lease, Log, Seen, Store, StoreError, Usage,
    admit,
};
use crate::store::record::Record;

/// A log in memory, with the faults that real ones have.
#[derive(Clone, Debug)]
pub struct MemoryLog {
    head: Head,
    epoch: Epoch,
    led: bool,
    records: VecDeque<Record>,
    /// How many of the records would survive a crash.
    durable: usize,
    held: bool,
    faults: VecDeque<Fault>,
}

/// What goes wrong with an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The disk is full; nothing is stored.
    Full,
    /// The store does not answer; nothing is stored.
    Away,
    /// The store does not answer; all is stored.
    AnswerLost,
    /// The store does not answer; only so many records are stored, as by a body that puts one record at a time.
    Torn(usize),
}

/// A shared [`MemoryLog`]. A clone is another handle on the same log.
#[derive(Clone, Debug)]
pub struct Memory {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    log: Mutex<MemoryLog>,
    news: watch::Sender<News>,
}

#[derive(Debug, thiserror::Error)]
#[error("the store does not answer")]
struct NoAnswer;

// === impl MemoryLog ===

impl MemoryLog {
    /// A new log.
    pub fn new(cluster: ClusterId) -> MemoryLog {
        MemoryLog {
            head: Head::new(cluster),
            epoch: Epoch::default(),
            led: false,
            records: VecDeque::new(),
            durable: 0,
            held: false,
            faults: VecDeque::new(),
        }
    }

    /// As [`Store::lead`].
    ///
    /// # Errors
    /// When somebody leads who was not to be deposed.
    pub fn lead(&mut self, bid: Bid) -> Result<Lead, LeadError> {
        if self.led && bid != Bid::Depose(self.epoch) {
            return Err(LeadError::Held(Holder { epoch: self.epoch, server: None }));
        }
        self.epoch = self.epoch.next();
        self.led = true;
        Ok(Lead { epoch: self.epoch, head: self.head })
    }

    /// As [`Store::append`]; while the log is held the records are not durable yet.
    ///
    /// # Errors
    /// As the trait, and as the faults say that are due.
    pub fn append(&mut self, lead: &Lead, records: &[Record]) -> Result<(), AppendError> {
        let (kept, answered) = match self.faults.pop_front() {
            None => (records.len(), true),
            Some(Fault::Full) => return Err(AppendError::Full),
            Some(Fault::Away) => return Err(no_answer()),
            Some(Fault::AnswerLost) => (records.len(), false),
            Some(Fault::Torn(kept)) => (kept, false),
        };
        self.fence(lead)?;
        let fresh = admit(lead, self.next(), records, |at| Ok(self.at(at).cloned()))?;
        self.records.extend(fresh.iter().take(kept).cloned());
        if !self.held {
            self.sync();
        }
        if answered { Ok(()) } else { Err(no_answer()) }
    }

    /// As [`Store::move_head`]; what lies before goes at once.
    ///
    /// # Errors
    /// As the trait.
    pub fn move_head(&mut self, lead: &Lead, start: Position) -> Result<(), AppendError> {
        self.fence(lead)?;
        if self.at(start).is_none() {
            return Err(AppendError::Misplaced { next: self.next(), found: start });
        }
        while self.records.front().is_some_and(|record| record.at < start) {
            self.records.pop_front();
            self.durable = self.durable.saturating_sub(1);
        }
        self.head.start = start;
        Ok(())
    }

    /// Where it begins, and whose it is.
    pub fn head(&self) -> Head {
        self.head
    }

    /// All that is durable.
    pub fn load(&self) -> Log {
        Log { head: self.head, records: self.records.iter().take(self.durable).cloned().collect() }
    }

    /// The durable records after a position.
    ///
    /// # Errors
    /// When some of them are gone.
    pub fn read(&self, after: Position) -> Result<Vec<Record>, StoreError> {
        let start = self.head.start;
        if after.next() < start {
            return Err(StoreError::Trimmed { after, start });
        }
        let durable = self.records.iter().take(self.durable);
        Ok(durable.filter(|record| record.at > after).cloned().collect())
    }

    /// As [`Store::usage`].
    pub fn usage(&self) -> Usage {
        let log = self.records.iter().map(|record| record.bytes.len() as u64).sum();
        Usage { log, stored: log, quota: None }
    }

    /// From now on what is appended is durable only after [`MemoryLog::sync`].
    pub fn hold(&mut self) {
        self.held = true;
    }

    /// What was appended is durable, and what comes is at once.
    pub fn release(&mut self) {
        self.held = false;
        self.sync();
    }

    /// What was appended is durable.
    pub fn sync(&mut self) {
        self.durable = self.records.len();
    }

    /// The position after the last durable record.
    pub fn durable(&self) -> Position {
        Position(self.first().0 + self.durable as u64)
    }

    /// A crash: of what was appended and is not durable, the first `kept` records survive. Nobody leads any more.
    pub fn tear(&mut self, kept: usize) {
        self.records.truncate(self.durable + kept);
        self.sync();
        self.led = false;
    }

    /// A crash that loses all that is not durable.
    pub fn lose(&mut self) {
        self.tear(0);
    }

    /// The next append fails so; several faults are taken in order.
    pub fn fail_next(&mut self, fault: Fault) {
        self.faults.push_back(fault);
    }

    /// The records, for a test to damage.
    pub fn records_mut(&mut self) -> &mut VecDeque<Record> {
        &mut self.records
    }

    fn fence(&self, lead: &Lead) -> Result<(), AppendError> {
        if self.led && lead.epoch == self.epoch { Ok(()) } else { Err(AppendError::Deposed) }
    }

    fn first(&self) -> Position {
        self.records.front().map_or(self.head.start, |record| record.at)
    }

    fn next(&self) -> Position {
        self.records.back().map_or(self.head.start, |record| record.at.next())
    }

    fn at(&self, at: Position) -> Option<&Record> {
        let index = at.0.checked_sub(self.first().0)?;
        self.records.get(usize::try_from(index).ok()?)
    }

    fn news(&self) -> News {
        News { epoch: self.epoch, next: self.durable() }
    }
}

// === impl Memory ===

impl Memory {
    /// Shares a log.
    pub fn new(log: MemoryLog) -> Memory {
        let news = watch::Sender::new(log.news());
        Memory { shared: Arc::new(Shared { log: Mutex::new(log), news }) }
    }

    /// Does something with the log itself, and tells its followers.
    pub fn with<T>(&self, act: impl FnOnce(&mut MemoryLog) -> T) -> T {
        let mut log = self.log();
        let result = act(&mut log);
        let now = log.news();
        self.shared.news.send_if_modified(|news| std::mem::replace(news, now) != now);
        result
    }

    fn log(&self) -> MutexGuard<'_, MemoryLog> {
        self.shared.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    async fn lead(&self, bid: Bid) -> Result<Lead, LeadError> {
        self.with(|log| log.lead(bid))
    }

    async fn append(&self, lead: &Lead, records: &[Record]) -> Result<(), AppendError> {
        self.with(|log| log.append(lead, records))
    }

    async fn move_head(&self, lead: &Lead, start: Position) -> Result<(), AppendError> {
        self.with(|log| log.move_head(lead, start))
    }

    async fn load(&self) -> Result<Log, StoreError> {
        Ok(self.log().load())
    }

    fn follow(&self, after: Position) -> impl Stream<Item = Result<Seen, StoreError>> + Send {
        let reader = self.clone();
        let read = move |after| std::future::ready(reader.log().read(after));
        follow(read, self.shared.news.subscribe(), after)
    }

    async fn usage(&self) -> Result<Usage, StoreError> {
        Ok(self.log().usage())
    }

    fn lease(&self) -> watch::Receiver<Lease> {
        watch::Sender::new(Lease::Kept).subscribe()
    }

    async fn resign(&self) {
        self.with(|log| log.led = false);
    }
}

fn no_answer() -> AppendError {
    AppendError::Unavailable(StoreError::Failed(Arc::new(NoAnswer)))
}

#[cfg(test)]
mod tests;
