//! One consumer's way through the ring: a place, a filter, and what it is told next.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::sync::watch;

use crate::contract::show::event::Notice;
use crate::control::events::Events;
use crate::control::events::batch::{Batch, Content};
use crate::control::events::filter::Filter;
use crate::control::events::ring::{Cursor, Start};
use crate::model::event::EventId;
use crate::model::time::Timestamp;

/// About as much is given at once, copied together from small pieces.
const PIECE: usize = 16 * 1_024;
/// A piece of this size is given as it is: all readers share it.
const WHOLE: usize = 4 * 1_024;
/// The most batches that are looked at in one go, and about how many bytes of events.
const LOOK: usize = 64;
const LOOK_BYTES: usize = 2 * PIECE;

/// One consumer's way through the ring.
pub struct Reader {
    events: Events,
    told: watch::Receiver<()>,
    filter: Filter,
    cursor: Cursor,
    /// The last event that it was given or that its filter left out; at first the one behind which it begins.
    last: EventId,
    /// Notices that are in no log and came before this place are old news.
    since: u64,
    /// What it missed before it began.
    gap: Option<Notice>,
}

/// What a reader is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pull {
    /// Whole frames, one after the other.
    Some(Bytes),
    /// Nothing that passes the filter, and there may be more.
    More,
    /// It has all there is.
    All,
    /// What it would be given next is gone. It ends.
    Lost,
}

/// Small pieces that are put together, or one big one.
#[derive(Default)]
struct Pieces {
    whole: Option<Bytes>,
    together: BytesMut,
}

// === impl Reader ===

impl Reader {
    pub(super) fn new(events: Events, start: &Start, filter: Filter) -> Reader {
        let told = events.shared.told.subscribe();
        let ring = events.ring();
        let (cursor, gap) = match start {
            Start::Now => (ring.end(), None),
            Start::Behind(last) => match ring.behind(last) {
                Ok(cursor) => (cursor, None),
                Err((cursor, gap)) => (cursor, Some(gap)),
            },
        };
        let (since, last) = (ring.end().place, ring.before(cursor));
        drop(ring);
        events.shared.consumers.inc();
        Reader { events, told, filter, cursor, last, since, gap }
    }

    /// What it wants to see.
    pub fn filter(&self) -> &Filter {
        &self.filter
    }

    /// What it missed before it began, once.
    pub fn take_gap(&mut self) -> Option<Notice> {
        self.gap.take()
    }

    /// Tells those who follow that this one came; it is not told of itself.
    pub fn attach(&mut self, notice: Notice, at: Timestamp) {
        self.since = self.events.tell(notice, at) + 1;
    }

    /// The last event that it was given or that its filter left out; at first the one behind which it begins.
    pub fn last(&self) -> EventId {
        self.last
    }

    /// The next frames.
    pub fn pull(&mut self) -> Pull {
        let batches: Vec<_> = match self.events.ring().from(self.cursor) {
            Some(batches) => {
                let mut room = LOOK_BYTES;
                let enough = |batch: &&Arc<Batch>| {
                    let more = room > 0;
                    room = room.saturating_sub(batch.weight);
                    more
                };
                batches.take_while(enough).take(LOOK).cloned().collect()
            }
            None => {
                self.events.shared.overflows.inc();
                return Pull::Lost;
            }
        };
        if batches.is_empty() {
            return Pull::All;
        }
        let mut pieces = Pieces::default();
        for batch in batches {
            self.add(&batch, &mut pieces);
            self.cursor = Cursor { place: batch.place + 1, skip: 0 };
            if let Content::Log { .. } = batch.content {
                self.last = batch.last;
            }
            if pieces.is_full() {
                break;
            }
        }
        pieces.finish().map_or(Pull::More, Pull::Some)
    }

    /// Waits until something may have happened since [`Reader::pull`] gave nothing.
    pub async fn wait(&mut self) {
        // The sender lives as long as this holds the events.
        let _gone = self.told.changed().await;
    }

    fn add(&self, batch: &Batch, pieces: &mut Pieces) {
        let (filter, skip) = (&self.filter, self.cursor.skip);
        match &batch.content {
            Content::Passing(notice) => {
                if batch.place >= self.since && filter.takes_notice(notice) {
                    pieces.add(batch.text(filter.plans).bytes);
                }
            }
            Content::Log { events, .. } if skip >= events.len() => {}
            Content::Log { .. } if filter.is_open() && !batch.has_ours => {
                pieces.add(batch.text(filter.plans).from(skip));
            }
            Content::Log { events, .. } => {
                let mut text = None;
                for (place, event) in events.iter().enumerate().skip(skip) {
                    if filter.takes(event) {
                        let text = text.get_or_insert_with(|| batch.text(filter.plans));
                        pieces.add(text.frame(place));
                    }
                }
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.events.shared.consumers.dec();
    }
}

// === impl Pieces ===

impl Pieces {
    fn add(&mut self, piece: Bytes) {
        match self.whole.take() {
            None if self.together.is_empty() => self.whole = Some(piece),
            Some(before) => {
                self.together.reserve(PIECE.max(before.len() + piece.len()));
                self.together.extend_from_slice(&before);
                self.together.extend_from_slice(&piece);
            }
            None => self.together.extend_from_slice(&piece),
        }
    }

    fn is_full(&self) -> bool {
        self.whole.as_ref().is_some_and(|piece| piece.len() >= WHOLE)
            || self.together.len() >= PIECE
    }

    fn finish(self) -> Option<Bytes> {
        self.whole.or_else(|| (!self.together.is_empty()).then(|| self.together.freeze()))
    }
}
