//! Where and how a call to the fake host goes wrong.

use std::collections::{BTreeMap, VecDeque};

use crate::agent::runtime::RuntimeError;

/// A point of a call: before it has any effect, or when it has had all of it. A preparation has a point half-way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names say it")]
pub enum CrashPoint {
    BeforeList,
    AfterList,
    BeforePrepare,
    HalfPrepared,
    AfterPrepare,
    BeforeStart,
    AfterStart,
    BeforeEnded,
    AfterEnded,
    BeforeTerminate,
    AfterTerminate,
    BeforeKill,
    AfterKill,
    BeforeRemove,
    AfterRemove,
}

/// What happens at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The agent dies.
    Crash,
    /// The call answers that it is not known whether it was done: it failed, or its answer was lost, by the point.
    Unknown,
    /// The call never answers.
    Hang,
}

/// What comes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call<T> {
    /// It answers.
    Answers(Result<T, RuntimeError>),
    /// It never answers; who called gives up at its deadline.
    Hangs,
    /// The agent died in it.
    Crashes,
}

/// Faults to come, each happens once.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults(BTreeMap<CrashPoint, VecDeque<Fault>>);

// === impl CrashPoint ===

impl CrashPoint {
    /// All of them.
    pub const ALL: [CrashPoint; 15] = [
        CrashPoint::BeforeList,
        CrashPoint::AfterList,
        CrashPoint::BeforePrepare,
        CrashPoint::HalfPrepared,
        CrashPoint::AfterPrepare,
        CrashPoint::BeforeStart,
        CrashPoint::AfterStart,
        CrashPoint::BeforeEnded,
        CrashPoint::AfterEnded,
        CrashPoint::BeforeTerminate,
        CrashPoint::AfterTerminate,
        CrashPoint::BeforeKill,
        CrashPoint::AfterKill,
        CrashPoint::BeforeRemove,
        CrashPoint::AfterRemove,
    ];
}

// === impl Call ===

impl<T> Call<T> {
    /// The answer, with a hang as its caller's deadline would tell it; none when the agent died.
    pub fn answer(self) -> Option<Result<T, RuntimeError>> {
        match self {
            Call::Answers(answer) => Some(answer),
            Call::Hangs => Some(Err(RuntimeError::Unknown("no answer in time".to_owned()))),
            Call::Crashes => None,
        }
    }
}

// === impl Faults ===

impl Faults {
    pub(super) fn add(&mut self, point: CrashPoint, fault: Fault) {
        self.0.entry(point).or_default().push_back(fault);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Passes a point.
    pub(super) fn pass<T>(&mut self, point: CrashPoint) -> Result<(), Call<T>> {
        match self.0.get_mut(&point).and_then(VecDeque::pop_front) {
            None => Ok(()),
            Some(Fault::Crash) => Err(Call::Crashes),
            Some(Fault::Unknown) => {
                Err(Call::Answers(Err(RuntimeError::Unknown(format!("fault at {point:?}")))))
            }
            Some(Fault::Hang) => Err(Call::Hangs),
        }
    }
}
