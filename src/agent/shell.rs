//! The mind's shell: brings it the clock, the leader's words and what the hands saw, and does what it says.
//!
//! Nothing is decided here. A call that panics or is given up tells the mind that its outcome is unknown.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::agent::clock::Clock;
use crate::agent::hands::Hands;
use crate::agent::mind::{Ask, Hand, LaunchPlan, Limits, Mind, Probe, Reply, Sight, Step};
use crate::agent::probe::{HttpAsk, Prober};
use crate::agent::runtime::{Launch, Progress, Runtime, RuntimeError, SandboxId};
use crate::model::evidence::Evidence;
use crate::model::have::{Have, SpecKey, Want};
use crate::model::id::{AgentId, ClusterId, Incarnation, InstanceId};
use crate::model::spec::Spec;
use crate::model::time::Span;

/// How many words of the leader, and how many sights, wait for the mind.
pub const WAITING: usize = 1_024;

/// The longest that what is left of a life is kept for its evidence.
const EXAM: Duration = Duration::from_secs(30);

/// What comes from the leader.
#[derive(Clone, Debug)]
pub enum Word {
    /// A session begins, of this cluster.
    Opened(ClusterId),
    /// A definition, as canonical JSON.
    Spec(SpecKey, Bytes),
    /// What instances shall be.
    Wants(Vec<Want>),
    /// Ends and absences that are durable.
    Acked(Vec<(InstanceId, Incarnation)>),
    /// Every want of this agent was sent in this session.
    Synced,
}

/// What goes to the leader.
#[derive(Clone, Debug)]
pub enum News {
    /// What has changed.
    Haves(Vec<Have>),
    /// A definition that is needed.
    Need(SpecKey),
    /// Everything that the host has was told.
    Complete,
}

/// Takes the evidence of a life that failed.
pub type Examine = Box<dyn Fn(Hand, Evidence) -> BoxFuture<'static, ()> + Send + Sync>;

/// The environment of a task, without what its runtime adds.
pub type EnvOf = Box<dyn Fn(&LaunchPlan) -> BTreeMap<String, String> + Send + Sync>;

/// Who the agent is for its sandboxes.
pub struct Launcher {
    /// For labels; none before the first session.
    pub cluster: Option<ClusterId>,
    /// For labels.
    pub agent: AgentId,
    /// Where sandboxes are made.
    pub sandboxes: PathBuf,
    /// A task's environment.
    pub env: EnvOf,
    /// The address by which the host is reached, for checks.
    pub address: Option<String>,
}

/// The mind with its hands.
pub struct Shell<D, P> {
    mind: Mind,
    hands: Arc<Hands<D, P>>,
    launcher: Launcher,
    prober: Arc<Prober>,
    clock: Clock,
    words: mpsc::Receiver<Word>,
    news: mpsc::UnboundedSender<News>,
    sights: mpsc::Receiver<Sight>,
    progress: mpsc::Sender<Sight>,
    calls: JoinSet<Sight>,
    watches: BTreeMap<SandboxId, AbortHandle>,
    preparing: BTreeMap<SandboxId, CancellationToken>,
    complete: bool,
    examine: Option<Examine>,
}

/// The shell's other ends.
pub struct Ends {
    /// For the leader's words.
    pub words: mpsc::Sender<Word>,
    /// What the leader is told. Not bounded: who reads it takes all at once and keeps the newest of each life.
    pub news: mpsc::UnboundedReceiver<News>,
    /// For what is seen beside the calls; see [`watch_engine`](crate::agent::hands::watch_engine).
    pub sights: mpsc::Sender<Sight>,
}

// === impl Shell ===

impl<D: Runtime, P: Runtime> Shell<D, P> {
    /// A shell and its other ends.
    pub fn new(
        hands: Hands<D, P>,
        launcher: Launcher,
        limits: Limits,
        clock: Clock,
    ) -> (Shell<D, P>, Ends) {
        let (words, words_in) = mpsc::channel(WAITING);
        let (news_out, news) = mpsc::unbounded_channel();
        let (sights, sights_in) = mpsc::channel(WAITING);
        let shell = Shell {
            mind: Mind::new(limits, &hands.present()),
            hands: Arc::new(hands),
            prober: Arc::new(Prober::new(launcher.address.as_deref())),
            launcher,
            clock,
            words: words_in,
            news: news_out,
            sights: sights_in,
            progress: sights.clone(),
            calls: JoinSet::new(),
            watches: BTreeMap::new(),
            preparing: BTreeMap::new(),
            complete: false,
            examine: None,
        };
        (shell, Ends { words, news, sights })
    }

    /// The same, with evidence taken of what fails.
    #[must_use]
    pub fn examined_by(self, examine: Examine) -> Shell<D, P> {
        Shell { examine: Some(examine), ..self }
    }

    /// Runs until the leader's end is dropped. What runs on the host goes on.
    pub async fn run(mut self) {
        loop {
            if self.think().is_err() {
                return;
            }
            let wake = self.sleep();
            tokio::select! {
                word = self.words.recv() => match word {
                    Some(word) => self.hear(word),
                    None => return,
                },
                Some(sight) = self.sights.recv() => self.see(sight),
                Some(called) = self.calls.join_next() => self.called(called.ok()),
                () = wake => {}
            }
            self.take_all_that_waits();
        }
    }

    /// One thought for many inputs.
    fn take_all_that_waits(&mut self) {
        for _ in 0..WAITING {
            let Ok(word) = self.words.try_recv() else { break };
            self.hear(word);
        }
        for _ in 0..WAITING {
            let Some(called) = self.calls.try_join_next() else { break };
            self.called(called.ok());
        }
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Opened(cluster) => {
                self.launcher.cluster = Some(cluster);
                self.mind.session_opened();
            }
            Word::Spec(key, text) => match serde_json::from_slice::<Spec>(&text) {
                Ok(spec) => self.mind.spec(key, Arc::new(spec)),
                Err(error) => tracing::error!(?key, %error, "a definition cannot be read"),
            },
            Word::Wants(wants) => wants.into_iter().for_each(|want| self.mind.want(want)),
            Word::Acked(lives) => {
                for (instance, incarnation) in lives {
                    self.mind.acked(instance, incarnation);
                }
            }
            Word::Synced => {
                self.mind.leader_synced();
                for (sandbox, key) in self.mind.strays() {
                    tracing::warn!(%sandbox, ?key, "nobody wants this sandbox; it is left alone");
                }
            }
        }
    }

    /// A call that was given up has no sight.
    fn called(&mut self, sight: Option<Sight>) {
        let Some(sight) = sight else { return };
        match &sight {
            Sight::Prepared(id, _) => drop(self.preparing.remove(id)),
            Sight::Ended(id, _) => drop(self.watches.remove(id)),
            Sight::Listed(..)
            | Sight::Started(..)
            | Sight::Terminated(..)
            | Sight::Killed(..)
            | Sight::Removed(..)
            | Sight::Probed(..)
            | Sight::Examined(_)
            | Sight::Pulled(..)
            | Sight::HandDown(_)
            | Sight::HandUp(_) => {}
        }
        self.see(sight);
    }

    fn see(&mut self, sight: Sight) {
        log(&sight);
        self.mind.sight(self.clock.now(), sight);
    }

    /// Takes what the mind says until it says nothing more.
    fn think(&mut self) -> Result<(), mpsc::error::SendError<News>> {
        for step in self.mind.steps(self.clock.now()) {
            self.begin(step);
        }
        for key in self.mind.needs() {
            self.news.send(News::Need(key))?;
        }
        let haves = self.mind.haves();
        if !haves.is_empty() {
            self.news.send(News::Haves(haves))?;
        }
        if !self.complete && self.mind.is_listed() {
            self.complete = true;
            self.news.send(News::Complete)?;
        }
        Ok(())
    }

    fn sleep(&self) -> impl Future<Output = ()> + use<D, P> {
        let now = self.clock.now();
        let wait = self.mind.next_wake(now).map(|at| at.since(now));
        async move {
            match wait {
                Some(wait) => tokio::time::sleep(wait.into()).await,
                None => std::future::pending().await,
            }
        }
    }

    fn begin(&mut self, step: Step) {
        let hands = Arc::clone(&self.hands);
        match step {
            Step::List(hand) => {
                self.calls.spawn(async move { Sight::Listed(hand, sure(hands.list(hand)).await) });
            }
            Step::Prepare(hand, plan) => self.prepare(hand, plan),
            Step::Cancel(_, id) => {
                if let Some(token) = self.preparing.get(&id) {
                    token.cancel();
                }
            }
            Step::Start(hand, plan) => {
                let launch = self.launcher.launch(plan);
                self.calls.spawn(async move {
                    Sight::Started(launch.id, sure(hands.start(hand, &launch)).await)
                });
            }
            Step::Watch(hand, id) => {
                let watch = async move { Sight::Ended(id, sure(hands.ended(hand, id)).await) };
                if let Some(earlier) = self.watches.insert(id, self.calls.spawn(watch)) {
                    earlier.abort();
                }
            }
            Step::Terminate(hand, id) => {
                let call =
                    async move { Sight::Terminated(id, sure(hands.terminate(hand, id)).await) };
                self.calls.spawn(call);
            }
            Step::Kill(hand, id) => {
                let call = async move { Sight::Killed(id, sure(hands.kill(hand, id)).await) };
                self.calls.spawn(call);
            }
            Step::Probe(hand, probe) => self.probe(hand, probe),
            Step::Examine(hand, evidence) => self.examine(hand, *evidence),
            Step::Remove(hand, id) => {
                let call = async move { Sight::Removed(id, sure(hands.remove(hand, id)).await) };
                self.calls.spawn(call);
            }
        }
    }

    fn probe(&mut self, hand: Hand, probe: Probe) {
        let Probe { id, ask, timeout } = probe;
        let (hands, prober) = (Arc::clone(&self.hands), Arc::clone(&self.prober));
        let reply: BoxFuture<'static, Reply> = match ask {
            Ask::Tcp { target } => Box::pin(async move { prober.tcp(target, timeout).await }),
            Ask::Http { target, tls, path, body } => Box::pin(async move {
                prober.http(HttpAsk { target, tls, path: &path, body }, timeout).await
            }),
            Ask::Command { plan, shell } => {
                let launch = self.launcher.launch(*plan);
                Box::pin(async move {
                    let exec = hands.exec(hand, &launch, &shell, timeout.into());
                    command_reply(sure(exec).await, timeout)
                })
            }
        };
        self.calls.spawn(async move {
            // One that panics says nothing of the task.
            let reply = AssertUnwindSafe(reply).catch_unwind().await;
            Sight::Probed(id, reply.unwrap_or(Reply::Unknown))
        });
    }

    /// Whatever comes of it, the mind is told that it is over: what is left of the life may go then.
    fn examine(&mut self, hand: Hand, evidence: Evidence) {
        let id = SandboxId { instance: evidence.instance, incarnation: evidence.incarnation };
        let taken = self.examine.as_ref().map(|examine| examine(hand, evidence));
        self.calls.spawn(async move {
            if let Some(taken) = taken {
                let taken = AssertUnwindSafe(taken).catch_unwind();
                match tokio::time::timeout(EXAM, taken).await {
                    Ok(Ok(())) => {}
                    Ok(Err(_)) => tracing::error!(sandbox = %id, "taking evidence panicked"),
                    Err(_) => tracing::warn!(sandbox = %id, "taking evidence took too long"),
                }
            }
            Sight::Examined(id)
        });
    }

    fn prepare(&mut self, hand: Hand, plan: LaunchPlan) {
        let launch = self.launcher.launch(plan);
        let id = launch.id;
        let token = CancellationToken::new();
        self.preparing.insert(id, token.clone());
        let (hands, sights) = (Arc::clone(&self.hands), self.progress.clone());
        self.calls.spawn(async move {
            let (progress, bytes) = watch::channel(0);
            let prepare = prepare_telling(&hands, hand, &launch, progress, bytes, sights);
            let given_up = Err(RuntimeError::Unknown("given up".to_owned()));
            let outcome = token.run_until_cancelled(sure(prepare)).await;
            Sight::Prepared(id, outcome.unwrap_or(given_up))
        });
    }
}

// === impl Launcher ===

impl Launcher {
    fn launch(&self, plan: LaunchPlan) -> Launch {
        let env = (self.env)(&plan);
        let dir = self.sandboxes.join(plan.id.to_string());
        let LaunchPlan { id, key, spec_key, spec, place } = plan;
        let cluster = self.cluster.expect("nothing is launched before a session wants it");
        let agent = self.agent;
        Launch { id, key, spec_key, spec, place, cluster, agent, env, dir }
    }
}

async fn prepare_telling<D: Runtime, P: Runtime>(
    hands: &Hands<D, P>,
    hand: Hand,
    launch: &Launch,
    progress: Progress,
    mut bytes: watch::Receiver<u64>,
    sights: mpsc::Sender<Sight>,
) -> Result<(), RuntimeError> {
    let tell = async {
        while bytes.changed().await.is_ok() {
            let seen = *bytes.borrow_and_update();
            // Progress is for people: with no room for it the next one will do.
            let _full = sights.try_send(Sight::Pulled(launch.id, seen));
        }
        std::future::pending().await
    };
    tokio::select! {
        outcome = hands.prepare(hand, launch, &progress) => outcome,
        never = tell => never,
    }
}

/// What a command says. That it cannot be started there is its failure; that nobody could be asked is none.
fn command_reply(ran: Result<Option<i32>, RuntimeError>, limit: Span) -> Reply {
    match ran {
        Ok(Some(code)) => Reply::Exit(code),
        Ok(None) => {
            Reply::Failed { why: format!("the command did not end within {} s", limit.as_secs()) }
        }
        Err(RuntimeError::Refused(reason)) => Reply::Failed { why: reason.to_string() },
        Err(RuntimeError::Unknown(detail)) => {
            tracing::debug!(%detail, "a check's command could not be asked for");
            Reply::Unknown
        }
    }
}

/// A call that panics has an unknown outcome like any other that gives no answer.
async fn sure<T>(call: impl Future<Output = Result<T, RuntimeError>>) -> Result<T, RuntimeError> {
    let panicked = |_| Err(RuntimeError::Unknown("the call panicked".to_owned()));
    AssertUnwindSafe(call).catch_unwind().await.unwrap_or_else(panicked)
}

fn log(sight: &Sight) {
    match sight {
        Sight::Listed(hand, Err(error)) => tracing::warn!(?hand, %error, "no list"),
        Sight::Prepared(id, Err(error)) => tracing::warn!(sandbox = %id, %error, "not prepared"),
        Sight::Started(id, Err(error)) => tracing::warn!(sandbox = %id, %error, "not started"),
        Sight::Ended(id, Err(error)) => tracing::warn!(sandbox = %id, %error, "not watched"),
        Sight::Terminated(id, Err(error)) | Sight::Killed(id, Err(error)) => {
            tracing::warn!(sandbox = %id, %error, "not ended");
        }
        Sight::Removed(id, Err(error)) => tracing::warn!(sandbox = %id, %error, "not removed"),
        Sight::Started(id, Ok(_)) => tracing::info!(sandbox = %id, "started"),
        Sight::Ended(id, Ok((_, end))) => tracing::info!(sandbox = %id, ?end, "ended"),
        Sight::Listed(_, Ok(_))
        | Sight::Prepared(_, Ok(()))
        | Sight::Terminated(_, Ok(()))
        | Sight::Killed(_, Ok(()))
        | Sight::Removed(_, Ok(()))
        | Sight::Probed(..)
        | Sight::Examined(_)
        | Sight::Pulled(..)
        | Sight::HandDown(_)
        | Sight::HandUp(_) => {}
    }
}

#[cfg(test)]
mod tests;
