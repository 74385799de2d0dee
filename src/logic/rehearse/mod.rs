//! What a change would come to: the real brain on a copy of the world, with agents that do what they are told (U7).
//!
//! Nothing is predicted by a second set of rules: the change goes through the one door, the rollout decides, the
//! placement places. Only the agents are played ([`agents`]): what is launched runs and serves, what is asked to end
//! ends. What a real change may meet beyond that is said beside it ([`doubt`]). Neither the durable world nor any agent
//! learns of it.

pub mod agents;
pub mod doubt;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use crate::logic::brain::Brain;
use crate::logic::draft::Limits;
use crate::logic::index::Index;
use crate::logic::place::account::Explanation;
use crate::logic::place::explain::explain_with;
use crate::logic::rehearse::doubt::Doubt;
use crate::model::app::AppVersion;
use crate::model::deployment::Deployment;
use crate::model::event::{Event, PlanAction};
use crate::model::fact::{Answer, Caller, Change, Fact, How, Refusal, Ticket};
use crate::model::id::{AgentKey, AppKey, DeploymentId, InstanceKey, Version};
use crate::model::instance::Instance;
use crate::model::path::AppPath;
use crate::model::time::{Span, Timestamp};
use crate::model::view::View;
use crate::model::world::World;

/// How often agents act before a rehearsal is broken off: a rollout one by one of more than this is told by its begin.
const MAX_ROUNDS: u32 = 512;
/// How many timers may pass in a row without anything that agents could do.
const MAX_IDLE: u32 = 10;

/// What a change would come to.
#[derive(Clone, Debug)]
pub struct Rehearsal {
    /// The version that what changes would get.
    pub version: Version,
    /// What would be done in which step; no step when there is nothing to do.
    pub steps: Vec<Vec<(PlanAction, AppPath)>>,
    /// Running deployments that would be cancelled for it.
    pub cancels: Vec<DeploymentId>,
    /// What would become of each app, in the order of paths.
    pub courses: Vec<Course>,
    /// Whether it was followed to its end.
    pub complete: bool,
    /// The world at that end.
    pub world: World,
    /// The time at that end.
    pub at: Timestamp,
}

/// What would become of an app.
#[derive(Clone, Debug)]
pub struct Course {
    /// The app.
    pub path: AppPath,
    /// Its definition before, if it had one.
    pub before: Option<Arc<AppVersion>>,
    /// Its definition after, if it has one.
    pub after: Option<Arc<AppVersion>>,
    /// What the plan does to it; nothing when nothing of it would have to run otherwise.
    pub action: Option<PlanAction>,
    /// How many serve before.
    pub served: u32,
    /// The fewest that serve at any time.
    pub lowest: u32,
    /// How many go on as they are.
    pub kept: u32,
    /// How many end.
    pub ended: u32,
    /// Where how many start.
    pub starts: BTreeMap<AgentKey, u32>,
    /// How many wait at the end, for want of a place or of time.
    pub waiting: u32,
    /// Why they wait.
    pub explanation: Option<Explanation>,
    /// What may go otherwise than wished.
    pub doubts: Vec<Doubt>,
}

/// A change being played.
struct Play {
    brain: Brain,
    now: Timestamp,
    facts: VecDeque<Fact>,
    events: Vec<Event>,
    answer: Option<Answer>,
    apps: Vec<AppKey>,
    lowest: BTreeMap<AppKey, u32>,
}

/// Plays a change on what a view shows.
///
/// # Errors
/// The reason why it would not be made.
pub fn rehearse(
    view: &View,
    limits: Limits,
    who: &Caller,
    change: Change,
    how: How,
    now: Timestamp,
) -> Result<Rehearsal, Refusal> {
    let named = paths(&change);
    let mut play = Play::begin(view, limits, now);
    let ticket = Ticket::Client(0);
    play.facts.push_back(Fact::Asked { ticket, who: who.clone(), change, how });
    play.step();
    let (id, version) = match play.answer.take() {
        Some(Answer::Deployed { deployment, version, created: _ }) => (deployment, version),
        Some(Answer::Refused(refusal)) => return Err(refusal),
        // No other change is asked of a rehearsal, and each is answered by the step that takes it.
        Some(_) | None => return Err(Refusal::Stale),
    };
    play.watch(&named, id);
    let complete = play.run(id);
    let steps = play.steps(id);
    let cancels = play.cancels(id);
    let world = play.brain.world().clone();
    let mut rehearsal =
        Rehearsal { version, steps, cancels, courses: Vec::new(), complete, world, at: play.now };
    rehearsal.courses = courses(&view.world, &rehearsal, &play);
    Ok(rehearsal)
}

/// The apps that a change names.
fn paths(change: &Change) -> Vec<AppPath> {
    match change {
        Change::Put { apps, announce: _ } => apps.iter().map(|put| put.spec.path.clone()).collect(),
        Change::Remove { path } | Change::Restart { path } | Change::ResetDelay { path } => {
            vec![path.clone()]
        }
        Change::Kill { .. }
        | Change::Cancel { .. }
        | Change::Resume { .. }
        | Change::Deploy(_)
        | Change::Steer { .. }
        | Change::Drain { .. }
        | Change::Undrain { .. }
        | Change::Forget { .. }
        | Change::ReleaseBrake => Vec::new(),
    }
}

// === impl Play ===

impl Play {
    fn begin(view: &View, limits: Limits, now: Timestamp) -> Play {
        Play {
            brain: Brain::load(view.world.clone(), view.epoch, view.no, view.at, limits),
            now,
            facts: VecDeque::new(),
            events: Vec::new(),
            answer: None,
            apps: Vec::new(),
            lowest: BTreeMap::new(),
        }
    }

    /// The apps that are followed: those that are named, and those that the deployment changes.
    fn watch(&mut self, named: &[AppPath], id: DeploymentId) {
        let world = self.brain.world();
        let named = named.iter().filter_map(|path| world.paths.get(path)).copied();
        let touched = world
            .apps
            .iter()
            .filter(|(_, app)| app.part.as_ref().is_some_and(|part| part.deployment == id));
        let all: BTreeSet<AppKey> = named.chain(touched.map(|(key, _)| *key)).collect();
        self.apps = all.into_iter().collect();
        self.note_serving();
    }

    /// Until nothing is left to do; whether that came.
    fn run(&mut self, id: DeploymentId) -> bool {
        let mut idle = 0;
        for _ in 0..MAX_ROUNDS {
            while self.step() {}
            let haves = agents::act(self.brain.world(), &self.apps, self.now);
            if !haves.is_empty() {
                self.facts.extend(haves);
                idle = 0;
                continue;
            }
            if self.is_over() {
                return true;
            }
            match self.brain.next_wake() {
                Some(wake) if idle < MAX_IDLE && !self.is_late(id, wake) => {
                    self.now = self.now.max(wake) + Span::millis(1);
                    idle += 1;
                }
                // What waits now waits for more than time.
                Some(_) | None => return true,
            }
        }
        false
    }

    /// One step of the brain; whether there was anything to do.
    fn step(&mut self) -> bool {
        let Some(commit) = self.brain.step(self.now, &mut self.facts) else { return false };
        self.brain.durable(commit.no);
        self.events.extend(commit.events);
        let to_client = |(ticket, _): &(Ticket, Answer)| matches!(ticket, Ticket::Client(_));
        if let Some((_, answer)) = commit.answers.into_iter().find(to_client) {
            self.answer = Some(answer);
        }
        self.note_serving();
        true
    }

    fn note_serving(&mut self) {
        let world = self.brain.world();
        for key in &self.apps {
            let serving = serving(world, *key);
            let lowest = self.lowest.entry(*key).or_insert(serving);
            *lowest = serving.min(*lowest);
        }
    }

    /// Whether no app has anything left to become.
    fn is_over(&self) -> bool {
        let world = self.brain.world();
        self.apps.iter().all(|key| {
            let moves = world.instances_of(*key).any(|one| one.is_scheduled() || one.is_leaving());
            !moves && world.apps.get(key).is_none_or(|app| app.part.is_none())
        })
    }

    /// Whether the deployment would count as late by then: what follows that is no part of what was asked.
    fn is_late(&self, id: DeploymentId, at: Timestamp) -> bool {
        let due = self.brain.world().deployments.get(&id).and_then(Deployment::due);
        due.is_some_and(|due| at >= due)
    }

    fn steps(&self, id: DeploymentId) -> Vec<Vec<(PlanAction, AppPath)>> {
        let plan = self.events.iter().find_map(|event| {
            let Event::StepBegan(step) = event else { return None };
            (step.plan.id == id).then_some(&step.plan)
        });
        plan.map(|plan| plan.steps.clone()).unwrap_or_default()
    }

    fn cancels(&self, id: DeploymentId) -> Vec<DeploymentId> {
        let cancelled = |event: &Event| {
            let Event::DeploymentFailed { plan, reason: _ } = event else { return None };
            (plan.id != id).then_some(plan.id)
        };
        self.events.iter().filter_map(cancelled).collect()
    }
}

/// How many instances of an app serve.
fn serving(world: &World, app: AppKey) -> u32 {
    count(world.instances_of(app).filter(|one| one.is_healthy()).count())
}

fn courses(before: &World, rehearsal: &Rehearsal, play: &Play) -> Vec<Course> {
    let world = &rehearsal.world;
    let index = Index::build(world);
    let mut courses: Vec<Course> = Vec::with_capacity(play.apps.len());
    for key in &play.apps {
        let Some(app) = world.apps.get(key) else { continue };
        let mut course = course(before, rehearsal, *key, &app.path);
        course.lowest = play.lowest.get(key).copied().unwrap_or(0).min(course.served);
        if course.waiting > 0 {
            course.explanation = Some(explain_with(world, &index, app, rehearsal.at));
        }
        course.doubts = doubt::doubts(&course, before, rehearsal.complete);
        courses.push(course);
    }
    courses.sort_by(|one, other| one.path.cmp(&other.path));
    courses
}

fn course(before: &World, rehearsal: &Rehearsal, key: AppKey, path: &AppPath) -> Course {
    let world = &rehearsal.world;
    let definition = |world: &World| {
        let app = world.app(path)?;
        world.versions.share(&(app.key, app.version))
    };
    let live = |world: &World| -> BTreeMap<InstanceKey, Instance> {
        let live = world.instances_of(key).filter(|one| one.is_live() && one.is_wanted());
        live.map(|one| (one.key, one.clone())).collect()
    };
    let (was, is) = (live(before), live(world));
    let same =
        |one: &&Instance| was.get(&one.key).is_some_and(|w| w.incarnation == one.incarnation);
    let kept = is.values().filter(same).count();
    let mut starts = BTreeMap::new();
    for one in is.values().filter(|one| !same(one)) {
        if let Some(place) = &one.place {
            *starts.entry(place.agent).or_insert(0) += 1;
        }
    }
    let actions = rehearsal.steps.iter().flatten();
    let action = actions.filter(|(_, app)| app == path).map(|(action, _)| *action).next();
    Course {
        path: path.clone(),
        before: definition(before),
        after: definition(world),
        action,
        served: serving(before, key),
        lowest: 0,
        kept: count(kept),
        ended: count(was.len().saturating_sub(kept)),
        starts,
        waiting: count(world.instances_of(key).filter(|one| one.is_scheduled()).count()),
        explanation: None,
        doubts: Vec::new(),
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
