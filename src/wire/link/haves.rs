//! What an agent has, and what of it the leader has acknowledged.
//!
//! One entry per life of an instance. A newer state replaces an older one that was not sent yet, so a slow session
//! costs no memory; the exception is an end: it is kept, beside whatever follows, until it is durable at the leader,
//! since nothing else would tell how the task ended.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::model::have::{Have, Phase};
use crate::model::id::{Incarnation, InstanceId, InstanceKey, Seq};
use crate::planted::planted;
use crate::wire::link::{WINDOW, encoded_size};

/// One life of one instance.
pub(super) type Life = (InstanceId, Incarnation);

/// What an agent has.
#[derive(Debug, Default)]
pub(super) struct Haves {
    entries: BTreeMap<Life, Entry>,
    /// Lives to send, in the order in which they changed; each once.
    due: VecDeque<Life>,
    /// Batches of this session that are not acknowledged.
    sent: BTreeMap<Seq, Vec<Life>>,
    /// The newest batch, of whatever session.
    newest: Seq,
    /// How many of `due` go before the agent may say that it has said all.
    ahead: usize,
}

#[derive(Debug)]
struct Entry {
    have: Have,
    /// What followed an end that is not durable yet.
    then: Option<Have>,
    progress: Progress,
    /// Whether a leader has acknowledged `have`, in whatever session.
    durable: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    /// It is in `due`.
    Due,
    /// It was sent in this session, and not acknowledged.
    Sent(Seq),
    /// Nothing to do.
    Acked,
}

// === impl Haves ===

impl Haves {
    /// Takes the newest state of one life.
    pub(super) fn put(&mut self, have: Have) {
        let life = (have.instance, have.incarnation);
        self.drop_older(life);
        if let Some(entry) = self.entries.get_mut(&life) {
            if entry.replace(have) {
                self.due.push_back(life);
            }
        } else if self.newest_life(life.0) < Some(life.1) || is_ended(&have) {
            self.entries.insert(life, Entry::new(have));
            self.due.push_back(life);
        }
    }

    /// The next batch of at most `limit` bytes, or of one have that is longer.
    pub(super) fn batch(&mut self, limit: usize) -> Option<(Seq, Vec<Have>)> {
        if self.sent.len() >= WINDOW {
            return None;
        }
        let (mut bytes, mut lives, mut haves) = (0, Vec::new(), Vec::new());
        while let Some(life) = self.due.front() {
            let entry = self.entries.get(life).filter(|entry| entry.progress == Progress::Due);
            if let Some(entry) = entry {
                let size = encoded_size(&entry.have);
                if !haves.is_empty() && bytes + size > limit {
                    break;
                }
                bytes += size;
                lives.push(*life);
                haves.push(entry.have.clone());
            }
            self.due.pop_front();
            self.ahead = self.ahead.saturating_sub(1);
        }
        if haves.is_empty() {
            return None;
        }
        self.newest = self.newest.next();
        for life in &lives {
            if let Some(entry) = self.entries.get_mut(life) {
                entry.progress = Progress::Sent(self.newest);
            }
        }
        self.sent.insert(self.newest, lives);
        Some((self.newest, haves))
    }

    /// Batches of this session up to `seq` are durable. Gives the lives whose end became so.
    pub(super) fn ack(&mut self, seq: Seq) -> Vec<Life> {
        let open = self.sent.split_off(&seq.next());
        let acked = std::mem::replace(&mut self.sent, open);
        let mut ended = Vec::new();
        for (seq, lives) in acked {
            for life in lives {
                if self.ack_life(seq, life) {
                    ended.push(life);
                }
            }
        }
        ended
    }

    /// A new session: everything is said again, the agent's part is over after what it has now. Only an end that is
    /// durable is history: it is said again if a leader that does not know of it asks for that life.
    pub(super) fn restart(&mut self) {
        self.sent.clear();
        for entry in self.entries.values_mut() {
            if planted!("haves-not-repeated", false, true) {
                continue;
            }
            let is_history = entry.durable && entry.then.is_none() && is_ended(&entry.have);
            entry.progress = if is_history { Progress::Acked } else { Progress::Due };
        }
        let due = self.entries.iter().filter(|(_, entry)| entry.progress == Progress::Due);
        self.due = due.map(|(life, _)| *life).collect();
        self.mark();
    }

    /// A leader asks for a life as if it had not ended: it was told of the end and has forgotten, as after the restore of
    /// an older backup.
    pub(super) fn wanted(&mut self, life: Life) {
        let Some(entry) = self.entries.get_mut(&life) else { return };
        if entry.progress == Progress::Acked && is_ended(&entry.have) {
            entry.progress = Progress::Due;
            self.due.push_back(life);
        }
    }

    /// The agent may say that it has said all after what is due now.
    pub(super) fn mark(&mut self) {
        self.ahead = self.due.len();
    }

    /// Whether everything up to the mark was sent.
    pub(super) fn is_past_mark(&self) -> bool {
        self.ahead == 0
    }

    /// All instances of which anything is left.
    pub(super) fn left(&self) -> Vec<(InstanceKey, InstanceId)> {
        let left = self.entries.values().map(Entry::newest).filter(|have| !is_absent(have));
        let left: BTreeSet<_> = left.map(|have| (have.key, have.instance)).collect();
        left.into_iter().collect()
    }

    /// The newest life of an instance of which anything is known.
    pub(super) fn newest_life(&self, instance: InstanceId) -> Option<Incarnation> {
        let lives = (instance, Incarnation(0))..=(instance, Incarnation(u32::MAX));
        self.entries.range(lives).next_back().map(|(life, _)| life.1)
    }

    /// Whether the end of this life waits for its acknowledgement.
    fn owes_end(entry: &Entry) -> bool {
        is_ended(&entry.have) && !entry.durable
    }

    /// Forgets earlier lives of an instance, unless their end is not durable.
    fn drop_older(&mut self, (instance, incarnation): Life) {
        let older = (instance, Incarnation(0))..(instance, incarnation);
        let gone = self.entries.range(older).filter(|(_, entry)| !Haves::owes_end(entry));
        let gone: Vec<Life> = gone.map(|(life, _)| *life).collect();
        for life in gone {
            self.entries.remove(&life);
        }
    }

    /// Whether the end of `life` became durable by this.
    fn ack_life(&mut self, seq: Seq, life: Life) -> bool {
        let Some(entry) = self.entries.get_mut(&life) else { return false };
        if entry.progress != Progress::Sent(seq) {
            return false;
        }
        let news = is_ended(&entry.have) && !entry.durable;
        entry.durable = true;
        entry.progress = Progress::Acked;
        if let Some(then) = entry.then.take() {
            *entry = Entry::new(then);
            self.due.push_back(life);
        } else if is_absent(&entry.have)
            || is_ended(&entry.have) && self.newest_life(life.0) > Some(life.1)
        {
            self.entries.remove(&life);
        }
        news
    }
}

// === impl Entry ===

impl Entry {
    fn new(have: Have) -> Entry {
        Entry { have, then: None, progress: Progress::Due, durable: false }
    }

    fn newest(&self) -> &Have {
        self.then.as_ref().unwrap_or(&self.have)
    }

    /// Takes a newer state; says whether it became due by that.
    fn replace(&mut self, have: Have) -> bool {
        if *self.newest() == have {
            return false;
        }
        if !self.durable && loses_end(&self.have, &have) {
            self.then = Some(have);
            return false;
        }
        self.then = None;
        if self.have == have {
            return false;
        }
        self.have = have;
        self.durable = false;
        std::mem::replace(&mut self.progress, Progress::Due) != Progress::Due
    }
}

/// Whether all tasks have ended, or nothing is left of them.
fn is_ended(have: &Have) -> bool {
    have.tasks.iter().all(|task| matches!(task.phase, Phase::Exited { .. } | Phase::Absent))
}

/// Whether nothing is left.
fn is_absent(have: &Have) -> bool {
    have.tasks.iter().all(|task| task.phase == Phase::Absent)
}

/// Whether `new` no longer says how a task ended.
fn loses_end(old: &Have, new: &Have) -> bool {
    old.tasks.iter().filter(|task| matches!(task.phase, Phase::Exited { .. })).any(|ended| {
        let task = new.tasks.iter().find(|task| task.task == ended.task);
        task.is_none_or(|task| !matches!(task.phase, Phase::Exited { .. }))
    })
}
