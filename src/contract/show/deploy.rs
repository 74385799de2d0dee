//! Deploys, which Marathon has not: what was asked, how far it is, and what its apps have now.

use crate::contract::show::text::{self, Object};
use crate::model::deploy::{
    Analysis, Cause, Deploy, Ending, Finding, Hand, Phase, State, Strategy, Undo,
};
use crate::model::id::DeploymentId;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// `GET /v2/deploys`, oldest first.
pub fn deploys<'a>(world: &World, rows: impl IntoIterator<Item = &'a Deploy>) -> String {
    text::object_text(|object| {
        object.objects("deploys", rows, |object, row| members(object, world, row));
    })
}

/// One deploy.
pub fn deploy(world: &World, row: &Deploy) -> String {
    text::object_text(|object| members(object, world, row))
}

fn members(out: &mut Object<'_>, world: &World, row: &Deploy) {
    out.plain("id", row.id);
    out.plain("app", &row.app);
    out.text("strategy", strategy(row.plan.strategy));
    out.text("state", state(&row.state));
    out.raw("over", row.is_over());
    if let Some(cause) = cause(&row.state) {
        out.object("cause", |object| cause_members(object, cause));
    }
    if let State::Over(Ending::Replaced(by)) = &row.state {
        out.plain("replacedBy", by);
    }
    out.raw("step", step(row) + 1);
    let steps = row.counts.iter().map(|count| (at(row, *count), *count));
    out.objects("steps", steps, |object, (at, count)| {
        object.text("at", &at);
        object.raw("instances", count);
    });
    out.raw("target", row.target);
    if let Some(old) = &row.old {
        out.object("old", |object| side(object, world, &old.hand));
    }
    out.object("new", |object| side(object, world, &row.new.hand));
    if let Some(deployment) = deployment(world, row) {
        out.plain("deployment", deployment);
    }
    times(out, &row.state);
    out.raw("hold", row.plan.hold.as_secs());
    out.raw("deadlineSeconds", row.plan.deadline.as_secs());
    out.raw("maxFailures", row.plan.max_failures);
    out.raw("failures", row.failures);
    out.text("onFailure", row.plan.on_failure.as_str());
    if let Some(analysis) = &row.plan.analysis {
        out.object("analysis", |object| analysis_members(object, analysis, row.last.as_ref()));
    }
    out.plain("startedAt", row.since);
    out.plain("changedAt", row.at);
}

fn strategy(strategy: Strategy) -> &'static str {
    match strategy {
        Strategy::Rolling => "rolling",
        Strategy::BlueGreen => "blue-green",
        Strategy::Canary => "canary",
    }
}

fn state(state: &State) -> &'static str {
    match state {
        State::Going(phase) => match phase {
            Phase::Growing { .. } => "growing",
            Phase::Shrinking { .. } => "shrinking",
            Phase::Holding { .. } => "holding",
            Phase::Judging { .. } => "analysing",
            Phase::Passed { .. } => "passed",
            Phase::Finishing => "finishing",
        },
        State::Paused { .. } => "paused",
        State::RollingBack { undo, .. } => match undo {
            Undo::Restoring { stuck: true, .. } | Undo::Reverting { stuck: true, .. } => {
                "rollbackStuck"
            }
            Undo::Begun
            | Undo::Restoring { stuck: false, .. }
            | Undo::Reverting { stuck: false, .. }
            | Undo::Removing => "rollingBack",
        },
        State::Over(ending) => match ending {
            Ending::Done => "done",
            Ending::RolledBack(_) => "rolledBack",
            Ending::Failed(_) => "failed",
            Ending::Replaced(_) => "replaced",
        },
    }
}

fn cause(state: &State) -> Option<&Cause> {
    match state {
        State::Paused { cause, .. }
        | State::RollingBack { cause, .. }
        | State::Over(Ending::RolledBack(cause) | Ending::Failed(cause)) => Some(cause),
        State::Going(_) | State::Over(Ending::Done | Ending::Replaced(_)) => None,
    }
}

fn cause_members(out: &mut Object<'_>, cause: &Cause) {
    let (kind, text, app) = match cause {
        Cause::Failures(text) => ("failures", format!("too many instances failed: {text}"), None),
        Cause::Overdue(text) => ("overdue", format!("the step took too long: {text}"), None),
        Cause::Analysis(text) => ("analysis", text.clone(), None),
        Cause::NoTraffic => {
            ("noTraffic", "the query found nothing to judge by until the deadline".to_owned(), None)
        }
        Cause::Unanswered(text) => {
            ("unanswered", format!("Prometheus gave no answer until the deadline: {text}"), None)
        }
        Cause::Promotion => {
            ("promotion", "the last step is reached: promote it or take it back".to_owned(), None)
        }
        Cause::Changed(app) => (
            "changed",
            format!("{app} was changed by somebody else, or its deployment was ended"),
            Some(app),
        ),
        Cause::Removed(app) => {
            ("removed", format!("{app} was removed by somebody else"), Some(app))
        }
        Cause::Refused(text) => ("refused", format!("a step was refused: {text}"), None),
        Cause::Asked => ("asked", "somebody asked for it".to_owned(), None),
    };
    out.text("kind", kind);
    out.text("text", &text);
    if let Some(app) = app {
        out.plain("app", app);
    }
}

/// In which step it is; the last where it is in none.
fn step(row: &Deploy) -> u32 {
    let phase = match &row.state {
        State::Going(phase) | State::Paused { phase, .. } => phase.step(),
        State::RollingBack { .. } | State::Over(_) => None,
    };
    phase.unwrap_or_else(|| row.last_step())
}

/// How a step was asked for.
fn at(row: &Deploy, count: u32) -> String {
    let asked = row.plan.steps.iter().rev().find(|step| step.of(row.target) == count);
    asked.map_or_else(|| count.to_string(), ToString::to_string)
}

fn side(out: &mut Object<'_>, world: &World, hand: &Hand) {
    let app = world.apps.get(&hand.app).filter(|app| app.removed.is_none());
    let wanted = app.and_then(|app| world.current(app)).map_or(0, |row| row.spec.instances);
    let healthy = world.instances_of(hand.app).filter(|one| one.is_healthy()).count();
    out.plain("app", &hand.path);
    out.raw("instances", wanted);
    out.raw("healthy", healthy);
}

/// The deployment that carries out the present move, while it runs.
fn deployment(world: &World, row: &Deploy) -> Option<DeploymentId> {
    let hands = [Some(&row.new.hand), row.old.as_ref().map(|old| &old.hand)];
    let mut all = hands.into_iter().flatten().filter_map(|hand| hand.deployment);
    all.find(|id| world.deployments.get(id).is_some()).filter(|_| !row.is_over())
}

fn times(out: &mut Object<'_>, state: &State) {
    let (until, deadline): (Option<Timestamp>, Option<Timestamp>) = match state {
        State::Going(phase) => match *phase {
            Phase::Growing { deadline, .. }
            | Phase::Shrinking { deadline, .. }
            | Phase::Judging { deadline, .. }
            | Phase::Passed { deadline, .. } => (None, Some(deadline)),
            Phase::Holding { until, .. } => (Some(until), None),
            Phase::Finishing => (None, None),
        },
        State::RollingBack { undo, .. } => match *undo {
            Undo::Restoring { deadline, .. } | Undo::Reverting { deadline, .. } => {
                (None, Some(deadline))
            }
            Undo::Begun | Undo::Removing => (None, None),
        },
        State::Paused { .. } | State::Over(_) => (None, None),
    };
    if let Some(until) = until {
        out.plain("until", until);
    }
    if let Some(deadline) = deadline {
        out.plain("deadline", deadline);
    }
}

fn analysis_members(out: &mut Object<'_>, analysis: &Analysis, last: Option<&Finding>) {
    out.text("prometheus", &analysis.prometheus);
    out.text("query", &analysis.query);
    out.raw_if("min", analysis.min);
    out.raw_if("max", analysis.max);
    out.raw("intervalSeconds", analysis.interval.as_secs());
    let Some(last) = last else { return };
    out.object("last", |object| match last {
        Finding::Measured { least, most } => {
            object.text("outcome", "measured");
            object.raw("least", least);
            object.raw("most", most);
        }
        Finding::NoTraffic => object.text("outcome", "noTraffic"),
        Finding::Unanswered(text) => {
            object.text("outcome", "unanswered");
            object.text("text", text);
        }
    });
}
