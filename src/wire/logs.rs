//! Which log a reader asks an agent for, as the path of a request.

use std::fmt;

use crate::model::id::{Incarnation, InstanceId};

/// Which log, and how much of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRequest {
    /// Of which instance.
    pub instance: InstanceId,
    /// Of which of its lives.
    pub incarnation: Incarnation,
    /// Of which of its containers.
    pub task: String,
    /// Which output.
    pub output: Output,
    /// Whether to go on as it grows, until the task has ended.
    pub follow: bool,
    /// How many of its last lines to begin with; all without it.
    pub tail: Option<u64>,
}

/// Which output of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Why there is no log to read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoLog {
    /// The agent has nothing of this life, or no longer.
    #[error("the agent has no log of this task")]
    Unknown,
    /// It has, and cannot read it now.
    #[error("{0}")]
    Unable(String),
}

// === impl LogRequest ===

impl fmt::Display for LogRequest {
    /// As the path of a request.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LogRequest { instance, incarnation, task, output, follow, tail } = self;
        write!(f, "/v1/instances/{instance}.{incarnation}/logs?task=")?;
        escape(task, f)?;
        write!(f, "&stream={output}&follow={follow}")?;
        match tail {
            Some(lines) => write!(f, "&tail={lines}"),
            None => Ok(()),
        }
    }
}

impl LogRequest {
    /// Reads the path and query of a request; none if it is no such request.
    pub fn parse(path: &str, query: &str) -> Option<LogRequest> {
        let name = path.strip_prefix("/v1/instances/")?.strip_suffix("/logs")?;
        let (instance, incarnation) = name.rsplit_once('.')?;
        let mut request = LogRequest {
            instance: InstanceId(uuid::Uuid::try_parse(instance).ok()?),
            incarnation: Incarnation(incarnation.parse().ok()?),
            task: crate::model::id::APP_TASK.to_owned(),
            output: Output::Stdout,
            follow: false,
            tail: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            match pair.split_once('=')? {
                ("task", task) => request.task = unescape(task)?,
                ("stream", "stdout") => request.output = Output::Stdout,
                ("stream", "stderr") => request.output = Output::Stderr,
                ("follow", follow) => request.follow = follow.parse().ok()?,
                ("tail", lines) => request.tail = Some(lines.parse().ok()?),
                (_, _) => return None,
            }
        }
        Some(request)
    }
}

// === impl Output ===

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Output::Stdout => "stdout",
            Output::Stderr => "stderr",
        })
    }
}

fn escape(text: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                write!(f, "{}", char::from(byte))?;
            }
            other => write!(f, "%{other:02X}")?,
        }
    }
    Ok(())
}

fn unescape(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_survives_its_path() {
        let request = LogRequest {
            instance: InstanceId(uuid::Uuid::from_u128(7)),
            incarnation: Incarnation(3),
            task: "side car&ü%".to_owned(),
            output: Output::Stderr,
            follow: true,
            tail: Some(100),
        };
        let text = request.to_string();
        let (path, query) = text.split_once('?').expect("a query");
        assert_eq!(LogRequest::parse(path, query), Some(request));
    }

    #[test]
    fn other_paths_are_no_such_request() {
        let name = format!("{}.1", uuid::Uuid::from_u128(7));
        let short = LogRequest::parse(&format!("/v1/instances/{name}/logs"), "").expect("defaults");
        assert_eq!((short.task.as_str(), short.follow, short.tail), ("_app", false, None));
        for (path, query) in [
            ("/v1/instances/x.1/logs".to_owned(), ""),
            (format!("/v1/instances/{name}/files"), ""),
            (format!("/v1/instances/{name}/logs"), "stream=both"),
            (format!("/v1/instances/{name}/logs"), "task=%F"),
            (format!("/v1/instances/{name}/logs"), "tail=-1"),
        ] {
            assert_eq!(LogRequest::parse(&path, query), None, "{path}?{query}");
        }
    }
}
