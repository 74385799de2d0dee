//! A store for people: one line of JSON for each record, and one for each row and event in it.

use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use crate::model::id::Epoch;
use crate::model::row::Write;
use crate::store::codec::{Decoded, Quarantined, What, decode, json::to_json};
use crate::store::log::{Head, Log};
use crate::store::offline::OfflineError;
use crate::store::record::{Damage, Record};

/// Writes out all records of a log, from its head on. A damaged record is shown as such.
///
/// # Errors
/// When the output cannot be written.
pub fn dump((log, epoch): &(Log, Epoch), out: &mut impl io::Write) -> Result<(), OfflineError> {
    let Head { start, schema, cluster } = log.head;
    line(out, &json!({ "cluster": cluster, "schema": schema, "head": start, "epoch": epoch }))?;
    for record in &log.records {
        for value in lines(record) {
            line(out, &value)?;
        }
    }
    Ok(out.flush()?)
}

fn line(out: &mut impl io::Write, value: &Value) -> Result<(), OfflineError> {
    Ok(writeln!(out, "{value}")?)
}

fn lines(record: &Record) -> Vec<Value> {
    let mut lines = vec![json!({
        "position": record.at,
        "epoch": record.epoch,
        "commit": record.commit,
        "at": record.time.to_string(),
        "part": record.part,
        "last": record.last,
        "bytes": record.bytes.len(),
    })];
    match decode(record) {
        Ok(decoded) => contents(&decoded, &mut lines),
        Err(damage) => lines.push(damaged(&damage)),
    }
    lines
}

fn contents(decoded: &Decoded, lines: &mut Vec<Value>) {
    lines.extend(decoded.writes.iter().map(row));
    lines.extend(decoded.events.iter().map(|event| json!({ "event": event })));
    lines.extend(decoded.quarantined.iter().map(quarantined));
}

fn row(write: &Write) -> Value {
    let row = write.row.as_ref().map(to_json).transpose();
    match row {
        Ok(row) => json!({ "key": write.key, "row": row }),
        Err(error) => json!({ "key": write.key, "unreadable": error.to_string() }),
    }
}

fn quarantined(Quarantined { what, bytes, why }: &Quarantined) -> Value {
    let hex = bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a text takes all");
        text
    });
    match what {
        What::Row(key) => json!({ "key": key, "unreadable": why, "bytes": hex }),
        What::Event(_) => json!({ "event": null, "unreadable": why, "bytes": hex }),
    }
}

fn damaged(damage: &Damage) -> Value {
    json!({ "damaged": damage.to_string() })
}
