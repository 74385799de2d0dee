//! What is remembered, in memory: the stored rows and nothing else.
//!
//! The two maps from names to keys are derived; `put` keeps them, [`World::check`] verifies them. Everything else that
//! follows from rows lives in the brain's index.

use std::sync::Arc;

use crate::model::agent::{Agent, GpuScheduling};
use crate::model::app::{App, AppVersion};
use crate::model::autopsy::{Autopsy, AutopsyKey};
use crate::model::deploy::Deploy;
use crate::model::deployment::Deployment;
use crate::model::id::{
    AgentId, AgentKey, AppKey, DeployId, DeploymentId, InstanceId, InstanceKey, TaskRef, Version,
};
use crate::model::instance::Instance;
use crate::model::meta::Meta;
use crate::model::outcome::{Outcome, OutcomeKey};
use crate::model::path::AppPath;
use crate::model::row::{Key, Row, Write};
use crate::model::table::{Start, Table};
use crate::model::time::Timestamp;

/// The stored rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Counters and identity; absent in a log that nothing was written to yet.
    pub meta: Option<Meta>,
    /// Agents.
    pub agents: Table<AgentKey, Agent>,
    /// Definitions.
    pub versions: Table<(AppKey, Version), AppVersion>,
    /// Apps, also removed ones.
    pub apps: Table<AppKey, App>,
    /// Running deployments.
    pub deployments: Table<DeploymentId, Deployment>,
    /// What became of the last ones that are over, in the order of their ends.
    pub outcomes: Table<OutcomeKey, Outcome>,
    /// Instances.
    pub instances: Table<InstanceKey, Instance>,
    /// Lives that failed, the newest of each app.
    pub autopsies: Table<AutopsyKey, Autopsy>,
    /// Deploys, also those that are over.
    pub deploys: Table<DeployId, Deploy>,
    /// Derived: apps by path, also removed ones.
    pub paths: Table<AppPath, AppKey>,
    /// Derived: agents by identity.
    pub agent_ids: Table<AgentId, AgentKey>,
}

const FIRST_DEPLOYMENT: DeploymentId = DeploymentId(uuid::Uuid::nil());
const FIRST_DEPLOY: DeployId = DeployId(uuid::Uuid::nil());
const FIRST_OUTCOME: OutcomeKey = (Timestamp::from_millis(i64::MIN), FIRST_DEPLOYMENT);

/// A law of the rows that does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Broken(pub String);

// === impl World ===

impl World {
    /// Puts or removes one row.
    pub fn apply(&mut self, write: &Write) {
        match (&write.key, &write.row) {
            (Key::Meta, Some(Row::Meta(meta))) => self.meta = Some(Meta::clone(meta)),
            (Key::Agent(key), Some(Row::Agent(row))) => {
                self.agent_ids.put(row.id, Arc::new(*key));
                self.agents.put(*key, row.clone());
            }
            (Key::AppVersion(app, version), Some(Row::AppVersion(row))) => {
                self.versions.put((*app, *version), row.clone());
            }
            (Key::App(key), Some(Row::App(row))) => {
                self.paths.put(row.path.clone(), Arc::new(*key));
                self.apps.put(*key, row.clone());
            }
            (Key::Deployment(id), Some(Row::Deployment(row))) => {
                self.deployments.put(*id, row.clone());
            }
            (Key::Outcome(key), Some(Row::Outcome(row))) => {
                self.outcomes.put(*key, row.clone());
            }
            (Key::Instance(key), Some(Row::Instance(row))) => {
                self.instances.put(*key, row.clone());
            }
            (Key::Autopsy(key), Some(Row::Autopsy(row))) => {
                self.autopsies.put(*key, row.clone());
            }
            (Key::Deploy(id), Some(Row::Deploy(row))) => {
                self.deploys.put(*id, row.clone());
            }
            (key, None) => self.remove(key),
            (key, Some(row)) => debug_assert!(false, "row {row:?} under key {key:?}"),
        }
    }

    fn remove(&mut self, key: &Key) {
        match key {
            Key::Meta => self.meta = None,
            Key::Agent(key) => {
                if let Some(row) = self.agents.remove(key) {
                    self.agent_ids.remove(&row.id);
                }
            }
            Key::AppVersion(app, version) => {
                self.versions.remove(&(*app, *version));
            }
            Key::App(key) => {
                if let Some(row) = self.apps.remove(key) {
                    self.paths.remove(&row.path);
                }
            }
            Key::Deployment(id) => {
                self.deployments.remove(id);
            }
            Key::Outcome(key) => {
                self.outcomes.remove(key);
            }
            Key::Instance(key) => {
                self.instances.remove(key);
            }
            Key::Autopsy(key) => {
                self.autopsies.remove(key);
            }
            Key::Deploy(id) => {
                self.deploys.remove(id);
            }
        }
    }

    /// The row under `key`, to keep.
    pub fn row(&self, key: &Key) -> Option<Row> {
        match key {
            Key::Meta => self.meta.clone().map(|meta| Row::Meta(Arc::new(meta))),
            Key::Agent(key) => self.agents.share(key).map(Row::Agent),
            Key::AppVersion(app, version) => {
                self.versions.share(&(*app, *version)).map(Row::AppVersion)
            }
            Key::App(key) => self.apps.share(key).map(Row::App),
            Key::Deployment(id) => self.deployments.share(id).map(Row::Deployment),
            Key::Outcome(key) => self.outcomes.share(key).map(Row::Outcome),
            Key::Instance(key) => self.instances.share(key).map(Row::Instance),
            Key::Autopsy(key) => self.autopsies.share(key).map(Row::Autopsy),
            Key::Deploy(id) => self.deploys.share(id).map(Row::Deploy),
        }
    }

    /// The app of this path, unless it is removed.
    pub fn app(&self, path: &AppPath) -> Option<&App> {
        self.any_app(path).filter(|app| app.removed.is_none())
    }

    /// The app of this path, removed or not.
    pub fn any_app(&self, path: &AppPath) -> Option<&App> {
        self.paths.get(path).and_then(|key| self.apps.get(key))
    }

    /// All apps that are not removed, in the order of their keys.
    pub fn live_apps(&self) -> impl Iterator<Item = &App> {
        self.apps.iter().map(|(_, app)| app).filter(|app| app.removed.is_none())
    }

    /// For whom agents with devices are kept.
    pub fn gpu_scheduling(&self) -> GpuScheduling {
        self.meta.as_ref().map(|meta| meta.gpu_scheduling).unwrap_or_default()
    }

    /// The definition that counts for `app`.
    pub fn current(&self, app: &App) -> Option<&AppVersion> {
        self.versions.get(&(app.key, app.version))
    }

    /// The instances of an app, in the order of their numbers.
    pub fn instances_of(&self, app: AppKey) -> impl Iterator<Item = &Instance> {
        let first = InstanceKey { app, no: 0 };
        let last = InstanceKey { app, no: u32::MAX };
        self.instances.range(first..=last).map(|(_, instance)| instance)
    }

    /// The lives of an app that failed, in the order of their numbers: the newest is the last.
    pub fn autopsies_of(&self, app: AppKey) -> impl DoubleEndedIterator<Item = &Autopsy> {
        let (first, last) = (AutopsyKey { app, no: 0 }, AutopsyKey { app, no: u32::MAX });
        self.autopsies.range(first..=last).map(|(_, autopsy)| autopsy)
    }

    /// The instance that a task id means. Costs what its app has.
    pub fn find_task(&self, task: &TaskRef) -> Option<&Instance> {
        let app = self.any_app(&task.path)?;
        self.instance_by_id(app.key, task.instance)
    }

    /// An instance of `app` by its id outside. Costs what the app has.
    pub fn instance_by_id(&self, app: AppKey, id: InstanceId) -> Option<&Instance> {
        self.instances_of(app).find(|instance| instance.id == id)
    }

    /// Every row, in the order of keys.
    pub fn rows(&self) -> impl Iterator<Item = (Key, Row)> + '_ {
        self.rows_after(None)
    }

    /// The rows behind a key, in the order of keys. Costs what is taken.
    pub fn rows_after(&self, after: Option<Key>) -> impl Iterator<Item = (Key, Row)> + '_ {
        let agents = start(after, Key::Agent(AgentKey(0)), |key| match key {
            Key::Agent(key) => Some(key),
            _ => None,
        });
        let versions =
            start(after, Key::AppVersion(AppKey(0), Version::default()), |key| match key {
                Key::AppVersion(app, version) => Some((app, version)),
                _ => None,
            });
        let apps = start(after, Key::App(AppKey(0)), |key| match key {
            Key::App(key) => Some(key),
            _ => None,
        });
        let deployments = start(after, Key::Deployment(FIRST_DEPLOYMENT), |key| match key {
            Key::Deployment(id) => Some(id),
            _ => None,
        });
        let outcomes = start(after, Key::Outcome(FIRST_OUTCOME), |key| match key {
            Key::Outcome(key) => Some(key),
            _ => None,
        });
        let instances = start(after, Key::Instance(InstanceKey::default()), |key| match key {
            Key::Instance(key) => Some(key),
            _ => None,
        });
        let autopsies = start(after, Key::Autopsy(AutopsyKey::default()), |key| match key {
            Key::Autopsy(key) => Some(key),
            _ => None,
        });
        let deploys = start(after, Key::Deploy(FIRST_DEPLOY), |key| match key {
            Key::Deploy(id) => Some(id),
            _ => None,
        });
        let meta = self.meta.iter().filter(move |_| after.is_none());
        let meta = meta.map(|meta| (Key::Meta, Row::Meta(Arc::new(meta.clone()))));
        let agents = self
            .agents
            .shared_from(agents)
            .map(|(key, row)| (Key::Agent(*key), Row::Agent(row.clone())));
        let versions = self.versions.shared_from(versions).map(|((app, version), row)| {
            (Key::AppVersion(*app, *version), Row::AppVersion(row.clone()))
        });
        let apps =
            self.apps.shared_from(apps).map(|(key, row)| (Key::App(*key), Row::App(row.clone())));
        let deployments = self
            .deployments
            .shared_from(deployments)
            .map(|(id, row)| (Key::Deployment(*id), Row::Deployment(row.clone())));
        let outcomes = self
            .outcomes
            .shared_from(outcomes)
            .map(|(key, row)| (Key::Outcome(*key), Row::Outcome(row.clone())));
        let instances = self
            .instances
            .shared_from(instances)
            .map(|(key, row)| (Key::Instance(*key), Row::Instance(row.clone())));
        let autopsies = self
            .autopsies
            .shared_from(autopsies)
            .map(|(key, row)| (Key::Autopsy(*key), Row::Autopsy(row.clone())));
        let deploys = self
            .deploys
            .shared_from(deploys)
            .map(|(id, row)| (Key::Deploy(*id), Row::Deploy(row.clone())));
        let users = meta.chain(agents).chain(versions).chain(apps);
        let plans = deployments.chain(outcomes);
        users.chain(plans).chain(instances).chain(autopsies).chain(deploys)
    }

    /// Whether the derived maps follow from the rows and references point at rows.
    ///
    /// # Errors
    /// Every law that does not hold, in words.
    pub fn check(&self) -> Result<(), Vec<Broken>> {
        let mut broken = Vec::new();
        let mut law = |holds: bool, text: String| {
            if !holds {
                broken.push(Broken(text));
            }
        };
        law(self.paths.len() == self.apps.len(), "a path for each app".to_owned());
        law(self.agent_ids.len() == self.agents.len(), "an identity for each agent".to_owned());
        for (key, app) in self.apps.iter() {
            law(self.paths.get(&app.path) == Some(key), format!("{} leads to its app", app.path));
            law(self.current(app).is_some(), format!("{} has its definition", app.path));
            for prior in &app.priors {
                law(
                    self.versions.get(&(*key, *prior)).is_some(),
                    format!("{} has {prior}", app.path),
                );
                law(
                    *prior < app.version,
                    format!("{}: {prior} is older than the current", app.path),
                );
            }
            if let Some(part) = &app.part {
                law(
                    self.deployments.get(&part.deployment).is_some(),
                    format!("{}: its deployment {} runs", app.path, part.deployment),
                );
            }
        }
        for (key, instance) in self.instances.iter() {
            let name = instance.id;
            law(self.apps.get(&key.app).is_some(), format!("{name} has its app"));
            law(
                self.versions.get(&(key.app, instance.version)).is_some(),
                format!("{name} has its definition {}", instance.version),
            );
            law(
                instance.place.is_none() || instance.incarnation.0 >= 1,
                format!("{name} is placed and lives"),
            );
            law(
                !instance.is_live() || instance.place.is_some(),
                format!("{name} lives and is placed"),
            );
            if let Some(place) = &instance.place {
                law(self.agents.get(&place.agent).is_some(), format!("{name} has its agent"));
            }
        }
        for (key, autopsy) in self.autopsies.iter() {
            let name = format!("autopsy {}/{}", key.app, key.no);
            law(autopsy.key == *key, format!("{name} knows its key"));
            law(self.apps.get(&key.app).is_some(), format!("{name} has its app"));
        }
        for (id, deploy) in self.deploys.iter() {
            let grows = deploy.counts.is_sorted_by(|less, more| less < more);
            let within = deploy.counts.last().is_some_and(|last| *last <= deploy.target);
            law(grows && within, format!("deploy {id}: its steps grow up to its target"));
        }
        if broken.is_empty() { Ok(()) } else { Err(broken) }
    }
}

/// Where a table begins behind a key of any table: `first` is its least key, `own` gives a key as the table knows it.
fn start<K>(after: Option<Key>, first: Key, own: impl Fn(Key) -> Option<K>) -> Start<K> {
    match after {
        None => Start::All,
        Some(key) => match own(key) {
            Some(key) => Start::After(key),
            None if key < first => Start::All,
            None => Start::Nothing,
        },
    }
}
