//! What a container wrote, as the engine kept it.

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};

use crate::agent::docker::call::{CallError, Caller};
use crate::agent::runtime::{LogStream, RuntimeError};

/// The bytes of one output, oldest first.
pub type Logs = BoxStream<'static, Result<Bytes, RuntimeError>>;

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
    let tail = tail.map_or_else(|| "all".to_owned(), |lines| lines.to_string());
    let options = LogsOptionsBuilder::default()
        .stdout(stream == LogStream::Stdout)
        .stderr(stream == LogStream::Stderr)
        .tail(&tail)
        .follow(follow)
        .build();
    let caller = caller.clone();
    let lines = caller.docker().logs(id, Some(options)).filter_map(move |line| {
        let bytes = match line {
            Ok(line) => wanted(line, stream).map(Ok),
            Err(error) => {
                let error = caller.noted(CallError::from_client("read the log", error));
                Some(Err(error.into_unknown()))
            }
        };
        std::future::ready(bytes)
    });
    Ok(lines.boxed())
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
