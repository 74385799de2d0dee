//! The brain: facts in, one commit out, a view when that is durable.
//!
//! It owns the world, everything derived from it and the list of what must be looked at. Sans-IO: the shell feeds it
//! facts with the time, stores its commits and tells it what is durable; the simulator does the same.

use std::collections::VecDeque;

use crate::logic::absorb::{absorb, resume};
use crate::logic::draft::{Dirty, Draft, Limits, Subject};
use crate::logic::index::Index;
use crate::logic::round;
use crate::model::autopsy::AutopsyKey;
use crate::model::commit::Commit;
use crate::model::fact::{Answer, Fact, Ticket};
use crate::model::id::{AppKey, CommitNo, Epoch};
use crate::model::row::{Key, Write};
use crate::model::table::Table;
use crate::model::time::{Span, Timestamp};
use crate::model::view::{Verdict, View};
use crate::model::world::{Broken, World};
use crate::planted::planted;

/// Commits that may wait for the store; at the bound the brain stops and the API answers 503.
pub const MAX_PENDING: usize = 64;
/// Facts of one step.
const FACT_BUDGET: usize = 4_096;
/// Rows written by one step; beyond it what is dirty waits for the next.
const WRITE_BUDGET: usize = 8_192;
/// Rows put again by one step of a sweep.
const SWEEP_ROWS: usize = 1_024;
/// How often everything is looked at, whether marked or not; what that finds counts as a missed wake-up.
const FULL_MARK: Span = Span::secs(60);

/// Answers by who is told.
#[derive(Debug, Default)]
pub struct Answers {
    /// Clients of the API, by the numbers of their tickets.
    pub clients: Vec<(u64, Answer)>,
    /// Agents.
    pub agents: Vec<(Ticket, Answer)>,
}

/// The brain of the leader.
pub struct Brain {
    epoch: Epoch,
    no: CommitNo,
    now: Timestamp,
    limits: Limits,
    world: World,
    index: Index,
    dirty: Dirty,
    verdicts: Table<AppKey, Verdict>,
    pending: VecDeque<Pending>,
    durable: View,
    sweep: Option<Sweep>,
    next_full_mark: Timestamp,
    missed_wakes: u64,
    /// Whether this leadership has taken up the waits of the one before.
    resumed: bool,
    /// Whether anybody balances requests over tasks, as far as this leadership was told.
    attended: bool,
}

struct Pending {
    no: CommitNo,
    at: Timestamp,
    world: World,
    verdicts: Table<AppKey, Verdict>,
}

/// A pass over all rows that puts each again, so that the log before it may go.
struct Sweep {
    began: CommitNo,
    after: Option<Key>,
}

// === impl Brain ===

impl Brain {
    /// A brain over `world` as it was after commit `no` at `at`. Everything is looked at in the first step.
    pub fn load(world: World, epoch: Epoch, no: CommitNo, at: Timestamp, limits: Limits) -> Brain {
        let world = planted!("backoff-lost-at-failover", world, without_backoffs(world));
        let index = Index::build(&world);
        let durable = View { epoch, no, at, world: world.clone(), verdicts: Table::default() };
        let mut brain = Brain {
            epoch,
            no,
            now: at,
            limits,
            world,
            index,
            dirty: Dirty::default(),
            verdicts: Table::default(),
            pending: VecDeque::new(),
            durable,
            sweep: None,
            next_full_mark: at + FULL_MARK,
            missed_wakes: 0,
            resumed: false,
            attended: false,
        };
        brain.mark_all();
        brain
    }

    /// Takes facts, up to a budget, and decides what is dirty. `None`: there was nothing to change, or too many commits
    /// wait for the store.
    pub fn step(&mut self, now: Timestamp, facts: &mut VecDeque<Fact>) -> Option<Commit> {
        if self.pending.len() >= MAX_PENDING {
            return None;
        }
        // Time is steady: never behind anything already decided.
        let now = now.max(self.now);
        self.mark_due(now);
        let begins = !std::mem::replace(&mut self.resumed, true);
        let was_quiet = !begins
            && facts.is_empty()
            && self.dirty.subjects.is_empty()
            && self.dirty.fresh.is_empty();
        let full = now >= self.next_full_mark;
        if full {
            self.next_full_mark = now + FULL_MARK;
            self.mark_all();
        }
        let no = self.no.next();
        let mut draft = Draft::begin(
            now,
            no,
            self.limits,
            &mut self.attended,
            &mut self.world,
            &mut self.index,
            &mut self.dirty,
            &mut self.verdicts,
        );
        if begins {
            resume(&mut draft);
        }
        for fact in take_facts(facts) {
            absorb(&mut draft, fact);
        }
        round::all(&mut draft, WRITE_BUDGET);
        let drafted = draft.finish();
        self.now = now;
        if full && was_quiet && !drafted.writes.is_empty() {
            self.missed_wakes += 1;
        }
        let mut writes = drafted.writes;
        let swept_from = self.sweep_some(&mut writes);
        if writes.is_empty() && drafted.events.is_empty() && drafted.answers.is_empty() {
            return None;
        }
        self.no = no;
        let world = self.world.clone();
        self.pending.push_back(Pending {
            no,
            at: now,
            world: world.clone(),
            verdicts: self.verdicts.clone(),
        });
        Some(Commit {
            no,
            at: now,
            writes,
            events: drafted.events,
            answers: drafted.answers,
            swept_from,
            world,
        })
    }

    /// The commits up to `no` are durable: what readers may see from now on.
    pub fn durable(&mut self, no: CommitNo) -> View {
        while self.pending.front().is_some_and(|pending| pending.no <= no) {
            let Some(pending) = self.pending.pop_front() else { break };
            self.durable = View {
                epoch: self.epoch,
                no: pending.no,
                at: pending.at,
                world: planted!("view-before-durable", pending.world, self.world.clone()),
                verdicts: pending.verdicts,
            };
        }
        self.view()
    }

    /// What readers may see. The verdicts are no rows: when nothing is pending the newest may be shown at once.
    pub fn view(&self) -> View {
        let mut view = self.durable.clone();
        if self.pending.is_empty() {
            view.verdicts = self.verdicts.clone();
        }
        view
    }

    /// When to step although no fact came.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if !self.dirty.subjects.is_empty() || !self.dirty.fresh.is_empty() || self.sweep.is_some() {
            return Some(self.now);
        }
        let timer = self.index.timers.next(self.now);
        Some(timer.map_or(self.next_full_mark, |timer| timer.min(self.next_full_mark)))
    }

    /// Begins to put every row again, unless that is going on.
    pub fn sweep(&mut self) {
        if self.sweep.is_none() {
            self.sweep = Some(Sweep { began: self.no.next(), after: None });
        }
    }

    /// How often the periodic look at everything found something that no mark had announced. Must stay 0.
    pub fn missed_wakes(&self) -> u64 {
        self.missed_wakes
    }

    /// How many commits wait for the store.
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many apps wait for a place.
    pub fn waiting(&self) -> usize {
        self.index.apps.waiting_count()
    }

    /// The world after the newest commit, durable or not.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Looks at everything in the next step. At rest that must change nothing.
    pub fn mark_all(&mut self) {
        let world = &self.world;
        let agents = world.agents.iter().map(|(key, _)| Subject::Agent(*key));
        let apps = world.apps.iter().map(|(key, _)| Subject::App(*key));
        let deployments = world.deployments.iter().map(|(id, _)| Subject::Deployment(*id));
        let deploys = self.index.deploys.live().map(Subject::Deploy);
        let all = agents.chain([Subject::Brake]).chain(apps).chain(deployments).chain(deploys);
        self.dirty.subjects.extend(all);
    }

    /// Whether the index follows from the rows and the rows hold their laws.
    ///
    /// # Errors
    /// Every law that does not hold, in words.
    pub fn check(&self) -> Result<(), Vec<Broken>> {
        let mut broken = self.world.check().err().unwrap_or_default();
        broken.extend(self.index.check(&self.world).err().unwrap_or_default());
        if broken.is_empty() { Ok(()) } else { Err(broken) }
    }

    fn mark_due(&mut self, now: Timestamp) {
        let due: Vec<Key> = self.index.timers.between(self.now, now).collect();
        for key in due {
            let subject = match key {
                Key::Instance(key) => Subject::App(key.app),
                Key::App(key)
                | Key::AppVersion(key, _)
                | Key::Autopsy(AutopsyKey { app: key, .. }) => Subject::App(key),
                Key::Agent(key) => {
                    self.dirty.fresh.insert(key);
                    Subject::Agent(key)
                }
                Key::Deployment(id) | Key::Outcome((_, id)) => Subject::Deployment(id),
                Key::Deploy(id) => Subject::Deploy(id),
                Key::Meta => Subject::Brake,
            };
            self.dirty.subjects.insert(subject);
        }
    }

    /// Adds the next rows of a sweep, unchanged; gives the commit it began with when it is complete.
    fn sweep_some(&mut self, writes: &mut Vec<Write>) -> Option<CommitNo> {
        let sweep = self.sweep.as_mut()?;
        let rows: Vec<Write> = self
            .world
            .rows_after(sweep.after)
            .skip(planted!("sweep-drops-a-row", 0, usize::from(sweep.after.is_none())))
            .take(SWEEP_ROWS)
            .map(|(key, row)| Write { key, row: Some(row) })
            .collect();
        match rows.last() {
            Some(last) if rows.len() == SWEEP_ROWS => {
                sweep.after = Some(last.key);
                merge(writes, rows);
                None
            }
            Some(_) | None => {
                let began = sweep.began;
                self.sweep = None;
                merge(writes, rows);
                Some(began)
            }
        }
    }
}

/// Clients' asks first, then what agents say: after a failover the first write does not wait for a look at everything.
fn take_facts(facts: &mut VecDeque<Fact>) -> Vec<Fact> {
    let count = facts.len().min(FACT_BUDGET);
    let mut taken: Vec<Fact> = facts.drain(..count).collect();
    taken.sort_by_key(|fact| !matches!(fact, Fact::Asked { .. }));
    taken
}

#[cfg(feature = "planted")]
fn without_backoffs(mut world: World) -> World {
    for (key, app) in world.clone().apps.iter() {
        let app = crate::model::app::App { backoffs: Vec::new(), ..app.clone() };
        world.apply(&Write {
            key: Key::App(*key),
            row: Some(crate::model::row::Row::App(app.into())),
        });
    }
    world
}

/// Adds rows of a sweep that the step itself does not write.
fn merge(writes: &mut Vec<Write>, rows: Vec<Write>) {
    let written: std::collections::BTreeSet<Key> = writes.iter().map(|write| write.key).collect();
    writes.extend(rows.into_iter().filter(|write| !written.contains(&write.key)));
}

/// Sorts the answers of a commit by who is told.
pub fn sort_answers(answers: Vec<(Ticket, Answer)>, told: &mut Answers) {
    for (ticket, answer) in answers {
        match ticket {
            Ticket::Client(number) => told.clients.push((number, answer)),
            Ticket::Agent(..) => told.agents.push((ticket, answer)),
        }
    }
}
