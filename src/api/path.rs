//! Which resource a request path names.
//!
//! App ids hold slashes, and the words after an id (`tasks`, `versions/{v}`, `restart`) end the path, where axum's router
//! knows catch-alls only. So the whole table of routes is this one enum, which is also where 404, 405, `OPTIONS` and the
//! documented routes come from. Pure text: whether an app exists is the handler's to say.

use std::borrow::Cow;

use axum::http::Method;

use crate::model::path::{AppPath, PathError};

/// A resource of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/v2/apps`.
    Apps,
    /// `/v2/apps/{id}`.
    App(AppId),
    /// `/v2/apps/{group}/*`.
    AppsBelow(AppId),
    /// `/v2/apps/{id}/tasks`.
    AppTasks(AppId),
    /// `/v2/apps/{group}/*/tasks`.
    TasksBelow(AppId),
    /// `/v2/apps/{id}/tasks/{task}`.
    AppTask(AppId, String),
    /// `/v2/apps/{id}/versions`.
    Versions(AppId),
    /// `/v2/apps/{id}/versions/{version}`.
    Version(AppId, String),
    /// `/v2/apps/{id}/restart`.
    Restart(AppId),
    /// `/v2/apps/{id}/explain`; an app of that very name comes first.
    Explain(AppId),
    /// `/v2/apps/{id}/failures`; an app of that very name comes first.
    Failures(AppId),
    /// `/v2/apps/{id}/failures/{task}`; likewise.
    Failure(AppId, String),
    /// `/v2/tasks`.
    Tasks,
    /// `/v2/tasks/delete`.
    TasksDelete,
    /// `/v2/tasks/{task}/logs`.
    TaskLogs(String),
    /// `/v2/events`.
    Events,
    /// `/v2/deployments`.
    Deployments,
    /// `/v2/deployments/history`.
    DeploymentHistory,
    /// `/v2/deployments/{id}`.
    Deployment(String),
    /// `/v2/deploys`.
    Deploys,
    /// `/v2/deploys/{id}`.
    Deploy(String),
    /// `/v2/deploys/{id}/resume`.
    DeployResume(String),
    /// `/v2/deploys/{id}/promote`.
    DeployPromote(String),
    /// `/v2/deploys/{id}/rollback`.
    DeployRollBack(String),
    /// `/v2/deployments/{id}/resume`.
    DeploymentResume(String),
    /// `/v2/queue`.
    Queue,
    /// `/v2/queue/{id}/delay`.
    QueueDelay(AppId),
    /// `/v2/agents`.
    Agents,
    /// `/v2/agents/{agent}`.
    Agent(String),
    /// `/v2/agents/{agent}/drain`.
    AgentDrain(String),
    /// `/v2/brake`.
    Brake,
    /// `/v2/info`.
    Info,
    /// `/v2/leader`.
    Leader,
    /// `/ping`.
    Ping,
    /// `/metrics`.
    Metrics,
    /// `/metrics/prometheus`.
    MetricsPrometheus,
    /// `/`.
    Root,
}

/// An app id or group id as a URL names it. What is no valid id names nothing that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppId {
    text: String,
}

/// What is done with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Read.
    Get,
    /// Create, or act.
    Post,
    /// Create or change.
    Put,
    /// Change what there is.
    Patch,
    /// Remove.
    Delete,
}

// === impl AppId ===

impl AppId {
    /// From the segments of a path.
    pub fn from_segments(segments: &[&str]) -> AppId {
        let length = segments.iter().map(|segment| segment.len() + 1).sum();
        let mut text = String::with_capacity(length);
        for segment in segments {
            text.push('/');
            text.push_str(segment);
        }
        if text.is_empty() {
            text.push('/');
        }
        AppId { text }
    }

    /// As messages show it: absolute, also when it is no valid id.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// As a path.
    ///
    /// # Errors
    /// When it is no valid id.
    pub fn path(&self) -> Result<AppPath, PathError> {
        AppPath::parse(&self.text)
    }

    /// The group of this id; the root where it is none.
    pub fn group(&self) -> AppPath {
        self.path().unwrap_or_else(|_| AppPath::root())
    }

    /// The id that `tail` was cut from.
    #[must_use]
    pub fn with(&self, tail: &str) -> AppId {
        AppId { text: format!("{}/{tail}", self.text.trim_end_matches('/')) }
    }
}

// === impl Route ===

impl Route {
    /// Reads the path of a URL. Doubled and trailing slashes count for nothing, `%2F` is a slash.
    pub fn parse(path: &str) -> Option<Route> {
        let decoded = decode(path)?;
        let segments: Vec<&str> = decoded.split('/').filter(|part| !part.is_empty()).collect();
        match segments.as_slice() {
            [] => Some(Route::Root),
            ["ping"] => Some(Route::Ping),
            ["metrics"] => Some(Route::Metrics),
            ["metrics", "prometheus"] => Some(Route::MetricsPrometheus),
            ["v2", "apps"] => Some(Route::Apps),
            ["v2", "apps", rest @ ..] => Some(Route::under_apps(rest)),
            ["v2", "tasks"] => Some(Route::Tasks),
            ["v2", "tasks", "delete"] => Some(Route::TasksDelete),
            ["v2", "tasks", task, "logs"] => Some(Route::TaskLogs((*task).to_owned())),
            ["v2", "events"] => Some(Route::Events),
            ["v2", "deployments"] => Some(Route::Deployments),
            ["v2", "deployments", "history"] => Some(Route::DeploymentHistory),
            ["v2", "deployments", id, "resume"] => Some(Route::DeploymentResume((*id).to_owned())),
            ["v2", "deployments", id] => Some(Route::Deployment((*id).to_owned())),
            ["v2", "deploys"] => Some(Route::Deploys),
            ["v2", "deploys", id] => Some(Route::Deploy((*id).to_owned())),
            ["v2", "deploys", id, "resume"] => Some(Route::DeployResume((*id).to_owned())),
            ["v2", "deploys", id, "promote"] => Some(Route::DeployPromote((*id).to_owned())),
            ["v2", "deploys", id, "rollback"] => Some(Route::DeployRollBack((*id).to_owned())),
            ["v2", "queue"] => Some(Route::Queue),
            ["v2", "queue", id @ .., "delay"] if !id.is_empty() => {
                Some(Route::QueueDelay(AppId::from_segments(id)))
            }
            ["v2", "agents"] => Some(Route::Agents),
            ["v2", "agents", agent] => Some(Route::Agent((*agent).to_owned())),
            ["v2", "agents", agent, "drain"] => Some(Route::AgentDrain((*agent).to_owned())),
            ["v2", "brake"] => Some(Route::Brake),
            ["v2", "info"] => Some(Route::Info),
            ["v2", "leader"] => Some(Route::Leader),
            _ => None,
        }
    }

    /// The words after an id win over an id that ends in them, as in Marathon (contract 3).
    fn under_apps(rest: &[&str]) -> Route {
        let id = AppId::from_segments;
        match rest {
            ["*"] => Route::AppsBelow(id(&[])),
            ["*", "tasks"] => Route::TasksBelow(id(&[])),
            [group @ .., "*"] => Route::AppsBelow(id(group)),
            [group @ .., "*", "tasks"] => Route::TasksBelow(id(group)),
            [app @ .., "tasks"] if !app.is_empty() => Route::AppTasks(id(app)),
            [app @ .., "tasks", task] if !app.is_empty() => {
                Route::AppTask(id(app), (*task).to_owned())
            }
            [app @ .., "versions"] if !app.is_empty() => Route::Versions(id(app)),
            [app @ .., "versions", version] if !app.is_empty() => {
                Route::Version(id(app), (*version).to_owned())
            }
            [app @ .., "restart"] if !app.is_empty() => Route::Restart(id(app)),
            [app @ .., "explain"] if !app.is_empty() => Route::Explain(id(app)),
            [app @ .., "failures"] if !app.is_empty() => Route::Failures(id(app)),
            [app @ .., "failures", task] if !app.is_empty() => {
                Route::Failure(id(app), (*task).to_owned())
            }
            app => Route::App(id(app)),
        }
    }

    /// What may be done with it. `HEAD` comes with `GET`, `OPTIONS` with everything.
    pub const fn verbs(&self) -> &'static [Verb] {
        match self {
            Route::Apps => &[Verb::Get, Verb::Post, Verb::Put, Verb::Patch],
            // An app may be named `explain` or `failures`: all but reading goes to the app of that name.
            Route::App(_) | Route::Explain(_) | Route::Failures(_) | Route::Failure(..) => {
                &[Verb::Get, Verb::Put, Verb::Patch, Verb::Delete]
            }
            Route::AppTasks(_) | Route::Agent(_) | Route::Deploy(_) | Route::Brake => {
                &[Verb::Get, Verb::Delete]
            }
            Route::AppTask(..) | Route::Deployment(_) | Route::QueueDelay(_) => &[Verb::Delete],
            Route::Restart(_) | Route::AgentDrain(_) => &[Verb::Post, Verb::Delete],
            Route::Deploys => &[Verb::Get, Verb::Post],
            Route::TasksDelete
            | Route::DeploymentResume(_)
            | Route::DeployResume(_)
            | Route::DeployPromote(_)
            | Route::DeployRollBack(_) => &[Verb::Post],
            Route::AppsBelow(_)
            | Route::TasksBelow(_)
            | Route::Versions(_)
            | Route::Version(..)
            | Route::Tasks
            | Route::TaskLogs(_)
            | Route::Events
            | Route::Deployments
            | Route::DeploymentHistory
            | Route::Queue
            | Route::Agents
            | Route::Info
            | Route::Leader
            | Route::Ping
            | Route::Metrics
            | Route::MetricsPrometheus
            | Route::Root => &[Verb::Get],
        }
    }

    /// Its name in metrics: the ids left out, so that there are as many names as routes.
    pub const fn name(&self) -> &'static str {
        match self {
            Route::Apps => "/v2/apps",
            Route::App(_) => "/v2/apps/{id}",
            Route::AppsBelow(_) => "/v2/apps/{group}/*",
            Route::AppTasks(_) => "/v2/apps/{id}/tasks",
            Route::TasksBelow(_) => "/v2/apps/{group}/*/tasks",
            Route::AppTask(..) => "/v2/apps/{id}/tasks/{task}",
            Route::Versions(_) => "/v2/apps/{id}/versions",
            Route::Version(..) => "/v2/apps/{id}/versions/{version}",
            Route::Restart(_) => "/v2/apps/{id}/restart",
            Route::Explain(_) => "/v2/apps/{id}/explain",
            Route::Failures(_) => "/v2/apps/{id}/failures",
            Route::Failure(..) => "/v2/apps/{id}/failures/{task}",
            Route::Tasks => "/v2/tasks",
            Route::TasksDelete => "/v2/tasks/delete",
            Route::TaskLogs(_) => "/v2/tasks/{task}/logs",
            Route::Events => "/v2/events",
            Route::Deployments => "/v2/deployments",
            Route::DeploymentHistory => "/v2/deployments/history",
            Route::Deployment(_) => "/v2/deployments/{id}",
            Route::Deploys => "/v2/deploys",
            Route::Deploy(_) => "/v2/deploys/{id}",
            Route::DeployResume(_) => "/v2/deploys/{id}/resume",
            Route::DeployPromote(_) => "/v2/deploys/{id}/promote",
            Route::DeployRollBack(_) => "/v2/deploys/{id}/rollback",
            Route::DeploymentResume(_) => "/v2/deployments/{id}/resume",
            Route::Queue => "/v2/queue",
            Route::QueueDelay(_) => "/v2/queue/{id}/delay",
            Route::Agents => "/v2/agents",
            Route::Agent(_) => "/v2/agents/{agent}",
            Route::AgentDrain(_) => "/v2/agents/{agent}/drain",
            Route::Brake => "/v2/brake",
            Route::Info => "/v2/info",
            Route::Leader => "/v2/leader",
            Route::Ping => "/ping",
            Route::Metrics => "/metrics",
            Route::MetricsPrometheus => "/metrics/prometheus",
            Route::Root => "/",
        }
    }
}

// === impl Verb ===

impl Verb {
    /// From a request's method; `HEAD` asks as `GET` does.
    pub fn of(method: &Method) -> Option<Verb> {
        match method.as_str() {
            "GET" | "HEAD" => Some(Verb::Get),
            "POST" => Some(Verb::Post),
            "PUT" => Some(Verb::Put),
            "PATCH" => Some(Verb::Patch),
            "DELETE" => Some(Verb::Delete),
            _ => None,
        }
    }

    /// As the header `Allow` lists it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Verb::Get => "GET, HEAD",
            Verb::Post => "POST",
            Verb::Put => "PUT",
            Verb::Patch => "PATCH",
            Verb::Delete => "DELETE",
        }
    }
}

/// Percent-decodes a path; nothing when an escape is broken or the bytes are no UTF-8.
fn decode(path: &str) -> Option<Cow<'_, str>> {
    if !path.contains('%') {
        return Some(Cow::Borrowed(path));
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let [first, tail @ ..] = rest {
        if *first != b'%' {
            bytes.push(*first);
            rest = tail;
            continue;
        }
        let (digits, tail) = tail.split_at_checked(2)?;
        let text = std::str::from_utf8(digits).ok()?;
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        bytes.push(u8::from_str_radix(text, 16).ok()?);
        rest = tail;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> AppId {
        AppId { text: text.to_owned() }
    }

    #[test]
    fn ids_take_doubled_trailing_and_escaped_slashes() {
        for path in ["/v2/apps/a/b", "/v2/apps//a/b", "//v2/apps/a//b/", "/v2/apps/%2Fa%2fb"] {
            assert_eq!(Route::parse(path), Some(Route::App(id("/a/b"))), "{path}");
        }
        for path in ["/v2/apps", "/v2/apps/", "//v2//apps"] {
            assert_eq!(Route::parse(path), Some(Route::Apps), "{path}");
        }
    }

    #[test]
    fn words_after_an_id_name_what_belongs_to_the_app() {
        let cases = [
            ("/v2/apps//a/b/tasks", Route::AppTasks(id("/a/b"))),
            ("/v2/apps/a/tasks/a.instance-1", Route::AppTask(id("/a"), "a.instance-1".into())),
            ("/v2/apps/a/versions", Route::Versions(id("/a"))),
            (
                "/v2/apps/a/versions/2021-01-01T00:00:00.000Z",
                Route::Version(id("/a"), "2021-01-01T00:00:00.000Z".into()),
            ),
            ("/v2/apps/a/restart", Route::Restart(id("/a"))),
            ("/v2/apps/a/explain", Route::Explain(id("/a"))),
            ("/v2/apps/a/b/failures", Route::Failures(id("/a/b"))),
            ("/v2/apps/a/failures/a.instance-1", Route::Failure(id("/a"), "a.instance-1".into())),
            ("/v2/apps/*", Route::AppsBelow(id("/"))),
            ("/v2/apps/g/h/*", Route::AppsBelow(id("/g/h"))),
            ("/v2/apps/g/*/tasks", Route::TasksBelow(id("/g"))),
            ("/v2/queue//a/b/delay", Route::QueueDelay(id("/a/b"))),
            ("/v2/tasks/a.instance-1/logs", Route::TaskLogs("a.instance-1".into())),
            ("/v2/agents/host-1/drain", Route::AgentDrain("host-1".into())),
        ];
        for (path, route) in cases {
            assert_eq!(Route::parse(path), Some(route), "{path}");
        }
    }

    #[test]
    fn an_app_may_be_called_like_a_word() {
        assert_eq!(Route::parse("/v2/apps/tasks"), Some(Route::App(id("/tasks"))));
        assert_eq!(Route::parse("/v2/apps/explain"), Some(Route::App(id("/explain"))));
    }

    #[test]
    fn what_is_no_route_is_none() {
        for path in ["/v2", "/v1/apps", "/v2/eventSubscriptions", "/v2/queue/delay", "/v2/apps/%zz"]
        {
            assert_eq!(Route::parse(path), None, "{path}");
        }
    }
}
