//! The brake: when many agents are lost at once, the fault is more likely ours than theirs, and nothing that was lost is
//! replaced until they are back or somebody says so (I19).
//!
//! Only what was lost is held: people's changes, and what ends by itself on agents that are heard, go on.

use std::collections::BTreeSet;

use crate::logic::draft::{Draft, Subject};
use crate::logic::index::roll::Roll;
use crate::model::brake::Brake;
use crate::model::id::{AgentKey, InstanceKey};
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;

/// Losses within so long of each other count as one event.
pub const WINDOW: Span = Span::secs(60);

/// Fewer losses than that hold nothing, however few agents there are.
pub const FEWEST: usize = 3;

/// Holds or releases the brake by what is lost now.
pub fn decide(draft: &mut Draft<'_>) {
    let brake = draft.brake();
    let too_many = is_too_many(&draft.index().roll, brake, draft.now());
    match (brake.held, too_many) {
        (None, true) => draft.put_brake(Brake { held: Some(draft.now()), ..brake }),
        (Some(_), false) => release(draft, Brake { held: None, ..brake }),
        (None, false) | (Some(_), true) => {}
    }
}

/// Writes a brake that does not hold, and looks at everything that it held.
pub fn release(draft: &mut Draft<'_>, brake: Brake) {
    draft.put_brake(brake);
    let roll = &draft.index().roll;
    let held: Vec<AgentKey> = roll.lost().chain(roll.draining().iter().copied()).collect();
    for agent in held {
        mark(draft, agent);
    }
}

/// Looks again at every app of which something is placed on an agent.
pub fn mark(draft: &mut Draft<'_>, agent: AgentKey) {
    let used = draft.index().agents.of(agent);
    let there: BTreeSet<_> = used
        .into_iter()
        .flat_map(|used| &used.instances)
        .map(|key: &InstanceKey| key.app)
        .collect();
    for app in there {
        draft.mark(Subject::App(app));
    }
}

/// From when losses count: within the window before the brake held, or before now; never what was forgiven.
pub fn counts_from(brake: Brake, now: Timestamp) -> Timestamp {
    let window = brake.held.unwrap_or(now) - WINDOW;
    brake.forgiven.map_or(window, |forgiven| forgiven.max(window))
}

/// Whether `lost` of the agents that were to be heard are too many: at least three, and more than a third.
pub const fn holds(lost: usize, heard: usize) -> bool {
    lost >= FEWEST && 2 * lost > heard
}

fn is_too_many(roll: &Roll, brake: Brake, now: Timestamp) -> bool {
    // No more of them are looked at than it takes.
    let enough = FEWEST.max(roll.heard() / 2 + 1);
    let lost = roll.lost_after(counts_from(brake, now)).take(enough).count();
    planted!("brake-never-holds", holds(lost, roll.heard()), false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// I19: more than a third of all, and at least three.
    #[test]
    fn a_third_of_the_agents_and_at_least_three() {
        let rows = [
            (0, 0, false),
            (1, 0, false),
            (2, 0, false),
            (2, 1, false),
            (3, 0, true),
            (3, 5, true),
            (3, 6, false),
            (3, 7, false),
            (4, 7, true),
            (4, 8, false),
            (33, 67, false),
            (34, 66, true),
        ];
        for (lost, heard, expected) in rows {
            assert_eq!(holds(lost, heard), expected, "{lost} lost, {heard} heard");
        }
    }

    #[test]
    fn losses_count_within_a_minute_and_once_forgiven_never() {
        let at = Timestamp::from_millis;
        let free = Brake::default();
        assert_eq!(counts_from(free, at(100_000)), at(40_000));
        let held = Brake { held: Some(at(100_000)), forgiven: None };
        assert_eq!(counts_from(held, at(900_000)), at(40_000), "what it was held for stays");
        let forgiven = Brake { held: None, forgiven: Some(at(99_000)) };
        assert_eq!(counts_from(forgiven, at(100_000)), at(99_000));
    }
}
