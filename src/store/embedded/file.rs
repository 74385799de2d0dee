//! The file of an embedded log: who may read it, who holds it, and whether it is the one that is meant.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use redb::{Builder, Database, DatabaseError, ReadableDatabase};

use crate::model::id::Epoch;
use crate::store::embedded::table::{self, failed};
use crate::store::expect::{Expect, OpenError};
use crate::store::log::{Head, StoreError};
use crate::store::record::SCHEMA;

/// The name of the file in its directory.
pub const FILE: &str = "log.redb";

/// Pages kept in memory. The log is written once and read once, so a large cache would only be a second copy of it.
const CACHE_BYTES: usize = 4 * 1024 * 1024;

/// Opens the file, also a second time after the disk has failed.
pub(super) type Opener = Box<dyn Fn() -> Result<Database, OpenError> + Send + Sync>;

/// Makes directory and file, for their owner alone, when a new log is welcome.
pub(super) fn prepare(dir: &Path, expect: Expect) -> Result<(), OpenError> {
    let path = dir.join(FILE);
    match expect {
        Expect::AnyOrNew(_) => {}
        Expect::Of(_) | Expect::Any => {
            // A file of no length is what a start leaves that was cut short before it wrote anything.
            let there = fs::metadata(&path).is_ok_and(|file| file.len() > 0);
            return if there {
                Ok(())
            } else {
                Err(OpenError::Missing(path.display().to_string()))
            };
        }
    }
    let make = |path: &Path, why: io::Error| OpenError::Make { path: path.into(), why: why.into() };
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
    made.map_err(|why| make(dir, why))?;
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    file.map_err(|why| make(&path, why))?;
    // Else a power cut could take the file, and the next start would find a new log in its place.
    sync_dir(dir).and_then(|()| dir.parent().map_or(Ok(()), sync_dir)).map_err(|why| make(dir, why))
}

/// Makes the names in a directory durable.
pub(in crate::store) fn sync_dir(dir: &Path) -> io::Result<()> {
    // The parent of a relative name of one part is an empty one.
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    fs::File::open(dir)?.sync_all()
}

pub(super) fn opener(dir: &Path) -> Opener {
    let path = dir.join(FILE);
    Box::new(move || {
        let opened = Builder::new().set_cache_size(CACHE_BYTES).create(&path);
        opened.map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => OpenError::InUse(path.clone()),
            other => OpenError::Store(failed(other)),
        })
    })
}

/// What the file says it is, after telling a new one.
pub(super) fn identify(database: &Database, expect: Expect) -> Result<(Head, Epoch), OpenError> {
    let found = table::identity(&database.begin_read().map_err(failed)?)?;
    let (head, epoch) = match (found, expect) {
        (Some(found), _) => found,
        (None, Expect::AnyOrNew(cluster)) => table::found(database, cluster)?,
        (None, Expect::Of(_) | Expect::Any) => {
            return Err(StoreError::Identity("it holds no log").into());
        }
    };
    if head.schema > SCHEMA {
        return Err(OpenError::Newer(head.schema));
    }
    match expect {
        Expect::Of(expected) if expected != head.cluster => {
            Err(OpenError::Foreign { found: head.cluster, expected })
        }
        Expect::Of(_) | Expect::Any | Expect::AnyOrNew(_) => Ok((head, epoch)),
    }
}
