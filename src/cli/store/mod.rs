//! `stayer store`: what an operator does with a server's store beside the API.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::access::AccessArgs;
use crate::cli::console::Console;
use crate::cli::dirs::DEFAULT_DATA_DIR;
use crate::cli::failure::Failure;

mod backup;
mod offline;

/// What `stayer store` is told.
#[derive(Debug, Args)]
pub struct StoreArgs {
    /// What to do.
    #[command(subcommand)]
    verb: StoreVerb,
}

#[derive(Debug, Subcommand)]
enum StoreVerb {
    /// Print a stopped server's store, or one in etcd, a line of JSON for each record, row and event
    Dump(Which),
    /// Check a stopped server's store, or one in etcd: order, checksums, rows and the laws between them
    Check(Which),
    /// Make the store of a new data directory from a backup
    Restore {
        /// The backup
        file: PathBuf,
        /// The data directory, which must not hold a store yet
        dir: PathBuf,
    },
    /// Ask the server that runs on this machine for a backup; its tasks and clients notice nothing
    Backup {
        /// Where the backup goes: whole or not at all, readable by you alone
        file: PathBuf,
        /// The running server's data directory
        #[arg(
            long,
            env = "STAYER_DATA_DIR",
            value_name = "DIR",
            default_value = DEFAULT_DATA_DIR
        )]
        data_dir: PathBuf,
    },
}

/// Which store.
#[derive(Debug, Args)]
struct Which {
    /// The server's data directory, or etcd://HOST:PORT,HOST:PORT/NAME
    #[arg(value_name = "DIR|STORE")]
    store: String,
    /// How etcd is spoken to.
    #[command(flatten)]
    access: AccessArgs,
}

/// Does it.
///
/// # Errors
/// When the store or its server does not, or a file cannot be written.
pub async fn run(args: StoreArgs, console: &mut Console) -> Result<(), Failure> {
    match args.verb {
        StoreVerb::Dump(Which { store, access }) => offline::print(&store, &access, console).await,
        StoreVerb::Check(Which { store, access }) => {
            offline::examine(&store, &access, console).await
        }
        StoreVerb::Restore { file, dir } => offline::put_back(&file, &dir, console),
        StoreVerb::Backup { file, data_dir } => {
            let bytes = backup::fetch(&data_dir, &file).await?;
            console.line(&format!("{}: {bytes} bytes", file.display()))
        }
    }
}
