//! What every body of a store must do, as one suite run against each: an in-memory log, a file and a real etcd.

use std::time::Duration;

use futures::{Stream, StreamExt};

use crate::model::id::{CommitNo, Epoch, Position};
use crate::store::access::Access;
use crate::store::address::StoreAddress;
use crate::store::any::AnyStore;
use crate::store::codec::{decode, encode};
use crate::store::embedded::{Embedded, Expect};
use crate::store::etcd::tests::new_tree;
use crate::store::log::{AppendError, Bid, Lead, LeadError, Seen, Store, StoreError};
use crate::store::memory::{Memory, MemoryLog};
use crate::store::open::open;
use crate::store::record::Record;
use crate::store::replay::{Loaded, load_world};
use crate::store::testing::{cluster, commit, first_commit, wide_commit};

/// A disk on which a store can be opened again after its process has died.
trait Disk {
    async fn open(&self) -> AnyStore;
}

struct InMemory(Memory);
struct InFile(tempfile::TempDir);
struct InEtcd(tempfile::TempDir, StoreAddress);

impl Disk for InMemory {
    async fn open(&self) -> AnyStore {
        self.0.with(MemoryLog::lose);
        AnyStore::Memory(self.0.clone())
    }
}

impl Disk for InFile {
    async fn open(&self) -> AnyStore {
        let store = Embedded::open(self.0.path(), Expect::AnyOrNew(cluster()));
        AnyStore::Embedded(store.expect("a log"))
    }
}

impl Disk for InEtcd {
    async fn open(&self) -> AnyStore {
        let expect = Expect::AnyOrNew(cluster());
        open(&self.1, &Access::default(), self.0.path(), expect).await.expect("a log")
    }
}

/// Runs each of these for each body.
macro_rules! contract {
    ($($name:ident)+) => {
        mod memory {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                super::$name(InMemory(Memory::new(MemoryLog::new(cluster())))).await;
            })+
        }
        mod embedded {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                super::$name(InFile(tempfile::tempdir().expect("a directory"))).await;
            })+
        }
        mod etcd {
            use super::*;
            $(#[tokio::test]
            async fn $name() {
                let dir = tempfile::tempdir().expect("a directory");
                super::$name(InEtcd(dir, StoreAddress::Etcd(new_tree()))).await;
            })+
        }
    };
}

contract! {
    what_is_appended_is_loaded
    a_crash_between_any_two_appends_loses_nothing
    a_wide_commit_counts_whole_or_not_at_all
    a_deposed_writer_stores_nothing
    leadership_is_given_to_one
    epochs_rise_across_restarts
    a_hole_is_refused
    the_same_records_again_are_stored_once
    other_records_in_a_taken_place_are_refused
    the_head_moves_and_nothing_live_is_lost
    the_head_moves_only_to_a_record
    a_follower_sees_records_and_leaders_in_order
    a_follower_that_is_too_late_is_told
}

async fn lead(store: &impl Store) -> Lead {
    store.lead(Bid::IfVacant).await.expect("nobody leads")
}

/// Commits `from..=to`, one row each but for the first.
fn commits(lead: &Lead, first: Position, from: u64, to: u64) -> Vec<Record> {
    let mut at = first;
    let mut all = Vec::new();
    for no in from..=to {
        let commit = if no == 1 { first_commit() } else { commit(no, 1) };
        let records = encode(&commit, lead.epoch, at).expect("small rows");
        at = Position(at.0 + records.len() as u64);
        all.extend(records);
    }
    all
}

async fn load(store: &impl Store) -> Loaded {
    load_world(&store.load().await.expect("a log")).expect("a whole log")
}

async fn what_is_appended_is_loaded(disk: impl Disk) {
    let store = disk.open().await;
    let new = load(&store).await;
    assert_eq!((new.no, new.next), (CommitNo(0), Position(1)));

    let lead = lead(&store).await;
    let records = commits(&lead, Position(1), 1, 3);
    store.append(&lead, &records[..1]).await.expect("room");
    store.append(&lead, &records[1..]).await.expect("room, for several commits at once");

    let log = store.load().await.expect("a log");
    assert_eq!(log.records, records);
    assert_eq!(log.head.cluster, cluster());
    let decoded = decode(&log.records[1]).expect("a record");
    assert_eq!(decoded.writes, commit(2, 1).writes);
    assert_eq!(decoded.events, commit(2, 1).events);
    let size: u64 = records.iter().map(|record| record.bytes.len() as u64).sum();
    assert_eq!(store.usage().await.expect("figures").log, size);
}

async fn a_crash_between_any_two_appends_loses_nothing(disk: impl Disk) {
    let mut next = Position(1);
    for no in 1..=12 {
        let store = disk.open().await;
        assert_eq!(load(&store).await.no, CommitNo(no - 1));
        let lead = lead(&store).await;
        let records = commits(&lead, next, no, no);
        store.append(&lead, &records).await.expect("room");
        next = Position(next.0 + records.len() as u64);
    }
    let loaded = load(&disk.open().await).await;
    assert_eq!((loaded.no, loaded.next), (CommitNo(12), next));
    assert_eq!(loaded.world.instances.len(), 12);
    assert_eq!(loaded.events.len(), 12);
}

async fn a_wide_commit_counts_whole_or_not_at_all(disk: impl Disk) {
    let store = disk.open().await;
    let first = lead(&store).await;
    store.append(&first, &commits(&first, Position(1), 1, 1)).await.expect("room");
    let wide = encode(&wide_commit(2), first.epoch, Position(2)).expect("rows that fit");
    assert!(wide.len() > 1, "it takes several records");
    store.append(&first, &wide[..wide.len() - 1]).await.expect("room");
    drop(store);

    let store = disk.open().await;
    let torn = load(&store).await;
    assert_eq!((torn.no, torn.world.versions.len()), (CommitNo(1), 1));
    let second = lead(&store).await;
    let again = encode(&wide_commit(2), second.epoch, torn.next).expect("rows that fit");
    store.append(&second, &again).await.expect("room");
    let whole = load(&store).await;
    assert_eq!((whole.no, whole.world.versions.len()), (CommitNo(2), 6));
    assert_eq!(whole.ledger.position_of(CommitNo(2)), Some(torn.next));
}

async fn a_deposed_writer_stores_nothing(disk: impl Disk) {
    let store = disk.open().await;
    let old = lead(&store).await;
    store.append(&old, &commits(&old, Position(1), 1, 1)).await.expect("room");
    let new = store.lead(Bid::Depose(old.epoch)).await.expect("the old one can be deposed");
    assert!(new.epoch > old.epoch);

    let late = commits(&old, Position(2), 2, 2);
    let refused = store.append(&old, &late).await;
    assert!(matches!(refused, Err(AppendError::Deposed)), "{refused:?}");
    let refused = store.move_head(&old, Position(1)).await;
    assert!(matches!(refused, Err(AppendError::Deposed)), "{refused:?}");
    assert_eq!(load(&store).await.no, CommitNo(1));
    store.append(&new, &commits(&new, Position(2), 2, 2)).await.expect("the new one may");
    assert_eq!(load(&store).await.no, CommitNo(2));
}

async fn leadership_is_given_to_one(disk: impl Disk) {
    let store = disk.open().await;
    let first = lead(&store).await;
    let refused = store.lead(Bid::IfVacant).await;
    assert!(matches!(&refused, Err(LeadError::Held(by)) if by.epoch == first.epoch), "{refused:?}");
    let second = store.lead(Bid::Depose(first.epoch)).await.expect("the first can be deposed");
    let refused = store.lead(Bid::Depose(first.epoch)).await;
    assert!(
        matches!(&refused, Err(LeadError::Held(by)) if by.epoch == second.epoch),
        "{refused:?}"
    );
}

async fn epochs_rise_across_restarts(disk: impl Disk) {
    let mut newest = Epoch(0);
    for _ in 0..3 {
        let lead = lead(&disk.open().await).await;
        assert!(lead.epoch > newest);
        newest = lead.epoch;
    }
}

async fn a_hole_is_refused(disk: impl Disk) {
    let store = disk.open().await;
    let lead = lead(&store).await;
    let records = commits(&lead, Position(1), 1, 4);
    for wrong in [&records[1..2], &[records[0].clone(), records[2].clone()]] {
        let refused = store.append(&lead, wrong).await;
        assert!(matches!(refused, Err(AppendError::Misplaced { .. })), "{refused:?}");
    }
    assert!(store.load().await.expect("a log").records.is_empty(), "nothing was stored");
    store.append(&lead, &records).await.expect("room");
}

async fn the_same_records_again_are_stored_once(disk: impl Disk) {
    let store = disk.open().await;
    let lead = lead(&store).await;
    let records = commits(&lead, Position(1), 1, 3);
    store.append(&lead, &records[..2]).await.expect("room");
    store.append(&lead, &records[..2]).await.expect("stored already");
    store.append(&lead, &records[1..]).await.expect("stored in part");
    assert_eq!(store.load().await.expect("a log").records, records);
}

async fn other_records_in_a_taken_place_are_refused(disk: impl Disk) {
    let store = disk.open().await;
    let lead = lead(&store).await;
    store.append(&lead, &commits(&lead, Position(1), 1, 2)).await.expect("room");
    let other = commits(&lead, Position(2), 3, 3);
    let refused = store.append(&lead, &other).await;
    assert!(matches!(refused, Err(AppendError::Misplaced { .. })), "{refused:?}");
    assert_eq!(load(&store).await.no, CommitNo(2));
}

async fn the_head_moves_and_nothing_live_is_lost(disk: impl Disk) {
    let store = disk.open().await;
    let lead = lead(&store).await;
    store.append(&lead, &commits(&lead, Position(1), 1, 50)).await.expect("room");
    let before = load(&store).await;

    let writes =
        before.world.rows().map(|(key, row)| crate::model::row::Write { key, row: Some(row) });
    let sweep = crate::store::testing::commit_of(51, writes.collect());
    let records = encode(&sweep, lead.epoch, before.next).expect("small rows");
    store.append(&lead, &records).await.expect("room");
    store.move_head(&lead, before.next).await.expect("a record is there");
    let swept: u64 = records.iter().map(|record| record.bytes.len() as u64).sum();
    assert_eq!(store.usage().await.expect("figures").log, swept);
    let mut at = Position(before.next.0 + records.len() as u64);
    for no in 52..=60 {
        let more = commits(&lead, at, no, no);
        store.append(&lead, &more).await.expect("room, and the old goes meanwhile");
        at = at.next();
    }
    drop(store);

    let store = disk.open().await;
    let log = store.load().await.expect("a log");
    assert_eq!(log.head.start, before.next);
    let after = load(&store).await;
    assert_eq!((after.no, after.next), (CommitNo(60), at));
    let mut expected = before.world;
    (52..=60).for_each(|no| commit(no, 1).writes.iter().for_each(|write| expected.apply(write)));
    assert_eq!(after.world, expected);
}

async fn the_head_moves_only_to_a_record(disk: impl Disk) {
    let store = disk.open().await;
    let lead = lead(&store).await;
    store.append(&lead, &commits(&lead, Position(1), 1, 2)).await.expect("room");
    let refused = store.move_head(&lead, Position(3)).await;
    assert!(matches!(refused, Err(AppendError::Misplaced { .. })), "{refused:?}");
    assert_eq!(load(&store).await.no, CommitNo(2));
}

async fn a_follower_sees_records_and_leaders_in_order(disk: impl Disk) {
    let store = disk.open().await;
    let first = lead(&store).await;
    let records = commits(&first, Position(1), 1, 4);
    store.append(&first, &records[..3]).await.expect("room");
    let mut seen = Box::pin(store.follow(Position(1)));
    assert_eq!(next(&mut seen).await, Seen::Record(records[1].clone()));
    assert_eq!(next(&mut seen).await, Seen::Record(records[2].clone()));
    assert_eq!(next(&mut seen).await, Seen::Leader(first.epoch));
    let (appended, shown) = tokio::join!(store.append(&first, &records[3..]), next(&mut seen));
    appended.expect("room");
    assert_eq!(shown, Seen::Record(records[3].clone()));
    let second = store.lead(Bid::Depose(first.epoch)).await.expect("the first can be deposed");
    assert_eq!(next(&mut seen).await, Seen::Leader(second.epoch));
}

async fn a_follower_that_is_too_late_is_told(disk: impl Disk) {
    let store = disk.open().await;
    let lead = lead(&store).await;
    store.append(&lead, &commits(&lead, Position(1), 1, 5)).await.expect("room");
    store.move_head(&lead, Position(4)).await.expect("a record is there");
    let mut seen = Box::pin(store.follow(Position(1)));
    let told = seen.next().await.expect("something");
    assert!(matches!(told, Err(StoreError::Trimmed { start: Position(4), .. })), "{told:?}");
    assert!(seen.next().await.is_none());
}

async fn next(seen: &mut (impl Stream<Item = Result<Seen, StoreError>> + Unpin)) -> Seen {
    let next = tokio::time::timeout(Duration::from_secs(10), seen.next()).await;
    next.expect("something within 10 s").expect("no end").expect("no error")
}
