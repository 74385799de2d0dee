//! What to do about a refusal of the engine, where its own words do not say. Pure.

use crate::agent::docker::connect::EngineFacts;

/// Words of engines, and what helps.
const REMEDIES: [(&[&str], &str); 5] = [
    (
        &["cgroup is not mounted", "as your kernel does not support", "controller is not"],
        "let the service manager delegate cpu and memory to the engine's account (Delegate=yes) and restart it, or \
         leave the limit away",
    ),
    (
        &["cannot expose privileged port"],
        "take a host port from 1024 on, or lower net.ipv4.ip_unprivileged_port_start on the host",
    ),
    (
        &["unable to set memory limit to"],
        "its runtime needs more than that to start anything: raise mem",
    ),
    (
        &["stat nvidia.com/gpu="],
        "its CDI spec does not name this device: write one with nvidia-ctk cdi generate",
    ),
    (
        &["unknown or invalid runtime", "cdi device injection failed", "unresolvable cdi devices"],
        "install what it names and restart the engine",
    ),
];

/// The text of a refusal of the call `what`, with the engine and the remedy where one is known.
pub fn told(message: String, what: &str, facts: &EngineFacts) -> String {
    let lower = message.to_ascii_lowercase();
    let known = REMEDIES.iter().find(|(words, _)| words.iter().any(|it| lower.contains(it)));
    let Some((_, remedy)) = known else { return message };
    let (name, version) = (&facts.engine.name, &facts.engine.version);
    let kind = if facts.is_rootless() { ", rootless" } else { "" };
    format!("{message} (asked to {what}, {name} {version}{kind}; {remedy})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::agent::Engine;

    #[test]
    fn call_engine_and_remedy_are_named_where_one_is_known() {
        let engine = |version: &str| Engine {
            name: "Docker".to_owned(),
            version: version.to_owned(),
            api: "1.52".to_owned(),
        };
        let mut facts = EngineFacts::of(engine("29.0.4"));
        facts.security = vec!["rootless".to_owned()];
        let text = "NanoCPUs can not be set, as your kernel does not support CPU CFS scheduler or the cgroup is not mounted";
        let shown = told(text.to_owned(), "create the container", &facts);
        for part in [text, "create the container", "Docker 29.0.4, rootless", "Delegate=yes"] {
            assert!(shown.contains(part), "{shown}");
        }
        let clear = "no such network";
        assert_eq!(told(clear.to_owned(), "start", &facts), clear);
    }
}
