//! Leniency and strictness of the shared reader.

use serde_json::{Value, json};

use super::{At, Reader};
use crate::contract::fault::{Fault, Options, Problem};

/// Reads `value` by `read` and tells what was wrong, as `path error`.
fn faults(value: &Value, strict: bool, read: impl FnOnce(&mut Reader<'_>, &At<'_>)) -> Vec<String> {
    let options = Options { strict, ..Options::default() };
    let mut reader = Reader::new(&options);
    read(&mut reader, &At { value, path: "/x".into() });
    match reader.finish() {
        Ok(_) => Vec::new(),
        Err(Fault::Type(problems)) => {
            problems.into_iter().map(|Problem { path, error }| format!("{path} {error}")).collect()
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn type_errors_have_the_frameworks_keys() {
    // Contract 2.5 and 4.
    let none = |_: &mut Reader<'_>, _: &At<'_>| Some(());
    let check = |value: Value, error: &str, read: &dyn Fn(&mut Reader<'_>, &At<'_>)| {
        assert_eq!(faults(&value, false, read), [format!("/x {error}")], "{value}");
    };
    check(json!(5), "error.expected.jsstring", &|r, at| _ = r.string(at));
    check(json!(""), "error.minLength", &|r, at| _ = r.filled(at));
    check(json!("abc"), "error.maxLength", &|r, at| _ = r.sized(at, 2));
    check(json!("a_b"), "error.pattern", &|r, at| _ = r.name(at, 63, &[]));
    check(json!("true"), "error.expected.jsboolean", &|r, at| _ = r.flag(at));
    check(json!("two"), "error.expected.jsnumber", &|r, at| _ = r.count(at));
    check(json!(null), "error.expected.jsnumber", &|r, at| _ = r.count(at));
    check(json!(1.5), "error.expected.int", &|r, at| _ = r.count(at));
    check(json!(2_147_483_648_i64), "error.expected.int", &|r, at| _ = r.count(at));
    check(json!(1.5), "error.expected.long", &|r, at| _ = r.long(at));
    check(json!(-1), "error.min", &|r, at| _ = r.count(at));
    check(json!(65_536), "error.max", &|r, at| _ = r.port(at));
    check(json!(-0.5), "error.min", &|r, at| _ = r.micro(at));
    check(json!(1e300), "error.max", &|r, at| _ = r.micro(at));
    check(json!({}), "error.expected.jsarray", &|r, at| _ = r.list(at, none));
    check(json!([]), "error.expected.jsobject", &|r, at| _ = r.map(at, none));
    check(json!([]), "error.expected.jsobject", &|r, at| _ = r.object(at));
    check(json!([1]), "[1] is not an object", &|r, at| _ = r.constrained(at));
    check(json!("c"), "error.unknown.enum.literal", &|r, at| _ = r.choice(at, &[("a", 1)]));
    check(json!(1), "error.unknown.enum.literal", &|r, at| _ = r.choice(at, &[("a", 1)]));
}

#[test]
fn required_members_are_missed_in_the_words_of_their_type() {
    let told = faults(&json!({"b": 1}), false, |r, at| {
        let mut fields = r.lenient(at);
        fields.need("a", Reader::string);
        fields.need_plain("c", Reader::string);
    });
    assert_eq!(told, ["/x/a 'a' is undefined on object: {\"b\":1}", "/x/c error.path.missing"]);
}

#[test]
fn what_loses_nothing_is_taken_and_told() {
    let options = Options::default();
    let mut reader = Reader::new(&options);
    let value =
        json!({"n": "2", "f": "0.25", "w": 2.0, "none": null, "E": "TcP", "memory": 1, "mum": 2});
    let mut fields = reader.lenient(&At::root(&value));
    assert_eq!(fields.opt("n", Reader::count), Some(2));
    assert_eq!(fields.opt("f", Reader::micro), Some(250_000));
    assert_eq!(fields.opt("w", Reader::count), Some(2));
    assert_eq!(fields.opt("none", Reader::count), None);
    assert_eq!(fields.opt("E", |r, at| r.choice(at, &[("tcp", 6)])), Some(6));
    assert_eq!(fields.aliased("mem", "memory", Reader::count), Some(1));
    fields.done();
    let warnings: Vec<String> =
        reader.finish().expect("no faults").warnings.into_iter().map(|warning| warning.0).collect();
    assert_eq!(
        warnings,
        [
            "coerced /n,/f",
            "unknown /memory taken as mem",
            "unknown /mum ignored, did you mean \"mem\"?"
        ]
    );
}

#[test]
fn strict_takes_nothing_that_marathon_refuses_and_no_stranger() {
    let value = json!({"n": "2", "memory": 1});
    let told = faults(&value, true, |r, at| {
        let mut fields = r.lenient(at);
        fields.opt("n", Reader::count);
        fields.aliased("mem", "memory", Reader::count);
        fields.done();
    });
    assert_eq!(
        told,
        [
            "/x/n error.expected.jsnumber",
            "/x/memory unknown field \"memory\", did you mean \"mem\"?"
        ]
    );
}
