//! Where the API listens, taken before the store is opened: an etcd that is away may take its time, and clients are told
//! so meanwhile.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::api;
use crate::cli::console::Console;
use crate::cli::dirs::{agent_dir, server_dir};
use crate::cli::failure::Failure;
use crate::cli::server::ApiArgs;
use crate::cli::server::store::{self, NotOpened};
use crate::cli::signals;
use crate::store::any::AnyStore;

/// Between two tries to open a store that does not answer.
const AGAIN: Duration = Duration::from_secs(1);

/// An address that is taken.
pub struct Entrance {
    /// The address: a port 0 has become a real one.
    pub address: SocketAddr,
    /// Held by whoever answers now, one after the other.
    listener: std::net::TcpListener,
}

// === impl Entrance ===

impl Entrance {
    /// Takes an address.
    ///
    /// # Errors
    /// When somebody else has it, or the kernel says no.
    pub async fn take(at: SocketAddr) -> Result<Entrance, Failure> {
        let cannot = |error: io::Error| Failure::Failed(format!("cannot listen on {at}: {error}"));
        let listener = TcpListener::bind(at).await.map_err(cannot)?;
        let address = listener.local_addr().map_err(cannot)?;
        Ok(Entrance { address, listener: listener.into_std().map_err(cannot)? })
    }

    /// To answer at it.
    ///
    /// # Errors
    /// When the kernel gives no descriptor.
    pub fn listener(&self) -> Result<TcpListener, Failure> {
        let listener = self.listener.try_clone().and_then(TcpListener::from_std);
        listener
            .map_err(|error| Failure::Failed(format!("cannot listen on {}: {error}", self.address)))
    }

    /// Opens the store that a server is told of, with its data in `data`; an agent may have run beside it. While etcd does
    /// not answer this waits, and tells clients why. Nothing when the process is told to end first.
    ///
    /// # Errors
    /// When it is in use, missing, another cluster's or lets nobody in. Then nothing was changed.
    pub async fn open_store(
        &self,
        args: &ApiArgs,
        data: &Path,
        console: &mut Console,
    ) -> Result<Option<AnyStore>, Failure> {
        let address = args.store(data);
        let access = args.access.read(&address)?;
        let (dir, agent) = (server_dir(data), agent_dir(data));
        let open = || store::open(&address, &access, &dir, &agent, args.new_log);
        let away = match open().await {
            Ok(store) => return Ok(Some(store)),
            Err(NotOpened::Refused(why)) => return Err(why),
            Err(NotOpened::Away(why)) => why,
        };
        console.note(&format!("{away}: waiting for it, clients at {} are told so", self.address));
        let (say, why) = watch::channel(told(&away));
        let over = CancellationToken::new();
        let answers = api::waiting::router(why);
        let answering =
            api::serve::serve(self.listener()?, answers, over.clone().cancelled_owned());
        let answering = tokio::spawn(answering);
        let opened = tokio::select! {
            () = signals::told_to_end() => Ok(None),
            opened = open_again(open, &say) => opened.map(Some),
        };
        over.cancel();
        let _ended = answering.await;
        opened
    }
}

/// Tries until it is open or refused.
async fn open_again(
    open: impl AsyncFn() -> Result<AnyStore, NotOpened>,
    say: &watch::Sender<String>,
) -> Result<AnyStore, Failure> {
    loop {
        tokio::time::sleep(AGAIN).await;
        match open().await {
            Ok(store) => {
                tracing::info!("the store answers");
                return Ok(store);
            }
            Err(NotOpened::Refused(why)) => return Err(why),
            Err(NotOpened::Away(why)) => {
                let news = told(&why);
                let is_news = say.send_if_modified(|before| {
                    let is_news = *before != news;
                    before.clone_from(&news);
                    is_news
                });
                if is_news {
                    tracing::warn!(%why, "the store does not answer; this server waits for it");
                }
            }
        }
    }
}

fn told(why: &str) -> String {
    format!("this server waits for its store: {why}")
}
