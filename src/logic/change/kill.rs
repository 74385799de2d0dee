//! Ending instances by name: to be launched again, to make their apps smaller, or to be forgotten (SC-12 to SC-14).

use std::collections::BTreeMap;

use crate::logic::change::plan::{self, Effect, Terms};
use crate::logic::change::put;
use crate::logic::draft::Draft;
use crate::logic::status;
use crate::model::app::App;
use crate::model::condition::Condition;
use crate::model::fact::{Answer, How, KillHow, Refusal};
use crate::model::id::{AppKey, InstanceKey};
use crate::model::instance::{Goal, StopWhy, Then};
use crate::model::path::AppPath;

/// Ends instances; unknown ones are skipped.
///
/// # Errors
/// The reason why nothing was done.
pub fn kill(
    draft: &mut Draft<'_>,
    instances: &[InstanceKey],
    follows: KillHow,
    how: How,
) -> Result<Answer, Refusal> {
    let known: Vec<InstanceKey> =
        instances.iter().copied().filter(|key| draft.instance(*key).is_some()).collect();
    match follows {
        KillHow::Restart => {
            for key in &known {
                status::stop(draft, *key, StopWhy::Killed, Then::Relaunch);
            }
            Ok(Answer::Killed { instances: known })
        }
        KillHow::Wipe => {
            for key in &known {
                status::stop(draft, *key, StopWhy::Wiped, Then::Leave);
            }
            Ok(Answer::Killed { instances: known })
        }
        KillHow::Scale => kill_and_scale(draft, &known, how),
    }
}

/// The counts go down and the named ones end in the same commit, so that nothing takes their place (SC-13).
fn kill_and_scale(
    draft: &mut Draft<'_>,
    instances: &[InstanceKey],
    how: How,
) -> Result<Answer, Refusal> {
    let mut victims: BTreeMap<AppKey, Vec<InstanceKey>> = BTreeMap::new();
    for key in instances.iter().filter(|key| is_active(draft, **key)) {
        victims.entry(key.app).or_default().push(*key);
    }
    let live = |key: &AppKey| draft.world().apps.get(key).filter(|app| app.removed.is_none());
    let apps: Vec<App> = victims.keys().filter_map(live).cloned().collect();
    let version = plan::new_version(draft, apps.iter());
    let effects: Vec<Effect> = apps
        .iter()
        .filter_map(|app| {
            let current = draft.world().current(app)?;
            let mut spec = current.spec.clone();
            let count = u32::try_from(victims[&app.key].len()).unwrap_or(u32::MAX);
            spec.instances = spec.instances.saturating_sub(count);
            Some(put::changed(draft.world(), app, current, spec, version))
        })
        .collect();
    let group = match apps.as_slice() {
        [one] => one.path.parent(),
        _ => AppPath::root(),
    };
    let answer =
        plan::carry_out(draft, effects, Terms { version, how, reverts: None, group: &group })?;
    for key in victims.into_values().flatten() {
        status::stop(draft, key, StopWhy::Killed, Then::Leave);
    }
    Ok(answer)
}

/// Counts for the new size: launched, not ended, not being ended already (SC-13).
fn is_active(draft: &Draft<'_>, key: InstanceKey) -> bool {
    draft.instance(key).is_some_and(|instance| {
        instance.goal == Goal::Run && instance.condition().is_some_and(Condition::is_active)
    })
}
