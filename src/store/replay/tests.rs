//! What a log means, and which logs mean nothing.

use std::sync::Arc;

use super::{EVENTS_KEPT, Happened, LoadError, load_world};
use crate::model::commit::Commit;
use crate::model::event::{Event, EventId};
use crate::model::id::{AppKey, ClusterId, CommitNo, Epoch, InstanceKey, Position};
use crate::model::meta::Meta;
use crate::model::row::{Key, Row, Write};
use crate::model::world::World;
use crate::store::codec::{Item, Raw, What, encode};
use crate::store::log::{Head, Log};
use crate::store::record::{Damage, Record};
use crate::store::testing::{
    AT, cluster, commit, commit_of, event, first_commit, instance, instance_row, meta, wide_commit,
};

/// A log of these commits, each under its epoch.
fn log(commits: &[(u64, Commit)]) -> Log {
    let mut records: Vec<Record> = Vec::new();
    for (epoch, commit) in commits {
        let next = Position(records.len() as u64 + 1);
        records.extend(encode(commit, Epoch(*epoch), next).expect("rows that fit"));
    }
    Log { head: Head::new(cluster()), records }
}

fn moved(instance: InstanceKey, rev: u64) -> Write {
    let mut row = self::instance(instance.app.0, instance.no);
    row.rev = CommitNo(rev);
    Write { key: Key::Instance(instance), row: Some(Row::Instance(Arc::new(row))) }
}

#[test]
fn the_newest_row_of_each_key_wins_and_removed_ones_are_gone() {
    let key = |no| InstanceKey { app: AppKey(1), no };
    let gone = Write { key: Key::Instance(key(2)), row: None };
    let commits = [
        first_commit(),
        commit_of(2, vec![moved(key(1), 2), moved(key(2), 2), moved(key(3), 2)]),
        commit_of(3, vec![moved(key(1), 3), gone]),
        commit_of(4, vec![moved(key(1), 4), moved(key(1), 5)]),
    ];
    let mut expected = World::default();
    commits.iter().flat_map(|commit| &commit.writes).for_each(|write| expected.apply(write));
    let loaded = load_world(&log(&commits.map(|commit| (1, commit)))).expect("a whole log");
    assert_eq!(loaded.world, expected);
    assert_eq!(loaded.world.instances.get(&key(1)).map(|row| row.rev), Some(CommitNo(5)));
    assert_eq!((loaded.no, loaded.at), (CommitNo(4), commit(4, 0).at));
    assert_eq!((loaded.epoch, loaded.next), (Epoch(1), Position(5)));
}

#[test]
fn a_log_that_needs_several_threads_means_the_same() {
    let mut commits = vec![first_commit()];
    commits.extend((2..=40).map(|no| commit(no, 200)));
    commits.extend((41..=60).map(|no| commit_of(no, commit(no - 39, 200).writes[..50].to_vec())));
    commits.push(wide_commit(61));
    let mut expected = World::default();
    commits.iter().flat_map(|commit| &commit.writes).for_each(|write| expected.apply(write));
    let commits: Vec<_> = commits.into_iter().map(|commit| (1, commit)).collect();
    let log = log(&commits);
    let loaded = load_world(&log).expect("a whole log");
    assert_eq!(loaded.world, expected);
    let size: u64 = log.records.iter().map(|record| record.bytes.len() as u64).sum();
    assert_eq!(loaded.bytes.log, size);
    assert!(loaded.bytes.live < size);
    assert_eq!(loaded.ledger.next(), loaded.next);
    assert_eq!(loaded.ledger.position_of(CommitNo(61)), Some(Position(61)));
}

#[test]
fn the_newest_events_are_kept_with_their_ids() {
    let mut many = commit(2, 0);
    let count = u32::try_from(EVENTS_KEPT).expect("small") + 904;
    many.events = (0..count).map(event).collect();
    let loaded = load_world(&log(&[(1, first_commit()), (1, many), (1, commit(3, 0))]));
    let loaded = loaded.expect("a whole log");
    let events = loaded.events;
    assert_eq!(events.len(), EVENTS_KEPT);
    let id = |commit, index| EventId { commit: CommitNo(commit), index };
    let (last, at) = (count - 1, commit(2, 0).at);
    let last_of_many = Happened { id: id(2, last), at, event: event(last) };
    assert_eq!(events[EVENTS_KEPT - 2], last_of_many);
    assert_eq!(events[EVENTS_KEPT - 1].id, id(3, 0));
    assert_eq!(events[0].id, id(2, 905));
    assert_eq!(loaded.complete_after, id(2, 904), "what is older is known to be missing");
    assert!(matches!(events[0].event, Event::AppTerminated { .. }));
}

#[test]
fn parts_without_their_last_are_void() {
    let whole = log(&[(1, first_commit()), (1, wide_commit(2))]);
    let parts = whole.records.len() - 1;
    for kept in 1..=parts {
        let mut torn = whole.clone();
        torn.records.truncate(kept);
        let loaded = load_world(&torn).expect("a torn tail is no damage");
        assert_eq!((loaded.no, loaded.world.versions.len()), (CommitNo(1), 1), "{kept} kept");
        assert_eq!(loaded.next, Position(kept as u64 + 1));

        let next = encode(&commit(2, 3), Epoch(2), loaded.next).expect("small rows");
        torn.records.extend(next);
        let loaded = load_world(&torn).expect("the parts are void under a later epoch");
        assert_eq!((loaded.no, loaded.world.versions.len()), (CommitNo(2), 1));
        assert_eq!(loaded.world.instances.len(), 4);
    }
    let mut torn = whole.clone();
    torn.records.truncate(parts);
    let next = Position(torn.records.len() as u64 + 1);
    torn.records.extend(encode(&commit(2, 1), Epoch(1), next).expect("small rows"));
    assert!(matches!(load_world(&torn), Err(LoadError::Order { .. })), "not under their own");
}

#[test]
fn a_log_that_is_not_whole_is_an_error_and_never_an_empty_world() {
    let whole = log(&[(1, first_commit()), (1, commit(2, 1)), (2, commit(3, 1))]);
    let spoilt = |spoil: fn(&mut Log)| {
        let mut log = whole.clone();
        spoil(&mut log);
        load_world(&log).expect_err("it is not whole")
    };
    let start = spoilt(|log| drop(log.records.remove(0)));
    assert!(matches!(start, LoadError::Start { found: Position(2), .. }), "{start}");
    let hole = spoilt(|log| drop(log.records.remove(1)));
    assert!(matches!(hole, LoadError::Hole { expected: Position(2), .. }), "{hole}");
    let lost = spoilt(|log| {
        log.head.start = Position(9);
        log.records.clear();
    });
    assert!(matches!(lost, LoadError::Lost { start: Position(9) }), "{lost}");
    let foreign = spoilt(|log| log.head.cluster = ClusterId(uuid::Uuid::from_u128(1)));
    assert!(matches!(foreign, LoadError::Foreign { .. }), "{foreign}");
    let stale = spoilt(|log| log.records[1].epoch = Epoch(3));
    assert!(matches!(stale, LoadError::Stale { at: Position(3), .. }), "{stale}");
    let order = spoilt(|log| log.records[2].commit = CommitNo(4));
    assert!(matches!(order, LoadError::Order { at: Position(3), .. }), "{order}");
    let damaged = spoilt(|log| {
        let mut bytes = log.records[1].bytes.to_vec();
        bytes[40] ^= 4;
        log.records[1].bytes = bytes.into();
    });
    let LoadError::Damaged { at: Position(2), why: Damage::Checksum { .. } } = damaged else {
        panic!("{damaged}")
    };
}

#[test]
fn an_unreadable_row_is_kept_aside_even_when_an_older_one_could_be_read() {
    let mut whole = log(&[(1, first_commit())]);
    let key = Key::Instance(InstanceKey { app: AppKey(1), no: 2 });
    let body = postcard::to_stdvec(&Item::Row(key, Some(Raw(b"\xff")))).expect("an item");
    let poison = Record::seal(Position(2), Epoch(1), CommitNo(2), AT, (0, true), &body);
    whole.records.push(poison);
    let loaded = load_world(&whole).expect("one row stops no start");
    assert_eq!(loaded.quarantined.len(), 1);
    assert_eq!(loaded.quarantined[0].what, What::Row(key));
    assert!(loaded.world.instances.is_empty());
    assert_eq!(loaded.world.apps.len(), 1);

    let healed = commit_of(3, vec![instance_row(1, 2)]);
    whole.records.extend(encode(&healed, Epoch(1), Position(3)).expect("small rows"));
    let loaded = load_world(&whole).expect("a whole log");
    assert!(loaded.quarantined.is_empty(), "a newer row heals it");
    assert_eq!(loaded.world.instances.len(), 1);
}

#[test]
fn any_row_may_be_spoilt_and_the_rest_is_read() {
    // reliability 4.3: random corruption of rows, the server starts in all.
    let meta: Meta = meta();
    for place in 0..200_usize {
        let commit = first_commit();
        let mut records = encode(&commit, Epoch(1), Position(1)).expect("small rows");
        let mut body = records[0].body().to_vec();
        let at = place * 7 % body.len();
        body[at] = body[at].wrapping_add(u8::try_from(place % 255).expect("small") + 1);
        records[0] = Record::seal(Position(1), Epoch(1), CommitNo(1), commit.at, (0, true), &body);
        let head = Head::new(meta.cluster);
        match load_world(&Log { head, records }) {
            Ok(_)
            | Err(LoadError::Foreign { .. } | LoadError::Damaged { why: Damage::Body(_), .. }) => {}
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
}
