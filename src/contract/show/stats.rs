//! Statistics of an app's tasks, for `embed=taskStats` (contract 5.12).
//!
//! The latest configuration is what the app asks for now: after a way back to an earlier definition, instances that run
//! it already are not outdated, although their version is older than the last change.

use crate::contract::show::counts::{self, Counts};
use crate::contract::show::text::{self, Object};
use crate::model::app::{App, AppVersion};
use crate::model::instance::Instance;
use crate::model::time::{Span, Timestamp};
use crate::model::world::World;

/// `taskStats` of an app.
pub(super) fn task_stats(world: &World, app: &App, now: Timestamp) -> String {
    let launched: Vec<&Instance> =
        world.instances_of(app.key).filter(|instance| counts::is_counted(instance)).collect();
    text::object_text(|object| {
        if let Some(current) = world.current(app) {
            by_definition(object, current, &launched, now);
        }
        bucket(object, "totalSummary", launched, now);
    })
}

fn by_definition(
    object: &mut Object<'_>,
    current: &AppVersion,
    launched: &[&Instance],
    now: Timestamp,
) {
    let all = || launched.iter().copied();
    let scaled = all().filter(|instance| instance.version.0 >= current.last_scaling_at).collect();
    let (latest, outdated) = all().partition(|instance| instance.config == current.config);
    bucket(object, "startedAfterLastScaling", scaled, now);
    bucket(object, "withLatestConfig", latest, now);
    bucket(object, "withOutdatedConfig", outdated, now);
}

fn bucket(object: &mut Object<'_>, key: &str, instances: Vec<&Instance>, now: Timestamp) {
    if instances.is_empty() {
        return;
    }
    let mut counts = Counts::default();
    let mut lives = Vec::new();
    for instance in instances {
        counts.add(instance);
        lives.extend(instance.started_at().map(|start| now.since(start)));
    }
    object.object(key, |bucket| {
        bucket.object("stats", |stats| {
            stats.object("counts", |object| {
                object.raw("staged", counts.staged);
                object.raw("running", counts.running);
                object.raw("healthy", counts.healthy);
                object.raw("unhealthy", counts.unhealthy);
            });
            life_time(stats, lives);
        });
    });
}

fn life_time(stats: &mut Object<'_>, mut lives: Vec<Span>) {
    lives.sort_unstable();
    let count = lives.len() as u64;
    let (Some(low), Some(high)) =
        (lives.get(lives.len().saturating_sub(1) / 2), lives.get(lives.len() / 2))
    else {
        return;
    };
    let sum: u64 = lives.iter().map(|life| life.as_millis()).sum();
    stats.object("lifeTime", |object| {
        object.double("averageSeconds", seconds(sum / count));
        object.double("medianSeconds", seconds(u64::midpoint(low.as_millis(), high.as_millis())));
    });
}

/// Seconds with the milliseconds that are not zero.
fn seconds(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1_000, millis % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::show::rig::{Rig, at};
    use crate::model::id::Version;
    use crate::model::instance::Condition;

    #[test]
    fn a_bucket_without_tasks_is_absent_and_the_median_lies_in_the_middle() {
        let mut rig = Rig::new();
        assert_eq!(task_stats(&rig.world, rig.app(), at(0)), "{}");
        for (no, started) in [(1, 1_000), (2, 2_000), (3, 2_500), (4, 9_500)] {
            rig.instance(no, Condition::Running);
            rig.change(no, |instance| instance.tasks[0].started_at = Some(at(started)));
        }
        rig.change(4, |instance| instance.config = Version(at(-5)));
        let stats: serde_json::Value =
            serde_json::from_str(&task_stats(&rig.world, rig.app(), at(10_000))).expect("JSON");
        assert_eq!(stats["totalSummary"]["stats"]["lifeTime"]["averageSeconds"], 6.25);
        assert_eq!(stats["totalSummary"]["stats"]["lifeTime"]["medianSeconds"], 7.75);
        assert_eq!(stats["withLatestConfig"]["stats"]["lifeTime"]["medianSeconds"], 8.0);
        assert_eq!(stats["withLatestConfig"]["stats"]["counts"]["running"], 3);
        assert_eq!(stats["withOutdatedConfig"]["stats"]["lifeTime"]["averageSeconds"], 0.5);
        assert_eq!(stats["startedAfterLastScaling"]["stats"]["counts"]["running"], 4);
    }

    #[test]
    fn without_a_start_there_is_no_life_time() {
        let mut rig = Rig::new();
        rig.instance(1, Condition::Staging);
        rig.change(1, |instance| instance.tasks[0].started_at = None);
        let stats = task_stats(&rig.world, rig.app(), at(0));
        assert!(stats.contains(r#""totalSummary":{"stats":{"counts":{"staged":1,"#), "{stats}");
        assert!(!stats.contains("lifeTime"), "{stats}");
    }
}
