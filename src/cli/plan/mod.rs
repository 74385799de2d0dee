//! `stayer plan`: what deploying a file would come to, by the server that would do it. Nothing is changed.

use clap::Args;

use crate::cli::client::Remote;
use crate::cli::console::Console;
use crate::cli::definition::{FileArgs, Write};
use crate::cli::failure::Failure;
use crate::cli::paint::Paint;
use crate::cli::talk::Talk;

pub mod show;

/// What `stayer plan` is told.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    file: FileArgs,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// Does it.
///
/// # Errors
/// When the server would refuse the change, or does not answer well.
pub async fn run(args: PlanArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    let write = args.file.write(talk.console)?;
    match show(&mut talk, &write).await {
        Err(locked) if locked.is_conflict() && !write.force && !talk.is_json() => {
            // What is in the way is said in the end; before it, what going ahead would do.
            let forced = Write { force: true, ..write };
            if show(&mut talk, &forced).await.is_ok() {
                talk.console.note("this is what --force would come to; without it:");
            }
            Err(locked)
        }
        other => other,
    }
}

async fn show(talk: &mut Talk<'_>, write: &Write) -> Result<(), Failure> {
    let answer = talk.send(&write.request().with("dryRun", "true")).await?;
    let paint = Paint::new(talk.console.look().colours);
    talk.show(&answer, |body| show::plan_text(body, paint))
}
