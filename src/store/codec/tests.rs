//! Packing, the bytes of each row type, and what happens to those that cannot be read.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

use super::{EncodeError, RECORD_BYTES_MAX, ROW_RECORD_BYTES_MAX, What, decode, encode, row};
use crate::model::app::AppVersion;
use crate::model::commit::Commit;
use crate::model::id::{AppKey, CommitNo, Epoch, InstanceKey, Position, Version};
use crate::model::row::{Key, Row, Write};
use crate::store::record::{Damage, HEADER_BYTES, Record};
use crate::store::testing::{
    AT, commit, commit_of, event, every_row, first_commit, instance, instance_row, version,
    wide_commit,
};

fn packed(commit: &Commit) -> Vec<Record> {
    encode(commit, Epoch(2), Position(10)).expect("rows that fit")
}

/// A record with a body of our own making and a right checksum.
fn record(body: &[u8]) -> Record {
    Record::seal(Position(1), Epoch(1), CommitNo(1), AT, (0, true), body)
}

/// One definition, so large that its item takes `bytes`.
fn padded(app: u32, bytes: usize) -> Write {
    let key = Key::AppVersion(AppKey(app), Version(AT));
    let row = |note: String| Row::AppVersion(Arc::new(version(app, &note)));
    let empty = packed(&commit_of(1, vec![Write { key, row: Some(row(String::new())) }]));
    let event = row::encode_event(&event(1)).len() + 2;
    let overhead = empty[0].bytes.len() - HEADER_BYTES - event + 1;
    Write { key, row: Some(row("x".repeat(bytes - overhead))) }
}

#[test]
fn a_wide_commit_takes_full_records_and_its_last_says_so() {
    let commit = wide_commit(2);
    let records = packed(&commit);
    assert_eq!(records.len(), 3, "five rows of 200 kB, two a record");
    for (part, record) in records.iter().enumerate() {
        assert!(record.bytes.len() <= RECORD_BYTES_MAX);
        assert_eq!(record.at, Position(10 + part as u64));
        assert_eq!(usize::from(record.part), part);
        assert_eq!(record.last, part == records.len() - 1);
    }
    let decoded: Vec<_> = records.iter().map(|record| decode(record).expect("whole")).collect();
    let writes: Vec<_> = decoded.iter().flat_map(|part| part.writes.clone()).collect();
    assert_eq!(writes, commit.writes);
    assert_eq!(decoded[2].events, commit.events);
}

#[test]
fn a_commit_of_nothing_is_a_record() {
    let mut nothing = commit_of(4, vec![]);
    nothing.events.clear();
    let records = packed(&nothing);
    assert_eq!(records.len(), 1);
    assert!(records[0].last);
    assert!(decode(&records[0]).expect("whole").writes.is_empty());
}

#[test]
fn a_row_that_just_fits_shares_its_record_with_nothing() {
    let most = RECORD_BYTES_MAX - HEADER_BYTES;
    let records = packed(&commit_of(1, vec![padded(1, most), instance_row(1, 1)]));
    assert_eq!(records[0].bytes.len(), RECORD_BYTES_MAX);
    assert_eq!(records.len(), 2);
    let alone = packed(&commit_of(1, vec![padded(1, most + 1), instance_row(1, 1)]));
    assert_eq!((alone.len(), alone[0].bytes.len()), (2, RECORD_BYTES_MAX + 1));
}

#[test]
fn a_row_beyond_the_bound_is_refused_by_name() {
    let most = ROW_RECORD_BYTES_MAX - HEADER_BYTES;
    packed(&commit_of(1, vec![padded(1, most)]));
    let refused = encode(&commit_of(1, vec![padded(7, most + 1)]), Epoch(1), Position(1));
    let Err(EncodeError::TooLarge { what, bytes }) = refused else { panic!("{refused:?}") };
    assert!(what.contains("AppVersion(AppKey(7)"), "{what}");
    assert_eq!(bytes, most + 1);
}

#[test]
fn an_unreadable_row_is_kept_aside_and_spoils_nothing_else() {
    let raw = |key: Key, bytes: &'static [u8]| super::Item::Row(key, Some(super::Raw(bytes)));
    let poisoned = InstanceKey { app: AppKey(1), no: 9 };
    let mut body = Vec::new();
    for item in [
        raw(Key::Instance(poisoned), b"\xff\xff"),
        raw(Key::AppVersion(AppKey(1), Version(AT)), b"{not json"),
        super::Item::Row(Key::Meta, None),
        super::Item::Event(super::Raw(b"\x7f")),
    ] {
        body = postcard::to_extend(&item, body).expect("an item serialises");
    }
    let decoded = decode(&record(&body)).expect("the checksum is right");
    let aside: Vec<_> = decoded.quarantined.iter().map(|row| row.what).collect();
    let version = Key::AppVersion(AppKey(1), Version(AT));
    let instance = What::Row(Key::Instance(poisoned));
    assert_eq!(aside, [instance, What::Row(version), What::Event(CommitNo(1))]);
    assert_eq!(decoded.quarantined[0].bytes, b"\xff\xff");
    assert_eq!(decoded.writes, [Write { key: Key::Meta, row: None }]);
}

#[test]
fn a_row_under_another_key_is_kept_aside() {
    let bytes = row::encode(&Row::Instance(Arc::new(instance(1, 2))));
    let other = Key::Instance(InstanceKey { app: AppKey(1), no: 3 });
    assert!(matches!(row::decode(&other, &bytes), Err(row::Unreadable::OtherKey)));
    let own = Key::Instance(InstanceKey { app: AppKey(1), no: 2 });
    let longer = [bytes.as_slice(), b"\0"].concat();
    assert!(matches!(row::decode(&own, &longer), Err(row::Unreadable::Rest(1))));
}

#[test]
fn what_is_not_what_was_written_is_damage() {
    let record = &packed(&first_commit())[0];
    let mut bytes = record.bytes.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let damaged = Record { bytes: bytes.into(), ..record.clone() };
    assert!(matches!(decode(&damaged), Err(Damage::Checksum { .. })));
    assert!(matches!(decode(&self::record(b"\x09")), Err(Damage::Body(_))));
}

#[test]
fn definitions_take_what_older_programs_wrote() {
    let json = serde_json::to_string(&version(1, "true")).expect("a definition");
    let older = json.replace(r#","restart":"Always","priority":0"#, "");
    assert_ne!(older, json);
    let read: AppVersion = serde_json::from_str(&older).expect("fields have defaults");
    assert_eq!(read, version(1, "true"));
}

fn a_write() -> impl Strategy<Value = Write> {
    let keys = (0..4_u32, 0..50_u32);
    let row = prop_oneof![
        keys.clone().prop_map(|(app, no)| instance_row(app, no)),
        (keys, 0..120_000_usize).prop_map(|((app, _), size)| padded(app, 2_000 + size)),
        (0..6_usize).prop_map(|kind| {
            let (key, row) = every_row().swap_remove(kind);
            Write { key, row: Some(row) }
        }),
    ];
    (row, prop_oneof![4 => Just(true), 1 => Just(false)])
        .prop_map(|(write, stays)| Write { row: write.row.filter(|_| stays), ..write })
}

proptest! {
    #[test]
    fn any_commit_comes_back(
        writes in vec(a_write(), 0..24),
        events in 0..3_u32,
        epoch in any::<u64>(),
        no in 1..1_000_u64,
    ) {
        let mut commit = Commit { writes, ..commit(no, 0) };
        commit.events = (0..events).map(event).collect();
        let records = encode(&commit, Epoch(epoch), Position(7)).expect("rows that fit");
        let (mut writes, mut events) = (Vec::new(), Vec::new());
        for record in &records {
            let read = Record::open(record.at, record.bytes.clone()).expect("a header");
            assert_eq!(&read, record);
            let decoded = decode(&read).expect("whole");
            assert_eq!((decoded.epoch, decoded.commit), (Epoch(epoch), CommitNo(no)));
            assert_eq!(decoded.time, commit.at);
            assert!(decoded.quarantined.is_empty());
            writes.extend(decoded.writes);
            events.extend(decoded.events);
        }
        assert_eq!(writes, commit.writes);
        assert_eq!(events, commit.events);
    }
}
