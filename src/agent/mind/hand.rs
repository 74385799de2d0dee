//! What the mind knows of one hand: whether it answers, whether its list is fresh, and whose state is in doubt.
//!
//! A hand is asked for its list at the start, after each return, and whenever the outcome of a call is unknown: an error
//! is never evidence (house.md, invariant 9). A list says nothing about what was touched since it was begun.

use std::collections::BTreeSet;

use crate::agent::mind::backoff::Backoff;
use crate::agent::runtime::SandboxId;
use crate::model::time::Timestamp;

/// One hand.
#[derive(Clone, Debug, Default)]
pub(super) struct HandState {
    down: bool,
    fresh: bool,
    once: bool,
    listing: Option<Listing>,
    /// Removed since the list under way was begun, so it may still show them.
    removed: BTreeSet<SandboxId>,
    doubts: BTreeSet<SandboxId>,
    backoff: Backoff,
}

/// What a list that came can know.
pub(super) struct Listed {
    /// The tick at which it was begun.
    pub(super) began: u64,
    /// Removed since.
    pub(super) removed: BTreeSet<SandboxId>,
}

/// A list under way.
#[derive(Clone, Copy, Debug)]
struct Listing {
    /// The tick at which it was begun.
    began: u64,
    /// Begun before the hand went away, so it does not make the list fresh.
    stale: bool,
}

// === impl HandState ===

impl HandState {
    /// Whether it answers and has shown all it has.
    pub(super) fn is_ready(&self) -> bool {
        !self.down && self.fresh
    }

    /// Whether it has ever shown all it has.
    pub(super) fn was_listed(&self) -> bool {
        self.once
    }

    /// It does not answer: what it has stays as it was known.
    pub(super) fn went_down(&mut self) {
        self.down = true;
        self.came_back_unknown();
    }

    /// It answers again: all is to be listed anew.
    pub(super) fn came_up(&mut self) {
        self.down = false;
        self.came_back_unknown();
        self.backoff.reset();
    }

    /// The outcome of a call is unknown.
    pub(super) fn doubt(&mut self, id: SandboxId) {
        self.doubts.insert(id);
    }

    /// Begins a list if one is due.
    pub(super) fn begin_list(&mut self, now: Timestamp, tick: u64) -> bool {
        let due = self.wants_list() && self.backoff.waits(now).is_none();
        if due {
            self.listing = Some(Listing { began: tick, stale: false });
        }
        due
    }

    /// Nothing is left of this one.
    pub(super) fn removed(&mut self, id: SandboxId) {
        self.doubts.remove(&id);
        if self.listing.is_some() {
            self.removed.insert(id);
        }
    }

    /// A list came, if one was under way.
    pub(super) fn listed(&mut self, now: Timestamp) -> Option<Listed> {
        let listing = self.listing.take()?;
        if !listing.stale {
            self.fresh = true;
            self.once = true;
        }
        self.backoff.breathe(now);
        Some(Listed { began: listing.began, removed: std::mem::take(&mut self.removed) })
    }

    /// A list failed.
    pub(super) fn list_failed(&mut self, now: Timestamp) {
        self.listing = None;
        self.removed.clear();
        self.backoff.failed(now);
    }

    /// What is in doubt, to be put in again if a list did not settle it.
    pub(super) fn take_doubts(&mut self) -> BTreeSet<SandboxId> {
        std::mem::take(&mut self.doubts)
    }

    /// When the next list is due.
    pub(super) fn next_wake(&self, now: Timestamp) -> Option<Timestamp> {
        self.wants_list().then(|| self.backoff.waits(now).unwrap_or(now))
    }

    fn wants_list(&self) -> bool {
        !self.down && self.listing.is_none() && (!self.fresh || !self.doubts.is_empty())
    }

    fn came_back_unknown(&mut self) {
        self.fresh = false;
        if let Some(listing) = &mut self.listing {
            listing.stale = true;
        }
    }
}
