//! `stayer deploy --strategy …`: a client of `/v2/deploys`, where the server brings a new definition into service step by
//! step. Here it is asked for and followed; what happens is decided there.

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use crate::cli::client::Ask;
use crate::cli::deploy::ending::Ending;
use crate::cli::deploy::{Limits, OnFailure};
use crate::cli::duration;
use crate::cli::failure::Failure;
use crate::cli::table::printable;
use crate::cli::talk::{list, number, text};

/// How a new definition comes into service.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Strategy")]
pub struct StrategyArgs {
    /// How the new definition comes into service [default: one rolling deployment]
    #[arg(long, env = "STAYER_STRATEGY", value_name = "HOW")]
    pub strategy: Option<Strategy>,
    /// How far the new app grows in each step, as in 5%,25%,100% or 1,10 [default: the strategy's own]
    #[arg(
        long,
        env = "STAYER_STEPS",
        value_name = "STEPS",
        value_delimiter = ',',
        requires = "strategy"
    )]
    steps: Vec<String>,
    /// How long each step is watched, as in 60s [default: 60s for canary, else not at all]
    #[arg(
        long,
        env = "STAYER_HOLD",
        value_name = "TIME",
        value_parser = duration::seconds,
        requires = "strategy"
    )]
    hold: Option<u64>,
    /// What Prometheus must say at the end of each step: 'prometheus=URL query=PROMQL max=NUMBER', or min, or both
    /// [default: nothing is asked]
    #[arg(long, env = "STAYER_ANALYSIS", value_name = "WHAT", value_parser = analysis, requires = "strategy")]
    analysis: Option<Value>,
}

/// How a new definition comes into service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Strategy {
    /// The app itself is changed, then watched
    Rolling,
    /// A second app grows beside the one that serves, and takes its place
    BlueGreen,
    /// The same with small first steps, each of which is watched
    Canary,
}

// === impl StrategyArgs ===

impl StrategyArgs {
    /// The request for a deploy of the app in `file`.
    ///
    /// # Errors
    /// When that is no app.
    pub fn request(
        &self,
        strategy: Strategy,
        file: &str,
        limits: &Limits,
        force: bool,
    ) -> Result<Ask, Failure> {
        let app: Value = serde_json::from_str(file)
            .ok()
            .filter(Value::is_object)
            .ok_or_else(|| Failure::Usage("--strategy takes a file with one app".to_owned()))?;
        let mut body = json!({"app": app, "strategy": strategy.as_str()});
        let steps = Some(&self.steps).filter(|steps| !steps.is_empty());
        let members = [
            ("steps", steps.map(|steps| json!(steps))),
            ("hold", self.hold.map(Value::from)),
            ("analysis", self.analysis.clone()),
            ("deadlineSeconds", limits.deadline.map(Value::from)),
            ("maxFailures", limits.max_failures.map(Value::from)),
            ("onFailure", limits.on_failure.map(OnFailure::as_str).map(Value::from)),
        ];
        for (key, value) in members {
            if let Some(value) = value {
                body[key] = value;
            }
        }
        let ask = Ask::new(Method::POST, "/v2/deploys").with("force", force.to_string());
        Ok(ask.body(body.to_string()))
    }
}

// === impl Strategy ===

impl Strategy {
    const fn as_str(self) -> &'static str {
        match self {
            Strategy::Rolling => "rolling",
            Strategy::BlueGreen => "blue-green",
            Strategy::Canary => "canary",
        }
    }
}

/// What a state of a deploy means, where it is the end of waiting for it.
pub fn ending(deploy: &Value) -> Option<Ending> {
    Some(match text(deploy, "state").as_str() {
        "done" => Ending::Done,
        "rolledBack" => Ending::RolledBack,
        "rollbackStuck" => Ending::RollbackFailed,
        "paused" => Ending::Paused,
        "failed" => Ending::Failed,
        "replaced" => Ending::Superseded,
        _ if deploy.get("over") == Some(&Value::Bool(true)) => Ending::NotRunning,
        _ => return None,
    })
}

/// Where a deploy stands, in a line.
pub fn line(deploy: &Value) -> String {
    let none = Value::Null;
    let half = |key: &str| {
        let half = deploy.get(key).unwrap_or(&none);
        let (id, instances) = (text(half, "app"), number(half, "instances"));
        (!id.is_empty()).then(|| format!("{id} {} of {instances} healthy", number(half, "healthy")))
    };
    let halves: Vec<String> = ["new", "old"].into_iter().filter_map(half).collect();
    let (step, steps) = (number(deploy, "step"), list(deploy, "steps").len());
    let at = if steps > 0 { format!(", step {step} of {steps}") } else { String::new() };
    printable(&format!("{}{at}: {}", text(deploy, "state"), halves.join(", ")))
}

/// Why it stands as it does.
pub fn cause(deploy: &Value) -> Option<String> {
    deploy.get("cause").map(|cause| text(cause, "text")).filter(|cause| !cause.is_empty())
}

/// `key=value` pairs; a value goes on to the next key that there is, so that a query needs no quotes of its own.
fn analysis(given: &str) -> Result<Value, String> {
    const KEYS: [&str; 5] = ["prometheus", "query", "max", "min", "intervalSeconds"];
    let mut members: Vec<(&str, String)> = Vec::new();
    for word in given.split_whitespace() {
        let begins = word.split_once('=').and_then(|(key, value)| {
            KEYS.iter().find(|known| **known == key).map(|known| (*known, value))
        });
        match (begins, members.last_mut()) {
            (Some((key, value)), _) => members.push((key, value.to_owned())),
            (None, Some((_, value))) => *value = format!("{value} {word}"),
            (None, None) => return Err(format!("{word:?} is none of {}", KEYS.join(", "))),
        }
    }
    let mut body = json!({});
    for (key, value) in members {
        body[key] = match key {
            "prometheus" | "query" => Value::String(value),
            _ => serde_json::from_str(&value)
                .ok()
                .filter(Value::is_number)
                .ok_or_else(|| format!("{key} is no number: {value:?}"))?,
        };
    }
    for needed in ["prometheus", "query"] {
        if body.get(needed).is_none() {
            return Err(format!("{needed}=… is missing"));
        }
    }
    if body.get("max").is_none() && body.get("min").is_none() {
        return Err("max=… or min=… is missing".to_owned());
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_analysis_is_pairs_and_its_query_may_have_spaces() {
        let given = r#"prometheus=http://p:9090 query=sum(rate(errors{app="a"}[1m])) / sum(x == 1) max=0.01"#;
        let expected = json!({"prometheus": "http://p:9090",
            "query": r#"sum(rate(errors{app="a"}[1m])) / sum(x == 1)"#, "max": 0.01});
        assert_eq!(analysis(given), Ok(expected));
        for wrong in
            ["", "x=1", "prometheus=p query=q", "prometheus=p query=q max=much", "query=q max=1"]
        {
            assert!(analysis(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_state_that_ends_the_wait_has_its_ending() {
        let of = |state: &str| ending(&json!({"state": state}));
        let rows = [
            ("done", Some(Ending::Done)),
            ("rolledBack", Some(Ending::RolledBack)),
            ("rollbackStuck", Some(Ending::RollbackFailed)),
            ("paused", Some(Ending::Paused)),
            ("failed", Some(Ending::Failed)),
            ("replaced", Some(Ending::Superseded)),
            ("holding", None),
            ("rollingBack", None),
        ];
        for (state, ending) in rows {
            assert_eq!(of(state), ending, "{state}");
        }
        assert_eq!(ending(&json!({"state": "new one", "over": true})), Some(Ending::NotRunning));
    }
}
