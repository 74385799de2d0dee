//! Whose probe is next: each check of each life in its own rhythm, a bounded number at once.
//!
//! A check is asked again only when its last probe is over: one that is slower than its interval slows itself down, and
//! takes no room from others.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::mind::checks::probe::{CheckNo, ProbeId};
use crate::agent::runtime::SandboxId;
use crate::model::time::Timestamp;

/// As many probes go at once (HC-2).
pub(super) const AT_ONCE: usize = 256;

/// What is due when, and what is under way.
#[derive(Clone, Debug, Default)]
pub(in crate::agent::mind) struct Turns {
    lives: BTreeMap<SandboxId, BTreeMap<CheckNo, Turn>>,
    due: BTreeSet<(Timestamp, SandboxId, CheckNo)>,
    /// Probes that have no answer yet, also of lives that are over.
    under_way: BTreeSet<u64>,
    count: u64,
}

/// How far one check is.
#[derive(Clone, Copy, Debug)]
enum Turn {
    /// It is asked then.
    Due(Timestamp),
    /// It was asked then, by the probe of this number.
    Asked(Timestamp, u64),
}

// === impl Turns ===

impl Turns {
    /// Whether a life is probed.
    pub(in crate::agent::mind) fn has(&self, id: SandboxId) -> bool {
        self.lives.contains_key(&id)
    }

    /// A life's checks are asked from then on.
    pub(super) fn begin(&mut self, id: SandboxId, checks: Vec<(CheckNo, Timestamp)>) {
        for (check, at) in &checks {
            self.due.insert((*at, id, *check));
        }
        let turns = checks.into_iter().map(|(check, at)| (check, Turn::Due(at)));
        self.lives.insert(id, turns.collect());
    }

    /// A life is asked no more.
    pub(in crate::agent::mind) fn end(&mut self, id: SandboxId) {
        for (check, turn) in self.lives.remove(&id).unwrap_or_default() {
            if let Turn::Due(at) = turn {
                self.due.remove(&(at, id, check));
            }
        }
    }

    /// Takes a check that is due, if there is room; the longest due first.
    pub(super) fn take(&mut self, now: Timestamp) -> Option<ProbeId> {
        if self.under_way.len() >= AT_ONCE {
            return None;
        }
        let (at, sandbox, check) = self.due.first().copied().filter(|(at, ..)| *at <= now)?;
        self.due.remove(&(at, sandbox, check));
        self.count += 1;
        let no = self.count;
        let turns = self.lives.get_mut(&sandbox)?;
        turns.insert(check, Turn::Asked(now, no));
        self.under_way.insert(no);
        Some(ProbeId { sandbox, check, no })
    }

    /// A probe is over. When it was begun, if its check still waits for it.
    pub(super) fn answered(&mut self, id: ProbeId) -> Option<Timestamp> {
        self.under_way.remove(&id.no);
        match self.lives.get(&id.sandbox)?.get(&id.check)? {
            Turn::Asked(began, no) if *no == id.no => Some(*began),
            Turn::Asked(..) | Turn::Due(_) => None,
        }
    }

    /// A check that was answered is asked again then, or never.
    pub(super) fn again(&mut self, sandbox: SandboxId, check: CheckNo, at: Option<Timestamp>) {
        let Some(turns) = self.lives.get_mut(&sandbox) else { return };
        match at {
            Some(at) => {
                turns.insert(check, Turn::Due(at));
                self.due.insert((at, sandbox, check));
            }
            None => {
                turns.remove(&check);
            }
        }
    }

    /// When something is to be asked; with no room the next answer says so.
    pub(in crate::agent::mind) fn next_wake(&self) -> Option<Timestamp> {
        let has_room = self.under_way.len() < AT_ONCE;
        self.due.first().map(|(at, ..)| *at).filter(|_| has_room)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::mind::testing::{id, key};

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// HC-2: at most 256 at once; the rest waits, the longest due first.
    #[test]
    fn as_many_as_there_is_room_for() {
        let mut turns = Turns::default();
        for no in 0..300 {
            turns.begin(id(key(1, no), 1), vec![(CheckNo::Health(0), at(i64::from(no)))]);
        }
        let mut asked = Vec::new();
        while let Some(probe) = turns.take(at(1_000)) {
            asked.push(probe);
        }
        assert_eq!(asked.len(), AT_ONCE);
        assert_eq!(turns.next_wake(), None, "an answer wakes");
        // One whose life is over gives its room back all the same.
        turns.end(asked[0].sandbox);
        assert_eq!(turns.answered(asked[0]), None);
        assert_eq!(turns.next_wake(), Some(at(256)));
        assert_eq!(turns.take(at(1_000)).map(|probe| probe.sandbox), Some(id(key(1, 256), 1)));
        assert_eq!(turns.take(at(1_000)), None);
    }

    #[test]
    fn an_answer_counts_once_and_for_its_own_probe() {
        let mut turns = Turns::default();
        let (life, check) = (id(key(1, 1), 1), CheckNo::Plain);
        turns.begin(life, vec![(check, at(5))]);
        assert_eq!(turns.take(at(4)), None);
        let first = turns.take(at(5)).expect("due");
        assert_eq!(turns.take(at(500)), None, "it is not asked twice at once");
        assert_eq!(turns.answered(first), Some(at(5)));
        turns.again(life, check, Some(at(10)));
        assert_eq!(turns.answered(first), None);
        turns.end(life);
        turns.begin(life, vec![(check, at(20))]);
        let second = turns.take(at(20)).expect("due");
        assert_eq!(turns.answered(ProbeId { no: first.no, ..second }), None);
        assert_eq!(turns.answered(second), Some(at(20)));
        turns.again(life, check, None);
        assert_eq!(turns.next_wake(), None);
    }
}
