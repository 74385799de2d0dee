//! The newest events in their order, within bounds.
//!
//! Old ones go one batch at a time. From which event on everything is there is always known, so that a reader that would
//! miss something learns it.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::contract::show::event::Notice;
use crate::control::events::batch::{Batch, Content, Published};
use crate::model::event::EventId;
use crate::model::id::CommitNo;
use crate::model::time::Timestamp;

/// How much a ring keeps.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// The most events.
    pub events: usize,
    /// About the most bytes of events.
    pub bytes: usize,
    /// The text of so many newest events is kept too.
    pub warm_events: usize,
    /// The same in bytes of events.
    pub warm_bytes: usize,
    /// The most notices that are in no log.
    pub passing: usize,
}

/// Where a reader begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// With what happens from now on.
    Now,
    /// Behind the event that it saw last, as it names it.
    Behind(String),
}

/// Where a reader is: the place of a batch, and how many of its events are behind the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    pub place: u64,
    pub skip: usize,
}

/// What is kept.
pub(super) struct Ring {
    bounds: Bounds,
    batches: VecDeque<Arc<Batch>>,
    /// The place of the next batch.
    next: u64,
    /// The newest event of the log.
    newest: EventId,
    /// Everything after this event is here.
    complete_after: EventId,
    /// The place of the newest batch of the log that has gone.
    gone: Option<u64>,
    events: usize,
    bytes: usize,
    passing: usize,
    /// Texts are kept from this batch on.
    warm_from: u64,
    warm_events: usize,
    warm_bytes: usize,
}

// === impl Bounds ===

impl Bounds {
    /// Of a server: as many events as a replay keeps, and a few more. An event takes 200 to 400 bytes as long as its
    /// message is short.
    pub const USUAL: Bounds = Bounds {
        events: 102_400,
        bytes: 96 * 1_024 * 1_024,
        warm_events: 16_384,
        warm_bytes: 12 * 1_024 * 1_024,
        passing: 1_024,
    };
}

// === impl Ring ===

impl Ring {
    /// An empty one.
    pub fn new(bounds: Bounds) -> Ring {
        Ring {
            bounds,
            batches: VecDeque::new(),
            next: 0,
            newest: BEFORE_ALL,
            complete_after: BEFORE_ALL,
            gone: None,
            events: 0,
            bytes: 0,
            passing: 0,
            warm_from: 0,
            warm_events: 0,
            warm_bytes: 0,
        }
    }

    /// Begins with what a log has kept.
    pub fn restore(&mut self, kept: Vec<Published>, complete_after: EventId) {
        (self.newest, self.complete_after) = (complete_after, complete_after);
        for part in kept.into_iter().flat_map(Published::parts) {
            self.push(part);
        }
    }

    /// Adds events that became durable: a part that is small enough.
    pub fn push(&mut self, part: Published) {
        let batch = Batch::log(self.place(), part);
        self.events += batch.events().len();
        self.bytes += batch.weight;
        self.warm_events += batch.events().len();
        self.warm_bytes += batch.weight;
        self.newest = batch.last;
        self.batches.push_back(Arc::new(batch));
        self.cool();
        self.trim();
    }

    /// Adds something that is in no log, for those who follow now.
    pub fn pass(&mut self, notice: Notice, at: Timestamp) -> u64 {
        let place = self.place();
        self.batches.push_back(Arc::new(Batch::passing(place, at, self.newest, notice)));
        self.passing += 1;
        if self.passing > self.bounds.passing {
            let oldest = self.batches.iter().position(|batch| is_passing(batch));
            self.passing -= usize::from(oldest.and_then(|at| self.batches.remove(at)).is_some());
        }
        place
    }

    /// The end: where what comes next will be.
    pub fn end(&self) -> Cursor {
        Cursor { place: self.next, skip: 0 }
    }

    /// Right behind the event that `last` names.
    ///
    /// # Errors
    /// When something after it is missing, or it is none of this log: where to begin instead, and what is said of it.
    pub fn behind(&self, last: &str) -> Result<Cursor, (Cursor, Notice)> {
        let gap = |cursor: Cursor, reason: &'static str| {
            let from = self.from(cursor);
            let next = from.and_then(|mut batches| batches.find_map(|batch| batch.first()));
            Err((cursor, Notice::Gap { last: last.to_owned(), reason, next }))
        };
        let Ok(id) = last.parse::<EventId>() else {
            return gap(self.end(), "this is no id of an event");
        };
        if id < self.complete_after {
            return gap(self.oldest(), "what happened next is not kept any more");
        }
        if id > self.newest {
            return gap(self.end(), "the log has no such event");
        }
        if id == self.complete_after {
            return Ok(self.oldest());
        }
        let at = self.batches.partition_point(|batch| batch.last < id);
        let first = self.batches.get(at).and_then(|batch| Some((batch.place, batch.first()?)));
        match first {
            Some((place, first)) if first.commit == id.commit && first.index <= id.index => {
                let skip = (id.index - first.index) as usize + 1;
                let whole = self.batches[at].events().len() == skip;
                Ok(if whole {
                    Cursor { place: place + 1, skip: 0 }
                } else {
                    Cursor { place, skip }
                })
            }
            Some(_) | None => gap(self.end(), "the log has no such event"),
        }
    }

    /// The event behind which a place lies.
    pub fn before(&self, cursor: Cursor) -> EventId {
        let at = self.batches.partition_point(|batch| batch.place < cursor.place);
        match self.batches.get(at).filter(|_| cursor.skip > 0) {
            Some(batch) => {
                let skipped = u32::try_from(cursor.skip).unwrap_or(u32::MAX);
                batch.first().map_or(batch.last, |first| EventId {
                    index: first.index + skipped - 1,
                    ..first
                })
            }
            None => {
                let before = at.checked_sub(1).and_then(|at| self.batches.get(at));
                before.map_or(self.complete_after, |batch| batch.last)
            }
        }
    }

    /// The batches from a place on; none when some of the log have gone that were to come.
    pub fn from(&self, cursor: Cursor) -> Option<impl Iterator<Item = &Arc<Batch>>> {
        let lost = self.gone.is_some_and(|gone| gone >= cursor.place);
        let at = self.batches.partition_point(|batch| batch.place < cursor.place);
        (!lost).then(|| self.batches.range(at..))
    }

    fn oldest(&self) -> Cursor {
        Cursor { place: self.gone.map_or(0, |gone| gone + 1), skip: 0 }
    }

    fn place(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    /// Lets go of the texts of all but the newest.
    fn cool(&mut self) {
        while self.warm_events > self.bounds.warm_events || self.warm_bytes > self.bounds.warm_bytes
        {
            let at = self.batches.partition_point(|batch| batch.place < self.warm_from);
            let Some(batch) = self.batches.get(at) else { break };
            batch.cool();
            let batch = batch.clone();
            self.forget_warm(&batch);
        }
    }

    /// From behind this batch on texts are kept.
    fn forget_warm(&mut self, batch: &Batch) {
        self.warm_from = batch.place + 1;
        if !is_passing(batch) {
            self.warm_events -= batch.events().len();
            self.warm_bytes -= batch.weight;
        }
    }

    fn trim(&mut self) {
        while self.events > self.bounds.events || self.bytes > self.bounds.bytes {
            let Some(batch) = self.batches.pop_front() else { break };
            if is_passing(&batch) {
                self.passing -= 1;
                continue;
            }
            self.events -= batch.events().len();
            self.bytes -= batch.weight;
            if batch.place >= self.warm_from {
                self.forget_warm(&batch);
            }
            (self.complete_after, self.gone) = (batch.last, Some(batch.place));
        }
    }
}

/// Before the first event of a log.
const BEFORE_ALL: EventId = EventId { commit: CommitNo(0), index: u32::MAX };

fn is_passing(batch: &Batch) -> bool {
    match batch.content {
        Content::Log { .. } => false,
        Content::Passing(_) => true,
    }
}
