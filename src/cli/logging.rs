//! What the process says about itself while it runs: to standard error, for people or for programs.

use clap::{Args, ValueEnum};
use tracing_subscriber::EnvFilter;

/// How to log.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Logs")]
pub struct LogArgs {
    /// How log lines are written, to standard error
    #[arg(
        long,
        global = true,
        env = "STAYER_LOG_FORMAT",
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace, or a list such as `info,stayer::store=debug`
    #[arg(
        long,
        global = true,
        env = "STAYER_LOG_LEVEL",
        value_name = "LEVEL",
        default_value = "info",
        value_parser = level
    )]
    pub log_level: String,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// Starts logging. Later calls change nothing.
pub fn start(args: &LogArgs) {
    let filter = EnvFilter::try_new(&args.log_level).unwrap_or_default();
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        // On a full disk a line that cannot be written is lost; a complaint about it would panic.
        .log_internal_errors(false);
    let _started_before = match args.log_format {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => lines.json().try_init(),
    };
}

fn level(text: &str) -> Result<String, String> {
    match EnvFilter::try_new(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
