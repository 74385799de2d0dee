//! `GET /v2/tasks/{task}/logs`: a task's output, as its agent has it.
//!
//! The bytes come from the agent through a [`LogSource`](crate::api::seams::LogSource); what an agent is and how it is reached is not known here.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::IntoResponse;

use crate::agent::runtime::LogStream;
use crate::api::call::{Api, Call};
use crate::api::reply::{self, Outcome, Streaming};
use crate::api::seams::{LogError, LogRequest};
use crate::contract::error::{Missing, Reply};
use crate::model::id::{APP_TASK, Incarnation, TaskRef};

/// Answers with the output of one task.
#[utoipa::path(
    get,
    path = "/v2/tasks/{task}/logs",
    operation_id = "getTaskLogs",
    tag = "tasks",
    params(
        ("task" = String, Path, description = "task id, or the id of its instance"),
        ("stream" = Option<String>, Query, description = "`stdout` (default) or `stderr`"),
        ("follow" = Option<bool>, Query, description = "stay and send what comes"),
        ("tail" = Option<u64>, Query, description = "begin with so many last lines"),
    ),
    responses(
        (status = 200, description = "the output", body = String, content_type = "text/plain"),
        (status = 400, description = "`stream`, `follow` or `tail` is none", body = crate::api::schema::Message),
        (status = 404, description = "no such task, or nothing of it is left", body = crate::api::schema::Message),
        (status = 503, description = "its agent is not heard", body = crate::api::schema::Message),
    ),
)]
pub async fn get(api: &Api, call: &Call, task: &str) -> Outcome {
    let request = request(api, call, task)?;
    match api.logs().open(request).await {
        Ok(bytes) => {
            let mut response = Body::from_stream(bytes).into_response();
            let text = HeaderValue::from_static("text/plain; charset=utf-8");
            response.headers_mut().insert(header::CONTENT_TYPE, text);
            // Bytes of a task must never run as a page.
            let plain = HeaderValue::from_static("nosniff");
            response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, plain);
            response.extensions_mut().insert(Streaming);
            Ok(response)
        }
        Err(LogError::Gone) => Err(reply::not_found(&LogError::Gone.to_string())),
        Err(away @ LogError::Away(_)) => Err(Reply::unavailable(&away.to_string())),
    }
}

fn request(api: &Api, call: &Call, task: &str) -> Result<LogRequest, Reply> {
    let bad = |message: String| reply::say(StatusCode::BAD_REQUEST, &message);
    let stream = match call.query.first("stream") {
        None | Some("" | "stdout") => LogStream::Stdout,
        Some("stderr") => LogStream::Stderr,
        Some(other) => return Err(bad(format!("stream is stdout or stderr, not '{other}'"))),
    };
    let tail = match call.query.first("tail") {
        None | Some("") => None,
        Some(text) => {
            Some(text.parse().map_err(|_| bad(format!("tail is a number, not '{text}'")))?)
        }
    };
    let task_ref = TaskRef::parse(task).map_err(|error| Reply::no_task_id(task, &error))?;
    if !call.scope.sees(&task_ref.path) {
        return Err(Reply::missing(&Missing::Task(task)));
    }
    let view = api.view();
    let row = view.world.find_task(&task_ref);
    let (name, life) = named(task, &task_ref);
    // A task that has left its row may still have its output on the agent that ran it.
    let incarnation = life.or(row.map(|row| row.incarnation));
    let incarnation = incarnation.ok_or_else(|| Reply::missing(&Missing::Task(task)))?;
    Ok(LogRequest {
        agent: row.and_then(|row| row.place.as_ref()).map(|place| place.agent),
        instance: task_ref.instance,
        incarnation,
        task: name.to_owned(),
        stream,
        follow: call.query.flag("follow", false),
        tail,
    })
}

/// The container and the life that a task id names: `…instance-<uuid>._app.<n>`. Earlier lives may still be on the host.
pub fn named<'a>(task: &'a str, task_ref: &TaskRef) -> (&'a str, Option<Incarnation>) {
    let uuid = task_ref.instance.to_string();
    let tail = task.split_once(&uuid).map_or("", |(_, tail)| tail.trim_start_matches('.'));
    let (name, number) = match tail.rsplit_once('.') {
        Some((name, number)) => (name, number),
        None => (tail, ""),
    };
    let name = Some(name).filter(|name| !name.is_empty()).unwrap_or(APP_TASK);
    (name, number.parse().ok().map(Incarnation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_id_names_its_container_and_life() {
        const UUID: &str = "0dcc1e4e-9f1a-11eb-8f5c-0242ac110002";
        for (tail, expected) in [
            ("._app.7", ("_app", Some(Incarnation(7)))),
            (".web.2", ("web", Some(Incarnation(2)))),
            (".web", ("web", None)),
            ("", ("_app", None)),
        ] {
            let id = format!("a_b.instance-{UUID}{tail}");
            let task_ref = TaskRef::parse(&id).expect("a task id");
            assert_eq!(named(&id, &task_ref), expected, "{id}");
        }
    }
}
