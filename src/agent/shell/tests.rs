//! The whole shell over the fake host.

use super::*;
use crate::agent::fake::{Behaviour, CrashPoint, FakeHost, FakeRuntime, Fault};
use crate::agent::machine::PATIENCE;
use crate::agent::mind::testing::{id, key, run, spec, spec_key, stop};
use crate::model::end::End;
use crate::model::have::Phase;
use crate::model::id::AppKey;

struct Agent {
    ends: Ends,
    host: FakeRuntime,
    shell: tokio::task::JoinHandle<()>,
}

fn agent(host: FakeHost) -> Agent {
    let clock = Clock::start();
    let (docker, process) = FakeRuntime::both(host, clock);
    let hands = Hands { docker: Some(docker.clone()), process };
    let launcher = Launcher {
        cluster: Some(ClusterId(uuid::Uuid::nil())),
        agent: AgentId(uuid::Uuid::nil()),
        sandboxes: PathBuf::from("/nowhere"),
        env: Box::new(|_| BTreeMap::new()),
        address: None,
    };
    let (shell, ends) = Shell::new(hands, launcher, Limits::for_cpus(2), clock);
    Agent { ends, host: docker, shell: tokio::spawn(shell.run()) }
}

impl Agent {
    async fn say(&self, word: Word) {
        self.ends.words.send(word).await.expect("the shell runs");
    }

    /// Reads what the leader is told until a life has such a phase; gives out the definitions that are asked for.
    async fn until(&mut self, life: SandboxId, such: impl Fn(&Phase) -> bool) -> Phase {
        let wait = async {
            loop {
                match self.ends.news.recv().await.expect("the shell runs") {
                    News::Haves(haves) => {
                        let of = haves.into_iter().find(|have| {
                            have.instance == life.instance && such(&have.tasks[0].phase)
                        });
                        if let Some(mut have) = of {
                            return have.tasks.remove(0).phase;
                        }
                    }
                    News::Need(key) => {
                        let text = serde_json::to_vec(&spec(key.app)).expect("a definition");
                        self.say(Word::Spec(key, text.into())).await;
                    }
                    News::Complete => {}
                }
            }
        };
        tokio::time::timeout(*PATIENCE, wait).await.expect("in time")
    }
}

#[tokio::test]
async fn a_want_runs_and_a_stop_ends_it() {
    for app in [1, 2] {
        let mut agent = agent(FakeHost::default());
        let life = id(key(app, 0), 1);
        agent.say(Word::Opened(ClusterId(uuid::Uuid::nil()))).await;
        agent.say(Word::Wants(vec![run(key(app, 0), 1, 1)])).await;
        agent.say(Word::Synced).await;
        agent.until(life, |phase| matches!(phase, Phase::Running { .. })).await;
        assert_eq!(agent.host.with(|_, host| host.live()), [life]);
        agent.say(Word::Wants(vec![stop(key(app, 0), 1, 2)])).await;
        let ended = agent.until(life, |phase| matches!(phase, Phase::Exited { .. })).await;
        assert!(matches!(ended, Phase::Exited { end: End::Signal(15), .. }), "{ended:?}");
        drop(agent.ends);
        agent.shell.await.expect("it ends when nobody speaks to it");
    }
}

#[tokio::test]
async fn an_end_is_told_without_being_asked_for() {
    let mut host = FakeHost::default();
    let ends = Some((crate::model::time::Span::millis(30), End::Code(3)));
    host.behave(AppKey(1), Behaviour { ends, ..Behaviour::default() });
    let mut agent = agent(host);
    agent.say(Word::Wants(vec![run(key(1, 0), 1, 1)])).await;
    let ended = agent.until(id(key(1, 0), 1), |phase| matches!(phase, Phase::Exited { .. })).await;
    assert!(matches!(ended, Phase::Exited { end: End::Code(3), .. }), "{ended:?}");
}

#[tokio::test]
async fn a_stop_gives_up_a_preparation_that_hangs() {
    let mut host = FakeHost::default();
    host.fault(CrashPoint::BeforePrepare, Fault::Hang);
    let mut agent = agent(host);
    let text = serde_json::to_vec(&spec(AppKey(2))).expect("a definition");
    agent.say(Word::Spec(spec_key(AppKey(2)), text.into())).await;
    agent.say(Word::Wants(vec![run(key(2, 0), 1, 1)])).await;
    let life = id(key(2, 0), 1);
    agent.until(life, |phase| matches!(phase, Phase::Preparing { .. })).await;
    agent.say(Word::Wants(vec![stop(key(2, 0), 1, 2)])).await;
    agent.until(life, |phase| *phase == Phase::Absent).await;
}
