//! What is counted: requests here, the log and the brain through [`Gauges`]; what lies in the view is looked up when
//! somebody asks. How it is written down is not here.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use prometheus::proto::MetricFamily;
use prometheus::{Histogram, HistogramOpts, HistogramVec, IntGauge, IntGaugeVec, Opts, Registry};

use crate::control::gauges::Gauges;
use crate::model::condition::Condition;
use crate::model::time::Timestamp;
use crate::model::view::View;

const VALID: &str = "names are valid and each is registered once";

/// Method, route and status.
type Series = (&'static str, &'static str, u16);

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    /// The series that there are: the vector itself finds one by three texts.
    series: RwLock<BTreeMap<Series, Histogram>>,
    apps: IntGauge,
    deployments: IntGauge,
    agents: IntGauge,
    agents_lost: IntGauge,
    agents_draining: IntGauge,
    held: IntGauge,
    kills_held: IntGauge,
    instances: IntGaugeVec,
    queue_apps: IntGauge,
    queue_instances: IntGauge,
    backoff: IntGauge,
}

// === impl Metrics ===

impl Metrics {
    /// Nothing counted yet; `gauges` are read along.
    pub fn new(gauges: &Gauges) -> Metrics {
        let registry = Registry::new();
        for collector in gauges.collectors() {
            registry.register(collector).expect(VALID);
        }
        let requests = HistogramOpts::new(
            "stayer_http_request_seconds",
            "Requests by method, route and status, and how long their answers took.",
        )
        .buckets(vec![0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10.0]);
        let requests = HistogramVec::new(requests, &["method", "route", "status"]).expect(VALID);
        registry.register(Box::new(requests.clone())).expect(VALID);
        let instances = Opts::new("stayer_instances", "Instances by the condition of their task.");
        let instances = IntGaugeVec::new(instances, &["condition"]).expect(VALID);
        registry.register(Box::new(instances.clone())).expect(VALID);
        let gauge = |name, help| {
            let gauge = IntGauge::new(name, help).expect(VALID);
            registry.register(Box::new(gauge.clone())).expect(VALID);
            gauge
        };
        Metrics {
            apps: gauge("stayer_apps", "Apps."),
            deployments: gauge("stayer_deployments", "Running deployments."),
            agents: gauge("stayer_agents", "Agents that are heard."),
            agents_lost: gauge("stayer_agents_lost", "Agents that are not heard."),
            agents_draining: gauge("stayer_agents_draining", "Agents that are being emptied."),
            held: gauge(
                "stayer_replacement_held",
                "1 while nothing that was lost is replaced, since many agents were lost at once.",
            ),
            kills_held: gauge(
                "stayer_health_kills_held",
                "Apps whose health checks kill nothing, since many instances turned at once.",
            ),
            queue_apps: gauge("stayer_queue_apps", "Apps of which something waits."),
            queue_instances: gauge("stayer_queue_instances", "Instances that wait."),
            backoff: gauge("stayer_backoff_apps", "Apps whose next launch is delayed."),
            registry,
            requests,
            series: RwLock::default(),
            instances,
        }
    }

    /// Counts one answer.
    pub fn answered(&self, method: &'static str, route: &'static str, status: u16, seconds: f64) {
        let key = (method, route, status);
        let known = self.series.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(series) = known.get(&key) {
            return series.observe(seconds);
        }
        drop(known);
        let series = self.requests.with_label_values(&[method, route, &status.to_string()]);
        series.observe(seconds);
        self.series.write().unwrap_or_else(PoisonError::into_inner).insert(key, series);
    }

    /// Looks up what lies in the view.
    fn look(&self, view: &View, now: Timestamp) {
        let world = &view.world;
        let heard = world.agents.iter().filter(|(_, agent)| agent.is_heard()).count();
        self.agents.set(number(heard));
        self.agents_lost.set(number(world.agents.len() - heard));
        let draining = world.agents.iter().filter(|(_, agent)| agent.is_draining()).count();
        self.agents_draining.set(number(draining));
        let held = world.meta.as_ref().is_some_and(|meta| meta.brake.held.is_some());
        self.held.set(i64::from(held));
        let kills_held = world.apps.iter().filter(|(_, app)| app.health_brake.held.is_some());
        self.kills_held.set(number(kills_held.count()));
        self.deployments.set(number(world.deployments.len()));
        // Every series is there before its first instance.
        let mut conditions = [0; Condition::ALL.len()];
        let mut scheduled = 0;
        let (mut waiting, mut waiting_apps, mut last) = (0, 0, None);
        for (key, instance) in world.instances.iter() {
            match instance.condition() {
                Some(condition) => conditions[condition as usize] += 1,
                None => scheduled += 1,
            }
            if instance.is_scheduled() {
                waiting += 1;
                waiting_apps += i64::from(last != Some(key.app));
                last = Some(key.app);
            }
        }
        let named = Condition::ALL.iter().map(|condition| condition.as_str()).zip(conditions);
        for (condition, count) in named.chain([("Scheduled", scheduled)]) {
            self.instances.with_label_values(&[condition]).set(count);
        }
        self.queue_instances.set(waiting);
        self.queue_apps.set(waiting_apps);
        let (mut apps, mut delayed) = (0, 0);
        for app in world.live_apps() {
            apps += 1;
            let config = world.current(app).map(|row| row.config);
            let holds = app
                .backoffs
                .iter()
                .any(|backoff| Some(backoff.config) == config && backoff.until() > now);
            delayed += i64::from(holds);
        }
        self.apps.set(apps);
        self.backoff.set(delayed);
    }

    /// Everything counted, and what lies in the view.
    pub fn families(&self, view: &View, now: Timestamp) -> Vec<MetricFamily> {
        self.look(view, now);
        self.registry.gather()
    }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
