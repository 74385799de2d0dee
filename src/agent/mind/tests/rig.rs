//! A mind over a fake host in virtual time. Calls take effect and answer with delays; what dies keeps its host.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::agent::fake::FakeHost;
use crate::agent::mind::testing::spec;
use crate::agent::mind::{Hand, Limits, Mind, Reply, Sight, Step};
use crate::agent::runtime::{RuntimeError, SandboxId};
use crate::model::evidence::Evidence;
use crate::model::have::{Have, Phase};
use crate::model::id::AppKey;
use crate::model::spec::Spec;
use crate::model::time::{Span, Timestamp};

pub(super) struct Rig {
    pub(super) now: Timestamp,
    pub(super) mind: Mind,
    pub(super) host: FakeHost,
    pub(super) limits: Limits,
    /// Every step that was handed out, since the last look.
    pub(super) log: Vec<String>,
    /// Everything that was said, since the last look.
    pub(super) said: Vec<Have>,
    /// Whether the mind died in a call.
    pub(super) dead: bool,
    /// Launches under way.
    launching: BTreeMap<SandboxId, Hand>,
    events: BTreeMap<(Timestamp, u64), Event>,
    watches: BTreeMap<SandboxId, Hand>,
    random: u64,
    count: u64,
    life: u64,
    /// Definitions other than the usual ones.
    pub(super) specs: BTreeMap<AppKey, Spec>,
    /// What every probe is answered with.
    pub(super) reply: Reply,
    /// When probes were asked.
    pub(super) asked: Vec<Timestamp>,
    /// The evidence that was taken.
    pub(super) taken: Vec<Evidence>,
    /// Taking it has no end.
    pub(super) slow_exams: bool,
}

enum Event {
    /// The host does it; the life of the mind that asked.
    Do(Step, u64),
    /// The mind hears of it.
    See(Sight),
}

impl Rig {
    pub(super) fn new(seed: u64) -> Rig {
        let limits = Limits { docker: 2, pulls: 1, processes: 3, kept_per_app: 2, kept: 4 };
        Rig {
            now: Timestamp::from_millis(1_000_000),
            mind: Mind::new(limits, &Hand::ALL),
            host: FakeHost::default(),
            limits,
            log: Vec::new(),
            said: Vec::new(),
            dead: false,
            launching: BTreeMap::new(),
            events: BTreeMap::new(),
            watches: BTreeMap::new(),
            random: seed.wrapping_mul(2).wrapping_add(1),
            count: 0,
            life: 0,
            specs: BTreeMap::new(),
            reply: Reply::Connected,
            asked: Vec::new(),
            taken: Vec::new(),
            slow_exams: false,
        }
    }

    /// Listed, and told that it knows all wants.
    pub(super) fn ready(seed: u64) -> Rig {
        let mut rig = Rig::new(seed);
        rig.mind.session_opened();
        rig.mind.leader_synced();
        rig.run(Span::secs(1));
        rig.log.clear();
        rig
    }

    /// The mind dies; calls that are on their way may still take effect.
    pub(super) fn crash(&mut self) {
        self.life += 1;
        self.dead = false;
        self.mind = Mind::new(self.limits, &Hand::ALL);
        self.watches.clear();
        self.launching.clear();
        let lost = self.random(2) == 0;
        self.events.retain(|_, event| matches!(event, Event::Do(..)) && !lost);
    }

    pub(super) fn run(&mut self, span: Span) {
        let end = self.now + span;
        loop {
            self.turn();
            let next = [
                self.events.first_key_value().map(|((at, _), _)| *at),
                self.mind.next_wake(self.now).filter(|_| !self.dead),
                self.host.next_wake(),
            ];
            let Some(next) = next.into_iter().flatten().min().filter(|at| *at <= end) else {
                break;
            };
            self.now = self.now.max(next);
            self.host.advance(self.now);
            if !self.happen() {
                self.watch();
            }
            assert_eq!(self.host.breaches(), &[] as &[String]);
        }
        self.now = end;
    }

    pub(super) fn see(&mut self, sight: Sight) {
        self.mind.sight(self.now, sight);
    }

    /// The last phase that was said of a life.
    pub(super) fn phase(&self, id: SandboxId) -> Option<Phase> {
        let of = |have: &&Have| (have.instance, have.incarnation) == (id.instance, id.incarnation);
        self.said.iter().rev().find(of).map(|have| have.tasks[0].phase.clone())
    }

    pub(super) fn random(&mut self, below: u64) -> u64 {
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_041);
        (self.random >> 33) % below
    }

    /// The mind thinks; what it hands out is on its way.
    fn turn(&mut self) {
        if self.dead {
            return;
        }
        let steps = self.mind.steps(self.now);
        for step in steps {
            self.log.push(word(&step));
            match step {
                Step::Watch(hand, id) => {
                    self.watches.insert(id, hand);
                }
                Step::Cancel(_, id) => self.cancel(id),
                Step::Examine(_, evidence) => self.examine(*evidence),
                step => {
                    if let Step::Probe(..) = &step {
                        self.asked.push(self.now);
                    }
                    if let Step::Prepare(hand, plan) | Step::Start(hand, plan) = &step {
                        self.launching.insert(plan.id, *hand);
                    }
                    let event = Event::Do(step, self.life);
                    self.later(20, event);
                }
            }
        }
        for key in self.mind.needs() {
            let spec = self.specs.get(&key.app).cloned().unwrap_or_else(|| spec(key.app));
            self.mind.spec(key, Arc::new(spec));
        }
        let haves = self.mind.haves();
        self.said.extend(haves);
        let launches = |hand| self.launching.values().filter(|of| **of == hand).count();
        assert!(launches(Hand::Docker) <= self.limits.docker + self.limits.pulls);
        assert!(launches(Hand::Process) <= self.limits.processes);
        self.watch();
    }

    fn happen(&mut self) -> bool {
        let due = self.events.first_key_value().is_some_and(|((at, _), _)| *at <= self.now);
        match if due { self.events.pop_first() } else { None } {
            None => return false,
            Some((_, Event::See(sight))) => {
                if let Sight::Prepared(id, _) | Sight::Started(id, _) = &sight {
                    self.launching.remove(id);
                }
                self.see(sight);
            }
            Some((_, Event::Do(step, life))) => {
                let answer = self.act(step);
                // An answer to a mind that is dead is heard by nobody.
                match answer {
                    Some((sight, delay)) if life == self.life => {
                        self.later(delay, Event::See(sight));
                    }
                    Some(_) => {}
                    None => self.dead |= life == self.life,
                }
            }
        }
        true
    }

    fn act(&mut self, step: Step) -> Option<(Sight, u64)> {
        let (reply, now) = (self.reply.clone(), self.now);
        let host = &mut self.host;
        let sight = match step {
            Step::List(hand) => Sight::Listed(hand, host.list(now, hand).answer()?),
            Step::Prepare(hand, plan) => {
                Sight::Prepared(plan.id, host.prepare(now, hand, &plan).answer()?)
            }
            Step::Start(hand, plan) => {
                Sight::Started(plan.id, host.start(now, hand, &plan).answer()?)
            }
            Step::Terminate(hand, id) => {
                Sight::Terminated(id, host.terminate(now, hand, id).answer()?)
            }
            Step::Kill(hand, id) => Sight::Killed(id, host.kill(now, hand, id).answer()?),
            Step::Remove(hand, id) => Sight::Removed(id, host.remove(now, hand, id).answer()?),
            Step::Probe(_, probe) => Sight::Probed(probe.id, reply),
            Step::Watch(..) | Step::Cancel(..) | Step::Examine(..) => {
                unreachable!("none is a call")
            }
        };
        Some((sight, 20))
    }

    fn watch(&mut self) {
        for (id, hand) in self.watches.clone() {
            if let Some(call) = self.host.ended(self.now, hand, id) {
                self.watches.remove(&id);
                match call.answer() {
                    Some(answer) => self.later(5, Event::See(Sight::Ended(id, answer))),
                    None => self.dead = true,
                }
            }
        }
    }

    fn examine(&mut self, evidence: Evidence) {
        let id = SandboxId { instance: evidence.instance, incarnation: evidence.incarnation };
        self.taken.push(evidence);
        if !self.slow_exams {
            self.later(20, Event::See(Sight::Examined(id)));
        }
    }

    fn cancel(&mut self, id: SandboxId) {
        let prepares = |event: &Event| match event {
            Event::Do(Step::Prepare(_, plan), _) => plan.id == id,
            Event::See(Sight::Prepared(of, _)) => *of == id,
            Event::Do(..) | Event::See(_) => false,
        };
        self.events.retain(|_, event| !prepares(event));
        let answer = Err(RuntimeError::Unknown("given up".to_owned()));
        self.later(1, Event::See(Sight::Prepared(id, answer)));
    }

    fn later(&mut self, at_most: u64, event: Event) {
        let delay = 1 + self.random(at_most);
        self.count += 1;
        self.events.insert((self.now + Span::millis(delay), self.count), event);
    }
}

fn word(step: &Step) -> String {
    match step {
        Step::List(hand) => format!("list {hand:?}"),
        Step::Prepare(_, plan) => format!("prepare {}", name(plan.id)),
        Step::Cancel(_, id) => format!("cancel {}", name(*id)),
        Step::Start(_, plan) => format!("start {}", name(plan.id)),
        Step::Watch(_, id) => format!("watch {}", name(*id)),
        Step::Terminate(_, id) => format!("terminate {}", name(*id)),
        Step::Kill(_, id) => format!("kill {}", name(*id)),
        Step::Remove(_, id) => format!("remove {}", name(*id)),
        Step::Probe(_, probe) => format!("probe {}", name(probe.id.sandbox)),
        Step::Examine(_, of) => {
            let id = SandboxId { instance: of.instance, incarnation: of.incarnation };
            format!("examine {}", name(id))
        }
    }
}

/// `app/no.life`.
fn name(id: SandboxId) -> String {
    let (app, no) = id.instance.0.as_u64_pair();
    format!("{app}/{no}.{}", id.incarnation)
}
