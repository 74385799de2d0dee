//! How many tasks of an app are in which state (contract 5.11, HC-11).
//!
//! Counted when somebody asks: an app's instances are a range of the table, and a stored count would be one more thing
//! that can be wrong.

use crate::contract::show::task;
use crate::contract::show::text::Object;
use crate::model::condition::Condition;
use crate::model::id::AppKey;
use crate::model::instance::Instance;
use crate::model::world::World;

/// Tasks by state. A task that starts, is ending or is out of reach is in none of the first two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// On their way: nothing has been heard of them, or they are prepared.
    pub staged: u32,
    /// Running.
    pub running: u32,
    /// With health results, all good.
    pub healthy: u32,
    /// With a health result that is bad.
    pub unhealthy: u32,
}

// === impl Counts ===

impl Counts {
    /// Counts the tasks of an app.
    pub fn of(world: &World, app: AppKey) -> Counts {
        let mut counts = Counts::default();
        for instance in world.instances_of(app).filter(|instance| is_counted(instance)) {
            counts.add(instance);
        }
        counts
    }

    /// Counts one more instance.
    pub(super) fn add(&mut self, instance: &Instance) {
        match instance.condition() {
            Some(Condition::Provisioned | Condition::Staging) => self.staged += 1,
            Some(Condition::Running) => self.running += 1,
            Some(
                Condition::Starting
                | Condition::Killing
                | Condition::Unreachable
                | Condition::UnreachableInactive
                | Condition::Finished
                | Condition::Killed
                | Condition::Failed
                | Condition::Error
                | Condition::Gone
                | Condition::Dropped
                | Condition::Unknown,
            )
            | None => {}
        }
        let mut records = instance.findings().flat_map(|found| found.health.iter().flatten());
        if instance.fails() {
            self.unhealthy += 1;
        } else if records.next().is_some() {
            self.healthy += 1;
        }
    }

    /// The four members of an app.
    pub(super) fn write(self, out: &mut Object<'_>) {
        out.raw("tasksStaged", self.staged);
        out.raw("tasksRunning", self.running);
        out.raw("tasksHealthy", self.healthy);
        out.raw("tasksUnhealthy", self.unhealthy);
    }
}

/// Whether an instance counts: it is launched, and does not wait to be launched again.
pub(super) fn is_counted(instance: &Instance) -> bool {
    task::is_listed(instance) && !instance.is_scheduled()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::show::rig::{Rig, found};
    use crate::model::instance::StopWhy;

    fn counts(rig: &Rig) -> [u32; 4] {
        let counts = Counts::of(&rig.world, rig.app().key);
        [counts.staged, counts.running, counts.healthy, counts.unhealthy]
    }

    #[test]
    fn each_condition_counts_where_hc_11_says() {
        let staged = [Condition::Provisioned, Condition::Staging];
        for condition in Condition::ALL {
            let mut rig = Rig::new();
            rig.instance(1, condition);
            let expected = if staged.contains(&condition) {
                [1, 0, 0, 0]
            } else {
                [0, u32::from(condition == Condition::Running), 0, 0]
            };
            assert_eq!(counts(&rig), expected, "{condition:?}");
        }
    }

    #[test]
    fn health_counts_by_result_whatever_the_condition() {
        // HC-11: an instance without a result is in neither, one that is being killed still in its own.
        let mut rig = Rig::new();
        for (no, condition, health) in [
            (1, Condition::Running, None),
            (2, Condition::Running, Some(true)),
            (3, Condition::Running, Some(false)),
            (4, Condition::Killing, Some(true)),
        ] {
            rig.instance(no, condition);
            rig.change(no, |instance| instance.tasks[0].findings = Some(Box::new(found(health))));
        }
        assert_eq!(counts(&rig), [0, 3, 2, 1]);
    }

    #[test]
    fn what_waits_or_is_given_up_counts_nowhere() {
        let mut rig = Rig::new();
        rig.waiting(1);
        rig.instance(2, Condition::Failed);
        rig.change(2, |instance| instance.tasks[0].findings = Some(Box::new(found(Some(false)))));
        rig.instance(3, Condition::Running);
        rig.stop(3, StopWhy::Replaced);
        assert_eq!(counts(&rig), [0; 4]);
        // Somebody asked for its end: it is there until it ends.
        rig.instance(4, Condition::Running);
        rig.stop(4, StopWhy::Surplus);
        assert_eq!(counts(&rig), [0, 1, 0, 0]);
    }
}
