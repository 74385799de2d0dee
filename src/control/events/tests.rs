//! The ring by itself: order, bounds, where a reader goes on, and what it is told when it cannot.

use super::{Bounds, Events, Filter, Published, Pull, Reader, Start};
use crate::contract::show::event::{Notice, Plans};
use crate::control::gauges::Gauges;
use crate::model::event::{Event, EventId};
use crate::model::id::{CommitNo, Version};
use crate::model::path::AppPath;
use crate::model::time::Timestamp;
use crate::model::world::World;

const SMALL: Bounds =
    Bounds { events: 200, bytes: 1 << 20, warm_events: 100, warm_bytes: 1 << 19, passing: 3 };

fn path(text: &str) -> AppPath {
    AppPath::parse(text).expect("a path")
}

fn at() -> Timestamp {
    Timestamp::from_millis(1_625_133_600_000)
}

/// A commit of so many events, each about an app of its own.
fn commit(no: u64, count: usize) -> Published {
    let event = |place| Event::AppTerminated { path: path(&format!("/a{no}/b{place}")) };
    let events = (0..count).map(event).collect();
    Published::with_world(CommitNo(no), at(), events, &World::default())
}

fn events(bounds: Bounds) -> Events {
    Events::bounded(&Gauges::default(), bounds)
}

fn id(commit: u64, index: u32) -> EventId {
    EventId { commit: CommitNo(commit), index }
}

/// All that a reader is given now: the ids, or the names of what has none.
fn drain(reader: &mut Reader) -> Vec<String> {
    let mut text = String::new();
    loop {
        match reader.pull() {
            Pull::Some(bytes) => text.push_str(std::str::from_utf8(&bytes).expect("UTF-8")),
            Pull::More => {}
            Pull::All => break,
            Pull::Lost => {
                text.push_str("lost\r\n\r\n");
                break;
            }
        }
    }
    let frames = text.split_terminator("\r\n\r\n");
    let first = |frame: &str| frame.lines().next().expect("a line").to_owned();
    frames.map(first).map(|line| line.trim_start_matches("id: ").to_owned()).collect()
}

fn ids(commits: std::ops::RangeInclusive<u64>, count: u32) -> Vec<String> {
    commits.flat_map(|no| (0..count).map(move |index| id(no, index).to_string())).collect()
}

#[tokio::test]
async fn a_reader_sees_what_comes_after_it_in_order_and_each_once() {
    let events = events(SMALL);
    events.publish(vec![commit(1, 2)]);
    let mut reader = events.read(&Start::Now, Filter::default());
    assert!(drain(&mut reader).is_empty(), "what was before is not told");
    events.publish(vec![commit(2, 100), commit(3, 1)]);
    let mut expected = ids(2..=2, 100);
    expected.push("3.0".to_owned());
    assert_eq!(drain(&mut reader), expected, "a big commit is cut and stays in order");
    assert_eq!(drain(&mut reader), Vec::<String>::new());
    assert_eq!(reader.last(), id(3, 0));
}

#[tokio::test]
async fn a_reader_goes_on_right_behind_any_event_that_is_kept() {
    let events = events(SMALL);
    events.restore((5..=7).map(|no| commit(no, 70)).collect(), id(4, 2));
    let all = ids(5..=7, 70);
    // 210 events do not fit into 200: the oldest batch of 64 has gone.
    let kept = &all[64..];
    for (place, last) in all.iter().enumerate() {
        let mut reader = events.read(&Start::Behind(last.clone()), Filter::default());
        if place < 63 {
            let Some(Notice::Gap { next, .. }) = reader.take_gap() else { panic!("{last} is old") };
            assert_eq!((next, reader.last()), (Some(id(5, 64)), id(5, 63)));
            assert_eq!(drain(&mut reader), kept, "it begins with the oldest");
        } else {
            assert_eq!(reader.take_gap(), None, "{last}");
            assert_eq!(&reader.last().to_string(), last);
            assert_eq!(drain(&mut reader), all[place + 1..], "{last}");
        }
    }
}

#[tokio::test]
async fn a_log_whose_events_are_all_here_is_followed_from_its_beginning() {
    let events = events(SMALL);
    let before = id(0, u32::MAX);
    events.restore(vec![commit(3, 2)], before);
    let mut reader = events.read(&Start::Behind(before.to_string()), Filter::default());
    assert_eq!((reader.take_gap(), drain(&mut reader)), (None, ids(3..=3, 2)));
}

#[tokio::test]
async fn an_id_of_another_log_is_a_gap_and_the_reader_begins_with_what_comes() {
    let events = events(SMALL);
    events.restore(vec![commit(3, 2), commit(5, 1)], id(0, u32::MAX));
    for last in ["3.2", "4.0", "5.1", "9.0", "nonsense", "-1.0"] {
        let mut reader = events.read(&Start::Behind(last.to_owned()), Filter::default());
        let Some(Notice::Gap { last: named, next, .. }) = reader.take_gap() else {
            panic!("{last} is none of ours");
        };
        assert_eq!((named.as_str(), next), (last, None));
        assert!(drain(&mut reader).is_empty(), "{last}");
        assert_eq!(reader.last(), id(5, 0), "behind which it begins");
    }
    let gauges = Gauges::default();
    let empty = Events::new(&gauges);
    let mut reader = empty.read(&Start::Behind("7.0".to_owned()), Filter::default());
    assert!(reader.take_gap().is_some(), "an empty log has no such event");
    assert_eq!(gauges.event_consumers.get(), 1);
    drop(reader);
    assert_eq!(gauges.event_consumers.get(), 0);
}

#[tokio::test]
async fn a_reader_that_falls_out_of_the_ring_is_lost_and_never_skips() {
    let events = events(SMALL);
    let mut slow = events.read(&Start::Now, Filter::default());
    let mut quick = events.read(&Start::Now, Filter::default());
    events.publish(vec![commit(1, 60)]);
    assert_eq!(drain(&mut quick).len(), 60);
    events.publish(vec![commit(2, 60), commit(3, 60), commit(4, 60)]);
    assert_eq!(drain(&mut slow), ["lost"]);
    assert_eq!(drain(&mut quick), ids(2..=4, 60));
    // Exactly at the edge: what has gone is behind it.
    let mut edge = events.read(&Start::Behind("1.59".to_owned()), Filter::default());
    assert_eq!((edge.take_gap(), drain(&mut edge)), (None, ids(2..=4, 60)));
}

#[tokio::test]
async fn old_texts_go_and_are_made_again_for_who_comes_late() {
    let events = events(SMALL);
    let mut reader = events.read(&Start::Now, Filter::default());
    for no in 1..=3 {
        events.publish(vec![commit(no, 60)]);
        drain(&mut reader);
    }
    let kept = |no: u64| {
        let ring = events.ring();
        let batch = ring.from(super::ring::Cursor { place: no - 1, skip: 0 });
        batch.and_then(|mut batches| batches.next().cloned()).expect("it is kept")
    };
    let shared = |no: u64| {
        let (one, two) = (kept(no).text(Plans::Heavy), kept(no).text(Plans::Heavy));
        one.bytes.as_ptr() == two.bytes.as_ptr()
    };
    assert!(shared(3) && !shared(1), "the newest are shared, the oldest are not");
    let mut late = events.read(&Start::Behind(id(0, u32::MAX).to_string()), Filter::default());
    assert_eq!(drain(&mut late), ids(1..=3, 60));
}

#[tokio::test]
async fn what_is_in_no_log_is_told_to_those_who_are_there_and_displaces_nothing() {
    let events = events(SMALL);
    let notice = || Notice::Detached { remote: "10.0.0.9".to_owned() };
    events.publish(vec![commit(1, 1)]);
    events.tell(notice(), at());
    let mut first = events.read(&Start::Behind(id(0, u32::MAX).to_string()), Filter::default());
    first.attach(Notice::Attached { remote: "10.0.0.1".to_owned() }, at());
    let mut second = events.read(&Start::Now, Filter::default());
    second.attach(Notice::Attached { remote: "10.0.0.2".to_owned() }, at());
    assert_eq!(drain(&mut first), ["1.0", "event: event_stream_attached"], "the second's alone");
    assert!(drain(&mut second).is_empty(), "not its own");
    for _ in 0..500 {
        events.tell(notice(), at());
    }
    assert_eq!(drain(&mut second).len(), 3, "a few are kept");
    let mut late = events.read(&Start::Behind(id(0, u32::MAX).to_string()), Filter::default());
    assert_eq!((late.take_gap(), drain(&mut late)), (None, ids(1..=1, 1)));
}

fn only(types: &[&str], apps: &[&str]) -> Filter {
    let types: std::collections::BTreeSet<String> =
        types.iter().map(|name| (*name).to_owned()).collect();
    let apps: Vec<AppPath> = apps.iter().map(|app| path(app)).collect();
    Filter {
        types: Some(types).filter(|types| !types.is_empty()),
        apps: Some(apps).filter(|apps| !apps.is_empty()),
        ..Filter::default()
    }
}

#[tokio::test]
async fn filters_by_type_and_app() {
    let events = events(SMALL);
    let read = |types: &[&str], apps: &[&str]| events.read(&Start::Now, only(types, apps));
    let mut by_app = read(&[], &["/a1/b1", "/a2"]);
    let mut by_type = read(&["group_change_success"], &[]);
    let mut by_both = read(&["app_terminated_event"], &["/a1"]);
    let mut by_none = read(&["group_change_success,app_terminated_event"], &[]);
    let changed = Event::GroupChanged { group: path("/a1"), version: Version(at()) };
    let third = Published::with_world(CommitNo(3), at(), vec![changed], &World::default());
    events.publish(vec![commit(1, 3), commit(2, 2), third]);
    events.tell(Notice::Attached { remote: String::new() }, at());
    assert_eq!(drain(&mut by_app), ["1.1", "2.0", "2.1", "3.0"]);
    assert_eq!(drain(&mut by_type), ["3.0"]);
    assert_eq!(drain(&mut by_both), ["1.0", "1.1", "1.2"]);
    assert!(drain(&mut by_none).is_empty(), "11.1: comma lists are not split");
    assert_eq!(by_none.last(), id(3, 0), "what is left out counts as seen");
}

/// Clients of Marathon's may end at an event that they do not know.
#[tokio::test]
async fn what_marathon_does_not_know_is_told_to_those_who_ask() {
    let events = events(SMALL);
    let read = |types: &[&str], apps: &[&str]| events.read(&Start::Now, only(types, apps));
    let (mut usual, mut every) = (read(&[], &[]), read(&["*"], &[]));
    let (mut named, mut of_app) = (read(&["brake_held_event"], &[]), read(&["*"], &["/"]));
    let both =
        vec![Event::BrakeHeld { lost: 3, agents: 4 }, Event::AppTerminated { path: path("/a") }];
    events.publish(vec![Published::with_world(CommitNo(1), at(), both, &World::default())]);
    assert_eq!(drain(&mut usual), ["1.1"]);
    assert_eq!(drain(&mut every), ["1.0", "1.1"]);
    assert_eq!(drain(&mut named), ["1.0"]);
    assert_eq!(drain(&mut of_app), ["1.1"]);
}

#[tokio::test]
async fn who_waits_is_woken() {
    let events = events(SMALL);
    let mut reader = events.read(&Start::Now, Filter::default());
    let publisher = events.clone();
    let reading = tokio::spawn(async move {
        let mut seen = Vec::new();
        while seen.len() < 3 {
            seen.extend(drain(&mut reader));
            if seen.len() < 3 {
                reader.wait().await;
            }
        }
        seen
    });
    for no in 1..=3 {
        publisher.publish(vec![commit(no, 1)]);
        tokio::task::yield_now().await;
    }
    assert_eq!(reading.await.expect("no panic"), ["1.0", "2.0", "3.0"]);
}
