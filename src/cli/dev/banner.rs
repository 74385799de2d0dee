//! What `stayer dev` says when it has started: where it is, what it found, and a line to paste.

use std::net::SocketAddr;

use crate::agent::start::Agent;
use crate::cli::dev::DevArgs;
use crate::model::agent::Inventory;

/// The banner.
pub fn lines(args: &DevArgs, address: SocketAddr, agent: &Agent) -> Vec<String> {
    let mut lines = vec![
        format!("stayer {} answers at http://{address}", env!("CARGO_PKG_VERSION")),
        format!("  state      {}", args.data_dir.display()),
        format!("  this host  {}", host(&agent.inventory)),
        format!("  engine     {}", engine(agent)),
        format!("  processes  {}", agent.limits),
    ];
    if !agent.inventory.devices.is_empty() {
        let names = agent.inventory.devices.iter().map(|device| device.id.0.to_string());
        lines.push(format!("  devices    {}", names.collect::<Vec<_>>().join(", ")));
    }
    lines
        .extend(warnings(args, agent).into_iter().map(|warning| format!("  warning    {warning}")));
    lines.push(String::new());
    lines.push(format!("Try it:  curl -X POST http://{address}/v2/apps -d '{}'", first_app()));
    lines
}

fn first_app() -> &'static str {
    r#"{"id":"hello","cmd":"while true; do echo hello; sleep 1; done","cpus":0.1,"mem":32}"#
}

fn host(inventory: &Inventory) -> String {
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

fn engine(agent: &Agent) -> String {
    match &agent.engine {
        Ok(facts) => facts.to_string(),
        Err(why) => format!("none, apps with an image wait: {why}"),
    }
}

fn warnings(args: &DevArgs, agent: &Agent) -> Vec<String> {
    let mut warnings = Vec::new();
    if args.insecure_no_auth && !args.listen.ip().is_loopback() {
        warnings.push(
            "no authentication: whoever reaches this address can run anything as this user"
                .to_owned(),
        );
    }
    if agent.inventory.policy.privileged && agent.engine.is_ok() {
        warnings.push(
            "privileged containers are taken; --allow-privileged=false refuses them".to_owned(),
        );
    }
    warnings
        .push("tasks on the host's network can reach this API; run only what you trust".to_owned());
    warnings
}
