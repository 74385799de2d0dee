//! One stored thing and its key.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::agent::Agent;
use crate::model::app::{App, AppVersion};
use crate::model::autopsy::{Autopsy, AutopsyKey};
use crate::model::deploy::Deploy;
use crate::model::deployment::Deployment;
use crate::model::id::{AgentKey, AppKey, DeployId, DeploymentId, InstanceKey, Version};
use crate::model::instance::Instance;
use crate::model::meta::Meta;
use crate::model::outcome::{Outcome, OutcomeKey};

/// One row written or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// Which.
    pub key: Key,
    /// The row, or nothing when it leaves.
    pub row: Option<Row>,
}

/// The key of a row. The order is the order of a sweep.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    /// What became of a deployment.
    Outcome(OutcomeKey),
    /// An instance.
    Instance(InstanceKey),
    /// A life that failed.
    Autopsy(AutopsyKey),
    /// A deploy.
    Deploy(DeployId),
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
    /// What became of a deployment.
    Outcome(Arc<Outcome>),
    /// An instance.
    Instance(Arc<Instance>),
    /// A life that failed.
    Autopsy(Arc<Autopsy>),
    /// A deploy.
    Deploy(Arc<Deploy>),
}
