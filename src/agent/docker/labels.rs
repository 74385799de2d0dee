//! The marks on our containers: whose they are, and what a later agent process must know to adopt them.
//!
//! The host is the agent's ledger (house.md, invariant 7). What lacks a mark, or carries somebody else's, is not ours.

use std::collections::BTreeMap;

use crate::agent::runtime::{Launch, SandboxId};
use crate::model::have::SpecKey;
use crate::model::id::{APP_TASK, AgentId, AppKey, Incarnation, InstanceId, InstanceKey, Version};
use crate::model::time::Timestamp;

/// The cluster that a container belongs to.
pub const CLUSTER: &str = "stayer.cluster";
/// The agent that made it.
pub const AGENT: &str = "stayer.agent";
const INSTANCE: &str = "stayer.instance";
const INCARNATION: &str = "stayer.incarnation";
const APP_KEY: &str = "stayer.app-key";
const INSTANCE_NO: &str = "stayer.instance-no";
const VERSION: &str = "stayer.version";
const APP: &str = "stayer.app";
const TASK_ID: &str = "MESOS_TASK_ID";

/// Whose containers an agent looks after. Several agents may share one engine; each belongs to one cluster for ever, so
/// that its id says that too, also while it has not met its cluster yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// The agent.
    pub agent: AgentId,
}

/// Which life of which instance a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Its name.
    pub id: SandboxId,
    /// Its instance's key.
    pub key: InstanceKey,
    /// The definition it was made from.
    pub spec_key: SpecKey,
}

/// The labels of a launch's container.
pub fn write(launch: &Launch) -> BTreeMap<String, String> {
    let Launch { id, key, spec_key, spec, cluster, agent, .. } = launch;
    let labels = [
        (CLUSTER, cluster.to_string()),
        (AGENT, agent.to_string()),
        (INSTANCE, id.instance.to_string()),
        (INCARNATION, id.incarnation.to_string()),
        (APP_KEY, key.app.to_string()),
        (INSTANCE_NO, key.no.to_string()),
        (VERSION, spec_key.version.to_string()),
        (APP, spec.path.to_string()),
        (TASK_ID, id.instance.task(&spec.path, APP_TASK, id.incarnation)),
    ];
    labels.map(|(name, value)| (name.to_owned(), value)).into()
}

/// Which life a container is, if its labels say that it is `owner`'s.
pub fn read<'a>(owner: Owner, label: impl Fn(&str) -> Option<&'a str>) -> Option<Identity> {
    if label(AGENT)? != owner.agent.to_string() {
        return None;
    }
    let app = AppKey(label(APP_KEY)?.parse().ok()?);
    Some(Identity {
        id: SandboxId {
            instance: InstanceId(uuid::Uuid::try_parse(label(INSTANCE)?).ok()?),
            incarnation: Incarnation(label(INCARNATION)?.parse().ok()?),
        },
        key: InstanceKey { app, no: label(INSTANCE_NO)?.parse().ok()? },
        spec_key: SpecKey { app, version: Version(Timestamp::parse(label(VERSION)?).ok()?) },
    })
}
