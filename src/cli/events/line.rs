//! One event in one line, for people or for programs.

use serde_json::Value;

use crate::cli::events::frames::Frame;
use crate::cli::talk::{list, text as member};

/// What of an event is shown to people, where it has it.
const MEMBERS: [&str; 17] = [
    "appId",
    "runSpecId",
    "groupId",
    "taskId",
    "instanceId",
    "taskStatus",
    "condition",
    "healthy",
    "alive",
    "host",
    "instances",
    "lost",
    "agents",
    "uri",
    "remoteAddress",
    "message",
    "reason",
];

/// For people: when, id, type, and what matters.
pub fn text(frame: &Frame) -> String {
    let value: Value = serde_json::from_str(&frame.data).unwrap_or_default();
    let id = frame.id.as_deref().unwrap_or("-");
    let mut parts = vec![member(&value, "timestamp"), id.to_owned(), frame.name.clone()];
    parts.extend(plan(&value));
    parts.extend(MEMBERS.iter().map(|name| member(&value, name)));
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

/// For programs: the event's own JSON with its id in front.
pub fn json(frame: &Frame) -> String {
    match (&frame.id, frame.data.strip_prefix('{')) {
        (Some(id), Some(rest)) => {
            let comma = if rest.starts_with('}') { "" } else { "," };
            format!("{{\"eventId\":{}{comma}{rest}", Value::from(id.as_str()))
        }
        (None, _) | (_, None) => frame.data.clone(),
    }
}

/// What is missing.
pub fn gap(frame: &Frame) -> String {
    let value: Value = serde_json::from_str(&frame.data).unwrap_or_default();
    let (last, next) = (member(&value, "lastEventId"), member(&value, "nextEventId"));
    let next = if next.is_empty() { "now".to_owned() } else { next };
    let reason = member(&value, "reason");
    format!("events are missing between {last} and {next}: {reason}; look at the state anew")
}

/// The deployment, its step and the apps of that.
fn plan(value: &Value) -> Option<String> {
    let plan = value.get("plan")?;
    let apps = |step: &Value| {
        let actions = list(step, "actions").iter();
        actions
            .map(|action| format!("{} {}", member(action, "action"), member(action, "app")))
            .collect()
    };
    let actions: Vec<String> = match value.get("currentStep") {
        Some(step) => apps(step),
        None => list(plan, "steps").iter().flat_map(apps).collect(),
    };
    Some(format!("{}  {}", member(plan, "id"), actions.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(id: Option<&str>, data: &str) -> Frame {
        let id = id.map(str::to_owned);
        Frame { id, name: "x".to_owned(), data: data.to_owned() }
    }

    #[test]
    fn a_line_says_when_what_and_where() {
        let data = r#"{"plan":{"id":"d","steps":[]},"currentStep":{"actions":[{"action":"ScaleApplication","app":"/a"}]},"timestamp":"T"}"#;
        assert_eq!(text(&frame(Some("1.0"), data)), "T  1.0  x  d  ScaleApplication /a");
        let data = r#"{"appId":"/a","taskId":"t","taskStatus":"TASK_FAILED","message":"why","timestamp":"T"}"#;
        assert_eq!(text(&frame(None, data)), "T  -  x  /a  t  TASK_FAILED  why");
    }

    #[test]
    fn the_id_stands_in_front_of_what_the_server_said() {
        assert_eq!(json(&frame(Some("1.0"), r#"{"a":1}"#)), r#"{"eventId":"1.0","a":1}"#);
        assert_eq!(json(&frame(Some("1.0"), "{}")), r#"{"eventId":"1.0"}"#);
        assert_eq!(json(&frame(None, r#"{"a":1}"#)), r#"{"a":1}"#);
    }
}
