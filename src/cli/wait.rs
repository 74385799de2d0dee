//! Waiting for a deployment, and the truth when it is over.
//!
//! A deployment is over when it is no longer listed; that alone does not say that anything runs, since it may have been
//! cancelled. So what runs is asked for afterwards, with the last failure and what an app waits for.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use crate::cli::client::Ask;
use crate::cli::failure::Failure;
use crate::cli::talk::{Talk, app_path, number, text};

/// From the first look to the second, since a small change is over in milliseconds; doubled up to the longest.
pub const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Between two looks.
pub const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// The most apps that progress speaks of.
pub const SHOWN_APPS: usize = 10;

/// Whether and how long to wait.
#[derive(Clone, Debug, Args)]
pub struct WaitArgs {
    /// Return once the change is accepted [default: wait for its deployment]
    #[arg(
        long,
        env = "STAYER_NO_WAIT",
        value_parser = clap::builder::FalseyValueParser::new()
    )]
    pub no_wait: bool,
    /// The longest wait; the deployment goes on after it
    #[arg(long, env = "STAYER_TIMEOUT", value_name = "SECONDS", default_value_t = 300)]
    pub timeout: u64,
}

/// What the apps of a change shall be in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// Running, as many as wanted.
    Run,
    /// Gone.
    Gone,
}

/// An accepted change.
#[derive(Clone, Debug)]
pub struct Accepted {
    /// Its deployment, if it is one.
    pub deployment: Option<String>,
    /// Its version, a time: failures before it are not its own.
    pub since: String,
    /// The apps it concerns.
    pub apps: Vec<String>,
    /// What they shall be in the end.
    pub aim: Aim,
}

/// Where an app stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    id: String,
    wanted: u64,
    running: u64,
    unhealthy: u64,
    failure: Option<String>,
    waits: Option<String>,
}

/// Waits until a change is over, with progress, and says what came of it.
///
/// # Errors
/// When it takes too long, or not everything is as asked.
pub async fn until_over(
    talk: &mut Talk<'_>,
    wait: &WaitArgs,
    accepted: &Accepted,
) -> Result<(), Failure> {
    if let Some(deployment) = &accepted.deployment {
        let longest = Duration::from_secs(wait.timeout);
        let follow = follow(talk, deployment, accepted);
        match tokio::time::timeout(longest, follow).await {
            Ok(over) => over?,
            Err(_) => return Err(timed_out(talk, wait, deployment, accepted).await),
        }
    }
    match accepted.aim {
        Aim::Run => running(talk, accepted).await,
        Aim::Gone => gone(talk, accepted).await,
    }
}

// === impl Standing ===

impl Standing {
    /// Where an app stands by an answer with counts; a failure before `since` does not count.
    pub fn of(app: &Value, since: &str) -> Standing {
        Standing {
            id: text(app, "id"),
            wanted: number(app, "instances"),
            running: number(app, "tasksRunning"),
            unhealthy: number(app, "tasksUnhealthy"),
            failure: app.get("lastTaskFailure").and_then(|failure| failure_text(failure, since)),
            waits: None,
        }
    }

    /// Its last failure.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref()
    }

    /// What it waits for.
    pub fn waits(&self) -> Option<&str> {
        self.waits.as_deref()
    }

    /// As many run as are wanted.
    pub fn is_running(&self) -> bool {
        self.running >= self.wanted
    }

    /// In a line, and a line each for the last failure and what it waits for.
    pub fn text(&self) -> String {
        let Standing { id, wanted, running, unhealthy, failure, waits } = self;
        let sick = if *unhealthy > 0 { format!(", {unhealthy} unhealthy") } else { String::new() };
        let mut lines = vec![format!("{id}: {running} of {wanted} running{sick}")];
        lines.extend(failure.iter().map(|text| format!("last failure: {text}")));
        lines.extend(waits.iter().map(|text| format!("why: {text}")));
        lines.join("\n  ")
    }
}

/// `state on host at time: message (task)`. Times of one form compare as texts.
fn failure_text(failure: &Value, since: &str) -> Option<String> {
    let at = text(failure, "timestamp");
    if at.is_empty() || at.as_str() < since {
        return None;
    }
    let [state, host, message, task] =
        ["state", "host", "message", "taskId"].map(|key| text(failure, key));
    Some(format!("{state} on {host} at {at}: {message} ({task})"))
}

/// Looks until the deployment is not listed any more.
async fn follow(talk: &mut Talk<'_>, deployment: &str, accepted: &Accepted) -> Result<(), Failure> {
    let mut said = String::new();
    let mut pause = FIRST_PAUSE;
    loop {
        let news = match progress(talk, deployment, accepted).await {
            Ok(None) => return Ok(()),
            Ok(Some(news)) => news,
            // A server that starts again goes on with the deployment.
            Err(failure) if failure.may_pass() => format!("{failure}; asking again"),
            Err(failure) => return Err(failure),
        };
        if news != said {
            talk.console.note(&news);
            said = news;
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// What a deployment does now; nothing when it is over.
async fn progress(
    talk: &mut Talk<'_>,
    deployment: &str,
    accepted: &Accepted,
) -> Result<Option<String>, Failure> {
    let all = talk.client.send(&Ask::get("/v2/deployments")).await?.json()?;
    let listed = all.as_array().map_or(&[][..], Vec::as_slice);
    let Some(found) = listed.iter().find(|item| text(item, "id") == deployment) else {
        return Ok(None);
    };
    let mut lines = vec![format!(
        "deployment {deployment}: step {} of {}",
        number(found, "currentStep"),
        number(found, "totalSteps")
    )];
    lines.extend(standings(talk, accepted, SHOWN_APPS).await?.iter().map(Standing::text));
    Ok(Some(lines.join("\n")))
}

/// Where the first apps of a change stand; apps that are gone are left out.
async fn standings(
    talk: &mut Talk<'_>,
    accepted: &Accepted,
    most: usize,
) -> Result<Vec<Standing>, Failure> {
    let mut standings = Vec::new();
    for id in accepted.apps.iter().take(most) {
        match standing(talk, id, &accepted.since).await {
            Ok(standing) => standings.push(standing),
            Err(missing) if missing.is_missing() => {}
            Err(failure) => return Err(failure),
        }
    }
    Ok(standings)
}

async fn standing(talk: &mut Talk<'_>, id: &str, since: &str) -> Result<Standing, Failure> {
    let ask =
        Ask::get(&app_path(id)).with("embed", "app.counts").with("embed", "app.lastTaskFailure");
    let body = talk.client.send(&ask).await?.json()?;
    let standing = Standing::of(body.get("app").unwrap_or(&body), since);
    Ok(if standing.is_running() { standing } else { waits_for(talk, standing).await })
}

/// With what the app waits for. A server that cannot explain is none of ours; then nothing is said.
pub async fn waits_for(talk: &mut Talk<'_>, standing: Standing) -> Standing {
    let explain = Ask::get(&format!("{}/explain", app_path(&standing.id)));
    let explained = talk.client.send(&explain).await.and_then(|answer| answer.json());
    Standing { waits: explained.ok().and_then(|explained| why(&explained)), ..standing }
}

/// What an app waits for. The time that is left changes with each look, the time of its end does not.
fn why(explained: &Value) -> Option<String> {
    if number(explained, "waiting") == 0 {
        return None;
    }
    match text(explained, "delayedUntil") {
        until if !until.is_empty() => {
            Some(format!("delayed until {until}, since earlier ones failed"))
        }
        _ => Some(text(explained, "verdict")).filter(|verdict| !verdict.is_empty()),
    }
}

async fn running(talk: &mut Talk<'_>, accepted: &Accepted) -> Result<(), Failure> {
    let standings = standings(talk, accepted, usize::MAX).await?;
    let all_there = standings.len() == accepted.apps.len();
    let said = standings.iter().map(Standing::text).collect::<Vec<_>>().join("\n");
    if !all_there || !standings.iter().all(Standing::is_running) {
        let what = "the deployment is over and not everything runs as asked";
        return Err(Failure::NotRunning(format!("{what}\n{said}")));
    }
    result(talk, &said)
}

async fn gone(talk: &mut Talk<'_>, accepted: &Accepted) -> Result<(), Failure> {
    for id in &accepted.apps {
        match talk.client.send(&Ask::get(&app_path(id))).await {
            Err(missing) if missing.is_missing() => result(talk, &format!("{id}: removed"))?,
            Err(failure) => return Err(failure),
            Ok(_) => {
                let text = format!("the deployment is over and {id} is still there");
                return Err(Failure::NotRunning(text));
            }
        }
    }
    Ok(())
}

async fn timed_out(
    talk: &mut Talk<'_>,
    wait: &WaitArgs,
    deployment: &str,
    accepted: &Accepted,
) -> Failure {
    let mut lines =
        vec![format!("deployment {deployment} is not over after {} s and goes on", wait.timeout)];
    let standings = standings(talk, accepted, SHOWN_APPS).await.unwrap_or_default();
    lines.extend(standings.iter().map(Standing::text));
    Failure::TimedOut(lines.join("\n"))
}

/// The result in words: for programs standard output holds the server's JSON alone.
fn result(talk: &mut Talk<'_>, text: &str) -> Result<(), Failure> {
    if talk.is_json() {
        talk.console.note(text);
        return Ok(());
    }
    talk.console.line(text)
}
