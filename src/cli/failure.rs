//! How a verb ends when it does not end well: a kind, which is the exit code, and words for people.
//!
//! The words for an answer of the API are made here too: message, every fault with its path, and what to do about it.

use std::process::ExitCode;

use serde_json::Value;

/// What the process ends with. Several kinds share a code: a pipeline decides by the code, people read the words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// A check, a replay or the start of a server came to nothing.
    Failed,
    /// Not understood, or a file that cannot be used.
    Usage,
    /// Nobody answers.
    Unreachable,
    /// The server failed.
    Server,
    /// The server said no.
    Refused,
    /// The deployment failed, and what was before it runs again.
    RolledBack,
    /// The deployment failed, and taking it back failed too.
    RollbackFailed,
    /// Waited long enough.
    TimedOut,
    /// The deployment is over, or stands still, and not everything runs as asked.
    NotRunning,
}

/// Why a verb ends before it is done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server said no.
    #[error("{text}")]
    Refused {
        /// The status of its answer.
        status: u16,
        /// What it said.
        text: String,
    },
    /// A check, a replay or the start of a server came to nothing.
    #[error("{0}")]
    Failed(String),
    /// An argument, or what it names, cannot be used.
    #[error("{0}")]
    Usage(String),
    /// The server cannot be reached.
    #[error("{0}")]
    Unreachable(String),
    /// The server failed.
    #[error("{0}")]
    Server(String),
    /// Waited long enough.
    #[error("{0}")]
    TimedOut(String),
    /// The deployment is over, or stands still, and not everything runs as asked.
    #[error("{0}")]
    NotRunning(String),
    /// The deployment failed and was taken back.
    #[error("{0}")]
    RolledBack(String),
    /// The deployment failed and could not be taken back.
    #[error("{0}")]
    RollbackFailed(String),
    /// Nobody reads the output any more, as behind `| head`. That is no failure of ours.
    #[error("nobody reads the output")]
    ReaderGone,
}

// === impl Exit ===

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.code())
    }
}

impl Exit {
    /// The number, as `--help` promises it.
    pub const fn code(self) -> u8 {
        match self {
            Exit::Done => 0,
            Exit::Failed | Exit::Usage | Exit::Unreachable | Exit::Server => 1,
            Exit::Refused => 2,
            Exit::RolledBack => 3,
            Exit::RollbackFailed => 4,
            Exit::TimedOut | Exit::NotRunning => 5,
        }
    }
}

// === impl Failure ===

impl Failure {
    /// What an answer of the API means, whose status is no success.
    pub fn of_answer(status: u16, reason: &str, body: &[u8]) -> Failure {
        let text = answer_text(status, reason, body);
        if status >= 500 { Failure::Server(text) } else { Failure::Refused { status, text } }
    }

    /// What the process ends with.
    pub const fn exit(&self) -> Exit {
        match self {
            Failure::Refused { .. } => Exit::Refused,
            Failure::Failed(_) => Exit::Failed,
            Failure::Usage(_) => Exit::Usage,
            Failure::Unreachable(_) => Exit::Unreachable,
            Failure::Server(_) => Exit::Server,
            Failure::TimedOut(_) => Exit::TimedOut,
            Failure::NotRunning(_) => Exit::NotRunning,
            Failure::RolledBack(_) => Exit::RolledBack,
            Failure::RollbackFailed(_) => Exit::RollbackFailed,
            Failure::ReaderGone => Exit::Done,
        }
    }

    /// What is said, if anything.
    pub fn text(&self) -> Option<String> {
        (*self != Failure::ReaderGone).then(|| self.to_string())
    }

    /// Whether the server may answer again if it is asked later.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Failure::Unreachable(_) | Failure::Server(_))
    }

    /// Whether something is in the way.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Failure::Refused { status: 409, .. })
    }

    /// Whether there is no such thing.
    pub const fn is_missing(&self) -> bool {
        matches!(self, Failure::Refused { status: 404, .. })
    }
}

fn answer_text(status: u16, reason: &str, body: &[u8]) -> String {
    let Ok(Value::Object(body)) = serde_json::from_slice(body) else {
        return format!("the server answered {status} {reason}: {}", String::from_utf8_lossy(body))
            .trim_end_matches([' ', ':'])
            .to_owned();
    };
    let message = body.get("message").and_then(Value::as_str);
    let mut lines = vec![message.map_or_else(|| format!("{status} {reason}"), str::to_owned)];
    lines.extend(body.get("details").map(detail_lines).unwrap_or_default());
    lines.extend(body.get("hint").and_then(Value::as_str).map(|hint| format!("hint: {hint}")));
    if let Some(Value::Array(deployments)) = body.get("deployments") {
        let ids = deployments.iter().filter_map(|item| item.get("id")?.as_str());
        lines.extend(ids.map(|id| format!("held by deployment {id}")));
        lines.push("--force cancels it and goes ahead; or wait until it is over".to_owned());
    }
    lines.join("\n  ")
}

/// `path: error` each, in an order that does not change.
fn detail_lines(details: &Value) -> Vec<String> {
    let Value::Array(details) = details else {
        return details.as_str().map(str::to_owned).into_iter().collect();
    };
    let of_one = |detail: &Value| {
        let path = detail.get("path").and_then(Value::as_str).unwrap_or("/").to_owned();
        let errors = detail.get("errors").and_then(Value::as_array).cloned().unwrap_or_default();
        let text = |error: &Value| error.as_str().map_or_else(|| error.to_string(), str::to_owned);
        errors.iter().map(|error| format!("{path}: {}", text(error))).collect::<Vec<_>>()
    };
    let mut lines: Vec<String> = details.iter().flat_map(of_one).collect();
    lines.sort();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(body: &str) -> String {
        answer_text(422, "Unprocessable Entity", body.as_bytes())
    }

    #[test]
    fn every_fault_is_named_with_its_path_whatever_their_order() {
        let body = r#"{"message":"Object is not valid","details":[
            {"path":"/mem","errors":["is negative"]},{"path":"/cpus","errors":["a","b"]}],"hint":"look"}"#;
        let said = "Object is not valid\n  /cpus: a\n  /cpus: b\n  /mem: is negative\n  hint: look";
        assert_eq!(text(body), said);
    }

    #[test]
    fn a_detail_that_is_a_text_is_shown_as_it_is() {
        let body = r#"{"message":"Invalid JSON","details":"offset 12"}"#;
        assert_eq!(text(body), "Invalid JSON\n  offset 12");
    }

    #[test]
    fn what_holds_an_app_is_named_with_the_way_out() {
        let failure = Failure::of_answer(
            409,
            "Conflict",
            br#"{"message":"App is locked","deployments":[{"id":"d1"}]}"#,
        );
        assert_eq!(failure.exit(), Exit::Refused);
        let said = failure.text().expect("it says something");
        assert!(said.contains("held by deployment d1") && said.contains("--force"), "{said}");
    }

    #[test]
    fn an_answer_that_is_no_json_is_shown_with_its_status() {
        let failure = Failure::of_answer(502, "Bad Gateway", b"");
        assert_eq!(failure, Failure::Server("the server answered 502 Bad Gateway".to_owned()));
        assert_eq!(failure.exit(), Exit::Server);
        assert_eq!(Failure::ReaderGone.exit(), Exit::Done);
    }
}
