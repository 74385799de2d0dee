//! What an agent says when it has started: what it found on its host, and whom it dials.

use std::path::Path;

use crate::agent::start::Agent;
use crate::model::agent::{AttributeValue, Inventory};
use crate::wire::dial::Address;

/// The banner of `stayer agent`.
pub fn lines(data: &Path, servers: &[Address], agent: &Agent) -> Vec<String> {
    let mut lines = vec![
        format!("stayer {} agent", env!("CARGO_PKG_VERSION")),
        format!("  state      {}", data.display()),
    ];
    lines.extend(host(agent));
    let plain = servers.iter().filter(|server| !server.is_local()).map(|server| {
        format!(
            "the way to {server} is neither encrypted nor authenticated: who answers there decides what runs here"
        )
    });
    let warnings = plain.chain(warnings(agent));
    let names = servers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    lines.extend(warnings.map(|warning| format!("  warning    {warning}")));
    lines.push(String::new());
    lines.push(format!("It dials {names}; Ctrl-C ends the agent, and its tasks go on."));
    lines
}

/// What was found on the host, and what its operator says of it.
pub fn host(agent: &Agent) -> Vec<String> {
    let inventory = &agent.inventory;
    let mut lines = vec![format!("  this host  {}", offers(inventory))];
    if !inventory.attributes.is_empty() {
        let pairs = inventory.attributes.iter();
        let pairs = pairs.map(|(name, value)| format!("{name}:{}", shown(value)));
        lines.push(format!("  attributes {}", pairs.collect::<Vec<_>>().join("; ")));
    }
    if inventory.role != "*" {
        lines.push(format!("  role       {}", inventory.role));
    }
    lines.push(format!("  engine     {}", engine(agent)));
    lines.push(format!("  processes  {}", agent.limits));
    if !inventory.devices.is_empty() {
        let names = inventory.devices.iter().map(|device| device.id.0.to_string());
        lines.push(format!("  devices    {}", names.collect::<Vec<_>>().join(", ")));
    }
    lines
}

fn offers(inventory: &Inventory) -> String {
    let ports = inventory.ports.iter().map(|range| format!("{}-{}", range.first, range.last));
    format!(
        "{}: {} cpus, {} MiB of memory, {} MiB of disk, ports {}",
        inventory.hostname,
        inventory.cpus,
        inventory.mem.as_whole(),
        inventory.disk.as_whole(),
        ports.collect::<Vec<_>>().join(", ")
    )
}

/// As Mesos writes it.
fn shown(value: &AttributeValue) -> String {
    match value {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Scalar(thousandths) => {
            let whole = thousandths.unsigned_abs();
            let sign = if *thousandths < 0 { "-" } else { "" };
            let plain = format!("{sign}{}.{:03}", whole / 1_000, whole % 1_000);
            plain.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        AttributeValue::Ranges(ranges) => {
            let ranges = ranges.iter().map(|(first, last)| format!("{first}-{last}"));
            format!("[{}]", ranges.collect::<Vec<_>>().join(","))
        }
        AttributeValue::Set(items) => {
            format!("{{{}}}", items.iter().map(String::as_str).collect::<Vec<_>>().join(","))
        }
    }
}

fn engine(agent: &Agent) -> String {
    match &agent.engine {
        Ok(facts) => facts.to_string(),
        Err(why) => format!("none, apps with an image wait: {why}"),
    }
}

/// What its operator should think of again.
pub fn warnings(agent: &Agent) -> Vec<String> {
    let mut warnings = Vec::new();
    if agent.inventory.policy.privileged && agent.engine.is_ok() {
        warnings.push(
            "privileged containers are taken; --allow-privileged=false refuses them".to_owned(),
        );
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::inventory::parse_attributes;

    #[test]
    fn attributes_are_shown_as_they_are_written() {
        for text in ["rack-2", "2.5", "-0.25", "7", "[1-3,7-7]", "{a,b}"] {
            let read = parse_attributes(&format!("x:{text}")).expect(text);
            assert_eq!(shown(&read["x"]), text);
        }
    }
}
