//! Plans within events (contract 11.4).

use crate::contract::show::text::{self, Object};
use crate::model::event::{Plan, PlanAction, PlanStep};
use crate::model::path::AppPath;

/// How plans are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plans {
    /// With `original` and `target`, which marathon-python wants to see: groups of the change's version without content,
    /// since whole trees would cost as much as there is.
    #[default]
    Heavy,
    /// Steps alone: `plan-format=light`.
    Light,
}

/// The members of a plan.
pub(super) fn write(out: &mut Object<'_>, plan: &Plan, plans: Plans) {
    out.plain("id", plan.id);
    match plans {
        Plans::Light => {}
        Plans::Heavy => {
            for key in ["original", "target"] {
                out.object(key, |group| root(group, plan));
            }
        }
    }
    out.objects("steps", &plan.steps, |object, step| actions(object, step));
    out.plain("version", plan.version);
}

/// What the step does that a plan is at.
pub(super) fn current(step: &PlanStep) -> &[(PlanAction, AppPath)] {
    step.plan.steps.get(step.step as usize).map_or(&[], Vec::as_slice)
}

/// The only member of a step.
pub(super) fn actions(out: &mut Object<'_>, actions: &[(PlanAction, AppPath)]) {
    out.list("actions", actions, |out, (action, app)| {
        text::object(out, |object| {
            object.plain("action", action.as_str());
            object.plain("app", app);
        });
    });
}

fn root(out: &mut Object<'_>, plan: &Plan) {
    out.plain("id", "/");
    for empty in ["apps", "groups", "dependencies"] {
        out.raw(empty, "[]");
    }
    out.plain("version", plan.version);
}
