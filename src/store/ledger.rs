//! The writer's books: which position comes next, at which position a commit begins, and how much of the log is live.
//!
//! Plain data, so that the simulator keeps the same books. The brain knows commits and no positions; the log knows
//! positions and no rows; this is where they meet.

use crate::model::commit::Commit;
use crate::model::id::{CommitNo, Epoch, Position};
use crate::model::row::Key;
use crate::model::world::World;
use crate::store::codec::{EncodeError, Item, Raw, encode, items};
use crate::store::record::Record;

/// How far the log may outgrow twice what is live before it is swept. Below it a sweep would cost more than it frees.
pub const SWEEP_SLACK_BYTES: u64 = 16 * 1024 * 1024;

/// The writer's books on a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    next: Position,
    newest: CommitNo,
    runs: Vec<Run>,
    sizes: [Mean; 9],
}

/// Commits of one record each, one after the other: most are, so that a run stands for many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    commit: CommitNo,
    at: Position,
}

/// The mean size of the rows of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mean {
    rows: u64,
    bytes: u64,
}

// === impl Ledger ===

impl Ledger {
    /// The books on a log whose next record goes to `next`.
    pub fn new(next: Position) -> Ledger {
        Ledger { next, newest: CommitNo::default(), runs: Vec::new(), sizes: [Mean::default(); 9] }
    }

    /// Where the next record goes.
    pub fn next(&self) -> Position {
        self.next
    }

    /// Packs the next commit into records, and books it. They are given to the store until they are stored.
    ///
    /// # Errors
    /// When a row is larger than a record may be; then nothing is booked.
    pub fn encode(&mut self, commit: &Commit, epoch: Epoch) -> Result<Vec<Record>, EncodeError> {
        let records = encode(commit, epoch, self.next)?;
        self.began(commit.no, self.next);
        self.next = Position(self.next.0 + records.len() as u64);
        for item in records.iter().flat_map(items) {
            if let Ok(Item::Row(key, Some(Raw(bytes)))) = item {
                self.wrote(&key, bytes.len());
            }
        }
        Ok(records)
    }

    /// At which position a commit begins, if it is booked: what a sweep that began with it lets the head move to.
    pub fn position_of(&self, commit: CommitNo) -> Option<Position> {
        let run = self.runs.iter().rev().find(|run| run.commit <= commit)?;
        (commit <= self.newest).then(|| Position(run.at.0 + (commit.0 - run.commit.0)))
    }

    /// Forgets what lies before a position, once the head is there.
    pub fn forget_before(&mut self, start: Position) {
        let later = self.runs.iter().skip(1).take_while(|run| run.at <= start).count();
        self.runs.drain(..later);
    }

    /// About how many bytes the rows of a world take in a log that holds nothing else.
    pub fn live_bytes(&self, world: &World) -> u64 {
        let counts = [
            usize::from(world.meta.is_some()),
            world.agents.len(),
            world.versions.len(),
            world.apps.len(),
            world.deployments.len(),
            world.outcomes.len(),
            world.instances.len(),
            world.autopsies.len(),
            world.deploys.len(),
        ];
        self.sizes.iter().zip(counts).map(|(mean, count)| mean.of(count as u64)).sum()
    }

    /// Whether a log of so many bytes is to be swept.
    pub fn sweep_is_due(&self, log_bytes: u64, world: &World) -> bool {
        log_bytes > 2 * self.live_bytes(world) + SWEEP_SLACK_BYTES
    }

    pub(super) fn began(&mut self, commit: CommitNo, at: Position) {
        if self.position_after_last_run(commit) != Some(at) {
            self.runs.push(Run { commit, at });
        }
        self.newest = commit;
    }

    pub(super) fn wrote(&mut self, key: &Key, bytes: usize) {
        self.sizes[kind(key)].add(bytes as u64);
    }

    fn position_after_last_run(&self, commit: CommitNo) -> Option<Position> {
        let run = self.runs.last()?;
        Some(Position(run.at.0 + commit.0.checked_sub(run.commit.0)?))
    }
}

// === impl Mean ===

impl Mean {
    /// What a mean is taken of. Older rows count less and less, so that it follows a change of what is written.
    const WINDOW: u64 = 1 << 20;

    fn add(&mut self, bytes: u64) {
        if self.rows >= Mean::WINDOW {
            self.rows /= 2;
            self.bytes /= 2;
        }
        self.rows += 1;
        self.bytes += bytes;
    }

    fn of(self, rows: u64) -> u64 {
        let mean = self.bytes.checked_div(self.rows);
        mean.map_or(0, |mean| rows * (mean + KEY_BYTES))
    }
}

/// About what a key and the lengths around a row take.
const KEY_BYTES: u64 = 8;

fn kind(key: &Key) -> usize {
    match key {
        Key::Meta => 0,
        Key::Agent(_) => 1,
        Key::AppVersion(..) => 2,
        Key::App(_) => 3,
        Key::Deployment(_) => 4,
        Key::Outcome(_) => 5,
        Key::Instance(_) => 6,
        Key::Autopsy(_) => 7,
        Key::Deploy(_) => 8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{commit, wide_commit};

    #[test]
    fn a_commit_is_found_whatever_lies_before_it() {
        let mut ledger = Ledger::new(Position(5));
        let mut begun = Vec::new();
        for no in 1..=9 {
            let commit = if no % 3 == 0 { wide_commit(no) } else { commit(no, 1) };
            begun.push((CommitNo(no), ledger.next()));
            ledger.encode(&commit, Epoch(1)).expect("small rows");
        }
        assert!(ledger.next() > Position(5 + 9), "some commits took several records");
        for (no, at) in &begun {
            assert_eq!(ledger.position_of(*no), Some(*at), "{no}");
        }
        assert_eq!(ledger.position_of(CommitNo(10)), None);

        let (no, start) = begun[5];
        ledger.forget_before(start);
        assert_eq!(ledger.position_of(no), Some(start));
        assert_eq!(ledger.position_of(CommitNo(9)), Some(begun[8].1));
        assert_eq!(ledger.position_of(CommitNo(1)), None);
    }

    #[test]
    fn a_log_is_swept_when_most_of_it_is_old() {
        let mut ledger = Ledger::new(Position(1));
        let commit = commit(1, 1_000);
        let records = ledger.encode(&commit, Epoch(1)).expect("small rows");
        let log: u64 = records.iter().map(|record| record.bytes.len() as u64).sum();
        let live = ledger.live_bytes(&commit.world);
        assert!(live.abs_diff(log) < log / 20, "{live} is about {log}");
        assert!(!ledger.sweep_is_due(log, &commit.world));
        assert!(!ledger.sweep_is_due(2 * live + SWEEP_SLACK_BYTES, &commit.world));
        assert!(ledger.sweep_is_due(2 * live + SWEEP_SLACK_BYTES + 1, &commit.world));
    }
}
