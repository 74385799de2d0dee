//! What became of a deployment, as data: from it follow the exit code, the words and the next step of whoever reads them.

use serde_json::Value;

use crate::cli::failure::Failure;
use crate::cli::talk::text;

/// What became of a deployment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It is done, and what was asked runs.
    Done,
    /// It was accepted, and nobody waits for it.
    Accepted,
    /// The server refused it, nothing was changed.
    Rejected,
    /// It failed and was taken back; what was before it runs again.
    RolledBack,
    /// It failed, and taking it back failed too.
    RollbackFailed,
    /// It waits for somebody.
    Paused,
    /// It failed, and what it began stays as it is.
    Failed,
    /// Somebody ended it half-way.
    Cancelled,
    /// A later change went over it.
    Superseded,
    /// It is over, nobody knows how, and not everything runs as asked.
    NotRunning,
    /// It goes on after the longest wait.
    Unfinished,
    /// It goes on, and who waited was told to end.
    Interrupted,
}

/// What follows when a deployment is no longer listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This is the end.
    Over(Ending),
    /// It is being taken back by this one.
    TakenBack(String),
    /// The history does not know it; what runs says how it ended.
    Unknown,
}

// === impl Ending ===

impl Ending {
    /// One word for machines.
    pub const fn as_str(self) -> &'static str {
        match self {
            Ending::Done => "done",
            Ending::Accepted => "accepted",
            Ending::Rejected => "rejected",
            Ending::RolledBack => "rolledBack",
            Ending::RollbackFailed => "rollbackFailed",
            Ending::Paused => "paused",
            Ending::Failed => "failed",
            Ending::Cancelled => "cancelled",
            Ending::Superseded => "superseded",
            Ending::NotRunning => "notRunning",
            Ending::Unfinished => "unfinished",
            Ending::Interrupted => "interrupted",
        }
    }

    /// In words. A rollback never reads as success.
    pub const fn words(self) -> &'static str {
        match self {
            Ending::Done => "the deployment is done",
            Ending::Accepted => "the deployment is accepted",
            Ending::Rejected => "the server refuses it, nothing was changed",
            Ending::RolledBack => {
                "the deployment FAILED and was rolled back: what was before it runs again"
            }
            Ending::RollbackFailed => "the deployment FAILED and rolling it back failed too",
            Ending::Paused => "the deployment is paused and waits for somebody",
            Ending::Failed => "the deployment FAILED, and what it began stays as it is",
            Ending::Cancelled => "the deployment was cancelled half-way by somebody",
            Ending::Superseded => "a later change went over the deployment",
            Ending::NotRunning => "the deployment is over and not everything runs as asked",
            Ending::Unfinished => "the deployment is not over after the longest wait and goes on",
            Ending::Interrupted => "nobody waits any more, and the deployment goes on",
        }
    }

    /// How the verb ends with it; none when that is well.
    pub fn failure(self, text: String) -> Option<Failure> {
        match self {
            Ending::Done | Ending::Accepted => None,
            Ending::Rejected => Some(Failure::Refused { status: 0, text }),
            Ending::RolledBack => Some(Failure::RolledBack(text)),
            Ending::RollbackFailed => Some(Failure::RollbackFailed(text)),
            Ending::Unfinished => Some(Failure::TimedOut(text)),
            Ending::Paused
            | Ending::Failed
            | Ending::Cancelled
            | Ending::Superseded
            | Ending::NotRunning
            | Ending::Interrupted => Some(Failure::NotRunning(text)),
        }
    }

    /// The exit code.
    pub fn code(self) -> u8 {
        self.failure(String::new()).map_or(0, |failure| failure.exit().code())
    }

    /// What can be done now about deploy `id`, over the API.
    pub fn advice_on_deploy(self, id: &str) -> Vec<String> {
        match self {
            Ending::Paused => ["resume", "promote", "rollback"]
                .map(|verb| format!("to {verb} it: POST /v2/deploys/{id}/{verb}"))
                .into(),
            Ending::Unfinished | Ending::Interrupted => vec![
                format!("to follow it: GET /v2/deploys/{id}"),
                format!("to take it back: POST /v2/deploys/{id}/rollback"),
            ],
            Ending::Failed | Ending::Superseded | Ending::RollbackFailed => {
                vec![format!("to see where it stands: GET /v2/deploys/{id}")]
            }
            Ending::Done
            | Ending::Accepted
            | Ending::Rejected
            | Ending::RolledBack
            | Ending::Cancelled
            | Ending::NotRunning => Vec::new(),
        }
    }

    /// What can be done now about deployment `id`.
    pub fn advice(self, id: &str) -> Vec<String> {
        let show = "stayer deployment list".to_owned();
        let cancel = format!("stayer deployment cancel {id}");
        match self {
            Ending::Paused => {
                vec![
                    format!("to go on: stayer deployment resume {id}"),
                    format!("to take it back: {cancel}"),
                ]
            }
            Ending::Unfinished | Ending::Interrupted => {
                vec![format!("to follow it: {show}"), format!("to take it back: {cancel}")]
            }
            Ending::RollbackFailed => vec![format!("to see where it stands: {show}")],
            Ending::Failed | Ending::Superseded | Ending::Cancelled => {
                vec!["to see what became of it: stayer deployment history".to_owned()]
            }
            Ending::Done
            | Ending::Accepted
            | Ending::Rejected
            | Ending::RolledBack
            | Ending::NotRunning => Vec::new(),
        }
    }
}

/// What follows from what the history says of a deployment that is over. `taking_back`: it is one that takes another back.
pub fn after(outcome: Option<&Value>, taking_back: bool) -> Next {
    let Some(outcome) = outcome else { return Next::Unknown };
    let by = text(outcome, "followedBy");
    match (text(outcome, "outcome").as_str(), taking_back) {
        ("done", false) => Next::Over(Ending::Done),
        ("done", true) => Next::Over(Ending::RolledBack),
        ("rolledBack", false) if !by.is_empty() => Next::TakenBack(by),
        ("failed" | "cancelled" | "rolledBack", true) => Next::Over(Ending::RollbackFailed),
        ("failed", false) => Next::Over(Ending::Failed),
        ("cancelled", false) => Next::Over(Ending::Cancelled),
        ("replaced", _) => Next::Over(Ending::Superseded),
        // A newer server may know more endings.
        _ => Next::Unknown,
    }
}

/// What a state of a deployment that is listed means, where it is the end of waiting for it.
pub fn standing(deployment: &Value) -> Option<Ending> {
    match text(deployment, "state").as_str() {
        "paused" => Some(Ending::Paused),
        // Only what takes another one back is ever stuck: it goes on, but not well.
        "stuck" => Some(Ending::RollbackFailed),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Issue 5, item 6: the exit codes of pipelines.
    #[test]
    fn every_ending_has_its_exit_code() {
        let codes = [
            (Ending::Done, 0),
            (Ending::Accepted, 0),
            (Ending::Rejected, 2),
            (Ending::RolledBack, 3),
            (Ending::RollbackFailed, 4),
            (Ending::Paused, 5),
            (Ending::Failed, 5),
            (Ending::Cancelled, 5),
            (Ending::Superseded, 5),
            (Ending::NotRunning, 5),
            (Ending::Unfinished, 5),
            (Ending::Interrupted, 5),
        ];
        for (ending, code) in codes {
            assert_eq!(ending.code(), code, "{ending:?}");
        }
    }

    #[test]
    fn what_the_history_says_is_the_end_or_leads_to_it() {
        let outcome = |word: &str| json!({"outcome": word, "followedBy": "d2"});
        let rows = [
            ("done", false, Next::Over(Ending::Done)),
            ("done", true, Next::Over(Ending::RolledBack)),
            ("rolledBack", false, Next::TakenBack("d2".to_owned())),
            ("rolledBack", true, Next::Over(Ending::RollbackFailed)),
            ("failed", false, Next::Over(Ending::Failed)),
            ("failed", true, Next::Over(Ending::RollbackFailed)),
            ("cancelled", false, Next::Over(Ending::Cancelled)),
            ("cancelled", true, Next::Over(Ending::RollbackFailed)),
            ("replaced", false, Next::Over(Ending::Superseded)),
            ("replaced", true, Next::Over(Ending::Superseded)),
            ("what is this", false, Next::Unknown),
        ];
        for (word, taking_back, next) in rows {
            assert_eq!(after(Some(&outcome(word)), taking_back), next, "{word} {taking_back}");
        }
        assert_eq!(after(None, false), Next::Unknown);
    }

    #[test]
    fn a_rollback_never_reads_as_success() {
        for ending in [Ending::RolledBack, Ending::RollbackFailed, Ending::Failed] {
            assert!(ending.words().contains("FAILED") && ending.code() != 0, "{ending:?}");
        }
    }
}
