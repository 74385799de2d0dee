//! `stayer agent`: what people do to the agents of a server.

use clap::Args;

use crate::cli::console::Console;
use crate::cli::failure::Failure;

pub mod verbs;
mod wait;

/// What `stayer agent` is told.
#[derive(Debug, Args)]
pub struct AgentArgs {
    /// What to do.
    #[command(subcommand)]
    verb: verbs::AgentVerb,
}

/// Does it.
///
/// # Errors
/// When there is no such agent, or the server does not answer well.
pub async fn run(args: AgentArgs, console: &mut Console) -> Result<(), Failure> {
    verbs::run(args.verb, console).await
}
