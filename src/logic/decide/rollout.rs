//! How many instances to start and which to stop, from counts alone and without memory (RU-1, SC-4).
//!
//! The same function serves a new app, a change of count, a new configuration, a replacement, a failover and a rollback:
//! it looks at what is there. Amounts are decimals, comparisons are `>=`, and an instance of the old configuration is
//! ended only while enough healthy ones remain (RU-8, BETTER). What must leave an agent that is being emptied is moved in
//! the same way: replaced first wherever there may be more for a while.

use crate::logic::decide::drain::Leaving;
use crate::logic::decide::kill_order;
use crate::logic::index::census::Census;
use crate::model::condition::Condition;
use crate::model::id::{InstanceKey, Version};
use crate::model::instance::{Goal, Instance};
use crate::model::spec::{KillSelection, UpgradeStrategy};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::Ratio;
use crate::planted::planted;

/// A new instance that runs for so long counts for what may be ended in its favour. Most versions that cannot work end
/// at once; without this, each of them would cost an old instance before it is known to have failed.
pub const SETTLE: Span = Span::millis(300);

/// What is wanted and what is there.
pub struct Situation<'a> {
    /// How many are wanted.
    pub wanted: u32,
    /// Of which configuration.
    pub config: Version,
    /// Whether those of other configurations are replaced; else they count as they are.
    pub rolling: bool,
    /// How many may be missing or too many meanwhile.
    pub upgrade: UpgradeStrategy,
    /// Whether the app is bound to its places.
    pub resident: bool,
    /// The time.
    pub now: Timestamp,
    /// Which of two equal instances goes first.
    pub kill_selection: KillSelection,
    /// Every instance of the app.
    pub instances: &'a [&'a Instance],
    /// Which of them must leave their agents.
    pub leaving: &'a Leaving,
    /// Whether nothing is moved between agents now.
    pub held: bool,
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// So many new instances.
    pub start: u32,
    /// These end.
    pub stop: Vec<InstanceKey>,
    /// These end because their agents are being emptied.
    pub drain: Vec<InstanceKey>,
    /// Nothing is left to do, and everything wanted is healthy.
    pub done: bool,
    /// When the first new instance will have run for long enough to be relied on, if one has not.
    pub look_again: Option<Timestamp>,
}

/// The instances that count, by what becomes of them; in each group those to end first come first.
struct Groups<'a> {
    /// They stay.
    new: Vec<&'a Instance>,
    /// They are of another configuration than the one that is wanted.
    old: Vec<&'a Instance>,
    /// They must leave their agents, and nothing else is wrong with them.
    moving: Vec<&'a Instance>,
}

/// How many must stay healthy and how many there may be, during an upgrade (RU-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// No decision of ours goes below this many healthy ones.
    pub floor: u32,
    /// No decision of ours goes above this many.
    pub ceiling: u32,
}

/// What may end for all that the rest of them serve.
struct Spare {
    /// So many more serve than must.
    healthy: u32,
    /// As many serve as must.
    enough: bool,
}

// === impl Capacity ===

impl Capacity {
    /// For `wanted` instances of which `healthy` are healthy now, of any configuration.
    pub fn of(upgrade: UpgradeStrategy, wanted: u32, healthy: u32, resident: bool) -> Capacity {
        let mut floor = upgrade.minimum_health.of_rounded_up(wanted);
        let mut ceiling = (Ratio::ONE + upgrade.over_capacity).of_cut(wanted);
        if floor == ceiling && healthy >= ceiling {
            // No room to move: one more, or for what is bound to its place one less.
            if resident {
                floor = floor.saturating_sub(1);
            } else {
                ceiling += 1;
            }
        }
        Capacity { floor, ceiling }
    }
}

// === impl Situation ===

impl<'a> Situation<'a> {
    /// Those whose time to leave in order is over.
    fn overdue(&self) -> impl Iterator<Item = &'a Instance> + '_ {
        let due = |one: &&Instance| !self.held && self.leaving.overdue.contains(&one.key);
        self.instances.iter().copied().filter(due)
    }
}

// === impl Spare ===

impl Spare {
    fn of(healthy: u32, floor: u32) -> Spare {
        Spare { healthy: healthy.saturating_sub(floor), enough: healthy >= floor }
    }

    /// What serves may end only while more serve than must, what runs and does not serve while as many do; what does not
    /// run may end at once.
    fn may_end(&mut self, instance: &Instance) -> bool {
        if !instance.is_healthy() {
            let runs = instance.tasks.iter().any(|task| task.condition == Condition::Running);
            return !runs || self.enough;
        }
        let may = self.healthy > 0;
        self.healthy = self.healthy.saturating_sub(1);
        may
    }
}

// === impl Groups ===

impl<'a> Groups<'a> {
    fn of(situation: &Situation<'a>) -> Groups<'a> {
        let leaving = situation.leaving;
        let is_overdue = |one: &Instance| leaving.overdue.contains(&one.key);
        let counted = situation.instances.iter().copied().filter(|one| one.is_counted());
        let counted = counted.filter(|one| situation.held || !is_overdue(one));
        let is_old =
            |one: &&Instance| situation.rolling && !kill_order::is_of(one, situation.config);
        let (mut old, rest): (Vec<&Instance>, Vec<&Instance>) = counted.partition(is_old);
        let must_move = |one: &&Instance| leaving.moving.contains(&one.key) || is_overdue(one);
        let (mut moving, mut new): (Vec<&Instance>, Vec<&Instance>) =
            rest.into_iter().partition(must_move);
        kill_order::sort(&mut old, situation.kill_selection, true);
        kill_order::sort(&mut moving, situation.kill_selection, false);
        kill_order::sort(&mut new, situation.kill_selection, false);
        // Of those of an old configuration the ones that must leave anyway go first.
        old.sort_by_key(|one| !must_move(one));
        Groups { new, old, moving }
    }
}

/// What to do now where configurations count alike. Who is surplus is asked only where there are any: an app at rest costs
/// the same whatever it has.
pub fn scale(
    wanted: u32,
    census: Census,
    surplus: impl FnOnce(usize) -> Vec<InstanceKey>,
) -> Moves {
    let there = planted!("overscale-on-failing-tasks", census.counted, census.healthy);
    let stop = match there.saturating_sub(wanted) {
        0 => Vec::new(),
        many => surplus(many as usize),
    };
    let start = wanted.saturating_sub(there);
    let done = stop.is_empty() && start == 0 && census.healthy >= wanted && census.leaving == 0;
    Moves { start, stop, done, ..Moves::default() }
}

/// What to do now where those of other configurations are replaced, or some must leave their agents, or both.
pub fn roll(situation: &Situation<'_>) -> Moves {
    let Groups { new, old, moving } = Groups::of(situation);
    let healthy = healthy_of(&new) + healthy_of(&old) + healthy_of(&moving);
    let capacity = Capacity::of(situation.upgrade, situation.wanted, healthy, situation.resident);
    let leaving = count(situation.instances.iter().filter(|one| one.is_leaving()).count());
    let fresh = count(new.len());
    let settling = |one: &&Instance| one.is_healthy() && settles_at(one) > situation.now;
    let unsettled = count(new.iter().copied().filter(settling).count());
    let floor = capacity.floor + unsettled;
    let mut spare = Spare::of(healthy, planted!("floor-ignored", floor, 0));
    let surplus = new.iter().take(fresh.saturating_sub(situation.wanted) as usize);
    let mut stop: Vec<InstanceKey> =
        old.iter().filter(|one| spare.may_end(one)).map(|one| one.key).collect();
    // A smaller count is somebody's wish; the surplus of an upgrade goes only while enough others serve.
    stop.extend(surplus.filter(|one| !situation.rolling || spare.may_end(one)).map(|one| one.key));
    // What was given up on a lost agent must not come back with it as if it were still wanted.
    let is_old = |one: &Instance| situation.rolling && !kill_order::is_of(one, situation.config);
    let given_up = situation.instances.iter().filter(|one| one.is_wanted() && !one.is_counted());
    stop.extend(given_up.filter(|one| is_old(one)).map(|one| one.key));

    let out = count(situation.overdue().count()) + leaving;
    let going = count(old.iter().chain(&moving).filter(|one| one.is_live()).count());
    // One that waits to be launched again keeps its turn only as far as there is room for it.
    let waiting = || new.iter().filter(|one| !one.is_live());
    let living = going + fresh - count(waiting().count()) + out;
    let turns = capacity.ceiling.saturating_sub(living) as usize;
    stop.extend(waiting().skip(turns).map(|one| one.key));
    let room = capacity.ceiling.saturating_sub(going + fresh + out);
    let room = planted!("ceiling-ignored", room, u32::MAX);
    let stays = if situation.held { fresh + count(moving.len()) } else { fresh };
    let start = situation.wanted.saturating_sub(stays).min(room);

    let full = start == 0 && stop.is_empty() && leaving == 0 && living >= capacity.ceiling;
    let quiet = new.iter().all(|one| one.is_healthy());
    // No room, and nothing serves that could make some: one that does not serve either gives its place up, those that fail
    // first.
    let useless = |one: &&&Instance| full && quiet && !one.is_healthy() && one.is_live();
    stop.extend(old.iter().find(useless).map(|one| one.key));
    let failing = moving.iter().filter(useless).find(|one| one.fails());
    let gives_way = failing.filter(|_| stop.is_empty()).map(|one| one.key);
    let begun = start > 0 || new.iter().any(|one| is_launching(one) || settling(one));
    let floor = if begun && capacity.ceiling > situation.wanted {
        // There may be more for a while and what takes their place is coming: no need to have fewer than wanted.
        capacity.floor.max(situation.wanted)
    } else {
        capacity.floor
    };
    let stopped = stop.iter().filter(|key| is_serving(situation, **key)).count();
    let floor = count(stopped) + floor + unsettled;
    let mut spare = Spare::of(healthy, planted!("drain-ignores-the-floor", floor, 0));
    let may_move = |one: &&&Instance| spare.may_end(one) || gives_way == Some(one.key);
    let moved = moving.iter().filter(|_| !situation.held).filter(may_move);
    let drain: Vec<InstanceKey> =
        moved.map(|one| one.key).chain(situation.overdue().map(|one| one.key)).collect();
    let served = healthy_of(&new) + healthy_of(&moving) >= situation.wanted;
    let done = stop.is_empty() && old.is_empty() && served && leaving == 0;
    let look_again = new.iter().copied().filter(settling).map(settles_at).min();
    // Only what may end once they count is waited for.
    let rests = old.is_empty() && moving.is_empty() && fresh <= situation.wanted;
    let look_again = look_again.filter(|_| !rests);
    Moves { start, stop, drain, done, look_again }
}

/// When a running instance counts as settled.
fn settles_at(instance: &Instance) -> Timestamp {
    instance.started_at().unwrap_or(instance.since) + SETTLE
}

/// Whether an instance serves now.
fn is_serving(situation: &Situation<'_>, key: InstanceKey) -> bool {
    situation.instances.iter().any(|one| one.key == key && one.is_counted() && one.is_healthy())
}

/// Was launched and does not serve yet.
fn is_launching(instance: &Instance) -> bool {
    let launching =
        [Condition::Provisioned, Condition::Staging, Condition::Starting, Condition::Running];
    let launching = instance.condition().is_some_and(|is| launching.contains(&is));
    instance.goal == Goal::Run && launching && !instance.is_healthy()
}

fn healthy_of(instances: &[&Instance]) -> u32 {
    count(instances.iter().filter(|one| one.is_healthy()).count())
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
