//! The faults of the log in memory: the suite of the contract holds it to the rest.

use super::{Fault, MemoryLog};
use crate::model::id::{CommitNo, Position};
use crate::store::codec::encode;
use crate::store::log::{AppendError, Bid, Lead};
use crate::store::record::Record;
use crate::store::replay::load_world;
use crate::store::testing::{cluster, first_commit, wide_commit};

fn led() -> (MemoryLog, Lead) {
    let mut log = MemoryLog::new(cluster());
    let lead = log.lead(Bid::IfVacant).expect("nobody leads");
    (log, lead)
}

fn first(lead: &Lead) -> Vec<Record> {
    encode(&first_commit(), lead.epoch, Position(1)).expect("small rows")
}

#[test]
fn a_crash_keeps_what_is_durable_and_a_part_of_the_rest() {
    let (mut log, lead) = led();
    log.append(&lead, &first(&lead)).expect("room");
    log.hold();
    let wide = encode(&wide_commit(2), lead.epoch, Position(2)).expect("rows that fit");
    log.append(&lead, &wide).expect("room");
    assert_eq!(log.load().records.len(), 1, "readers see what is durable");
    assert_eq!(log.durable(), Position(2));

    for kept in 0..=wide.len() {
        let mut crashed = log.clone();
        crashed.tear(kept);
        let no = if kept == wide.len() { 2 } else { 1 };
        let loaded = load_world(&crashed.load()).expect("a torn tail is no damage");
        assert_eq!(loaded.no, CommitNo(no), "{kept} records kept");
        assert_eq!(loaded.next, Position(2 + kept as u64));
        let refused = crashed.append(&lead, &[]);
        assert!(matches!(refused, Err(AppendError::Deposed)), "its writer is dead");
    }
    log.release();
    assert_eq!(load_world(&log.load()).expect("a whole log").no, CommitNo(2));
}

#[test]
fn a_full_disk_and_a_silent_one_store_nothing() {
    let (mut log, lead) = led();
    log.fail_next(Fault::Full);
    log.fail_next(Fault::Away);
    assert!(matches!(log.append(&lead, &first(&lead)), Err(AppendError::Full)));
    assert!(matches!(log.append(&lead, &first(&lead)), Err(AppendError::Unavailable(_))));
    assert!(log.load().records.is_empty());
    log.append(&lead, &first(&lead)).expect("room again");
}

#[test]
fn what_was_stored_without_an_answer_is_stored_once() {
    let (mut log, lead) = led();
    log.fail_next(Fault::AnswerLost);
    assert!(matches!(log.append(&lead, &first(&lead)), Err(AppendError::Unavailable(_))));
    log.append(&lead, &first(&lead)).expect("stored already");

    let wide = encode(&wide_commit(2), lead.epoch, Position(2)).expect("rows that fit");
    log.fail_next(Fault::Torn(1));
    assert!(matches!(log.append(&lead, &wide), Err(AppendError::Unavailable(_))));
    assert_eq!(load_world(&log.load()).expect("a torn tail is no damage").no, CommitNo(1));
    log.append(&lead, &wide).expect("the rest");
    assert_eq!(load_world(&log.load()).expect("a whole log").no, CommitNo(2));
}
