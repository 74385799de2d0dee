//! What `stayer dev` says when it has started: where it is, what it found, and a line to paste.

use std::net::SocketAddr;

use crate::agent::start::Agent;
use crate::cli::agent::banner;
use crate::cli::dev::DevArgs;

/// The banner.
pub fn lines(args: &DevArgs, address: SocketAddr, agent: &Agent) -> Vec<String> {
    let mut lines = vec![
        format!("stayer {} answers at http://{address}", env!("CARGO_PKG_VERSION")),
        format!("  state      {}", args.data_dir.display()),
    ];
    lines.extend(banner::host(agent));
    lines
        .extend(warnings(args, agent).into_iter().map(|warning| format!("  warning    {warning}")));
    lines.push(String::new());
    lines.push(format!("Try it:  curl -X POST http://{address}/v2/apps -d '{}'", first_app()));
    lines
}

fn first_app() -> &'static str {
    r#"{"id":"hello","cmd":"while true; do echo hello; sleep 1; done","cpus":0.1,"mem":32}"#
}

fn warnings(args: &DevArgs, agent: &Agent) -> Vec<String> {
    let mut warnings: Vec<String> = args.api.warning().into_iter().collect();
    warnings.extend(banner::warnings(agent));
    warnings
        .push("tasks on the host's network can reach this API; run only what you trust".to_owned());
    warnings
}
