//! Facts: the only input of the core, and the answers that go back to those who ask.
//!
//! Serialisable: a list of facts with their times is a replay.

use serde::{Deserialize, Serialize};

use crate::model::agent::Inventory;
use crate::model::deploy::{Finding, Plan};
use crate::model::deployment::FailurePolicy;
use crate::model::have::Have;
use crate::model::id::{
    AgentId, AgentKey, DeployId, DeploymentId, Incarnation, InstanceId, InstanceKey, RunId, Seq,
    Version,
};
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::time::Span;

/// Something that the core is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[expect(
    clippy::large_enum_variant,
    reason = "a fact is moved a few times and never kept in numbers"
)]
pub enum Fact {
    /// A client asks for a change.
    Asked {
        /// Where the answer goes.
        ticket: Ticket,
        /// Who asks.
        who: Caller,
        /// For what.
        change: Change,
        /// In what way.
        how: How,
    },
    /// An agent opened a session and says what it is. Answered with its key.
    Attached {
        /// Where the answer goes.
        ticket: Ticket,
        /// Its identity.
        agent: AgentId,
        /// The run of its process.
        run: RunId,
        /// What it offers and allows.
        inventory: Inventory,
    },
    /// What an agent has. Answered when it is durable, so that the agent stops repeating it.
    Has {
        /// Where the answer goes.
        ticket: Ticket,
        /// Which agent.
        agent: AgentKey,
        /// States of instances.
        haves: Vec<Have>,
    },
    /// An agent has said all it has in this session, and every want has been sent to it.
    Synced {
        /// Which agent.
        agent: AgentKey,
        /// Every instance of which it has anything.
        instances: Vec<(InstanceKey, InstanceId)>,
    },
    /// Somebody balances requests over tasks, or nobody does any more.
    Attended {
        /// Whether anybody does.
        by_anybody: bool,
    },
    /// Those who balance know that these are out of every answer.
    Released {
        /// Which instances, in which lives.
        lives: Vec<(InstanceKey, Incarnation)>,
    },
    /// An agent is not heard any more.
    Lost {
        /// Which agent.
        agent: AgentKey,
        /// Why.
        why: Loss,
    },
    /// A deploy's question to Prometheus came to something.
    Analysed {
        /// Which deploy.
        deploy: DeployId,
        /// In which of its steps.
        step: u32,
        /// For the how many-th time.
        asking: u32,
        /// What was found.
        finding: Finding,
    },
}

/// Where an answer goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Ticket {
    /// To a client of the API.
    Client(u64),
    /// To an agent's session: the batch of this number is durable.
    Agent(AgentId, RunId, Seq),
}

/// Why an agent is taken for lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Loss {
    /// Nothing was heard of it for too long.
    Silence,
    /// It said that its host goes down.
    Shutdown,
}

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// The authenticated name, if there is authentication.
    pub principal: Option<String>,
    /// The client's address.
    pub address: String,
    /// What was called.
    pub uri: String,
}

/// In what way a change is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct How {
    /// Whether running deployments are cancelled where they stand in the way.
    pub force: bool,
    /// When its deployment counts as failed; what it leaves open its apps say.
    pub policy: FailurePolicy,
}

/// A change that a client asks for. One change is one deployment, if it is one at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Change {
    /// Create or change apps.
    Put {
        /// The apps, each path once.
        apps: Vec<Put>,
        /// Whether an `api_post_event` follows (one app by POST, PUT or PATCH).
        announce: Announce,
    },
    /// Remove an app.
    Remove {
        /// Which.
        path: AppPath,
    },
    /// Replace every instance of an app.
    Restart {
        /// Which.
        path: AppPath,
    },
    /// End instances.
    Kill {
        /// Which; unknown ones are skipped.
        instances: Vec<InstanceKey>,
        /// What follows.
        how: KillHow,
    },
    /// Take a deployment back, or with `force` just end it.
    Cancel {
        /// Which.
        deployment: DeploymentId,
    },
    /// Bring an app into service by a strategy.
    Deploy(Box<Proposal>),
    /// Do something to a deploy that is on its way.
    Steer {
        /// Which.
        deploy: DeployId,
        /// What.
        how: Steer,
    },
    /// Go on with a deployment that waits for somebody.
    Resume {
        /// Which.
        deployment: DeploymentId,
    },
    /// Launch an app's waiting instances without further delay.
    ResetDelay {
        /// Which app.
        path: AppPath,
    },
    /// Empty an agent, or change until when.
    Drain {
        /// Which.
        agent: AgentKey,
        /// After so long what is left is ended, replaced or not; never when absent.
        deadline: Option<Span>,
    },
    /// Let an agent take work again.
    Undrain {
        /// Which.
        agent: AgentKey,
    },
    /// Take an agent for gone for good: what it had is replaced, and if it does come back it is a new one.
    Forget {
        /// Which.
        agent: AgentKey,
    },
    /// Replace what was lost although many agents were lost at once.
    ReleaseBrake,
}

/// One app to create or change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Put {
    /// The definition, whole: merging is done by who asks, against `expect`.
    pub spec: Spec,
    /// What the asker saw.
    pub expect: Expect,
}

/// What a deploy shall bring.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Proposal {
    /// The definition, under the id of the service.
    pub put: Put,
    /// Whether its count was said; otherwise what serves now keeps its own.
    pub counted: bool,
    /// How it comes into service.
    pub plan: Plan,
}

/// What is done to a deploy that is on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Steer {
    /// A paused one takes its step up again.
    Resume,
    /// It goes on to the whole count at once.
    Promote,
    /// It is taken back.
    RollBack,
    /// It ends where it stands.
    End,
}

/// What the asker saw of an app. If it is not so any more the change is refused as stale, and asked again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    /// There is no such app; if there is one, that is a conflict (POST).
    Absent,
    /// There was none (PUT that creates).
    None,
    /// There was this definition.
    Version(Version),
}

/// Whether an `api_post_event` follows a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Announce {
    /// No.
    No,
    /// With the definition as submitted (POST).
    Submitted,
    /// With the definition as stored (PUT, PATCH).
    Stored,
}

/// What follows a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KillHow {
    /// They are launched again (SC-12).
    Restart,
    /// Their apps get smaller by them, as one deployment (SC-13).
    Scale,
    /// They are replaced by new ones, nothing of them is kept (SC-14).
    Wipe,
}

/// What comes of a fact that was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Accepted as this deployment. One without steps is over at once.
    Deployed {
        /// Its id.
        deployment: DeploymentId,
        /// The version that what changed got.
        version: Version,
        /// Paths of apps that did not exist before.
        created: Vec<AppPath>,
    },
    /// A deploy is on its way, or is steered.
    Deploying {
        /// Which.
        deploy: DeployId,
    },
    /// These are being ended.
    Killed {
        /// The instances.
        instances: Vec<InstanceKey>,
    },
    /// The deployment is over, left half-way.
    Cancelled,
    /// The delay is gone.
    DelayReset,
    /// It is so, and there is nothing more to say.
    Done,
    /// An agent is known by this key.
    Attached(AgentKey),
    /// What the agent said is durable.
    Noted,
    /// Not done.
    Refused(Refusal),
}

/// Why a change is not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// There is an app of this id already.
    Exists {
        /// Its id.
        path: AppPath,
    },
    /// There is no such app.
    NoApp {
        /// Its id.
        path: AppPath,
    },
    /// There is no such deployment.
    NoDeployment {
        /// Its id.
        deployment: DeploymentId,
    },
    /// There is no such deploy.
    NoDeploy {
        /// Its id.
        deploy: DeployId,
    },
    /// A deploy is not in a state for this.
    NotNow {
        /// Which.
        deploy: DeployId,
        /// For what.
        how: Steer,
    },
    /// Deploys of the same app are on their way.
    Deploying {
        /// Which.
        deploys: Vec<DeployId>,
    },
    /// Several apps are the same service.
    Several {
        /// Which.
        paths: Vec<AppPath>,
    },
    /// The deployment does not wait for anybody.
    NotPaused {
        /// Its id.
        deployment: DeploymentId,
    },
    /// There is no such agent.
    NoAgent {
        /// Its key.
        agent: AgentKey,
    },
    /// The agent is heard and runs something: it is not gone.
    AgentInUse {
        /// The name of its host.
        hostname: String,
        /// How many instances are on it.
        instances: u32,
    },
    /// Nothing of this app waits.
    NotQueued {
        /// Its id.
        path: AppPath,
    },
    /// Running deployments hold what would change.
    Locked {
        /// Which.
        deployments: Vec<DeploymentId>,
    },
    /// As many deployments run as are allowed.
    TooMany {
        /// How many.
        limit: u32,
    },
    /// The app changed after the asker looked; look and ask again.
    Stale,
    /// Apps would depend on each other in a circle.
    Cycle,
    /// No service port is left.
    NoServicePort,
    /// An app names a GPU by something that means several.
    AmbiguousGpu {
        /// Where it is written.
        member: String,
        /// What it names.
        wanted: String,
        /// What that means.
        devices: Vec<String>,
    },
    /// A group has this id, or an app has the id of an enclosing group.
    SameAsGroup {
        /// The id of both.
        path: AppPath,
    },
    /// The server is not leading, or its inbox is full; later it may be.
    Unavailable {
        /// Why, for people.
        detail: String,
    },
}
