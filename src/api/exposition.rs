//! `/metrics`: what is counted, as Prometheus text or as Marathon's JSON document (contract 12.5).

use axum::http::StatusCode;
use prometheus::TextEncoder;
use prometheus::proto::{Metric, MetricFamily, MetricType};
use serde_json::{Map, Value, json};

use crate::api::accept;
use crate::api::call::{Api, Call};
use crate::api::reply::{self, Outcome};

/// The media type of the text exposition.
const EXPOSITION: &str = "text/plain; version=0.0.4; charset=utf-8";

/// `/metrics`: text, or Marathon's document for those who prefer JSON.
#[utoipa::path(
    get,
    path = "/metrics",
    operation_id = "getMetrics",
    tag = "server",
    responses((status = 200, description = "Prometheus text, or Marathon's JSON where `Accept` prefers it", content((String = "text/plain"), (Value = "application/json")))),
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
        ("stayer_event_consumers", []) => "marathon.http.event-streams.active.gauge".to_owned(),
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
