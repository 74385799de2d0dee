//! `stayer server`: the API, the core and the log; agents on their hosts dial it.
//!
//! It runs nothing itself. `stayer dev` is this with an agent in the same process, so the start of a server is here and
//! is used by both; the data directory holds `server/` in either case, and one can take over from the other.

mod api;
mod args;
mod banner;
mod entrance;
mod store;

pub use args::{ApiArgs, ServerArgs};
pub use entrance::Entrance;

use std::net::SocketAddr;
use std::path::Path;

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::cli::console::Console;
use crate::cli::dirs::{make_dir, make_private, server_dir};
use crate::cli::failure::Failure;
use crate::cli::{limits, signals};
use crate::control::fleet::listen::Door;
use crate::control::leader::{self, Leader};
use crate::logic::draft::Limits;
use crate::store::any::AnyStore;

/// A server that leads and answers.
pub struct Up {
    /// The leader.
    pub leader: Leader,
    /// Where the API listens.
    pub address: SocketAddr,
    /// Where agents dial.
    pub door: Door,
    shutdown: CancellationToken,
    served: JoinHandle<()>,
}

/// Runs until it is told to end.
///
/// # Errors
/// When it cannot start; then nothing was changed. When it has to end although nobody said so.
pub async fn run(args: ServerArgs, console: &mut Console) -> Result<(), Failure> {
    args.check()?;
    limits::raise_files();
    make_dir(&args.data_dir)?;
    let entrance = Entrance::take(args.api.listen).await?;
    let Some(store) = entrance.open_store(&args.api, &args.data_dir, console).await? else {
        return Ok(());
    };
    let dir = server_dir(&args.data_dir);
    let limits = args.api.limits(args.gpu_scheduling);
    let mut up = Up::start(store, entrance, &args.api, limits, &dir, &args.agents_listen).await?;
    for line in banner::lines(&args, &up) {
        console.line(&line)?;
    }
    let ended = tokio::select! {
        () = signals::told_to_end() => Ok(()),
        why = up.ended() => Err(why),
    };
    up.end().await;
    if ended.is_ok() {
        console
            .note("the server has ended; agents and their tasks go on, and dial until it is back");
    }
    ended
}

// === impl Up ===

impl Up {
    /// Leads with what the store holds, and lets clients, agents and operators in. `dir` is for the operator's
    /// socket.
    ///
    /// # Errors
    /// When the agents' address is taken, somebody else leads, or the log cannot be used.
    pub async fn start(
        store: AnyStore,
        entrance: Entrance,
        args: &ApiArgs,
        limits: Limits,
        dir: &Path,
        door: &Door,
    ) -> Result<Up, Failure> {
        let cannot = |at: &dyn std::fmt::Display, error: std::io::Error| {
            Failure::Failed(format!("cannot listen on {at}: {error}"))
        };
        let (api, address) = (entrance.listener()?, entrance.address);
        store.announce(&format!("http://{}", reached_at(address)));
        make_private(dir)?;
        let (listener, door) = door.open().await.map_err(|error| cannot(door, error))?;
        let leader = leader::lead(store, limits, listener)
            .await
            .map_err(|error| Failure::Failed(error.to_string()))?;
        let shutdown = CancellationToken::new();
        let served = tokio::spawn(api::start(args, limits, &leader, api, address, dir, &shutdown)?);
        Ok(Up { leader, address, door, shutdown, served })
    }

    /// Waits until it leads no more, and says why.
    pub async fn ended(&mut self) -> Failure {
        match (&mut self.leader.ended).await {
            Ok(why) => Failure::Failed(format!("the server cannot go on: {why}. Tasks go on")),
            Err(error) => Failure::Failed(format!("the server broke: {error}. Tasks go on")),
        }
    }

    /// Lets no client in any more, ends within the bound of its drain, and gives the leadership up.
    pub async fn end(self) {
        self.shutdown.cancel();
        let _drained = self.served.await;
        self.leader.resign().await;
    }
}

/// Where others reach what listens at an address: one that means all of this host is none for them.
fn reached_at(address: SocketAddr) -> String {
    match nix::unistd::gethostname().map(std::ffi::OsString::into_string) {
        Ok(Ok(host)) if address.ip().is_unspecified() => format!("{host}:{}", address.port()),
        Ok(Ok(_) | Err(_)) | Err(_) => address.to_string(),
    }
}
