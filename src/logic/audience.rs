//! Who balances requests over tasks, what each of them has been shown, and for whom an instance still waits: pure.
//!
//! A reader is somebody who asks for tasks again and again; a stream is one of events that tells of their ends. Both count
//! for the apps that they see. A reader has taken in an answer when it asks again; a stream asks for nothing, so what it was
//! told counts as taken in after [`SETTLE`].

use std::collections::BTreeMap;

use crate::model::id::{CommitNo, Incarnation, InstanceKey};
use crate::model::instance::Instance;
use crate::model::path::AppPath;
use crate::model::time::{Span, Timestamp};
use crate::model::world::World;

/// After so long what a stream was told counts as taken in.
pub const SETTLE: Span = Span::secs(1);

/// Who has not asked for so long does not balance.
const FORGOTTEN: Span = Span::secs(60);

/// The most readers that are remembered; the longest silent one goes first.
const MAX_READERS: usize = 1_024;

/// For so long after a start nobody knows who balances: everything may have been watched before.
pub const UNKNOWN: Span = Span::secs(5);

/// Somebody who asks for tasks, as far as a server can tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reader {
    /// The address.
    pub address: String,
    /// What it calls itself.
    pub agent: String,
    /// The app or group whose tasks it asks for.
    pub of: AppPath,
}

/// An instance that is out of every answer and is not yet asked to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draining {
    /// Which.
    pub key: InstanceKey,
    /// In which life.
    pub incarnation: Incarnation,
    /// Its app.
    pub path: AppPath,
    /// The commit since which it is out of every answer.
    pub since: CommitNo,
    /// How long it waits at most.
    pub drain: Span,
}

/// Who looks at tasks, and who waits for them.
#[derive(Debug, Default)]
pub struct Room {
    /// Until when it is not known who balances; long ago, unless a server has just begun.
    unknown_until: Timestamp,
    readers: BTreeMap<Reader, Reading>,
    streams: BTreeMap<u64, Vec<AppPath>>,
    next_stream: u64,
    waiting: BTreeMap<(CommitNo, AppPath), Batch>,
}

/// When a reader asked.
#[derive(Clone, Copy, Debug)]
struct Reading {
    last: Timestamp,
    /// Between its last two requests; none after one alone.
    gap: Option<Span>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Reader(Reader),
    Stream(u64),
}

/// Instances of one app that left the answers together.
#[derive(Debug)]
struct Batch {
    lives: Vec<(InstanceKey, Incarnation)>,
    drain: Span,
    given: BTreeMap<Member, Given>,
}

/// Since when somebody has an answer without them, and whether it was given another since.
#[derive(Clone, Copy, Debug)]
struct Given {
    at: Timestamp,
    again: bool,
}

// === impl Draining ===

impl Draining {
    /// An instance that waits, as of commit `since`; none that does not.
    pub fn of(instance: &Instance, world: &World, since: CommitNo) -> Option<Draining> {
        instance.drains_until()?;
        let app = world.apps.get(&instance.key.app)?;
        let version = world.versions.get(&(instance.key.app, instance.version))?;
        Some(Draining {
            key: instance.key,
            incarnation: instance.incarnation,
            path: app.path.clone(),
            since,
            drain: version.spec.drain(),
        })
    }
}

// === impl Room ===

impl Room {
    /// A server begins to lead over instances that others may have watched.
    pub fn begin(&mut self, now: Timestamp) {
        self.unknown_until = now + UNKNOWN;
    }

    /// Somebody asked for tasks and is answered as of commit `seen`. Whether that may change anything at once.
    pub fn read(&mut self, now: Timestamp, reader: Reader, seen: CommitNo) -> bool {
        let before = self.readers.get(&reader).copied();
        let reading = Reading { last: now, gap: before.map(|before| now.since(before.last)) };
        let comes = reading.attends(now, FORGOTTEN)
            && before.is_none_or(|before| !before.attends(now, FORGOTTEN));
        self.readers.insert(reader.clone(), reading);
        if before.is_none() {
            self.forget(now);
        }
        self.given(now, &Member::Reader(reader), seen);
        comes || self.is_waited_in()
    }

    /// Somebody follows the events of these apps and groups, or of all; gives its number.
    pub fn follow(&mut self, of: Vec<AppPath>) -> u64 {
        self.next_stream += 1;
        self.streams.insert(self.next_stream, of);
        self.next_stream
    }

    /// A stream has been given the events up to commit `seen`.
    pub fn told(&mut self, now: Timestamp, stream: u64, seen: CommitNo) {
        self.given(now, &Member::Stream(stream), seen);
    }

    /// A stream is over.
    pub fn leave(&mut self, stream: u64) {
        self.streams.remove(&stream);
    }

    /// These are out of every answer.
    pub fn wait(&mut self, draining: Vec<Draining>) {
        for one in draining {
            let batch = Batch { lives: Vec::new(), drain: one.drain, given: BTreeMap::new() };
            let batch = self.waiting.entry((one.since, one.path)).or_insert(batch);
            batch.lives.push((one.key, one.incarnation));
        }
    }

    /// Whether there may be anybody who balances.
    pub fn is_attended(&self, now: Timestamp) -> bool {
        let attends = |reading: &Reading| reading.attends(now, FORGOTTEN);
        now < self.unknown_until || !self.streams.is_empty() || self.readers.values().any(attends)
    }

    /// Whether anything waits.
    pub fn is_waited_in(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Those that need not wait any longer.
    pub fn release(&mut self, now: Timestamp) -> Vec<(InstanceKey, Incarnation)> {
        let over: Vec<(CommitNo, AppPath)> = self
            .waiting
            .iter()
            .filter(|((_, path), batch)| {
                now >= self.unknown_until && self.is_over(now, path, batch)
            })
            .map(|(key, _)| key.clone())
            .collect();
        over.iter().filter_map(|key| self.waiting.remove(key)).flat_map(|it| it.lives).collect()
    }

    /// Whether everybody who balances this app has taken in that the batch is gone.
    fn is_over(&self, now: Timestamp, path: &AppPath, batch: &Batch) -> bool {
        let has = |member: Member| match (batch.given.get(&member), &member) {
            (None, _) => false,
            (Some(given), Member::Reader(_)) => given.again,
            (Some(given), Member::Stream(_)) => now >= given.at + SETTLE,
        };
        let readers = self.readers.iter().filter(|(reader, reading)| {
            path.is_within(&reader.of) && reading.attends(now, batch.drain)
        });
        let streams = self
            .streams
            .iter()
            .filter(|(_, of)| of.is_empty() || of.iter().any(|group| path.is_within(group)));
        readers.map(|(reader, _)| Member::Reader(reader.clone())).all(has)
            && streams.map(|(stream, _)| Member::Stream(*stream)).all(has)
    }

    fn given(&mut self, now: Timestamp, member: &Member, seen: CommitNo) {
        for ((since, _), batch) in &mut self.waiting {
            match batch.given.get_mut(member) {
                Some(given) => given.again = true,
                None if seen >= *since => {
                    batch.given.insert(member.clone(), Given { at: now, again: false });
                }
                None => {}
            }
        }
    }

    fn forget(&mut self, now: Timestamp) {
        self.readers.retain(|_, reading| now.since(reading.last) <= FORGOTTEN);
        if self.readers.len() > MAX_READERS {
            let silent = self.readers.iter().min_by_key(|(_, reading)| reading.last);
            let silent = silent.map(|(reader, _)| reader.clone());
            silent.and_then(|reader| self.readers.remove(&reader));
        }
    }
}

// === impl Reading ===

impl Reading {
    /// Whether it asks more often than every `drain`, and still does.
    fn attends(self, now: Timestamp, drain: Span) -> bool {
        self.gap.is_some_and(|gap| gap <= drain) && now.since(self.last) <= drain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::AppKey;

    const T0: Timestamp = Timestamp::from_millis(1_000_000);

    fn path(text: &str) -> AppPath {
        AppPath::parse(text).expect("a path")
    }

    fn reader(name: &str, of: &str) -> Reader {
        let of = if of == "/" { AppPath::root() } else { path(of) };
        Reader { address: "10.0.0.1".to_owned(), agent: name.to_owned(), of }
    }

    fn at(millis: u64) -> Timestamp {
        T0 + Span::millis(millis)
    }

    fn key(no: u32) -> InstanceKey {
        InstanceKey { app: AppKey(1), no }
    }

    fn draining(no: u32, since: u64) -> Draining {
        Draining {
            key: key(no),
            incarnation: Incarnation(1),
            path: path("/shop/web"),
            since: CommitNo(since),
            drain: Span::secs(5),
        }
    }

    /// A balancer that asks for all tasks every second, last at `at(0)`.
    fn polled() -> Room {
        let mut room = Room::default();
        room.read(at(0), reader("lb", "/"), CommitNo(1));
        room.read(at(1_000), reader("lb", "/"), CommitNo(2));
        room
    }

    #[test]
    fn with_nobody_nothing_waits() {
        let mut room = Room::default();
        assert!(!room.is_attended(at(0)));
        room.wait(vec![draining(1, 5)]);
        assert_eq!(room.release(at(0)), [(key(1), Incarnation(1))]);
        assert!(!room.is_waited_in());
    }

    #[test]
    fn who_asked_once_does_not_balance() {
        let mut room = Room::default();
        room.read(at(0), reader("curl", "/"), CommitNo(1));
        assert!(!room.is_attended(at(1)));
        room.wait(vec![draining(1, 5)]);
        assert_eq!(room.release(at(1)).len(), 1);
    }

    #[test]
    fn who_polls_has_seen_it_when_it_asks_again() {
        let mut room = polled();
        assert!(room.is_attended(at(1_001)));
        room.wait(vec![draining(1, 5)]);
        // An answer from before the commit shows it still.
        room.read(at(1_500), reader("lb", "/"), CommitNo(4));
        room.read(at(1_600), reader("lb", "/"), CommitNo(4));
        assert!(room.release(at(2_500)).is_empty());
        room.read(at(2_600), reader("lb", "/"), CommitNo(5));
        assert!(room.release(at(2_700)).is_empty());
        room.read(at(2_750), reader("lb", "/"), CommitNo(5));
        assert_eq!(room.release(at(2_750)).len(), 1);
    }

    #[test]
    fn everybody_who_balances_the_app_is_waited_for_and_nobody_else() {
        let mut room = polled();
        for name in ["other", "web"] {
            let of = if name == "web" { "/shop/web" } else { "/shop/other" };
            room.read(at(0), reader(name, of), CommitNo(1));
            room.read(at(1_000), reader(name, of), CommitNo(2));
        }
        room.wait(vec![draining(1, 5)]);
        room.read(at(1_100), reader("lb", "/"), CommitNo(5));
        room.read(at(1_200), reader("lb", "/"), CommitNo(5));
        assert!(room.release(at(1_200)).is_empty(), "the reader of that very app");
        room.read(at(1_300), reader("web", "/shop/web"), CommitNo(5));
        room.read(at(1_400), reader("web", "/shop/web"), CommitNo(5));
        assert_eq!(room.release(at(1_400)).len(), 1, "the reader of another app does not count");
    }

    #[test]
    fn who_asks_seldom_or_no_more_is_not_waited_for() {
        let mut room = Room::default();
        room.read(at(0), reader("slow", "/"), CommitNo(1));
        room.read(at(10_000), reader("slow", "/"), CommitNo(2));
        room.wait(vec![draining(1, 5)]);
        assert_eq!(room.release(at(10_001)).len(), 1);
        let mut room = polled();
        room.wait(vec![draining(1, 5)]);
        assert!(room.release(at(6_000)).is_empty());
        assert_eq!(room.release(at(6_001)).len(), 1, "it has not asked for as long as a drain");
    }

    #[test]
    fn a_stream_counts_from_what_it_was_given() {
        let mut room = Room::default();
        let (all, other) = (room.follow(Vec::new()), room.follow(vec![path("/shop/other")]));
        room.wait(vec![draining(1, 5)]);
        room.told(at(0), all, CommitNo(4));
        room.told(at(10), all, CommitNo(5));
        // It is given more; that says nothing about what it had.
        room.told(at(20), all, CommitNo(6));
        assert!(room.release(at(1_009)).is_empty());
        assert_eq!(room.release(at(1_010)).len(), 1);
        room.wait(vec![draining(2, 7)]);
        assert!(room.release(at(1_020)).is_empty());
        room.leave(all);
        assert_eq!(room.release(at(1_020)).len(), 1);
        assert!(room.is_attended(at(1_020)));
        room.leave(other);
        assert!(!room.is_attended(at(1_020)));
    }

    #[test]
    fn after_a_start_everybody_may_have_watched() {
        let mut room = Room::default();
        room.begin(at(0));
        assert!(room.is_attended(at(0)));
        room.wait(vec![draining(1, 5)]);
        assert!(room.release(at(4_999)).is_empty());
        assert_eq!(room.release(at(5_000)).len(), 1);
        assert!(!room.is_attended(at(5_000)));
    }

    #[test]
    fn readers_are_bounded() {
        let mut room = Room::default();
        for number in 0..=MAX_READERS as u64 {
            room.read(at(number), reader(&number.to_string(), "/"), CommitNo(1));
        }
        assert_eq!(room.readers.len(), MAX_READERS);
        room.read(at(200_000), reader("late", "/"), CommitNo(1));
        assert_eq!(room.readers.len(), 1);
    }
}
