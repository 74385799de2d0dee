//! What of a definition an agent's policy forbids (reliability §5.5).
//!
//! Placement asks before it chooses an agent, the agent asks again before it creates. Paths are judged as texts here; the
//! agent also judges what they resolve to.

use crate::model::agent::Policy;
use crate::model::reason::Reason;
use crate::model::spec::{Container, Parameter, Spec};
use crate::model::volume::Volume;

/// Keys of `docker run` parameters that give a container nothing of the host.
const HARMLESS: [&str; 19] = [
    "add-host",
    "cap-drop",
    "dns",
    "dns-option",
    "dns-search",
    "domainname",
    "entrypoint",
    "env",
    "hostname",
    "init",
    "label",
    "log-opt",
    "read-only",
    "shm-size",
    "stop-signal",
    "tmpfs",
    "ulimit",
    "user",
    "workdir",
];

/// Short and old names of parameters.
const ALIASES: [(&str, &str); 8] = [
    ("dns-opt", "dns-option"),
    ("e", "env"),
    ("h", "hostname"),
    ("l", "label"),
    ("net", "network"),
    ("u", "user"),
    ("v", "volume"),
    ("w", "workdir"),
];

/// Places that hold a host together: a directory above them does not allow them, they must be named.
const GUARDED: [&str; 11] = [
    "/boot",
    "/dev",
    "/etc",
    "/proc",
    "/root",
    "/run",
    "/sys",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/run",
    "/var/run/docker.sock",
];

/// What `policy` forbids of `spec`; nothing when it may run.
pub fn violations(policy: &Policy, spec: &Spec) -> Vec<Reason> {
    let of = |container| container_violations(policy, container);
    spec.containers.iter().flat_map(of).map(|what| Reason::Policy { what }).collect()
}

/// What is wrong with mounting the host's `path`, for people; nothing when it is allowed. Being allowed is being named,
/// or lying below what is named with nothing guarded in between or below.
pub fn path_violation(policy: &Policy, path: &str) -> Option<String> {
    let path = normal(path);
    let allowed = policy.volumes.iter().map(|named| normal(named)).any(|named| {
        let guarded = |place: &str| {
            is_within(&path, place) && !is_within(&named, place)
                || is_within(place, &path) && named != path
        };
        is_within(&path, &named) && !GUARDED.iter().any(|place| guarded(place))
    });
    (!allowed).then(|| {
        format!("the host path {path} is not among those that --allow-volumes names: {}", {
            if policy.volumes.is_empty() { "none".to_owned() } else { policy.volumes.join(", ") }
        })
    })
}

fn container_violations(policy: &Policy, container: &Container) -> Vec<String> {
    let mut found = Vec::new();
    for volume in container.volumes() {
        match volume {
            Volume::Host { host_path, .. } => found.extend(volume_violation(policy, host_path)),
            // Names, not paths: what is behind them is the agent's or a provider's.
            Volume::Persistent { .. } | Volume::External { .. } | Volume::Secret { .. } => {}
        }
    }
    if let Some(image) = container.image() {
        if image.privileged && !policy.privileged {
            found.push("privileged containers need --allow-privileged".to_owned());
        }
        found.extend(image.parameters.iter().filter_map(|it| parameter_violation(policy, it)));
    }
    let linux = container.sandbox.as_ref().and_then(|sandbox| sandbox.linux_info.as_ref());
    let seccomp = linux.and_then(|linux| linux.seccomp.as_ref());
    if seccomp.is_some_and(|seccomp| seccomp.unconfined) && !policy.privileged {
        found.push("containers without seccomp need --allow-privileged".to_owned());
    }
    found
}

fn volume_violation(policy: &Policy, host_path: &str) -> Option<String> {
    if host_path.starts_with('/') {
        return path_violation(policy, host_path);
    }
    leaves(host_path).then(|| format!("the volume {host_path} leaves the sandbox"))
}

fn parameter_violation(policy: &Policy, parameter: &Parameter) -> Option<String> {
    let Parameter { key, value } = parameter;
    let long = ALIASES.iter().find(|(alias, _)| alias == key).map_or(&**key, |(_, long)| long);
    let allowed = HARMLESS.contains(&long)
        || policy.parameters.contains(long)
        || long == "sysctl" && value.starts_with("net.")
        || long == "privileged" && (policy.privileged || value == "false");
    // A path is judged as a path, whatever the keys that are allowed.
    match (long, value.split(':').next()) {
        ("volume", Some(path)) if path.starts_with('/') && value.contains(':') => {
            path_violation(policy, path)
        }
        _ if allowed => None,
        ("privileged", _) => Some("privileged containers need --allow-privileged".to_owned()),
        _ => Some(format!("the docker parameter {key} needs --allow-parameter {long}")),
    }
}

/// Whether `path` is `place` or lies below it; both normal.
fn is_within(path: &str, place: &str) -> bool {
    let place = place.trim_end_matches('/');
    path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An absolute path without `.`, `..` and doubled slashes.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// Whether a relative path leaves where it begins.
fn leaves(path: &str) -> bool {
    let mut depth = 0_usize;
    path.split('/').any(|part| match part {
        "" | "." => false,
        ".." => match depth.checked_sub(1) {
            Some(up) => {
                depth = up;
                false
            }
            None => true,
        },
        _ => {
            depth += 1;
            false
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(volumes: &[&str]) -> Policy {
        let volumes = volumes.iter().map(|path| (*path).to_owned()).collect();
        Policy { volumes, ..Policy::default() }
    }

    fn allows(volumes: &[&str], path: &str) -> bool {
        path_violation(&policy(volumes), path).is_none()
    }

    #[test]
    fn only_what_is_named_may_be_mounted() {
        assert!(!allows(&[], "/srv/data"));
        assert!(allows(&["/srv"], "/srv/data"));
        assert!(allows(&["/srv/"], "/srv"));
        assert!(!allows(&["/srv"], "/srvx"));
        assert!(!allows(&["/srv"], "/srv/../etc/passwd"), "paths are judged normalised");
        assert!(allows(&["/srv"], "/etc/.././srv//x"));
    }

    #[test]
    fn what_holds_the_host_together_must_be_named_itself() {
        // The payload that mounts `/` and writes to /etc/cron.d (reliability §5.1) is refused unless `/` is named.
        assert!(!allows(&["/srv"], "/"));
        assert!(allows(&["/"], "/"));
        assert!(allows(&["/"], "/srv"));
        for path in ["/etc", "/root/.ssh", "/proc", "/var/run/docker.sock", "/run/docker.sock"] {
            assert!(!allows(&["/", "/srv"], path), "{path}");
        }
        assert!(!allows(&["/"], "/var"), "the engine's own directories lie below");
        assert!(allows(&["/var/run/docker.sock"], "/var/run/docker.sock"));
        assert!(!allows(&["/var/run"], "/var/run/docker.sock"));
        assert!(allows(&["/etc/ssl"], "/etc/ssl/certs"));
    }

    #[test]
    fn relative_paths_stay_in_the_sandbox() {
        assert_eq!(volume_violation(&policy(&[]), "data/a/../b"), None);
        assert!(volume_violation(&policy(&[]), "data/../../b").is_some());
    }

    #[test]
    fn parameters_are_allowed_by_name() {
        let forbidden = |policy: &Policy, key: &str, value: &str| {
            let parameter = Parameter { key: key.to_owned(), value: value.to_owned() };
            parameter_violation(policy, &parameter)
        };
        let none = policy(&["/srv"]);
        for (key, value) in [
            ("label", "a=b"),
            ("e", "A=1"),
            ("sysctl", "net.core.somaxconn=1"),
            ("volume", "/srv/x:/x"),
            ("privileged", "false"),
        ] {
            assert_eq!(forbidden(&none, key, value), None, "{key}");
        }
        for (key, value) in [
            ("cap-add", "SYS_ADMIN"),
            ("sysctl", "kernel.shmmax=1"),
            ("v", "/:/host"),
            ("privileged", "true"),
            ("pid", "host"),
            ("net", "host"),
            ("unheard-of", ""),
        ] {
            assert!(forbidden(&none, key, value).is_some(), "{key}");
        }
        let mut some = none.clone();
        some.parameters = ["pid", "volume"].map(str::to_owned).into();
        assert_eq!(forbidden(&some, "pid", "host"), None);
        assert!(forbidden(&some, "v", "/etc:/x").is_some());
        assert_eq!(forbidden(&some, "v", "a-volume:/x"), None);
    }
}
