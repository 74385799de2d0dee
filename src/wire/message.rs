//! The messages between a leader and an agent.
//!
//! The agent dials, then serves: the leader opens `POST /v1/session` on the connection that the agent dialled, and each
//! direction of that exchange is a stream of frames. Frames are postcard, so fields are added at the end and a new
//! protocol number says so.

use std::ops::RangeInclusive;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::model::agent::Inventory;
use crate::model::have::{Have, SpecKey, Want};
use crate::model::id::{AgentId, ClusterId, Epoch, InstanceId, InstanceKey, RunId, Seq};

/// The protocols that this program speaks.
pub const PROTOCOLS: RangeInclusive<u16> = 1..=1;

/// What an agent says of itself before a session, at `GET /v1/hello`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The protocols it speaks.
    pub protocols: RangeInclusive<u16>,
    /// The cluster it belongs to; none before its first session.
    pub cluster: Option<ClusterId>,
    /// Its identity.
    pub agent: AgentId,
    /// The run of its process.
    pub run: RunId,
    /// The highest epoch it has met.
    pub epoch: Epoch,
    /// The name of its host.
    pub hostname: String,
    /// Changes with every boot of its host.
    pub boot: String,
}

/// What a leader says to open a session. The agent stores the epoch before it answers, and refuses a lower one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Open {
    /// The protocol of the session.
    pub protocol: u16,
    /// The leader's cluster.
    pub cluster: ClusterId,
    /// Under which leadership.
    pub epoch: Epoch,
}

/// Why an agent does not open a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refused {
    /// It has met a newer leader.
    #[error("the agent has met the newer epoch {0}")]
    Epoch(Epoch),
    /// It belongs elsewhere.
    #[error("the agent belongs to cluster {0}")]
    Cluster(ClusterId),
    /// It speaks none of the leader's protocols.
    #[error("the agent speaks protocols {} to {}", .0.start(), .0.end())]
    Protocol(RangeInclusive<u16>),
    /// It cannot store the epoch, or is about to end.
    #[error("the agent cannot open a session: {0}")]
    Unable(String),
}

/// Why a server takes no agent, at `POST /v1/dismissal`; it hangs up after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Dismissal {
    /// Another run with the same identity is connected, and answers when it is asked.
    #[error(
        "another process with the identity of this agent is connected from {from} and answers: was its data directory \
         copied? Two would run the same tasks"
    )]
    Twin {
        /// Where the other one dialled from.
        from: String,
    },
    /// The agent of this identity is on another host, and is away.
    #[error(
        "the agent with this identity is on {hostname}, which is away: was its data directory copied? Two would run the \
         same tasks"
    )]
    Elsewhere {
        /// That host's name.
        hostname: String,
    },
    /// The server leads another cluster than the one that the agent belongs to.
    #[error("the server is cluster {ours} and this agent belongs to another")]
    Cluster {
        /// The server's.
        ours: ClusterId,
    },
    /// It speaks none of the agent's protocols.
    #[error("the server speaks protocols {} to {}; upgrade whichever is older", .ours.start(), .ours.end())]
    Protocol {
        /// The server's.
        ours: RangeInclusive<u16>,
    },
}

/// From leader to agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Down {
    /// A definition, as canonical JSON; sent before the first want that names it.
    Spec(SpecKey, Bytes),
    /// What instances shall be.
    Want(Vec<Want>),
    /// All haves of this session up to this batch are durable.
    Ack(Seq),
    /// Every want of this agent has been sent.
    Synced,
    /// Nothing else to say.
    Beat,
}

/// From agent to leader.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Up {
    /// What the agent offers and allows; first in a session, and again whenever it changes. Numbered from 1 in each
    /// session: an older one that comes late is ignored.
    Inventory(Seq, Box<Inventory>),
    /// What instances are.
    Have(Seq, Vec<Have>),
    /// Wants name definitions that the agent lacks. Many at once: an end that is slow to read ends a connection on which
    /// thousands of tiny frames wait for it.
    NeedSpecs(Vec<SpecKey>),
    /// Every have has been sent; these are all instances of which anything is left.
    Synced(Vec<(InstanceKey, InstanceId)>),
    /// The agent ends; silence follows.
    Leaving(Leaving),
    /// Nothing else to say.
    Beat,
}

/// Why an agent ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Leaving {
    /// It is back in a moment: an upgrade.
    Restart,
    /// Its host goes down.
    Shutdown,
}
