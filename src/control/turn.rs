//! The brain's thread: it takes what waits, steps, hands commits to the writer and publishes what has become durable.
//!
//! A thread of its own, since a step computes and never waits. No decision is made here.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::control::clock::Clock;
use crate::control::events;
use crate::control::fleet::Published;
use crate::control::gauges::Gauges;
use crate::control::server::Server;
use crate::logic::audience::Draining;
use crate::logic::brain::{Answers, Brain, MAX_PENDING, sort_answers};
use crate::model::commit::Commit;
use crate::model::fact::{Answer, Fact, Ticket};
use crate::model::id::{AgentKey, CommitNo, InstanceKey};
use crate::model::row::{Key, Row};

/// The most facts taken at once.
const TAKE: usize = 4_096;

/// What the writer tells the brain's thread.
#[derive(Debug)]
pub enum Notice {
    /// These commits are durable.
    Durable(Vec<Told>),
    /// The log has outgrown what is live.
    Sweep,
}

/// What is told to others once a commit is durable.
#[derive(Debug)]
pub struct Told {
    /// The commit.
    pub no: CommitNo,
    /// Who asked.
    pub answers: Vec<(Ticket, Answer)>,
    /// Instances whose wants may have changed, with the agents that they are or were on.
    pub changed: Vec<(AgentKey, InstanceKey)>,
    /// Instances that are out of every answer and not yet asked to end.
    pub draining: Vec<Draining>,
    /// Agents whose rows left.
    pub forgotten: Vec<AgentKey>,
    /// What happened.
    pub events: events::Published,
}

/// The brain's thread and what it talks to.
pub struct Turn {
    /// The brain.
    pub brain: Brain,
    /// The leader's steady time.
    pub clock: Clock,
    /// What comes in.
    pub inbox: mpsc::Receiver<Fact>,
    /// What the writer says. Bounded by the commits that may be pending.
    pub notices: mpsc::UnboundedReceiver<Notice>,
    /// Where commits go.
    pub writer: mpsc::Sender<Commit>,
    /// Who reads and asks.
    pub server: Server,
    /// Where wants go.
    pub fleet: mpsc::UnboundedSender<Published>,
    /// Figures.
    pub gauges: Gauges,
}

// === impl Told ===

impl Told {
    /// What is told of a commit.
    pub fn of(mut commit: Commit) -> Told {
        let place = |write: &crate::model::row::Write| match &write.row {
            Some(Row::Instance(row)) => row.place.as_ref().map(|place| (place.agent, row.key)),
            Some(_) | None => None,
        };
        let changed = commit.writes.iter().filter_map(place).collect();
        let forgotten = |write: &crate::model::row::Write| {
            let Key::Agent(agent) = write.key else { return None };
            write.row.is_none().then_some(agent)
        };
        let forgotten = commit.writes.iter().filter_map(forgotten).collect();
        let draining = |write: &crate::model::row::Write| match &write.row {
            Some(Row::Instance(row)) => Draining::of(row, &commit.world, commit.no),
            Some(_) | None => None,
        };
        let draining = commit.writes.iter().filter_map(draining).collect();
        let events = events::Published::of(&mut commit);
        Told { no: commit.no, answers: commit.answers, changed, draining, forgotten, events }
    }
}

// === impl Turn ===

impl Turn {
    /// Turns until the inbox or the writer is gone.
    pub async fn run(mut self) {
        let mut taken = Vec::with_capacity(TAKE);
        let mut facts = VecDeque::new();
        let mut more = true;
        self.server.publish(self.brain.view(), Vec::new());
        loop {
            let full = self.brain.pending() >= MAX_PENDING;
            let wake = self.wake(more && !full);
            tokio::select! {
                biased;
                notice = self.notices.recv() => match notice {
                    Some(notice) => self.notice(notice),
                    None => return,
                },
                count = self.inbox.recv_many(&mut taken, TAKE), if !full && facts.len() < TAKE => {
                    if count == 0 {
                        return;
                    }
                    facts.extend(taken.drain(..));
                }
                () = wake, if !full => {}
            }
            match self.step(&mut facts).await {
                Some(stepped) => more = stepped,
                None => return,
            }
        }
    }

    /// One step, so that what has become durable meanwhile is told before the next. Whether it changed anything; none
    /// when the writer is gone.
    async fn step(&mut self, facts: &mut VecDeque<Fact>) -> Option<bool> {
        let commit = self.brain.step(self.clock.now(), facts);
        let stepped = commit.is_some();
        if let Some(commit) = commit {
            // There is room for as many as the brain lets wait, so this never blocks for long.
            self.writer.send(commit).await.ok()?;
        }
        let missed = i64::try_from(self.brain.missed_wakes()).unwrap_or(i64::MAX);
        self.gauges.wakeups_missed.set(missed);
        if self.brain.pending() == 0 {
            // Verdicts are no rows: they are shown although nothing was stored.
            self.server.publish(self.brain.view(), Vec::new());
        }
        Some(stepped || !facts.is_empty())
    }

    /// Resolves when the brain is to step: at once while there is more to do, else when it is due.
    fn wake(&self, more: bool) -> impl Future<Output = ()> + use<> {
        let sleep = self.until_wake();
        async move {
            if more {
                tokio::task::yield_now().await;
            } else {
                tokio::time::sleep(sleep).await;
            }
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Sweep => self.brain.sweep(),
            Notice::Durable(told) => self.publish(told),
        }
    }

    fn publish(&mut self, told: Vec<Told>) {
        let Some(newest) = told.last().map(|told| told.no) else { return };
        let view = self.brain.durable(newest);
        let mut answers = Answers::default();
        let (mut changed, mut forgotten, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let mut draining = Vec::new();
        for told in told {
            sort_answers(told.answers, &mut answers);
            changed.extend(told.changed);
            draining.extend(told.draining);
            forgotten.extend(told.forgotten);
            events.push(told.events);
        }
        let Answers { clients, agents } = answers;
        self.server.publish(view, clients);
        self.server.audience().wait(draining);
        self.server.events().publish(events);
        if !agents.is_empty() || !changed.is_empty() || !forgotten.is_empty() {
            let view = self.server.view();
            // The fleet outlives the brain; without one there is nobody to tell.
            let _nobody = self.fleet.send(Published { view, answers: agents, changed, forgotten });
        }
    }

    fn until_wake(&self) -> Duration {
        match self.brain.next_wake() {
            Some(wake) => wake.since(self.clock.now()).into(),
            None => Duration::from_mins(1),
        }
    }
}
