//! The state machine of a deploy: what follows from how its apps stand and from the time. Pure, and total over every state.

use crate::logic::deploy::look::{Seen, Sight, Standing};
use crate::model::deploy::{
    Analysis, Cause, Deploy, Ending, Finding, MAX_TEXT, Phase, SETTLE, State, Strategy, Undo,
};
use crate::model::deployment::OnFailure;
use crate::model::path::AppPath;
use crate::model::text::cut;
use crate::model::time::Timestamp;

/// What follows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing, until a row or the time changes.
    Wait,
    /// Another state.
    Be(State),
    /// A change of an app, and then another state.
    Do(Act, State),
}

/// A change of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// The new app gets so many instances.
    ScaleNew(u32),
    /// The old app gets so many instances.
    ScaleOld(u32),
    /// The old app is removed.
    RemoveOld,
    /// The new app is removed.
    RemoveNew,
    /// The app gets its earlier definition.
    Revert,
}

/// What follows for a deploy that is not over.
pub fn next(deploy: &Deploy, sight: &Sight, now: Timestamp) -> Next {
    if let Some(cause) = disturbed(deploy, sight) {
        return Next::Be(State::Over(Ending::Failed(cause)));
    }
    match &deploy.state {
        State::Over(_) | State::Paused { .. } => Next::Wait,
        State::Going(phase) => go_on(deploy, *phase, sight, now),
        State::RollingBack { cause, undo } => go_back(deploy, cause, *undo, sight, now),
    }
}

/// The deploy with one failure more, when there is one that it has not counted.
pub fn count_failure(deploy: &Deploy, sight: &Sight) -> Option<Deploy> {
    let (at, _) = sight.failure.as_ref()?;
    let is_new = deploy.failed_at.is_none_or(|counted| *at > counted);
    (matches!(deploy.state, State::Going(_)) && is_new).then(|| Deploy {
        failures: deploy.failures + 1,
        failed_at: Some(*at),
        ..deploy.clone()
    })
}

/// What an analysis comes to.
pub fn judged(deploy: &Deploy, finding: &Finding, now: Timestamp) -> State {
    let State::Going(phase @ Phase::Judging { step, asking, deadline, .. }) = deploy.state else {
        return deploy.state.clone();
    };
    let Some(analysis) = &deploy.plan.analysis else { return deploy.state.clone() };
    match finding {
        Finding::Measured { least, most } if analysis.passes(*least, *most) => {
            State::Going(passed(deploy, step, now))
        }
        Finding::Measured { .. } => {
            fail(deploy, phase, Cause::Analysis(out_of_bounds(analysis, finding)))
        }
        Finding::NoTraffic | Finding::Unanswered(_) => {
            let due = now + analysis.interval;
            State::Going(Phase::Judging { step, asking: asking + 1, due, deadline })
        }
    }
}

/// A step's beginning, in which the new app grows.
pub fn growing(deploy: &Deploy, step: u32, now: Timestamp) -> Phase {
    Phase::Growing { step, deadline: now + deploy.plan.deadline, ready: None }
}

/// The end of a step against which nothing speaks.
pub fn passed(deploy: &Deploy, step: u32, now: Timestamp) -> Phase {
    Phase::Passed { step, deadline: now + deploy.plan.deadline }
}

/// Where a paused deploy takes up its step again.
pub fn taken_up(deploy: &Deploy, phase: Phase, now: Timestamp) -> Phase {
    match phase {
        Phase::Growing { step, .. } | Phase::Shrinking { step, .. } => growing(deploy, step, now),
        Phase::Holding { step, .. } | Phase::Passed { step, .. } => watch(deploy, step, now),
        Phase::Judging { step, .. } => judge(deploy, step, now),
        Phase::Finishing => Phase::Finishing,
    }
}

/// What is found missing at a deadline, or what is not as it was left.
fn disturbed(deploy: &Deploy, sight: &Sight) -> Option<Cause> {
    let told = |seen: Seen, path: &AppPath| match seen {
        Seen::There(_) => None,
        Seen::Changed => Some(Cause::Changed(path.clone())),
        Seen::Removed { .. } => Some(Cause::Removed(path.clone())),
    };
    let ours = own_removal(deploy);
    let old = deploy.old.as_ref().zip(sight.old).and_then(|(old, seen)| match (ours, seen) {
        (Some(Act::RemoveOld), Seen::Removed { .. }) => None,
        _ => told(seen, &old.hand.path),
    });
    let new = match (ours, sight.new) {
        (Some(Act::RemoveNew | Act::Revert), Seen::Removed { .. }) => None,
        (_, seen) => told(seen, &deploy.new.hand.path),
    };
    new.or(old)
}

/// What the deploy itself is removing.
const fn own_removal(deploy: &Deploy) -> Option<Act> {
    match &deploy.state {
        State::Going(Phase::Finishing) => Some(Act::RemoveOld),
        State::RollingBack { undo: Undo::Removing, .. } => Some(Act::RemoveNew),
        State::RollingBack { undo: Undo::Reverting { .. }, .. } => Some(Act::Revert),
        State::Going(_) | State::Paused { .. } | State::RollingBack { .. } | State::Over(_) => None,
    }
}

fn go_on(deploy: &Deploy, phase: Phase, sight: &Sight, now: Timestamp) -> Next {
    if phase != Phase::Finishing && deploy.failures > deploy.plan.max_failures {
        let said = sight.failure.as_ref().map_or("", |(_, text)| text.as_str());
        return Next::Be(fail(deploy, phase, Cause::Failures(cut(said, MAX_TEXT).to_owned())));
    }
    let new = sight.new_standing();
    let overdue = |deadline: Timestamp| late(deploy, phase, sight, now >= deadline);
    match phase {
        Phase::Growing { step, deadline, ready } => match (is_served(deploy, step, new), ready) {
            (false, Some(_)) => {
                Next::Be(State::Going(Phase::Growing { step, deadline, ready: None }))
            }
            (false, None) => overdue(deadline),
            (true, None) => {
                Next::Be(State::Going(Phase::Growing { step, deadline, ready: Some(now) }))
            }
            (true, Some(ready)) if now < ready + SETTLE => Next::Wait,
            (true, Some(_)) => grown(deploy, step, sight, now),
        },
        Phase::Shrinking { step, deadline } => {
            let old = sight.old_standing();
            if old.there <= old.wanted {
                return Next::Be(State::Going(watch(deploy, step, now)));
            }
            overdue(deadline)
        }
        Phase::Holding { until, .. } if now < until => Next::Wait,
        Phase::Holding { step, until } => {
            if is_served(deploy, step, new) {
                return Next::Be(State::Going(judge(deploy, step, now)));
            }
            overdue(until + deploy.plan.deadline)
        }
        Phase::Judging { deadline, .. } if now >= deadline => {
            Next::Be(State::Paused { cause: unheard(deploy), phase })
        }
        Phase::Judging { .. } => Next::Wait,
        Phase::Passed { step, deadline } => {
            if is_served(deploy, step, new) {
                advance(deploy, step, now)
            } else {
                overdue(deadline)
            }
        }
        Phase::Finishing => match sight.old {
            Some(Seen::Removed { busy: true } | Seen::There(_) | Seen::Changed) => Next::Wait,
            Some(Seen::Removed { busy: false }) | None => Next::Be(State::Over(Ending::Done)),
        },
    }
}

/// Whether the new app has what the step asks for.
fn is_served(deploy: &Deploy, step: u32, new: Standing) -> bool {
    !new.busy && new.healthy >= deploy.count(step)
}

/// The new app has its instances: as many of the old go, but for the last step, whose old ones stay until all is said.
fn grown(deploy: &Deploy, step: u32, sight: &Sight, now: Timestamp) -> Next {
    let count = deploy.count(step);
    let rest = deploy.old.as_ref().map(|old| old.whole.min(deploy.target - count));
    let rest = rest.filter(|rest| count < deploy.target && *rest < sight.old_standing().wanted);
    match rest {
        Some(rest) => {
            let deadline = now + deploy.plan.deadline;
            Next::Do(Act::ScaleOld(rest), State::Going(Phase::Shrinking { step, deadline }))
        }
        None => Next::Be(State::Going(watch(deploy, step, now))),
    }
}

/// The hold of a step, if it has one.
fn watch(deploy: &Deploy, step: u32, now: Timestamp) -> Phase {
    if deploy.target == 0 || deploy.promoted {
        return passed(deploy, step, now);
    }
    if deploy.plan.hold.as_millis() == 0 {
        return judge(deploy, step, now);
    }
    Phase::Holding { step, until: now + deploy.plan.hold }
}

/// The analysis of a step, if it has one.
fn judge(deploy: &Deploy, step: u32, now: Timestamp) -> Phase {
    if deploy.target == 0 || deploy.promoted || deploy.plan.analysis.is_none() {
        return passed(deploy, step, now);
    }
    Phase::Judging { step, asking: 0, due: now, deadline: now + deploy.plan.deadline }
}

/// The step is over: the next one, or the end.
fn advance(deploy: &Deploy, step: u32, now: Timestamp) -> Next {
    let last = deploy.last_step();
    if step < last {
        let step = if deploy.promoted { last } else { step + 1 };
        let state = State::Going(growing(deploy, step, now));
        return Next::Do(Act::ScaleNew(deploy.count(step)), state);
    }
    if deploy.count(last) < deploy.target {
        let phase = passed(deploy, step, now);
        return Next::Be(State::Paused { cause: Cause::Promotion, phase });
    }
    match deploy.old {
        Some(_) => Next::Do(Act::RemoveOld, State::Going(Phase::Finishing)),
        None => Next::Be(State::Over(Ending::Done)),
    }
}

fn go_back(deploy: &Deploy, cause: &Cause, undo: Undo, sight: &Sight, now: Timestamp) -> Next {
    let back = |undo: Undo| State::RollingBack { cause: cause.clone(), undo };
    let deadline = now + deploy.plan.deadline;
    let over = || Next::Be(State::Over(Ending::RolledBack(cause.clone())));
    match undo {
        Undo::Begun => match &deploy.old {
            _ if deploy.plan.strategy == Strategy::Rolling => {
                Next::Do(Act::Revert, back(Undo::Reverting { deadline, stuck: false }))
            }
            Some(old) => {
                let state = back(Undo::Restoring { deadline, stuck: false });
                let is_whole = sight.old_standing().wanted >= old.whole;
                if is_whole { Next::Be(state) } else { Next::Do(Act::ScaleOld(old.whole), state) }
            }
            None => Next::Do(Act::RemoveNew, back(Undo::Removing)),
        },
        Undo::Restoring { deadline, stuck } => {
            let needed = deploy.old.as_ref().map_or(0, |old| old.whole.min(old.serving));
            let restored = sight.old_standing().healthy >= needed;
            // Where nothing of the new one serves its places are of more use to the old one.
            if restored || sight.new_standing().healthy == 0 {
                return Next::Do(Act::RemoveNew, back(Undo::Removing));
            }
            if now >= deadline && !stuck {
                return Next::Be(back(Undo::Restoring { deadline, stuck: true }));
            }
            Next::Wait
        }
        Undo::Reverting { deadline, stuck } => match sight.new {
            Seen::There(Standing { busy: false, .. }) | Seen::Removed { busy: false } => over(),
            Seen::There(_) | Seen::Removed { .. } | Seen::Changed if now >= deadline && !stuck => {
                Next::Be(back(Undo::Reverting { deadline, stuck: true }))
            }
            Seen::There(_) | Seen::Removed { .. } | Seen::Changed => Next::Wait,
        },
        Undo::Removing => match sight.new {
            Seen::Removed { busy: false } => over(),
            Seen::There(_) | Seen::Removed { .. } | Seen::Changed => Next::Wait,
        },
    }
}

/// What follows when it does not work.
fn fail(deploy: &Deploy, phase: Phase, cause: Cause) -> State {
    match deploy.plan.on_failure {
        OnFailure::Rollback => State::RollingBack { cause, undo: Undo::Begun },
        OnFailure::Pause => State::Paused { cause, phase },
        OnFailure::None => State::Over(Ending::Failed(cause)),
    }
}

fn late(deploy: &Deploy, phase: Phase, sight: &Sight, is_late: bool) -> Next {
    if !is_late {
        return Next::Wait;
    }
    Next::Be(fail(deploy, phase, Cause::Overdue(missing(deploy, phase, sight))))
}

/// What a step lacks, for people.
fn missing(deploy: &Deploy, phase: Phase, sight: &Sight) -> String {
    let (new, old) = (sight.new_standing(), sight.old_standing());
    if let Phase::Shrinking { .. } = phase {
        return format!("{} old instances do not end", old.there.saturating_sub(old.wanted));
    }
    let wanted = phase.step().map_or(deploy.target, |step| deploy.count(step));
    let said = sight.failure.as_ref().map(|(_, text)| format!(", the last failure: {text}"));
    let text = format!("{} of {wanted} new instances are healthy", new.healthy.min(wanted));
    cut(&(text + &said.unwrap_or_default()), MAX_TEXT).to_owned()
}

/// Why there is no verdict at the deadline.
fn unheard(deploy: &Deploy) -> Cause {
    match &deploy.last {
        Some(Finding::NoTraffic) => Cause::NoTraffic,
        Some(Finding::Unanswered(text)) => Cause::Unanswered(text.clone()),
        Some(Finding::Measured { .. }) | None => Cause::Unanswered("nobody answered".to_owned()),
    }
}

fn out_of_bounds(analysis: &Analysis, finding: &Finding) -> String {
    let Finding::Measured { least, most } = finding else { return String::new() };
    match (analysis.min, analysis.max) {
        (_, Some(max)) if *most > max => {
            format!("the query gave {most}, at most {max} passes")
        }
        (Some(min), _) => format!("the query gave {least}, at least {min} passes"),
        (None, _) => format!("the query gave {least} to {most}"),
    }
}
