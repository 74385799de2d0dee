//! The two tables of an embedded log, and every transaction on them.
//!
//! `log` holds records by position; `meta` says whose log it is, which epoch is the newest and where the head is. An
//! append compares epoch and position inside its own transaction, so that a mistake above cannot get past it.

use std::error::Error;
use std::io::ErrorKind;
use std::sync::Arc;

use bytes::Bytes;
use redb::{
    Database, ReadTransaction, ReadableDatabase, ReadableTable, Table, TableDefinition, TableError,
    WriteTransaction,
};

use crate::model::id::{ClusterId, Epoch, Position};
use crate::store::log::{AppendError, Head, Lead, StoreError, admit};
use crate::store::record::{Record, SCHEMA};

const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");

const CLUSTER: &str = "cluster";
const EPOCH: &str = "epoch";
const HEAD: &str = "head";

/// How many records below the head an append takes out. More than one, so that the old log goes faster than a new one
/// comes; few, so that the append stays quick.
const TRIM_STEP: usize = 16;

type MetaTable<'t> = Table<'t, &'static str, &'static [u8]>;
type LogTable<'t> = Table<'t, u64, &'static [u8]>;

/// What an append has stored.
#[derive(Debug)]
pub(super) struct Stored {
    /// The position after it.
    pub next: Position,
    /// How many bytes.
    pub bytes: u64,
}

/// Whose log a file holds, its head and its newest epoch; nothing in a new file.
pub(super) fn identity(tx: &ReadTransaction) -> Result<Option<(Head, Epoch)>, StoreError> {
    match tx.open_table(META) {
        Ok(meta) => read_meta(&meta).map(Some),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// Makes the tables of a new log.
pub(super) fn found(database: &Database, cluster: ClusterId) -> Result<(Head, Epoch), StoreError> {
    let head = Head::new(cluster);
    let tx = begin(database)?;
    tx.open_table(LOG).map_err(failed)?;
    let mut meta = tx.open_table(META).map_err(failed)?;
    meta.insert(CLUSTER, cluster.0.as_bytes().as_slice()).map_err(failed)?;
    write_head(&mut meta, head)?;
    write_epoch(&mut meta, Epoch::default())?;
    drop(meta);
    commit(tx)?;
    Ok((head, Epoch::default()))
}

/// Raises the epoch above all that led here, and above one that is known from elsewhere.
pub(super) fn lead(database: &Database, above: Epoch) -> Result<(Epoch, Head), StoreError> {
    let tx = begin(database)?;
    let mut meta = tx.open_table(META).map_err(failed)?;
    let (head, epoch) = read_meta(&meta)?;
    let (epoch, head) = (epoch.max(above).next(), Head { schema: head.schema.max(SCHEMA), ..head });
    write_epoch(&mut meta, epoch)?;
    write_head(&mut meta, head)?;
    drop(meta);
    commit(tx)?;
    Ok((epoch, head))
}

/// Appends what is not stored yet, and takes out a little of what lies below the head.
pub(super) fn append(
    database: &Database,
    head: Head,
    lead: &Lead,
    records: &[Record],
) -> Result<Result<Stored, AppendError>, StoreError> {
    let tx = begin(database)?;
    if let Err(deposed) = fence(&tx, lead)? {
        return Ok(Err(deposed));
    }
    let mut log = tx.open_table(LOG).map_err(failed)?;
    let next = next_in(&log, head)?;
    let fresh = match admit(lead, next, records, |at| record_at(&log, at)) {
        Ok(fresh) => fresh,
        Err(error) => return Ok(Err(error)),
    };
    let mut stored = Stored { next, bytes: 0 };
    for record in fresh {
        log.insert(record.at.0, &*record.bytes).map_err(failed)?;
        stored.next = record.at.next();
        stored.bytes += record.bytes.len() as u64;
    }
    trim(&mut log, head.start)?;
    drop(log);
    commit(tx)?;
    Ok(Ok(stored))
}

/// Lets the log begin elsewhere, at a record that is there.
pub(super) fn move_head(
    database: &Database,
    lead: &Lead,
    head: Head,
) -> Result<Result<(), AppendError>, StoreError> {
    let tx = begin(database)?;
    if let Err(deposed) = fence(&tx, lead)? {
        return Ok(Err(deposed));
    }
    let log = tx.open_table(LOG).map_err(failed)?;
    if record_at(&log, head.start)?.is_none() {
        let next = next_in(&log, head)?;
        return Ok(Err(AppendError::Misplaced { next, found: head.start }));
    }
    drop(log);
    let mut meta = tx.open_table(META).map_err(failed)?;
    write_head(&mut meta, head)?;
    drop(meta);
    commit(tx)?;
    Ok(Ok(()))
}

/// The position after the last record.
pub(super) fn next(database: &Database, head: Head) -> Result<Position, StoreError> {
    let tx = database.begin_read().map_err(failed)?;
    next_in(&tx.open_table(LOG).map_err(failed)?, head)
}

/// The records from a position on.
pub(super) fn read(database: &Database, from: Position) -> Result<Vec<Record>, StoreError> {
    let mut records = Vec::new();
    each(database, from, |at, bytes| {
        records.push(open(at, bytes)?);
        Ok(())
    })?;
    Ok(records)
}

/// The bytes of the records from a position on.
pub(super) fn bytes(database: &Database, from: Position) -> Result<u64, StoreError> {
    let mut sum = 0;
    each(database, from, |_, bytes| {
        sum += bytes.len() as u64;
        Ok(())
    })?;
    Ok(sum)
}

/// The bytes that the tables take on disk, as far as one transaction sees them.
pub(super) fn stored_bytes(database: &Database) -> Result<u64, StoreError> {
    use redb::ReadableTableMetadata;
    let tx = database.begin_read().map_err(failed)?;
    let stats = tx.open_table(LOG).map_err(failed)?.stats().map_err(failed)?;
    Ok(stats.stored_bytes() + stats.metadata_bytes() + stats.fragmented_bytes())
}

/// An error of redb as one of ours; a full disk, however deep in it, is told apart.
pub(super) fn failed(error: impl Into<redb::Error>) -> StoreError {
    let error: redb::Error = error.into();
    if is_full(&error) { StoreError::Full } else { StoreError::Failed(Arc::new(error)) }
}

fn is_full(error: &(dyn Error + 'static)) -> bool {
    let io = match error.downcast_ref::<redb::Error>() {
        Some(redb::Error::Io(io)) => Some(io),
        _ => error.downcast_ref::<std::io::Error>(),
    };
    match io {
        Some(io) => {
            matches!(
                io.kind(),
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
            )
        }
        None => error.source().is_some_and(is_full),
    }
}

fn begin(database: &Database) -> Result<WriteTransaction, StoreError> {
    database.begin_write().map_err(failed)
}

fn commit(tx: WriteTransaction) -> Result<(), StoreError> {
    tx.commit().map_err(failed)
}

fn fence(tx: &WriteTransaction, lead: &Lead) -> Result<Result<(), AppendError>, StoreError> {
    let meta = tx.open_table(META).map_err(failed)?;
    let (_, newest) = read_meta(&meta)?;
    Ok(if newest == lead.epoch { Ok(()) } else { Err(AppendError::Deposed) })
}

fn next_in(
    log: &impl ReadableTable<u64, &'static [u8]>,
    head: Head,
) -> Result<Position, StoreError> {
    let last = log.last().map_err(failed)?;
    Ok(last.map_or(head.start, |(at, _)| Position(at.value()).next()))
}

fn record_at(log: &LogTable<'_>, at: Position) -> Result<Option<Record>, StoreError> {
    let stored = log.get(at.0).map_err(failed)?;
    stored.map(|bytes| open(at, bytes.value())).transpose()
}

fn open(at: Position, bytes: &[u8]) -> Result<Record, StoreError> {
    Record::open(at, Bytes::copy_from_slice(bytes)).map_err(|why| StoreError::Damaged { at, why })
}

fn each(
    database: &Database,
    from: Position,
    mut act: impl FnMut(Position, &[u8]) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let tx = database.begin_read().map_err(failed)?;
    let log = tx.open_table(LOG).map_err(failed)?;
    for entry in log.range(from.0..).map_err(failed)? {
        let (at, bytes) = entry.map_err(failed)?;
        act(Position(at.value()), bytes.value())?;
    }
    Ok(())
}

fn trim(log: &mut LogTable<'_>, start: Position) -> Result<(), StoreError> {
    for _ in 0..TRIM_STEP {
        match log.first().map_err(failed)? {
            Some((at, _)) if at.value() < start.0 => {}
            Some(_) | None => break,
        }
        log.pop_first().map_err(failed)?;
    }
    Ok(())
}

fn read_meta(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
) -> Result<(Head, Epoch), StoreError> {
    let cluster = ClusterId(uuid::Uuid::from_bytes(field(meta, CLUSTER)?));
    let epoch = Epoch(u64::from_le_bytes(field(meta, EPOCH)?));
    let [s0, s1, start @ ..] = field::<10>(meta, HEAD)?;
    let head = Head {
        start: Position(u64::from_le_bytes(start)),
        schema: u16::from_le_bytes([s0, s1]),
        cluster,
    };
    Ok((head, epoch))
}

fn field<const N: usize>(
    meta: &impl ReadableTable<&'static str, &'static [u8]>,
    name: &'static str,
) -> Result<[u8; N], StoreError> {
    let value = meta.get(name).map_err(failed)?.ok_or(StoreError::Identity(name))?;
    value.value().try_into().map_err(|_| StoreError::Identity(name))
}

fn write_head(meta: &mut MetaTable<'_>, head: Head) -> Result<(), StoreError> {
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&head.schema.to_le_bytes());
    bytes[2..].copy_from_slice(&head.start.0.to_le_bytes());
    meta.insert(HEAD, bytes.as_slice()).map_err(failed)?;
    Ok(())
}

fn write_epoch(meta: &mut MetaTable<'_>, epoch: Epoch) -> Result<(), StoreError> {
    meta.insert(EPOCH, epoch.0.to_le_bytes().as_slice()).map_err(failed)?;
    Ok(())
}

/// Writes another schema into the head, as a newer program would.
#[cfg(test)]
pub(super) fn set_schema(database: &Database, schema: u16) -> Result<(), StoreError> {
    let tx = begin(database)?;
    let mut meta = tx.open_table(META).map_err(failed)?;
    let (head, _) = read_meta(&meta)?;
    write_head(&mut meta, Head { schema, ..head })?;
    drop(meta);
    commit(tx)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_a_broken_one() {
        let error = |code| failed(redb::StorageError::Io(std::io::Error::from_raw_os_error(code)));
        assert!(matches!(error(28), StoreError::Full));
        assert!(matches!(error(122), StoreError::Full));
        assert!(matches!(error(5), StoreError::Failed(_)));
    }
}
