//! Looking into stopped stores, and the way out of one and into another.

use std::fs;
use std::path::Path;

use super::{BackupError, OfflineError, backup, check, dump, look, read_backup, restore};
use crate::model::commit::Commit;
use crate::model::id::{CommitNo, Epoch, Position};
use crate::model::row::Write;
use crate::model::view::View;
use crate::store::access::Access;
use crate::store::address::StoreAddress;
use crate::store::codec::{Item, Raw, encode};
use crate::store::embedded::{Embedded, Expect, FILE, OpenError};
use crate::store::log::{Bid, Log};
use crate::store::record::Record;
use crate::store::replay::{LoadError, load_world};
use crate::store::testing::{
    AT, cluster, commit, commit_of, first_commit, instance_row, wide_commit,
};

fn dir() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn store(dir: &Path) -> Embedded {
    Embedded::open(dir, Expect::AnyOrNew(cluster())).expect("a log")
}

fn opened(dir: &Path) -> Result<(Log, Epoch), OfflineError> {
    let address = StoreAddress::Embedded(dir.to_owned());
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(look(&address, &Access::default()))
}

/// A store of these commits, one record each.
fn filled(dir: &Path, commits: &[Commit]) {
    let store = store(dir);
    let lead = store.lead_blocking(Bid::IfVacant).expect("nobody leads");
    let mut next = Position(1);
    for commit in commits {
        let records = encode(commit, lead.epoch, next).expect("rows that fit");
        next = Position(next.0 + records.len() as u64);
        store.append_blocking(&lead, &records).expect("room");
    }
}

fn append_raw(dir: &Path, at: u64, body: &[u8]) {
    let store = store(dir);
    let lead = store.lead_blocking(Bid::IfVacant).expect("nobody leads");
    let record = Record::seal(Position(at), lead.epoch, CommitNo(at), AT, (0, true), body);
    store.append_blocking(&lead, &[record]).expect("room");
}

fn view() -> View {
    let mut view = View { epoch: Epoch(5), no: CommitNo(70), at: AT, ..View::default() };
    let commits = [first_commit(), commit(2, 30), wide_commit(3)];
    for write in commits.iter().flat_map(|commit| &commit.writes) {
        view.world.apply(write);
    }
    view
}

fn saved(view: &View) -> Vec<u8> {
    let mut file = Vec::new();
    backup(view, &mut file).expect("a backup");
    file
}

#[test]
fn a_dump_has_a_line_for_each_record_row_and_event() {
    let dir = dir();
    filled(dir.path(), &[first_commit(), commit(2, 3)]);
    let mut out = Vec::new();
    dump(&opened(dir.path()).expect("a stopped store"), &mut out).expect("room");
    let text = String::from_utf8(out).expect("text");
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 1 + 2 + 9 + 3 + 2);
    assert_eq!(lines[0]["cluster"], cluster().to_string());
    assert_eq!(lines[1]["commit"], 1);
    assert_eq!(lines[4]["row"]["spec"]["containers"][0]["cmd"], "sleep 1");
    assert_eq!(lines[11]["event"]["AppTerminated"]["path"], "/shop/app-1");
}

#[test]
fn a_dump_shows_what_cannot_be_read() {
    let dir = dir();
    filled(dir.path(), &[first_commit()]);
    let key = instance_row(1, 2).key;
    let body = postcard::to_stdvec(&Item::Row(key, Some(Raw(b"\xff")))).expect("an item");
    append_raw(dir.path(), 2, &body);
    append_raw(dir.path(), 3, b"\x09");
    let mut out = Vec::new();
    dump(&opened(dir.path()).expect("a stopped store"), &mut out).expect("room");
    let text = String::from_utf8(out).expect("text");
    assert!(text.contains(r#""bytes":"ff""#) && text.contains(r#""damaged""#), "{text}");
}

#[test]
fn a_whole_store_is_clean() {
    let dir = dir();
    let lawful = first_commit().writes.into_iter();
    filled(dir.path(), &[commit_of(1, lawful.collect()), commit(2, 3)]);
    let report = check(&opened(dir.path()).expect("a stopped store"));
    assert!(report.is_clean(), "{report}");
    assert_eq!((report.records, report.commit, report.rows), (2, CommitNo(2), 12));
    assert!(report.bytes.live > 0 && report.bytes.live < report.bytes.log);
}

#[test]
fn a_check_names_what_is_wrong() {
    let dir = dir();
    let orphan = Commit { writes: vec![instance_row(44, 1)], ..commit(2, 0) };
    filled(dir.path(), &[first_commit(), orphan]);
    let report = check(&opened(dir.path()).expect("a stopped store"));
    assert!(report.broken.iter().any(|law| law.0.contains("has its app")), "{report}");

    let body = postcard::to_stdvec(&Item::Row(instance_row(1, 2).key, Some(Raw(b"\xff"))));
    append_raw(dir.path(), 3, &body.expect("an item"));
    let report = check(&opened(dir.path()).expect("a stopped store"));
    assert_eq!(report.quarantined.len(), 1);
    assert!(report.to_string().ends_with("not clean"), "{report}");

    append_raw(dir.path(), 4, b"\x09");
    let report = check(&opened(dir.path()).expect("a stopped store"));
    assert!(matches!(report.refused, Some(LoadError::Damaged { at: Position(4), .. })), "{report}");
}

#[test]
fn a_store_in_use_and_a_missing_one_are_refused() {
    let dir = dir();
    let missing = opened(dir.path()).expect_err("nothing is there");
    assert!(matches!(missing, OfflineError::Open(OpenError::Missing(_))), "{missing}");
    let _held = store(dir.path());
    let held = opened(dir.path()).expect_err("it is held");
    assert!(matches!(held, OfflineError::Open(OpenError::InUse(_))), "{held}");
}

#[test]
fn a_backup_becomes_the_same_world() {
    let view = view();
    let file = saved(&view);
    let dir = dir();
    let header = restore(file.as_slice(), dir.path()).expect("a new store");
    assert_eq!((header.commit, header.cluster), (CommitNo(70), cluster()));

    let store = Embedded::open(dir.path(), Expect::Of(cluster())).expect("the log");
    let loaded = load_world(&store.load_blocking().expect("a log")).expect("a whole log");
    assert_eq!(loaded.world, view.world);
    assert_eq!((loaded.no, loaded.at), (CommitNo(70), AT));
    let lead = store.lead_blocking(Bid::IfVacant).expect("nobody leads");
    assert!(lead.epoch > view.epoch, "agents know the old epoch");
    let left: Vec<_> = fs::read_dir(dir.path()).expect("a directory").collect();
    assert_eq!(left.len(), 1, "nothing but the log is left: {left:?}");
}

#[test]
fn a_backup_never_replaces_a_store() {
    let dir = dir();
    filled(dir.path(), &[first_commit()]);
    let before = fs::read(dir.path().join(FILE)).expect("a file");
    let refused = restore(saved(&view()).as_slice(), dir.path()).expect_err("one is there");
    assert!(matches!(refused, BackupError::Exists(_)), "{refused}");
    assert_eq!(fs::read(dir.path().join(FILE)).expect("a file"), before);
}

#[test]
fn a_restore_that_was_cut_short_is_begun_anew() {
    let dir = dir();
    filled(&dir.path().join("restore.part"), &[commit_of(9, Vec::<Write>::new())]);
    restore(saved(&view()).as_slice(), dir.path()).expect("a new store");
    let report = check(&opened(dir.path()).expect("a stopped store"));
    assert_eq!(report.commit, CommitNo(70));
}

#[test]
fn a_backup_that_is_cut_or_changed_is_refused() {
    let file = saved(&view());
    let text = String::from_utf8(file.clone()).expect("text");
    let lines: Vec<_> = text.lines().collect();
    for kept in 0..lines.len() {
        let cut = lines[..kept].join("\n");
        read_backup(cut.as_bytes()).expect_err("it is cut");
    }
    let changed = text.replacen("\"role\":\"*\"", "\"role\":\"x\"", 1);
    assert_ne!(changed, text);
    let refused = read_backup(changed.as_bytes()).expect_err("it is changed");
    assert!(matches!(refused, BackupError::Cut(_)), "{refused}");
    let newer = text.replacen("\"schema\":1", "\"schema\":2", 1);
    let refused = read_backup(newer.as_bytes()).expect_err("it is newer");
    assert!(matches!(refused, BackupError::Header(_)), "{refused}");
    let wrong = text.replacen("{\"key\":\"Meta\"", "{\"key\":{\"App\":1}", 1);
    let refused = read_backup(wrong.as_bytes()).expect_err("no such row");
    assert!(matches!(refused, BackupError::Row { line: 2, .. }), "{refused}");
}

#[test]
fn nothing_is_no_backup() {
    let refused = backup(&View::default(), Vec::new()).expect_err("nothing");
    assert!(matches!(refused, BackupError::Nothing), "{refused}");
}
