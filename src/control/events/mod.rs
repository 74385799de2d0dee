//! What happened, for whoever follows: the newest durable events in one order, each put into words once for all readers.
//!
//! ```text
//!  brain's thread ── push ──▶ Ring ◀── take from a place on ── Reader (one per consumer: a place and a filter)
//!        └── nudge ─▶ herald ── one wake-up for all ──────────▶┘
//! ```
//!
//! A reader costs its place in the ring and nothing else: no queue, no copy. Its id of an event is the commit and its
//! number there, so it goes on on any server that has the log, also after a restart: the ring is filled from the log's
//! tail. What is not kept is told as a gap, never passed over. The brain's thread wakes one herald, which wakes the
//! readers: a thousand wake-ups are not the brain's to make, and what happens meanwhile goes out in one write.

mod batch;
mod filter;
mod reader;
mod ring;
#[cfg(test)]
mod tests;
mod weight;

pub use batch::Published;
pub use filter::Filter;
pub use reader::{Pull, Reader};
pub use ring::{Bounds, Start};

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use prometheus::{IntCounter, IntGauge};
use tokio::sync::{Notify, watch};

use crate::contract::show::event::Notice;
use crate::control::events::ring::Ring;
use crate::control::gauges::Gauges;
use crate::model::event::EventId;
use crate::model::time::Timestamp;

/// After readers were woken, what happens is gathered for so long. Keeps a busy server from waking thousands of readers
/// at each commit; the first event after quiet is told at once.
const GATHER: Duration = Duration::from_millis(2);

/// The newest events. Cheap to copy.
#[derive(Clone)]
pub struct Events {
    shared: Arc<Shared>,
}

struct Shared {
    ring: RwLock<Ring>,
    /// Something was pushed.
    nudge: Arc<Notify>,
    /// Readers wait on this; the value says nothing.
    told: watch::Sender<()>,
    /// Whether the herald runs. It needs a runtime, which the first reader brings.
    heralded: AtomicBool,
    consumers: IntGauge,
    published: IntCounter,
    overflows: IntCounter,
}

// === impl Events ===

impl Events {
    /// None yet.
    pub fn new(gauges: &Gauges) -> Events {
        Events::bounded(gauges, Bounds::USUAL)
    }

    /// None yet, within other bounds.
    pub fn bounded(gauges: &Gauges, bounds: Bounds) -> Events {
        let shared = Shared {
            ring: RwLock::new(Ring::new(bounds)),
            nudge: Arc::new(Notify::new()),
            told: watch::Sender::new(()),
            heralded: AtomicBool::new(false),
            consumers: gauges.event_consumers.clone(),
            published: gauges.events_published.clone(),
            overflows: gauges.event_overflows.clone(),
        };
        Events { shared: Arc::new(shared) }
    }

    /// Takes what the log had at the start, oldest first. Everything after `complete_after` is in it.
    pub fn restore(&self, kept: Vec<Published>, complete_after: EventId) {
        self.write().restore(kept, complete_after);
    }

    /// Takes what became durable, in order.
    pub fn publish(&self, published: Vec<Published>) {
        let parts: Vec<Published> = published.into_iter().flat_map(Published::parts).collect();
        let count: usize = parts.iter().map(|part| part.events.len()).sum();
        if count == 0 {
            return;
        }
        let mut ring = self.write();
        for part in parts {
            ring.push(part);
        }
        drop(ring);
        self.shared.published.inc_by(count as u64);
        self.shared.nudge.notify_one();
    }

    /// Tells those who follow now something that is in no log; gives its place among what is told.
    pub fn tell(&self, notice: Notice, at: Timestamp) -> u64 {
        let place = self.write().pass(notice, at);
        self.shared.nudge.notify_one();
        place
    }

    /// Wakes all readers although nothing happened.
    pub fn wake(&self) {
        self.shared.nudge.notify_one();
    }

    /// A reader from a place on.
    pub fn read(&self, start: &Start, filter: Filter) -> Reader {
        self.herald();
        Reader::new(self.clone(), start, filter)
    }

    fn ring(&self) -> RwLockReadGuard<'_, Ring> {
        self.shared.ring.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Ring> {
        self.shared.ring.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn herald(&self) {
        if self.shared.heralded.swap(true, Ordering::Relaxed) {
            return;
        }
        let (nudge, shared) = (self.shared.nudge.clone(), Arc::downgrade(&self.shared));
        tokio::spawn(async move {
            loop {
                nudge.notified().await;
                match shared.upgrade() {
                    Some(shared) => shared.told.send_replace(()),
                    None => return,
                }
                tokio::time::sleep(GATHER).await;
            }
        });
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // The herald finds that there is nothing to tell of any more.
        self.nudge.notify_one();
    }
}
