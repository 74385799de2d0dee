//! How long the part of a log that a sweep has made needless is kept all the same: its events are what clients go on by
//! that come back after a restart.
//!
//! Rows are not missed there, events are. So the head moves when enough events have happened since, or enough time has
//! passed; sooner only when the log has grown far beyond its measure, or the store is full.

use crate::model::commit::Commit;
use crate::model::id::CommitNo;
use crate::model::time::{Span, Timestamp};

/// So many events back a client may have been.
pub const EVENTS: u64 = 100_000;

/// So long it may have been away; whichever comes first.
pub const TIME: Span = Span::secs(600);

/// A log that is so many times as long as one that would be swept is not kept any longer.
pub const PATIENCE: u64 = 4;

/// The sweep whose beginning is the next head.
#[derive(Clone, Copy, Debug, Default)]
pub struct History {
    swept: Option<Swept>,
}

#[derive(Clone, Copy, Debug)]
struct Swept {
    /// The commit that it began with.
    began: CommitNo,
    /// When it was complete.
    at: Timestamp,
    /// How many events there have been since.
    events: u64,
}

// === impl History ===

impl History {
    /// Books commits that were stored, in order. Gives the commit before which nothing is needed any more, once.
    pub fn stored(&mut self, commits: &[Commit]) -> Option<CommitNo> {
        for commit in commits {
            if let Some(swept) = &mut self.swept {
                swept.events += commit.events.len() as u64;
            }
            if let Some(began) = commit.swept_from {
                self.swept = Some(Swept { began, at: commit.at, events: 0 });
            }
        }
        let (swept, now) = (self.swept?, commits.last()?.at);
        if swept.events >= EVENTS || now.since(swept.at) >= TIME { self.release() } else { None }
    }

    /// Whether a sweep is complete whose head has not moved yet: then another one frees nothing.
    pub fn is_kept(&self) -> bool {
        self.swept.is_some()
    }

    /// Keeps nothing any longer.
    pub fn release(&mut self) -> Option<CommitNo> {
        self.swept.take().map(|swept| swept.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{AT, commit, event};

    fn at(no: u64, seconds: u64, events: usize) -> Commit {
        let events = (0..events).map(|_| event(1)).collect();
        Commit { at: AT + Span::secs(seconds), events, ..commit(no, 1) }
    }

    #[test]
    fn what_a_sweep_frees_is_kept_for_a_time_or_for_so_many_events() {
        let swept = |no, seconds| Commit { swept_from: Some(CommitNo(2)), ..at(no, seconds, 9) };
        let mut history = History::default();
        assert_eq!(history.stored(&[at(1, 0, 3), at(2, 1, 3), swept(3, 2)]), None);
        assert!(history.is_kept());
        assert_eq!(history.stored(&[at(4, 601, 5)]), None, "not yet ten minutes");
        assert_eq!(history.stored(&[at(5, 602, 0)]), Some(CommitNo(2)));
        assert!(!history.is_kept());
        assert_eq!(history.stored(&[at(6, 900, 5)]), None, "once");

        assert_eq!(history.stored(&[swept(7, 901)]), None);
        assert_eq!(history.stored(&[at(8, 902, 99_999)]), None);
        assert_eq!(history.stored(&[at(9, 903, 1)]), Some(CommitNo(2)));

        history.stored(&[swept(10, 904)]);
        assert_eq!(history.release(), Some(CommitNo(2)));
        assert_eq!(history.release(), None);
    }
}
