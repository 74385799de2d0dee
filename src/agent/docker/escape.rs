//! Keeps volumes that are named relative to the sandbox inside it.
//!
//! An archive that was fetched may hold a symbolic link, and the engine, which is root, would follow it.

use std::path::Path;

use crate::model::reason::Reason;
use crate::model::spec::Container;
use crate::model::volume::Volume;

/// Looks at the way to each relative host path of a container with this sandbox.
///
/// # Errors
/// When a part of it is a symbolic link.
pub fn check(container: &Container, dir: &Path) -> Result<(), Reason> {
    container.volumes().iter().try_for_each(|volume| match volume {
        Volume::Host { host_path, .. } if !host_path.starts_with('/') => walk(host_path, dir),
        Volume::Host { .. }
        | Volume::Persistent { .. }
        | Volume::External { .. }
        | Volume::Secret { .. } => Ok(()),
    })
}

fn walk(host_path: &str, dir: &Path) -> Result<(), Reason> {
    let mut way = dir.to_owned();
    for part in Path::new(host_path) {
        way.push(part);
        if way.is_symlink() {
            let what = format!("the volume {host_path} passes a symbolic link in the sandbox");
            return Err(Reason::Policy { what });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::docker::rig::{sandbox, spec};
    use crate::model::volume::VolumeMode;

    #[test]
    fn a_link_in_the_sandbox_leads_nowhere() {
        let dir = tempfile::tempdir().expect("a directory");
        std::os::unix::fs::symlink("/etc", dir.path().join("out")).expect("a link");
        std::os::unix::fs::symlink("/nowhere", dir.path().join("dangling")).expect("a link");
        std::fs::create_dir(dir.path().join("in")).expect("a directory");
        let outcome = |host_path: &str| {
            let mut spec = spec("redis");
            sandbox(&mut spec).volumes = vec![Volume::Host {
                container_path: "/v".to_owned(),
                host_path: host_path.to_owned(),
                mode: VolumeMode::ReadWrite,
            }];
            check(spec.container(), dir.path())
        };
        for path in ["in", "in/new", "new", "/etc"] {
            assert_eq!(outcome(path), Ok(()), "{path}");
        }
        for path in ["out", "out/ssl", "dangling", "./out"] {
            assert!(matches!(outcome(path), Err(Reason::Policy { .. })), "{path}");
        }
    }
}
