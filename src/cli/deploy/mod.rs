//! `stayer deploy`: brings apps to what a file says, follows the deployment to its end and says truthfully what came of
//! it, to people and to pipelines.
//!
//! - [`mod@follow`]: looks until it is over, whatever becomes of the server meanwhile.
//! - [`seen`]: what one look shows, and what is news about it.
//! - [`ending`]: what became of it, as data: from that follow the exit code and all words.
//! - [`strategy`]: blue/green and canary, which the server drives.
//! - [`report`]: the end as JSON and as a JUnit file.

use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::agent::clock::Clock;
use crate::cli::app::change::{self, Aim};
use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::definition::FileArgs;
use crate::cli::deploy::ending::Ending;
use crate::cli::deploy::follow::{Course, Followed, follow};
use crate::cli::deploy::report::Report;
use crate::cli::deploy::strategy::StrategyArgs;
use crate::cli::duration;
use crate::cli::failure::Failure;
use crate::cli::signals;
use crate::cli::talk::{Talk, text};
use crate::cli::wait::Accepted;

pub mod ending;
pub mod follow;
pub mod report;
pub mod seen;
pub mod strategy;

/// What `stayer deploy` is told.
#[derive(Debug, Args)]
pub struct DeployArgs {
    #[command(flatten)]
    file: FileArgs,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    strategy: StrategyArgs,
    #[command(flatten)]
    going: Going,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// When a deployment counts as failed, and what follows. What is not given here, the apps' own `upgradeStrategy` says.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// It shall be done within so long, as in 90s, 10m [default: never late]
    #[arg(long, env = "STAYER_DEADLINE", value_name = "TIME", value_parser = duration::seconds)]
    deadline: Option<u64>,
    /// So many instances of what it brings may fail; one more is too many [default: any number]
    #[arg(long, env = "STAYER_MAX_FAILURES", value_name = "N")]
    max_failures: Option<u32>,
    /// What follows when it is late or too much of it failed [default: none]
    #[arg(long, env = "STAYER_ON_FAILURE", value_name = "WHAT")]
    on_failure: Option<OnFailure>,
}

/// What follows a deployment that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnFailure {
    /// It is taken back
    Rollback,
    /// It stands still and waits for somebody
    Pause,
    /// It is over and stays as it is
    None,
}

/// Whether and how a deployment is followed.
#[derive(Clone, Debug, Args)]
pub struct Going {
    /// Follow it to its end; without --no-wait that is so anyway [default: it is]
    #[arg(long, env = "STAYER_WAIT", value_parser = clap::builder::FalseyValueParser::new())]
    wait: bool,
    /// Return once it is accepted [default: follow it to its end]
    #[arg(
        long,
        env = "STAYER_NO_WAIT",
        value_parser = clap::builder::FalseyValueParser::new(),
        conflicts_with = "wait"
    )]
    no_wait: bool,
    /// The longest wait, as in 90s, 30m; the deployment goes on after it
    #[arg(
        long,
        env = "STAYER_TIMEOUT",
        value_name = "TIME",
        default_value = "1h",
        value_parser = duration::seconds
    )]
    timeout: u64,
    /// Write what came of it to this file, as JUnit [default: no file]
    #[arg(long, env = "STAYER_JUNIT", value_name = "FILE")]
    junit: Option<String>,
}

/// Does it.
///
/// # Errors
/// When the server refuses it, or it does not come to what the file says.
pub async fn run(args: DeployArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    let write = args.file.write(talk.console)?;
    let request = match args.strategy.strategy {
        Some(strategy) => {
            args.strategy.request(strategy, &write.text, &args.limits, write.force)?
        }
        None => args.limits.on(write.request()),
    };
    carry_out(&mut talk, &request, write.apps, &args.going).await
}

/// Asks for a change of apps, follows it to its end and tells that.
///
/// # Errors
/// When the server refuses it, or it does not come to what was asked.
pub async fn carry_out(
    talk: &mut Talk<'_>,
    request: &Ask,
    apps: Vec<String>,
    going: &Going,
) -> Result<(), Failure> {
    let clock = Clock::start();
    let begun = clock.now();
    let mut report = match talk.send(request).await {
        Ok(answer) => {
            let body = answer.json()?;
            let accepted = change::accepted(&answer, &body, apps, Aim::Run);
            let course = if body.get("strategy").is_some() {
                Course::Deploy(text(&body, "id"))
            } else {
                Course::of_deployment(accepted.deployment.clone())
            };
            let followed = wait(talk, &accepted, course, going, clock).await?;
            Report::of(&accepted, followed)
        }
        Err(Failure::Refused { status, text }) => Report::rejected(apps, status, text),
        Err(other) => return Err(other),
    };
    report.seconds = Duration::from(clock.now().since(begun)).as_secs_f64();
    report.at = begun.to_string();
    tell(talk, &report, going)
}

async fn wait(
    talk: &mut Talk<'_>,
    accepted: &Accepted,
    course: Course,
    going: &Going,
    clock: Clock,
) -> Result<Followed, Failure> {
    if going.no_wait {
        return Ok(Followed::only(Ending::Accepted, course));
    }
    let longest = Duration::from_secs(going.timeout);
    let mut watch = follow::Watch::new(accepted, course, clock);
    tokio::select! {
        over = tokio::time::timeout(longest, follow(talk, &mut watch)) => match over {
            Ok(ending) => watch.end(talk, ending?).await,
            Err(_) => watch.end(talk, Ending::Unfinished).await,
        },
        () = signals::told_to_end() => watch.end(talk, Ending::Interrupted).await,
    }
}

fn tell(talk: &mut Talk<'_>, report: &Report, going: &Going) -> Result<(), Failure> {
    if let Some(file) = &going.junit {
        talk.console.write(file, &report.junit())?;
    }
    if talk.is_json() {
        talk.console.line(&report.json().to_string())?;
    }
    match report.failure() {
        Some(failure) => Err(failure),
        None if talk.is_json() => Ok(()),
        None => talk.console.line(&report.text()),
    }
}

// === impl Limits ===

impl Limits {
    /// The request with what was given here.
    pub fn on(&self, ask: Ask) -> Ask {
        let numbers = [
            ("deadlineSeconds", self.deadline.map(|seconds| seconds.to_string())),
            ("maxFailures", self.max_failures.map(|count| count.to_string())),
            ("onFailure", self.on_failure.map(|what| what.as_str().to_owned())),
        ];
        numbers.into_iter().fold(ask, |ask, (name, value)| match value {
            Some(value) => ask.with(name, value),
            None => ask,
        })
    }
}

// === impl OnFailure ===

impl OnFailure {
    const fn as_str(self) -> &'static str {
        match self {
            OnFailure::Rollback => "rollback",
            OnFailure::Pause => "pause",
            OnFailure::None => "none",
        }
    }
}
