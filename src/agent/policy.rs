//! The agent's own look at its policy, before it creates: what a host path resolves to counts as much as its text.

use std::path::{Path, PathBuf};

use crate::model::agent::Policy;
use crate::model::policy::{path_violation, violations};
use crate::model::reason::Reason;
use crate::model::spec::{Container, Spec};
use crate::model::volume::Volume;

/// What `policy` forbids of `spec` on this host, all in one; nothing when it may run.
///
/// # Errors
/// The reason to refuse.
pub fn check(policy: &Policy, spec: &Spec) -> Result<(), Reason> {
    let mut whats: Vec<String> = violations(policy, spec).iter().map(what).collect();
    if whats.is_empty() {
        whats.extend(host_paths(spec).filter_map(|path| {
            let resolved = resolved(Path::new(path));
            let why = path_violation(policy, &resolved.to_string_lossy())?;
            Some(format!("{path} leads to {}: {why}", resolved.display()))
        }));
    }
    if whats.is_empty() { Ok(()) } else { Err(Reason::Policy { what: whats.join("; ") }) }
}

fn what(reason: &Reason) -> String {
    if let Reason::Policy { what } = reason { what.clone() } else { reason.to_string() }
}

fn host_paths(spec: &Spec) -> impl Iterator<Item = &str> {
    let volumes = spec.containers.iter().flat_map(Container::volumes);
    volumes.filter_map(|volume| match volume {
        Volume::Host { host_path, .. } if host_path.starts_with('/') => Some(host_path.as_str()),
        Volume::Host { .. }
        | Volume::Persistent { .. }
        | Volume::External { .. }
        | Volume::Secret { .. } => None,
    })
}

/// Where a path leads: what of it exists, resolved, and the rest as it stands.
fn resolved(path: &Path) -> PathBuf {
    let mut rest = Vec::new();
    for known in path.ancestors() {
        if let Ok(real) = known.canonicalize() {
            return rest.iter().rev().fold(real, |path, part| path.join(part));
        }
        rest.extend(known.file_name());
    }
    path.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_out_of_an_allowed_directory_is_seen() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().canonicalize().expect("it exists");
        std::os::unix::fs::symlink("/etc", dir.join("link")).expect("a link");
        assert_eq!(resolved(&dir.join("link/new/file")), Path::new("/etc/new/file"));
        assert_eq!(resolved(&dir.join("a/b")), dir.join("a/b"));
    }
}
