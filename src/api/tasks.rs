//! Reading tasks: of one app, of those below a group, of all (contract 3.3, 3.7).

use axum::http::StatusCode;
use axum::response::Response;

use crate::api::accept;
use crate::api::call::{Api, Call};
use crate::api::path::AppId;
use crate::api::reply::{self, Outcome};
use crate::contract::show::{task, task_lines};
use crate::model::app::App;
use crate::model::path::AppPath;
use crate::model::view::View;

/// Answers with the tasks of one app.
#[utoipa::path(
    get,
    path = "/v2/apps/{id}/tasks",
    operation_id = "listAppTasks",
    tag = "tasks",
    params(("id" = String, Path, description = "app id, slashes included")),
    responses(
        (status = 200, description = "the tasks; one line each service port for `text/plain`", content((crate::api::schema::Tasks = "application/json"), (String = "text/plain"))),
        (status = 404, description = "no such app", body = crate::api::schema::Message),
    ),
)]
pub fn of_app(api: &Api, call: &Call, id: &AppId) -> Outcome {
    let view = api.view();
    let app = call.scope.find(&view, id)?;
    call.shows_tasks(api, app.path.clone(), &view);
    if wants_text(call) {
        return Ok(lines(call, &view, &[app]));
    }
    Ok(reply::json_text(task::of_apps(&view.world, [app])))
}

/// Answers with the tasks of all apps below a group.
#[utoipa::path(
    get,
    path = "/v2/apps/{group}/*/tasks",
    operation_id = "listTasksBelow",
    tag = "tasks",
    params(("group" = String, Path, description = "group id, slashes included")),
    responses(
        (status = 200, description = "the tasks", body = crate::api::schema::Tasks),
        (status = 404, description = "no such group", body = crate::api::schema::Message),
    ),
)]
pub fn below(api: &Api, call: &Call, group: &AppId) -> Outcome {
    let view = api.view();
    let apps = call.scope.below(&view, group)?;
    call.shows_tasks(api, group.group(), &view);
    Ok(reply::json_text(task::of_apps(&view.world, apps)))
}

/// Answers with the tasks of all apps.
#[utoipa::path(
    get,
    path = "/v2/tasks",
    operation_id = "listTasks",
    tag = "tasks",
    params(
        ("status" = Option<Vec<String>>, Query, description = "`running` or `staging`; both means either"),
        ("containerNetworks" = Option<String>, Query, description = "for `text/plain`: networks whose tasks are named by their own address, or `*`"),
    ),
    responses((status = 200, description = "the tasks with service ports; one line each app and service port for `text/plain`", content((crate::api::schema::Tasks = "application/json"), (String = "text/plain")))),
)]
pub fn list(api: &Api, call: &Call) -> Response {
    let view = api.view();
    call.shows_tasks(api, AppPath::root(), &view);
    if wants_text(call) {
        let apps: Vec<&App> = call.scope.apps(&view).collect();
        return lines(call, &view, &apps);
    }
    let filter = call.query.task_filter();
    reply::json_text(task::of_all(&view.world, call.scope.apps(&view), filter))
}

fn wants_text(call: &Call) -> bool {
    accept::choose(&call.headers, &[accept::JSON, accept::TEXT]) == Some(accept::TEXT)
}

/// The list that Marathon gave up and old balancer scripts read (contract 18.4).
fn lines(call: &Call, view: &View, apps: &[&App]) -> Response {
    let networks: Vec<&str> =
        call.query.all("containerNetworks").flat_map(|value| value.split(',')).collect();
    let text = task_lines::task_lines(&view.world, apps.iter().copied(), &networks);
    reply::with_type(StatusCode::OK, accept::TEXT, text)
}
