//! Containers of the host's engine, Docker or what speaks like it, as a [`Runtime`].
//!
//! A life's container is named after it and marked with whose it is ([`labels`]); every act begins with a look at what
//! bears the name, and what is not ours is never touched. Nothing is kept in memory: another process with another value
//! of this type goes on where this one stopped. Not here: what an agent allows (its policy is passed in), fetching, and
//! the order of steps, which is the agent's mind's.

pub mod auth;
pub mod call;
pub mod connect;
mod draft;
pub mod escape;
mod exec;
pub mod found;
pub mod gpu;
pub mod image;
pub mod labels;
pub mod late;
pub mod limits;
pub mod logs;
pub mod parameters;
pub mod ports;
pub mod pull;
pub mod spec;
pub mod version;

mod raw;
mod remains;
mod remedy;
mod wait;

pub use remains::Remains;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptionsBuilder, RemoveContainerOptionsBuilder,
};
use futures::stream::TryStreamExt;
use serde::Deserialize;
use tokio::sync::watch;

use crate::agent::docker::auth::Keyring;
use crate::agent::docker::call::{CallError, Caller};
use crate::agent::docker::connect::{Connection, EngineFacts};
use crate::agent::docker::found::Seen;
use crate::agent::docker::labels::Owner;
use crate::agent::docker::logs::Logs;
use crate::agent::docker::pull::Puller;
use crate::agent::docker::spec::container_name;
use crate::agent::gpu::{Shelf, inside};
use crate::agent::runtime::{
    Found, FoundState, Launch, LogStream, Progress, Running, Runtime, RuntimeError, SandboxId,
};
use crate::model::agent::DeviceId;
use crate::model::end::End;
use crate::model::reason::Reason;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;

/// What an agent forbids of a definition; empty when it may run.
pub type PolicyCheck = Box<dyn Fn(&Spec) -> Vec<Reason> + Send + Sync>;

/// Runs containers on one engine for one agent.
pub struct DockerRuntime {
    caller: Caller,
    /// What the engine is; another one may come in its place.
    facts: watch::Sender<Arc<EngineFacts>>,
    owner: Owner,
    puller: Puller,
    policy: PolicyCheck,
    shelf: Shelf,
}

/// What an attempt to create came to.
enum Created {
    /// It is there and ours, made now or before.
    Ready,
    /// The engine has not got the image.
    NoImage(CallError),
}

/// What is read of a list of containers.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    names: Option<Vec<String>>,
    image: Option<String>,
    ports: Option<Vec<Published>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Published {
    public_port: Option<u16>,
}

const LIST: &str = "list the containers";
const CREATE: &str = "create the container";
const START: &str = "start the container";
/// Containers looked at side by side when all are listed.
const LOOKS_AT_ONCE: usize = 16;

// === impl DockerRuntime ===

impl DockerRuntime {
    /// A runtime for `owner`'s containers on an engine that was [found](connect::find).
    pub fn new(
        connection: Connection,
        owner: Owner,
        keyring: Keyring,
        shelf: Shelf,
        policy: impl Fn(&Spec) -> Vec<Reason> + Send + Sync + 'static,
    ) -> DockerRuntime {
        let Connection { facts, caller } = connection;
        DockerRuntime {
            caller,
            facts: watch::Sender::new(Arc::new(facts)),
            owner,
            puller: Puller::new(keyring),
            policy: Box::new(policy),
            shelf,
        }
    }

    /// What the engine is, as far as the last look at it showed.
    pub fn facts(&self) -> Arc<EngineFacts> {
        Arc::clone(&self.facts.borrow())
    }

    /// The same, for who wants to know when that changes.
    pub fn follow_facts(&self) -> watch::Receiver<Arc<EngineFacts>> {
        self.facts.subscribe()
    }

    /// Whether the engine answers, and is one that we can speak with. Notices when it is another one than before.
    ///
    /// # Errors
    /// Unknown, with what came instead of an answer.
    pub async fn ping(&self) -> Result<(), RuntimeError> {
        let spoken = self.caller.negotiate().await.map_err(CallError::into_unknown)?;
        if !self.facts().is_of(&spoken) {
            let facts = connect::facts(&self.caller, spoken).await;
            self.facts.send_replace(Arc::new(facts));
        }
        Ok(())
    }

    /// What a container wrote to one output: its last `tail` lines or all, and with `follow` what is yet to come.
    ///
    /// # Errors
    /// Refused when there is no such container of ours.
    pub async fn logs(
        &self,
        id: SandboxId,
        stream: LogStream,
        tail: Option<u32>,
        follow: bool,
    ) -> Result<Logs, RuntimeError> {
        let Some(seen) = self.own(id).await? else {
            let detail = format!("there is no container {}", container_name(id));
            return Err(RuntimeError::Refused(Reason::Vanished { detail }));
        };
        let logs = logs::open(&self.caller, &seen.id, stream, tail, follow).await;
        logs.map_err(CallError::into_unknown)
    }

    /// What bears the name, ours or not.
    async fn look(&self, name: &str) -> Result<Option<Seen>, RuntimeError> {
        let path = format!("/containers/{name}/json");
        match self.caller.get("look at the container", &path).await {
            Ok(inspected) => Ok(Some(found::seen(inspected, self.owner))),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error.into_unknown()),
        }
    }

    /// Our container of this life, if there is one.
    async fn own(&self, id: SandboxId) -> Result<Option<Seen>, RuntimeError> {
        let seen = self.look(&container_name(id)).await?;
        Ok(seen.filter(|seen| is_life(seen, id)))
    }

    fn check_policy(&self, spec: &Spec) -> Result<(), RuntimeError> {
        let mut reasons = (self.policy)(spec);
        match reasons.len() {
            0 => Ok(()),
            1 => Err(RuntimeError::Refused(reasons.remove(0))),
            _ => {
                let what = reasons.iter().map(what_is_forbidden).collect::<Vec<_>>().join("; ");
                Err(RuntimeError::Refused(Reason::Policy { what }))
            }
        }
    }

    async fn create(
        &self,
        id: SandboxId,
        body: ContainerCreateBody,
    ) -> Result<Created, RuntimeError> {
        let name = container_name(id);
        let image = body.image.clone().unwrap_or_default();
        let options = CreateContainerOptionsBuilder::default().name(&name).build();
        let call = self.caller.docker().create_container(Some(options), body);
        match self.caller.change(CREATE, call).await {
            Ok(_) => Ok(Created::Ready),
            Err(error) if error.is_image_missing() => Ok(Created::NoImage(error)),
            Err(error) if error.is_conflict() => self.adopt(id, error).await,
            Err(error) if error.is_bad_image_name() => {
                Err(error.into_runtime(|detail| Reason::Image { image, detail }))
            }
            Err(error) => Err(self.refused(CREATE, error)),
        }
    }

    /// The name is taken: by this very life, made by a call whose answer was lost, or by a stranger.
    async fn adopt(&self, id: SandboxId, conflict: CallError) -> Result<Created, RuntimeError> {
        let name = container_name(id);
        match self.look(&name).await? {
            Some(seen) if is_life(&seen, id) => Ok(Created::Ready),
            Some(stranger) => Err(stranger_in_the_way(&name, &stranger)),
            None => Err(conflict.into_unknown()),
        }
    }

    /// What runs, once it is seen to have its devices. One without them would run on and do its work somewhere else, so
    /// it is ended (gpu.md §4.2).
    async fn with_its_gpus(&self, launch: &Launch, seen: Seen) -> Result<Running, RuntimeError> {
        let devices = &launch.place.devices;
        let (Some(pid), true) = (seen.pid, devices.iter().all(DeviceId::is_real)) else {
            return Ok(seen.running);
        };
        let mark = format!("MESOS_CONTAINER_NAME={}", container_name(launch.id));
        wait::until_itself(pid, &seen.id, &mark).await;
        let Err(missing) = inside::check(&self.shelf, devices, (pid, &mark)) else {
            return Ok(seen.running);
        };
        self.signal(launch.id, |_| "SIGKILL".to_owned()).await?;
        let limit = self.caller.deadlines().change;
        match tokio::time::timeout(limit, self.ended(launch.id)).await {
            Ok(ended) => ended.map(drop)?,
            Err(_) => return Err(RuntimeError::Unknown(format!("{missing}, and does not end"))),
        }
        Err(RuntimeError::Refused(missing))
    }

    /// A call that the engine refused, with what helps.
    fn refused(&self, what: &str, error: CallError) -> RuntimeError {
        error.into_runtime(|message| Reason::Start {
            detail: remedy::told(message, what, &self.facts()),
        })
    }

    /// A start that the engine refused, with the port's holder where a port was the cause.
    async fn start_refused(&self, error: CallError) -> RuntimeError {
        let port = match &error {
            CallError::Answered { message, .. } => ports::taken(message),
            CallError::Lost { .. } => None,
        };
        let Some(port) = port else { return self.refused(START, error) };
        let holder = match self.publisher(port).await {
            Some(container) => container,
            None => format!("a process of this host ({error})"),
        };
        RuntimeError::Refused(Reason::PortForeign { port, holder })
    }

    /// The container that publishes a port, for people.
    async fn publisher(&self, port: u16) -> Option<String> {
        let running: Vec<Listed> = self.caller.get(LIST, "/containers/json").await.ok()?;
        let holder = running.into_iter().find(|container| {
            let ports = container.ports.as_deref().unwrap_or_default();
            ports.iter().any(|published| published.public_port == Some(port))
        })?;
        let name = holder.names.unwrap_or_default().into_iter().next().unwrap_or_default();
        let image = holder.image.unwrap_or_default();
        Some(format!("container {} of image {image}", name.trim_start_matches('/')))
    }

    /// Sends a signal to our container of this life, if it runs.
    async fn signal(
        &self,
        id: SandboxId,
        signal: impl FnOnce(&Seen) -> String,
    ) -> Result<(), RuntimeError> {
        let Some(seen) = self.own(id).await? else { return Ok(()) };
        if !matches!(seen.state, FoundState::Running(_)) {
            return Ok(());
        }
        let options = KillContainerOptionsBuilder::default().signal(&signal(&seen)).build();
        let call = self.caller.docker().kill_container(&seen.id, Some(options));
        match self.caller.change("signal the container", call).await {
            Ok(()) => Ok(()),
            // It ended in between.
            Err(error) if error.is_not_found() || error.is_conflict() => Ok(()),
            Err(error) => Err(error.into_unknown()),
        }
    }
}

impl fmt::Debug for DockerRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let DockerRuntime { caller: _, facts, owner, puller: _, policy: _, shelf: _ } = self;
        f.debug_struct("DockerRuntime")
            .field("facts", &facts.borrow())
            .field("owner", owner)
            .finish_non_exhaustive()
    }
}

impl Runtime for DockerRuntime {
    async fn list(&self) -> Result<Vec<Found>, RuntimeError> {
        let marks = [format!("{}={}", labels::AGENT, self.owner.agent)];
        let filters = serde_json::json!({ "label": marks }).to_string();
        let path = format!("/containers/json?all=1&filters={}", raw::escaped(&filters));
        let listed: Vec<Listed> =
            self.caller.get(LIST, &path).await.map_err(CallError::into_unknown)?;
        let ids = listed.into_iter().map(|container| Ok(container.id));
        let looks = futures::stream::iter(ids)
            .map_ok(|id| async move { self.look(&id).await })
            .try_buffer_unordered(LOOKS_AT_ONCE);
        // One that vanished since, or whose marks are broken, is none of ours.
        looks.try_filter_map(async |seen| Ok(seen.and_then(Seen::found))).try_collect().await
    }

    async fn prepare(&self, launch: &Launch, progress: &Progress) -> Result<(), RuntimeError> {
        self.check_policy(&launch.spec)?;
        let facts = self.facts();
        let gpus = gpu::given(&self.caller, &facts, &self.shelf, launch).await?;
        let body = spec::create_body(launch, facts.nofile, gpus).map_err(RuntimeError::Refused)?;
        escape::check(launch.spec.container(), &launch.dir).map_err(RuntimeError::Refused)?;
        let image = body.image.clone().unwrap_or_default();
        let is_forced = launch.spec.container().image().is_some_and(|image| image.force_pull);
        if is_forced {
            if self.own(launch.id).await?.is_some() {
                return Ok(());
            }
            self.puller.pull(&self.caller, &image, true, progress).await?;
        }
        // Most often the image is there, so the engine is asked for it only by creating.
        if let Created::Ready = self.create(launch.id, body.clone()).await? {
            return Ok(());
        }
        self.puller.pull(&self.caller, &image, false, progress).await?;
        match self.create(launch.id, body).await? {
            Created::Ready => Ok(()),
            Created::NoImage(error) => {
                Err(error.into_runtime(|detail| Reason::Image { image, detail }))
            }
        }
    }

    async fn start(&self, launch: &Launch) -> Result<Running, RuntimeError> {
        let name = container_name(launch.id);
        let Some(seen) = self.own(launch.id).await? else {
            return Err(RuntimeError::Unknown(format!("there is no container {name} to start")));
        };
        match seen.state {
            FoundState::Running(_) => return self.with_its_gpus(launch, seen).await,
            // A second start would be a second life under one name.
            FoundState::Exited { .. } => {
                return Err(RuntimeError::Unknown(format!("{name} has run and ended before")));
            }
            FoundState::Prepared | FoundState::Partial => {}
        }
        let call = self.caller.docker().start_container(&seen.id, None);
        if let Err(error) = self.caller.change(START, call).await {
            return Err(self.start_refused(error).await);
        }
        let gone = || RuntimeError::Unknown(format!("{name} was started and is gone"));
        let seen = self.own(launch.id).await?.ok_or_else(gone)?;
        self.with_its_gpus(launch, seen).await
    }

    async fn ended(&self, id: SandboxId) -> Result<(Timestamp, End), RuntimeError> {
        let name = container_name(id);
        loop {
            let Some(seen) = self.own(id).await? else {
                return Err(RuntimeError::Unknown(format!("there is no container {name}")));
            };
            match seen.state {
                FoundState::Exited { at, end } => return Ok((at, end)),
                FoundState::Prepared | FoundState::Partial => {
                    return Err(RuntimeError::Unknown(format!("{name} has not been started")));
                }
                FoundState::Running(_) => {
                    wait::until_ended(&self.caller, &seen.id, seen.pid)
                        .await
                        .map_err(CallError::into_unknown)?;
                }
            }
        }
    }

    async fn terminate(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.signal(id, |seen| seen.stop_signal.clone()).await
    }

    async fn kill(&self, id: SandboxId) -> Result<(), RuntimeError> {
        self.signal(id, |_| "SIGKILL".to_owned()).await
    }

    async fn exec(
        &self,
        launch: &Launch,
        shell: &str,
        limit: Duration,
    ) -> Result<Option<i32>, RuntimeError> {
        let Some(seen) = self.own(launch.id).await? else {
            return Err(RuntimeError::Unknown("there is no container any more".to_owned()));
        };
        let ran = exec::run(&self.caller, &seen.id, shell, limit).await;
        ran.map_err(|error| error.into_runtime(refused_start))
    }

    async fn remove(&self, id: SandboxId) -> Result<(), RuntimeError> {
        let Some(seen) = self.own(id).await? else { return Ok(()) };
        let options = RemoveContainerOptionsBuilder::default().v(true).force(false).build();
        let call = self.caller.docker().remove_container(&seen.id, Some(options));
        match self.caller.change("remove the container", call).await {
            Ok(()) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error.into_unknown()),
        }
    }
}

fn is_life(seen: &Seen, id: SandboxId) -> bool {
    seen.identity.is_some_and(|identity| identity.id == id)
}

fn refused_start(detail: String) -> Reason {
    Reason::Start { detail }
}

fn what_is_forbidden(reason: &Reason) -> String {
    if let Reason::Policy { what } = reason { what.clone() } else { reason.to_string() }
}

fn stranger_in_the_way(name: &str, stranger: &Seen) -> RuntimeError {
    let Seen { id, image, .. } = stranger;
    let short = id.get(..12).unwrap_or(id);
    RuntimeError::Refused(refused_start(format!(
        "the name {name} is taken by container {short} of image {image}, which is not this agent's; it is left alone"
    )))
}

#[cfg(test)]
mod rig;
#[cfg(test)]
mod tests;
