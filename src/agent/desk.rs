//! Where the leader's words come in and the shell's news go out: the agent's half of the link over the connections that
//! it dialled.
//!
//! One desk for the life of the process. What a session needs on disk is there before the session is accepted.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, SetOnce, mpsc};

use crate::agent::clock::Clock;
use crate::agent::identity::{Home, Identity};
use crate::agent::shell::{News, Word};
use crate::model::agent::Inventory;
use crate::model::id::RunId;
use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::link::MAX_BATCH;
use crate::wire::link::agent::{AgentLink, NeedsPersist, Session};
use crate::wire::logs::{LogRequest, NoLog};
use crate::wire::message::{Dismissal, Hello, Leaving, Refused};
use crate::wire::reverse::{Endpoints, LogSink, Opening};

/// Between two looks at the time while there is no room to send.
const ROOM: Duration = Duration::from_millis(100);

/// The longest wait until a farewell has left.
const FAREWELL: Duration = Duration::from_secs(1);

/// Reads what this host keeps of its tasks: logs, and the evidence of failures.
pub trait LogReader: Send + Sync + 'static {
    /// Sends a log into `sink`, from a task of its own.
    fn read(
        &self,
        request: LogRequest,
        sink: LogSink,
    ) -> impl Future<Output = Result<(), NoLog>> + Send;

    /// The evidence of a life that failed, as JSON.
    fn autopsy(
        &self,
        request: AutopsyRequest,
    ) -> impl Future<Output = Result<Bytes, NoEvidence>> + Send;
}

/// The agent's half of its sessions, with a disk and a clock.
pub struct Desk<L> {
    shared: Arc<Shared>,
    logs: L,
}

struct Shared {
    link: Mutex<AgentLink>,
    home: Home,
    /// Who the agent is, as it is on disk; held while that changes, so that epochs are stored in their order.
    identity: tokio::sync::Mutex<Identity>,
    clock: Clock,
    words: mpsc::Sender<Word>,
    /// There is something to say.
    news: Notify,
    /// A session has ended.
    ended: Notify,
    /// The last dismissal, until a leader opens a session.
    dismissal: Mutex<Option<Dismissal>>,
    /// Set when this agent can never be taken.
    turned_away: SetOnce<Dismissal>,
}

// === impl Desk ===

impl<L: LogReader> Desk<L> {
    /// A desk for this run of the agent. `words` and `news` are the other ends of the shell.
    pub fn open(
        (home, identity): (Home, Identity),
        run: RunId,
        inventory: Inventory,
        clock: Clock,
        (words, news): (mpsc::Sender<Word>, mpsc::UnboundedReceiver<News>),
        logs: L,
    ) -> Desk<L> {
        let own = crate::wire::link::agent::Identity {
            agent: identity.id,
            cluster: identity.cluster,
            epoch: identity.epoch,
        };
        let shared = Arc::new(Shared {
            link: Mutex::new(AgentLink::new(own, run, inventory)),
            home,
            identity: tokio::sync::Mutex::new(identity),
            clock,
            words,
            news: Notify::new(),
            ended: Notify::new(),
            dismissal: Mutex::new(None),
            turned_away: SetOnce::new(),
        });
        tokio::spawn(take_news(shared.clone(), news));
        Desk { shared, logs }
    }

    /// Changes what the agent offers. Who finds an engine and who watches devices each change their own part.
    pub fn change(&self, by: impl FnOnce(&mut Inventory)) {
        {
            let mut link = self.shared.link();
            let mut inventory = link.inventory().clone();
            by(&mut inventory);
            link.offer(inventory);
        }
        self.shared.news.notify_one();
    }

    /// Says farewell and waits until that has left; no session is opened after it.
    pub async fn leave(&self, why: Leaving) {
        let ended = self.shared.ended.notified();
        let has_session = {
            let mut link = self.shared.link();
            link.leave(why);
            link.session().is_some()
        };
        self.shared.news.notify_one();
        if has_session {
            // A leader that does not hear it finds out by the silence.
            let _unheard = tokio::time::timeout(FAREWELL, ended).await;
        }
    }

    /// Waits until a server says that this agent can never be taken.
    pub async fn turned_away(&self) -> Dismissal {
        self.shared.turned_away.wait().await.clone()
    }
}

impl<L: LogReader> Endpoints for Desk<L> {
    async fn hello(&self) -> Hello {
        self.shared.link().hello()
    }

    fn has_left(&self) -> bool {
        self.shared.link().has_left()
    }

    /// What may be put right at the server is waited for. What has the identity of another has to be ended here or there.
    async fn dismissed(&self, why: Dismissal) {
        let last = self.shared.dismissal().replace(why.clone());
        if last.as_ref() != Some(&why) {
            tracing::warn!("a server turns this agent away: {why}");
        }
        match why {
            Dismissal::Twin { .. } | Dismissal::Elsewhere { .. } => {
                // The first one counts.
                let _set_before = self.shared.turned_away.set(why);
            }
            Dismissal::Cluster { .. } | Dismissal::Protocol { .. } => {}
        }
    }

    async fn session(&self, opening: Opening) -> Result<(), Refused> {
        let mut identity = self.shared.identity.lock().await;
        let needs = self.shared.link().open(&opening.open)?;
        self.shared.persist(&mut identity, needs)?;
        let session = self.shared.link().opened(self.shared.clock.now(), needs)?;
        drop(identity);
        // The shell is gone only when the agent ends.
        let _over = self.shared.words.send(Word::Opened(needs.cluster)).await;
        self.shared.dismissal().take();
        tracing::info!(cluster = %needs.cluster, epoch = %needs.epoch, "a leader has opened a session");
        let shared = self.shared.clone();
        tokio::spawn(async move {
            talk(&shared, session, opening).await;
            shared.ended.notify_waiters();
        });
        Ok(())
    }

    async fn logs(&self, request: LogRequest, sink: LogSink) -> Result<(), NoLog> {
        self.logs.read(request, sink).await
    }

    async fn autopsy(&self, request: AutopsyRequest) -> Result<Bytes, NoEvidence> {
        self.logs.autopsy(request).await
    }
}

// === impl Shared ===

impl Shared {
    fn link(&self) -> MutexGuard<'_, AgentLink> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dismissal(&self) -> MutexGuard<'_, Option<Dismissal>> {
        self.dismissal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An epoch that is accepted must not be forgotten (I10). A disk that fails refuses the session.
    fn persist(&self, identity: &mut Identity, needs: NeedsPersist) -> Result<(), Refused> {
        let stored = Identity { cluster: Some(needs.cluster), epoch: needs.epoch, ..*identity };
        if stored != *identity {
            self.home.store(&stored).map_err(|error| {
                tracing::error!(%error, "the epoch of a leader cannot be stored, its session is refused");
                Refused::Unable("its disk cannot store the epoch".to_owned())
            })?;
            *identity = stored;
        }
        Ok(())
    }

    /// Hands what the leader said to the shell.
    async fn pass_on(&self) -> Result<(), mpsc::error::SendError<Word>> {
        let (specs, wants, acked, synced) = {
            let mut link = self.link();
            (link.take_specs(), link.take_wants(), link.take_acked(), link.take_synced())
        };
        for (key, text) in specs {
            self.words.send(Word::Spec(key, text)).await?;
        }
        if !wants.is_empty() {
            self.words.send(Word::Wants(wants)).await?;
        }
        if !acked.is_empty() {
            self.words.send(Word::Acked(acked)).await?;
        }
        if synced {
            self.words.send(Word::Synced).await?;
        }
        Ok(())
    }
}

/// Gives the shell's news to the link.
async fn take_news(shared: Arc<Shared>, mut news: mpsc::UnboundedReceiver<News>) {
    while let Some(news) = news.recv().await {
        {
            let mut link = shared.link();
            match news {
                News::Haves(haves) => haves.into_iter().for_each(|have| link.have(have)),
                News::Need(key) => link.need_spec(key),
                News::Complete => link.complete(),
            }
        }
        shared.news.notify_one();
    }
}

/// One session, until either side ends it. Room to send is waited for beside everything else: two ends that each wait
/// for the other to read first would wait for ever.
async fn talk(shared: &Shared, session: Session, opening: Opening) {
    let Opening { open: _, up, mut down, hang_up } = opening;
    let mut has_news = true;
    loop {
        if shared.pass_on().await.is_err() {
            return;
        }
        let sleep = until_wake(shared, has_news);
        tokio::select! {
            permit = up.reserve(), if has_news => {
                let Ok(permit) = permit else { return shared.link().closed(session) };
                let frame = shared.link().pull(shared.clock.now(), session, MAX_BATCH);
                has_news = frame.is_some();
                if let Some(frame) = frame
                    && let Err(error) = permit.send(&frame)
                {
                    tracing::error!(%error, "a message to the leader is too long");
                    return shared.link().closed(session);
                }
                // What was said last, a farewell perhaps, is to leave before the connection is hung up.
                continue;
            }
            frame = down.recv() => match frame {
                Ok(Some(frame)) => {
                    shared.link().down(shared.clock.now(), session, frame);
                    has_news = true;
                }
                Ok(None) => return shared.link().closed(session),
                Err(error) => {
                    tracing::info!(%error, "the leader's stream ended");
                    return shared.link().closed(session);
                }
            },
            () = shared.news.notified() => has_news = true,
            () = tokio::time::sleep(sleep) => {
                shared.link().tick(shared.clock.now());
                has_news = true;
            }
        }
        if shared.link().session() != Some(session) {
            // Silent, or replaced by a newer session. A connection without a session is dialled anew.
            hang_up.cancel();
            return;
        }
    }
}

/// While there is no room to send, what is due to be sent is no reason to wake.
fn until_wake(shared: &Shared, waits_for_room: bool) -> Duration {
    let wake = shared.link().next_wake();
    let wake = wake.map_or(Duration::from_secs(1), |wake| wake.since(shared.clock.now()).into());
    if waits_for_room { wake.max(ROOM) } else { wake }
}

#[cfg(test)]
mod tests;
