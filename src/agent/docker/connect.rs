//! Finds the engine of this host and learns what it is.

use std::fmt;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use tokio::net::UnixStream;

use crate::agent::docker::call::{Caller, Deadlines, VersionFacts};
use crate::agent::docker::limits;
use crate::agent::docker::version::ApiVersion;
use crate::model::agent::Engine;

/// Where to look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Search {
    /// The value of `DOCKER_HOST`; nothing else is tried when there is one.
    pub docker_host: Option<String>,
    /// The value of `XDG_RUNTIME_DIR`: engines without root rights listen there.
    pub runtime_dir: Option<PathBuf>,
    /// The home directory.
    pub home: Option<PathBuf>,
}

/// What an engine is, for the start banner and the agent's inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineFacts {
    /// Name, version and the API version that is spoken.
    pub engine: Engine,
    /// Where it listens.
    pub socket: PathBuf,
    /// 1 or 2, if it says so.
    pub cgroup_version: Option<u8>,
    /// Whether containers outlive a restart of the engine.
    pub live_restore: Option<bool>,
    /// How it stores images and containers.
    pub storage: Option<String>,
    /// Names of its security options: `seccomp`, `rootless` …
    pub security: Vec<String>,
    /// The highest limit of open files that it can give a container.
    pub nofile: i64,
    /// What it does not limit here, whatever it is asked: it takes such a wish and drops it.
    pub unlimited: Vec<&'static str>,
    /// What it cannot do on this host, in its own words.
    pub warnings: Vec<String>,
}

/// What is read of an engine's facts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Info {
    cgroup_version: Option<String>,
    live_restore_enabled: Option<bool>,
    driver: Option<String>,
    security_options: Option<Vec<String>>,
    warnings: Option<Vec<String>>,
    memory_limit: Option<bool>,
    #[serde(rename = "CPUShares")]
    cpu_shares: Option<bool>,
    cpu_cfs_quota: Option<bool>,
}

/// An engine that answers.
#[derive(Clone, Debug)]
pub struct Connection {
    /// What it is.
    pub facts: EngineFacts,
    /// The way to it.
    pub(super) caller: Caller,
}

/// Why there is no engine.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// Nothing listens anywhere.
    #[error("no container engine was found; looked at {}", .tried.join(", "))]
    NoSocket {
        /// Where it was looked for.
        tried: Vec<String>,
    },
    /// There is a socket that this account may not use.
    #[error(
        "{socket} may not be used by this account: it belongs to {owner} with mode {mode}; {remedy}"
    )]
    NoRights {
        /// The socket.
        socket: String,
        /// Its `user:group`.
        owner: String,
        /// Its mode, octal.
        mode: String,
        /// How to get the right.
        remedy: String,
    },
    /// There is a socket, but nobody answers sensibly.
    #[error("the engine at {socket} does not answer: {detail}")]
    Silent {
        /// The socket.
        socket: String,
        /// What happened instead.
        detail: String,
    },
    /// `DOCKER_HOST` names something that is not a local socket.
    #[error(
        "DOCKER_HOST={host} cannot be used: the engine must be on this host, as in unix:///var/run/docker.sock"
    )]
    NotLocal {
        /// The value.
        host: String,
    },
}

/// Finds an engine that answers, the first one in the order of [`Search::sockets`].
///
/// # Errors
/// The most telling reason: a socket without rights before a silent one before none at all.
pub async fn find(search: &Search, deadlines: Deadlines) -> Result<Connection, ConnectError> {
    let sockets = search.sockets()?;
    let mut worst: Option<ConnectError> = None;
    for socket in &sockets {
        match open(socket, deadlines).await {
            Ok(connection) => return Ok(connection),
            Err(error) if worst.as_ref().is_none_or(|other| rank(&error) > rank(other)) => {
                worst = Some(error);
            }
            Err(_) => {}
        }
    }
    match worst {
        Some(error) if rank(&error) > 0 => Err(error),
        Some(_) | None => Err(ConnectError::NoSocket { tried: shown(&sockets) }),
    }
}

// === impl Search ===

impl Search {
    /// The sockets to try, in order.
    ///
    /// # Errors
    /// When `DOCKER_HOST` names something else than a local socket.
    pub fn sockets(&self) -> Result<Vec<PathBuf>, ConnectError> {
        if let Some(host) = self.docker_host.as_deref().filter(|host| !host.is_empty()) {
            let path = host.strip_prefix("unix://").unwrap_or(host);
            return if path.starts_with('/') {
                Ok(vec![PathBuf::from(path)])
            } else {
                Err(ConnectError::NotLocal { host: host.to_owned() })
            };
        }
        let below = |base: &Option<PathBuf>, rest| base.as_ref().map(|base| base.join(rest));
        let places = [
            Some(PathBuf::from("/var/run/docker.sock")),
            Some(PathBuf::from("/run/docker.sock")),
            below(&self.runtime_dir, "docker.sock"),
            below(&self.home, ".docker/run/docker.sock"),
            Some(PathBuf::from("/run/podman/podman.sock")),
            below(&self.runtime_dir, "podman/podman.sock"),
        ];
        Ok(places.into_iter().flatten().collect())
    }
}

// === impl EngineFacts ===

impl EngineFacts {
    /// An engine that says nothing else of itself.
    #[cfg(test)]
    pub fn of(engine: Engine) -> EngineFacts {
        EngineFacts {
            engine,
            socket: PathBuf::new(),
            cgroup_version: None,
            live_restore: None,
            storage: None,
            security: Vec::new(),
            nofile: limits::NOFILE,
            unlimited: Vec::new(),
            warnings: Vec::new(),
        }
    }

    fn new(socket: &Path, api: ApiVersion, version: VersionFacts, info: Info) -> EngineFacts {
        let components = version.components.unwrap_or_default();
        let is_podman = components
            .iter()
            .any(|part| part.name.as_deref().is_some_and(|name| name.contains("Podman")));
        let security = info.security_options.unwrap_or_default();
        EngineFacts {
            engine: Engine {
                name: if is_podman { "Podman" } else { "Docker" }.to_owned(),
                version: version.version.unwrap_or_default(),
                api: api.to_string(),
            },
            socket: socket.to_owned(),
            cgroup_version: info.cgroup_version.and_then(|text| text.parse().ok()),
            live_restore: info.live_restore_enabled,
            storage: info.driver,
            security: security.iter().map(|option| security_name(option).to_owned()).collect(),
            nofile: limits::NOFILE,
            unlimited: [
                (info.memory_limit, "memory"),
                (info.cpu_shares, "cpu shares"),
                (info.cpu_cfs_quota, "cpu quotas"),
            ]
            .into_iter()
            .filter_map(|(given, what)| (given == Some(false)).then_some(what))
            .collect(),
            warnings: info.warnings.unwrap_or_default(),
        }
    }

    /// Whether these are the facts of one that says this of itself.
    pub(super) fn is_of(&self, (api, version): &(ApiVersion, VersionFacts)) -> bool {
        self.engine.api == api.to_string()
            && self.engine.version == version.version.as_deref().unwrap_or_default()
    }

    /// Whether it runs without root rights: then limits need delegated control groups.
    pub fn is_rootless(&self) -> bool {
        self.security.iter().any(|name| name == "rootless")
    }
}

impl fmt::Display for EngineFacts {
    /// One line for the start banner.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Engine { name, version, api } = &self.engine;
        write!(f, "{name} {version} (API {api}) at {}", self.socket.display())?;
        if let Some(version) = self.cgroup_version {
            write!(f, ", cgroup v{version}")?;
        }
        if self.is_rootless() {
            write!(f, ", rootless")?;
        }
        if !self.unlimited.is_empty() {
            write!(f, ", without limits of {}", self.unlimited.join(" and "))?;
        }
        if self.nofile < limits::NOFILE {
            write!(f, ", at most {} open files", self.nofile)?;
        }
        if self.live_restore == Some(false) {
            write!(f, ", live-restore off: containers end when the engine restarts")?;
        }
        Ok(())
    }
}

async fn open(socket: &Path, deadlines: Deadlines) -> Result<Connection, ConnectError> {
    let stream = match tokio::time::timeout(deadlines.read, UnixStream::connect(socket)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(refused(socket, &error)),
        Err(_) => return Err(silent(socket, "the connection is not accepted")),
    };
    drop(stream);
    let caller =
        Caller::new(socket.to_owned(), deadlines).map_err(|error| silent(socket, error))?;
    let spoken = caller.negotiate().await.map_err(|error| silent(socket, error))?;
    let facts = facts(&caller, spoken).await;
    Ok(Connection { facts, caller })
}

/// What the engine is that has just said which version it speaks.
pub(super) async fn facts(
    caller: &Caller,
    (api, version): (ApiVersion, VersionFacts),
) -> EngineFacts {
    let stream = UnixStream::connect(caller.socket()).await;
    let process = stream.ok().and_then(|it| it.peer_cred().ok()).and_then(|peer| peer.pid());
    let mut facts = EngineFacts::new(caller.socket(), api, version, info(caller).await);
    facts.nofile = limits::nofile_of(process);
    facts
}

/// An engine whose facts cannot be read is still one.
async fn info(caller: &Caller) -> Info {
    caller.get("ask the engine for its facts", "/info").await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the engine's facts are not known");
        Info::default()
    })
}

/// `name=seccomp,profile=default` or, from older engines, `seccomp`.
fn security_name(option: &str) -> &str {
    let first = option.split(',').next().unwrap_or_default();
    first.strip_prefix("name=").unwrap_or(first)
}

pub(super) fn refused(socket: &Path, error: &io::Error) -> ConnectError {
    match error.kind() {
        io::ErrorKind::NotFound => ConnectError::NoSocket { tried: vec![shown_one(socket)] },
        io::ErrorKind::PermissionDenied => no_rights(socket),
        _ => silent(socket, error),
    }
}

fn no_rights(socket: &Path) -> ConnectError {
    let (owner, group, mode) = match std::fs::symlink_metadata(socket) {
        Ok(about) => {
            (user(about.uid()), group(about.gid()), format!("{:03o}", about.mode() & 0o777))
        }
        Err(_) => ("?".to_owned(), "?".to_owned(), "?".to_owned()),
    };
    let remedy = if group == "root" || group == "?" {
        "start the agent as root, or let DOCKER_HOST name an engine of this account".to_owned()
    } else {
        format!(
            "add the account to the group {group} (usermod -aG {group} NAME, then log in again), or start the agent as root"
        )
    };
    ConnectError::NoRights {
        socket: shown_one(socket),
        owner: format!("{owner}:{group}"),
        mode,
        remedy,
    }
}

fn user(uid: u32) -> String {
    let known = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    known.map_or_else(|| uid.to_string(), |user| user.name)
}

fn group(gid: u32) -> String {
    let known = nix::unistd::Group::from_gid(gid.into()).ok().flatten();
    known.map_or_else(|| gid.to_string(), |group| group.name)
}

fn silent(socket: &Path, detail: impl fmt::Display) -> ConnectError {
    ConnectError::Silent { socket: shown_one(socket), detail: detail.to_string() }
}

fn rank(error: &ConnectError) -> u8 {
    match error {
        ConnectError::NoSocket { .. } => 0,
        ConnectError::NotLocal { .. } | ConnectError::Silent { .. } => 1,
        ConnectError::NoRights { .. } => 2,
    }
}

fn shown(sockets: &[PathBuf]) -> Vec<String> {
    sockets.iter().map(|socket| shown_one(socket)).collect()
}

fn shown_one(socket: &Path) -> String {
    socket.display().to_string()
}
