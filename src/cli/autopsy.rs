//! `stayer autopsy`: what became of a task that failed: what led to it, what its checks were answered, what it wrote last.
//! Also for other verbs, which tell what has failed by it.

use clap::Args;
use serde_json::Value;

use crate::cli::client::{Ask, Remote};
use crate::cli::console::Console;
use crate::cli::failure::Failure;
use crate::cli::table::{Table, printable};
use crate::cli::talk::{Talk, app_path, list, number, text};
use crate::model::id::TaskRef;

/// What `stayer autopsy` is told.
#[derive(Debug, Args)]
pub struct AutopsyArgs {
    /// The id of an app: what failed of it, and the newest in full; or of a task: that one
    name: String,
    /// List at most so many of an app
    #[arg(long, env = "STAYER_LIMIT", value_name = "COUNT", default_value_t = 20)]
    limit: u32,
    /// Which server.
    #[command(flatten)]
    remote: Remote,
}

/// So much of the body of an answer is shown on its line.
const BODY: usize = 160;

/// Does it.
///
/// # Errors
/// When there is no such app or failure, or the server does not answer well.
pub async fn run(args: AutopsyArgs, console: &mut Console) -> Result<(), Failure> {
    let mut talk = Talk::begin(&args.remote, console)?;
    if let Ok(task) = TaskRef::parse(&args.name) {
        let answer = talk.send(&one(task.path.as_str(), &args.name)).await?;
        return talk.show(&answer, |body| failure_text(failure_in(body)));
    }
    let ask = failures(&args.name).with("limit", args.limit.to_string());
    let answer = talk.send(&ask).await?;
    if talk.is_json() {
        return talk.body(&answer);
    }
    let body = answer.json()?;
    let Some(newest) = list(&body, "failures").first() else {
        return talk.console.line("nothing of it has failed in the last 24 hours");
    };
    let ask = one(&args.name, &text(newest, "taskId"));
    let full = talk.json(&ask).await?;
    talk.console.line(&list_text(&body))?;
    talk.console.line("")?;
    talk.console.line(&failure_text(failure_in(&full)))
}

/// The newest failure of an app with its evidence; with a deployment, of what failed while that was at work. None when
/// nothing has.
///
/// # Errors
/// When the server does not answer well.
pub async fn newest(
    talk: &mut Talk<'_>,
    app: &str,
    deployment: Option<&str>,
) -> Result<Option<Value>, Failure> {
    let body = talk.json(&failures(app)).await?;
    let is_of = |failure: &&Value| {
        deployment.is_none_or(|id| {
            failure.get("deployment").is_some_and(|during| text(during, "id") == id)
        })
    };
    let Some(found) = list(&body, "failures").iter().find(is_of) else { return Ok(None) };
    let mut full = talk.json(&one(app, &text(found, "taskId"))).await?;
    Ok(full.get_mut("failure").map(Value::take))
}

/// A failure in full, for people.
pub fn failure_text(failure: &Value) -> String {
    let none = Value::Null;
    let evidence = failure.get("evidence").unwrap_or(&none);
    let mut lines = vec![format!(
        "{} failed at {}: {}",
        text(failure, "taskId"),
        text(failure, "timestamp"),
        printable(&text(failure, "message"))
    )];
    let chain = list(failure, "chain").iter().filter_map(Value::as_str).map(printable);
    lines.extend(chain.enumerate().map(|(no, link)| match no {
        0 => format!("  {link}"),
        _ => format!("  → {link}"),
    }));
    if let Some(image) = evidence.get("image") {
        lines.push(image_text(image));
    }
    if text(evidence, "state") == "here" {
        lines.push(String::new());
        lines.extend(probe_lines(evidence));
        for output in ["stdout", "stderr"] {
            lines.extend(output_lines(output, evidence.get(output).unwrap_or(&none)));
        }
    } else {
        lines.push(format!("evidence: {}", printable(&text(evidence, "detail"))));
    }
    lines.join("\n")
}

fn failures(app: &str) -> Ask {
    Ask::get(&format!("{}/failures", app_path(app)))
}

fn one(app: &str, task: &str) -> Ask {
    Ask::get(&format!("{}/failures/{task}", app_path(app)))
}

fn failure_in(body: &Value) -> &Value {
    body.get("failure").unwrap_or(&Value::Null)
}

fn list_text(body: &Value) -> String {
    let shown = list(body, "failures");
    let mut table = Table::new(&["FAILED AT", "TASK", "KIND", "EXIT", "HOST", "WHY"]);
    for failure in shown {
        let row = ["timestamp", "taskId", "kind", "exitCode", "host", "message"];
        table.row(row.map(|key| text(failure, key)).to_vec());
    }
    let left = number(body, "total").saturating_sub(shown.len() as u64);
    match left {
        0 => table.text(),
        left => format!("{}\nand {left} earlier ones: --limit shows more", table.text()),
    }
}

fn image_text(image: &Value) -> String {
    let digest = match (text(image, "digest"), text(image, "id")) {
        (digest, id) if digest.is_empty() => id,
        (digest, _) => digest,
    };
    format!("  image {} {}", printable(&text(image, "name")), printable(&digest))
}

fn probe_lines(evidence: &Value) -> Vec<String> {
    let probes = list(evidence, "probes");
    let since = text(evidence, "askedSince");
    if since.is_empty() {
        return Vec::new();
    }
    if probes.is_empty() {
        return vec![format!("checks: no answer since {since}")];
    }
    let mut lines = vec![format!("checks, the last {} answers:", probes.len())];
    lines.extend(probes.iter().map(|probe| {
        let (at, check) = (text(probe, "at"), text(probe, "check"));
        format!("  {at}  {}: {}", printable(&check), printable(&answer_text(probe)))
    }));
    lines
}

fn answer_text(probe: &Value) -> String {
    let body = text(probe, "body");
    let (error, status, code) =
        (text(probe, "error"), text(probe, "status"), text(probe, "exitCode"));
    let shown: String = body.trim().chars().take(BODY).collect();
    let more =
        if shown.len() < body.trim().len() || text(probe, "cut") == "true" { " …" } else { "" };
    match (error.is_empty(), status.is_empty(), code.is_empty()) {
        (false, _, _) => error,
        (true, false, _) => format!("HTTP {status} {shown}{more}").trim_end().to_owned(),
        (true, true, false) => format!("exit {code}"),
        (true, true, true) => "connected".to_owned(),
    }
}

fn output_lines(name: &str, output: &Value) -> Vec<String> {
    let (written, more) = (list(output, "lines"), text(output, "more") == "true");
    let head = match (written.len(), more) {
        (0, false) => format!("{name}: nothing"),
        (0, true) => format!("{name}: nothing of late"),
        (count, false) => format!("{name}, all {count} lines:"),
        (count, true) => format!("{name}, the last {count} lines:"),
    };
    let unread = text(output, "unread");
    let head = if unread.is_empty() { head } else { format!("{name} could not be read: {unread}") };
    let line = |line: &Value| format!("  {}", printable(line.as_str().unwrap_or_default()));
    std::iter::once(printable(&head)).chain(written.iter().map(line)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_failure_is_told_from_its_first_cause_to_its_last_words() {
        let failure = json!({
            "taskId": "web.instance-1._app.2", "timestamp": "T", "message": "it failed",
            "chain": ["deployment d", "version v", "exit 137"],
            "evidence": {
                "state": "here", "image": {"name": "a:1", "id": "sha256:1", "digest": "sha256:2"},
                "askedSince": "T0",
                "probes": [
                    {"at": "T1", "check": "health /h", "status": 503, "body": "no\u{1b}[2J\n", "cut": false},
                    {"at": "T2", "check": "health /h", "error": "refused"},
                ],
                "stdout": {"lines": ["one", "two"], "more": true},
                "stderr": {"lines": [], "more": false},
            },
        });
        let expected = "\
web.instance-1._app.2 failed at T: it failed
  deployment d
  → version v
  → exit 137
  image a:1 sha256:2

checks, the last 2 answers:
  T1  health /h: HTTP 503 no [2J
  T2  health /h: refused
stdout, the last 2 lines:
  one
  two
stderr: nothing";
        assert_eq!(failure_text(&failure), expected);
    }

    #[test]
    fn evidence_that_cannot_be_had_says_where_it_is() {
        let evidence = json!({"state": "away", "detail": "on agent a2, which is not heard"});
        let failure =
            json!({"taskId": "t", "timestamp": "T", "message": "m", "evidence": evidence});
        let text = failure_text(&failure);
        assert!(text.ends_with("evidence: on agent a2, which is not heard"), "{text}");
    }
}
