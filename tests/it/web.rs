//! One small HTTP app for all that has to do with health and upgrades: how well each of its tasks is, whether it is ready,
//! which version it says it is, how slow it is and what it does when it is asked to end are set from outside.
//!
//! Each task serves a directory of its own below one of the test's, as a process or in a container, which sees that
//! directory under the same path: whatever is there is answered with 200, and whatever is not with 404.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::rig::{Stayer, sleeper};

/// What the apps of a test serve.
pub struct Web(TempDir);

/// How the tasks of an app begin and end.
#[derive(Clone, Copy)]
pub struct Manner {
    /// They say from the start that they are well.
    pub well: bool,
    /// They listen once they are told to.
    pub slow: bool,
    /// They serve on when they are asked to end.
    pub deaf: bool,
}

/// They are well, and end when they are asked to.
pub const GOOD: Manner = Manner { well: true, slow: false, deaf: false };

/// They are not well unless they are told to be.
pub const ILL: Manner = Manner { well: false, ..GOOD };

// === impl Web ===

impl Web {
    /// Nothing is served yet.
    pub fn new() -> Web {
        Web(tempfile::tempdir().expect("a directory"))
    }

    /// Where it lies, on the host and in containers.
    pub fn dir(&self) -> &Path {
        self.0.path()
    }

    /// The shell text of a server. It serves at its first port, or in a network of its own at `SERVE_AT`.
    pub fn cmd(&self, manner: Manner) -> String {
        let dir = self.dir().display();
        let Manner { well, slow, deaf } = manner;
        let own = |is: bool, text: &'static str| if is { text } else { "" };
        [
            &format!("mkdir -p {dir}/$MESOS_TASK_ID/cgi-bin; cd {dir}/$MESOS_TASK_ID; "),
            "echo $VERSION > version; ",
            "printf '#!/bin/sh\\nsleep $(cat ../delay); printf \"Content-Type: text/plain\\\\r\\\\n\\\\r\\\\nlate\"' \
             > cgi-bin/late; chmod 755 cgi-bin/late; ",
            own(well, "touch health; "),
            own(slow, "while [ ! -e go ]; do sleep 0.05; done; "),
            own(deaf, "trap '' TERM; "),
            "exec busybox httpd -f -vv -p ${SERVE_AT:-$PORT0}",
        ]
        .concat()
    }

    /// An app of one instance that says it is of this version. Its health is the file `health`: it is asked for once a
    /// second, and two failures are forgiven once it was well.
    pub fn app(&self, id: &str, version: &str, manner: Manner) -> Value {
        let check = json!({
            "protocol": "HTTP", "path": "/health", "portIndex": 0, "gracePeriodSeconds": 300,
            "intervalSeconds": 1, "timeoutSeconds": 20, "maxConsecutiveFailures": 2,
        });
        sleeper(
            id,
            json!({
                "cmd": self.cmd(manner), "env": {"VERSION": version}, "healthChecks": [check],
                "portDefinitions": [{"port": 0, "name": "http-api"}],
            }),
        )
    }

    /// The same in a container, on a server that was started with [`Web::volumes`].
    pub fn contained(&self, app: Value) -> Value {
        let dir = self.dir().display().to_string();
        let volume = json!({"hostPath": dir, "containerPath": dir, "mode": "RW"});
        let container = json!({
            "type": "DOCKER", "docker": {"image": "busybox:local"}, "volumes": [volume],
        });
        with(app, json!({ "container": container }))
    }

    /// What a server is started with that is to run its containers.
    pub fn volumes(&self) -> [String; 2] {
        ["--allow-volumes".to_owned(), self.dir().display().to_string()]
    }

    /// Makes a task answer for a path. One that runs has perhaps not come to make its directory.
    pub fn set(&self, task: &Value, name: &str, text: &str) {
        let file = self.file(task, name);
        std::fs::create_dir_all(file.parent().expect("it has one")).expect("a directory");
        std::fs::write(file, text).expect("written");
    }

    /// Takes that back.
    pub fn unset(&self, task: &Value, name: &str) {
        std::fs::remove_file(self.file(task, name)).expect("it was set");
    }

    fn file(&self, task: &Value, name: &str) -> PathBuf {
        self.dir().join(task["id"].as_str().expect("an id")).join(name)
    }
}

/// A definition with other or more fields, also within fields.
pub fn with(mut app: Value, fields: Value) -> Value {
    merge(&mut app, fields);
    app
}

/// Adds fields, also within fields.
pub fn merge(into: &mut Value, extra: Value) {
    match (into, extra) {
        (Value::Object(into), Value::Object(extra)) => {
            for (key, value) in extra {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, extra) => *into = extra,
    }
}

/// Whether a task runs and each of its checks has said that it is well.
pub fn is_healthy(task: &Value) -> bool {
    let results = task["healthCheckResults"].as_array().cloned().unwrap_or_default();
    let alive = results.iter().all(|result| result["alive"] == true);
    task["state"] == "TASK_RUNNING" && !results.is_empty() && alive
}

// === impl Stayer ===

impl Stayer {
    /// Waits until an app has so many healthy and unhealthy tasks.
    pub async fn counted(&self, id: &str, healthy: usize, unhealthy: usize) {
        let what = format!("{id} has {healthy} healthy and {unhealthy} unhealthy");
        self.until(&what, |stayer| async move {
            let app = stayer.app(id).await;
            app["tasksHealthy"] == json!(healthy) && app["tasksUnhealthy"] == json!(unhealthy)
        })
        .await;
    }

    /// Waits until so many tasks of a version of an app run, and gives them.
    pub async fn of_version(&self, id: &str, version: &Value, count: usize) -> Vec<Value> {
        self.wait(&format!("{count} of {id} run as {version}"), async |stayer| {
            let mut tasks = stayer.tasks(id, "TASK_RUNNING").await;
            tasks.retain(|task| task["version"] == *version);
            (tasks.len() == count).then_some(tasks)
        })
        .await
    }

    /// Waits until no deployment goes on, and asserts of every look at an app's tasks that it is so.
    pub async fn settles(&self, id: &str, holds: impl Fn(&[Value]) -> bool) {
        self.wait(&format!("{id} comes to rest"), async |stayer| {
            let tasks = stayer.all_tasks(id).await;
            assert!(holds(&tasks), "{tasks:#?}");
            (stayer.get("/v2/deployments").await.json() == json!([])).then_some(())
        })
        .await;
    }
}
