//! An upgrade that is taken back, or just ended, at each of its steps (DP-16 to DP-18): a healthy old instance is never the
//! price, and what was not touched yet is not restarted.

use serde_json::{Value, json};

use crate::docker_rig::Docked;
use crate::rig::ids;
use crate::web::{GOOD, ILL, Manner, Web, is_healthy, with};

/// How far an upgrade of two has come, one at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// It has just been accepted.
    Begun,
    /// The first new one runs and is not well.
    First,
    /// The first new one is well and has taken the place of an old one; the second is not well.
    Half,
    /// Both new ones are well, and the last old one has been asked to end.
    Last,
}

struct Upgrade {
    web: Web,
    stayer: Docked,
}

/// Everything that is healthy. What a deployment may end is only what is more than two.
fn two_are_healthy(tasks: &[Value]) -> bool {
    tasks.iter().filter(|task| is_healthy(task)).count() >= 2
}

// === impl Upgrade ===

impl Upgrade {
    async fn new() -> Upgrade {
        let web = Web::new();
        let volumes = web.volumes();
        let stayer = Docked::with(&volumes.each_ref().map(String::as_str)).await;
        Upgrade { web, stayer }
    }

    fn app(&self, version: &str, manner: Manner) -> Value {
        let strategy = json!({"minimumHealthCapacity": 1, "maximumOverCapacity": 0.5});
        let fields = json!({
            "instances": 2, "upgradeStrategy": strategy, "taskKillGracePeriodSeconds": 4,
        });
        with(self.web.contained(self.web.app("/web", version, manner)), fields)
    }

    /// Both run the first version.
    async fn begin(&self) -> Vec<String> {
        // They take their time to end, so that they are seen while they do.
        let deaf = Manner { deaf: true, ..GOOD };
        self.stayer.put("/v2/apps/web?force=true", &self.app("1", deaf)).await;
        let tasks = self.stayer.running("/web", 2).await;
        self.stayer.counted("/web", 2, 0).await;
        ids(&tasks)
    }

    /// Upgrades as far as that; the deployment.
    async fn to(&self, step: Step) -> String {
        let answer = self.stayer.put("/v2/apps/web", &self.app("2", ILL)).await.expect(200).json();
        let version = &answer["version"];
        if step >= Step::First {
            let first = self.stayer.of_version("/web", version, 1).await.remove(0);
            if step >= Step::Half {
                self.web.set(&first, "health", "");
                let both = self.stayer.of_version("/web", version, 2).await;
                let second = both.iter().find(|task| task["id"] != first["id"]).expect("another");
                if step == Step::Last {
                    self.web.set(second, "health", "");
                    self.stayer
                        .until("the last old one is asked to end", |stayer| async move {
                            let tasks = stayer.all_tasks("/web").await;
                            let new = tasks.iter().filter(|task| task["version"] == *version);
                            new.filter(|task| is_healthy(task)).count() == 2
                                && !stayer.tasks("/web", "TASK_KILLING").await.is_empty()
                        })
                        .await;
                }
            }
        }
        answer["deploymentId"].as_str().expect("an id").to_owned()
    }

    /// Takes it back: two of the first version run, and those that had not been asked to end are the same.
    async fn is_taken_back(&self, step: Step) {
        let old = self.begin().await;
        let deployment = self.to(step).await;
        let untouched: Vec<String> = ids(&self.stayer.tasks("/web", "TASK_RUNNING").await)
            .into_iter()
            .filter(|id| old.contains(id))
            .collect();
        let back = self.stayer.delete(&format!("/v2/deployments/{deployment}")).await;
        let back = back.expect(200).json();
        assert!(back["deploymentId"].is_string() && back["deploymentId"] != json!(deployment));
        self.stayer.settles("/web", two_are_healthy).await;
        let now = ids(&self.stayer.running("/web", 2).await);
        assert_eq!(self.stayer.app("/web").await["env"]["VERSION"], "1", "{step:?}");
        let expected = match step {
            Step::Begun | Step::First => 2,
            Step::Half => 1,
            Step::Last => 0,
        };
        assert_eq!(untouched.len(), expected, "{step:?}");
        assert!(untouched.iter().all(|id| now.contains(id)), "{step:?}: {untouched:?} {now:?}");
        let rolled_back = format!("/v2/deployments/{deployment}");
        self.stayer.delete(&rolled_back).await.expect(404);
    }

    /// Just ends it: the definition is the new one, two of whatever is there stay, and the next change goes on from there.
    async fn is_ended(&self, step: Step) {
        self.begin().await;
        let deployment = self.to(step).await;
        let path = format!("/v2/deployments/{deployment}?force=true");
        let ended = self.stayer.delete(&path).await.expect(202);
        assert_eq!(ended.text, "");
        self.stayer.settles("/web", two_are_healthy).await;
        assert_eq!(self.stayer.app("/web").await["env"]["VERSION"], "2", "{step:?}");
        let third = self.stayer.put("/v2/apps/web", &self.app("3", GOOD)).await.expect(200).json();
        self.stayer.settles("/web", two_are_healthy).await;
        let running = self.stayer.running("/web", 2).await;
        assert!(running.iter().all(|task| task["version"] == third["version"]), "{running:?}");
    }
}

async fn at(step: Step) {
    let upgrade = Upgrade::new().await;
    upgrade.is_taken_back(step).await;
    upgrade.is_ended(step).await;
    upgrade.stayer.remove("/web").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn before_anything_has_happened() {
    at(Step::Begun).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_first_new_one_is_not_well() {
    at(Step::First).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn half_way() {
    at(Step::Half).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_last_old_one_ends() {
    at(Step::Last).await;
}
