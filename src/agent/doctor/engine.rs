//! Whether a container engine answers, and what it cannot do.

use crate::agent::docker::call::Deadlines;
use crate::agent::docker::connect::{self, ConnectError, EngineFacts, Search};
use crate::agent::docker::limits;
use crate::agent::doctor::{Finding, LOOK};

/// Looks for one.
pub(super) async fn look(search: Option<&Search>) -> Vec<Finding> {
    let Some(search) = search else {
        return vec![Finding::fine(
            "engine",
            "none is to be used; apps with an image do not run here",
        )];
    };
    let deadlines = Deadlines { read: LOOK, ..Deadlines::default() };
    // Several calls, each with its deadline, make one look.
    match tokio::time::timeout(LOOK, connect::find(search, deadlines)).await {
        Ok(Ok(connection)) => facts(&connection.facts),
        Ok(Err(error)) => vec![missing(&error)],
        Err(_) => vec![missing(&silent(search))],
    }
}

fn silent(search: &Search) -> ConnectError {
    let sockets = search.sockets().unwrap_or_default().into_iter();
    let there = sockets.filter(|socket| socket.exists()).map(|socket| socket.display().to_string());
    ConnectError::Silent {
        socket: there.collect::<Vec<_>>().join(", "),
        detail: format!("nothing came within {} ms", LOOK.as_millis()),
    }
}

pub(super) fn missing(error: &ConnectError) -> Finding {
    let remedy = match error {
        ConnectError::NoSocket { .. } => {
            "install Docker or Podman and start it; --engine names a socket elsewhere, --no-engine does without"
                .to_owned()
        }
        ConnectError::NoRights { remedy, .. } => remedy.clone(),
        ConnectError::Silent { .. } => {
            "look at the engine itself: `docker version`, `systemctl status docker`; restart it if it hangs".to_owned()
        }
        ConnectError::NotLocal { .. } => {
            "unset DOCKER_HOST, or name a socket of this host with --engine".to_owned()
        }
    };
    Finding::fault("engine", error.to_string(), remedy)
}

pub(super) fn facts(facts: &EngineFacts) -> Vec<Finding> {
    let mut found = vec![Finding::fine("engine", facts.to_string())];
    let mut warn =
        |what: String, remedy: &str| found.push(Finding::warning("engine", what, remedy));
    if facts.live_restore == Some(false) {
        warn(
            "live-restore is off: every container ends when the engine restarts".to_owned(),
            "set \"live-restore\": true in /etc/docker/daemon.json and reload the engine",
        );
    }
    if facts.is_rootless() {
        warn(
            "it runs without root rights: limits of cpu and memory need delegated control groups"
                .to_owned(),
            "delegate cpu and memory to the account: Delegate=yes of its service manager",
        );
    }
    if facts.nofile < limits::NOFILE {
        warn(
            format!("it can give a container {} open files at most", facts.nofile),
            "raise LimitNOFILE= of the engine's service",
        );
    }
    for warning in &facts.warnings {
        warn(format!("it says: {warning}"), "see the engine's documentation of this warning");
    }
    found
}
