//! Who goes first when fewer are wanted (SC-4, SC-5, with what is BETTER): what does no work, then the rest by the
//! app's kill selection.

use std::cmp::Reverse;

use crate::model::condition::Condition;
use crate::model::id::Version;
use crate::model::instance::{Goal, Instance};
use crate::model::spec::KillSelection;
use crate::model::time::Timestamp;
use crate::planted::planted;

/// Sorts instances so that those to end first come first.
///
/// With `newest_config_first` those of a newer configuration go before those of an older one among equals: in an upgrade
/// that follows a failed one, what failed goes before what worked (behaviour 2.3).
pub fn sort(instances: &mut [&Instance], selection: KillSelection, newest_config_first: bool) {
    instances.sort_by_cached_key(|instance| {
        let config = newest_config_first.then_some(Reverse(instance.config));
        let weight = planted!("serving-ends-before-waiting", weight(instance), 0);
        (weight, config, by_age(instance, selection), Reverse(instance.key))
    });
}

/// Lower goes first.
fn weight(instance: &Instance) -> u8 {
    match instance.condition() {
        None => 0,
        Some(condition) if condition.is_terminal() => 0,
        Some(Condition::Unreachable | Condition::UnreachableInactive) => 1,
        // It is ending to be launched again, whatever was last heard of it: without it nothing less serves.
        Some(_) if instance.goal != Goal::Run => 2,
        Some(Condition::Provisioned | Condition::Staging) => 4,
        Some(Condition::Starting) => 5,
        Some(Condition::Running) if instance.fails() => 3,
        // It runs, and its checks have not said that it serves.
        Some(_) if !instance.is_healthy() => 6,
        Some(_) => 7,
    }
}

fn by_age(
    instance: &Instance,
    selection: KillSelection,
) -> (Option<Reverse<Timestamp>>, Option<Timestamp>) {
    let began = instance
        .started_at()
        .or_else(|| instance.tasks.iter().map(|task| task.staged_at).min())
        .unwrap_or(instance.since);
    match selection {
        KillSelection::YoungestFirst => (Some(Reverse(began)), None),
        KillSelection::OldestFirst => (None, Some(began)),
    }
}

/// The configuration whose instances an upgrade keeps.
pub fn is_of(instance: &Instance, config: Version) -> bool {
    instance.config == config
}
