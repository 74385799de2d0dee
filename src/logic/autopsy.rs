//! Autopsies: a small row for each life that failed, beside the app's last failure and for longer. A rollback takes the
//! failed version away, and not the knowledge of what was wrong with it.
//!
//! One row a life. What is ended for a fault has its row at once and its end when that is known. The rows are bounded, and
//! what has to go goes with the next that comes; nothing wakes for it.

use crate::logic::draft::Draft;
use crate::logic::health;
use crate::model::app::{App, AppVersion, Part};
use crate::model::autopsy::{Autopsy, AutopsyKey, During, Exit, Fault, Locus, MAX_MESSAGE};
use crate::model::id::AppKey;
use crate::model::instance::{Instance, Task};
use crate::model::row::Key;
use crate::model::text::cut;
use crate::model::world::World;

/// So many go at most with one that comes: after a quiet day no commit gets large.
const AT_ONCE: usize = 8;

/// The longest name of a check, or of what was wrong with it.
const MAX_WORD: usize = 200;

/// Keeps what is known of a life that has failed; one that has a row already gets its end.
pub fn keep(draft: &mut Draft<'_>, instance: &Instance, task: &Task, fault: Fault, message: &str) {
    if close(draft, instance, task) {
        return;
    }
    let Some(app) = draft.world().apps.get(&instance.key.app) else { return };
    let during = app.part.as_ref().map(|part| during(draft.world(), app, part, instance));
    let place = instance.place.as_ref().and_then(|place| {
        let agent = draft.world().agents.get(&place.agent)?;
        let host = agent.inventory.hostname.as_str().into();
        Some(Locus { key: agent.key, id: agent.id, host })
    });
    let exit = match fault {
        Fault::Ended => Some(Exit::of(task.end.as_deref(), task.started_at.is_some())),
        Fault::Lost => Some(Exit::Unknown),
        Fault::Unhealthy { .. } | Fault::Overdue { .. } => None,
    };
    let row = Autopsy {
        key: draft.index().autopsies.next(instance.key.app),
        slot: instance.key.no,
        instance: instance.id,
        task: task.name.clone(),
        incarnation: instance.incarnation,
        version: instance.version,
        during,
        agent: place,
        at: draft.now(),
        started_at: task.started_at,
        condition: task.condition,
        fault,
        message: cut(message, MAX_MESSAGE).into(),
        exit,
    };
    draft.put_autopsy(row);
    make_room(draft, instance.key.app);
}

/// Notes the end of a life that was ended for a fault; whether there was one to note it for.
pub fn close(draft: &mut Draft<'_>, instance: &Instance, task: &Task) -> bool {
    let Some(key) = draft.index().autopsies.open(instance.key) else { return false };
    let row = draft.world().autopsies.get(&key);
    let Some(row) = row.filter(|row| row.incarnation == instance.incarnation) else { return false };
    let exit = Exit::of(task.end.as_deref(), task.started_at.is_some());
    let row = Autopsy { exit: Some(exit), ..row.clone() };
    draft.put_autopsy(row);
    true
}

/// Removes all of an app that is forgotten.
pub fn forget(draft: &mut Draft<'_>, app: AppKey) {
    let all: Vec<AutopsyKey> = draft.index().autopsies.of(app).collect();
    for key in all {
        draft.remove(Key::Autopsy(key));
    }
}

/// What the checks of a task have condemned it for.
pub fn unhealthy(draft: &Draft<'_>, instance: &Instance, cause: &str) -> Fault {
    let condemned = health::condemned(draft.world(), instance);
    let row = draft.world().versions.get(&(instance.key.app, instance.version));
    let check = condemned.and_then(|it| row?.spec.health_checks.iter().nth(it.check));
    Fault::Unhealthy {
        check: check
            .map_or_else(String::new, |check| cut(&check.label(), MAX_WORD).to_owned())
            .into(),
        failures: condemned.map_or(0, |it| it.record.failures),
        cause: cut(cause, MAX_WORD).into(),
    }
}

/// Whether a deployment brings the configuration that an instance ran.
fn during(world: &World, app: &App, part: &Part, instance: &Instance) -> During {
    let row = part.to.and_then(|to| world.versions.get(&(app.key, to)));
    let brings = row.is_some_and(|row: &AppVersion| row.config == instance.config)
        && part.from.and_then(|from| world.versions.get(&(app.key, from))).is_none_or(|from| {
            // One that only scales brings nothing new.
            from.config != instance.config
        });
    During { deployment: part.deployment, brings }
}

fn make_room(draft: &mut Draft<'_>, app: AppKey) {
    for _ in 0..AT_ONCE {
        let Some(key) = draft.index().autopsies.surplus(app, draft.now()) else { return };
        draft.remove(Key::Autopsy(key));
    }
}
