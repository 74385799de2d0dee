//! What is answered when something is not done: status, body and headers of Marathon's catalogue (contract 2).
//!
//! Members that are ours (`hint`, `location`, `near`) stand behind Marathon's. Which fault a body has is found by who
//! reads it; here it is only put into words.

use std::fmt::{self, Display};

use crate::contract::fault::{self, Fault, Problem, SyntaxFault, Warning};
use crate::contract::show::deployment;
use crate::contract::show::text::{self, Object};
use crate::model::fact::{Refusal, Steer};
use crate::model::id::{DeployId, DeploymentId, TaskRefError, Version};
use crate::model::path::AppPath;

/// After how many seconds a client should come back when nobody leads.
const RETRY_AFTER_SECONDS: u32 = 1;

/// An answer, before a shell makes a response of it. A body that is not empty is JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// Headers beyond the content type.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: String,
}

/// Something that is not there. A resource's own answer lists details, always none; a change's does not (2.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Missing<'a> {
    /// An app that is read.
    App(&'a AppPath),
    /// An app that should change.
    AppToChange(&'a AppPath),
    /// A definition of an app.
    AppVersion(&'a AppPath, Version),
    /// A group that is read.
    Group(&'a AppPath),
    /// An app or group whose instances should be ended.
    Path(&'a AppPath),
    /// A task, by the text that was given.
    Task(&'a str),
    /// A deployment, by the text that was given.
    Deployment(&'a str),
    /// An app that does not wait.
    Queued(&'a AppPath),
    /// A leader.
    Leader,
    /// A plugin, by its id.
    Plugin(&'a str),
}

// === impl Reply ===

impl Reply {
    /// An answer with a JSON body.
    pub fn json(status: u16, body: impl Into<String>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into() }
    }

    /// What a write answers that made a deployment.
    pub fn deployed(status: u16, deployment: DeploymentId, version: Version) -> Reply {
        Reply::json(status, deployment::result(deployment, version)).of_deployment(deployment)
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Reply {
        self.headers.push((name, value.into()));
        self
    }

    /// With the header that names the deployment.
    #[must_use]
    pub fn of_deployment(self, deployment: DeploymentId) -> Reply {
        self.with("Marathon-Deployment-Id", deployment.to_string())
    }

    /// With a header that says what was odd about the request, if anything was.
    #[must_use]
    pub fn warned(self, warnings: &[Warning]) -> Reply {
        if warnings.is_empty() {
            return self;
        }
        let texts: Vec<&str> = warnings.iter().map(|warning| warning.0.as_str()).collect();
        self.with("Warning", format!("299 - {}", quoted(&texts.join("; "))))
    }

    /// `{"message":…}` alone.
    pub fn message(status: u16, message: &str) -> Reply {
        Reply::json(status, text::object_text(|object| object.text("message", message)))
    }

    /// Something is not there.
    pub fn missing(what: &Missing<'_>) -> Reply {
        let body = text::object_text(|object| {
            object.text("message", &what.to_string());
            if what.has_details() {
                object.raw("details", "[]");
            }
        });
        Reply::json(404, body)
    }

    /// No route leads there. The original says 500, which makes clients take the node for broken (2.4).
    pub fn unknown_route() -> Reply {
        Reply::message(404, "URI not found")
    }

    /// A body that is refused.
    pub fn fault(fault: &Fault) -> Reply {
        match fault {
            Fault::Syntax(syntax) => syntax_fault(syntax),
            Fault::Empty => Reply::json(
                400,
                text::object_text(|object| {
                    object.text("message", "Please specify data in JSON format");
                    object.text("details", "No content to map due to end-of-input");
                }),
            ),
            Fault::Type(problems) => problem_list("Invalid JSON", problems),
            Fault::Invalid(problems) => problem_list("Object is not valid", problems),
            Fault::Illegal(message) => Reply::message(422, message),
        }
    }

    /// A change that the core refused.
    pub fn refused(refusal: &Refusal) -> Reply {
        match refusal {
            Refusal::Exists { path } => exists(path),
            Refusal::NoApp { path } => Reply::missing(&Missing::AppToChange(path)),
            Refusal::NoDeployment { deployment } => {
                Reply::missing(&Missing::Deployment(&deployment.to_string()))
            }
            Refusal::NotPaused { deployment } => Reply::message(
                409,
                &format!(
                    "DeploymentPlan {deployment} goes on; only one that is paused can be resumed"
                ),
            ),
            Refusal::NoAgent { agent } => Reply::no_agent(&agent.to_string()),
            Refusal::AgentInUse { hostname, instances } => Reply::message(
                409,
                &format!(
                    "{hostname} is heard and has {instances} instances. Drain it, or stop it, and forget it then."
                ),
            ),
            Refusal::NoDeploy { deploy } => Reply::no_deploy(&deploy.to_string()),
            Refusal::NotNow { deploy, how } => Reply::message(409, &not_now(*deploy, *how)),
            Refusal::Deploying { deploys } => deploying(deploys),
            Refusal::Several { paths } => several(paths),
            Refusal::NotQueued { path } => Reply::missing(&Missing::Queued(path)),
            Refusal::Locked { deployments } => locked(deployments),
            Refusal::TooMany { limit } => Reply::message(403, &too_many(*limit)),
            Refusal::Stale => Reply::message(
                409,
                "The app was changed by somebody else at the same time. Read it and try again.",
            ),
            Refusal::Cycle => problem_list(
                "Object is not valid",
                &[Problem::new("/", "Dependency graph has cyclic dependencies.")],
            ),
            // The caller can ask for less; 500 would make clients take the node for broken (2.1).
            Refusal::NoServicePort => {
                Reply::message(422, "All ports in the range [10000-20000) are already in use")
            }
            Refusal::AmbiguousGpu { member, wanted, devices } => {
                let error = format!("{wanted} means several GPUs: {}", devices.join(", "));
                problem_list("Object is not valid", &[Problem::new(member, error)])
            }
            Refusal::SameAsGroup { .. } => problem_list(
                "Object is not valid",
                &[Problem::new("/", "Groups and Applications may not have the same identifier.")],
            ),
            Refusal::Unavailable { detail } => Reply::unavailable(detail),
        }
    }

    /// No agent has this id or host name.
    pub fn no_agent(name: &str) -> Reply {
        Reply::message(404, &format!("Agent '{name}' does not exist"))
    }

    /// No deploy has this id.
    pub fn no_deploy(id: &str) -> Reply {
        Reply::message(404, &format!("Deploy '{id}' does not exist"))
    }

    /// Not now, perhaps soon.
    pub fn unavailable(detail: &str) -> Reply {
        Reply::message(503, detail).with("Retry-After", RETRY_AFTER_SECONDS.to_string())
    }

    /// `scale` and `wipe` exclude each other.
    pub fn scale_and_wipe() -> Reply {
        Reply::message(400, "You cannot use scale and wipe at the same time.")
    }

    /// A text in the path that is no task id: no such task, or no UUID where one belongs (3.3).
    pub fn no_task_id(text: &str, error: &TaskRefError) -> Reply {
        match error {
            TaskRefError::Shape(_) => Reply::missing(&Missing::Task(text)),
            TaskRefError::Uuid(_) => Reply::message(422, &error.to_string()),
        }
    }

    /// A text in a list of ids that is no task id; it refuses the whole list (3.7).
    pub fn no_task_id_in_list(text: &str, error: &TaskRefError) -> Reply {
        match error {
            TaskRefError::Shape(_) => {
                let reason = format!("{error} (of class java.lang.String)");
                Reply::message(400, &format!("Invalid task id '{text}'. [{reason}]"))
            }
            TaskRefError::Uuid(_) => Reply::message(422, &error.to_string()),
        }
    }

    /// A text in the path that is no time (14.4).
    pub fn no_timestamp(text: &str) -> Reply {
        let message =
            format!("Invalid timestamp provided '{text}'. Expecting ISO-8601 datetime string.");
        Reply::message(422, &message)
    }

    /// What a framework answers by itself: the reason phrase (2.1).
    pub fn reason_phrase(status: u16) -> Reply {
        let phrase = match status {
            400 => "Bad Request",
            401 => "Unauthorized",
            403 => "Forbidden",
            404 => "Not Found",
            405 => "Method Not Allowed",
            406 => "Not Acceptable",
            408 => "Request Timeout",
            413 => "Request Entity Too Large",
            414 => "Request-URI Too Long",
            415 => "Unsupported Media Type",
            429 => "Too Many Requests",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        Reply::message(status, phrase)
    }
}

// === impl Missing ===

impl Missing<'_> {
    const fn has_details(&self) -> bool {
        match self {
            Missing::App(_)
            | Missing::AppVersion(..)
            | Missing::Group(_)
            | Missing::Task(_)
            | Missing::Deployment(_)
            | Missing::Queued(_)
            | Missing::Leader
            | Missing::Plugin(_) => true,
            Missing::AppToChange(_) | Missing::Path(_) => false,
        }
    }
}

impl Display for Missing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Missing::App(path) | Missing::AppToChange(path) => {
                write!(f, "App '{path}' does not exist")
            }
            Missing::AppVersion(path, version) => {
                write!(f, "App '{path}' does not exist in version {version}")
            }
            Missing::Group(path) => write!(f, "Group '{path}' does not exist"),
            Missing::Path(path) => write!(f, "Path '{path}' does not exist"),
            Missing::Task(id) => write!(f, "Task '{id}' does not exist"),
            Missing::Deployment(id) => write!(f, "DeploymentPlan {id} does not exist"),
            Missing::Queued(path) => write!(f, "Application {path} not found in tasks queue."),
            Missing::Leader => write!(f, "There is no leader"),
            Missing::Plugin(id) => write!(f, "No plugin with this pluginId: {id}"),
        }
    }
}

fn syntax_fault(fault: &SyntaxFault) -> Reply {
    let SyntaxFault { details, offset, line, column, near, hint } = fault;
    let body = text::object_text(|object| {
        object.text("message", "Invalid JSON");
        object.text("details", details);
        object.object("location", |location| {
            location.raw("offset", offset);
            location.raw("line", line);
            location.raw("column", column);
        });
        object.text("near", near);
        object.text_if("hint", hint.as_deref());
    });
    Reply::json(400, body)
}

fn problem_list(message: &str, problems: &[Problem]) -> Reply {
    let body = text::object_text(|object| {
        object.text("message", message);
        object.objects("details", fault::grouped(problems), |detail, (path, errors)| {
            detail.text("path", &path);
            detail.texts("errors", errors);
        });
    });
    Reply::json(422, body)
}

fn exists(path: &AppPath) -> Reply {
    let body = text::object_text(|object| {
        object.text("message", &format!("An app with id [{path}] already exists."));
        object.text("hint", &format!("use PUT /v2/apps{path} to change it"));
    });
    Reply::json(409, body)
}

fn locked(deployments: &[DeploymentId]) -> Reply {
    let body = text::object_text(|object| {
        object.text(
            "message",
            "App is locked by one or more deployments. Override with the option '?force=true'. View details at \
             '/v2/deployments/<DEPLOYMENT_ID>'.",
        );
        object.objects("deployments", deployments, |object: &mut Object<'_>, id| {
            object.plain("id", id);
        });
    });
    Reply::json(409, body)
}

fn deploying(deploys: &[DeployId]) -> Reply {
    let body = text::object_text(|object| {
        object.text(
            "message",
            "A deploy of this app is on its way. Override with '?force=true', or look at '/v2/deploys/<ID>'.",
        );
        object.objects("deploys", deploys, |object: &mut Object<'_>, id| {
            object.plain("id", id);
        });
    });
    Reply::json(409, body)
}

fn not_now(deploy: DeployId, how: Steer) -> String {
    let what = match how {
        Steer::Resume => "is not paused",
        Steer::Promote => "is on its way back, at its end, or over",
        Steer::RollBack => "is on its way back already, at its end, or over",
        Steer::End => "is over",
    };
    format!("Deploy '{deploy}' {what}.")
}

fn several(paths: &[AppPath]) -> Reply {
    let body = text::object_text(|object| {
        object.text(
            "message",
            "Several apps are this service, and it is not clear which one serves.",
        );
        object.texts("apps", paths.iter().map(AppPath::as_str));
        object.text(
            "hint",
            "remove all but one; of two, ?force=true gives the younger one the new definition",
        );
    });
    Reply::json(409, body)
}

/// Marathon's words, its missing space included: clients may compare them.
fn too_many(limit: u32) -> String {
    format!(
        "Max number ({limit}) of running deployments is achieved. Wait for existing deployments to complete or cancel \
         oneusing force=true parameter. You can increase max deployment number by using --max_running_deployments \
         parameter but be advised that this can have negative effects on the performance."
    )
}

/// A text as a header may quote it: visible ASCII, quotes and backslashes escaped.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ => out.push('?'),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests;
