//! How many instances to start and which to stop, from counts alone and without memory (RU-1, SC-4).
//!
//! The same function serves a new app, a change of count, a new configuration, a replacement, a failover and a rollback:
//! it looks at what is there. Amounts are decimals, comparisons are `>=`, and an instance of the old configuration is
//! ended only while enough healthy ones remain (RU-8, BETTER).

use crate::logic::decide::kill_order;
use crate::logic::index::census::Census;
use crate::model::condition::Condition;
use crate::model::id::{InstanceKey, Version};
use crate::model::instance::Instance;
use crate::model::spec::{KillSelection, UpgradeStrategy};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::Ratio;
use crate::planted::planted;

/// A new instance that runs for so long counts for what may be ended in its favour. Most versions that cannot work end
/// at once; without this, each of them would cost an old instance before it is known to have failed.
pub const SETTLE: Span = Span::millis(300);

/// What is wanted and what is there while those of other configurations are replaced.
pub struct Situation<'a> {
    /// How many are wanted.
    pub wanted: u32,
    /// Of which configuration.
    pub config: Version,
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
}

/// What to do now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    /// So many new instances.
    pub start: u32,
    /// These end.
    pub stop: Vec<InstanceKey>,
    /// Nothing is left to do, and everything wanted is healthy.
    pub done: bool,
    /// When the first new instance will have run for long enough to be relied on, if one has not.
    pub look_again: Option<Timestamp>,
}

/// How many must stay healthy and how many there may be, during an upgrade (RU-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capacity {
    /// No decision of ours goes below this many healthy ones.
    pub floor: u32,
    /// No decision of ours goes above this many.
    pub ceiling: u32,
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
    Moves { start, stop, done, look_again: None }
}

/// What to do now where those of other configurations are replaced.
pub fn roll(situation: &Situation<'_>) -> Moves {
    let counted = || situation.instances.iter().copied().filter(|one| one.is_counted());
    let (mut new, mut old): (Vec<&Instance>, Vec<&Instance>) =
        counted().partition(|one| kill_order::is_of(one, situation.config));
    let healthy = count(counted().filter(|one| one.is_healthy()).count());
    let capacity = Capacity::of(situation.upgrade, situation.wanted, healthy, situation.resident);
    let leaving = count(situation.instances.iter().filter(|one| one.is_leaving()).count());
    let fresh = count(new.len());
    kill_order::sort(&mut old, situation.kill_selection, true);
    kill_order::sort(&mut new, situation.kill_selection, false);
    let settling = |one: &&Instance| one.is_healthy() && settles_at(one) > situation.now;
    let unsettled = count(new.iter().copied().filter(settling).count());
    let mut spare = healthy.saturating_sub(capacity.floor + unsettled);
    let surplus = fresh.saturating_sub(situation.wanted) as usize;
    let mut stop: Vec<InstanceKey> = old
        .iter()
        .chain(new.iter().take(surplus))
        .filter(|one| may_stop(one, &mut spare))
        .map(|one| one.key)
        .collect();
    // What was given up on a lost agent must not come back with it as if it were still wanted.
    let given_up = situation.instances.iter().filter(|one| one.is_wanted() && !one.is_counted());
    stop.extend(
        given_up.filter(|one| !kill_order::is_of(one, situation.config)).map(|one| one.key),
    );
    let old_living = count(old.iter().filter(|one| one.is_live()).count());
    // One that waits to be launched again keeps its turn only as far as there is room for it.
    let waiting = || new.iter().filter(|one| !one.is_live());
    let living = old_living + fresh - count(waiting().count()) + leaving;
    let turns = capacity.ceiling.saturating_sub(living) as usize;
    stop.extend(waiting().skip(turns).map(|one| one.key));
    let room = capacity.ceiling.saturating_sub(old_living + fresh + leaving);
    let room = planted!("ceiling-ignored", room, u32::MAX);
    let start = situation.wanted.saturating_sub(fresh).min(room);
    let healthy_new = count(new.iter().filter(|one| one.is_healthy()).count());
    let done = stop.is_empty()
        && old.is_empty()
        && start == 0
        && healthy_new >= situation.wanted
        && leaving == 0;
    let look_again =
        new.iter().copied().filter(settling).map(settles_at).min().filter(|_| !old.is_empty());
    Moves { start, stop, done, look_again }
}

/// When a running instance counts as settled.
fn settles_at(instance: &Instance) -> Timestamp {
    instance.started_at().unwrap_or(instance.since) + SETTLE
}

/// What serves may end only while enough others serve; what does not run may end at once.
fn may_stop(instance: &Instance, spare: &mut u32) -> bool {
    if !instance.is_healthy() {
        let runs = instance.tasks.iter().any(|task| task.condition == Condition::Running);
        return !runs || *spare > 0;
    }
    if planted!("floor-ignored", *spare == 0, false) {
        return false;
    }
    *spare = spare.saturating_sub(1);
    true
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
