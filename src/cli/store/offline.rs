//! A store beside its server: printed, checked, or made from a backup.
//!
//! A file that a running server holds is refused; what lies in etcd may be looked into at any time.

use std::error::Error;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};

use crate::cli::access::AccessArgs;
use crate::cli::console::{Console, unwritten};
use crate::cli::dirs::server_dir;
use crate::cli::failure::Failure;
use crate::model::id::Epoch;
use crate::store::address::{AddressError, StoreAddress};
use crate::store::embedded::FILE;
use crate::store::log::Log;
use crate::store::offline::{self, BackupError, OfflineError, check, dump, restore};

/// Prints every record.
///
/// # Errors
/// When the store cannot be opened.
pub async fn print(store: &str, access: &AccessArgs, console: &mut Console) -> Result<(), Failure> {
    let log = look(store, access).await?;
    let mut output = BufWriter::new(console.output());
    dump(&log, &mut output).map_err(|error| unread(&error))
}

/// Checks all of it and says what it is.
///
/// # Errors
/// When the store cannot be opened, or something in it is wrong.
pub async fn examine(
    store: &str,
    access: &AccessArgs,
    console: &mut Console,
) -> Result<(), Failure> {
    let report = check(&look(store, access).await?);
    console.line(report.to_string().trim_end())?;
    if report.is_clean() {
        return Ok(());
    }
    Err(Failure::Failed(format!("the store in {store} is not clean")))
}

/// Makes a store from a backup.
///
/// # Errors
/// When the backup cannot be read, or there is a store already.
pub fn put_back(file: &Path, dir: &Path, console: &mut Console) -> Result<(), Failure> {
    let unreadable = |error| Failure::Usage(format!("{} cannot be read: {error}", file.display()));
    let input = BufReader::new(File::open(file).map_err(unreadable)?);
    let header = restore(input, &server_dir(dir)).map_err(|error| unrestored(&error))?;
    console.line(&format!(
        "{}: cluster {} as of {}, {} rows",
        dir.display(),
        header.cluster,
        header.at,
        header.rows
    ))
}

async fn look(store: &str, access: &AccessArgs) -> Result<(Log, Epoch), Failure> {
    let is_etcd = store.starts_with("etcd://") || store.starts_with("etcds://");
    let address = if is_etcd {
        store.parse().map_err(|error: AddressError| Failure::Usage(error.to_string()))?
    } else {
        StoreAddress::Embedded(store_dir(Path::new(store)))
    };
    let access = access.read(&address)?;
    offline::look(&address, &access).await.map_err(|error| unread(&error))
}

/// Where the store lies: in the server's part, or in the directory itself when that is what was named.
fn store_dir(dir: &Path) -> PathBuf {
    if dir.join(FILE).exists() { dir.to_owned() } else { server_dir(dir) }
}

fn unread(error: &OfflineError) -> Failure {
    match error {
        OfflineError::Open(error) => Failure::Usage(words(error)),
        OfflineError::Store(error) => Failure::Failed(words(error)),
        OfflineError::Output(error) => unwritten(error),
    }
}

fn unrestored(error: &BackupError) -> Failure {
    match error {
        BackupError::Exists(_) | BackupError::Open(_) => Failure::Usage(words(error)),
        BackupError::Nothing
        | BackupError::Io(_)
        | BackupError::Header(_)
        | BackupError::Row { .. }
        | BackupError::Cut(_)
        | BackupError::Encode(_)
        | BackupError::Lead(_)
        | BackupError::Append(_) => Failure::Failed(words(error)),
    }
}

/// An error and its causes.
fn words(error: &dyn Error) -> String {
    let mut words = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        words.push(error.to_string());
        cause = error.source();
    }
    words.dedup();
    words.join(": ")
}
