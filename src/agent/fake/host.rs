//! The fake host itself: sandboxes, the calls on them, and what they do by themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::fake::fault::{Call, CrashPoint, Fault, Faults};
use crate::agent::mind::{Hand, LaunchPlan};
use crate::agent::runtime::{Found, FoundState, Running, RuntimeError, SandboxId};
use crate::model::end::End;
use crate::model::have::SpecKey;
use crate::model::id::{AppKey, InstanceKey};
use crate::model::instance::Place;
use crate::model::reason::Reason;
use crate::model::time::{Span, Timestamp};

/// A host as data.
#[derive(Clone, Debug, Default)]
pub struct FakeHost {
    pub(super) boxes: BTreeMap<SandboxId, FakeBox>,
    behaviours: BTreeMap<AppKey, Behaviour>,
    faults: Faults,
    down: BTreeSet<Hand>,
    handles: u32,
    /// Lives that nobody asks for any more and that are to be left alone.
    disowned: BTreeSet<SandboxId>,
    /// Every start that ever happened here.
    pub(super) starts: BTreeMap<SandboxId, u32>,
    /// What should never have happened, in words.
    pub(super) breaches: Vec<String>,
}

/// What the tasks of an app do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Preparing fails for good with this.
    pub never_prepares: Option<Reason>,
    /// Starting fails for good with this.
    pub never_starts: Option<Reason>,
    /// Ends by itself so long after its start, and how.
    pub ends: Option<(Span, End)>,
    /// From the request to end to the end; never when absent.
    pub on_terminate: Option<Span>,
    /// So many kills have no effect.
    pub survives_kills: u32,
}

/// A sandbox as data.
#[derive(Clone, Debug)]
pub(super) struct FakeBox {
    pub(super) hand: Hand,
    pub(super) key: InstanceKey,
    pub(super) spec_key: SpecKey,
    pub(super) place: Place,
    pub(super) state: FoundState,
    /// Not of this cluster and agent.
    pub(super) foreign: bool,
    /// When it ends if nothing happens, and how.
    ends: Option<(Timestamp, End)>,
    kills: u32,
}

// === impl Behaviour ===

impl Default for Behaviour {
    fn default() -> Behaviour {
        Behaviour {
            never_prepares: None,
            never_starts: None,
            ends: None,
            on_terminate: Some(Span::millis(20)),
            survives_kills: 0,
        }
    }
}

// === impl FakeHost: the calls ===

impl FakeHost {
    /// Every sandbox of one hand that is ours.
    pub fn list(&mut self, now: Timestamp, hand: Hand) -> Call<Vec<Found>> {
        self.advance(now);
        let found = |(id, it): (&SandboxId, &FakeBox)| {
            let ours = it.hand == hand && !it.foreign;
            let (key, spec_key) = (it.key, it.spec_key);
            ours.then(|| Found { id: *id, key, spec_key, state: it.state.clone() })
        };
        self.call(hand, CrashPoint::BeforeList, CrashPoint::AfterList, |host| {
            Ok(host.boxes.iter().filter_map(found).collect())
        })
    }

    /// Makes a sandbox, or finds it made.
    pub fn prepare(&mut self, now: Timestamp, hand: Hand, plan: &LaunchPlan) -> Call<()> {
        self.advance(now);
        let behaviour = self.behaviour(plan.key.app);
        self.call(hand, CrashPoint::BeforePrepare, CrashPoint::AfterPrepare, |host| {
            if let Some(reason) = behaviour.never_prepares {
                return Err(Fail::Answer(RuntimeError::Refused(reason)));
            }
            if host.boxes.get(&plan.id).is_some_and(|it| it.foreign) {
                let detail = format!("the name {} is taken by a stranger", plan.id);
                return Err(Fail::Answer(RuntimeError::Refused(Reason::Start { detail })));
            }
            let new = || FakeBox::new(hand, plan);
            let state = host.boxes.entry(plan.id).or_insert_with(new).state.clone();
            if state == FoundState::Partial {
                host.faults.pass(CrashPoint::HalfPrepared).map_err(Fail::Fault)?;
                host.set_state(plan.id, FoundState::Prepared);
            }
            Ok(())
        })
    }

    /// Starts what is prepared, or finds that it runs.
    pub fn start(&mut self, now: Timestamp, hand: Hand, plan: &LaunchPlan) -> Call<Running> {
        self.advance(now);
        let behaviour = self.behaviour(plan.key.app);
        self.call(hand, CrashPoint::BeforeStart, CrashPoint::AfterStart, |host| {
            let refused = |detail: &str| {
                Err(Fail::Answer(RuntimeError::Refused(Reason::Start {
                    detail: detail.to_owned(),
                })))
            };
            match host.boxes.get(&plan.id).map(|it| it.state.clone()) {
                Some(FoundState::Running(running)) => Ok(running),
                Some(FoundState::Prepared) => match behaviour.never_starts {
                    Some(reason) => Err(Fail::Answer(RuntimeError::Refused(reason))),
                    None => Ok(host.run(now, plan.id, behaviour.ends)),
                },
                Some(FoundState::Exited { .. }) => refused("it has ended before"),
                Some(FoundState::Partial) | None => refused("it is not prepared"),
            }
        })
    }

    /// How it ended; nothing while it runs.
    pub fn ended(
        &mut self,
        now: Timestamp,
        hand: Hand,
        id: SandboxId,
    ) -> Option<Call<(Timestamp, End)>> {
        self.advance(now);
        let state = self.boxes.get(&id).map(|it| it.state.clone());
        if matches!(state, Some(FoundState::Running(_))) && !self.down.contains(&hand) {
            return None;
        }
        Some(self.call(hand, CrashPoint::BeforeEnded, CrashPoint::AfterEnded, |_| match state {
            Some(FoundState::Exited { at, end }) => Ok((at, end)),
            Some(FoundState::Running(_) | FoundState::Partial | FoundState::Prepared) | None => {
                Err(Fail::Answer(RuntimeError::Unknown("nothing of it runs".to_owned())))
            }
        }))
    }

    /// Asks it to end.
    pub fn terminate(&mut self, now: Timestamp, hand: Hand, id: SandboxId) -> Call<()> {
        self.advance(now);
        self.touch(id);
        self.call(hand, CrashPoint::BeforeTerminate, CrashPoint::AfterTerminate, |host| {
            let after = host.boxes.get(&id).and_then(|it| host.behaviour(it.key.app).on_terminate);
            if let (Some(after), Some(it)) = (after, host.boxes.get_mut(&id)) {
                it.ends_by(now + after, End::Signal(15));
            }
            host.advance(now);
            Ok(())
        })
    }

    /// Ends it.
    pub fn kill(&mut self, now: Timestamp, hand: Hand, id: SandboxId) -> Call<()> {
        self.advance(now);
        self.touch(id);
        self.call(hand, CrashPoint::BeforeKill, CrashPoint::AfterKill, |host| {
            let survives = host.boxes.get(&id).map(|it| host.behaviour(it.key.app).survives_kills);
            if let (Some(survives), Some(it)) = (survives, host.boxes.get_mut(&id)) {
                it.kills += 1;
                if it.kills > survives {
                    it.ends_by(now, End::Signal(9));
                }
            }
            host.advance(now);
            Ok(())
        })
    }

    /// Removes what is left of an ended one, if it is ours.
    pub fn remove(&mut self, now: Timestamp, hand: Hand, id: SandboxId) -> Call<()> {
        self.advance(now);
        self.call(hand, CrashPoint::BeforeRemove, CrashPoint::AfterRemove, |host| {
            let Some(it) = host.boxes.get(&id).filter(|it| !it.foreign) else { return Ok(()) };
            if matches!(it.state, FoundState::Running(_)) {
                return Err(Fail::Answer(RuntimeError::Unknown("it runs".to_owned())));
            }
            host.boxes.remove(&id);
            Ok(())
        })
    }

    fn call<T>(
        &mut self,
        hand: Hand,
        before: CrashPoint,
        after: CrashPoint,
        effect: impl FnOnce(&mut FakeHost) -> Result<T, Fail<T>>,
    ) -> Call<T> {
        if let Err(call) = self.faults.pass(before) {
            return call;
        }
        if self.down.contains(&hand) {
            return Call::Answers(Err(RuntimeError::Unknown("the engine is away".to_owned())));
        }
        let answer = match effect(self) {
            Ok(done) => Ok(done),
            Err(Fail::Answer(error)) => Err(error),
            Err(Fail::Fault(call)) => return call,
        };
        match self.faults.pass(after) {
            Ok(()) => Call::Answers(answer),
            Err(call) => call,
        }
    }
}

/// Why an effect ends early.
enum Fail<T> {
    Answer(RuntimeError),
    Fault(Call<T>),
}

// === impl FakeHost: what happens by itself ===

impl FakeHost {
    /// What the tasks of an app do from now on.
    pub fn behave(&mut self, app: AppKey, behaviour: Behaviour) {
        self.behaviours.insert(app, behaviour);
    }

    /// The next call that passes `point` goes wrong.
    pub fn fault(&mut self, point: CrashPoint, fault: Fault) {
        self.faults.add(point, fault);
    }

    /// No fault is left to come.
    pub fn heal(&mut self) {
        self.faults.clear();
    }

    /// A hand stops answering.
    pub fn engine_down(&mut self, hand: Hand) {
        self.down.insert(hand);
    }

    /// A hand answers again, with our containers running on or ended (live-restore or not).
    pub fn engine_up(&mut self, now: Timestamp, hand: Hand, live_restore: bool) {
        self.down.remove(&hand);
        if !live_restore {
            for it in self.boxes.values_mut().filter(|it| it.hand == hand && !it.foreign) {
                it.ends_by(now, End::Code(137));
            }
        }
        self.advance(now);
    }

    /// Whether a hand answers.
    pub fn is_up(&self, hand: Hand) -> bool {
        !self.down.contains(&hand)
    }

    /// Somebody else ends one.
    pub fn end_from_outside(&mut self, now: Timestamp, id: SandboxId, end: End) {
        if let Some(it) = self.boxes.get_mut(&id) {
            it.ends_by(now, end);
        }
        self.advance(now);
    }

    /// Somebody else ends one and removes it; only the hand's own marks say that it was there.
    pub fn remove_from_outside(&mut self, now: Timestamp, id: SandboxId) {
        let detail = "it was removed".to_owned();
        self.end_from_outside(now, id, End::Gone(Reason::Vanished { detail }));
    }

    /// Nobody asks for these lives any more, here or later: they are strays, counted by nobody and to be left alone.
    pub fn disown(&mut self, lives: impl IntoIterator<Item = SandboxId>) {
        self.disowned.extend(lives);
    }

    /// Whether this one is a stray.
    pub fn is_disowned(&self, id: SandboxId) -> bool {
        self.disowned.contains(&id)
    }

    /// All traces of one are lost.
    pub fn lose(&mut self, id: SandboxId) {
        self.boxes.remove(&id);
    }

    /// Something under one of our names that is not ours runs here.
    pub fn add_foreign(&mut self, now: Timestamp, hand: Hand, plan: &LaunchPlan) {
        let running = self.running(now);
        let mut it = FakeBox::new(hand, plan);
        it.foreign = true;
        it.state = FoundState::Running(running);
        self.boxes.insert(plan.id, it);
    }

    /// Lets happen what was to happen until now; says what ended.
    pub fn advance(&mut self, now: Timestamp) -> Vec<SandboxId> {
        let due = |it: &FakeBox| it.ends.as_ref().is_some_and(|(at, _)| *at <= now);
        let ids: Vec<SandboxId> =
            self.boxes.iter().filter(|(_, it)| due(it)).map(|(id, _)| *id).collect();
        for id in &ids {
            if let Some((at, end)) = self.boxes.get_mut(id).and_then(|it| it.ends.take()) {
                self.set_state(*id, FoundState::Exited { at, end });
            }
        }
        ids
    }

    /// When the next one ends by itself.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.boxes.values().filter_map(|it| it.ends.as_ref().map(|(at, _)| *at)).min()
    }

    /// When this one ends if nothing happens.
    pub fn ends_at(&self, id: SandboxId) -> Option<Timestamp> {
        self.boxes.get(&id).and_then(|it| it.ends.as_ref()).map(|(at, _)| *at)
    }

    fn run(&mut self, now: Timestamp, id: SandboxId, ends: Option<(Span, End)>) -> Running {
        self.note_start(id);
        let running = self.running(now);
        if let Some(it) = self.boxes.get_mut(&id) {
            it.state = FoundState::Running(running.clone());
            it.ends = ends.map(|(after, end)| (now + after, end));
        }
        running
    }

    fn running(&mut self, now: Timestamp) -> Running {
        self.handles += 1;
        Running { at: now, ips: Vec::new(), handle: format!("fake-{}", self.handles) }
    }

    fn set_state(&mut self, id: SandboxId, state: FoundState) {
        if let Some(it) = self.boxes.get_mut(&id) {
            it.state = state;
        }
    }

    fn behaviour(&self, app: AppKey) -> Behaviour {
        self.behaviours.get(&app).cloned().unwrap_or_default()
    }
}

// === impl FakeBox ===

impl FakeBox {
    fn new(hand: Hand, plan: &LaunchPlan) -> FakeBox {
        FakeBox {
            hand,
            key: plan.key,
            spec_key: plan.spec_key,
            place: plan.place.clone(),
            state: FoundState::Partial,
            foreign: false,
            ends: None,
            kills: 0,
        }
    }

    /// Ends at the latest then.
    fn ends_by(&mut self, at: Timestamp, end: End) {
        let runs = matches!(self.state, FoundState::Running(_));
        if runs && self.ends.as_ref().is_none_or(|(earlier, _)| at < *earlier) {
            self.ends = Some((at, end));
        }
    }
}
