//! A commit: the only output of the core. Row writes, events and answers, numbered.

use std::sync::Arc;

use crate::model::agent::Agent;
use crate::model::app::{App, AppVersion};
use crate::model::deployment::Deployment;
use crate::model::event::Event;
use crate::model::fact::{Answer, Ticket};
use crate::model::id::{AgentKey, AppKey, CommitNo, DeploymentId, InstanceKey, Version};
use crate::model::instance::Instance;
use crate::model::time::Timestamp;
use crate::model::world::{Meta, World};

/// What one step of the brain decided.
#[derive(Clone, Debug)]
pub struct Commit {
    /// Its number.
    pub no: CommitNo,
    /// When it was decided, in the leader's steady time.
    pub at: Timestamp,
    /// What changes, by key.
    pub writes: Vec<Write>,
    /// What happened.
    pub events: Vec<Event>,
    /// Who is told once this is durable. Not stored.
    pub answers: Vec<(Ticket, Answer)>,
    /// From where the log must be kept, when a sweep has just ended: the position at which it began is the shell's to
    /// know, so the brain only says that the sweep which began at this commit is complete. Not stored.
    pub swept_from: Option<CommitNo>,
    /// The world after it. Not stored.
    pub world: World,
}

/// One row written or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which.
    pub key: Key,
    /// The row, or nothing when it leaves.
    pub row: Option<Row>,
}

/// The key of a row. The order is the order of a sweep.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub enum Key {
    /// The only meta row.
    Meta,
    /// An agent.
    Agent(AgentKey),
    /// A stored definition.
    AppVersion(AppKey, Version),
    /// An app.
    App(AppKey),
    /// A deployment.
    Deployment(DeploymentId),
    /// An instance.
    Instance(InstanceKey),
}

/// A row of any kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// The only meta row.
    Meta(Arc<Meta>),
    /// An agent.
    Agent(Arc<Agent>),
    /// A stored definition.
    AppVersion(Arc<AppVersion>),
    /// An app.
    App(Arc<App>),
    /// A deployment.
    Deployment(Arc<Deployment>),
    /// An instance.
    Instance(Arc<Instance>),
}
