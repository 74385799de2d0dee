//! Shapes of deployments on their way, of what became of them, and of when one fails.

use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

/// When the deployment of a write counts as failed. What is not given here the app's `upgradeStrategy` says.
#[derive(IntoParams)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub struct FailurePolicy {
    /// it shall be done within so many seconds
    pub deadline_seconds: Option<u32>,
    /// so many failed lives of what it brings are borne
    pub max_failures: Option<u32>,
    /// what follows else: `rollback`, `pause` or `none` (the default: it is over, and what it began stays)
    pub on_failure: Option<String>,
}

schemas! {
    /// A running deployment.
    Deployment {
        /// Its id.
        id: String,
        /// The version it leads to.
        version: String,
        /// The apps it changes.
        affected_apps: Vec<String>,
        /// The pods it changes.
        affected_pods: Vec<String>,
        /// `{actions: [{action, app}]}` each.
        steps: Vec<Value>,
        /// What is done now.
        current_actions: Vec<Value>,
        /// From 1; 0 before the first has begun.
        current_step: u32,
        /// How many steps.
        total_steps: u32,
        /// `going`, `paused` or `stuck`; this and what follows only of one that may fail, or with `embed=state`.
        state: Option<String>,
        /// Which limit it passed.
        cause: Option<DeploymentCause>,
        /// When it was accepted.
        started_at: Option<String>,
        /// When it will be late.
        deadline: Option<String>,
        /// So many failures are borne.
        max_failures: Option<u32>,
        /// What follows when it fails: `rollback`, `pause` or `none`.
        on_failure: Option<String>,
        /// How many lives of what it brings have failed.
        failures: Option<u32>,
        /// The deployment that it takes back.
        reverts: Option<String>,
        /// The last failure of what it changes: `{app, message, state, at}`.
        last_failure: Option<Value>,
    }
    /// Why a deployment failed.
    DeploymentCause {
        /// `overdue` or `tooManyFailures`.
        kind: String,
        /// In words.
        message: String,
        /// When.
        at: String,
    }
    /// What became of a deployment.
    DeploymentOutcome {
        /// Its id.
        id: String,
        /// The version it led to.
        version: String,
        /// `done`, `failed`, `rolledBack`, `cancelled` or `replaced`.
        outcome: String,
        /// Why it failed.
        cause: Option<DeploymentCause>,
        /// The deployment that took it back, or went over it.
        followed_by: Option<String>,
        /// The deployment that it took back: it is the end of that one.
        reverts: Option<String>,
        /// When it was accepted.
        started_at: String,
        /// When it was over.
        ended_at: String,
        /// How many lives of what it brought had failed.
        failures: u32,
        /// What it did: `{action, app}` each.
        actions: Vec<Value>,
        /// To how many more apps.
        more_apps: Option<u32>,
    }
}
