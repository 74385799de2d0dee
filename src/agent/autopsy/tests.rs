//! What is kept of an output, of all of it, and for how long.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use crate::agent::autopsy::archive::Archive;
use crate::agent::autopsy::fit;
use crate::agent::autopsy::keep::{Filed, Limits, surplus};
use crate::agent::autopsy::window::Window;
use crate::agent::runtime::SandboxId;
use crate::model::autopsy::{Exit, KEPT_FOR};
use crate::model::evidence::{
    Answer, Ended, Evidence, MAX_BODY, MAX_BYTES, MAX_LINES, Output, Reply,
};
use crate::model::id::{AppKey, Incarnation, InstanceId};
use crate::model::time::{Span, Timestamp};

const AT: Timestamp = Timestamp::from_millis(1_600_000_000_000);

fn id(no: u128) -> SandboxId {
    SandboxId { instance: InstanceId(uuid::Uuid::from_u128(no)), incarnation: Incarnation(1) }
}

fn evidence(of: SandboxId) -> Evidence {
    Evidence {
        app: AppKey(1),
        instance: of.instance,
        incarnation: of.incarnation,
        at: AT,
        ended: None,
        stop: None,
        pulled: 0,
        image: None,
        asked_since: None,
        replies: Vec::new(),
        stdout: Output::default(),
        stderr: Output::default(),
    }
}

fn window(pieces: &[&[u8]]) -> Output {
    let mut window = Window::default();
    for piece in pieces {
        window.push(piece);
    }
    window.output()
}

#[test]
fn an_output_ends_with_its_last_lines() {
    assert_eq!(window(&[]), Output::default());
    let short = window(&[b"one\ntw", b"o\n\nlast"]);
    assert_eq!(
        (short.lines, short.more),
        (["one", "two", "", "last"].map(str::to_owned).into(), false)
    );
    let text: Vec<String> = (0..300).map(|no| format!("line {no}")).collect();
    let long = window(&[text.join("\n").as_bytes()]);
    assert_eq!((long.lines.len(), long.more), (MAX_LINES, true));
    assert_eq!((long.lines[0].as_str(), long.lines[199].as_str()), ("line 100", "line 299"));
    assert_eq!(window(&[b"\xff\xfe\n"]).lines, ["\u{fffd}\u{fffd}"]);
}

/// However much goes by, no more is held than may be kept; a line whose begin is gone is none.
#[test]
fn a_flood_is_not_held() {
    let mut window = Window::default();
    for no in 0..1_000 {
        window.push(format!("{no} {}\n", "x".repeat(10_000)).as_bytes());
    }
    let flood = window.output();
    assert!(flood.more && flood.lines.len() == 6, "{}", flood.lines.len());
    assert!(flood.lines[0].starts_with("994 "), "whole lines alone");
    let one_line = self::window(&[&vec![b'y'; 200_000]]);
    assert_eq!((one_line.lines.len(), one_line.more), (1, true));
    let ended = self::window(&[&vec![b'y'; 200_000], b"\n"]);
    assert_eq!((ended.lines.len(), ended.more), (1, true), "its end is no line of its own");
    // Cut to the limit exactly by what came before, it is torn all the same.
    let torn = self::window(&[&vec![b'y'; 3 * MAX_BYTES], b"\nnext\n"]);
    assert_eq!((torn.lines.as_slice(), torn.more), (["next".to_owned()].as_slice(), true));
}

fn decoded(evidence: Evidence) -> Evidence {
    let json = fit::encode(evidence);
    assert!(json.len() <= MAX_BYTES, "{} bytes", json.len());
    serde_json::from_slice(&json).expect("JSON")
}

#[test]
fn what_fits_is_kept_as_it_is() {
    let mut small = evidence(id(1));
    small.stdout.lines = vec!["a \"line\"".to_owned(); MAX_LINES];
    small.stdout.more = true;
    small.stderr.lines = vec!["x".repeat(10_000)];
    assert_eq!(decoded(small.clone()), small);
}

/// The newest lines stay, long ones say how much of them is gone, and one output does not push out the other.
#[test]
fn what_does_not_fit_is_cut_and_says_so() {
    let mut large = evidence(id(1));
    large.stdout.lines = (0..MAX_LINES).map(|no| format!("{no} {}", "o".repeat(3_000))).collect();
    large.stderr.lines = (0..MAX_LINES).map(|no| format!("error {no}")).collect();
    let kept = decoded(large.clone());
    assert_eq!(kept.stderr, large.stderr, "it needs less than its half");
    assert!(kept.stdout.more && kept.stdout.lines.len() > 20, "{}", kept.stdout.lines.len());
    let last = kept.stdout.lines.last().expect("the newest");
    assert!(last.starts_with("199 ooo") && last.ends_with(" more bytes]"), "{last}");
    let lost: usize = last
        .rsplit('[')
        .next()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .expect("a number");
    assert_eq!(last.find(" …").expect("a mark") + lost, "199 ".len() + 3_000, "truthful");
    assert_eq!(kept.stdout.shortened as usize, MAX_LINES);
    assert!(!kept.stderr.more && kept.stderr.shortened == 0);
}

/// A byte may take six in JSON, and every text may be the longest: the bound holds all the same.
#[test]
fn nothing_makes_it_too_large() {
    let nasty = "\u{1}".repeat(100_000);
    let mut worst = evidence(id(1));
    worst.ended = Some(Ended { at: AT, exit: Exit::Code(1), message: nasty.clone() });
    let answer = Answer::Http { status: 503, body: nasty[..MAX_BODY].to_owned(), cut: false };
    worst.replies = vec![Reply { at: AT, check: nasty.clone(), answer }; 5];
    worst.stdout = Output {
        lines: vec![nasty.clone(); MAX_LINES],
        unread: Some(nasty.clone()),
        ..Output::default()
    };
    worst.stderr = worst.stdout.clone();
    let kept = decoded(worst);
    let Answer::Http { cut, body, .. } = &kept.replies[0].answer else { panic!("an answer") };
    assert!(*cut && !body.is_empty());
    assert!(!kept.stdout.lines.is_empty() && !kept.stderr.lines.is_empty());
    let plain = Answer::Http { status: 200, body: "b".repeat(MAX_BODY), cut: false };
    let mut usual = evidence(id(1));
    usual.replies = vec![Reply { at: AT, check: "health /".to_owned(), answer: plain }; 5];
    assert_eq!(decoded(usual.clone()), usual, "2 KiB of each");
}

fn files(list: &[(u128, u32, u64, u64)]) -> BTreeMap<SandboxId, Filed> {
    let file = |&(no, app, secs, bytes): &(u128, u32, u64, u64)| {
        (id(no), Filed { app: AppKey(app), at: AT + Span::secs(secs), bytes })
    };
    list.iter().map(file).collect()
}

#[test]
fn a_day_so_many_of_an_app_and_so_much_in_all() {
    let limits = Limits { per_app: 2, files: 4, bytes: 100 };
    let gone = |list: &[(u128, u32, u64, u64)], now| surplus(&files(list), now, limits);
    let two_each = [(1, 1, 0, 9), (2, 1, 1, 9), (3, 2, 0, 9), (4, 2, 1, 9)];
    assert_eq!(gone(&two_each, AT), []);
    assert_eq!(gone(&two_each, AT + KEPT_FOR), [], "a whole day");
    assert_eq!(gone(&two_each, AT + KEPT_FOR + Span::millis(1)), [id(1), id(3)]);
    assert_eq!(gone(&[(1, 1, 5, 1), (2, 1, 0, 1), (3, 1, 6, 1)], AT), [id(2)], "the oldest");
    // Too much in all: the app that takes most gives, whatever is older elsewhere.
    assert_eq!(gone(&[(1, 1, 0, 10), (2, 2, 5, 60), (3, 2, 6, 60)], AT), [id(2)]);
    let one_each = [(1, 1, 0, 1), (2, 2, 0, 1), (3, 3, 0, 2), (4, 4, 0, 1), (5, 5, 0, 1)];
    assert_eq!(gone(&one_each, AT), [id(3)], "too many files");
}

#[test]
fn files_are_for_the_agent_alone_and_are_found_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let open = || Archive::open(dir.path(), Limits::default(), AT).expect("opened");
    let archive = open();
    let json = fit::encode(evidence(id(1)));
    let filed = Filed { app: AppKey(7), at: AT, bytes: 0 };
    archive.file(id(1), filed, &json, AT).expect("filed");
    let name = format!("autopsies/7.{}.json", id(1));
    let mode = std::fs::metadata(dir.path().join(&name)).expect("there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(archive.read(id(1), AT).expect("read"), Some(json.clone()));
    assert_eq!(archive.read(id(1), AT + KEPT_FOR + Span::millis(1)).expect("read"), None, "old");
    assert_eq!(archive.read(id(2), AT).expect("read"), None);
    // Another process of the agent; what is torn, of another life, or only begun, is none.
    std::fs::write(dir.path().join(format!("autopsies/7.{}.json", id(2))), &json[..20])
        .expect("written");
    std::fs::write(dir.path().join(format!("autopsies/7.{}.json", id(3))), &json).expect("written");
    let part = dir.path().join(format!("autopsies/7.{}.part", id(4)));
    std::fs::write(&part, &json).expect("written");
    std::fs::write(dir.path().join("autopsies/notes.txt"), "mine").expect("written");
    let again = open();
    assert!(again.has(id(1)) && !again.has(id(4)) && !part.exists());
    assert_eq!(again.read(id(1), AT).expect("read"), Some(json));
    for other in [2, 3] {
        assert_eq!(again.read(id(other), AT).expect("read"), None, "{other}");
    }
    assert!(dir.path().join("autopsies/notes.txt").exists(), "what is not ours is left alone");
}

#[test]
fn what_there_is_no_room_for_leaves_the_disk() {
    let dir = tempfile::tempdir().expect("a directory");
    let limits = Limits { per_app: 2, ..Limits::default() };
    let archive = Archive::open(dir.path(), limits, AT).expect("opened");
    for no in 0..5 {
        let filed = Filed { app: AppKey(1), at: AT + Span::secs(no), bytes: 0 };
        archive.file(id(no.into()), filed, b"{}", AT).expect("filed");
    }
    let left = std::fs::read_dir(dir.path().join("autopsies")).expect("listed").count();
    assert_eq!((left, archive.has(id(4)), archive.has(id(2))), (2, true, false));
}
