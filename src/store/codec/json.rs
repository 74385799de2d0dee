//! Rows as JSON, for people and for backups: what postcard packs by position is here by name.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Error, Value};

use crate::model::row::{Key, Row};
use crate::store::codec::row::{Unreadable, belongs};

/// A row by the names of its fields.
///
/// # Errors
/// Never for rows of the model; a row with keys that are no text would have no JSON.
pub fn to_json(row: &Row) -> Result<Value, Error> {
    match row {
        Row::Meta(row) => serde_json::to_value(row),
        Row::Agent(row) => serde_json::to_value(row),
        Row::AppVersion(row) => serde_json::to_value(row),
        Row::App(row) => serde_json::to_value(row),
        Row::Deployment(row) => serde_json::to_value(row),
        Row::Outcome(row) => serde_json::to_value(row),
        Row::Instance(row) => serde_json::to_value(row),
        Row::Autopsy(row) => serde_json::to_value(row),
        Row::Deploy(row) => serde_json::to_value(row),
    }
}

/// The row under `key`.
///
/// # Errors
/// When the value is no such row, or the row of another key.
pub fn from_json(key: &Key, value: Value) -> Result<Row, Unreadable> {
    let row = match key {
        Key::Meta => Row::Meta(read(value)?),
        Key::Agent(_) => Row::Agent(read(value)?),
        Key::AppVersion(..) => Row::AppVersion(read(value)?),
        Key::App(_) => Row::App(read(value)?),
        Key::Deployment(_) => Row::Deployment(read(value)?),
        Key::Outcome(_) => Row::Outcome(read(value)?),
        Key::Instance(_) => Row::Instance(read(value)?),
        Key::Autopsy(_) => Row::Autopsy(read(value)?),
        Key::Deploy(_) => Row::Deploy(read(value)?),
    };
    if belongs(key, &row) { Ok(row) } else { Err(Unreadable::OtherKey) }
}

fn read<T: DeserializeOwned>(value: Value) -> Result<Arc<T>, Error> {
    serde_json::from_value(value).map(Arc::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::every_row;

    #[test]
    fn every_row_comes_back() {
        for (key, row) in every_row() {
            let text = to_json(&row).expect("a row has JSON").to_string();
            let value = serde_json::from_str(&text).expect("it is JSON");
            assert_eq!(from_json(&key, value).expect("it is read"), row, "{text}");
        }
    }
}
