//! What a probe asks, and what comes back.

use std::net::IpAddr;

use crate::agent::mind::LaunchPlan;
use crate::agent::runtime::SandboxId;
use crate::model::time::Span;

/// Which check of a definition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CheckNo {
    /// The n-th of its health checks.
    Health(usize),
    /// The n-th of its readiness checks.
    Readiness(usize),
    /// Its plain check.
    Plain,
}

/// Names one probe; an answer to an earlier one is told from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProbeId {
    /// Of which life.
    pub sandbox: SandboxId,
    /// For which of its checks.
    pub check: CheckNo,
    /// Counts the probes of this agent process.
    pub no: u64,
}

/// A question to a task.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Its name.
    pub id: ProbeId,
    /// What is asked.
    pub ask: Ask,
    /// All that it may take.
    pub timeout: Span,
}

/// What is asked.
#[derive(Clone, Debug)]
pub enum Ask {
    /// `GET` of a path.
    Http {
        /// Whom.
        target: Target,
        /// Over TLS, with whatever certificate.
        tls: bool,
        /// Begins with `/`.
        path: String,
        /// What is taken of the body.
        body: Body,
    },
    /// To take a connection.
    Tcp {
        /// Whom.
        target: Target,
    },
    /// To run a command beside the task, where it is and as it is.
    Command {
        /// The task's launch, since a process has no other way to say what surrounds it.
        plan: Box<LaunchPlan>,
        /// The shell text.
        shell: String,
    },
}

/// What is taken of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Body {
    /// At most so many bytes.
    pub bytes: usize,
    /// Whether it is waited for: without it there is no answer. Else the status alone is one, and whatever of the body
    /// comes at once is taken for people.
    pub wanted: bool,
}

/// Where a task listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// At which address.
    pub at: At,
    /// On which port.
    pub port: u16,
}

/// An address of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// The one by which the host is reached from elsewhere.
    Host,
    /// The one that only the host itself reaches.
    Loopback {
        /// That of the newer protocol.
        ipv6: bool,
    },
    /// One of its own.
    Own(IpAddr),
}

/// What came of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// An answer over HTTP.
    Http {
        /// Its status.
        status: u16,
        /// What its body is.
        content_type: String,
        /// The begin of its body, as much as was taken.
        body: String,
    },
    /// The connection was taken.
    Connected,
    /// The command ended with this code.
    Exit(i32),
    /// Nothing of the kind.
    Failed {
        /// Why, for people.
        why: String,
    },
    /// Nothing that says anything of the task: who was to ask could not (house.md, invariant 9).
    Unknown,
}
