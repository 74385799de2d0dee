//! Two connections with one identity: the same agent that came back, or a second process that has its data directory.
//!
//! Nobody is believed who is not asked. The connection that is there is asked who it is: an agent that was cut off or
//! started again does not answer on it, and the new connection takes its place; one that answers is there, and so the new
//! one is another. A directory that was copied makes two agents that would run the same tasks; the second is told so.
//!
//! An agent that is away cannot be asked. Then a newcomer counts as another one where both the name and the boot of its
//! host are others than those that the agent last told: a host that boots keeps its name, and one that is renamed need not
//! boot for that. A copy on the same host, or on one that was given the same name, cannot be told from the agent itself.

use std::time::Duration;

use tokio::sync::mpsc;

use crate::control::fleet::FleetEvent;
use crate::model::agent::Inventory;
use crate::model::id::{AgentId, RunId};
use crate::wire::message::Dismissal;
use crate::wire::reverse::Peer;

/// The longest wait for an answer. Shorter than an agent's patience with its leader, so that a twin of one that hangs is
/// found out by its next attempt at the latest.
const ANSWER: Duration = Duration::from_secs(2);

/// A connection that said who it is.
#[derive(Debug)]
pub struct Newcomer {
    /// The connection.
    pub peer: Peer,
    /// The agent.
    pub agent: AgentId,
    /// The run of its process.
    pub run: RunId,
    /// The name of its host.
    pub hostname: String,
    /// The boot of its host.
    pub boot: String,
    /// Where it dialled from, for people.
    pub from: String,
}

/// The connection with which an agent has its session.
pub struct Held {
    /// Which of its sessions.
    pub number: u64,
    /// The run of its process.
    pub run: RunId,
    /// The connection.
    pub peer: Peer,
    /// Where it dialled from, for people.
    pub from: String,
}

/// Whether a newcomer is on another host than the agent of its identity was.
pub fn is_elsewhere(agent: &Inventory, newcomer: &Newcomer) -> bool {
    is_other_host((&agent.hostname, &agent.boot), (&newcomer.hostname, &newcomer.boot))
}

fn is_other_host(was: (&str, &str), is: (&str, &str)) -> bool {
    was.0 != is.0 && was.1 != is.1
}

/// Turns a newcomer away whose agent is on another host.
pub async fn turn_away(newcomer: Newcomer, hostname: String) {
    tracing::warn!(
        agent = %newcomer.agent,
        agents_host = %hostname,
        host = %newcomer.hostname,
        from = %newcomer.from,
        "the identity of an agent that is away came from another host; it is turned away"
    );
    newcomer.peer.dismiss(&Dismissal::Elsewhere { hostname }).await;
}

/// Finds out which of the two connections of one identity counts.
pub async fn settle(held: Held, newcomer: Newcomer, fleet: mpsc::Sender<FleetEvent>) {
    let hello = tokio::time::timeout(ANSWER, held.peer.hello()).await;
    let is_there = hello.is_ok_and(|hello| hello.is_ok_and(|hello| hello.run == held.run));
    if !is_there {
        let replaces = FleetEvent::Replaces { number: held.number, newcomer };
        // The fleet is gone only when the server ends.
        let _over = fleet.send(replaces).await;
    } else if held.run == newcomer.run {
        // One process that dialled the same server by two names. The second connection is kept for when the first ends.
        newcomer.peer.gone().await;
    } else {
        tracing::warn!(
            agent = %newcomer.agent,
            first = %held.from,
            second = %newcomer.from,
            "two processes have the identity of one agent; the second is turned away"
        );
        newcomer.peer.dismiss(&Dismissal::Twin { from: held.from }).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_another_when_its_name_and_its_boot_are() {
        let was = ("a1", "boot-1");
        for (is, other) in [
            (("a1", "boot-1"), false),
            (("a1", "boot-2"), false),
            (("a2", "boot-1"), false),
            (("a2", "boot-2"), true),
        ] {
            assert_eq!(is_other_host(was, is), other, "{is:?}");
        }
    }
}
