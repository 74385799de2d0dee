//! The shapes of bodies about deploys.

use serde_json::Value;
use utoipa::ToSchema;

schemas! {
    /// Deploys.
    Deploys {
        /// Oldest first.
        deploys: Vec<Deploy>,
    }
    /// An app and how it comes into service. `docs/deploys.md` says what each member does.
    DeployRequest {
        /// The definition.
        app: super::App,
        /// `rolling`, `blue-green` or `canary`.
        #[schema(example = "canary")]
        strategy: String,
        /// Shares such as `25%`, or numbers of instances.
        steps: Option<Vec<Value>>,
        /// Seconds, or a text such as `90s`, `5m`, `1h`.
        hold: Option<Value>,
        /// A question to Prometheus at the end of each hold.
        analysis: Option<DeployAnalysis>,
        /// How long each step may take, its hold not counted.
        #[schema(default = 600)]
        deadline_seconds: Option<u32>,
        /// So many failed instances are forgiven in each step.
        #[schema(default = 0)]
        max_failures: Option<u32>,
        /// `rollback`, `pause` or `none`.
        #[schema(default = "rollback")]
        on_failure: Option<String>,
    }
    /// A question to Prometheus, and which answers pass.
    DeployAnalysis {
        /// Where it is.
        #[schema(example = "http://prometheus:9090")]
        prometheus: String,
        /// What it is asked.
        query: String,
        /// The least that passes.
        min: Option<f64>,
        /// The most that passes.
        max: Option<f64>,
        /// After an answer that says nothing it is asked again.
        #[schema(default = 5)]
        interval_seconds: Option<u32>,
        /// Only in answers: what was found last: `outcome`, and `least` and `most` or `text`.
        last: Option<Value>,
    }
    /// A deploy.
    Deploy {
        /// Its id.
        id: String,
        /// The app as it was asked for.
        app: String,
        /// `rolling`, `blue-green` or `canary`.
        strategy: String,
        /// `growing`, `shrinking`, `holding`, `analysing`, `passed`, `finishing`, `paused`, `rollingBack`, `rollbackStuck`, `done`,
        /// `rolledBack`, `failed` or `replaced`.
        state: String,
        /// Whether it changes nothing any more.
        over: bool,
        /// Why it does not go on as asked: `kind`, `text`, and the `app` that it is about.
        cause: Option<Value>,
        /// The deploy that has taken its place.
        replaced_by: Option<String>,
        /// In which step it is, from 1.
        step: u32,
        /// `at` and `instances` each.
        steps: Vec<Value>,
        /// How many shall serve in the end.
        target: u32,
        /// What served before: `app`, `instances`, `healthy`.
        old: Option<Value>,
        /// What shall serve: `app`, `instances`, `healthy`.
        new: Value,
        /// The deployment that carries out the present move.
        deployment: Option<String>,
        /// How long the step is watched.
        until: Option<String>,
        /// How long the step may take.
        deadline: Option<String>,
        /// Seconds.
        hold: u32,
        /// Seconds.
        deadline_seconds: u32,
        /// So many failed instances are forgiven in each step.
        max_failures: u32,
        /// How many have failed in this one.
        failures: u32,
        /// `rollback`, `pause` or `none`.
        on_failure: String,
        /// The question at the end of each hold.
        analysis: Option<DeployAnalysis>,
        /// When it was accepted.
        started_at: String,
        /// Since when it is in its state.
        changed_at: String,
    }
}
