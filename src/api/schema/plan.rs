//! What `?dryRun=true` answers, as the document describes it.

use serde_json::Value;
use utoipa::ToSchema;

use super::Explanation;

schemas! {
    /// What a change would come to.
    Rehearsal {
        /// Always true.
        dry_run: bool,
        /// Whether anything would change.
        changes: bool,
        /// Whether the change was followed to its end; a rollout one by one of hundreds is told by its begin.
        complete: bool,
        /// The version that what changes would get now.
        version: String,
        /// Apps that would change.
        affected_apps: Vec<String>,
        /// Always empty.
        affected_pods: Vec<String>,
        /// Lists of `actions`, each `{action, app}`, as in `GET /v2/deployments`.
        steps: Vec<Value>,
        /// How many steps.
        total_steps: u32,
        /// Running deployments that it would cancel, with `force`.
        cancels: Vec<String>,
        /// Each app of the change, by id.
        apps: Vec<AppRehearsal>,
    }
    /// What would become of an app.
    AppRehearsal {
        /// Its id.
        id: String,
        /// `create`, `update` (stored, nothing restarts), `scale`, `restart`, `remove` or `none`.
        change: String,
        /// The first action of the plan on it.
        action: Option<String>,
        /// Each member of its definition that differs.
        diff: Vec<Difference>,
        /// What becomes of its instances.
        instances: InstancesRehearsal,
        /// Where new instances go.
        placements: Vec<Placement>,
        /// Why some wait, as `GET /v2/apps/{id}/explain` says it.
        explanation: Option<Explanation>,
        /// What may go otherwise than wished.
        warnings: Vec<PlanWarning>,
    }
    /// A member that differs.
    Difference {
        /// `add`, `remove` or `replace`.
        op: String,
        /// Where, as a JSON pointer.
        path: String,
        /// Whether its values are not shown since they look like a secret.
        secret: Option<bool>,
        /// What was there.
        before: Option<Value>,
        /// What would be there.
        after: Option<Value>,
    }
    /// Numbers of instances.
    InstancesRehearsal {
        /// Wanted before.
        before: u32,
        /// Wanted afterwards.
        after: u32,
        /// How many serve now.
        serving: u32,
        /// The fewest of those and of the new ones that serve at any time.
        lowest_serving: u32,
        /// How many go on as they are.
        kept: u32,
        /// How many end.
        ended: u32,
        /// How many start.
        started: u32,
        /// How many find no place, or are delayed.
        waiting: u32,
    }
    /// Where new instances go.
    Placement {
        /// The agent's id.
        agent: String,
        /// Its host name.
        host: String,
        /// How many.
        instances: u32,
    }
    /// What may go otherwise than wished.
    PlanWarning {
        /// `noPlace`, `delayed`, `downtime`, `fewerServe`, `servicePort`, `image`, `restarts`, `ends` or `long`.
        kind: String,
        /// In words.
        text: String,
    }
}
