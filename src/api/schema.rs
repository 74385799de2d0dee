//! The shapes of bodies, for the OpenAPI document alone.
//!
//! Bodies are read and written by `contract`, key by key; these structs are never filled. They say what clients may rely
//! on: keys that are always there are required, all others are absent when unset.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

macro_rules! schemas {
    ($($(#[$meta:meta])* $name:ident { $($(#[$fmeta:meta])* $field:ident: $type:ty,)* })+) => {$(
        $(#[$meta])*
        #[derive(ToSchema)]
        #[schema(rename_all = "camelCase")]
        pub struct $name {
            $($(#[$fmeta])* pub $field: $type,)*
        }
    )+};
}

mod agents;
mod deployments;
mod deploys;
mod failures;
mod plan;

pub use agents::{Agent, Agents, Amounts, Brake, DrainProgress, DrainRequest};
pub use deployments::{Deployment, DeploymentCause, DeploymentOutcome, FailurePolicy};
pub use deploys::{Deploy, DeployAnalysis, DeployRequest, Deploys};
pub use failures::{Failures, OneFailure};
pub use plan::{AppRehearsal, Difference, InstancesRehearsal, Placement, PlanWarning, Rehearsal};

/// What a write of apps comes to.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum Changed {
    /// The deployment that carries it out.
    Made(DeploymentResult),
    /// With `dryRun=true`: what would come of it.
    Rehearsed(Box<Rehearsal>),
}

/// What an end of tasks comes to.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum TasksEnded {
    /// The tasks that are told to end.
    Tasks(Tasks),
    /// With `scale=true`.
    Scaled(DeploymentResult),
}

/// What an end of one task comes to.
#[derive(ToSchema)]
#[serde(untagged)]
pub enum TaskEnded {
    /// The task that is told to end.
    Task(Box<OneTask>),
    /// With `scale=true`.
    Scaled(DeploymentResult),
}

schemas! {
    /// A sentence; `details` is an empty list where a resource itself says 404.
    Message {
        /// What happened.
        message: String,
        /// Nothing, or what is wrong where.
        details: Option<Value>,
        /// What helps.
        hint: Option<String>,
    }
    /// What is wrong with a body.
    Faults {
        /// `Invalid JSON` or `Object is not valid`; a sentence where that says all.
        message: String,
        /// Every fault, by path; absent where there is none to name.
        details: Option<Vec<Fault>>,
    }
    /// What is wrong at one place.
    Fault {
        /// Such as `/container/volumes(0)/hostPath`.
        path: String,
        /// What.
        errors: Vec<String>,
    }
    /// A conflict: with `deployments` running ones hold an app, without the id is taken.
    Locked {
        /// What happened.
        message: String,
        /// Which deployments.
        deployments: Option<Vec<Id>>,
    }
    /// An id.
    Id {
        /// The id.
        id: String,
    }
    /// An accepted change.
    DeploymentResult {
        /// The version of what changed.
        version: String,
        /// Gone from `/v2/deployments` once it is over.
        deployment_id: String,
    }
    /// An app as it is asked for. `docs/fields.md` says what each field does.
    App {
        /// Absolute in answers.
        #[schema(example = "/shop/web")]
        id: String,
        /// For the shell.
        cmd: Option<String>,
        /// Without a shell.
        args: Option<Vec<String>>,
        /// The account it runs as.
        user: Option<String>,
        /// Texts, or `{"secret": name}`.
        env: Option<BTreeMap<String, Value>>,
        /// How many.
        #[schema(default = 1)]
        instances: Option<u32>,
        /// Processor share.
        #[schema(default = 1.0)]
        cpus: Option<f64>,
        /// MiB.
        #[schema(default = 128.0)]
        mem: Option<f64>,
        /// MiB.
        #[schema(default = 0.0)]
        disk: Option<f64>,
        /// Whole ones.
        #[schema(default = 0)]
        gpus: Option<u32>,
        /// Burst limits: numbers or `unlimited`.
        resource_limits: Option<Value>,
        /// Image, volumes, port mappings.
        container: Option<Value>,
        /// One `host`, one `container/bridge`, or several `container`.
        networks: Option<Vec<Value>>,
        /// Ports on the host's network.
        port_definitions: Option<Vec<Value>>,
        /// Whether these numbers are host ports.
        require_ports: Option<bool>,
        /// `[field, OPERATOR, value?]` each.
        constraints: Option<Vec<Vec<String>>>,
        /// Roles of agents.
        accepted_resource_roles: Option<Vec<String>>,
        /// Its own role.
        role: Option<String>,
        /// Brought into the sandbox before the start.
        fetch: Option<Vec<Value>>,
        /// For other tools.
        labels: Option<BTreeMap<String, String>>,
        /// Apps and groups that must run before it.
        dependencies: Option<Vec<String>>,
        /// Checks that kill.
        health_checks: Option<Vec<Value>>,
        /// A check that is shown.
        check: Option<Value>,
        /// A check that gates deployments.
        readiness_checks: Option<Vec<Value>>,
        /// Seconds after a first failure.
        #[schema(default = 1)]
        backoff_seconds: Option<u32>,
        /// By which each further failure multiplies.
        #[schema(default = 1.15)]
        backoff_factor: Option<f64>,
        /// The longest delay.
        #[schema(default = 300)]
        max_launch_delay_seconds: Option<u32>,
        /// `minimumHealthCapacity` and `maximumOverCapacity`.
        upgrade_strategy: Option<Value>,
        /// `YOUNGEST_FIRST` or `OLDEST_FIRST`.
        kill_selection: Option<String>,
        /// Between the request to end and the kill.
        task_kill_grace_period_seconds: Option<u32>,
        /// `disabled`, or two times.
        unreachable_strategy: Option<Value>,
        /// Secrets by name.
        secrets: Option<BTreeMap<String, Value>>,
        /// Stored and echoed.
        executor: Option<String>,
        /// Stored and echoed.
        executor_resources: Option<Value>,
        /// A terminal.
        tty: Option<bool>,
        /// Only in answers.
        version: Option<String>,
        /// Only in answers: `lastScalingAt` and `lastConfigChangeAt`.
        version_info: Option<Value>,
    }
    /// An app and what is known of it.
    AppInfo {
        /// The definition.
        #[schema(inline)]
        #[serde(flatten)]
        app: App,
        /// On their way.
        tasks_staged: u32,
        /// Running.
        tasks_running: u32,
        /// With good results of health checks.
        tasks_healthy: u32,
        /// With a bad result.
        tasks_unhealthy: u32,
        /// Those that hold the app.
        deployments: Vec<Id>,
        /// With `embed`.
        tasks: Option<Vec<Task>>,
        /// With `embed`, once there is one.
        last_task_failure: Option<Value>,
        /// With `embed`.
        readiness_check_results: Option<Vec<Value>>,
        /// With `embed`.
        task_stats: Option<Value>,
    }
    /// Apps.
    Apps {
        /// In no promised order.
        apps: Vec<AppInfo>,
    }
    /// One app.
    OneApp {
        /// The app.
        app: AppInfo,
    }
    /// Apps below a group.
    AppsBelow {
        /// The apps.
        #[schema(rename = "*")]
        apps: Vec<AppInfo>,
    }
    /// Versions of an app.
    Versions {
        /// Newest first.
        versions: Vec<String>,
    }
    /// A task.
    Task {
        /// Its id.
        id: String,
        /// Its app.
        app_id: String,
        /// Such as `TASK_RUNNING`.
        state: String,
        /// Its agent's host name.
        host: String,
        /// Its agent.
        slave_id: Option<String>,
        /// Its addresses.
        ip_addresses: Vec<Value>,
        /// Host ports in order.
        ports: Vec<u16>,
        /// In `/v2/tasks` alone.
        service_ports: Vec<u16>,
        /// When its launch was decided.
        staged_at: Option<String>,
        /// When it first ran.
        started_at: Option<String>,
        /// The definition it runs.
        version: Option<String>,
        /// Results of health checks.
        health_check_results: Vec<Value>,
        /// Persistent volumes.
        local_volumes: Vec<Value>,
        /// Its role.
        role: String,
    }
    /// Tasks.
    Tasks {
        /// The tasks.
        tasks: Vec<Task>,
    }
    /// One task.
    OneTask {
        /// The task.
        task: Task,
    }
    /// Tasks to end.
    TaskIds {
        /// Task ids, or ids of instances.
        ids: Vec<String>,
    }
    /// What waits to be launched.
    Queue {
        /// One item for each app.
        queue: Vec<QueueItem>,
    }
    /// An app of which something waits.
    QueueItem {
        /// How many instances.
        count: u32,
        /// `timeLeftSeconds` and `overdue`.
        delay: Value,
        /// Since when.
        since: String,
        /// How many agents refused, and why.
        processed_offers_summary: Value,
        /// With `embed=lastUnusedOffers`.
        last_unused_offers: Option<Vec<Value>>,
        /// The definition.
        app: App,
        /// Unless it is `*`.
        role: Option<String>,
    }
    /// Why an app does not run.
    Explanation {
        /// Its id.
        app: String,
        /// `wanted` and `running`.
        instances: Value,
        /// How many wait.
        waiting: u32,
        /// Until when earlier failures delay it.
        delayed_until: Option<String>,
        /// The whole in one sentence.
        verdict: String,
        /// What the last attempt to place it came to.
        last_attempt: Option<Value>,
        /// Launches that are on their way, the longest without progress first.
        launching: Vec<LaunchShown>,
        /// What became of the life that ended last.
        last_end: Option<EndShown>,
        /// What each agent says to one more instance.
        agents: Vec<AgentAnswer>,
        /// Values of GROUP_BY fields where no agent takes an instance, so that they hold up nobody.
        left_out: Vec<ValueLeftOut>,
        /// What would help, the nearest first.
        help: Vec<String>,
    }
    /// What an agent says to one more instance.
    AgentAnswer {
        /// Its id.
        agent: String,
        /// Its host name.
        host: String,
        /// Whether it would take it.
        fits: bool,
        /// What is free there.
        free: Value,
        /// All that stands against it.
        reasons: Vec<ReasonAgainst>,
    }
    /// A launch that is on its way.
    LaunchShown {
        /// Its task.
        task: String,
        /// Where.
        host: Option<String>,
        /// `Provisioned`, `Staging` or `Starting`.
        condition: String,
        /// Since when without progress.
        since: String,
        /// Bytes pulled so far.
        pulled: u64,
        /// The same for people.
        text: String,
    }
    /// A life that has ended.
    EndShown {
        /// Its task.
        task: String,
        /// `finished`, `exit`, `signal`, `oom`, or the kind of a reason; as long as it is known.
        kind: Option<String>,
        /// `TASK_FAILED` and the like.
        state: String,
        /// How it ended, for people.
        message: String,
        /// Where.
        host: Option<String>,
        /// When.
        at: String,
    }
    /// A value of a GROUP_BY field where no agent takes an instance.
    ValueLeftOut {
        /// The field.
        field: String,
        /// The value.
        value: String,
        /// How many agents have it.
        agents: u32,
        /// The same for people.
        text: String,
    }
    /// One thing that stands against an agent. Beside these keys each kind has its own: `wanted`, `free` and `total` of an
    /// amount, `port` and `holder`, `constraint` and `has`, and so on.
    ReasonAgainst {
        /// A word for programs.
        kind: String,
        /// A sentence for people.
        text: String,
        /// Marathon's nearest word.
        marathon: String,
        /// How much is asked for.
        wanted: Option<f64>,
        /// How much is free.
        free: Option<f64>,
        /// How much there is in all.
        total: Option<f64>,
        /// Who holds the devices.
        holders: Option<Vec<String>>,
        /// The host port.
        port: Option<u16>,
        /// Who holds it.
        holder: Option<String>,
        /// The constraint as it is written.
        constraint: Option<Vec<String>>,
        /// What the agent has in place of what is asked for.
        has: Option<String>,
        /// Which roles the app accepts.
        accepts: Option<Vec<String>>,
        /// What the engine, the registry or the policy says.
        detail: Option<String>,
    }
    /// The server.
    Info {
        /// `marathon`.
        name: String,
        /// The release of Marathon that is spoken.
        version: String,
        /// Our own version.
        buildref: String,
        /// Whether this server leads.
        elected: bool,
        /// `host:port`.
        leader: Option<String>,
        /// The cluster.
        framework_id: Option<String>,
        /// Marathon's settings as far as they have a meaning.
        #[schema(rename = "marathon_config")]
        marathon_config: Value,
        /// There is no ZooKeeper; clients find the keys.
        #[schema(rename = "zookeeper_config")]
        zookeeper_config: Value,
        /// Ports.
        #[schema(rename = "http_config")]
        http_config: Value,
    }
    /// The leader.
    Leader {
        /// `host:port`.
        leader: String,
    }
}
