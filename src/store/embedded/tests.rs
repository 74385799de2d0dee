//! What only a file can do: be held, be missing, belong to another, run out of room.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::FileBackend;
use redb::{Builder, StorageBackend};
use uuid::Uuid;

use super::{Embedded, Expect, FILE, OpenError, file, table};
use crate::model::id::{ClusterId, CommitNo, Epoch, Position};
use crate::store::codec::encode;
use crate::store::log::{AppendError, Bid, Lead};
use crate::store::record::{Record, SCHEMA};
use crate::store::replay::load_world;
use crate::store::testing::{cluster, commit, first_commit, wide_commit};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn open(dir: &tempfile::TempDir) -> Embedded {
    Embedded::open(dir.path(), Expect::AnyOrNew(cluster())).expect("a log")
}

fn first(lead: &Lead) -> Vec<Record> {
    encode(&first_commit(), lead.epoch, Position(1)).expect("small rows")
}

#[test]
fn a_second_opener_is_refused_until_the_first_is_gone() {
    let dir = dir();
    let held = open(&dir);
    let refused = Embedded::open(dir.path(), Expect::AnyOrNew(cluster())).expect_err("it is held");
    assert!(matches!(&refused, OpenError::InUse(path) if path.ends_with(FILE)), "{refused}");
    drop(held);
    open(&dir);
}

#[test]
fn file_and_directory_are_their_owners_alone() {
    let dir = dir();
    let inner = dir.path().join("server");
    let _held = Embedded::open(&inner, Expect::AnyOrNew(cluster())).expect("a log");
    let mode = |path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(inner.clone()), 0o700);
    assert_eq!(mode(inner.join(FILE)), 0o600);
}

#[test]
fn a_missing_log_is_never_an_empty_one() {
    let dir = dir();
    for expect in [Expect::Of(cluster()), Expect::Any] {
        let refused = Embedded::open(dir.path(), expect).expect_err("nothing is there");
        assert!(matches!(refused, OpenError::Missing(_)), "{refused}");
        fs::write(dir.path().join(FILE), b"").expect("an empty file");
    }
    assert_eq!(fs::metadata(dir.path().join(FILE)).expect("it is there").len(), 0);
    fs::write(dir.path().join(FILE), b"something else").expect("a file");
    let refused = Embedded::open(dir.path(), Expect::AnyOrNew(cluster())).expect_err("no log");
    assert!(matches!(refused, OpenError::Store(_)), "{refused}");
}

#[test]
fn a_log_keeps_its_cluster_and_another_is_refused() {
    let dir = dir();
    drop(open(&dir));
    let other = ClusterId(Uuid::from_u128(0xC2));
    let refused = Embedded::open(dir.path(), Expect::Of(other)).expect_err("another cluster's");
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused}");
    let found = Embedded::open(dir.path(), Expect::AnyOrNew(other)).expect("a log");
    assert_eq!(found.head().cluster, cluster());
}

#[test]
fn a_log_of_a_newer_schema_is_refused() {
    let dir = dir();
    let held = open(&dir);
    held.shared.held().on_disk(|database| table::set_schema(database, SCHEMA + 1)).expect("a log");
    drop(held);
    let refused = Embedded::open(dir.path(), Expect::Any).expect_err("newer");
    assert!(matches!(refused, OpenError::Newer(found) if found == SCHEMA + 1), "{refused}");
}

#[test]
fn an_epoch_can_be_raised_above_one_that_is_known() {
    let dir = dir();
    let store = open(&dir);
    let lead = store.lead_above(Bid::IfVacant, Epoch(41)).expect("nobody leads");
    assert_eq!(lead.epoch, Epoch(42));
    let lead = store.lead_above(Bid::Depose(Epoch(42)), Epoch(7)).expect("it can be deposed");
    assert_eq!(lead.epoch, Epoch(43));
}

#[test]
fn what_lies_below_the_head_goes_with_later_appends() {
    let dir = dir();
    let store = open(&dir);
    let lead = store.lead_blocking(Bid::IfVacant).expect("nobody leads");
    store.append_blocking(&lead, &first(&lead)).expect("room");
    let one = |no| encode(&commit(no, 1), lead.epoch, Position(no)).expect("small rows");
    (2..=60).for_each(|no| store.append_blocking(&lead, &one(no)).expect("room"));
    store.shared.move_head(&lead, Position(50)).expect("a record is there");
    let stored = || {
        let mut held = store.shared.held();
        held.on_disk(|database| table::read(database, Position(0))).expect("a log")[0].at
    };
    assert_eq!(stored(), Position(1));
    store.append_blocking(&lead, &one(61)).expect("room");
    assert!(stored() > Position(1) && stored() < Position(50), "a few at a time: {}", stored());
    (62..=66).for_each(|no| store.append_blocking(&lead, &one(no)).expect("room"));
    assert_eq!(stored(), Position(50), "and none at or above the head");
}

#[test]
fn the_transaction_itself_refuses_an_older_epoch() {
    let dir = dir();
    let store = open(&dir);
    let old = store.lead_blocking(Bid::IfVacant).expect("nobody leads");
    let new = store.lead_blocking(Bid::Depose(old.epoch)).expect("it can be deposed");
    let mut held = store.shared.held();
    let (head, late) = (new.head, first(&old));
    let appended = held.on_disk(|database| table::append(database, head, &old, &late));
    assert!(matches!(appended, Ok(Err(AppendError::Deposed))), "{appended:?}");
    let moved = held.on_disk(|database| table::move_head(database, &old, head));
    assert!(matches!(moved, Ok(Err(AppendError::Deposed))), "{moved:?}");
    drop(held);
    assert!(store.load_blocking().expect("a log").records.is_empty());
}

/// A disk with a bound.
#[derive(Debug)]
struct Small {
    file: FileBackend,
    room: Arc<AtomicU64>,
}

impl StorageBackend for Small {
    fn len(&self) -> Result<u64, io::Error> {
        self.file.len()
    }
    fn read(&self, offset: u64, out: &mut [u8]) -> Result<(), io::Error> {
        self.file.read(offset, out)
    }
    fn set_len(&self, len: u64) -> Result<(), io::Error> {
        if len > self.room.load(Ordering::Relaxed) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.file.set_len(len)
    }
    fn sync_data(&self) -> Result<(), io::Error> {
        self.file.sync_data()
    }
    fn write(&self, offset: u64, data: &[u8]) -> Result<(), io::Error> {
        self.file.write(offset, data)
    }
    fn close(&self) -> Result<(), io::Error> {
        self.file.close()
    }
}

#[test]
fn a_full_disk_loses_nothing_and_goes_on_when_there_is_room() {
    let dir = dir();
    let path = dir.path().join(FILE);
    let room = Arc::new(AtomicU64::new(2 * 1024 * 1024));
    let opener: file::Opener = Box::new({
        let room = room.clone();
        move || {
            let mut options = fs::File::options();
            options.read(true).write(true).create(true).truncate(false);
            let file = options.open(&path).expect("a file");
            let file = FileBackend::new(file).expect("a backend");
            let small = Small { file, room: room.clone() };
            Builder::new()
                .create_with_backend(small)
                .map_err(|error| OpenError::Store(table::failed(error)))
        }
    });
    let store = Embedded::open_with(opener, Expect::AnyOrNew(cluster())).expect("a log");
    let lead = store.lead_blocking(Bid::IfVacant).expect("nobody leads");
    store.append_blocking(&lead, &first(&lead)).expect("room");
    let mut next = Position(2);
    let mut no = 2;
    let refused = loop {
        let records = encode(&wide_commit(no), lead.epoch, next).expect("rows that fit");
        match store.append_blocking(&lead, &records) {
            Ok(()) => (no, next) = (no + 1, Position(next.0 + records.len() as u64)),
            Err(error) => break error,
        }
        assert!(no < 100, "the disk must fill up");
    };
    assert!(matches!(refused, AppendError::Full), "{refused:?}");
    let records = encode(&wide_commit(no), lead.epoch, next).expect("rows that fit");
    let again = store.append_blocking(&lead, &records);
    assert!(matches!(again, Err(AppendError::Full)), "{again:?}");
    let log = store.load_blocking().expect("it is still read");
    assert_eq!(load_world(&log).expect("a whole log").no, CommitNo(no - 1));

    room.store(u64::MAX, Ordering::Relaxed);
    store.append_blocking(&lead, &records).expect("room again");
    let log = store.load_blocking().expect("a log");
    assert_eq!(load_world(&log).expect("a whole log").no, CommitNo(no));
}
