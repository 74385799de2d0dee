//! What whole bodies become and why they are refused; one file per stage.

mod legacy;
mod lists;
mod rules;
mod seeds;
mod types;
mod updates;
mod volumes;
mod wild;

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{read_app, read_update};
use crate::contract::fault::{Fault, Options, Problem, Read};
use crate::model::path::AppPath;
use crate::model::spec::Spec;

/// A sound app with `members` over its own.
fn app(members: Value) -> Value {
    let mut body = json!({"id": "/a", "cmd": "sleep 1"});
    put(&mut body, members);
    body
}

/// A sound DOCKER app with `members` over its own, those of `container` inside its container.
fn docker(container: Value, members: Value) -> Value {
    let mut inner = json!({"type": "DOCKER", "docker": {"image": "i"}});
    put(&mut inner, container);
    let mut body = json!({"id": "/a", "container": inner});
    put(&mut body, members);
    body
}

fn put(body: &mut Value, members: Value) {
    let Value::Object(members) = members else { panic!("members belong to an object") };
    for (name, value) in members {
        body[name] = value;
    }
}

fn read(body: &Value) -> Result<Read<Spec>, Fault> {
    read_app(body, &AppPath::root(), &Options::default())
}

fn spec(body: &Value) -> Spec {
    read(body).unwrap_or_else(|fault| panic!("{body}: {fault}")).value
}

fn told(problems: Vec<Problem>) -> BTreeSet<String> {
    problems.into_iter().map(|it| format!("{} {}", it.path, it.error)).collect()
}

/// What the type stage says, as `path error`.
fn type_faults(body: &Value) -> BTreeSet<String> {
    match read(body) {
        Err(Fault::Type(problems)) => told(problems),
        other => panic!("{body}: {other:?}"),
    }
}

/// What the rules say, as `path error`.
fn broken_rules(body: &Value) -> BTreeSet<String> {
    match read(body) {
        Err(Fault::Invalid(problems)) => told(problems),
        other => panic!("{body}: {other:?}"),
    }
}

fn illegal(body: &Value) -> String {
    match read(body) {
        Err(Fault::Illegal(message)) => message,
        other => panic!("{body}: {other:?}"),
    }
}

fn set(texts: &[&str]) -> BTreeSet<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}
