//! What `stayer server` says when it has started: where it is, and the line that adds a host.

use crate::cli::server::{ServerArgs, Up};
use crate::control::fleet::listen::Door;

/// The banner.
pub fn lines(args: &ServerArgs, up: &Up) -> Vec<String> {
    let mut lines = vec![
        format!("stayer {} answers at http://{}", env!("CARGO_PKG_VERSION"), up.address),
        format!("  state      {}", args.api.store(&args.data_dir)),
        format!("  cluster    {}", up.leader.cluster),
        format!("  agents     dial {}", up.door),
    ];
    lines.extend(warnings(args).into_iter().map(|warning| format!("  warning    {warning}")));
    lines.push(String::new());
    lines.push(format!("Add a host:  stayer agent --server {}", name(&up.door)));
    lines
}

fn warnings(args: &ServerArgs) -> Vec<String> {
    let mut warnings: Vec<String> = args.api.warning().into_iter().collect();
    if !args.agents_listen.is_local() {
        warnings.push(
            "no authentication of agents: whoever reaches their address can be given tasks with all their settings"
                .to_owned(),
        );
    }
    warnings
        .push("tasks on the host's network can reach this API; run only what you trust".to_owned());
    warnings
}

/// As a person on another host would say it.
fn name(door: &Door) -> String {
    match door {
        Door::Tcp(address) if address.ip().is_unspecified() => {
            format!("THIS-HOST:{}", address.port())
        }
        Door::Unix(_) | Door::Tcp(_) => door.to_string(),
    }
}
