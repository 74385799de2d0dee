//! Those who balance requests over tasks: an instance that serves is asked to end only once they know that it is going.
//!
//! [`logic::audience`](crate::logic::audience) has the rules. Here is what connects them: the API and streams of events say what they have shown to whom, the
//! brain's thread says who is out of every answer, and what need not wait any longer goes back as a fact. What the brain
//! is told is no more than that; how long an instance waits at most is in its row.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, mpsc};

use crate::control::clock::Clock;
use crate::logic::audience::{Draining, Reader, Room};
use crate::model::fact::Fact;
use crate::model::id::CommitNo;
use crate::model::path::AppPath;
use crate::model::time::Timestamp;

/// Between two looks while somebody waits, or may have stopped to look.
const LOOK: Duration = Duration::from_millis(25);
const LOOK_AT_REST: Duration = Duration::from_secs(1);

/// Those who balance, as all parts of a server know them. Cheap to copy.
#[derive(Clone)]
pub struct Audience(Arc<Shared>);

struct Shared {
    clock: Clock,
    room: Mutex<Room>,
    changed: Notify,
}

/// A stream's place among them; it leaves with this.
pub struct Seat {
    audience: Audience,
    stream: u64,
}

// === impl Audience ===

impl Audience {
    /// Nobody yet.
    pub fn new() -> Audience {
        let clock = Clock::start(Timestamp::default());
        let shared = Shared { clock, room: Mutex::new(Room::default()), changed: Notify::new() };
        Audience(Arc::new(shared))
    }

    /// Somebody is answered with tasks as of commit `seen`.
    pub fn read(&self, reader: Reader, seen: CommitNo) {
        let now = self.0.clock.now();
        if self.room().read(now, reader, seen) {
            self.0.changed.notify_one();
        }
    }

    /// Somebody follows the ends of tasks of these apps and groups, or of all.
    pub fn follow(&self, of: Vec<AppPath>) -> Seat {
        let stream = self.room().follow(of);
        self.0.changed.notify_one();
        Seat { audience: self.clone(), stream }
    }

    /// These are out of every answer.
    pub fn wait(&self, draining: Vec<Draining>) {
        if !draining.is_empty() {
            self.room().wait(draining);
            self.0.changed.notify_one();
        }
    }

    /// Tells the brain whether anybody balances, and what need not wait any longer, until it is gone. `inherited` are
    /// instances that wait already; `watched` says whether others may have watched what runs before this began.
    pub async fn watch(self, facts: mpsc::Sender<Fact>, inherited: Vec<Draining>, watched: bool) {
        if watched {
            let now = self.0.clock.now();
            self.room().begin(now);
        }
        self.wait(inherited);
        let mut told = false;
        loop {
            let (attended, released, waits) = {
                let now = self.0.clock.now();
                let mut room = self.room();
                (room.is_attended(now), room.release(now), room.is_waited_in())
            };
            let attended = (attended != told).then_some(Fact::Attended { by_anybody: attended });
            let released = (!released.is_empty()).then_some(Fact::Released { lives: released });
            for fact in [attended, released].into_iter().flatten() {
                if let Fact::Attended { by_anybody } = fact {
                    told = by_anybody;
                }
                if facts.send(fact).await.is_err() {
                    return;
                }
            }
            let look = if waits { LOOK } else { LOOK_AT_REST };
            tokio::select! {
                () = self.0.changed.notified() => {}
                () = tokio::time::sleep(look) => {}
            }
        }
    }

    fn room(&self) -> MutexGuard<'_, Room> {
        self.0.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Audience {
    fn default() -> Audience {
        Audience::new()
    }
}

// === impl Seat ===

impl Seat {
    /// It has been given the events up to commit `seen`.
    pub fn told(&self, seen: CommitNo) {
        let now = self.audience.0.clock.now();
        self.audience.room().told(now, self.stream, seen);
        self.audience.0.changed.notify_one();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.audience.room().leave(self.stream);
        self.audience.0.changed.notify_one();
    }
}
