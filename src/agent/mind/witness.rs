//! What the mind remembers of a life for the case that it fails: the last answers to its checks, and how far the taking of
//! its evidence is. What that evidence is, `exam` says.

use std::collections::VecDeque;

use crate::agent::mind::checks::probe::{CheckNo, Reply};
use crate::model::check::CheckProbe;
use crate::model::evidence::{self, Answer, MAX_BODY, MAX_REPLIES};
use crate::model::spec::Spec;
use crate::model::time::Timestamp;

/// How far the taking of evidence is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Exam {
    /// Nothing calls for it.
    #[default]
    None,
    /// What is left of the life has to stay until it is done.
    Going,
    /// It is done, as far as it can be.
    Done,
}

/// The last answers to a life's checks.
#[derive(Clone, Debug, Default)]
pub(super) struct Replies {
    /// Since when they are known.
    pub(super) since: Option<Timestamp>,
    last: VecDeque<(Timestamp, CheckNo, Answer)>,
}

// === impl Replies ===

impl Replies {
    /// Checks are asked from now on.
    pub(super) fn begin(&mut self, now: Timestamp) {
        self.since.get_or_insert(now);
    }

    /// An answer came. One that says nothing of the task is none.
    pub(super) fn note(&mut self, now: Timestamp, check: CheckNo, reply: &Reply) {
        let Some(answer) = answer_of(reply) else { return };
        if self.last.len() == MAX_REPLIES {
            self.last.pop_front();
        }
        self.last.push_back((now, check, answer));
    }

    /// For whoever looks at the evidence.
    pub(super) fn told(&self, spec: Option<&Spec>) -> Vec<evidence::Reply> {
        let told = |(at, check, answer): &(Timestamp, CheckNo, Answer)| evidence::Reply {
            at: *at,
            check: label(spec, *check),
            answer: answer.clone(),
        };
        self.last.iter().map(told).collect()
    }
}

fn answer_of(reply: &Reply) -> Option<Answer> {
    match reply {
        Reply::Http { status, body, content_type: _ } => {
            let end = body.floor_char_boundary(MAX_BODY);
            let (status, cut) = (*status, end < body.len());
            Some(Answer::Http { status, body: body[..end].to_owned(), cut })
        }
        Reply::Connected => Some(Answer::Connected),
        Reply::Exit(code) => Some(Answer::Exit(*code)),
        Reply::Failed { why } => Some(Answer::Failed(why.clone())),
        Reply::Unknown => None,
    }
}

/// A check for people. Without its definition it has a number.
fn label(spec: Option<&Spec>, check: CheckNo) -> String {
    let known = match check {
        CheckNo::Health(no) => {
            let check = spec.and_then(|spec| spec.health_checks.iter().nth(no));
            check.map(|check| format!("health {}", check.label()))
        }
        CheckNo::Readiness(no) => {
            let check = spec.and_then(|spec| spec.readiness_checks.get(no));
            check.map(|check| format!("readiness {}", check.path))
        }
        CheckNo::Plain => spec.and_then(|spec| spec.check.as_ref()).map(|check| {
            let what = match &check.probe {
                CheckProbe::Http { path, .. } => path.as_deref().unwrap_or("/"),
                CheckProbe::Tcp { .. } => "TCP",
                CheckProbe::Exec { shell } => shell,
            };
            format!("check {what}")
        }),
    };
    known.unwrap_or_else(|| match check {
        CheckNo::Health(no) => format!("health check {no}"),
        CheckNo::Readiness(no) => format!("readiness check {no}"),
        CheckNo::Plain => "check".to_owned(),
    })
}
