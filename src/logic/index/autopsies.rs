//! Which autopsies there are, and which of them has to go: what follows from their rows.
//!
//! Kept are those of the last day, of each app the newest [`MAX_PER_APP`], and in all [`MAX_IN_ALL`]: where that is too
//! little the app that has most gives its oldest, so that a crash loop does not push out what befell others.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::autopsy::{Autopsy, AutopsyKey, KEPT_FOR, MAX_PER_APP};
use crate::model::id::{AppKey, InstanceKey};
use crate::model::time::Timestamp;

/// So many are kept, whoever has them: about 4 MB.
pub const MAX_IN_ALL: usize = 20_000;

/// The autopsies by what is asked of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Autopsies {
    by_time: BTreeSet<(Timestamp, AutopsyKey)>,
    by_app: BTreeMap<AppKey, BTreeSet<u32>>,
    /// How many each app has.
    crowds: BTreeSet<(usize, AppKey)>,
    /// Those whose end is not known yet.
    open: BTreeSet<(InstanceKey, AutopsyKey)>,
}

// === impl Autopsies ===

impl Autopsies {
    /// A row came.
    pub fn add(&mut self, row: &Autopsy) {
        self.by_time.insert((row.at, row.key));
        self.recount(row.key.app, |of_app| of_app.insert(row.key.no));
        if row.is_open() {
            self.open.insert((row.instance_key(), row.key));
        }
    }

    /// A row left.
    pub fn remove(&mut self, row: &Autopsy) {
        self.by_time.remove(&(row.at, row.key));
        self.recount(row.key.app, |of_app| of_app.remove(&row.key.no));
        self.open.remove(&(row.instance_key(), row.key));
    }

    /// The key of an app's next one.
    pub fn next(&self, app: AppKey) -> AutopsyKey {
        let last = self.by_app.get(&app).and_then(BTreeSet::last);
        AutopsyKey { app, no: last.map_or(0, |no| no + 1) }
    }

    /// All of an app.
    pub fn of(&self, app: AppKey) -> impl Iterator<Item = AutopsyKey> {
        self.by_app.get(&app).into_iter().flatten().map(move |no| AutopsyKey { app, no: *no })
    }

    /// The newest of an instance whose end is not known yet.
    pub fn open(&self, instance: InstanceKey) -> Option<AutopsyKey> {
        let of_app = |no| (instance, AutopsyKey { app: instance.app, no });
        self.open.range(of_app(0)..=of_app(u32::MAX)).next_back().map(|(_, key)| *key)
    }

    /// One that has to go now that `app` has got another, if any has.
    pub fn surplus(&self, app: AppKey, now: Timestamp) -> Option<AutopsyKey> {
        let oldest = self.by_time.first().filter(|(at, _)| now > *at + KEPT_FOR);
        let of_app = || self.by_app.get(&app).filter(|of_app| of_app.len() > MAX_PER_APP);
        let first = |app: AppKey, of_app: &BTreeSet<u32>| {
            of_app.first().map(|no| AutopsyKey { app, no: *no })
        };
        let crowd = || {
            let (_, app) = self.crowds.last().filter(|_| self.by_time.len() > MAX_IN_ALL)?;
            first(*app, self.by_app.get(app)?)
        };
        oldest.map(|(_, key)| *key).or_else(|| first(app, of_app()?)).or_else(crowd)
    }

    fn recount(&mut self, app: AppKey, change: impl FnOnce(&mut BTreeSet<u32>) -> bool) {
        let of_app = self.by_app.entry(app).or_default();
        let before = of_app.len();
        change(of_app);
        let after = of_app.len();
        self.crowds.remove(&(before, app));
        if after > 0 {
            self.crowds.insert((after, app));
        } else {
            self.by_app.remove(&app);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::autopsy::Fault;
    use crate::model::condition::Condition;
    use crate::model::id::{APP_TASK, Incarnation, InstanceId, Version};
    use crate::model::time::Span;

    const AT: Timestamp = Timestamp::from_millis(1_600_000_000_000);

    fn row(app: u32, no: u32, at: Timestamp) -> Autopsy {
        Autopsy {
            key: AutopsyKey { app: AppKey(app), no },
            slot: 1,
            instance: InstanceId(uuid::Uuid::nil()),
            task: APP_TASK.into(),
            incarnation: Incarnation(1),
            version: Version(at),
            during: None,
            agent: None,
            at,
            started_at: None,
            condition: Condition::Failed,
            fault: Fault::Ended,
            message: "".into(),
            exit: None,
        }
    }

    /// The app that has most gives its oldest, so that one which crashes all the time pushes out itself.
    #[test]
    fn the_largest_crowd_gives_way() {
        let mut all = Autopsies::default();
        let per_app = u32::try_from(MAX_PER_APP).expect("a small number");
        let apps = u32::try_from(MAX_IN_ALL / MAX_PER_APP).expect("a small number");
        for app in 1..=apps {
            for no in 0..per_app {
                all.add(&row(app, no, AT));
            }
        }
        assert_eq!(all.surplus(AppKey(1), AT), None);
        all.remove(&row(2, 0, AT));
        all.add(&row(apps + 1, 0, AT));
        assert_eq!(all.surplus(AppKey(apps + 1), AT), None, "as many as before");
        all.add(&row(apps + 1, 1, AT));
        let gone = all.surplus(AppKey(apps + 1), AT).expect("one too many");
        assert_eq!((gone.app, gone.no), (AppKey(apps), 0));
        assert_eq!(all.next(AppKey(apps + 1)).no, 2);
        let late = AT + KEPT_FOR + Span::millis(1);
        assert_eq!(all.surplus(AppKey(1), late).map(|key| key.app), Some(AppKey(1)), "outdated");
    }
}
