//! Running deployments (contract 9.1) and what a write answers.
//!
//! What a deployment does lies in its apps' rows; a plan is put together from them when somebody asks.

use std::collections::{BTreeMap, BTreeSet};

use crate::contract::show::text::{self, Object};
use crate::contract::show::{checks, outcome};
use crate::model::app::{Action, App, Part};
use crate::model::deployment::Deployment;
use crate::model::event::PlanAction;
use crate::model::id::{DeploymentId, Version};
use crate::model::path::AppPath;
use crate::model::world::World;

/// Steps of apps with Marathon's word for what is done to each, each step in the order of paths.
type Steps<'a> = Vec<BTreeSet<(&'a AppPath, &'static str)>>;

/// The items of `GET /v2/deployments`, oldest first. How one stands is shown where it may fail at all, and of all with
/// `embed=state`: clients of Marathon's may end at a key that they do not know.
pub fn deployments(world: &World, states: bool) -> String {
    let mut out = String::new();
    let apps = apps_by_deployment(world);
    let mut rows: Vec<&Deployment> = world.deployments.iter().map(|(_, row)| row).collect();
    rows.sort_by_key(|row| (row.since, row.id));
    text::list(&mut out, rows, |out, row| {
        let touched = apps.get(&row.id).map_or(&[][..], Vec::as_slice);
        text::object(out, |object| {
            members(object, world, row, touched);
            if states || row.policy.has_limits() {
                outcome::standing(object, row, touched.iter().map(|(app, _)| *app));
            }
        });
    });
    out
}

/// `DeploymentResult`, what an accepted write answers.
pub fn result(deployment: DeploymentId, version: Version) -> String {
    text::object_text(|object| {
        object.plain("version", version);
        object.plain("deploymentId", deployment);
    })
}

/// One pass over the apps for all deployments; an app that is being removed has its part still.
fn apps_by_deployment(world: &World) -> BTreeMap<DeploymentId, Vec<(&App, &Part)>> {
    let mut apps: BTreeMap<DeploymentId, Vec<(&App, &Part)>> = BTreeMap::new();
    if world.deployments.is_empty() {
        return apps;
    }
    for (_, app) in world.apps.iter() {
        if let Some(part) = &app.part {
            apps.entry(part.deployment).or_default().push((app, part));
        }
    }
    apps
}

fn members(out: &mut Object<'_>, world: &World, row: &Deployment, touched: &[(&App, &Part)]) {
    let steps = steps(row, touched);
    let paths: BTreeSet<&AppPath> = touched.iter().map(|(app, _)| &app.path).collect();
    out.plain("id", row.id);
    out.plain("version", row.version);
    out.texts("affectedApps", paths.into_iter().map(AppPath::as_str));
    out.raw("affectedPods", "[]");
    out.objects("steps", &steps, |object, step| {
        object.objects("actions", step, |object, action| action_members(object, *action));
    });
    let begun = row.announced || row.step > 0;
    let current = steps.get(row.step as usize).filter(|_| begun);
    out.objects("currentActions", current.into_iter().flatten(), |object, action| {
        action_members(object, *action);
        let app = world.any_app(action.0);
        let results = app.map_or_else(|| "[]".to_owned(), |app| checks::readiness_list(world, app));
        object.raw("readinessCheckResults", results);
    });
    out.raw("currentStep", if begun { (row.step + 1).min(row.steps) } else { 0 });
    out.raw("totalSteps", row.steps);
}

fn action_members(out: &mut Object<'_>, (path, action): (&AppPath, &str)) {
    out.plain("action", action);
    out.plain("app", path);
}

/// A new app appears twice: it starts with nothing in one step and is scaled in another (DP-6).
fn steps<'a>(row: &Deployment, touched: &[(&'a App, &Part)]) -> Steps<'a> {
    let mut steps: Steps<'a> = vec![BTreeSet::new(); row.steps as usize];
    let mut put = |step: u32, path: &'a AppPath, action: PlanAction| {
        if let Some(step) = steps.get_mut(step as usize) {
            step.insert((path, action.as_str()));
        }
    };
    for (app, part) in touched {
        if let (Action::Create, Some(start)) = (part.action, row.start_step) {
            put(start, &app.path, PlanAction::Start);
        }
        put(part.step, &app.path, PlanAction::from(part.action));
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::show::rig::{DEPLOYMENT, Rig, UUID};
    use crate::model::check::ReadinessCheck;
    use crate::model::condition::Condition;
    use crate::model::findings::{Findings, Readiness, Response};

    fn item(rig: &Rig) -> serde_json::Value {
        serde_json::from_str(&deployments(&rig.world, false)).expect("JSON")
    }

    #[test]
    fn the_create_of_19_4() {
        let mut rig = Rig::new();
        assert_eq!(deployments(&rig.world, false), "[]");
        rig.deploy(Action::Create, 1, 2, Some(0));
        rig.change_deployment(|row| (row.step, row.announced) = (1, true));
        assert_eq!(
            deployments(&rig.world, false),
            format!(
                r#"[{{"id":"{DEPLOYMENT}","version":"2021-07-01T10:00:00.123Z","affectedApps":["/web"],"affectedPods":[],"steps":[{{"actions":[{{"action":"StartApplication","app":"/web"}}]}},{{"actions":[{{"action":"ScaleApplication","app":"/web"}}]}}],"currentActions":[{{"action":"ScaleApplication","app":"/web","readinessCheckResults":[]}}],"currentStep":2,"totalSteps":2}}]"#
            )
        );
    }

    #[test]
    fn right_after_acceptance_no_step_is_current() {
        let mut rig = Rig::new();
        rig.deploy(Action::Restart, 0, 1, None);
        let value = item(&rig);
        assert_eq!(value[0]["currentStep"], 0);
        assert_eq!(value[0]["currentActions"], serde_json::json!([]));
        assert_eq!(value[0]["steps"][0]["actions"][0]["action"], "RestartApplication");
        rig.change_deployment(|row| row.announced = true);
        assert_eq!(item(&rig)[0]["currentStep"], 1);
        assert_eq!(item(&rig)[0]["currentActions"][0]["action"], "RestartApplication");
        rig.deploy(Action::Restart, 1, 2, None);
        rig.change_deployment(|row| row.step = 1);
        assert_eq!(item(&rig)[0]["currentStep"], 2);
    }

    /// Contract 9.1, HC-16: what readiness checks said, once they did, of the instances that the deployment brings.
    #[test]
    fn readiness_results_are_with_their_action() {
        let mut rig = Rig::new();
        rig.instance(1, Condition::Running);
        rig.change_spec(|spec| {
            spec.readiness_checks.push(ReadinessCheck {
                name: "up".to_owned(),
                https: false,
                path: "/".to_owned(),
                port_name: "http-api".to_owned(),
                interval_seconds: 30,
                timeout_seconds: 10,
                ready_codes: [200].into(),
                preserve_last_response: true,
            });
        });
        rig.deploy(Action::Restart, 0, 1, None);
        rig.change_deployment(|row| row.announced = true);
        let results =
            |rig: &Rig| item(rig)[0]["currentActions"][0]["readinessCheckResults"].clone();
        assert_eq!(results(&rig), serde_json::json!([]));
        let last = Response { status: 503, content_type: "text/plain".into(), body: "no".into() };
        let readiness = vec![Some(Readiness { ready: false, last: Some(last) })];
        let findings = Findings { readiness, ..Findings::default() };
        rig.change(1, |one| one.tasks[0].findings = Some(Box::new(findings)));
        let expected = serde_json::json!([{"name": "up", "ready": false,
            "taskId": format!("web.instance-{UUID}._app.1"),
            "lastResponse": {"status": 503, "contentType": "text/plain", "body": "no"}}]);
        assert_eq!(results(&rig), expected);
    }

    #[test]
    fn a_removed_app_is_still_part_of_its_deployment() {
        let mut rig = Rig::new();
        rig.deploy(Action::Stop, 0, 1, None);
        rig.change_app(|app| app.removed = Some(crate::contract::show::rig::at(0)));
        let value = item(&rig);
        assert_eq!(value[0]["affectedApps"], serde_json::json!(["/web"]));
        assert_eq!(value[0]["steps"][0]["actions"][0]["action"], "StopApplication");
    }

    #[test]
    fn a_write_answers_version_and_id() {
        let rig = Rig::new();
        assert_eq!(
            result(Rig::deployment_id(), rig.app().version),
            format!(r#"{{"version":"2021-07-01T10:00:00.123Z","deploymentId":"{DEPLOYMENT}"}}"#)
        );
    }
}
