//! How the instances of each app stand, what waits to be launched, which service ports are taken, and which apps are
//! removed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::logic::health;
use crate::logic::index::census::Census;
use crate::logic::index::timers::instance_due;
use crate::model::app::App;
use crate::model::id::{AppKey, InstanceKey};
use crate::model::instance::Instance;
use crate::model::time::Timestamp;
use crate::model::world::World;

/// Facts about apps that would cost a scan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AppUses {
    waiting: BTreeSet<Waiting>,
    uses: BTreeMap<AppKey, AppUse>,
    service_ports: BTreeMap<u16, u32>,
    removed: BTreeSet<(Timestamp, AppKey)>,
}

/// An app that waits, in the order in which waiting apps are served: priority first, then age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Waiting {
    priority: Reverse<i16>,
    since: Timestamp,
    app: AppKey,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct AppUse {
    priority: i16,
    scheduled: BTreeSet<(Timestamp, u32)>,
    due: BTreeSet<(Timestamp, u32)>,
    census: Census,
    /// Instances that a check has condemned.
    condemned: BTreeSet<u32>,
    /// When those that are not alive any more turned.
    turned: BTreeSet<(Timestamp, u32)>,
}

// === impl AppUses ===

impl AppUses {
    /// The apps that wait, in the order in which they are served.
    pub fn waiting(&self) -> impl Iterator<Item = AppKey> + '_ {
        self.waiting.iter().map(|waiting| waiting.app)
    }

    /// How many apps wait.
    pub fn waiting_count(&self) -> usize {
        self.waiting.len()
    }

    /// Since when the oldest waiting instance of an app waits.
    pub fn waits_since(&self, app: AppKey) -> Option<Timestamp> {
        self.uses.get(&app)?.scheduled.first().map(|(since, _)| *since)
    }

    /// The numbers of an app's waiting instances, the longest waiting first.
    pub fn scheduled(&self, app: AppKey) -> impl Iterator<Item = u32> + '_ {
        self.uses.get(&app).into_iter().flat_map(|used| used.scheduled.iter().map(|(_, no)| *no))
    }

    /// How an app's instances stand.
    pub fn census(&self, app: AppKey) -> Census {
        self.uses.get(&app).map(|used| used.census).unwrap_or_default()
    }

    /// The instances of an app about which time alone has something to change until `now`.
    pub fn due(&self, app: AppKey, now: Timestamp) -> impl Iterator<Item = InstanceKey> + '_ {
        let due = self.uses.get(&app).into_iter().flat_map(|used| &used.due);
        due.take_while(move |(at, _)| *at <= now).map(move |(_, no)| InstanceKey { app, no: *no })
    }

    /// The apps about which time alone had something to change until `now`. Costs what there are of them.
    pub fn overdue(&self, now: Timestamp) -> impl Iterator<Item = AppKey> + '_ {
        let due = move |used: &AppUse| used.due.first().is_some_and(|(at, _)| *at <= now);
        self.uses.iter().filter(move |(_, used)| due(used)).map(|(app, _)| *app)
    }

    /// The instances of an app that are to be killed since a check failed too often.
    pub fn condemned(&self, app: AppKey) -> impl Iterator<Item = InstanceKey> + '_ {
        let condemned = self.uses.get(&app).into_iter().flat_map(|used| &used.condemned);
        condemned.map(move |no| InstanceKey { app, no: *no })
    }

    /// When those of an app's instances that run and are not alive any more turned, the last first.
    pub fn turned(&self, app: AppKey) -> impl Iterator<Item = Timestamp> + '_ {
        let turned = self.uses.get(&app).into_iter().flat_map(|used| used.turned.iter().rev());
        turned.map(|(at, _)| *at)
    }

    /// Whether any app names this service port.
    pub fn has_service_port(&self, port: u16) -> bool {
        self.service_ports.contains_key(&port)
    }

    /// The removed apps, the longest removed first.
    pub fn removed(&self) -> impl ExactSizeIterator<Item = AppKey> + '_ {
        self.removed.iter().map(|(_, app)| *app)
    }

    /// Follows an instance that leaves or changes.
    pub fn remove_instance(&mut self, world: &World, instance: &Instance) {
        let app = instance.key.app;
        self.serve_not(app);
        if let Some(used) = self.uses.get_mut(&app) {
            used.census.remove(instance);
            used.scheduled.remove(&(instance.since, instance.key.no));
            used.condemned.remove(&instance.key.no);
            if let Some(at) = health::turned(instance) {
                used.turned.remove(&(at, instance.key.no));
            }
            if let Some(at) = instance_due(world, instance) {
                used.due.remove(&(at, instance.key.no));
            }
        }
        self.serve(app);
        self.drop_empty(app);
    }

    /// Follows an instance that comes or has changed.
    pub fn add_instance(&mut self, world: &World, instance: &Instance) {
        let app = instance.key.app;
        self.serve_not(app);
        let used = self.uses.entry(app).or_default();
        used.census.add(instance);
        if let Some(at) = instance_due(world, instance) {
            used.due.insert((at, instance.key.no));
        }
        if health::condemned(world, instance).is_some() {
            used.condemned.insert(instance.key.no);
        }
        if let Some(at) = health::turned(instance) {
            used.turned.insert((at, instance.key.no));
        }
        if instance.is_scheduled() {
            used.scheduled.insert((instance.since, instance.key.no));
        }
        self.serve(app);
    }

    /// Follows an app that leaves or changes.
    pub fn remove_app(&mut self, world: &World, app: &App) {
        if let Some(removed) = app.removed {
            self.removed.remove(&(removed, app.key));
            return;
        }
        let Some(row) = world.current(app) else { return };
        for port in row.spec.service_ports().into_iter().filter(|port| *port != 0) {
            if let Some(count) = self.service_ports.get_mut(&port) {
                *count -= 1;
                if *count == 0 {
                    self.service_ports.remove(&port);
                }
            }
        }
        self.set_priority(app.key, 0);
    }

    /// Follows an app that comes or has changed.
    pub fn add_app(&mut self, world: &World, app: &App) {
        if let Some(removed) = app.removed {
            self.removed.insert((removed, app.key));
            return;
        }
        let Some(row) = world.current(app) else { return };
        for port in row.spec.service_ports().into_iter().filter(|port| *port != 0) {
            *self.service_ports.entry(port).or_insert(0) += 1;
        }
        self.set_priority(app.key, row.spec.priority);
    }

    fn set_priority(&mut self, app: AppKey, priority: i16) {
        self.serve_not(app);
        self.uses.entry(app).or_default().priority = priority;
        self.serve(app);
        self.drop_empty(app);
    }

    fn serve(&mut self, app: AppKey) {
        if let Some(waiting) = self.place_in_line(app) {
            self.waiting.insert(waiting);
        }
    }

    fn serve_not(&mut self, app: AppKey) {
        if let Some(waiting) = self.place_in_line(app) {
            self.waiting.remove(&waiting);
        }
    }

    fn place_in_line(&self, app: AppKey) -> Option<Waiting> {
        let used = self.uses.get(&app)?;
        let (since, _) = *used.scheduled.first()?;
        Some(Waiting { priority: Reverse(used.priority), since, app })
    }

    fn drop_empty(&mut self, app: AppKey) {
        if self.uses.get(&app).is_some_and(|used| *used == AppUse::default()) {
            self.uses.remove(&app);
        }
    }
}
