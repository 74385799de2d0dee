//! What is done to one sandbox, on the records and lives of its host.

use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::fs::OFlags;

use crate::agent::fetch::Fetcher;
use crate::agent::logs;
use crate::agent::process::cgroup::{self, Allowance, Cgroups};
use crate::agent::process::config::ProcessConfig;
use crate::agent::process::exit;
use crate::agent::process::holder::{self, Hold};
use crate::agent::process::life::{self, Life};
use crate::agent::process::proc;
use crate::agent::process::record::{Ledger, Record};
use crate::agent::process::sweep::Traces;
use crate::agent::runtime::{
    Found, FoundState, Launch, LogStream, Running, RuntimeError, SandboxId,
};
use crate::model::end::End;
use crate::model::id::AgentId;
use crate::model::reason::Reason;
use crate::model::time::Timestamp;

/// How long a holder that is being started may take until it says who it is.
const HOLDER_DEADLINE: Duration = Duration::from_secs(5);

/// The hands of a process runtime, shared by its copies.
pub struct Shared {
    /// Whose sandboxes these are.
    pub agent: AgentId,
    /// What is remembered of them.
    pub ledger: Ledger,
    /// Where they are.
    pub sandboxes: PathBuf,
    /// This run of the host.
    pub boot: String,
    /// What limits them.
    pub cgroups: Cgroups,
    /// What fills them.
    pub fetcher: Fetcher,
    /// Holders that this very process started: their status has to be taken by it.
    children: Mutex<BTreeMap<SandboxId, Child>>,
}

// === impl Shared ===

impl Shared {
    /// Opens the directories and finds out what the host allows.
    pub fn open(config: ProcessConfig) -> io::Result<Shared> {
        let sandboxes = config.data.join("sandboxes");
        // Other accounts pass through it to their own sandbox.
        DirBuilder::new().recursive(true).mode(0o711).create(&sandboxes)?;
        Ok(Shared {
            agent: config.agent,
            ledger: Ledger::open(&config.data)?,
            sandboxes,
            boot: proc::boot_id(),
            cgroups: Cgroups::detect(&config.cgroups, config.agent),
            fetcher: Fetcher::open(config.fetch)?,
            children: Mutex::new(BTreeMap::new()),
        })
    }

    /// Claims the sandbox and makes it anew, empty but for its outputs.
    pub fn make_sandbox(&self, launch: &Launch) -> Result<(), RuntimeError> {
        let known = self.ledger.load(launch.id).map_err(unknown)?.is_some();
        if known {
            remove_dir(&launch.dir).map_err(unknown)?;
        } else {
            refuse_foreign(&launch.dir)?;
            let record = Record::of(launch, self.cgroups.paths(launch.id));
            self.ledger.save(launch.id, &record).map_err(unknown)?;
        }
        DirBuilder::new().mode(0o700).create(&launch.dir).map_err(unknown)?;
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            output(&launch.dir, stream).map_err(unknown)?;
        }
        Ok(())
    }

    /// Starts what is prepared. None when it is just being started, by an agent that has since been killed.
    pub fn start(&self, launch: &Launch) -> Result<Option<Running>, RuntimeError> {
        let account = holder::check(launch).map_err(RuntimeError::Refused)?;
        let file = self.ledger.life(launch.id);
        let Some((record, life)) = self.both(launch.id)? else {
            return Err(RuntimeError::Unknown(format!("sandbox {} is not prepared", launch.id)));
        };
        if let Some(running) = running(&life) {
            return Ok(Some(running));
        }
        let Some(mut claimed) = file.claim().map_err(unknown)? else { return Ok(None) };
        let groups = self.limit(launch, &record);
        let outputs = (
            output(&launch.dir, LogStream::Stdout).map_err(|error| refused(&error))?,
            output(&launch.dir, LogStream::Stderr).map_err(|error| refused(&error))?,
        );
        let at = life::begin(&mut claimed, &self.boot).map_err(unknown)?;
        let inherited = claimed.try_clone().map_err(unknown)?;
        let hold =
            Hold { launch, account: account.as_ref(), groups: &groups, life: inherited, outputs };
        let mut child = hold.spawn().map_err(not_spawned)?;
        let pid = child.id();
        if let Err(error) = life::hold(&mut claimed, pid) {
            // The holder could write as little as we, and gives up by itself if it has not done so already.
            child.kill().and_then(|()| child.wait()).map_err(unknown)?;
            return Err(unknown(error));
        }
        self.children().insert(launch.id, child);
        Ok(Some(Running { at, ips: Vec::new(), handle: pid.to_string() }))
    }

    /// Makes the control groups; the process runs without what the host does not allow.
    fn limit(&self, launch: &Launch, record: &Record) -> Vec<PathBuf> {
        let limits = launch.spec.container().limits.as_ref();
        let allowance = Allowance::of(
            launch.place.cpus,
            launch.place.mem,
            limits.and_then(|limits| limits.cpus),
            limits.and_then(|limits| limits.mem),
        );
        match self.cgroups.create(&record.groups, allowance) {
            Ok(()) => record.groups.clone(),
            Err(error) => {
                tracing::warn!(sandbox = %launch.id, %error, "runs without limits");
                Vec::new()
            }
        }
    }

    /// What a sandbox with a record is; none when its removal was only to be finished.
    pub async fn classify(
        &self,
        id: SandboxId,
        record: Record,
    ) -> Result<Option<Found>, RuntimeError> {
        let state = match self.life(id)? {
            None => FoundState::Partial,
            Some(life) if life.removed => {
                self.remove(id, &record).map_err(unknown)?;
                return Ok(None);
            }
            Some(life) => {
                let started = match running(&life) {
                    Some(running) => Some(running),
                    None => self.started(id).await?,
                };
                match started {
                    None => FoundState::Prepared,
                    Some(running) if self.runs(id)? => FoundState::Running(running),
                    Some(_) => {
                        let (at, end) = self.finish(id, &record).await?;
                        FoundState::Exited { at, end }
                    }
                }
            }
        };
        Ok(Some(Found { id, key: record.key, spec_key: record.spec_key, state }))
    }

    /// Whether a life without a holder is one that an earlier agent process has just begun to start: then somebody holds
    /// it, and says who in a moment.
    async fn started(&self, id: SandboxId) -> Result<Option<Running>, RuntimeError> {
        within(id, async {
            loop {
                let free = self.ledger.life(id).claim().map_err(unknown)?.is_some();
                let word = self.life(id)?.as_ref().and_then(running);
                if free || word.is_some() {
                    return Ok(word);
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
        .await
    }

    /// Sees to it that nothing of an ended process runs, and writes down how it ended.
    pub async fn finish(
        &self,
        id: SandboxId,
        record: &Record,
    ) -> Result<(Timestamp, End), RuntimeError> {
        let file = self.ledger.life(id);
        let life = self.life(id)?.unwrap_or_default();
        if let Some(done) = life.ended {
            return Ok(done);
        }
        let Some(holder) = life.holder else {
            return Err(RuntimeError::Unknown(format!("sandbox {id} was not started")));
        };
        self.sweep(id, record, &life).await?;
        let life = self.life(id)?.unwrap_or(life);
        let at = file.end_time(&life).map_err(unknown)?;
        let silence = if life.boot == self.boot {
            format!("the shell that held it, process {}, was killed from outside", holder.pid)
        } else {
            "the host was started anew".to_owned()
        };
        let oom = cgroup::oom_kill(&record.groups);
        let end = exit::decide(exit::Traces { code: life.code, asked: life.asked, oom, silence });
        file.end(at, &end).map_err(unknown)?;
        // Tried again when the sandbox is removed.
        let _removed = cgroup::remove(&record.groups);
        Ok((at, end))
    }

    pub async fn sweep(
        &self,
        id: SandboxId,
        record: &Record,
        life: &Life,
    ) -> Result<(), RuntimeError> {
        let Some(holder) = life.holder.filter(|_| life.boot == self.boot) else { return Ok(()) };
        let traces = Traces { holder, mark: record.mark(), groups: record.groups.clone() };
        if traces.sweep(|| self.reap(id)).await {
            Ok(())
        } else {
            Err(RuntimeError::Unknown(format!("sandbox {id} does not end although it was killed")))
        }
    }

    pub fn reap(&self, id: SandboxId) {
        let mut children = self.children();
        // An error says that somebody else has taken its status.
        let done = children.get_mut(&id).is_some_and(|child| !matches!(child.try_wait(), Ok(None)));
        if done {
            children.remove(&id);
        }
    }

    pub fn remove(&self, id: SandboxId, record: &Record) -> io::Result<()> {
        let file = self.ledger.life(id);
        if file.read()?.is_some() {
            file.begin_removal()?;
        }
        remove_dir(&record.dir)?;
        cgroup::remove(&record.groups)?;
        self.ledger.delete(id)?;
        file.delete()
    }

    /// Deletes lives whose removal was cut short at its last step.
    pub fn forget_removed(&self) -> Result<(), RuntimeError> {
        for id in self.ledger.lives().map_err(unknown)? {
            let removed = self.life(id)?.is_some_and(|life| life.removed);
            if removed && self.ledger.load(id).is_ok_and(|record| record.is_none()) {
                self.ledger.life(id).delete().map_err(unknown)?;
            }
        }
        Ok(())
    }

    pub fn runs(&self, id: SandboxId) -> Result<bool, RuntimeError> {
        self.life(id)?.map_or(Ok(false), |life| life.runs(&self.boot)).map_err(unknown)
    }

    pub fn both(&self, id: SandboxId) -> Result<Option<(Record, Life)>, RuntimeError> {
        let record = self.ledger.load(id).map_err(unknown)?;
        Ok(record.zip(self.life(id)?))
    }

    pub fn life(&self, id: SandboxId) -> Result<Option<Life>, RuntimeError> {
        self.ledger.life(id).read().map_err(unknown)
    }

    fn children(&self) -> MutexGuard<'_, BTreeMap<SandboxId, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was started, whether it still runs or not.
fn running(life: &Life) -> Option<Running> {
    let handle = life.holder?.pid.to_string();
    Some(Running { at: life.at, ips: Vec::new(), handle })
}

/// Bounds a wait for a holder.
pub async fn within<T>(
    id: SandboxId,
    wait: impl Future<Output = Result<T, RuntimeError>>,
) -> Result<T, RuntimeError> {
    tokio::time::timeout(HOLDER_DEADLINE, wait).await.unwrap_or_else(|_| {
        Err(RuntimeError::Unknown(format!("sandbox {id} is being started for too long")))
    })
}

/// Opens an output to append to. A link in its place is not followed.
pub fn output(dir: &Path, stream: LogStream) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NOFOLLOW.bits()).expect("a flag of open(2) is an int");
    let mut options = OpenOptions::new();
    options.create(true).append(true).mode(0o600).custom_flags(flags);
    options.open(dir.join(logs::file_name(stream)))
}

/// Without a record a sandbox is not ours; an empty one holds nothing that could be lost.
fn refuse_foreign(dir: &Path) -> Result<(), RuntimeError> {
    match fs::remove_dir(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let detail = format!("there is something else at {}: {error}", dir.display());
            Err(RuntimeError::Refused(Reason::Other { detail }))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

fn remove_dir(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub fn unknown(error: impl Into<io::Error>) -> RuntimeError {
    RuntimeError::Unknown(error.into().to_string())
}

fn refused(error: &io::Error) -> RuntimeError {
    RuntimeError::Refused(Reason::Other { detail: format!("it could not be started: {error}") })
}

/// A host that is short of something for a moment may start it later; any other error stays.
fn not_spawned(error: io::Error) -> RuntimeError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => unknown(error),
        _ => refused(&error),
    }
}
