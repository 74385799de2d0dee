//! One app: what time alone changes, then its count and configuration, then its launches, then its deployment's part.

use std::sync::Arc;

use crate::logic::decide::drain::{self, Leaving};
use crate::logic::decide::rollout::{self, Moves, Situation};
use crate::logic::decide::{backoff, health, kill_order, launch};
use crate::logic::draft::Draft;
use crate::logic::index::timers::launch_overdue;
use crate::logic::status::{self, Change};
use crate::model::agent::Agent;
use crate::model::app::{Action, App, AppVersion, Part};
use crate::model::condition::Condition;
use crate::model::id::{AppKey, Incarnation, InstanceId, InstanceKey, Rev, Version};
use crate::model::instance::{Goal, Instance, StopWhy, Task, Then};
use crate::model::spec::UnreachableStrategy;
use crate::model::time::{Span, Timestamp};
use crate::model::world::World;
use crate::planted::planted;

/// New instances of one app in one round, so that a big app does not hold up the others.
const SCHEDULE_AT_ONCE: u32 = 4_096;

/// What an app shall be right now.
enum Target {
    /// Nothing of it shall run.
    Nothing,
    /// This definition.
    Definition {
        /// The definition.
        row: Arc<AppVersion>,
        /// Whether instances of other configurations are replaced.
        rolling: bool,
    },
    /// As it stands, since its deployment waits for somebody: what is missing is replaced by this definition.
    Held(Arc<AppVersion>),
    /// Its definition could not be read when the log was: what runs is left alone until somebody puts another.
    Unknown,
}

/// Decides one app.
pub fn decide(draft: &mut Draft<'_>, key: AppKey) {
    follow_time(draft, key);
    health::decide(draft, key);
    backoff::expire(draft, key);
    let Some(app) = drop_orphaned_part(draft, key) else { return };
    let target = target(draft.world(), &app);
    let reached = reach(draft, key, &target);
    launch::app(draft, key, None);
    if let Target::Definition { row, .. } = &target {
        drain::make_way(draft, key, row);
    }
    keep_reached(draft, key, reached);
}

/// The app. A part whose deployment could not be read when the log was is nobody's: it counts as cancelled.
fn drop_orphaned_part(draft: &mut Draft<'_>, key: AppKey) -> Option<Arc<App>> {
    let app = draft.world().apps.share(&key)?;
    let known = |part: &Part| draft.world().deployments.get(&part.deployment).is_some();
    let orphaned = !app.part.as_ref().is_none_or(known);
    if planted!("lock-leaks-on-cancel", orphaned, false) {
        draft.put_app(App { part: None, ..app.as_ref().clone() });
        return draft.world().apps.share(&key);
    }
    Some(app)
}

/// What the app shall be: of a part whose step has not begun only what was before counts.
fn target(world: &World, app: &App) -> Target {
    let definition = |version: Option<Version>, rolling: bool| {
        let Some(version) = version else { return Target::Nothing };
        match world.versions.share(&(app.key, version)) {
            Some(row) => Target::Definition { row, rolling },
            None => Target::Unknown,
        }
    };
    let Some(part) = &app.part else {
        return definition(app.removed.is_none().then_some(app.version), false);
    };
    let Some(running) = world.deployments.get(&part.deployment) else {
        return definition(part.from, false);
    };
    if running.step < part.step {
        return definition(part.from, false);
    }
    if running.is_paused() {
        return held(world, app, part);
    }
    definition(part.to, part.action == Action::Restart)
}

/// What a paused deployment lets an app have: the definition that ran before it, where there is one.
fn held(world: &World, app: &App, part: &Part) -> Target {
    let before = part.from.filter(|_| part.action != Action::Stop).or(part.to);
    let row = before.and_then(|version| world.versions.share(&(app.key, version)));
    row.map_or(Target::Unknown, Target::Held)
}

/// How far an app is from its target.
#[derive(Clone, Copy, Default)]
struct Reached {
    done: bool,
    look_again: Option<Timestamp>,
}

/// Starts and stops what the target asks for.
fn reach(draft: &mut Draft<'_>, key: AppKey, target: &Target) -> Reached {
    let (row, rolling) = match target {
        Target::Nothing => return Reached { done: stop_all(draft, key), look_again: None },
        Target::Unknown => return Reached::default(),
        Target::Held(row) => {
            replace_missing(draft, key, row);
            return Reached::default();
        }
        Target::Definition { row, rolling } => (row, *rolling),
    };
    let leaving = Leaving::of(draft, key, &row.spec);
    // What a drain has asked to end still takes its room.
    let drains = !leaving.is_empty() || draft.index().apps.census(key).drained > 0;
    let moves = if rolling || drains {
        roll(draft, key, row, rolling, &leaving)
    } else {
        scale(draft, key, row)
    };
    let why = if rolling { StopWhy::Upgrade } else { StopWhy::Surplus };
    for instance in moves.stop {
        status::stop(draft, instance, why, Then::Leave);
    }
    for instance in moves.drain {
        forget_delay(draft, instance);
        status::stop(draft, instance, StopWhy::Drained, Then::Leave);
    }
    if moves.start > 0 {
        // The rest follows in a later round: new rows mark their app anew.
        schedule(draft, key, row, moves.start.min(SCHEDULE_AT_ONCE));
    }
    Reached { done: moves.done, look_again: moves.look_again }
}

/// Nothing is stopped, and nothing is begun but for what was lost.
fn replace_missing(draft: &mut Draft<'_>, key: AppKey, row: &AppVersion) {
    let missing = row.spec.instances.saturating_sub(draft.index().apps.census(key).counted);
    schedule(draft, key, row, missing.min(SCHEDULE_AT_ONCE));
}

fn scale(draft: &Draft<'_>, key: AppKey, row: &AppVersion) -> Moves {
    let world = draft.world();
    rollout::scale(row.spec.instances, draft.index().apps.census(key), |many| {
        let mut counted: Vec<&Instance> =
            world.instances_of(key).filter(|one| one.is_counted()).collect();
        kill_order::sort(&mut counted, row.spec.kill_selection, false);
        counted.iter().take(many).map(|one| one.key).collect()
    })
}

fn roll(
    draft: &Draft<'_>,
    key: AppKey,
    row: &AppVersion,
    rolling: bool,
    leaving: &Leaving,
) -> Moves {
    let instances: Vec<&Instance> = draft.world().instances_of(key).collect();
    rollout::roll(&Situation {
        wanted: row.spec.instances,
        config: row.config,
        rolling,
        upgrade: row.spec.upgrade,
        resident: row.spec.is_resident(),
        kill_selection: row.spec.kill_selection,
        now: draft.now(),
        instances: &instances,
        leaving,
        held: planted!("brake-moves-drains", draft.brake().held.is_some(), false),
    })
}

/// What an operator moves is not to wait for what failed before (BO-4).
fn forget_delay(draft: &mut Draft<'_>, key: InstanceKey) {
    let Some(config) = draft.instance(key).map(|instance| instance.config) else { return };
    let Some(mut app) = draft.world().apps.get(&key.app).cloned() else { return };
    backoff::reset(&mut app, config);
    draft.put_app(app);
}

/// Whether nothing of the app is left. One on a lost agent counts as gone (behaviour 2.2); its row stays until that agent
/// has confirmed it.
fn stop_all(draft: &mut Draft<'_>, key: AppKey) -> bool {
    if draft.index().apps.census(key).wanted > 0 {
        let wanted = draft.world().instances_of(key).filter(|one| one.is_wanted());
        for instance in wanted.map(|one| one.key).collect::<Vec<InstanceKey>>() {
            status::stop(draft, instance, StopWhy::Removed, Then::Leave);
        }
    }
    let census = draft.index().apps.census(key);
    census.wanted == 0 && census.leaving == 0
}

/// New instances that wait for their places.
fn schedule(draft: &mut Draft<'_>, key: AppKey, row: &AppVersion, count: u32) {
    let Some(mut app) = draft.world().apps.get(&key).cloned() else { return };
    let first = app.next_instance;
    // A number is never used twice: an app that has used up all of them gets no further instance.
    let count = count.min(u32::MAX - first);
    if count == 0 {
        return;
    }
    app.next_instance = first + count;
    draft.put_app(app);
    let ids = draft.new_ids(count);
    for (no, id) in (first..).zip(ids) {
        let instance = Instance {
            key: InstanceKey { app: key, no },
            id: InstanceId(id),
            version: row.version,
            config: row.config,
            goal: Goal::Run,
            incarnation: Incarnation(0),
            lives: 1,
            place: None,
            after: None,
            tasks: Vec::new(),
            since: draft.now(),
            rev: Rev::default(),
        };
        status::publish_instance(draft, &instance);
        draft.put_instance(instance);
    }
}

/// The part of a running deployment is done once its target was reached.
fn keep_reached(draft: &mut Draft<'_>, key: AppKey, reached: Reached) {
    let Some(app) = draft.world().apps.get(&key) else { return };
    let begun = |part: &Part| {
        let running = draft.world().deployments.get(&part.deployment);
        running.is_some_and(|running| running.step >= part.step)
    };
    let newly_done =
        app.part.as_ref().is_some_and(|part| !part.done && reached.done && begun(part));
    if newly_done || reached.look_again != app.look_again {
        let mut app = app.clone();
        app.look_again = reached.look_again;
        if let Some(part) = &mut app.part {
            part.done |= newly_done;
        }
        draft.put_app(app);
    }
}

/// What time alone changes: launches that take too long, agents that are away for too long.
fn follow_time(draft: &mut Draft<'_>, key: AppKey) {
    let due: Vec<InstanceKey> = draft.index().apps.due(key, draft.now()).collect();
    for instance in due {
        follow_absence(draft, instance);
        follow_launch(draft, instance);
        follow_drain(draft, instance);
    }
}

fn follow_drain(draft: &mut Draft<'_>, key: InstanceKey) {
    let until = draft.instance(key).and_then(Instance::drains_until);
    if until.is_some_and(|until| draft.now() >= until) {
        status::end_drain(draft, key);
    }
}

fn follow_launch(draft: &mut Draft<'_>, key: InstanceKey) {
    let Some(instance) = draft.instance(key).filter(|one| one.goal == Goal::Run).cloned() else {
        return;
    };
    let limit = launch_overdue(draft.world(), &instance);
    let overdue = |task: &&Task| {
        matches!(task.condition, Condition::Provisioned | Condition::Staging | Condition::Starting)
            && draft.now() >= task.since + limit
    };
    if let Some(task) = instance.tasks.iter().find(overdue) {
        status::note_overdue(draft, &instance, task);
        status::stop(draft, key, StopWhy::Overdue, Then::Relaunch);
    }
}

/// The unreachable strategy, with its own exact timers (SM-9, BETTER). The brake holds all of it; and what is on an agent
/// that is heard again is not absent any more, though the agent has not come to speak of it.
fn follow_absence(draft: &mut Draft<'_>, key: InstanceKey) {
    if planted!("brake-holds-nothing", draft.brake().held.is_some(), false) {
        return;
    }
    let Some(instance) = draft.instance(key).cloned() else { return };
    let agent = instance.place.as_ref().and_then(|place| draft.world().agents.get(&place.agent));
    if planted!("returning-agent-not-waited-for", agent.is_some_and(Agent::is_heard), false) {
        return;
    }
    let Some(row) = draft.world().versions.get(&(key.app, instance.version)) else { return };
    let UnreachableStrategy::After { inactive_seconds, expunge_seconds } = row.spec.unreachable
    else {
        return;
    };
    let now = draft.now();
    let inactive: Vec<Change> = instance
        .tasks
        .iter()
        .filter(|task| {
            task.condition == Condition::Unreachable
                && planted!(
                    "unreachable-never-replaced",
                    now >= task.since + Span::secs(inactive_seconds),
                    false
                )
        })
        .map(|task| Change {
            task: Task { condition: Condition::UnreachableInactive, ..task.clone() },
            message: "the agent is not heard, a replacement may start".to_owned(),
        })
        .collect();
    if !inactive.is_empty() {
        status::update(draft, instance, inactive);
    }
    let Some(instance) = draft.instance(key) else { return };
    let expunge = instance.tasks.iter().any(|task| {
        task.condition == Condition::UnreachableInactive
            && planted!("given-up-too-early", now >= task.since + Span::secs(expunge_seconds), true)
    });
    if expunge {
        status::stop(draft, key, StopWhy::Replaced, Then::Leave);
    }
}
