//! A data directory: the server's part, the agent's part, and who may look in.
//!
//! The same whether one process is both or each is its own, so that one way to run can take over from the other.

use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;

/// Where a server and an agent keep what they know, unless told.
pub const DEFAULT_DATA_DIR: &str = "stayer-data";

/// The part of a data directory that is a server's.
pub fn server_dir(data: &Path) -> PathBuf {
    data.join("server")
}

/// The part of a data directory that is an agent's.
pub fn agent_dir(data: &Path) -> PathBuf {
    data.join("agent")
}

/// Makes a data directory: others may pass through it to their sandboxes.
///
/// # Errors
/// When it cannot be made.
pub fn make_dir(dir: &Path) -> Result<(), Failure> {
    make(dir, 0o755)
}

/// Makes a directory for its owner alone.
///
/// # Errors
/// When it cannot be made.
pub fn make_private(dir: &Path) -> Result<(), Failure> {
    make(dir, 0o700)
}

fn make(dir: &Path, mode: u32) -> Result<(), Failure> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(dir)
        .map_err(|error| Failure::Failed(format!("{} cannot be made: {error}", dir.display())))
}
