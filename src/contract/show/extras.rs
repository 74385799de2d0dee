//! What live state adds to a definition, as far as a client asks for it (contract 5.10, 17.1).

use crate::contract::query::Embed;
use crate::contract::show::counts::Counts;
use crate::contract::show::text::Object;
use crate::contract::show::{checks, failure, stats, task};
use crate::model::app::App;
use crate::model::id::DeploymentId;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// What is added to one definition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// How many tasks are in which state.
    pub counts: Option<Counts>,
    /// The deployments that hold the app.
    pub deployments: Option<Vec<DeploymentId>>,
    /// Results of readiness checks, a JSON list.
    pub readiness: Option<String>,
    /// Its tasks, a JSON list.
    pub tasks: Option<String>,
    /// Its last failure, a JSON object.
    pub last_failure: Option<String>,
    /// Statistics, a JSON object.
    pub stats: Option<String>,
}

// === impl Extras ===

impl Extras {
    /// What `embed` asks for about `app`. Lifetimes in statistics end at `now`.
    pub fn of(world: &World, app: &App, embed: Embed, now: Timestamp) -> Extras {
        Extras {
            counts: embed.counts.then(|| Counts::of(world, app.key)),
            deployments: embed
                .deployments
                .then(|| app.part.iter().map(|part| part.deployment).collect()),
            readiness: embed.readiness.then(|| checks::readiness_list(world, app)),
            tasks: embed.tasks.then(|| task::list(world, app)),
            last_failure: app
                .last_failure
                .as_ref()
                .filter(|_| embed.last_failure)
                .map(|last| failure::last_task_failure(app, last)),
            stats: embed.stats.then(|| stats::task_stats(world, app, now)),
        }
    }

    /// What the answer to a POST has: nothing runs, and this deployment works on it (contract 3.2).
    pub fn created(deployment: DeploymentId) -> Extras {
        Extras {
            counts: Some(Counts::default()),
            deployments: Some(vec![deployment]),
            ..Extras::default()
        }
    }

    /// Writes the members that there are.
    pub(super) fn write(&self, out: &mut Object<'_>) {
        if let Some(counts) = self.counts {
            counts.write(out);
        }
        if let Some(deployments) = &self.deployments {
            out.objects("deployments", deployments, |object, id| object.plain("id", id));
        }
        out.raw_if("readinessCheckResults", self.readiness.as_ref());
        out.raw_if("tasks", self.tasks.as_ref());
        out.raw_if("lastTaskFailure", self.last_failure.as_ref());
        // The original writes `tasksStats`, which no client reads and which breaks one (contract 5.10).
        out.raw_if("taskStats", self.stats.as_ref());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::show::rig::{Rig, at};
    use crate::contract::show::text;

    fn keys(rig: &Rig, embed: Embed) -> Vec<String> {
        let extras = Extras::of(&rig.world, rig.app(), embed, at(0));
        let text = text::object_text(|object| extras.write(object));
        let value: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&text).expect("JSON");
        value.keys().cloned().collect()
    }

    #[test]
    fn each_embed_adds_its_own_members() {
        let mut rig = Rig::new();
        let counts = ["tasksHealthy", "tasksRunning", "tasksStaged", "tasksUnhealthy"];
        for (value, expected) in [
            ("app.counts", &counts[..]),
            ("apps.deployments", &["deployments"]),
            ("tasks", &["deployments", "tasks"]),
            ("group.apps.readiness", &["readinessCheckResults"]),
            ("lastTaskFailure", &[]),
            ("taskStats", &["taskStats"]),
        ] {
            assert_eq!(keys(&rig, Embed::parse([value])), expected, "{value}");
        }
        // There is one now (5.13).
        rig.fail();
        assert_eq!(keys(&rig, Embed::parse(["lastTaskFailure"])), ["lastTaskFailure"]);
        assert_eq!(keys(&rig, Embed::parse(["deployments"])), ["deployments"]);
    }
}
