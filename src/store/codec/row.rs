//! What a row looks like in a record: postcard for what machines write, millions and small; JSON for definitions, which
//! users write, few and wide, so that a field is added without a migration.
//!
//! A row type that changes gets a new schema number, and its old shape a file of its own with a `From`; the golden bytes
//! beside the tests notice a change that forgot it.

use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::model::agent::Agent;
use crate::model::app::{App, AppVersion};
use crate::model::autopsy::Autopsy;
use crate::model::deploy::Deploy;
use crate::model::deployment::Deployment;
use crate::model::event::Event;
use crate::model::instance::Instance;
use crate::model::meta::Meta;
use crate::model::outcome::Outcome;
use crate::model::row::{Key, Row};

/// Why a row cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// No such machine row.
    #[error("{0}")]
    Machine(#[from] postcard::Error),
    /// No such definition.
    #[error("{0}")]
    Definition(#[from] serde_json::Error),
    /// Bytes are left over.
    #[error("{0} bytes are left over")]
    Rest(usize),
    /// The row names itself otherwise than its key does.
    #[error("the row belongs to another key")]
    OtherKey,
}

/// The bytes of a row.
pub fn encode(row: &Row) -> Vec<u8> {
    let bytes = match row {
        Row::Meta(row) => postcard::to_stdvec(&**row),
        Row::Agent(row) => postcard::to_stdvec(&**row),
        Row::AppVersion(row) => {
            return serde_json::to_vec(&**row).expect("a definition has text for keys");
        }
        Row::App(row) => postcard::to_stdvec(&**row),
        Row::Deployment(row) => postcard::to_stdvec(&**row),
        Row::Outcome(row) => postcard::to_stdvec(&**row),
        Row::Instance(row) => postcard::to_stdvec(&**row),
        Row::Autopsy(row) => postcard::to_stdvec(&**row),
        Row::Deploy(row) => postcard::to_stdvec(&**row),
    };
    bytes.expect("a row knows its lengths")
}

/// The row under `key`.
///
/// # Errors
/// When the bytes are no such row, or the row of another key.
pub fn decode(key: &Key, bytes: &[u8]) -> Result<Row, Unreadable> {
    let row = match key {
        Key::Meta => Row::Meta(Arc::new(machine::<Meta>(bytes)?)),
        Key::Agent(_) => Row::Agent(Arc::new(machine::<Agent>(bytes)?)),
        Key::AppVersion(..) => {
            Row::AppVersion(Arc::new(serde_json::from_slice::<AppVersion>(bytes)?))
        }
        Key::App(_) => Row::App(Arc::new(machine::<App>(bytes)?)),
        Key::Deployment(_) => Row::Deployment(Arc::new(machine::<Deployment>(bytes)?)),
        Key::Outcome(_) => Row::Outcome(Arc::new(machine::<Outcome>(bytes)?)),
        Key::Instance(_) => Row::Instance(Arc::new(machine::<Instance>(bytes)?)),
        Key::Autopsy(_) => Row::Autopsy(Arc::new(machine::<Autopsy>(bytes)?)),
        Key::Deploy(_) => Row::Deploy(Arc::new(machine::<Deploy>(bytes)?)),
    };
    if belongs(key, &row) { Ok(row) } else { Err(Unreadable::OtherKey) }
}

/// The bytes of an event.
pub fn encode_event(event: &Event) -> Vec<u8> {
    postcard::to_stdvec(event).expect("an event knows its lengths")
}

/// The event of these bytes.
///
/// # Errors
/// When there is none.
pub fn decode_event(bytes: &[u8]) -> Result<Event, Unreadable> {
    machine(bytes)
}

/// Whether `row` is one that may stand under `key`.
pub fn belongs(key: &Key, row: &Row) -> bool {
    match (key, row) {
        (Key::Meta, Row::Meta(_)) => true,
        (Key::Agent(key), Row::Agent(row)) => *key == row.key,
        (Key::AppVersion(_, version), Row::AppVersion(row)) => *version == row.version,
        (Key::App(key), Row::App(row)) => *key == row.key,
        (Key::Deployment(id), Row::Deployment(row)) => *id == row.id,
        (Key::Outcome(key), Row::Outcome(row)) => *key == row.key(),
        (Key::Instance(key), Row::Instance(row)) => *key == row.key,
        (Key::Autopsy(key), Row::Autopsy(row)) => *key == row.key,
        (Key::Deploy(id), Row::Deploy(row)) => *id == row.id,
        (
            Key::Meta
            | Key::Agent(_)
            | Key::AppVersion(..)
            | Key::App(_)
            | Key::Deployment(_)
            | Key::Outcome(_)
            | Key::Instance(_)
            | Key::Autopsy(_)
            | Key::Deploy(_),
            _,
        ) => false,
    }
}

fn machine<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Unreadable> {
    let (row, rest) = postcard::take_from_bytes(bytes)?;
    if rest.is_empty() { Ok(row) } else { Err(Unreadable::Rest(rest.len())) }
}
