//! A world as a portable file: lines of JSON, a header, the rows, an end that tells a cut file from a whole one.
//!
//! Also the way from one format of the log to another, since it depends on none.

use std::fs;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::commit::Commit;
use crate::model::id::{ClusterId, CommitNo, Epoch};
use crate::model::row::{Key, Write};
use crate::model::time::Timestamp;
use crate::model::view::View;
use crate::model::world::World;
use crate::store::codec::json::{from_json, to_json};
use crate::store::codec::{EncodeError, encode, row::Unreadable};
use crate::store::embedded::{Embedded, Expect, FILE, OpenError, sync_dir};
use crate::store::log::{AppendError, Bid, FIRST, LeadError};
use crate::store::record::SCHEMA;

/// The format that this program writes, and the newest that it reads.
const FORMAT: u32 = 1;

/// Where a store is made before it gets its place.
const UNFINISHED: &str = "restore.part";

/// The first line of a backup.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupHeader {
    /// The format of the file.
    pub stayer_backup: u32,
    /// The schema of the rows.
    pub schema: u16,
    /// The cluster.
    pub cluster: ClusterId,
    /// The epoch under which the newest commit was written.
    pub epoch: Epoch,
    /// The newest commit.
    pub commit: CommitNo,
    /// When it was decided.
    pub at: Timestamp,
    /// How many rows follow.
    pub rows: u64,
}

/// A backup, read.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Its header.
    pub header: BackupHeader,
    /// Its rows, in the order of keys.
    pub writes: Vec<Write>,
}

/// Why a backup was not made, read or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// Nothing was ever written; there is nothing to keep.
    #[error("nothing was written to this cluster yet")]
    Nothing,
    /// It cannot be read or written.
    #[error("the backup cannot be read or written")]
    Io(#[from] io::Error),
    /// It is none, or a newer one.
    #[error("no backup that this program can read: {0}")]
    Header(String),
    /// A line is no row.
    #[error("line {line} is no row: {why}")]
    Row {
        /// Which, from 1.
        line: u64,
        /// Why.
        why: String,
    },
    /// The end is missing, or is not the end of these rows.
    #[error("the backup is cut short or changed: {0}")]
    Cut(String),
    /// There is a store already.
    #[error("there is a store at {}; nothing was changed", .0.display())]
    Exists(PathBuf),
    /// A row is larger than a record may be.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The new store cannot be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The new store cannot be led.
    #[error(transparent)]
    Lead(#[from] LeadError),
    /// The new store cannot be filled.
    #[error(transparent)]
    Append(#[from] AppendError),
}

#[derive(Serialize, Deserialize)]
struct Line<R> {
    key: Key,
    row: R,
}

#[derive(Serialize, Deserialize)]
struct End {
    end: u64,
    crc32c: u32,
}

/// Counts and sums what passes.
struct Summed<W> {
    out: W,
    sum: u32,
}

/// Writes a view out.
///
/// # Errors
/// When it cannot be written, or there is nothing to write.
pub fn backup(view: &View, out: impl io::Write) -> Result<BackupHeader, BackupError> {
    let cluster = view.world.meta.as_ref().ok_or(BackupError::Nothing)?.cluster;
    let header = BackupHeader {
        stayer_backup: FORMAT,
        schema: SCHEMA,
        cluster,
        epoch: view.epoch,
        commit: view.no,
        at: view.at,
        rows: view.world.rows().count() as u64,
    };
    let mut out = Summed { out, sum: 0 };
    out.line(&header)?;
    for (key, row) in view.world.rows() {
        let row = to_json(&row).map_err(io::Error::from)?;
        out.line(&Line { key, row })?;
    }
    let end = End { end: header.rows, crc32c: out.sum };
    out.line(&end)?;
    out.out.flush()?;
    Ok(header)
}

/// Reads a whole backup.
///
/// # Errors
/// When anything in it is not as it was written.
pub fn read_backup(input: impl BufRead) -> Result<Backup, BackupError> {
    let mut lines = Lines { input, sum: 0, number: 0 };
    let first = lines.next()?.ok_or_else(|| BackupError::Header("it is empty".to_owned()))?;
    let header = header(&first)?;
    let mut writes = Vec::new();
    for _ in 0..header.rows {
        let text = lines.next()?.ok_or_else(|| BackupError::Cut("rows are missing".to_owned()))?;
        writes.push(lines.row(&text)?);
    }
    let sum = lines.sum;
    let last = lines.next()?.ok_or_else(|| BackupError::Cut("its end is missing".to_owned()))?;
    let end: End = serde_json::from_str(&last).map_err(|why| BackupError::Cut(why.to_string()))?;
    if (end.end, end.crc32c) != (header.rows, sum) {
        return Err(BackupError::Cut("its checksum is another".to_owned()));
    }
    Ok(Backup { header, writes })
}

/// Makes a store of a backup in a directory that has none. All rows are one commit, under an epoch above that of the
/// backup. The store appears whole or not at all.
///
/// # Errors
/// When the backup cannot be read, or the store cannot be made.
pub fn restore(input: impl BufRead, dir: &Path) -> Result<BackupHeader, BackupError> {
    let place = dir.join(FILE);
    if place.exists() {
        return Err(BackupError::Exists(place));
    }
    let Backup { header, writes } = read_backup(input)?;
    let unfinished = dir.join(UNFINISHED);
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished)?;
    }
    let store = Embedded::open(&unfinished, Expect::AnyOrNew(header.cluster))?;
    let lead = store.lead_above(Bid::IfVacant, header.epoch)?;
    let records = encode(&whole(header, writes), lead.epoch, FIRST)?;
    store.append_blocking(&lead, &records)?;
    drop(store);
    fs::rename(unfinished.join(FILE), &place)?;
    fs::remove_dir(&unfinished)?;
    sync_dir(dir)?;
    Ok(header)
}

fn whole(header: BackupHeader, writes: Vec<Write>) -> Commit {
    Commit {
        no: header.commit,
        at: header.at,
        writes,
        events: Vec::new(),
        answers: Vec::new(),
        swept_from: None,
        world: World::default(),
    }
}

fn header(line: &str) -> Result<BackupHeader, BackupError> {
    let value: Value =
        serde_json::from_str(line).map_err(|why| BackupError::Header(why.to_string()))?;
    if value["stayer_backup"].as_u64().is_some_and(|format| format > u64::from(FORMAT)) {
        return Err(BackupError::Header("it is in a newer format".to_owned()));
    }
    let header: BackupHeader =
        serde_json::from_value(value).map_err(|why| BackupError::Header(why.to_string()))?;
    if header.schema > SCHEMA {
        return Err(BackupError::Header(format!(
            "its rows have the newer schema {}",
            header.schema
        )));
    }
    Ok(header)
}

/// The lines of a backup, summed as they are read.
struct Lines<R> {
    input: R,
    sum: u32,
    number: u64,
}

// === impl Lines ===

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> Result<Option<String>, BackupError> {
        let mut text = String::new();
        if self.input.read_line(&mut text)? == 0 {
            return Ok(None);
        }
        self.sum = crc32c::crc32c_append(self.sum, text.as_bytes());
        self.number += 1;
        Ok(Some(text))
    }

    fn row(&self, text: &str) -> Result<Write, BackupError> {
        let line = self.number;
        let refused = |why: Unreadable| BackupError::Row { line, why: why.to_string() };
        let Line::<Value> { key, row } =
            serde_json::from_str(text).map_err(|why| refused(why.into()))?;
        let row = from_json(&key, row).map_err(refused)?;
        Ok(Write { key, row: Some(row) })
    }
}

// === impl Summed ===

impl<W: io::Write> Summed<W> {
    fn line(&mut self, value: &impl Serialize) -> Result<(), BackupError> {
        let mut text = serde_json::to_vec(value).map_err(io::Error::from)?;
        text.push(b'\n');
        self.sum = crc32c::crc32c_append(self.sum, &text);
        Ok(self.out.write_all(&text)?)
    }
}
