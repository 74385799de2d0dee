//! `/metrics`: what is counted, as Prometheus text or as Marathon's JSON document (contract 12.5).
//!
//! Requests are counted here; the log and the brain count through [`Gauges`]; what lies in the view is looked up when
//! somebody asks.

use axum::http::StatusCode;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use prometheus::{HistogramOpts, HistogramVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use serde_json::{Map, Value, json};

use crate::api::accept;
use crate::api::call::{Api, Call};
use crate::api::gauges::Gauges;
use crate::api::reply::{self, Outcome};
use crate::model::instance::Condition;
use crate::model::time::Timestamp;
use crate::model::view::View;

/// The media type of the text exposition.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";
const VALID: &str = "names are valid and each is registered once";

/// All conditions, so that a series is there before its first instance.
const CONDITIONS: [Condition; 14] = [
    Condition::Provisioned,
    Condition::Staging,
    Condition::Starting,
    Condition::Running,
    Condition::Killing,
    Condition::Unreachable,
    Condition::UnreachableInactive,
    Condition::Finished,
    Condition::Killed,
    Condition::Failed,
    Condition::Error,
    Condition::Gone,
    Condition::Dropped,
    Condition::Unknown,
];

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: HistogramVec,
    apps: IntGauge,
    deployments: IntGauge,
    agents: IntGauge,
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
            queue_apps: gauge("stayer_queue_apps", "Apps of which something waits."),
            queue_instances: gauge("stayer_queue_instances", "Instances that wait."),
            backoff: gauge("stayer_backoff_apps", "Apps whose next launch is delayed."),
            registry,
            requests,
            instances,
        }
    }

    /// Counts one answer.
    pub fn answered(&self, method: &str, route: &str, status: u16, seconds: f64) {
        self.requests.with_label_values(&[method, route, &status.to_string()]).observe(seconds);
    }

    /// Looks up what lies in the view.
    fn look(&self, view: &View, now: Timestamp) {
        let world = &view.world;
        let heard = world.agents.iter().filter(|(_, agent)| agent.is_heard()).count();
        self.agents.set(number(heard));
        self.deployments.set(number(world.deployments.len()));
        self.instances.reset();
        for condition in CONDITIONS {
            self.instances.with_label_values(&[condition.as_str()]).set(0);
        }
        let (mut waiting, mut waiting_apps, mut last) = (0, 0, None);
        for (key, instance) in world.instances.iter() {
            let condition = instance.condition().map_or("Scheduled", Condition::as_str);
            self.instances.with_label_values(&[condition]).inc();
            if instance.is_scheduled() {
                waiting += 1;
                waiting_apps += i64::from(last != Some(key.app));
                last = Some(key.app);
            }
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

    fn families(&self, view: &View, now: Timestamp) -> Vec<MetricFamily> {
        self.look(view, now);
        self.registry.gather()
    }
}

/// `/metrics`: text, or Marathon's document for those who prefer JSON.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "server",
    responses((status = 200, description = "Prometheus text, or Marathon's JSON where `Accept` prefers it", body = String, content_type = "text/plain")),
)]
pub fn get(api: &Api, call: &Call) -> Outcome {
    match accept::choose(&call.headers, &[accept::TEXT, accept::JSON]) {
        Some(accept::JSON) => {
            let families = api.metrics().families(&api.view(), api.now());
            Ok(reply::json_text(document(&families).to_string()))
        }
        _ => prometheus(api),
    }
}

/// `/metrics/prometheus`: the text always.
#[utoipa::path(
    get,
    path = "/metrics/prometheus",
    operation_id = "getPrometheusMetrics",
    tag = "server",
    responses((status = 200, description = "Prometheus text", body = String, content_type = "text/plain")),
)]
pub fn prometheus(api: &Api) -> Outcome {
    let families = api.metrics().families(&api.view(), api.now());
    let text = TextEncoder::new()
        .encode_to_string(&families)
        .map_err(|error| reply::say(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))?;
    Ok(reply::with_type(StatusCode::OK, EXPOSITION, text))
}

/// Marathon's document, under Marathon's names where it had one for the same thing.
fn document(families: &[MetricFamily]) -> Value {
    let (mut counters, mut gauges, mut histograms) = (Map::new(), Map::new(), Map::new());
    for family in families {
        for metric in family.get_metric() {
            let name = name_of(family.name(), metric);
            match family.get_field_type() {
                MetricType::COUNTER => {
                    counters.insert(name, json!({ "count": metric.get_counter().get_value() }));
                }
                MetricType::HISTOGRAM => {
                    histograms.insert(name, distribution(metric));
                }
                MetricType::GAUGE | MetricType::SUMMARY | MetricType::UNTYPED => {
                    gauges.insert(name, json!({ "value": metric.get_gauge().get_value() }));
                }
            }
        }
    }
    json!({
        "version": "4.0.0",
        "counters": counters,
        "gauges": gauges,
        "histograms": histograms,
        "meters": {},
        "timers": {},
    })
}

fn name_of(family: &str, metric: &Metric) -> String {
    let labels: Vec<&str> =
        metric.get_label().iter().map(prometheus::proto::LabelPair::value).collect();
    match (family, labels.as_slice()) {
        ("stayer_apps", []) => "marathon.apps.active.gauge".to_owned(),
        ("stayer_deployments", []) => "marathon.deployments.active.gauge".to_owned(),
        ("stayer_instances", ["Running"]) => "marathon.instances.running.gauge".to_owned(),
        ("stayer_instances", ["Staging"]) => "marathon.instances.staged.gauge".to_owned(),
        (family, []) => family.to_owned(),
        (family, labels) => format!("{family}.{}", labels.join(".")),
    }
}

/// A distribution as far as its buckets tell: a percentile is the upper bound of the bucket that holds it.
fn distribution(metric: &Metric) -> Value {
    let histogram = metric.get_histogram();
    let (count, sum) = (histogram.get_sample_count(), histogram.get_sample_sum());
    let percentile = |per_mille: u64| {
        let rank = (count * per_mille).div_ceil(1_000);
        let holding =
            histogram.get_bucket().iter().find(|bucket| bucket.cumulative_count() >= rank);
        holding
            .or(histogram.get_bucket().last())
            .map_or(0.0, prometheus::proto::Bucket::upper_bound)
    };
    #[expect(clippy::cast_precision_loss, reason = "a mean for people")]
    let mean = if count == 0 { 0.0 } else { sum / count as f64 };
    json!({
        "count": count,
        "mean": mean,
        "p50": percentile(500),
        "p75": percentile(750),
        "p95": percentile(950),
        "p98": percentile(980),
        "p99": percentile(990),
        "p999": percentile(999),
    })
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
