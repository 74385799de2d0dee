//! The end of a deployment for whoever reads it: in words, as one JSON object, as a JUnit file.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::cli::autopsy;
use crate::cli::deploy::ending::Ending;
use crate::cli::deploy::follow::{Course, Followed};
use crate::cli::deploy::seen::AppSeen;
use crate::cli::failure::Failure;
use crate::cli::wait::Accepted;

/// The end of a deployment.
#[derive(Clone, Debug)]
pub struct Report {
    /// What became of it.
    pub ending: Ending,
    /// What was followed.
    pub course: Course,
    /// The version that it gave to what it changed.
    pub version: String,
    /// The deployment that takes it back.
    pub rollback: Option<String>,
    /// Why, where it did not go well.
    pub cause: Option<String>,
    /// The apps that it is about.
    pub apps: Vec<String>,
    /// Those of them that were seen in the end.
    pub seen: Vec<AppSeen>,
    /// The newest failure while it was at work, with its evidence.
    pub autopsy: Option<Value>,
    /// When it was asked for.
    pub at: String,
    /// How long it took.
    pub seconds: f64,
}

// === impl Report ===

impl Report {
    /// Of a change that was accepted.
    pub fn of(accepted: &Accepted, followed: Followed) -> Report {
        let Followed { course, ending, cause, rollback, apps, autopsy } = followed;
        Report {
            ending,
            course,
            version: accepted.since.clone(),
            rollback,
            cause,
            apps: accepted.apps.clone(),
            seen: apps,
            autopsy,
            at: String::new(),
            seconds: 0.0,
        }
    }

    /// Of a change that was refused.
    pub fn rejected(apps: Vec<String>, status: u16, text: String) -> Report {
        let cause = if text.is_empty() { format!("status {status}") } else { text };
        Report {
            ending: Ending::Rejected,
            course: Course::None,
            version: String::new(),
            rollback: None,
            cause: Some(cause),
            apps,
            seen: Vec::new(),
            autopsy: None,
            at: String::new(),
            seconds: 0.0,
        }
    }

    /// How the verb ends; none when that is well.
    pub fn failure(&self) -> Option<Failure> {
        self.ending.failure(self.text())
    }

    /// In words: what became of it, why, where its apps stand, what can be done.
    pub fn text(&self) -> String {
        let seconds = match self.ending {
            Ending::Done => format!(" after {:.1} s", self.seconds),
            _ => String::new(),
        };
        let named = self.name().map(|name| format!(" ({name})")).unwrap_or_default();
        let mut lines = vec![format!("{}{seconds}{named}", self.ending.words())];
        lines.extend(self.cause.iter().map(|cause| format!("  cause: {cause}")));
        if let Some(rollback) = &self.rollback {
            lines.push(format!("  taken back by deployment {rollback}"));
        }
        let standings = self.seen.iter().flat_map(|app| {
            app.standing.text().lines().map(|line| format!("  {line}")).collect::<Vec<_>>()
        });
        lines.extend(standings);
        let advice = match &self.course {
            Course::Deployment(id) => self.ending.advice(self.rollback.as_ref().unwrap_or(id)),
            Course::Deploy(id) => self.ending.advice_on_deploy(id),
            Course::None => Vec::new(),
        };
        lines.extend(advice.into_iter().map(|line| format!("  {line}")));
        let failure = self.autopsy.as_ref().map(autopsy::failure_text).unwrap_or_default();
        lines.extend(failure.lines().map(|line| format!("  {line}")));
        lines.join("\n")
    }

    /// What was followed, in words.
    fn name(&self) -> Option<String> {
        match &self.course {
            Course::Deployment(id) => Some(format!("deployment {id}")),
            Course::Deploy(id) => Some(format!("deploy {id}")),
            Course::None => None,
        }
    }

    /// As one object.
    pub fn json(&self) -> Value {
        let apps: Vec<Value> = self.seen.iter().map(app_json).collect();
        let mut object = json!({
            "outcome": self.ending.as_str(),
            "exitCode": self.ending.code(),
            "message": self.ending.words(),
            "seconds": (self.seconds * 1_000.0).round() / 1_000.0,
            "apps": apps,
        });
        let more = [
            ("deployment", self.id(|course| matches!(course, Course::Deployment(_)))),
            ("deploy", self.id(|course| matches!(course, Course::Deploy(_)))),
            ("version", Some(self.version.clone()).filter(|version| !version.is_empty())),
            ("rollback", self.rollback.clone()),
            ("cause", self.cause.clone()),
        ];
        for (key, value) in more {
            if let Some(value) = value {
                object[key] = Value::String(value);
            }
        }
        if let Some(autopsy) = &self.autopsy {
            object["autopsy"] = autopsy.clone();
        }
        object
    }

    fn id(&self, is: impl Fn(&Course) -> bool) -> Option<String> {
        match &self.course {
            Course::Deployment(id) | Course::Deploy(id) if is(&self.course) => Some(id.clone()),
            Course::Deployment(_) | Course::Deploy(_) | Course::None => None,
        }
    }

    /// As a JUnit file: the deployment is a case, and each app is one.
    pub fn junit(&self) -> String {
        let failed_apps = self.apps.iter().filter(|id| self.lacks(id).is_some()).count();
        let failed = usize::from(self.ending.code() != 0) + failed_apps;
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n");
        let (tests, at) = (1 + self.apps.len(), escaped(&self.at));
        let time = format!("{:.3}", self.seconds);
        let _ = writeln!(
            out,
            "  <testsuite name=\"stayer deploy\" tests=\"{tests}\" failures=\"{failed}\" errors=\"0\" \
             timestamp=\"{at}\" time=\"{time}\">"
        );
        let name = self.name().unwrap_or_else(|| "deployment".to_owned());
        let wrong = (self.ending.code() != 0).then(|| self.text());
        case(&mut out, &name, &time, self.ending, wrong.as_deref());
        for id in &self.apps {
            case(&mut out, id, &time, self.ending, self.lacks(id).as_deref());
        }
        out.push_str("  </testsuite>\n</testsuites>\n");
        out
    }

    /// What is wrong with an app that was looked at in the end.
    fn lacks(&self, id: &str) -> Option<String> {
        let app = self.seen.iter().find(|app| app.id == id)?;
        (!app.standing.is_running()).then(|| app.standing.text())
    }
}

fn app_json(app: &AppSeen) -> Value {
    let mut object = json!({"id": app.id, "wanted": app.wanted, "ready": app.ready,
        "running": app.standing.is_running()});
    for (key, value) in [("lastFailure", app.standing.failure()), ("waits", app.standing.waits())] {
        if let Some(value) = value {
            object[key] = Value::String(value.to_owned());
        }
    }
    object
}

fn case(out: &mut String, name: &str, time: &str, ending: Ending, wrong: Option<&str>) {
    let name = escaped(name);
    let _ =
        write!(out, "    <testcase classname=\"stayer.deploy\" name=\"{name}\" time=\"{time}\"");
    match wrong {
        None => out.push_str("/>\n"),
        Some(text) => {
            let (kind, first) = (ending.as_str(), escaped(text.lines().next().unwrap_or_default()));
            let _ = writeln!(
                out,
                ">\n      <failure type=\"{kind}\" message=\"{first}\">{}</failure>\n    </testcase>",
                escaped(text)
            );
        }
    }
}

/// A text as XML may hold it: what XML has no way to write becomes a space.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            '\t' => out.push_str("&#9;"),
            '\u{0}'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => out.push(' '),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ending: Ending, running: u64) -> Report {
        let app = json!({"id": "/a", "instances": 2, "tasksRunning": running});
        Report {
            ending,
            course: Course::Deployment("d1".to_owned()),
            version: "v1".to_owned(),
            rollback: (ending == Ending::RolledBack).then(|| "d2".to_owned()),
            cause: Some("<exit 3> & more".to_owned()).filter(|_| ending != Ending::Done),
            apps: vec!["/a".to_owned()],
            seen: vec![AppSeen::of(&app, "")],
            autopsy: None,
            at: "2021-01-01T00:00:00.000Z".to_owned(),
            seconds: 1.25,
        }
    }

    #[test]
    fn success_is_one_line_and_where_its_apps_stand() {
        let text = report(Ending::Done, 2).text();
        assert_eq!(
            text,
            "the deployment is done after 1.2 s (deployment d1)\n  /a: 2 of 2 running"
        );
        let json = report(Ending::Done, 2).json();
        assert_eq!((&json["outcome"], &json["exitCode"]), (&json!("done"), &json!(0)));
        assert!(json.get("cause").is_none() && json.get("rollback").is_none());
    }

    #[test]
    fn a_failure_names_its_cause_and_what_took_it_back() {
        let text = report(Ending::RolledBack, 2).text();
        for part in ["FAILED", "cause: <exit 3> & more", "taken back by deployment d2", "2 of 2"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let json = report(Ending::RolledBack, 2).json();
        assert_eq!((&json["exitCode"], &json["rollback"]), (&json!(3), &json!("d2")));
        let paused = report(Ending::Paused, 1).text();
        assert!(paused.contains("stayer deployment resume d1"), "{paused}");
    }

    #[test]
    fn a_junit_file_has_a_case_for_the_deployment_and_for_each_app() {
        let good = report(Ending::Done, 2).junit();
        assert!(
            good.contains("tests=\"2\" failures=\"0\"") && !good.contains("<failure"),
            "{good}"
        );
        let bad = report(Ending::Failed, 1).junit();
        assert!(bad.contains("tests=\"2\" failures=\"2\""), "{bad}");
        assert!(
            bad.contains("<failure type=\"failed\"") && bad.contains("&lt;exit 3&gt; &amp; more")
        );
        let rejected = Report::rejected(vec!["/a".into()], 422, "no\u{1b}".into()).junit();
        assert!(rejected.contains("failures=\"1\"") && !rejected.contains('\u{1b}'), "{rejected}");
    }
}
