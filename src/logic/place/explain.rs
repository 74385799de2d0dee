//! Why an app does not run, for people: every agent, every reason, what became of earlier lives, and what would help.
//!
//! Computed when asked, from a view, on the asker's thread: the hot path keeps counts only.

use std::collections::BTreeMap;

use crate::logic::index::Index;
use crate::logic::place::Ask;
use crate::logic::place::account::{AgentAnswer, Explanation, Launching, LeftOut, PastEnd};
use crate::logic::place::check::reasons;
use crate::logic::place::constraint::{Rule, Rules};
use crate::logic::place::help::{help, of_end};
use crate::logic::place::ports;
use crate::logic::place::why::{Holders, lag};
use crate::model::agent::Agent;
use crate::model::app::{App, AppVersion, Backoff};
use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::id::AgentKey;
use crate::model::instance::{Instance, Task};
use crate::model::reason::Reason;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// Why `app` does not run.
pub fn explain(world: &World, app: &App, now: Timestamp) -> Explanation {
    explain_with(world, &Index::build(world), app, now)
}

/// Why `app` does not run, for one who asks about several: `index` is that of `world`.
pub fn explain_with(world: &World, index: &Index, app: &App, now: Timestamp) -> Explanation {
    let Some(row) = definition(world, app) else { return Explanation::default() };
    let ask = Ask::of(world, index, app.key, row, now);
    let rules = Rules::of(world, index, app.key, row);
    let (agents, left_out) = answers(&ask, &rules);
    let last_end = last_end(world, app);
    let mut help = help(world, &rules, &agents, &left_out);
    help.extend(last_end.as_ref().and_then(|end| of_end(end, &row.spec)));
    let instances = || world.instances_of(app.key);
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let until =
        app.backoffs.iter().filter(|backoff| backoff.config == row.config).map(Backoff::until);
    Explanation {
        wanted: if app.removed.is_some() { 0 } else { row.spec.instances },
        running: count(instances().filter(|instance| instance.is_healthy()).count()),
        waiting: count(instances().filter(|instance| instance.is_scheduled()).count()),
        delayed_until: until.max().filter(|until| *until > now),
        held: if is_held(world) {
            count(instances().filter(|one| is_lost(one)).count())
        } else {
            0
        },
        launching: launching(world, app),
        last_end,
        help,
        agents,
        left_out,
    }
}

/// Whether nothing that was lost is replaced (I19).
fn is_held(world: &World) -> bool {
    world.meta.as_ref().is_some_and(|meta| meta.brake.held.is_some())
}

fn is_lost(instance: &Instance) -> bool {
    instance.is_wanted() && instance.condition().is_some_and(Condition::is_unreachable)
}

/// The definition that waits, which in an upgrade need not be the newest; else the one that counts.
fn definition<'a>(world: &'a World, app: &App) -> Option<&'a AppVersion> {
    let waits = world.instances_of(app.key).find(|instance| instance.is_scheduled());
    let waiting = waits.and_then(|instance| world.versions.get(&(app.key, instance.version)));
    waiting.or_else(|| world.current(app))
}

/// What every agent says. GROUP_BY is asked last: it depends on where else an instance fits.
fn answers(ask: &Ask<'_>, rules: &Rules<'_>) -> (Vec<AgentAnswer>, Vec<LeftOut>) {
    let holders = Holders::of(ask, rules);
    let one = |(slot, (key, agent)): (usize, (&AgentKey, &Agent))| {
        let mut against = reasons(ask, agent);
        let at = against.iter().take_while(|reason| comes_before_constraints(reason)).count();
        against.splice(at..at, holders.reasons(ask, rules, slot));
        AgentAnswer {
            agent: *key,
            free: ask.index.pool.free(slot),
            free_ports: ports::free_dynamic(agent, ask.index.agents.of(*key), &ask.need, ask.now),
            reasons: against,
        }
    };
    let mut agents: Vec<AgentAnswer> = ask.world.agents.iter().enumerate().map(one).collect();
    let mut left_out = Vec::new();
    let mut lags = Vec::new();
    for rule in rules.groups() {
        let least = least(rule, &agents);
        let lag = |slot| lag(rule, slot, least).map(|reason| (slot, reason));
        lags.extend((0..agents.len()).filter_map(lag));
        left_out.extend(infeasible(rule, &agents));
    }
    for (slot, reason) in lags {
        agents[slot].reasons.push(reason);
    }
    (agents, left_out)
}

fn comes_before_constraints(reason: &Reason) -> bool {
    matches!(reason, Reason::AgentLost | Reason::AgentDraining | Reason::Role { .. })
}

/// How little a value is used where an instance would fit.
fn least(rule: &Rule<'_>, agents: &[AgentAnswer]) -> Option<u32> {
    let fitting = agents.iter().enumerate().filter(|(_, answer)| answer.reasons.is_empty());
    fitting.filter_map(|(slot, _)| rule.value(slot)).map(|value| rule.placed(value)).min()
}

/// The values of a GROUP_BY field where no agent takes an instance, unless that is so of all of them.
fn infeasible(rule: &Rule<'_>, agents: &[AgentAnswer]) -> Vec<LeftOut> {
    let mut values: BTreeMap<&str, (u32, bool)> = BTreeMap::new();
    for (slot, answer) in agents.iter().enumerate() {
        if let Some(value) = rule.text(slot) {
            let (count, fits) = values.entry(value).or_default();
            *count += 1;
            *fits |= answer.reasons.is_empty();
        }
    }
    if !values.values().any(|(_, fits)| *fits) {
        return Vec::new();
    }
    let field = || rule.constraint.field_name().to_owned();
    values
        .into_iter()
        .filter(|(_, (_, fits))| !fits)
        .map(|(value, (agents, _))| LeftOut { field: field(), value: value.to_owned(), agents })
        .collect()
}

fn launching(world: &World, app: &App) -> Vec<Launching> {
    let on_its_way = |instance: &Instance| {
        let task = instance.tasks.first().filter(|_| instance.is_wanted())?;
        let is_launch = matches!(
            task.condition,
            Condition::Provisioned | Condition::Staging | Condition::Starting
        );
        is_launch.then(|| Launching {
            instance: instance.id,
            incarnation: instance.incarnation,
            agent: instance.place.as_ref().map(|place| place.agent),
            condition: task.condition,
            since: task.since,
            pulled: task.pulled,
        })
    };
    let mut launching: Vec<Launching> =
        world.instances_of(app.key).filter_map(on_its_way).collect();
    launching.sort_by_key(|launch| (launch.since, launch.instance));
    launching
}

/// The last failure, or the end of a life that waits for its next one; the later of them.
fn last_end(world: &World, app: &App) -> Option<PastEnd> {
    let waiting = world.instances_of(app.key).filter(|instance| instance.is_scheduled());
    let ended = waiting.filter_map(|instance| {
        let task = instance.tasks.first().filter(|task| task.condition.is_terminal())?;
        Some(past_end(instance, task))
    });
    let ended = ended.max_by_key(|end| end.at);
    let failed = app.last_failure.as_ref().map(|failure| PastEnd {
        instance: failure.instance,
        incarnation: failure.incarnation,
        kind: None,
        condition: failure.condition,
        message: failure.message.clone(),
        host: Some(failure.host.clone()).filter(|host| !host.is_empty()),
        at: failure.at,
    });
    match (ended, failed) {
        (Some(mut ended), Some(failed)) if ended.at <= failed.at => {
            let is_same =
                (ended.instance, ended.incarnation) == (failed.instance, failed.incarnation);
            ended.kind = ended.kind.filter(|_| is_same);
            Some(PastEnd { kind: ended.kind, ..failed })
        }
        (ended, failed) => ended.or(failed),
    }
}

fn past_end(instance: &Instance, task: &Task) -> PastEnd {
    PastEnd {
        instance: instance.id,
        incarnation: instance.incarnation,
        kind: task.end.as_deref().map(End::kind),
        condition: task.condition,
        message: task.end.as_deref().map(End::message).unwrap_or_default(),
        host: None,
        at: task.since,
    }
}
