//! What happened, as written into the commit that made it so.
//!
//! An event's id is its commit and its place there, the same on every server. It holds what its text needs, since the
//! rows it speaks of may be gone when somebody reads it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::model::app::Action;
use crate::model::check::HealthCheck;
use crate::model::condition::Condition;
use crate::model::deployment::State;
use crate::model::id::{
    AgentId, AppKey, CommitNo, DeploymentId, Incarnation, InstanceId, TaskName, Version,
};
use crate::model::path::AppPath;

/// The place of an event in the order of all: its commit, and which of that commit's events it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct EventId {
    /// The commit that made it so.
    pub commit: CommitNo,
    /// Which of that commit's events, from 0.
    pub index: u32,
}

/// What is no id of an event: one is two numbers with a dot between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event's id is <commit>.<index>")]
pub struct NoEventId;

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
        /// Its path.
        path: AppPath,
        /// Its stored definition.
        version: Version,
        /// The service ports that were submitted, when the definition is shown as it was submitted (POST) rather than
        /// as it is stored.
        submitted: Option<Vec<u16>>,
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
    /// `deployment_state_changed_event`, ours: a deployment waits for somebody, goes on, or is stuck.
    DeploymentStands(DeploymentStands),
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
    /// `failed_health_check_event`: a failure that counts (HC-6).
    CheckFailed {
        /// Of which instance.
        instance: InstanceId,
        /// Its app.
        path: AppPath,
        /// Which check.
        check: Box<HealthCheck>,
    },
    /// `health_status_changed_event`: one check says otherwise than before (HC-12).
    AliveChanged {
        /// Of which instance.
        instance: InstanceId,
        /// Its app.
        path: AppPath,
        /// Its definition.
        version: Version,
        /// What the check says.
        alive: bool,
    },
    /// `unhealthy_instance_kill_event`: it is killed since a check failed too often (HC-7).
    UnhealthyKill {
        /// Which instance.
        instance: InstanceId,
        /// Which container.
        task: TaskName,
        /// In which life.
        incarnation: Incarnation,
        /// Its app.
        path: AppPath,
        /// Its definition.
        version: Version,
        /// Why the check failed.
        reason: String,
        /// Its agent and that agent's host name.
        agent: Option<(AgentId, String)>,
    },
    /// `health_brake_event`: so many of an app turned at once that its checks kill nothing, or no longer (I19).
    HealthBrake {
        /// Which app.
        path: AppPath,
        /// Whether they kill nothing.
        held: bool,
        /// How many turned.
        unhealthy: u32,
        /// Of how many.
        instances: u32,
    },
    /// `unknown_instance_terminated_event`.
    UnknownTerminated {
        /// Which instance.
        instance: InstanceId,
        /// Its app; the root when that is not known any more.
        path: AppPath,
        /// How it ended.
        condition: Condition,
    },
    /// `agent_lost_event`, ours: nothing is heard of an agent.
    AgentLost {
        /// Which agent.
        agent: AgentId,
        /// Its host name.
        host: String,
        /// Of how many instances nothing is known any more.
        instances: u32,
    },
    /// `agent_returned_event`, ours: an agent that was lost is heard again.
    AgentReturned {
        /// Which agent.
        agent: AgentId,
        /// Its host name.
        host: String,
    },
    /// `brake_held_event`, ours: too many agents were lost at once, and nothing of theirs is replaced.
    BrakeHeld {
        /// How many were lost.
        lost: u32,
        /// Of how many.
        agents: u32,
    },
    /// `brake_released_event`, ours: what was lost is replaced again.
    BrakeReleased {
        /// Whether somebody said so; else enough agents are back.
        by_operator: bool,
    },
}

/// A task's new state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusUpdate {
    /// Which instance.
    pub instance: InstanceId,
    /// Which container.
    pub task: TaskName,
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

/// How a running deployment stands from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentStands {
    /// Its plan.
    pub plan: Plan,
    /// How it stands.
    pub state: State,
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

// === impl EventId ===

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.commit, self.index)
    }
}

impl FromStr for EventId {
    type Err = NoEventId;

    fn from_str(text: &str) -> Result<EventId, NoEventId> {
        let (commit, index) = text.trim().split_once('.').ok_or(NoEventId)?;
        // `+1` is a number for Rust and none of ours.
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if !digits(commit) || !digits(index) {
            return Err(NoEventId);
        }
        let commit = CommitNo(commit.parse().map_err(|_| NoEventId)?);
        Ok(EventId { commit, index: index.parse().map_err(|_| NoEventId)? })
    }
}

// === impl Event ===

impl Event {
    /// Whether it is about this app or group, or about something within it.
    pub fn concerns(&self, group: &AppPath) -> bool {
        match self {
            Event::ApiPost { path, .. }
            | Event::AppTerminated { path }
            | Event::Status(StatusUpdate { path, .. })
            | Event::InstanceChanged { path, .. }
            | Event::HealthChanged { path, .. }
            | Event::CheckFailed { path, .. }
            | Event::AliveChanged { path, .. }
            | Event::UnhealthyKill { path, .. }
            | Event::HealthBrake { path, .. }
            | Event::UnknownTerminated { path, .. } => path.is_within(group),
            // A change of an enclosing group may be one of the app.
            Event::GroupChanged { group: changed, .. }
            | Event::GroupChangeFailed { group: changed, .. } => {
                changed.is_within(group) || group.is_within(changed)
            }
            Event::StepBegan(PlanStep { plan, .. })
            | Event::StepDone(PlanStep { plan, .. })
            | Event::DeploymentStands(DeploymentStands { plan, .. })
            | Event::DeploymentDone(plan)
            | Event::DeploymentFailed { plan, .. } => plan.concerns(group),
            Event::AgentLost { .. }
            | Event::AgentReturned { .. }
            | Event::BrakeHeld { .. }
            | Event::BrakeReleased { .. } => false,
        }
    }

    /// Whether Marathon knows none of its kind. Clients of Marathon's may end at an event that they do not know, so it is
    /// told only to those who ask for it.
    pub const fn is_ours(&self) -> bool {
        match self {
            Event::HealthBrake { .. }
            | Event::DeploymentStands(_)
            | Event::AgentLost { .. }
            | Event::AgentReturned { .. }
            | Event::BrakeHeld { .. }
            | Event::BrakeReleased { .. } => true,
            Event::ApiPost { .. }
            | Event::GroupChanged { .. }
            | Event::GroupChangeFailed { .. }
            | Event::StepBegan(_)
            | Event::StepDone(_)
            | Event::DeploymentDone(_)
            | Event::DeploymentFailed { .. }
            | Event::AppTerminated { .. }
            | Event::Status(_)
            | Event::InstanceChanged { .. }
            | Event::HealthChanged { .. }
            | Event::CheckFailed { .. }
            | Event::AliveChanged { .. }
            | Event::UnhealthyKill { .. }
            | Event::UnknownTerminated { .. } => false,
        }
    }
}

// === impl Plan ===

impl Plan {
    fn concerns(&self, group: &AppPath) -> bool {
        self.steps.iter().flatten().any(|(_, path)| path.is_within(group))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written_and_follows_the_order_of_commits() {
        let id = EventId { commit: CommitNo(12), index: 3 };
        assert_eq!(id.to_string(), "12.3");
        assert_eq!("12.3".parse(), Ok(id));
        for text in ["", "12", "12.", ".3", "a.b", "12.3.4", "-1.0", "+1.0", "1.4294967296"] {
            assert_eq!(text.parse::<EventId>(), Err(NoEventId), "{text}");
        }
        assert!(id < EventId { commit: CommitNo(12), index: 10 });
        assert!(id < EventId { commit: CommitNo(13), index: 0 });
    }

    #[test]
    fn an_event_concerns_the_groups_around_its_app() {
        let path = |text: &str| AppPath::parse(text).expect("a path");
        let ended = Event::AppTerminated { path: path("/shop/web") };
        for (group, concerned) in [
            ("/", true),
            ("/shop", true),
            ("/shop/web", true),
            ("/sho", false),
            ("/shop/web/a", false),
        ] {
            assert_eq!(ended.concerns(&path(group)), concerned, "{group}");
        }
        let changed = Event::GroupChanged { group: path("/shop"), version: Version::default() };
        assert!(changed.concerns(&path("/shop/web")) && !changed.concerns(&path("/ads")));
    }
}
