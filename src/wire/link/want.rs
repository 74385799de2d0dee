//! What an instance's row means for its agent.
//!
//! The one place where a want is made, and it reads stored rows alone: an order that is not durable cannot exist.

use bytes::Bytes;

use crate::model::have::{SpecKey, Want, WantGoal};
use crate::model::id::{AgentKey, InstanceKey};
use crate::model::instance::{Goal, Instance};
use crate::model::spec::Spec;
use crate::model::time::Span;
use crate::model::world::World;
use crate::wire::frame::MAX_SPEC;

/// What `agent` shall do about an instance whose definition grants `grace` to end; none when nothing of the instance is
/// expected there. An instance that ended is of no further concern: to clear up after it is the agent's own business.
pub fn want_of(instance: &Instance, grace: Span, agent: AgentKey) -> Option<Want> {
    let place = instance.place.as_ref().filter(|place| place.agent == agent)?;
    if instance.incarnation.0 == 0 || !instance.is_live() {
        return None;
    }
    let goal = match instance.goal {
        // What drains serves on: its agent is not told yet.
        Goal::Run | Goal::Stop { drains_until: Some(_), .. } => WantGoal::Run {
            version: instance.version,
            place: place.clone(),
            after: instance.after,
            findings: instance.tasks.first().and_then(|task| task.findings.clone()),
        },
        Goal::Stop { then: _, why, since: _, drains_until: None } => WantGoal::Stop { grace, why },
    };
    Some(Want {
        key: instance.key,
        instance: instance.id,
        incarnation: instance.incarnation,
        rev: instance.rev,
        lives: instance.lives,
        goal,
    })
}

/// What `agent` shall do about the instance under `key`, as the world has it.
pub fn want_in(world: &World, key: InstanceKey, agent: AgentKey) -> Option<Want> {
    let instance = world.instances.get(&key)?;
    let version = world.versions.get(&(key.app, instance.version));
    let grace = version.map_or(Spec::DEFAULT_GRACE, |version| version.spec.kill_grace());
    want_of(instance, grace, agent)
}

/// The definition that an agent must hold before it can act on `want`.
pub fn needs(want: &Want) -> Option<SpecKey> {
    match want.goal {
        WantGoal::Run { version, .. } => Some(SpecKey { app: want.key.app, version }),
        WantGoal::Stop { .. } | WantGoal::Forget => None,
    }
}

/// A definition as it travels: canonical JSON. None when it is not stored or too long for any frame, which the limit on
/// what a user may post prevents.
pub fn definition(world: &World, key: SpecKey) -> Option<Bytes> {
    let version = world.versions.get(&(key.app, key.version))?;
    let text = serde_json::to_vec(&version.spec).ok()?;
    (text.len() <= MAX_SPEC).then(|| Bytes::from(text))
}
