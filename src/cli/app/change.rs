//! One change from asking to its end: ask, show what was accepted, wait for the deployment, say what came of it.

use serde_json::Value;

use crate::cli::app::Changing;
use crate::cli::client::{Answer, Ask};
use crate::cli::failure::Failure;
use crate::cli::talk::{self, Talk};
use crate::cli::wait::{self, Accepted};

pub use crate::cli::wait::Aim;

/// A change.
pub struct Change {
    /// What is asked.
    pub ask: Ask,
    /// The apps it concerns, where the answer does not say.
    pub apps: Vec<String>,
    /// What they shall be in the end.
    pub aim: Aim,
}

/// Makes a change.
///
/// # Errors
/// When the server does not, or it does not come to what was asked.
pub(super) async fn make(
    talk: &mut Talk<'_>,
    change: Change,
    changing: &Changing,
) -> Result<(), Failure> {
    // Said in any case: to remove an app is forced unless a client says otherwise.
    let answer = talk.send(&change.ask.with("force", changing.force.to_string())).await?;
    let body = answer.json()?;
    let accepted = accepted(&answer, &body, change.apps, change.aim);
    if talk.is_json() {
        talk.body(&answer)?;
    } else if changing.wait.no_wait {
        talk.console.line(&accepted_text(&accepted))?;
    }
    if changing.wait.no_wait {
        return Ok(());
    }
    wait::until_over(talk, &changing.wait, &accepted).await
}

/// What an answer says of the change that it accepts.
pub fn accepted(answer: &Answer, body: &Value, apps: Vec<String>, aim: Aim) -> Accepted {
    let header = answer.headers.get("Marathon-Deployment-Id");
    let from_header = header.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let from_body = || {
        let named = body.get("deploymentId").or_else(|| body.get("deployments")?.get(0)?.get("id"));
        named.and_then(Value::as_str).map(str::to_owned)
    };
    let own = body.get("id").and_then(Value::as_str).map(str::to_owned);
    Accepted {
        deployment: from_header.or_else(from_body),
        since: talk::text(body, "version"),
        apps: if apps.is_empty() { own.into_iter().collect() } else { apps },
        aim,
    }
}

fn accepted_text(accepted: &Accepted) -> String {
    let what = accepted.apps.join(", ");
    match &accepted.deployment {
        Some(deployment) => format!("{what}: accepted as deployment {deployment}"),
        None => format!("{what}: accepted, there is nothing to deploy"),
    }
}
