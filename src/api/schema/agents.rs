//! The shapes of bodies about agents and the brake.

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

schemas! {
    /// Agents.
    Agents {
        /// In the order in which they joined.
        agents: Vec<Agent>,
        /// Whether replacement is held.
        brake: Brake,
    }
    /// A host that runs things.
    Agent {
        /// Its id, kept in its data directory.
        id: String,
        /// The name of its host.
        hostname: String,
        /// Its address, where it was given one.
        address: Option<String>,
        /// `up`, `draining`, `drained` or `lost`.
        state: String,
        /// Since when it is not heard, when it is not.
        lost_since: Option<String>,
        /// When this server last heard anything of it.
        last_heard: Option<String>,
        /// The role that it is reserved for; `*` is anybody's.
        role: String,
        /// In the form in which they were given.
        attributes: BTreeMap<String, String>,
        /// Its own version.
        version: String,
        /// The container engine: `name`, `version`, `api`.
        engine: Option<Value>,
        /// What it offers.
        total: Amounts,
        /// What is given out.
        used: Amounts,
        /// What is left.
        free: Amounts,
        /// What is kept for apps that accept its role: all or, where that is `*`, nothing.
        reserved: Amounts,
        /// Ranges for dynamic use.
        ports: Vec<String>,
        /// How many tasks hold a place there.
        tasks: u32,
        /// How many tasks live there and are nobody's: they are left alone.
        strays: u32,
        /// While it is emptied: since when, until when, how many are left and what they wait for.
        drain: Option<DrainProgress>,
        /// Only for one agent: `id`, `appId`, `state`, `ports`, `waitsFor` each.
        task_list: Option<Vec<Value>>,
        /// Only for one agent: `id` each.
        stray_list: Option<Vec<Value>>,
    }
    /// Amounts of resources.
    Amounts {
        /// Processor share.
        cpus: f64,
        /// MiB.
        mem: f64,
        /// MiB.
        disk: f64,
        /// Whole ones.
        gpus: u32,
    }
    /// How far a drain has come.
    DrainProgress {
        /// Since when.
        since: String,
        /// When what is left is ended, replaced or not.
        deadline: Option<String>,
        /// How many are left.
        left: u32,
        /// `kind`, `text` and `instances` each.
        waits_for: Vec<Value>,
    }
    /// How an agent is to be emptied.
    DrainRequest {
        /// After so long what is left is ended, replaced or not; without it the drain waits for ever.
        deadline_seconds: Option<u64>,
    }
    /// Whether nothing that was lost is replaced, since more than a third of the agents, and at least three, were lost within
    /// a minute.
    Brake {
        /// Whether it holds.
        held: bool,
        /// Since when.
        since: Option<String>,
        /// When it ends, once enough are back.
        ends: Option<String>,
        /// How many are lost.
        lost: Option<u32>,
        /// Of how many.
        agents: Option<u32>,
        /// For people.
        text: Option<String>,
        /// The apps whose health checks kill nothing, since more than three in ten of their instances, and at least three,
        /// turned unhealthy within an interval: `id`, `since`, `unhealthy`, `instances`, `text` each.
        apps: Option<Vec<Value>>,
    }
}
