//! The one next step of a life, from what it shall be and what it is. A function of its arguments.
//!
//! Whether the step may be taken now (the hand answers, there is room to launch, predecessors are gone) is not asked
//! here.

use crate::agent::mind::life::{Busy, Host, Life};
use crate::agent::mind::witness::Exam;
use crate::model::have::{Want, WantGoal};
use crate::model::id::Incarnation;
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;

/// Between two kills of what does not end (CT-12).
const KILL_AGAIN: Span = Span::secs(5);

/// What a life shall become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    /// Running.
    Run,
    /// Ended.
    End {
        /// From the request to end to the kill.
        grace: Span,
        /// Whether nothing of it is kept.
        forget: bool,
    },
    /// What it is: no row speaks of it.
    Leave,
}

/// What to do about a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing until something is seen.
    Rest,
    /// Nothing until then.
    Until(Timestamp),
    /// This.
    Do(Act),
}

/// A step without its data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Prepare,
    Cancel,
    Start,
    Terminate,
    Kill,
    Remove,
}

// === impl Intent ===

impl Intent {
    /// What the life `of` shall become under `want`. `grace` is for a life that a newer one replaces. A want never
    /// speaks of lives newer than its own: a late stop does not hit the successor (I12).
    pub(super) fn of(want: Option<&Want>, of: Incarnation, grace: Span) -> Intent {
        let Some(want) = want else {
            return planted!("strays-ended", Intent::Leave, Intent::End { grace, forget: false });
        };
        if planted!("late-kill-hits-the-successor", of > want.incarnation, false) {
            return Intent::Leave;
        }
        match &want.goal {
            WantGoal::Run { .. } if of == want.incarnation => Intent::Run,
            WantGoal::Run { .. } => Intent::End { grace, forget: false },
            WantGoal::Stop { grace, why: _ } => Intent::End { grace: *grace, forget: false },
            WantGoal::Forget => Intent::End { grace, forget: true },
        }
    }
}

/// The next step of `life`.
pub(super) fn next(life: &Life, intent: Intent, now: Timestamp) -> Next {
    match (life.busy, intent) {
        (Some(Busy::Prepare { cancelled: false }), Intent::End { .. }) => {
            return Next::Do(Act::Cancel);
        }
        (Some(_), _) => return Next::Rest,
        (None, _) => {}
    }
    if life.doubt || life.missing {
        return Next::Rest;
    }
    if let Some(at) = life.backoff.waits(now) {
        return Next::Until(at);
    }
    match intent {
        Intent::Leave => end_of(life, false),
        Intent::Run => run(life),
        Intent::End { grace, forget } => end(life, grace, forget, now),
    }
}

fn run(life: &Life) -> Next {
    if life.end.is_some() {
        return Next::Rest;
    }
    match life.host {
        Host::Nothing | Host::Partial => Next::Do(Act::Prepare),
        Host::Prepared => Next::Do(Act::Start),
        Host::Running(_) | Host::Exited => Next::Rest,
    }
}

fn end(life: &Life, grace: Span, forget: bool, now: Timestamp) -> Next {
    match life.host {
        Host::Running(_) => stop(life, grace, now),
        // It never ran: there is no end to keep, and nobody to acknowledge one.
        Host::Partial | Host::Prepared if life.end.is_none() => match life.exam {
            Exam::Going => Next::Rest,
            Exam::None | Exam::Done => Next::Do(Act::Remove),
        },
        Host::Nothing | Host::Partial | Host::Prepared | Host::Exited => end_of(life, forget),
    }
}

/// Invariant 7: nothing is removed before its end is acknowledged; nor while it is evidence.
fn end_of(life: &Life, forget: bool) -> Next {
    let acked = planted!("removed-before-acknowledged", life.acked, true);
    if life.is_over() && acked && life.exam != Exam::Going && (forget || life.discard) {
        Next::Do(Act::Remove)
    } else {
        Next::Rest
    }
}

/// CT-12: asked to end, killed after the grace period, and again every five seconds while it lives.
fn stop(life: &Life, grace: Span, now: Timestamp) -> Next {
    let Some(asked) = life.stop.asked else { return Next::Do(Act::Terminate) };
    let kill_at = match life.stop.killed {
        Some(killed) => {
            planted!("kills-once", killed + KILL_AGAIN, killed + Span::secs(100_000))
        }
        None => planted!("stop-grace-ignored", asked + grace, asked),
    };
    if now >= kill_at {
        Next::Do(Act::Kill)
    } else if life.stop.heard || life.stop.killed.is_some() {
        Next::Until(kill_at)
    } else {
        Next::Do(Act::Terminate)
    }
}
