//! Hosts with GPUs that are none: a driver's library of our own, and a toolkit's hook and runtime that put files in the place
//! of devices (gpu.md §4.4).

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::docker_rig::sh;

/// A driver with devices.
pub struct Driver {
    dir: TempDir,
}

// === impl Driver ===

impl Driver {
    /// One that shows these lines; see the library for what they may be.
    pub fn new(scene: &[&str]) -> Driver {
        let driver = Driver::later();
        driver.shows(scene);
        driver.install();
        driver
    }

    /// A host on which the driver is not installed yet.
    pub fn later() -> Driver {
        Driver { dir: tempfile::tempdir().expect("a directory") }
    }

    /// Puts the library where an agent looks for it.
    pub fn install(&self) {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/nvml/stub.c");
        let (scene, made, library) = (self.path("scene"), self.path("made.so"), self.library());
        sh(&format!(
            "cc -shared -fPIC -O1 -Wall -Werror '-DSCENE=\"{}\"' -o {} {source} && mv {} {library}",
            scene.display(),
            made.display(),
            made.display()
        ));
    }

    /// What it shows from now on.
    pub fn shows(&self, lines: &[&str]) {
        let new = self.path("scene.new");
        std::fs::write(&new, lines.join("\n") + "\n").expect("written");
        std::fs::rename(new, self.path("scene")).expect("renamed");
    }

    /// Where the library is, or will be.
    pub fn library(&self) -> String {
        self.path("libnvidia-ml.so.1").display().to_string()
    }

    /// A toolkit that knows these devices by their numbers: its directory holds the hook, and a runtime beside it.
    pub fn toolkit(&self, devices: &[(&str, u32)]) -> Toolkit {
        let bin = self.path("bin");
        std::fs::create_dir_all(&bin).expect("made");
        let lines: Vec<String> =
            devices.iter().map(|(id, minor)| format!("{id} {minor}\n")).collect();
        std::fs::write(self.path("devices"), lines.concat()).expect("written");
        let hook = bin.join("nvidia-container-runtime-hook");
        program(&hook, &HOOK.replace("@MAP@", &self.path("devices").display().to_string()));
        let runtime = self.path("runtime");
        program(&runtime, &RUNTIME.replace("@HOOK@", &hook.display().to_string()));
        Toolkit { bin, hook, runtime }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A toolkit that is none.
pub struct Toolkit {
    /// For the path of an engine that is to find the hook.
    pub bin: PathBuf,
    hook: PathBuf,
    runtime: PathBuf,
}

// === impl Toolkit ===

impl Toolkit {
    /// For the configuration of an engine that is to have the runtime.
    pub fn runtimes(&self) -> Value {
        json!({ "nvidia": { "path": self.runtime } })
    }

    /// From now on it does nothing and says that all is well.
    pub fn breaks(&self) {
        program(&self.hook, "#!/bin/sh\ncat >/dev/null\n");
    }
}

fn program(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("its rights");
}

/// Runs before the container's own program, in front of a `/dev` that is complete but for what it adds: a file for each
/// device, and an `nvidia-smi` that lists them.
const HOOK: &str = r#"#!/bin/sh
set -e
state=$(cat)
field() { printf %s "$state" | sed -n "s/.*\"$1\":\"\{0,1\}\([^\",}]*\).*/\1/p"; }
pid=$(field pid)
config=$(field bundle)/config.json
ids=$(sed -n 's/.*"NVIDIA_VISIBLE_DEVICES=\([^"]*\)".*/\1/p' "$config" | head -n 1)
root=$(sed -n 's/.*"root":{"path":"\([^"]*\)".*/\1/p' "$config")
[ "$ids" != void ] || exit 0
files=
for id in $(echo "$ids" | tr , ' '); do
    minor=$(sed -n "s/^$id //p" @MAP@)
    files="$files $root/dev/nvidia$minor"
done
nsenter --target "$pid" --mount sh -c "touch $files; printf '#!/bin/sh\necho GPUs: $ids\n' >$root/bin/nvidia-smi; chmod 755 $root/bin/nvidia-smi"
"#;

/// Adds the hook to whatever it creates and leaves the rest to the engine's usual runtime.
const RUNTIME: &str = r#"#!/usr/bin/env python3
import json, os, sys
args = sys.argv[1:]
if "create" in args:
    bundle = args[args.index("--bundle") + 1] if "--bundle" in args else "."
    path = os.path.join(bundle, "config.json")
    with open(path) as file:
        config = json.load(file)
    hooks = config.setdefault("hooks", {})
    hooks["prestart"] = hooks.get("prestart", []) + [{"path": "@HOOK@"}]
    with open(path, "w") as file:
        json.dump(config, file, separators=(",", ":"))
os.execvp("runc", ["runc"] + args)
"#;
