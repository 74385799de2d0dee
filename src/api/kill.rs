//! Ending tasks: to be launched again, for good with a smaller app, or with all that is kept of them (contract 3.3, 3.7).

use std::sync::{Mutex, PoisonError};

use axum::response::IntoResponse;

use crate::api::call::{Api, Call};
use crate::api::change::{self, Done};
use crate::api::path::AppId;
use crate::api::read;
use crate::api::reply::{self, Outcome};
use crate::contract::error::{Missing, Reply};
use crate::contract::show::task;
use crate::model::app::App;
use crate::model::fact::{Change, How, KillHow};
use crate::model::id::{InstanceKey, TaskRef, TaskRefError};
use crate::model::instance::Instance;
use crate::model::view::View;

/// What the query says of a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Manner {
    follows: KillHow,
    how: How,
}

/// Ends the tasks of one app.
#[utoipa::path(
    delete,
    path = "/v2/apps/{id}/tasks",
    operation_id = "killAppTasks",
    tag = "tasks",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("host" = Option<String>, Query, description = "only those on this host; `*` is any"),
        ("scale" = Option<bool>, Query, description = "make the app smaller by them"),
        ("wipe" = Option<bool>, Query, description = "keep nothing of them"),
        ("force" = Option<bool>, Query, description = "with scale: override running deployments"),
    ),
    responses(
        (status = 200, description = "the tasks, or with scale a DeploymentResult", body = crate::api::schema::TasksEnded),
        (status = 400, description = "scale and wipe at once", body = crate::api::schema::Message),
        (status = 404, description = "no such app", body = crate::api::schema::Message),
        (status = 409, description = "with scale: a deployment holds the app", body = crate::api::schema::Locked),
    ),
)]
pub async fn of_app(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let manner = manner(call)?;
    let host = call.query.first("host").filter(|host| *host != "*");
    let select = |view: &View| {
        let app = target(call, view, id, manner)?;
        let chosen =
            view.world.instances_of(app.key).filter(|instance| is_on(view, instance, host));
        Ok(chosen.map(|instance| instance.key).collect())
    };
    end(api, call, manner, select, task::of_instances).await
}

/// Ends one task of an app.
#[utoipa::path(
    delete,
    path = "/v2/apps/{id}/tasks/{task}",
    operation_id = "killAppTask",
    tag = "tasks",
    params(
        ("id" = String, Path, description = "app id, slashes included"),
        ("task" = String, Path, description = "task id, or the id of its instance"),
        ("scale" = Option<bool>, Query, description = "make the app smaller by it"),
        ("wipe" = Option<bool>, Query, description = "keep nothing of it"),
        ("force" = Option<bool>, Query, description = "with scale: override running deployments"),
    ),
    responses(
        (status = 200, description = "the task, or with scale a DeploymentResult", body = crate::api::schema::TaskEnded),
        (status = 400, description = "scale and wipe at once", body = crate::api::schema::Message),
        (status = 404, description = "no such app or task", body = crate::api::schema::Message),
        (status = 409, description = "with scale: a deployment holds the app", body = crate::api::schema::Locked),
    ),
)]
pub async fn one(api: &Api, call: &Call, id: &AppId, name: &str) -> Outcome {
    let manner = manner(call)?;
    // One that ends at once is shown as it was.
    let was = Mutex::new(None);
    let select = |view: &View| {
        let app = target(call, view, id, manner)?;
        let found = match TaskRef::parse(name) {
            Ok(named) => view.world.instance_by_id(app.key, named.instance),
            Err(TaskRefError::Shape(_)) => None,
            Err(error @ TaskRefError::Uuid(_)) => return Err(Reply::no_task_id(name, &error)),
        };
        match found {
            // A scale by nothing is a deployment without steps.
            None if manner.scales() => Ok(Vec::new()),
            None => Err(Reply::missing(&Missing::Task(name))),
            Some(instance) => {
                let text = task::of_instance(&view.world, instance.key);
                *was.lock().unwrap_or_else(PoisonError::into_inner) = text;
                Ok(vec![instance.key])
            }
        }
    };
    let show = |world: &_, keys: &[InstanceKey]| {
        let only = keys.first().and_then(|key| task::of_instance(world, *key));
        let only = only.or_else(|| was.lock().unwrap_or_else(PoisonError::into_inner).take());
        only.unwrap_or_else(|| r#"{"task":null}"#.to_owned())
    };
    end(api, call, manner, select, show).await
}

/// Ends tasks of any apps.
#[utoipa::path(
    post,
    path = "/v2/tasks/delete",
    operation_id = "killTasks",
    tag = "tasks",
    params(
        ("scale" = Option<bool>, Query, description = "make their apps smaller by them"),
        ("wipe" = Option<bool>, Query, description = "keep nothing of them"),
        ("force" = Option<bool>, Query, description = "with scale: override running deployments"),
    ),
    request_body = crate::api::schema::TaskIds,
    responses(
        (status = 200, description = "the tasks that there were, or with scale a DeploymentResult", body = crate::api::schema::TasksEnded),
        (status = 400, description = "an id is none, or scale and wipe at once", body = crate::api::schema::Message),
        (status = 409, description = "with scale: a deployment holds an app", body = crate::api::schema::Locked),
        (status = 413, description = "longer than 32 MiB", body = crate::api::schema::Message),
        (status = 422, description = "the body does not fit", body = crate::api::schema::Faults),
    ),
)]
pub async fn many(api: &Api, call: &Call) -> Outcome {
    let manner = manner(call)?;
    let ids = read::task_ids(api, call)?;
    let refs = ids
        .value
        .iter()
        .map(|id| TaskRef::parse(id).map_err(|error| Reply::no_task_id_in_list(id, &error)))
        .collect::<Result<Vec<TaskRef>, Reply>>()?;
    let select = |view: &View| {
        let seen = refs.iter().filter(|named| call.scope.sees(&named.path));
        Ok(seen.filter_map(|named| view.world.find_task(named)).map(|row| row.key).collect())
    };
    let mut response = end(api, call, manner, select, task::of_instances).await?;
    reply::warn(&mut response, &ids.warnings);
    Ok(response)
}

// === impl Manner ===

impl Manner {
    const fn scales(self) -> bool {
        matches!(self.follows, KillHow::Scale)
    }
}

fn manner(call: &Call) -> Result<Manner, Reply> {
    let flag = |name| call.query.flag(name, false);
    let follows = match (flag("scale"), flag("wipe")) {
        (true, true) => return Err(Reply::scale_and_wipe()),
        (true, false) => KillHow::Scale,
        (false, true) => KillHow::Wipe,
        (false, false) => KillHow::Restart,
    };
    Ok(Manner { follows, how: call.how(false)? })
}

/// The app whose tasks are meant. A scale words it otherwise when there is none, or nothing of it (contract 2.4).
fn target<'a>(call: &Call, view: &'a View, id: &AppId, manner: Manner) -> Result<&'a App, Reply> {
    let found = call.scope.find(view, id);
    if !manner.scales() {
        return found;
    }
    let text = id.text();
    let app = found.map_err(|_| Reply::message(404, &format!("App '{text}' does not exist")))?;
    match view.world.instances_of(app.key).next() {
        Some(_) => Ok(app),
        None => Err(Reply::missing(&Missing::Path(&app.path))),
    }
}

fn is_on(view: &View, instance: &Instance, host: Option<&str>) -> bool {
    let Some(host) = host else { return true };
    let agent = instance.place.as_ref().and_then(|place| view.world.agents.get(&place.agent));
    agent.is_some_and(|agent| agent.inventory.hostname == host)
}

/// Ends what `select` finds. The answer shows all of it as it is afterwards, whether or not there was something to end.
async fn end(
    api: &Api,
    call: &Call,
    manner: Manner,
    select: impl Fn(&View) -> Result<Vec<InstanceKey>, Reply>,
    show: impl FnOnce(&crate::model::world::World, &[InstanceKey]) -> String,
) -> Outcome {
    let make = |view: &View| {
        let instances = select(view)?;
        let kill = Change::Kill { instances: instances.clone(), how: manner.follows };
        Ok((kill, instances))
    };
    match change::ask(api, call, manner.how, make).await? {
        (Done::Deployed(deployed), _) => {
            Ok(Reply::deployed(200, deployed.deployment, deployed.version).into_response())
        }
        (Done::Killed(_), chosen) => Ok(reply::json_text(show(&api.view().world, &chosen))),
        (done @ (Done::Deploying(_) | Done::Cancelled | Done::DelayReset | Done::Plainly), _) => {
            Err(change::unexpected(&done))
        }
    }
}
