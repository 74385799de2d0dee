//! What happened, as written into the commit that made it so.
//!
//! An event's id is its commit and its place there, the same on every server. It holds what its text needs, since the
//! rows it speaks of may be gone when somebody reads it.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::model::app::Action;
use crate::model::condition::Condition;
use crate::model::id::{AgentId, AppKey, DeploymentId, Incarnation, InstanceId, Version};
use crate::model::path::AppPath;

/// Something that happened (contract 11.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// `api_post_event`: one app was created or changed through the API.
    ApiPost {
        /// Who asked, an address.
        client: String,
        /// What was asked.
        uri: String,
        /// Which app.
        app: AppKey,
        /// Its stored definition.
        version: Version,
        /// Whether the definition is shown as submitted (POST) rather than as stored.
        submitted: bool,
    },
    /// `group_change_success`.
    GroupChanged {
        /// The group.
        group: AppPath,
        /// The version of the change.
        version: Version,
    },
    /// `group_change_failed`.
    GroupChangeFailed {
        /// The group.
        group: AppPath,
        /// The version that the change would have had.
        version: Version,
        /// Why.
        reason: String,
    },
    /// `deployment_info`: a step begins.
    StepBegan(PlanStep),
    /// `deployment_step_success`: a step is done.
    StepDone(PlanStep),
    /// `deployment_success`.
    DeploymentDone(Plan),
    /// `deployment_failed`.
    DeploymentFailed {
        /// The plan.
        plan: Plan,
        /// Why.
        reason: String,
    },
    /// `app_terminated_event`: the last instance of a removed app is gone.
    AppTerminated {
        /// The app.
        path: AppPath,
    },
    /// `status_update_event`.
    Status(StatusUpdate),
    /// `instance_changed_event`.
    InstanceChanged {
        /// Which instance.
        instance: InstanceId,
        /// Its app.
        path: AppPath,
        /// Its definition.
        version: Version,
        /// What is known of it; `Scheduled` when none.
        condition: Option<Condition>,
        /// Its agent and that agent's host name, when it has one.
        agent: Option<(AgentId, String)>,
    },
    /// `instance_health_changed_event`.
    HealthChanged {
        /// Which instance.
        instance: InstanceId,
        /// Its app.
        path: AppPath,
        /// Its definition.
        version: Version,
        /// Its health.
        healthy: Option<bool>,
    },
    /// `unknown_instance_terminated_event`.
    UnknownTerminated {
        /// Which instance.
        instance: InstanceId,
        /// How it ended.
        condition: Condition,
    },
}

/// A task's new state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// Which instance.
    pub instance: InstanceId,
    /// Which container.
    pub task: String,
    /// In which life.
    pub incarnation: Incarnation,
    /// Its app.
    pub path: AppPath,
    /// Its definition.
    pub version: Version,
    /// Its new state.
    pub condition: Condition,
    /// Why, for people.
    pub message: String,
    /// Its agent and that agent's host name.
    pub agent: Option<(AgentId, String)>,
    /// Its addresses.
    pub ips: Vec<IpAddr>,
    /// Its host ports.
    pub ports: Vec<u16>,
}

/// A plan in its light form.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Its deployment.
    pub id: DeploymentId,
    /// The version of the change.
    pub version: Version,
    /// Steps of actions on apps.
    pub steps: Vec<Vec<(PlanAction, AppPath)>>,
}

/// A plan at one of its steps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanStep {
    /// The plan.
    pub plan: Plan,
    /// Which step, from 0.
    pub step: u32,
}

/// What a step does, in Marathon's words (contract 9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlanAction {
    /// `StartApplication`.
    Start,
    /// `ScaleApplication`.
    Scale,
    /// `RestartApplication`.
    Restart,
    /// `StopApplication`.
    Stop,
}

// === impl PlanAction ===

impl PlanAction {
    /// As Marathon writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            PlanAction::Start => "StartApplication",
            PlanAction::Scale => "ScaleApplication",
            PlanAction::Restart => "RestartApplication",
            PlanAction::Stop => "StopApplication",
        }
    }
}

impl From<Action> for PlanAction {
    fn from(action: Action) -> PlanAction {
        match action {
            Action::Create | Action::Scale => PlanAction::Scale,
            Action::Restart => PlanAction::Restart,
            Action::Stop => PlanAction::Stop,
        }
    }
}
