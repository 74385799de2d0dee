//! Which app serves now, which one comes, and how many it has in each step.

use crate::logic::deploy::colour::{Dress, dress};
use crate::model::app::App;
use crate::model::colour::{APP_ID, COLOUR, Colour, GROUP, STARTED_AT};
use crate::model::deploy::{Amount, Deploy};
use crate::model::fact::Refusal;
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// The two apps of a service, and the new one's definition.
pub struct Sides {
    /// What serves now, if anything does.
    pub old: Option<App>,
    /// How many instances it has when it is whole.
    pub whole: u32,
    /// The new one's definition, dressed.
    pub spec: Spec,
    /// The new one, if it is left over from a deploy before.
    pub itself: Option<App>,
    /// How many shall serve in the end.
    pub target: u32,
    /// How many the new one has in each step.
    pub counts: Vec<u32>,
}

/// What is wanted of the two apps.
pub struct Wish<'a> {
    /// The definition, under the id of the service.
    pub spec: &'a Spec,
    /// Whether its count was said.
    pub counted: bool,
    /// The steps.
    pub steps: &'a [Amount],
    /// The deploy that is being replaced.
    pub replaced: Option<&'a Deploy>,
    /// Whether what is left over from a deploy before is used.
    pub force: bool,
}

/// Finds the two apps of a service.
///
/// # Errors
/// When the name of the new one is taken, or it is not clear which one serves.
pub fn find(world: &World, wish: &Wish<'_>, now: Timestamp) -> Result<Sides, Refusal> {
    let id = &wish.spec.path;
    let mut serving = serving(world, wish.spec).into_iter();
    let (old, itself) = match (serving.next(), serving.next(), serving.next()) {
        (old, None, _) => (old, None),
        (Some(old), Some(itself), None) if wish.force => (Some(old), Some(itself)),
        (first, second, more) => {
            let all = [first, second, more].into_iter().flatten().chain(serving);
            return Err(Refusal::Several { paths: all.map(|app| app.path).collect() });
        }
    };
    let definition = |app: &App| world.current(app).map(|row| &row.spec);
    let last = old.as_ref().and_then(definition);
    let there = itself.as_ref().and_then(definition);
    let whole = whole(wish.replaced, old.as_ref(), last);
    let target = if wish.counted || old.is_none() { wish.spec.instances } else { whole };
    let colour = match (there, last) {
        (Some(there), _) => named(there),
        (None, Some(last)) => Colour::after(last),
        (None, None) => Colour::Blue,
    };
    let path = match &itself {
        Some(itself) => itself.path.clone(),
        None => free_path(world, id, colour)?,
    };
    let reached = there.map_or(0, |there| there.instances);
    let counts = if old.is_none() { vec![target] } else { counts(wish.steps, target, reached) };
    let mut spec = wish.spec.clone();
    dress(&mut spec, Dress { id, path, colour, target, now, last, itself: there });
    spec.instances = counts.first().copied().unwrap_or(target);
    Ok(Sides { old, whole, spec, itself, target, counts })
}

/// How many the new app has in each step: ever more, and none below what it has already.
pub fn counts(steps: &[Amount], target: u32, reached: u32) -> Vec<u32> {
    let reached = reached.min(target);
    let mut counts = Vec::new();
    let first = (reached > 0).then_some(reached);
    for count in first.into_iter().chain(steps.iter().map(|step| step.of(target))) {
        if counts.last().is_none_or(|last| count > *last) {
            counts.push(count);
        }
    }
    if counts.is_empty() { vec![target] } else { counts }
}

/// The apps of a service, the oldest first: those of its group, those that bear its id, and the one of the plain id.
pub fn serving(world: &World, spec: &Spec) -> Vec<App> {
    let group = spec.labels.get(GROUP);
    let is_of = |app: &&App| {
        let Some(row) = world.current(app) else { return false };
        let labels = &row.spec.labels;
        let same_group = group.is_some() && labels.get(GROUP) == group;
        let named = labels.get(APP_ID).and_then(|id| AppPath::parse(id).ok());
        same_group || named.as_ref() == Some(&spec.path) || app.path == spec.path
    };
    let mut apps: Vec<App> = world.live_apps().filter(is_of).cloned().collect();
    apps.sort_by_cached_key(|app| {
        let started = world.current(app).and_then(|row| row.spec.labels.get(STARTED_AT).cloned());
        (started, app.visible_from)
    });
    apps
}

/// How many instances the old app has when it is whole: a deploy that is being replaced may have taken some.
fn whole(replaced: Option<&Deploy>, old: Option<&App>, last: Option<&Spec>) -> u32 {
    let before = replaced.and_then(|deploy| deploy.old.as_ref());
    let same = before.filter(|before| old.is_some_and(|old| old.key == before.hand.app));
    same.map_or_else(|| last.map_or(0, |last| last.instances), |before| before.whole)
}

fn named(spec: &Spec) -> Colour {
    match spec.labels.get(COLOUR) {
        Some(colour) if colour == Colour::Green.as_str() => Colour::Green,
        Some(_) | None => Colour::Blue,
    }
}

fn free_path(world: &World, id: &AppPath, colour: Colour) -> Result<AppPath, Refusal> {
    let path = colour.path(id).ok_or_else(|| Refusal::NoApp { path: id.clone() })?;
    match world.app(&path) {
        Some(stranger) => Err(Refusal::Exists { path: stranger.path.clone() }),
        None => Ok(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::unit::Ratio;

    #[test]
    fn steps_that_come_to_the_same_number_are_one() {
        let percent = |share: u64| Amount::Share(Ratio::micro(share * 10_000));
        let canary = [percent(5), percent(25), percent(100)];
        let rows =
            [(0, vec![0]), (1, vec![1]), (2, vec![1, 2]), (4, vec![1, 4]), (20, vec![1, 5, 20])];
        for (target, expected) in rows {
            assert_eq!(counts(&canary, target, 0), expected, "of {target}");
        }
        assert_eq!(counts(&canary, 20, 3), [3, 5, 20], "what is there already stays");
        assert_eq!(counts(&canary, 20, 20), [20]);
        assert_eq!(counts(&[percent(5)], 20, 0), [1], "the rest waits to be promoted");
        let mixed = [Amount::Count(1), percent(50), percent(100)];
        assert_eq!(counts(&mixed, 2, 0), [1, 2]);
        let crossed = [Amount::Count(10), percent(25), percent(100)];
        assert_eq!(counts(&crossed, 20, 0), [10, 20], "the new one never shrinks on its way");
    }
}
