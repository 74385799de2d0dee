//! What a container wrote, as the engine kept it.
//!
//! An engine counts `tail` over both outputs and drops the other one afterwards, so that the last ten lines of a quiet
//! output would be none beside a talkative one. Here they are ten: it is first found out how far back they reach.

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::query_parameters::{LogsOptions, LogsOptionsBuilder};
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt, TryStreamExt};

use crate::agent::docker::call::{CallError, Caller};
use crate::agent::runtime::{LogStream, RuntimeError};

/// The bytes of one output, oldest first.
pub type Logs = BoxStream<'static, Result<Bytes, RuntimeError>>;

/// How far back in both outputs together, and how many lines of the wanted one to pass over there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reach {
    back: u32,
    skip: usize,
}

const WHAT: &str = "read the log";
/// Further back is not looked for a quiet output's lines.
const MAX_BACK: u32 = 1 << 20;

/// One output of a container: its last `tail` lines or all, and with `follow` what is yet to come.
///
/// With a terminal both outputs are one, and it is the standard one.
///
/// # Errors
/// When the engine does not answer; what breaks later comes within the stream.
pub async fn open(
    caller: &Caller,
    id: &str,
    stream: LogStream,
    tail: Option<u32>,
    follow: bool,
) -> Result<Logs, CallError> {
    caller.ready().await?;
    let (options, skip) = match tail {
        None => (one_output(stream), 0),
        Some(lines) => {
            let reach = caller.change(WHAT, reach(caller, id, stream, lines)).await?;
            (both_outputs(reach.back), reach.skip)
        }
    };
    let caller = caller.clone();
    let lines = caller
        .docker()
        .logs(id, Some(LogsOptions { follow, ..options }))
        .map_err(move |error| caller.noted(CallError::from_client(WHAT, error)).into_unknown())
        .try_filter_map(move |line| std::future::ready(Ok(wanted(line, stream))));
    Ok(lines.skip(skip).boxed())
}

/// Looks further and further back until there are `lines` lines of `stream`, or there is nothing more.
async fn reach(caller: &Caller, id: &str, stream: LogStream, lines: u32) -> Result<Reach, Error> {
    let mut back = lines;
    loop {
        let (mut all, mut ours) = (0_u32, 0_u32);
        let mut entries = std::pin::pin!(caller.docker().logs(id, Some(both_outputs(back))));
        while let Some(entry) = entries.try_next().await? {
            all = all.saturating_add(1);
            ours = ours.saturating_add(wanted(entry, stream).is_some().into());
        }
        if ours >= lines || all < back || back >= MAX_BACK {
            return Ok(Reach { back, skip: ours.saturating_sub(lines) as usize });
        }
        back = back.saturating_mul(4);
    }
}

fn one_output(stream: LogStream) -> LogsOptions {
    LogsOptionsBuilder::default()
        .stdout(stream == LogStream::Stdout)
        .stderr(stream == LogStream::Stderr)
        .tail("all")
        .build()
}

fn both_outputs(tail: u32) -> LogsOptions {
    LogsOptionsBuilder::default().stdout(true).stderr(true).tail(&tail.to_string()).build()
}

fn wanted(line: LogOutput, stream: LogStream) -> Option<Bytes> {
    match (line, stream) {
        (LogOutput::StdOut { message } | LogOutput::Console { message }, LogStream::Stdout)
        | (LogOutput::StdErr { message }, LogStream::Stderr) => Some(message),
        (
            LogOutput::StdOut { .. }
            | LogOutput::Console { .. }
            | LogOutput::StdErr { .. }
            | LogOutput::StdIn { .. },
            LogStream::Stdout | LogStream::Stderr,
        ) => None,
    }
}
