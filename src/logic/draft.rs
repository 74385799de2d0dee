//! One step's changes while they are being made.
//!
//! `put` is the only way a row changes: it feeds world, index, commit and dirty marks at once, so that a forgotten mark
//! is impossible rather than found late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::logic::index::Index;
use crate::model::agent::{Agent, GpuScheduling};
use crate::model::app::{App, AppVersion};
use crate::model::autopsy::Autopsy;
use crate::model::brake::Brake;
use crate::model::deploy::Deploy;
use crate::model::deployment::Deployment;
use crate::model::event::Event;
use crate::model::fact::{Answer, Ticket};
use crate::model::id::{
    AgentKey, AppKey, CommitNo, DeployId, DeploymentId, InstanceKey, time_uuid,
};
use crate::model::instance::Instance;
use crate::model::meta::Meta;
use crate::model::outcome::Outcome;
use crate::model::row::{Key, Row, Write};
use crate::model::table::Table;
use crate::model::time::Timestamp;
use crate::model::view::Verdict;
use crate::model::world::World;
use crate::planted::planted;

/// What must be looked at because something it depends on changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// An agent.
    Agent(AgentKey),
    /// The brake, which follows from all agents. Before every app: what it holds must not have begun.
    Brake,
    /// An app and its instances.
    App(AppKey),
    /// A deployment.
    Deployment(DeploymentId),
    /// A deploy. Behind all that it looks at.
    Deploy(DeployId),
}

/// The subjects that must be looked at, and the agents on which something became free.
#[derive(Clone, Debug, Default)]
pub struct Dirty {
    /// To be decided.
    pub subjects: BTreeSet<Subject>,
    /// Where what waits may fit now.
    pub fresh: BTreeSet<AgentKey>,
}

/// What an installation limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limits {
    /// At most so many deployments at once; none by default (contract 2.1).
    pub max_running_deployments: Option<u32>,
    /// Service ports are given out from this range, both included.
    pub service_ports: ServicePorts,
    /// For whom agents with devices are kept; a row as soon as this leads.
    pub gpu_scheduling: GpuScheduling,
}

/// The range of service ports (SD-1).
#[derive(Clone, Copy, Debug)]
pub struct ServicePorts {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// One step's changes while they are being made.
pub struct Draft<'a> {
    now: Timestamp,
    no: CommitNo,
    limits: Limits,
    attended: &'a mut bool,
    world: &'a mut World,
    index: &'a mut Index,
    dirty: &'a mut Dirty,
    verdicts: &'a mut Table<AppKey, Verdict>,
    writes: BTreeMap<Key, Option<Row>>,
    events: Vec<Event>,
    answers: Vec<(Ticket, Answer)>,
    placements: u32,
}

/// What a finished draft leaves behind.
pub struct Drafted {
    /// Rows by key.
    pub writes: Vec<Write>,
    /// What happened.
    pub events: Vec<Event>,
    /// Who is told.
    pub answers: Vec<(Ticket, Answer)>,
}

// === impl ServicePorts ===

impl Default for ServicePorts {
    fn default() -> Self {
        ServicePorts { first: 10_000, last: 20_000 }
    }
}

// === impl Draft ===

impl<'a> Draft<'a> {
    /// Begins a step.
    pub fn begin(
        now: Timestamp,
        no: CommitNo,
        limits: Limits,
        attended: &'a mut bool,
        world: &'a mut World,
        index: &'a mut Index,
        dirty: &'a mut Dirty,
        verdicts: &'a mut Table<AppKey, Verdict>,
    ) -> Draft<'a> {
        Draft {
            now,
            no,
            limits,
            attended,
            world,
            index,
            dirty,
            verdicts,
            writes: BTreeMap::new(),
            events: Vec::new(),
            answers: Vec::new(),
            placements: 0,
        }
    }

    /// The step's time.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What the installation limits.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Whether anybody balances requests over tasks.
    pub fn is_attended(&self) -> bool {
        *self.attended
    }

    /// Notes whether anybody balances requests over tasks.
    pub fn attend(&mut self, by_anybody: bool) {
        *self.attended = by_anybody;
    }

    /// The world as changed so far.
    pub fn world(&self) -> &World {
        self.world
    }

    /// The index as changed so far.
    pub fn index(&self) -> &Index {
        self.index
    }

    /// What the last attempt to place each waiting app came to.
    pub fn verdicts(&mut self) -> &mut Table<AppKey, Verdict> {
        self.verdicts
    }

    /// How many rows are written so far.
    pub fn written(&self) -> usize {
        self.writes.len()
    }

    /// How many instances were placed so far.
    pub fn placements(&self) -> u32 {
        self.placements
    }

    /// Counts instances placed, against the budget of a step.
    pub fn count_placements(&mut self, count: u32) {
        self.placements += count;
    }

    /// Notes something that happened.
    pub fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    /// Notes an answer to be given when this is durable.
    pub fn answer(&mut self, ticket: Ticket, answer: Answer) {
        self.answers.push((ticket, answer));
    }

    /// The next subject to decide.
    pub fn next_dirty(&mut self) -> Option<Subject> {
        self.dirty.subjects.pop_first()
    }

    /// Looks at a subject later.
    pub fn mark(&mut self, subject: Subject) {
        self.dirty.subjects.insert(subject);
    }

    /// The agents on which something became free since they were last taken.
    pub fn take_fresh(&mut self) -> BTreeSet<AgentKey> {
        std::mem::take(&mut self.dirty.fresh)
    }

    /// A new id; strictly different from every other of this cluster.
    pub fn new_id(&mut self) -> uuid::Uuid {
        self.new_ids(1)[0]
    }

    /// So many new ids.
    pub fn new_ids(&mut self, count: u32) -> Vec<uuid::Uuid> {
        let mut meta = self.meta();
        let first = meta.next_id;
        meta.next_id += u64::from(count);
        let node = meta.cluster.node();
        self.put(Key::Meta, Some(Row::Meta(Arc::new(meta))));
        (first..).take(count as usize).map(|number| time_uuid(self.now, number, node)).collect()
    }

    /// The key of a new app.
    pub fn new_app(&mut self) -> AppKey {
        let mut meta = self.meta();
        let key = meta.next_app;
        meta.next_app = key.next();
        self.put(Key::Meta, Some(Row::Meta(Arc::new(meta))));
        key
    }

    /// The key of a new agent.
    pub fn new_agent(&mut self) -> AgentKey {
        let mut meta = self.meta();
        let key = meta.next_agent;
        meta.next_agent = key.next();
        self.put(Key::Meta, Some(Row::Meta(Arc::new(meta))));
        key
    }

    /// The brake on replacement.
    pub fn brake(&self) -> Brake {
        self.world.meta.as_ref().map(|meta| meta.brake).unwrap_or_default()
    }

    /// Puts the brake on replacement.
    pub fn put_brake(&mut self, brake: Brake) {
        let meta = Meta { brake, ..self.meta() };
        self.put(Key::Meta, Some(Row::Meta(Arc::new(meta))));
    }

    /// Keeps agents with devices as the installation says from now on.
    pub fn keep_gpus(&mut self) {
        let Some(meta) = self.world.meta.clone() else { return };
        let gpu_scheduling = self.limits.gpu_scheduling;
        self.put(Key::Meta, Some(Row::Meta(Arc::new(Meta { gpu_scheduling, ..meta }))));
    }

    fn meta(&self) -> Meta {
        self.world.meta.clone().expect("a brain is loaded with a meta row")
    }

    /// Puts an app.
    pub fn put_app(&mut self, app: App) {
        self.put(Key::App(app.key), Some(Row::App(Arc::new(app))));
    }

    /// Puts a definition of an app.
    pub fn put_version(&mut self, app: AppKey, row: AppVersion) {
        self.put(Key::AppVersion(app, row.version), Some(Row::AppVersion(Arc::new(row))));
    }

    /// Puts an instance, stamped with this commit if it differs from what it was.
    pub fn put_instance(&mut self, mut instance: Instance) {
        let old = self.world.instances.get(&instance.key);
        if let Some(old) = old {
            instance.rev = old.rev;
            if *old == instance {
                return;
            }
        }
        instance.rev = self.no;
        self.put(Key::Instance(instance.key), Some(Row::Instance(Arc::new(instance))));
    }

    /// Puts an agent.
    pub fn put_agent(&mut self, agent: Agent) {
        self.put(Key::Agent(agent.key), Some(Row::Agent(Arc::new(agent))));
    }

    /// Puts a deployment.
    pub fn put_deployment(&mut self, deployment: Deployment) {
        self.put(Key::Deployment(deployment.id), Some(Row::Deployment(Arc::new(deployment))));
    }

    /// Puts an autopsy.
    pub fn put_autopsy(&mut self, autopsy: Autopsy) {
        self.put(Key::Autopsy(autopsy.key), Some(Row::Autopsy(Arc::new(autopsy))));
    }

    /// Puts a deploy.
    pub fn put_deploy(&mut self, deploy: Deploy) {
        self.put(Key::Deploy(deploy.id), Some(Row::Deploy(Arc::new(deploy))));
    }

    /// Keeps what became of a deployment.
    pub fn put_outcome(&mut self, outcome: Outcome) {
        self.put(Key::Outcome(outcome.key()), Some(Row::Outcome(Arc::new(outcome))));
    }

    /// Takes a row out.
    pub fn remove(&mut self, key: Key) {
        self.put(key, None);
    }

    fn put(&mut self, key: Key, row: Option<Row>) {
        let old = self.world.row(&key);
        if old == row {
            return;
        }
        // Definitions that either row names must be there while the index follows: they come before and leave after.
        if row.is_none() {
            self.index.replace(self.world, &key, old.as_ref(), None);
        }
        let write = Write { key, row };
        self.world.apply(&write);
        if write.row.is_some() {
            self.index.replace(self.world, &key, old.as_ref(), write.row.as_ref());
        }
        self.mark_dependants(old.as_ref(), write.row.as_ref());
        self.writes.insert(write.key, write.row);
    }

    fn mark_dependants(&mut self, old: Option<&Row>, new: Option<&Row>) {
        match (old, new) {
            (None, None) => {}
            (old, new) => match old.or(new).expect("one of them is there") {
                Row::Meta(_) | Row::AppVersion(_) | Row::Outcome(_) | Row::Autopsy(_) => {}
                Row::Agent(agent) => {
                    self.mark(Subject::Agent(agent.key));
                    self.mark(Subject::Brake);
                    self.dirty.fresh.insert(agent.key);
                    self.mark_drained(agent.key, old, new);
                }
                Row::App(app) => {
                    self.mark(Subject::App(app.key));
                    self.mark_deploys(app.key);
                    for row in [old, new].into_iter().flatten() {
                        if let Row::App(app) = row
                            && let Some(part) = &app.part
                        {
                            self.mark(Subject::Deployment(part.deployment));
                        }
                    }
                }
                Row::Deployment(deployment) => self.mark_step(deployment.id, old, new),
                Row::Deploy(deploy) => self.mark(Subject::Deploy(deploy.id)),
                Row::Instance(instance) => {
                    self.mark(Subject::App(instance.key.app));
                    self.mark_deploys(instance.key.app);
                    self.mark_freed(old, new);
                }
            },
        }
    }

    /// What becomes of an app concerns the deploys that change it.
    fn mark_deploys(&mut self, app: AppKey) {
        self.dirty.subjects.extend(self.index.deploys.of(app).map(Subject::Deploy));
    }

    /// A drain that begins, ends or gets another deadline concerns every app on the agent.
    fn mark_drained(&mut self, key: AgentKey, old: Option<&Row>, new: Option<&Row>) {
        let drain = |row: Option<&Row>| match row {
            Some(Row::Agent(agent)) => agent.drain,
            Some(_) | None => None,
        };
        if drain(old) != drain(new) {
            let used = self.index.agents.of(key).into_iter().flat_map(|used| &used.instances);
            let apps: Vec<Subject> = used.map(|instance| Subject::App(instance.app)).collect();
            self.dirty.subjects.extend(apps);
        }
    }

    /// A step that begins concerns every app of the deployment, and so does a pause.
    fn mark_step(&mut self, id: DeploymentId, old: Option<&Row>, new: Option<&Row>) {
        self.mark(Subject::Deployment(id));
        if new.is_none() {
            // Where the number of deployments is limited, a deploy may wait for this one's end.
            self.dirty.subjects.extend(self.index.deploys.live().map(Subject::Deploy));
        }
        let place = |row: Option<&Row>| match row {
            Some(Row::Deployment(deployment)) => Some((deployment.step, deployment.is_paused())),
            Some(_) | None => None,
        };
        if place(old) != place(new) {
            let apps: Vec<AppKey> = self.index.plans.apps(id).collect();
            self.dirty.subjects.extend(apps.into_iter().map(Subject::App));
        }
    }

    fn mark_freed(&mut self, old: Option<&Row>, new: Option<&Row>) {
        let place = |row: Option<&Row>| match row {
            Some(Row::Instance(instance)) => instance.place.as_ref().map(|place| place.agent),
            Some(_) | None => None,
        };
        let freed = place(old).filter(|agent| place(new) != Some(*agent));
        if let Some(agent) = planted!("freed-agent-not-marked", freed, None) {
            self.dirty.fresh.insert(agent);
        }
    }

    /// An instance as changed so far.
    pub fn instance(&self, key: InstanceKey) -> Option<&Instance> {
        self.world.instances.get(&key)
    }

    /// Ends the step.
    pub fn finish(self) -> Drafted {
        let writes = self.writes.into_iter().map(|(key, row)| Write { key, row }).collect();
        Drafted { writes, events: self.events, answers: self.answers }
    }
}
