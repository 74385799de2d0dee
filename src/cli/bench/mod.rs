//! `stayer bench`: how fast this binary is on this machine, as ratios to anchors that are measured in the same run.
//!
//! Anchor and subject take turns, round by round; what counts is the median of the ratios, and the spread is printed
//! beside it. The server under test is a child process of this very binary. Load goes to loopback and to sockets of this
//! host alone, is bounded in count and time, and what is started here is ended here. Each file in `figures` measures one
//! thing; `load`, `http`, `child` and `host` are what they measure with.

mod child;
mod etcd;
mod fakes;
mod figures;
mod host;
mod http;
mod load;
mod measure;
pub mod world;

use std::path::PathBuf;

use clap::Args;

use crate::cli::bench::child::Scratch;
use crate::cli::bench::figures::Figure;
use crate::cli::bench::measure::Outcome;
use crate::cli::console::Console;
use crate::cli::failure::Failure;

/// What `stayer bench` is told.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Which figures; all when none is named
    #[arg(value_name = "FIGURE", value_enum)]
    figures: Vec<Figure>,
    /// Fewer and shorter rounds, for a first look [default: off]
    #[arg(long, env = "STAYER_QUICK", value_parser = clap::builder::FalseyValueParser::new())]
    quick: bool,
    /// Where the data of the servers under test goes: on the disk that is to be measured [default: the directory for temporary files]
    #[arg(long, env = "STAYER_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The image of the containers; it must be there already
    #[arg(long, env = "STAYER_IMAGE", value_name = "IMAGE", default_value = "busybox:local")]
    image: String,
    /// The engine's socket
    #[arg(
        long,
        env = "STAYER_ENGINE",
        value_name = "PATH",
        default_value = "/var/run/docker.sock"
    )]
    engine: PathBuf,
    /// Be the anchor that answers with the bytes of a file.
    #[arg(long, hide = true, value_name = "FILE")]
    be_anchor: Option<PathBuf>,
    /// Be so many simulated agents of the server behind `--socket`.
    #[arg(long, hide = true, value_name = "N", requires = "socket")]
    be_agents: Option<u32>,
    /// Where simulated agents dial.
    #[arg(long, hide = true, value_name = "PATH")]
    socket: Option<PathBuf>,
}

/// What every figure is measured with.
pub struct Bench {
    /// Fewer rounds.
    quick: bool,
    /// Where data goes.
    scratch: Scratch,
    /// The image of containers.
    image: String,
    /// The engine's socket.
    engine: PathBuf,
}

/// Measures.
///
/// # Errors
/// When something cannot be measured. A goal that is missed is no error.
pub async fn run(args: BenchArgs, console: &mut Console) -> Result<(), Failure> {
    if let Some(file) = &args.be_anchor {
        return fakes::anchor(file, console).await;
    }
    let scratch = Scratch::new(&args.dir.clone().unwrap_or_else(std::env::temp_dir))?;
    if let (Some(count), Some(socket)) = (args.be_agents, args.socket.clone()) {
        return fakes::agents(count, socket, scratch.path()).await;
    }
    let figures = if args.figures.is_empty() { Figure::all() } else { args.figures };
    let bench = Bench { quick: args.quick, scratch, image: args.image, engine: args.engine };
    console.line(&host::describe())?;
    let (mut met, mut missed) = (0, 0);
    for figure in figures {
        let busy = host::busy_share().await;
        match figure.measure(&bench).await {
            Ok(outcomes) => {
                for outcome in outcomes {
                    show(&outcome, busy, console)?;
                    if outcome.is_met() { met += 1 } else { missed += 1 }
                }
            }
            Err(failure) => {
                missed += 1;
                let why = failure.text().unwrap_or_default();
                console.line(&format!("{}\n  not measured: {why}", figure.name()))?;
            }
        }
    }
    console.line(&format!("{met} goals met, {missed} missed or not measured"))
}

fn show(outcome: &Outcome, busy: f64, console: &mut Console) -> Result<(), Failure> {
    console.line(&outcome.text())?;
    if busy > host::QUIET {
        console.line(&format!("  the machine was {:.0} % busy before it began", busy * 100.0))?;
    }
    Ok(())
}

// === impl Bench ===

impl Bench {
    /// How many rounds: `full`, or fewer for a first look.
    fn rounds(&self, full: usize) -> usize {
        if self.quick { full.div_ceil(3) } else { full }
    }
}
