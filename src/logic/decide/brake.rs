//! The brake: when many agents are lost at once, the fault is more likely ours than theirs, and nothing that was lost is
//! replaced until they are back or somebody says so (I19).
//!
//! Only what was lost is held: people's changes, and what ends by itself on agents that are heard, go on.

use std::collections::BTreeSet;

use crate::logic::draft::{Draft, Subject};
use crate::logic::index::roll::Roll;
use crate::model::brake::Brake;
use crate::model::event::Event;
use crate::model::id::{AgentKey, AppKey, InstanceKey};
use crate::model::time::{Span, Timestamp};
use crate::planted::planted;

/// Losses within so long of each other count as one event.
pub const WINDOW: Span = Span::secs(60);

/// Fewer losses than that hold nothing, however few agents there are.
pub const FEWEST: usize = 3;

/// Enough agents must have been back for so long: they do not all come at once.
pub const EASE: Span = Span::secs(10);

/// Holds or releases the brake by what is lost now.
pub fn decide(draft: &mut Draft<'_>) {
    let (brake, now) = (draft.brake(), draft.now());
    let too_many = is_too_many(&draft.index().roll, brake, now);
    match (brake.held, brake.ends, too_many) {
        (None, _, true) => hold(draft, brake),
        (Some(_), Some(_), true) => draft.put_brake(Brake { ends: None, ..brake }),
        (Some(_), None, false) => draft.put_brake(Brake { ends: Some(now + EASE), ..brake }),
        (Some(_), Some(ends), false) if now >= ends => release(draft, None),
        (Some(_), Some(_), false) | (Some(_), None, true) | (None, _, false) => {}
    }
}

fn hold(draft: &mut Draft<'_>, brake: Brake) {
    let (now, roll) = (draft.now(), &draft.index().roll);
    let lost = roll.lost_after(counts_from(brake, now)).count();
    let agents = lost + roll.heard();
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    draft.event(Event::BrakeHeld { lost: count(lost), agents: count(agents) });
    draft.put_brake(Brake { held: Some(now), ends: None, ..brake });
}

/// Ends the brake, and looks at everything that it held. What was lost until `forgiven` never counts again: an operator
/// says so, time does not.
pub fn release(draft: &mut Draft<'_>, forgiven: Option<Timestamp>) {
    let before = draft.brake().forgiven;
    draft.event(Event::BrakeReleased { by_operator: forgiven.is_some() });
    draft.put_brake(Brake { held: None, ends: None, forgiven: forgiven.or(before) });
    let overdue: Vec<AppKey> = draft.index().apps.overdue(draft.now()).collect();
    for app in overdue {
        draft.mark(Subject::App(app));
    }
    for agent in draft.index().roll.draining().clone() {
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
        let held = Brake { held: Some(at(100_000)), ..free };
        assert_eq!(counts_from(held, at(900_000)), at(40_000), "what it was held for stays");
        let forgiven = Brake { forgiven: Some(at(99_000)), ..free };
        assert_eq!(counts_from(forgiven, at(100_000)), at(99_000));
    }
}
