//! Health checks, readiness and commands, with an app whose answers are set from outside: a file is there, or it is not.

use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};

use crate::docker_rig::Docked;
use crate::rig::{Stayer, ids, sleeper};
use crate::web::{GOOD, ILL, Web, merge, with};

/// An app whose health is a file. It has time to begin; its first success ends that.
fn app(id: &str, cmd: &str, check: Value, fields: Value) -> Value {
    let mut checked = json!({
        "protocol": "HTTP", "path": "/health", "portIndex": 0, "gracePeriodSeconds": 300,
        "intervalSeconds": 1, "timeoutSeconds": 5, "maxConsecutiveFailures": 2,
    });
    merge(&mut checked, check);
    let app = sleeper(id, json!({"cmd": cmd, "healthChecks": [checked]}));
    let ports = json!({"portDefinitions": [{"port": 0, "name": "http-api"}]});
    with(with(app, ports), fields)
}

/// The only result of a task's checks, once it is such.
async fn result(stayer: &Stayer, id: &str, what: &str, such: impl Fn(&Value) -> bool) -> Value {
    stayer
        .wait(&format!("{id}: {what}"), async |stayer| {
            let tasks = stayer.tasks(id, "TASK_RUNNING").await;
            let result = tasks.first()?["healthCheckResults"].get(0)?.clone();
            such(&result).then_some(result)
        })
        .await
}

/// The only task of an app that runs, once there is one.
async fn one(stayer: &Stayer, id: &str) -> Value {
    stayer
        .wait(&format!("{id} runs"), async |stayer| {
            stayer.tasks(id, "TASK_RUNNING").await.into_iter().next()
        })
        .await
}

/// How often a task was asked and had no answer.
async fn refusals(stayer: &Stayer, task: &Value) -> usize {
    let id = task["id"].as_str().expect("an id");
    let said = stayer.get(&format!("/v2/tasks/{id}/logs?stream=stderr")).await.text;
    said.matches("response:404").count()
}

/// HC-6, HC-7, HC-10, HC-11: healthy, counted; then failing, killed and replaced, with the reason kept.
#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_killed_and_replaced_with_its_reason() {
    let (stayer, web) = (Stayer::bare().await, Web::new());
    stayer.launch(&app("/web", &web.cmd(GOOD), json!({}), json!({}))).await;
    let task = stayer.running("/web", 1).await.remove(0);
    stayer.counted("/web", 1, 0).await;
    let good = result(&stayer, "/web", "alive", |result| result["alive"] == true).await;
    assert_eq!(good["consecutiveFailures"], 0);
    assert!(good["firstSuccess"].is_string() && good.get("lastFailure").is_none(), "{good}");
    web.unset(&task, "health");
    stayer
        .until("another life is healthy", |stayer| {
            let task = task.clone();
            async move {
                let tasks = stayer.tasks("/web", "TASK_RUNNING").await;
                tasks.iter().any(|other| other["id"] != task["id"])
                    && stayer.app("/web").await["tasksHealthy"] == 1
            }
        })
        .await;
    let shown = stayer.get("/v2/apps/web?embed=app.lastTaskFailure").await.json();
    let failure = &shown["app"]["lastTaskFailure"];
    assert_eq!(failure["state"], "TASK_KILLED");
    assert_eq!(failure["taskId"], task["id"]);
    let message = "Task was killed since health check failed. Reason: HTTP status 404";
    assert_eq!(failure["message"], message);
    stayer.finish().await;
}

/// HC-5: failures in the grace period are none, and the first success ends it. A deployment waits for it (RU-11).
#[tokio::test(flavor = "multi_thread")]
async fn the_grace_period_gives_time_to_begin() {
    let (stayer, web) = (Stayer::bare().await, Web::new());
    let check = json!({"gracePeriodSeconds": 300, "maxConsecutiveFailures": 1});
    stayer.launch(&app("/slow", &web.cmd(ILL), check, json!({}))).await;
    let task = one(&stayer, "/slow").await;
    stayer
        .until("it was asked more often than would kill it", |stayer| {
            let task = task.clone();
            async move { refusals(stayer, &task).await >= 4 }
        })
        .await;
    assert_eq!(stayer.get("/v2/deployments").await.json().as_array().map(Vec::len), Some(1));
    assert_eq!(stayer.app("/slow").await["tasksUnhealthy"], 0, "nothing counts yet");
    web.set(&task, "health", "");
    assert_eq!(ids(&stayer.running("/slow", 1).await), ids(&[task]));
    stayer.counted("/slow", 1, 0).await;
    stayer.finish().await;
}

/// HC-13, BETTER: what was counted outlives server and agent.
#[tokio::test(flavor = "multi_thread")]
async fn a_killed_server_goes_on_counting() {
    let (mut stayer, web) = (Stayer::bare().await, Web::new());
    let check = json!({"maxConsecutiveFailures": 1000, "gracePeriodSeconds": 300});
    stayer.launch(&app("/web", &web.cmd(GOOD), check, json!({}))).await;
    let task = stayer.running("/web", 1).await.remove(0);
    web.unset(&task, "health");
    let failures = |result: &Value| result["consecutiveFailures"].as_u64().unwrap_or_default();
    let before = result(&stayer, "/web", "two failures", |it| failures(it) >= 2).await;
    let since = Instant::now();
    stayer.kill();
    stayer.restart().await;
    let after = result(&stayer, "/web", "more", |it| failures(it) > failures(&before)).await;
    assert_eq!(after["firstSuccess"], before["firstSuccess"], "no new grace");
    // One a second at most, with the one that was on its way.
    let most = failures(&before) + since.elapsed().as_secs() + 2;
    assert!(failures(&after) <= most, "{before} and {after}");
    assert_eq!(ids(&stayer.tasks("/web", "TASK_RUNNING").await), ids(&[task]));
    stayer.finish().await;
}

/// HC-1: a command runs where the task is, with its environment, and has a deadline.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_runs_beside_a_process() {
    let stayer = Stayer::bare().await;
    let text = "test \"$COLOUR\" = blue && test -e stdout && test -e ok || exec sleep 1000";
    let check = json!({"protocol": "COMMAND", "command": {"value": text}, "portIndex": null,
        "path": null, "delaySeconds": 0, "timeoutSeconds": 1, "maxConsecutiveFailures": 0});
    let cmd = "touch ok; exec sleep 1001";
    let mut app = app("/worker", cmd, check, json!({"env": {"COLOUR": "blue"}}));
    let check = app["healthChecks"][0].as_object_mut().expect("a check");
    check.retain(|_, value| !value.is_null());
    stayer.launch(&app).await;
    let task = stayer.running("/worker", 1).await.remove(0);
    stayer.counted("/worker", 1, 0).await;
    let environment = stayer.process(&task, "sleep 1001").await.environment();
    let sandbox = environment.iter().find_map(|entry| entry.strip_prefix("MESOS_SANDBOX="));
    let sandbox = Path::new(sandbox.expect("every task has one"));
    std::fs::remove_file(sandbox.join("ok")).expect("its own file");
    let failed = result(&stayer, "/worker", "failed", |it| it["alive"] == false).await;
    assert_eq!(failed["lastFailureCause"], "the command did not end within 1 s");
    stayer
        .until("what took too long is gone", |stayer| {
            let task = task.clone();
            async move {
                let checks = crate::proc::of_task(&task);
                let checks = checks.iter().filter(|one| one.line().starts_with("sleep 1000"));
                checks.count() <= 1 && stayer.app("/worker").await["tasksUnhealthy"] == 1
            }
        })
        .await;
    stayer.finish().await;
}

/// RU-10, HC-16: an old one goes when the new one is ready; what it answered is shown meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn readiness_gates_an_upgrade() {
    let (stayer, web) = (Stayer::bare().await, Web::new());
    let readiness = json!({"name": "up", "protocol": "HTTP", "path": "/ready",
        "portName": "http-api", "intervalSeconds": 2, "timeoutSeconds": 1,
        "httpStatusCodesForReady": [200], "preserveLastResponse": true});
    let cmd = web.cmd(GOOD);
    let fields = json!({"readinessChecks": [readiness]});
    stayer.launch(&app("/web", &cmd, json!({}), fields)).await;
    let old = one(&stayer, "/web").await;
    web.set(&old, "ready", "yes");
    stayer.running("/web", 1).await;
    stayer.put("/v2/apps/web", &json!({"env": {"N": "2"}})).await.expect(200);
    let results = stayer
        .wait("the new one has answered", async |stayer| {
            let all = stayer.get("/v2/deployments").await.json();
            let results = all[0]["currentActions"][0]["readinessCheckResults"].clone();
            // The first question may have come before it listened.
            (results[0]["lastResponse"]["status"] == 404).then_some(results)
        })
        .await;
    let result = &results[0];
    assert_eq!((&result["name"], &result["ready"]), (&json!("up"), &json!(false)));
    stayer
        .until("the app shows the same", |stayer| {
            let results = results.clone();
            async move {
                let shown = stayer.get("/v2/apps/web?embed=app.readiness").await.json();
                shown["app"]["readinessCheckResults"] == results
            }
        })
        .await;
    stayer.counted("/web", 2, 0).await;
    let running = stayer.tasks("/web", "TASK_RUNNING").await;
    assert_eq!(running.len(), 2, "healthy and not ready: the old one stays");
    let new = running.into_iter().find(|task| task["id"] != old["id"]).expect("a new one");
    assert_eq!(result["taskId"], new["id"]);
    web.set(&new, "ready", "yes");
    assert_eq!(ids(&stayer.running("/web", 1).await), ids(&[new]));
    stayer.finish().await;
}

/// RU-7: a version that never becomes healthy takes nothing from the old one; taken back, the old one was never touched.
#[tokio::test(flavor = "multi_thread")]
async fn a_version_that_never_becomes_healthy_takes_nothing() {
    let (stayer, web) = (Stayer::bare().await, Web::new());
    let check = json!({"gracePeriodSeconds": 0});
    stayer.launch(&app("/web", &web.cmd(GOOD), check, json!({"instances": 2}))).await;
    let old = stayer.running("/web", 2).await;
    let change = json!({"cmd": web.cmd(ILL)});
    let answer = stayer.put("/v2/apps/web", &change).await.expect(200).json();
    let deployment = answer["deploymentId"].as_str().expect("an id").to_owned();
    stayer
        .until("the new one is killed for its health", |stayer| async move {
            let failure = stayer.failure_of("/web").await;
            failure.is_some_and(|text| text.starts_with("Task was killed since health check"))
        })
        .await;
    let stays = async |stayer: &Stayer| {
        let running = ids(&stayer.tasks("/web", "TASK_RUNNING").await);
        ids(&old).iter().all(|id| running.contains(id))
    };
    assert!(stays(&stayer).await);
    stayer.delete(&format!("/v2/deployments/{deployment}")).await.expect(200);
    assert_eq!(ids(&stayer.running("/web", 2).await), ids(&old));
    stayer.counted("/web", 2, 0).await;
    stayer.finish().await;
}

/// The machine's containers on a bridge: the pair that belongs together is asked (HC-3), a command runs inside (HC-1), and
/// one that takes too long is ended.
#[tokio::test(flavor = "multi_thread")]
async fn containers_are_asked_where_they_are() {
    let stayer = Docked::with(&[]).await;
    let serve = "mkdir /w; cd /w; touch health; exec httpd -f -p 8080";
    let docker = json!({"portDefinitions": null, "networks": [{"mode": "container/bridge"}],
        "container": {"type": "DOCKER", "docker": {"image": "busybox:local"},
            "portMappings": [{"containerPort": 8080, "hostPort": 0}]}});
    let command = json!({"protocol": "COMMAND",
        "command": {"value": "test \"$COLOUR\" = blue && test -e /w/health || exec sleep 1000"},
        "gracePeriodSeconds": 0, "intervalSeconds": 1, "timeoutSeconds": 2,
        "maxConsecutiveFailures": 0, "delaySeconds": 0});
    let mut app = app("/web", serve, json!({"maxConsecutiveFailures": 0}), docker);
    app["env"] = json!({"COLOUR": "blue"});
    let inner = json!({"protocol": "MESOS_HTTP", "path": "/health", "portIndex": 0,
        "gracePeriodSeconds": 0, "intervalSeconds": 1, "timeoutSeconds": 2,
        "maxConsecutiveFailures": 0, "delaySeconds": 0});
    app.as_object_mut().expect("an app").remove("portDefinitions");
    app["healthChecks"].as_array_mut().expect("a list").push(command);
    stayer.launch(&app).await;
    let task = stayer.running("/web", 1).await.remove(0);
    assert_eq!(task["healthCheckResults"].as_array().map(Vec::len), Some(2), "{task}");
    stayer.counted("/web", 1, 0).await;
    let container = stayer.engine.of_task(&task);
    stayer.engine.docker(&["exec", &container, "rm", "/w/health"]);
    stayer
        .until("both fail", |stayer| async move {
            let tasks = stayer.tasks("/web", "TASK_RUNNING").await;
            let results = tasks.first().map(|task| task["healthCheckResults"].clone());
            let results = results.unwrap_or_default();
            let causes: Vec<&str> = results
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|result| result["lastFailureCause"].as_str())
                .collect();
            causes.contains(&"HTTP status 404")
                && causes.contains(&"the command did not end within 2 s")
        })
        .await;
    let sleeping = || stayer.engine.docker(&["top", &container]).matches("sleep 1000").count();
    assert!(crate::docker_rig::comes_true(|| sleeping() <= 1), "what took too long is ended");
    app["healthChecks"] = json!([inner]);
    stayer.put("/v2/apps/web", &app).await.expect(200);
    stayer.running("/web", 1).await;
    stayer.counted("/web", 1, 0).await;
    stayer.remove("/web").await;
}
