//! The image that the Dockerfile makes, from local images alone.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::docker_rig::{Engine, comes_true, ended, sh};
use crate::rig::free_port;

/// An image of the test's own, with all that was started from it.
struct Built {
    engine: Engine,
    name: String,
}

// === impl Built ===

impl Built {
    fn new() -> Built {
        let engine = Engine::machine();
        let context = tempfile::tempdir().expect("a directory");
        let binary = context.path().join("stayer");
        // Without what is there for debuggers, or the image is ten times as large.
        sh(&format!("strip -o {} {}", binary.display(), env!("CARGO_BIN_EXE_stayer")));
        let name = format!("stayer-test-image:{}", std::process::id());
        let built = Built { engine, name };
        let dockerfile = Path::new(env!("CARGO_MANIFEST_DIR")).join("Dockerfile");
        let base = "stayer-test-base:local";
        built.engine.docker(&[
            "build",
            "--quiet",
            "--tag",
            &built.name,
            "--file",
            &dockerfile.display().to_string(),
            "--build-arg",
            &format!("BUILDER={base}"),
            "--build-arg",
            &format!("BASE={base}"),
            "--build-arg",
            "BINARY=stayer",
            &context.path().display().to_string(),
        ]);
        built
    }

    /// `docker run --rm IMAGE …` to its end.
    fn run(&self, options: &[&str], args: &[&str]) -> crate::docker_rig::Ended {
        let run = [&["run", "--rm"], options, &[&*self.name], args].concat();
        ended(&self.engine.attempt(&run))
    }
}

impl Drop for Built {
    fn drop(&mut self) {
        let filter = format!("ancestor={}", self.name);
        let list = self.engine.attempt(&["ps", "--all", "--quiet", "--filter", &filter]);
        for id in String::from_utf8_lossy(&list.stdout).lines() {
            let _best_effort = self.engine.attempt(&["rm", "--force", "--volumes", id]);
        }
        let _best_effort = self.engine.attempt(&["rmi", "--force", &self.name]);
        // The stage that compiles has no name; no other image carries its mark.
        let _best_effort =
            self.engine.attempt(&["image", "prune", "--force", "--filter", "label=stayer.test=1"]);
    }
}

#[tokio::test]
async fn the_image_starts_and_is_as_careful_as_the_binary() {
    let image = Built::new();
    let version = image.run(&["--network", "none"], &["--version"]);
    assert_eq!(version.text.trim(), format!("stayer {}", env!("CARGO_PKG_VERSION")), "{version:?}");

    // reliability §5.3, rule 8: publishing a port means not loopback inside.
    let refused = image.run(&["--network", "none"], &["dev", "--listen", "0.0.0.0:8080"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    for words in ["0.0.0.0:8080 is not a loopback address", "--insecure-no-auth"] {
        assert!(refused.text.contains(words), "{words} is not in {refused:?}");
    }

    let port = free_port();
    let publish = format!("127.0.0.1:{port}:8080");
    image.engine.docker(&[
        "run",
        "--detach",
        "--publish",
        &publish,
        &image.name,
        "dev",
        "--listen",
        "0.0.0.0:8080",
        "--insecure-no-auth",
    ]);
    let url = format!("http://127.0.0.1:{port}");
    let app =
        json!({"id": "/inside", "cmd": "while true; do sleep 1; done", "cpus": 0.1, "mem": 16});
    let post = format!("curl -sS -o /dev/null -w '%{{http_code}}' {url}/v2/apps -d '{app}'");
    let posted = || Command::new("sh").args(["-c", &post]).output().expect("sh").stdout == b"201";
    assert!(comes_true(posted), "an app is taken");
    let shown = || sh(&format!("curl -sS {url}/v2/apps/inside"));
    assert!(comes_true(|| shown().contains("\"tasksRunning\":1")), "{}", shown());
}
