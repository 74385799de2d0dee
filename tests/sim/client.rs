//! Clients of the API: what they ask by chance, and what they may rely on once they are answered (I1, I17).

use std::collections::{BTreeMap, BTreeSet};

use stayer::model::agent::Agent;
use stayer::model::fact::{
    Announce, Answer, Caller, Change, Expect, Fact, How, KillHow, Put, Refusal, Ticket,
};
use stayer::model::id::{AgentKey, DeploymentId, InstanceKey, Version};
use stayer::model::path::AppPath;
use stayer::model::spec::Spec;
use stayer::model::time::{Span, Timestamp};
use stayer::model::view::View;

use crate::sim::{Event, Sim};
use crate::specs;
use crate::trace;

/// An answer is to come within so long of when the server could give it.
const PATIENCE: Span = Span::millis(1_000);

/// All clients together.
#[derive(Default)]
pub struct Client {
    next: u64,
    /// What was asked and is not answered.
    pub open: BTreeMap<u64, Ask>,
    /// What an app must be since an answer said so.
    pub known: BTreeMap<AppPath, Known>,
    /// Deployments that were said to be over.
    pub cancelled: Vec<DeploymentId>,
    /// Agents whose drain somebody has asked to be taken back.
    pub undrained: BTreeSet<AgentKey>,
    /// When the brake was last asked to be released.
    pub released: Option<Timestamp>,
    /// Lives that were said to end.
    pub killed: Vec<(InstanceKey, stayer::agent::runtime::SandboxId)>,
}

/// Something asked.
pub struct Ask {
    /// What.
    pub change: Change,
    force: bool,
    at: Timestamp,
}

/// What is known of an app by answers.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// No earlier definition counts any more.
    pub version: Version,
    /// It was removed, and nothing later was asked.
    pub removed: bool,
    /// It may have been changed in a way that nobody was told of.
    pub doubtful: bool,
}

// === impl Sim: clients ===

impl Sim {
    /// Somebody asks for something.
    pub fn client_acts(&mut self) {
        if !self.active {
            return;
        }
        let pause = self.rng.between(20, self.plan.pause);
        self.later(pause, Event::ClientActs);
        let Some(up) = &self.server.up else { return };
        let view = up.view.clone();
        // Several at once, on the same view: most of them find that another was faster.
        let burst = if self.rng.chance(100) { self.rng.between(2, 5) } else { 1 };
        for _ in 0..burst {
            if let Some(change) = self.draw_change(&view) {
                let force = self.rng.chance(300);
                self.ask(change, force);
            }
        }
    }

    /// Asks.
    pub fn ask(&mut self, change: Change, force: bool) {
        self.client.next += 1;
        let number = self.client.next;
        self.history.asked(&change);
        match &change {
            Change::Undrain { agent } => {
                self.client.undrained.insert(*agent);
            }
            Change::ReleaseBrake => self.client.released = Some(self.now),
            Change::Put { .. }
            | Change::Remove { .. }
            | Change::Restart { .. }
            | Change::Kill { .. }
            | Change::Cancel { .. }
            | Change::Resume { .. }
            | Change::ResetDelay { .. }
            | Change::Drain { .. }
            | Change::Forget { .. }
            | Change::Deploy(_)
            | Change::Steer { .. } => {}
        }
        for path in touched(&change, self.server.up.as_ref().map(|up| &up.view)) {
            if let Some(known) = self.client.known.get_mut(&path) {
                known.doubtful = true;
            }
        }
        let ask = Ask { change: change.clone(), force, at: self.now };
        self.client.open.insert(number, ask);
        let (ticket, who) = (Ticket::Client(number), Caller::default());
        self.tell_server(Fact::Asked { ticket, who, change, how: How { force, ..How::default() } });
    }

    fn draw_change(&mut self, view: &View) -> Option<Change> {
        let apps: Vec<AppPath> = view.world.live_apps().map(|app| app.path.clone()).collect();
        let instances: Vec<InstanceKey> =
            view.world.instances.iter().map(|(key, _)| *key).collect();
        let deployments: Vec<DeploymentId> =
            view.world.deployments.iter().map(|(id, _)| *id).collect();
        if self.rng.chance(self.plan.operators) {
            return self.draw_operation(view);
        }
        let some = |sim: &mut Sim| (!apps.is_empty()).then(|| sim.rng.pick(&apps).clone());
        match self.rng.below(20) {
            0..=4 => Some(self.draw_new()),
            5..=7 => some(self).and_then(|path| self.draw_scale(view, &path)),
            8..=10 => some(self).and_then(|path| self.draw_config(view, &path)),
            11 => some(self).map(|path| Change::Restart { path }),
            12..=14 if !instances.is_empty() => {
                let first = *self.rng.pick(&instances);
                let second = *self.rng.pick(&instances);
                let how = *self.rng.pick(&[KillHow::Restart, KillHow::Scale, KillHow::Wipe]);
                let instances = if first == second { vec![first] } else { vec![first, second] };
                Some(Change::Kill { instances, how })
            }
            15 | 16 if !deployments.is_empty() => {
                Some(Change::Cancel { deployment: *self.rng.pick(&deployments) })
            }
            17 | 18 => some(self).map(|path| Change::Remove { path }),
            19 => some(self).map(|path| Change::ResetDelay { path }),
            _ => Some(self.draw_new()),
        }
    }

    /// What an operator does to an agent.
    fn draw_operation(&mut self, view: &View) -> Option<Change> {
        let such = |such: fn(&Agent) -> bool| -> Vec<AgentKey> {
            let agents = view.world.agents.iter().filter(|(_, agent)| such(agent));
            agents.map(|(key, _)| *key).collect()
        };
        let all = such(|_| true);
        let draining = such(Agent::is_draining);
        let lost = such(|agent| !agent.is_heard());
        let some = |sim: &mut Sim, of: &[AgentKey]| (!of.is_empty()).then(|| *sim.rng.pick(of));
        let held = view.world.meta.as_ref().is_some_and(|meta| meta.brake.held.is_some());
        if held {
            // Who looks at a cluster that is held mostly lets it go, or empties what he can still reach.
            let heard = such(Agent::is_heard);
            match self.rng.below(10) {
                0..=3 => return Some(Change::ReleaseBrake),
                4..=7 => {
                    let drain = |agent| Change::Drain { agent, deadline: None };
                    return some(self, &heard).map(drain);
                }
                _ => {}
            }
        }
        match self.rng.below(10) {
            0..=3 => some(self, &all).map(|agent| {
                let deadline =
                    self.rng.chance(400).then(|| Span::millis(self.rng.between(0, 12_000)));
                Change::Drain { agent, deadline }
            }),
            4..=6 => some(self, &draining).map(|agent| Change::Undrain { agent }),
            7 => some(self, &all).map(|agent| Change::Forget { agent }),
            8 => some(self, &lost).map(|agent| Change::Forget { agent }),
            _ => (!all.is_empty()).then_some(Change::ReleaseBrake),
        }
    }

    fn draw_new(&mut self) -> Change {
        let count = if self.plan.fat || self.rng.chance(150) { 3.min(self.plan.paths) } else { 1 };
        let paths = specs::paths(self.plan.paths);
        let first = self.rng.index(paths.len());
        let chosen: Vec<AppPath> = paths.iter().cycle().skip(first).take(count).cloned().collect();
        let mut specs: Vec<Spec> = Vec::new();
        for path in chosen {
            let mut spec = specs::spec(path, &self.plan, &mut self.rng);
            self.ask_for_checks(&mut spec);
            if let Some(before) = specs.last().filter(|_| self.rng.chance(400)) {
                spec.dependencies.insert(before.path.clone());
            }
            specs.push(spec);
        }
        let expect = *self.rng.pick(&[Expect::Absent, Expect::None]);
        let apps = specs.into_iter().map(|spec| Put { spec, expect }).collect();
        Change::Put { apps, announce: Announce::Submitted }
    }

    fn draw_scale(&mut self, view: &View, path: &AppPath) -> Option<Change> {
        let (mut spec, version) = current(view, path)?;
        spec.instances = u32::try_from(self.rng.between(0, 6)).expect("small");
        Some(put(spec, version))
    }

    fn draw_config(&mut self, view: &View, path: &AppPath) -> Option<Change> {
        let (mut spec, version) = current(view, path)?;
        if self.rng.chance(200) {
            let instances = spec.instances;
            spec = specs::spec(path.clone(), &self.plan, &mut self.rng);
            self.ask_for_checks(&mut spec);
            spec.instances = if self.rng.chance(500) { instances } else { spec.instances };
        } else {
            spec.containers[0].cmd = Some(format!("sleep {}", self.rng.below(3)));
            if self.rng.chance(300) {
                spec.upgrade = specs::strategy(&mut self.rng);
            }
        }
        Some(put(spec, version))
    }

    /// An answer comes.
    pub fn answered(&mut self, ticket: u64, answer: &Answer) {
        let Some(ask) = self.client.open.remove(&ticket) else {
            return self.fail("I1", format!("{ticket} is answered and nobody asked: {answer:?}"));
        };
        self.history.told(&ask.change);
        let Some(up) = &self.server.up else { return };
        let view = up.view.clone();
        match answer {
            Answer::Deployed { version, .. } => self.accepted(&ask, *version, &view),
            Answer::Killed { instances } => self.killed(instances, &view),
            Answer::Deploying { .. } | Answer::Cancelled | Answer::DelayReset | Answer::Done => {}
            Answer::Refused(Refusal::Locked { deployments }) => {
                if ask.force || deployments.is_empty() {
                    self.fail("I17", format!("locked by {deployments:?}, force {}", ask.force));
                }
            }
            Answer::Refused(Refusal::NoDeployment { deployment }) => {
                self.client.cancelled.push(*deployment);
            }
            Answer::Refused(_) => {}
            Answer::Attached(_) | Answer::Noted => {
                self.fail("I1", format!("a client is answered {answer:?}"));
            }
        }
        if let (Change::Cancel { deployment }, Answer::Cancelled | Answer::Deployed { .. }) =
            (&ask.change, answer)
        {
            self.client.cancelled.push(*deployment);
        }
        self.check_known(&view);
        for path in touched(&ask.change, Some(&view)) {
            self.settle_doubt(&path, &view);
        }
    }

    /// What an accepted change says about its apps.
    fn accepted(&mut self, ask: &Ask, version: Version, view: &View) {
        let (paths, removed) = match &ask.change {
            Change::Put { apps, .. } => {
                (apps.iter().map(|put| put.spec.path.clone()).collect(), false)
            }
            Change::Remove { path } => (vec![path.clone()], true),
            Change::Restart { path } => (vec![path.clone()], false),
            Change::Kill { .. }
            | Change::Cancel { .. }
            | Change::Resume { .. }
            | Change::ResetDelay { .. }
            | Change::Drain { .. }
            | Change::Undrain { .. }
            | Change::Forget { .. }
            | Change::Deploy(_)
            | Change::Steer { .. }
            | Change::ReleaseBrake => return,
        };
        for path in paths {
            let before = self.client.known.get(&path).map(|known| known.version);
            let Some(app) = view.world.any_app(&path) else {
                return self.fail("I1", format!("{path} was accepted and is not there"));
            };
            if !self.is_open(&path) && app.removed.is_some() != removed {
                return self.fail("I1", format!("{path} was answered, and it is {app:?}"));
            }
            // A put that changes nothing gives no new version, and neither does a removal.
            let version =
                if removed { before.unwrap_or_default() } else { app.version.min(version) };
            let known = Known { version, removed, doubtful: true };
            self.client.known.insert(path, known);
        }
    }

    /// Whether anything is asked of an app that may change it.
    fn is_open(&self, path: &AppPath) -> bool {
        let touches = |ask: &Ask| is_wide(&ask.change) || touched(&ask.change, None).contains(path);
        self.client.open.values().any(touches)
    }

    /// An app is certain again when nothing about it is open.
    fn settle_doubt(&mut self, path: &AppPath, view: &View) {
        let open = self.is_open(path);
        let Some(app) = view.world.any_app(path) else { return };
        if let Some(known) = self.client.known.get_mut(path).filter(|_| !open) {
            let version = app.version.max(known.version);
            *known = Known { version, removed: app.removed.is_some(), doubtful: false };
        }
    }

    /// A server has started: what was open has come to what is there, and nothing of it comes later.
    pub fn settle_doubts(&mut self, view: &View) {
        self.check_known(view);
        let paths: Vec<AppPath> = self.client.known.keys().cloned().collect();
        for path in paths {
            self.settle_doubt(&path, view);
        }
    }

    fn killed(&mut self, instances: &[InstanceKey], view: &View) {
        for key in instances {
            let Some(row) = view.world.instances.get(key) else { continue };
            if row.goal == stayer::model::instance::Goal::Run {
                continue;
            }
            let (instance, incarnation) = (row.id, row.incarnation);
            self.client
                .killed
                .push((*key, stayer::agent::runtime::SandboxId { instance, incarnation }));
        }
    }

    /// Whether a view holds what was answered before (I1).
    pub fn check_known(&mut self, view: &View) {
        let mut broken = None;
        for (path, known) in &self.client.known {
            let app = view.world.any_app(path);
            let holds = app.is_some_and(|app| {
                let changed = known.doubtful || app.version > known.version;
                app.version >= known.version && (changed || app.removed.is_some() == known.removed)
            });
            if !holds {
                broken = Some(format!("{path}: {known:?} was answered, and it is {app:?}"));
            }
        }
        let undead =
            self.client.cancelled.iter().find(|id| view.world.deployments.get(id).is_some());
        if let Some(id) = undead {
            broken = Some(format!("{id} was said to be over and runs"));
        }
        if let Some(text) = broken {
            self.fail("I1", text);
        }
    }

    /// The server died: what was not answered never is, and may have come to something.
    pub fn forget_answers(&mut self) {
        let lost = std::mem::take(&mut self.client.open);
        for ask in lost.into_values() {
            self.history.told(&ask.change);
        }
    }

    /// Everybody is answered in time (I17).
    pub fn check_patience(&mut self) {
        let Some(up) = &self.server.up else { return };
        let fine = up.fine_since;
        let late = self.client.open.iter().find(|(_, ask)| self.now > ask.at.max(fine) + PATIENCE);
        if let Some((ticket, ask)) = late {
            let text = format!("{ticket} waits for an answer to {}", brief(&ask.change));
            trace!(self, "{text}");
            self.fail("I17", text);
        }
    }
}

// === impl Client ===

impl Client {
    /// Instances that somebody asks to end and is not answered yet: their end is nobody's decision.
    pub fn asked_to_end(&self) -> BTreeSet<InstanceKey> {
        let kills = self.open.values().filter_map(|ask| match &ask.change {
            Change::Kill { instances, .. } => Some(instances),
            Change::Put { .. }
            | Change::Remove { .. }
            | Change::Restart { .. }
            | Change::Cancel { .. }
            | Change::Resume { .. }
            | Change::ResetDelay { .. }
            | Change::Drain { .. }
            | Change::Undrain { .. }
            | Change::Forget { .. }
            | Change::Deploy(_)
            | Change::Steer { .. }
            | Change::ReleaseBrake => None,
        });
        kills.flatten().copied().collect()
    }
}

fn put(spec: Spec, version: Version) -> Change {
    let apps = vec![Put { spec, expect: Expect::Version(version) }];
    Change::Put { apps, announce: Announce::Stored }
}

fn current(view: &View, path: &AppPath) -> Option<(Spec, Version)> {
    let row = view.world.app(path).and_then(|app| view.world.current(app))?;
    Some((row.spec.clone(), row.version))
}

/// Whether any app may change by it.
fn is_wide(change: &Change) -> bool {
    matches!(change, Change::Kill { .. } | Change::Cancel { .. })
}

/// The apps that a change may change.
fn touched(change: &Change, view: Option<&View>) -> Vec<AppPath> {
    match change {
        Change::Put { apps, .. } => apps.iter().map(|put| put.spec.path.clone()).collect(),
        Change::Remove { path } | Change::Restart { path } | Change::ResetDelay { path } => {
            vec![path.clone()]
        }
        Change::Resume { .. }
        | Change::Drain { .. }
        | Change::Undrain { .. }
        | Change::Forget { .. }
        | Change::Steer { .. }
        | Change::ReleaseBrake => Vec::new(),
        Change::Deploy(proposal) => vec![proposal.put.spec.path.clone()],
        Change::Kill { .. } | Change::Cancel { .. } => view
            .into_iter()
            .flat_map(|view| view.world.apps.iter().map(|(_, app)| app.path.clone()))
            .collect(),
    }
}

/// A change in a few words.
pub fn brief(change: &Change) -> String {
    match change {
        Change::Put { apps, .. } => {
            let one = |put: &Put| {
                format!("{} x{} {:?}", put.spec.path.as_str(), put.spec.instances, put.expect)
            };
            format!("put {}", apps.iter().map(one).collect::<Vec<_>>().join(", "))
        }
        Change::Remove { path } => format!("remove {}", path.as_str()),
        Change::Restart { path } => format!("restart {}", path.as_str()),
        Change::Kill { instances, how } => {
            let keys: Vec<String> =
                instances.iter().map(|key| format!("{}/{}", key.app, key.no)).collect();
            format!("kill {} {how:?}", keys.join(", "))
        }
        Change::Cancel { deployment } => format!("cancel {deployment}"),
        Change::Deploy(proposal) => format!("deploy {}", proposal.put.spec.path.as_str()),
        Change::Steer { deploy, how } => format!("{how:?} {deploy}"),
        Change::Resume { deployment } => format!("resume {deployment}"),
        Change::ResetDelay { path } => format!("reset the delay of {}", path.as_str()),
        Change::Drain { agent, deadline } => format!("drain {agent} {deadline:?}"),
        Change::Undrain { agent } => format!("undrain {agent}"),
        Change::Forget { agent } => format!("forget {agent}"),
        Change::ReleaseBrake => "release the brake".to_owned(),
    }
}
