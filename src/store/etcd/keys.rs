//! The layout: which key holds what.
//!
//! ```text
//! /stayer/<name>/head             where the log begins, its schema, whose it is          JSON
//! /stayer/<name>/leader           who leads; its mod_revision is the epoch               JSON
//! /stayer/<name>/servers/<id>     a server that is there, under a lease                  JSON
//! /stayer/<name>/log/<position>   one record, 16 hexadecimal digits                      as codec writes it
//! ```

use serde::{Deserialize, Serialize};

use crate::model::id::{ClusterId, Position, ServerId};
use crate::store::log::{FIRST, Head, StoreError};
use crate::store::member::Member;

/// The keys of one tree.
#[derive(Clone, Debug)]
pub(super) struct Keys {
    prefix: String,
}

#[derive(Serialize, Deserialize)]
struct HeadValue {
    start: Position,
    schema: u16,
    cluster: ClusterId,
}

// === impl Keys ===

impl Keys {
    pub(super) fn new(name: &str) -> Keys {
        Keys { prefix: format!("/stayer/{name}/") }
    }

    /// What all keys begin with.
    pub(super) fn all(&self) -> Vec<u8> {
        self.prefix.clone().into_bytes()
    }

    pub(super) fn head(&self) -> Vec<u8> {
        self.at("head")
    }

    pub(super) fn leader(&self) -> Vec<u8> {
        self.at("leader")
    }

    pub(super) fn server(&self, id: ServerId) -> Vec<u8> {
        self.at(&format!("servers/{id}"))
    }

    /// What the keys of all records begin with.
    pub(super) fn log(&self) -> Vec<u8> {
        self.at("log/")
    }

    pub(super) fn record(&self, at: Position) -> Vec<u8> {
        self.at(&format!("log/{:016x}", at.0))
    }

    /// The key behind those of all records.
    pub(super) fn log_end(&self) -> Vec<u8> {
        // '0' comes after '/'.
        self.at("log0")
    }

    /// Which record a key names, if it names one.
    pub(super) fn position(&self, key: &[u8]) -> Option<Position> {
        let digits = key.strip_prefix(self.log().as_slice())?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| digits.len() == 16)?;
        u64::from_str_radix(digits, 16).ok().map(Position)
    }

    fn at(&self, rest: &str) -> Vec<u8> {
        format!("{}{rest}", self.prefix).into_bytes()
    }
}

pub(super) fn write_head(head: Head) -> Vec<u8> {
    let Head { start, schema, cluster } = head;
    json(&HeadValue { start, schema, cluster })
}

pub(super) fn read_head(value: &[u8]) -> Result<Head, StoreError> {
    let HeadValue { start, schema, cluster } = serde_json::from_slice(value)
        .map_err(|_| StoreError::Identity("the key 'head' cannot be read"))?;
    if start < FIRST {
        return Err(StoreError::Identity("the key 'head' names no position"));
    }
    Ok(Head { start, schema, cluster })
}

pub(super) fn write_member(member: &Member) -> Vec<u8> {
    json(member)
}

pub(super) fn read_member(value: &[u8]) -> Result<Member, StoreError> {
    serde_json::from_slice(value)
        .map_err(|_| StoreError::Identity("the key 'leader' cannot be read"))
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("plain fields are JSON")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::cluster;

    #[test]
    fn records_are_found_by_their_keys_and_in_order() {
        let keys = Keys::new("west");
        let key = keys.record(Position(255));
        assert_eq!(key, b"/stayer/west/log/00000000000000ff");
        assert_eq!(keys.position(&key), Some(Position(255)));
        assert_eq!(keys.position(&keys.head()), None);
        assert_eq!(keys.position(b"/stayer/west/log/ff"), None);
        assert_eq!(Keys::new("east").position(&key), None);
        assert!(keys.record(Position(9)) < keys.record(Position(16)));
        assert!(keys.record(Position(u64::MAX)) < keys.log_end());
        assert!(keys.log() < keys.record(Position(0)));
    }

    #[test]
    fn what_is_written_for_people_and_for_us_is_read_again() {
        let head = Head::new(cluster());
        assert_eq!(read_head(&write_head(head)), Ok(head));
        assert!(read_head(b"{}").is_err());
        let id = ServerId(uuid::Uuid::from_u128(7));
        let member = Member { id, url: "http://a:8080".to_owned() };
        assert_eq!(read_member(&write_member(&member)), Ok(member));
        assert!(read_member(b"").is_err());
    }
}
