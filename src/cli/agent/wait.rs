//! Waiting until an agent is empty, with what is left and what it waits for.

use std::time::Duration;

use serde_json::Value;

use crate::cli::client::Ask;
use crate::cli::failure::Failure;
use crate::cli::talk::{Talk, list, number, text};

/// From the first look to the second; doubled up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// Between two looks.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Returns when nothing is left on the agent at `path`, or nobody knows it any more.
///
/// # Errors
/// When it takes longer than `timeout` seconds, or the drain is taken back.
pub async fn until_empty(talk: &mut Talk<'_>, path: &str, timeout: u64) -> Result<(), Failure> {
    let follow = follow(talk, path);
    match tokio::time::timeout(Duration::from_secs(timeout), follow).await {
        Ok(over) => over,
        Err(_) => {
            let text = format!("not empty after {timeout} s; the drain goes on");
            Err(Failure::TimedOut(text))
        }
    }
}

async fn follow(talk: &mut Talk<'_>, path: &str) -> Result<(), Failure> {
    let (mut pause, mut said) = (FIRST_PAUSE, String::new());
    loop {
        match talk.client.send(&Ask::get(path)).await {
            Ok(answer) => {
                let agent = answer.json()?;
                if agent.get("drain").is_none() {
                    return Err(Failure::Failed("the drain was taken back".to_owned()));
                }
                let progress = progress(&agent);
                if progress != said {
                    talk.console.note(&progress);
                    said = progress;
                }
                if number(&agent["drain"], "left") == 0 {
                    return talk.show(&answer, |agent| {
                        format!("{} is drained, nothing is on it", text(agent, "hostname"))
                    });
                }
            }
            Err(failure) if failure.is_missing() => {
                return talk.console.line("the agent is gone");
            }
            // A server that restarts goes on with the drain.
            Err(failure) if failure.may_pass() => {}
            Err(failure) => return Err(failure),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// How many are left, and what they wait for.
fn progress(agent: &Value) -> String {
    let drain = &agent["drain"];
    let waits = list(drain, "waitsFor").iter();
    let waits =
        waits.map(|waits| format!("{}: {}", number(waits, "instances"), text(waits, "text")));
    let head = format!("{}: {} left", text(agent, "hostname"), number(drain, "left"));
    std::iter::once(head).chain(waits).collect::<Vec<_>>().join("\n  ")
}
