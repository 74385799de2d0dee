//! The newest row of each key, found before anything is decoded, then decoded on all cores.

use std::num::NonZero;
use std::thread;

use crate::model::event::EventId;
use crate::model::row::{Key, Row};
use crate::model::time::Timestamp;
use crate::store::codec::{Item, Quarantined, Raw, What, items, row};
use crate::store::record::Record;
use crate::store::replay::{EVENTS_KEPT, Happened, LoadError};

/// Below so many bytes threads cost more than they bring.
const BYTES_PER_THREAD: usize = 256 * 1024;

/// What the records leave.
#[derive(Debug, Default)]
pub(super) struct Folded {
    /// Rows in the order of keys, each with its size.
    pub rows: Vec<(Key, Row, usize)>,
    /// The newest events, oldest first.
    pub events: Vec<Happened>,
    /// The newest event that is older than these.
    pub cut: Option<EventId>,
    /// What could not be read.
    pub quarantined: Vec<Quarantined>,
}

/// A row where it lies, or its end.
type RowAt<'a> = (Key, Option<&'a [u8]>);

/// An event where it lies.
#[derive(Clone, Copy)]
struct EventAt<'a> {
    id: EventId,
    time: Timestamp,
    bytes: &'a [u8],
}

/// What a run of records holds: the newest of each key in order of keys, and all events in order of time.
#[derive(Default)]
struct Found<'a> {
    rows: Vec<RowAt<'a>>,
    events: Vec<EventAt<'a>>,
}

/// Folds records that lie in order.
pub(super) fn fold(records: &[&Record]) -> Result<Folded, LoadError> {
    let bytes: usize = records.iter().map(|record| record.bytes.len()).sum();
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = cores.min(bytes / BYTES_PER_THREAD + 1);
    let found = in_chunks(records, threads, find).into_iter().collect::<Result<Vec<_>, _>>()?;
    let Found { rows, events } = merge(found);
    let mut folded = Folded::default();
    for (rows, quarantined) in in_chunks(&rows, threads, decode) {
        folded.rows.extend(rows);
        folded.quarantined.extend(quarantined);
    }
    newest_events(events, threads, &mut folded);
    Ok(folded)
}

/// Does `act` on so many chunks at once; results in the order of chunks.
fn in_chunks<'a, T: Sync, R: Send>(
    all: &'a [T],
    threads: usize,
    act: impl Fn(&'a [T]) -> R + Sync,
) -> Vec<R> {
    let size = all.len().div_ceil(threads).max(1);
    thread::scope(|scope| {
        let act = &act;
        let mut chunks = all.chunks(size);
        let first = chunks.next().unwrap_or_default();
        let others: Vec<_> = chunks.map(|chunk| scope.spawn(move || act(chunk))).collect();
        let mut results = vec![act(first)];
        results.extend(others.into_iter().map(|other| other.join().expect("it does not panic")));
        results
    })
}

fn find<'a>(records: &[&'a Record]) -> Result<Found<'a>, LoadError> {
    let mut found = Found::default();
    for record in records {
        let damaged = |why| LoadError::Damaged { at: record.at, why };
        record.verify().map_err(damaged)?;
        for item in items(record) {
            match item.map_err(damaged)? {
                Item::Row(key, row) => found.rows.push((key, row.map(|Raw(bytes)| bytes))),
                Item::Event(Raw(bytes)) => {
                    // Which of its commit's events it is comes out when all are together.
                    let id = EventId { commit: record.commit, index: 0 };
                    found.events.push(EventAt { id, time: record.time, bytes });
                }
            }
        }
    }
    keep_newest(&mut found.rows);
    Ok(found)
}

fn merge(found: Vec<Found<'_>>) -> Found<'_> {
    let mut found = found.into_iter();
    let mut all = found.next().unwrap_or_default();
    for later in found {
        all.rows.extend(later.rows);
        all.events.extend(later.events);
    }
    keep_newest(&mut all.rows);
    all
}

/// Sorts rows that lie in order of time by key, and keeps the last of each.
fn keep_newest(rows: &mut Vec<RowAt<'_>>) {
    // Stable, and quick on what is sorted in parts already.
    rows.sort_by_key(|(key, _)| *key);
    rows.reverse();
    rows.dedup_by_key(|(key, _)| *key);
    rows.reverse();
}

fn decode(rows: &[RowAt<'_>]) -> (Vec<(Key, Row, usize)>, Vec<Quarantined>) {
    let mut decoded = Vec::with_capacity(rows.len());
    let mut quarantined = Vec::new();
    for (key, bytes) in rows {
        let Some(bytes) = bytes else { continue };
        match row::decode(key, bytes) {
            Ok(row) => decoded.push((*key, row, bytes.len())),
            Err(why) => quarantined.push(Quarantined::new(What::Row(*key), bytes, &why)),
        }
    }
    (decoded, quarantined)
}

/// Numbers all events and reads the newest.
fn newest_events(mut events: Vec<EventAt<'_>>, threads: usize, folded: &mut Folded) {
    let mut before = None::<EventId>;
    for at in &mut events {
        let same = before.filter(|before| before.commit == at.id.commit);
        at.id.index = same.map_or(0, |before| before.index + 1);
        before = Some(at.id);
    }
    let (old, new) = events.split_at(events.len().saturating_sub(EVENTS_KEPT));
    folded.cut = old.last().map(|at| at.id);
    for (events, quarantined) in in_chunks(new, threads, decode_events) {
        folded.events.extend(events);
        folded.quarantined.extend(quarantined);
    }
}

fn decode_events(events: &[EventAt<'_>]) -> (Vec<Happened>, Vec<Quarantined>) {
    let mut decoded = Vec::with_capacity(events.len());
    let mut quarantined = Vec::new();
    for EventAt { id, time, bytes } in events {
        match row::decode_event(bytes) {
            Ok(event) => decoded.push(Happened { id: *id, at: *time, event }),
            Err(why) => quarantined.push(Quarantined::new(What::Event(id.commit), bytes, &why)),
        }
    }
    (decoded, quarantined)
}
