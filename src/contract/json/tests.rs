//! What is JSON, and how it is told where a text stops being it.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::parse;
use crate::contract::fault::{Fault, Options, SyntaxFault, Warning};

macro_rules! seeds {
    ($($name:literal)+) => {
        [$((
            $name,
            include_str!(concat!("../../../fixtures/apps/broken/", $name, ".json")),
            include_str!(concat!("../../../fixtures/apps/broken/", $name, ".expected.json")),
        )),+]
    };
}

/// Name, text and expectation.
const SEEDS: [(&str, &str, &str); 4] =
    seeds!["nginx-bridge-port-app" "redis-app" "redis-bridge-app" "redis-unique-app"];

fn ok(text: &str) -> Value {
    parse(text.as_bytes(), &Options::default())
        .unwrap_or_else(|fault| panic!("{text}: {fault}"))
        .value
}

fn syntax(text: &[u8]) -> SyntaxFault {
    match parse(text, &Options::default()) {
        Err(Fault::Syntax(fault)) => fault,
        other => panic!("{}: {other:?}", String::from_utf8_lossy(text)),
    }
}

/// As `curl -d @FILE` sends it.
fn joined(text: &[u8]) -> Vec<u8> {
    text.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect()
}

#[test]
fn each_broken_seed_is_refused_as_its_expectation_says() {
    for (path, text, expected) in SEEDS {
        let expected: Value = serde_json::from_str(expected).expect("it is JSON");
        let (whole, flat) = (syntax(text.as_bytes()), syntax(&joined(text.as_bytes())));
        for fault in [&whole, &flat] {
            assert_eq!(Value::from(fault.details.as_str()), expected["details"], "{path}");
            assert_eq!(json!(fault.hint), expected["hint"], "{path}");
            assert!(fault.near.contains("▶\"instances\": \"2\"…"), "{}", fault.near);
        }
        assert_eq!((whole.column, flat.line), (3, 1), "{path}");
    }
}

#[test]
fn the_fault_of_the_seed_is_where_its_author_can_find_it() {
    // seeds.md §1.6: what curl sends is one line.
    let text = include_bytes!("../../../fixtures/apps/broken/redis-app.json");
    let fault = syntax(&joined(text));
    assert_eq!((fault.offset, fault.line, fault.column), (86, 1, 87));
    assert_eq!(fault.near, "…\"id\": \"redis\"  ▶\"instances\": \"2\"…");
    assert_eq!(syntax(text).line, 4);
}

#[test]
fn faults_are_told_in_jacksons_words() {
    let cases: &[(&str, usize, &str)] = &[
        (
            "{\"a\" 1}",
            5,
            "Unexpected character ('1' (code 49)): was expecting a colon to separate field name and value",
        ),
        (
            "[1 2]",
            3,
            "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries",
        ),
        (
            "{a:1}",
            1,
            "Unexpected character ('a' (code 97)): was expecting double-quote to start field name",
        ),
        (
            "{\"a\":1,}",
            7,
            "Unexpected character ('}' (code 125)): was expecting double-quote to start field name",
        ),
        (
            "{\"a\":1",
            6,
            "Unexpected end-of-input: expected close marker for Object (start marker at line: 1, column: 1)",
        ),
        (
            "{\"a\":\"x",
            7,
            "Unexpected end-of-input: was expecting closing quote for a string value",
        ),
        ("{\"a\":", 5, "Unexpected end-of-input: expected a value"),
        ("{\"a\":01}", 5, "Invalid numeric value: Leading zeroes not allowed"),
        ("{\"a\":\"\\q\"}", 7, "Unrecognized character escape 'q' (code 113)"),
        (
            "{\"a\":True}",
            5,
            "Unrecognized token 'True': was expecting (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        ),
        (
            "{\"a\":\"x\ny\"}",
            7,
            "Illegal unquoted character ((CTRL-CHAR, code 10)): has to be escaped using backslash to be included in string value",
        ),
        (
            "@app.json",
            0,
            "Unexpected character ('@' (code 64)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        ),
        (
            "// x\n{}",
            0,
            "Unexpected character ('/' (code 47)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        ),
        (
            "{'a':1}",
            1,
            "Unexpected character (''' (code 39)): was expecting double-quote to start field name",
        ),
        ("{\"a\":1e999}", 9, "number out of range"),
    ];
    for (text, offset, details) in cases {
        let fault = syntax(text.as_bytes());
        assert_eq!((fault.offset, fault.details.as_str()), (*offset, *details), "{text}");
    }
    assert_eq!(syntax(b"{\"a\":\"\xff\"}").details, "Invalid UTF-8 start byte 0xff");
}

#[test]
fn empty_bodies_are_no_syntax_fault_and_later_text_is_ignored() {
    for text in ["", " \n\t "] {
        assert_eq!(parse(text.as_bytes(), &Options::default()), Err(Fault::Empty));
    }
    assert_eq!(ok("\u{feff}{} and more"), json!({}));
}

#[test]
fn nesting_and_size_are_limited() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    ok(&nested(127));
    let fault = syntax(nested(128).as_bytes());
    assert_eq!(fault.details, "Document nesting depth (128) exceeds the maximum allowed (127)");
    let keys = |count: usize| {
        let members: Vec<String> = (0..count).map(|n| format!("\"{n}\":0")).collect();
        format!("{{{}}}", members.join(","))
    };
    ok(&keys(10_000));
    assert!(matches!(
        parse(keys(10_001).as_bytes(), &Options::default()),
        Err(Fault::Illegal(text)) if text == "an object has more than 10000 members"
    ));
}

#[test]
fn the_last_of_equal_keys_wins_and_is_named() {
    let text = br#"{"a":{"b":1,"b":2},"l":[{"c":1,"c":3}]}"#;
    let read = parse(text, &Options::default()).expect("JSON");
    assert_eq!(read.value, json!({"a": {"b": 2}, "l": [{"c": 3}]}));
    assert_eq!(
        read.warnings,
        ["/a/b", "/l(0)/c"]
            .map(|path| Warning(format!("{path} is given more than once, the last is taken")))
    );
    let strict = Options { strict: true, ..Options::default() };
    assert!(matches!(parse(text, &strict), Err(Fault::Type(problems)) if problems.len() == 2));
}

#[test]
fn a_long_key_costs_its_length_once() {
    // 100,000 values below a key of half a megabyte: 50 GB, were each value's place written out.
    let text = format!("{{\"{}\":[{}0]}}", "k".repeat(500_000), "0,".repeat(100_000));
    let read = parse(text.as_bytes(), &Options::default()).expect("JSON");
    assert_eq!(read.value.as_object().map(serde_json::Map::len), Some(1));
    let twice = format!("{{\"{0}\":1,\"{0}\":2}}", "k".repeat(500_000));
    let read = parse(twice.as_bytes(), &Options::default()).expect("JSON");
    assert!(read.warnings[0].0.chars().count() < 200);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Every way to spoil a body is told at a place in it, and serde_json and the diagnosis agree on what is JSON.
    #[test]
    fn a_spoilt_text_is_told_at_a_place_in_it(
        seed in 0..SEEDS.len(),
        cut in any::<prop::sample::Index>(),
        length in 0_usize..4,
        put in prop::sample::select(vec!["", ",", ",,", "\"", "{", "]", "}", ":", "\\", "\n", "ä", "-", "0", ".", "e", "nul", "\u{1}"]),
    ) {
        let mut text = SEEDS[seed].1.replace("\"\n  \"inst", "\",\n  \"inst").into_bytes();
        let start = cut.index(text.len());
        let end = text.len().min(start + length);
        text.splice(start..end, put.bytes());
        match parse(&text, &Options::default()) {
            Ok(_) | Err(Fault::Empty) => {}
            Err(Fault::Syntax(fault)) => {
                prop_assert!(fault.offset <= text.len() && fault.line > 0 && fault.column > 0);
                prop_assert!(fault.near.contains('▶'));
                let jackson = ["Un", "Ill", "Inv"].iter().any(|word| fault.details.starts_with(word));
                prop_assert!(jackson, "{}", fault.details);
            }
            Err(other) => prop_assert!(false, "{other:?}"),
        }
    }
}
