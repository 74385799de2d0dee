//! `stayer replay`: decides again what recorded facts led to, without a server, a store or an agent.
//!
//! The file is lines of JSON. The first says where to begin: `{"epoch":1,"now":1700000000000,"cluster":"<uuid>"}`. Each
//! further line is one moment: `{"now":1700000000100,"facts":[…]}`; the facts are optional, since time alone moves
//! things too. At each line the brain takes its facts and steps until it is at rest. Nothing happens between lines: what
//! fell due there is seen at the next line, so a record names every moment at which its server woke.

use clap::Args;
use serde::{Deserialize, Serialize};

use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::logic::brain::Brain;
use crate::logic::draft::Limits;
use crate::model::commit::Commit;
use crate::model::fact::Fact;
use crate::model::id::{AgentKey, AppKey, ClusterId, CommitNo, Epoch};
use crate::model::meta::Meta;
use crate::model::time::Timestamp;
use crate::model::world::{Broken, World};

mod end;

#[cfg(test)]
mod tests;

/// What `stayer replay` is told.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Recorded facts, or `-` for standard input. The first line is
    /// `{"epoch":1,"now":<ms since 1970>,"cluster":"<uuid>"}`, each further line a moment: `{"now":<ms>,"facts":[…]}`
    #[arg(value_name = "FILE|-")]
    file: String,
}

/// The first line: where to begin.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    epoch: Epoch,
    now: Timestamp,
    cluster: ClusterId,
}

/// A further line: one moment.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Moment {
    now: Timestamp,
    #[serde(default)]
    facts: Vec<Fact>,
}

/// Does it.
///
/// # Errors
/// When a line cannot be read, or what follows breaks a law.
pub fn run(args: &ReplayArgs, console: &mut Console) -> Result<(), Failure> {
    let text = console.read(&args.file)?;
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let (number, first) =
        lines.next().ok_or_else(|| Failure::Usage(format!("{}: it is empty", args.file)))?;
    let mut brain = begin(read(args, number, first)?);
    for (number, line) in lines {
        let moment: Moment = read(args, number, line)?;
        let mut facts = moment.facts.into();
        while let Some(commit) = brain.step(moment.now, &mut facts) {
            brain.durable(commit.no);
            show(&commit, console)?;
            brain.check().map_err(|broken| broken_laws(number, &broken))?;
        }
    }
    console.line(&end::text(brain.world()))
}

fn begin(begin: Begin) -> Brain {
    let meta = Meta {
        cluster: begin.cluster,
        next_app: AppKey(1),
        next_agent: AgentKey(1),
        next_id: 0,
        brake: crate::model::brake::Brake::default(),
    };
    let world = World { meta: Some(meta), ..World::default() };
    Brain::load(world, begin.epoch, CommitNo(0), begin.now, Limits::default())
}

fn read<'t, T: Deserialize<'t>>(
    args: &ReplayArgs,
    number: usize,
    line: &'t str,
) -> Result<T, Failure> {
    serde_json::from_str(line)
        .map_err(|error| Failure::Usage(format!("{}, line {}: {error}", args.file, number + 1)))
}

fn show(commit: &Commit, console: &mut Console) -> Result<(), Failure> {
    console.line(&format!(
        "commit {} at {}: {} rows",
        commit.no,
        commit.at,
        commit.writes.len()
    ))?;
    for event in &commit.events {
        console.line(&format!("  event {}", json(event)))?;
    }
    for (ticket, answer) in &commit.answers {
        console.line(&format!("  answer {} {}", json(ticket), json(answer)))?;
    }
    Ok(())
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| error.to_string())
}

fn broken_laws(number: usize, broken: &[Broken]) -> Failure {
    let laws: Vec<String> = broken.iter().map(Broken::to_string).collect();
    Failure::Failed(format!("line {}: laws are broken:\n  {}", number + 1, laws.join("\n  ")))
}
