//! `stayer dev`: server and agent in one process.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::cli::DEFAULT_DATA_DIR;
use crate::cli::failure::Failure;

/// What `stayer dev` is told.
#[derive(Debug, Args)]
pub struct DevArgs {
    /// Where the API listens
    #[arg(long, env = "STAYER_LISTEN", value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Where the server and the agent keep what they know
    #[arg(long, env = "STAYER_DATA_DIR", value_name = "DIR", default_value = DEFAULT_DATA_DIR)]
    pub data_dir: PathBuf,
}

/// Runs until it is told to end.
///
/// # Errors
/// When it cannot start.
#[expect(clippy::unused_async, reason = "the body that serves awaits")]
pub async fn run(_args: DevArgs) -> Result<(), Failure> {
    Err(Failure::Failed("not linked".to_owned()))
}
