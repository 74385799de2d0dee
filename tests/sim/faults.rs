//! Every kind of fault, which of them a seed has, and how often each was really met.

use std::collections::BTreeMap;

use stayer::agent::fake::{CrashPoint, Fault};

use crate::devices::Gpus;
use crate::rng::Rng;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A frame takes long.
    FrameDelayed,
    /// A frame comes twice, the second time late.
    FrameDoubled,
    /// A frame of a session that is over comes late.
    FrameStale,
    /// A connection is cut and both sides hear of it.
    SessionCut,
    /// A connection is cut and one side does not hear of it.
    SessionHalfOpen,
    /// An agent says that it goes and comes back soon.
    AgentRestarts,
    /// An agent says that its host goes down.
    AgentShutsDown,
    /// An agent is killed between two of its steps.
    AgentKilled,
    /// An agent is killed between the storing of an epoch and the begin of the session.
    AgentKilledOpening,
    /// A leader that was deposed asks an agent for a session.
    OldLeaderOpens,
    /// An agent is away for so long that it is lost.
    AgentAway,
    /// An agent stays away while all else is well.
    AgentStaysAway,
    /// Something is moved from an agent that is emptied.
    AgentDrained,
    /// Something waits until those who balance know that it ends.
    Drained,
    /// Something is ended at the deadline of a drain.
    DrainOverdue,
    /// An agent is lost while it is emptied.
    DrainLost,
    /// A drain is taken back while something is left.
    DrainTakenBack,
    /// An agent is given up with what it had.
    AgentForgotten,
    /// An agent that was given up is back, with strays.
    ForgottenReturns,
    /// More than a third of the agents go away at once.
    MassLoss,
    /// So many are lost at once that nothing is replaced.
    BrakeHeld,
    /// Somebody releases the brake.
    BrakeReleased,
    /// Nobody hears that an agent is lost.
    LossUntold,
    /// A call to the host goes wrong at a point.
    Call(CrashPoint, CallFault),
    /// The engine goes away and its containers live on.
    EngineAway,
    /// The engine goes away and takes its containers with it.
    EngineRestarts,
    /// The server is killed while nothing is being stored.
    ServerKilled,
    /// The server is killed before an append.
    ServerKilledBeforeAppend,
    /// The server is killed after an append that is not durable; nothing of it survives.
    ServerKilledAppendLost,
    /// The server is killed after an append that is not durable; a part of it survives.
    ServerKilledAppendTorn,
    /// The server is killed in an append, and a commit survives in part.
    ServerKilledCommitTorn,
    /// The server is killed when an append is durable and nobody knows.
    ServerKilledDurable,
    /// The server is killed when the brain knows that an append is durable, before anybody else is told.
    ServerKilledUntold,
    /// The wall clock is another one after a start of the server.
    ClockJumpedAhead,
    /// The same, backwards.
    ClockJumpedBack,
    /// The clock of an agent is not the server's.
    ClockSkewed,
    /// The disk of the store is full.
    StoreFull,
    /// The store does not answer.
    StoreAway,
    /// The store does not answer and has stored all.
    StoreAnswerLost,
    /// The store does not answer and has stored a part.
    StoreTorn,
    /// Appends take long.
    StoreSlow,
    /// The log is swept.
    Sweep,
    /// Somebody else ends a container.
    ContainerKilled,
    /// Somebody else ends a container and removes it.
    ContainerRemoved,
    /// The containers of an app end at once.
    ExitsAtOnce,
    /// The containers of an app end after a while.
    ExitsLater,
    /// The containers of an app never start.
    NeverStarts,
    /// The containers of an app are never made.
    NeverPrepares,
    /// A stranger has a port.
    PortForeign,
    /// The containers of an app ignore the request to end.
    IgnoresTerm,
    /// The containers of an app survive a kill.
    SurvivesKill,
    /// Something that is not ours runs on the host.
    Foreign,
    /// A device falls out.
    DeviceLost,
    /// A device is back.
    DeviceBack,
    /// A host gets one more device.
    DeviceJoins,
    /// A probe fails.
    ProbeFails,
    /// A probe takes as long as it may.
    ProbeSlow,
    /// A probe says nothing of its task.
    ProbeUnknown,
    /// All of an app answer badly for a while.
    AppSickens,
    /// Something is killed since its checks fail.
    HealthKill,
    /// So many of an app turn at once that its checks kill nothing.
    HealthBrakeHeld,
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CallFault {
    /// The agent dies in it.
    Crash,
    /// It fails, or its answer is lost.
    Unknown,
    /// It hangs until its deadline.
    Hang,
}

/// What strikes from outside, each by its own timer.
const STRIKES: [Kind; 15] = [
    Kind::SessionCut,
    Kind::SessionHalfOpen,
    Kind::AgentRestarts,
    Kind::AgentShutsDown,
    Kind::AgentKilled,
    Kind::AgentAway,
    Kind::MassLoss,
    Kind::EngineAway,
    Kind::EngineRestarts,
    Kind::ServerKilled,
    Kind::StoreFull,
    Kind::StoreAway,
    Kind::Sweep,
    Kind::ContainerKilled,
    Kind::ContainerRemoved,
];

/// What strikes the server in its next append.
const APPEND_STRIKES: [Kind; 8] = [
    Kind::ServerKilledBeforeAppend,
    Kind::ServerKilledAppendLost,
    Kind::ServerKilledAppendTorn,
    Kind::ServerKilledDurable,
    Kind::ServerKilledUntold,
    Kind::StoreAnswerLost,
    Kind::StoreTorn,
    Kind::StoreSlow,
];

/// What a seed has.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is drawn for itself")]
pub struct Plan {
    /// How many agents.
    pub agents: usize,
    /// How many paths clients use.
    pub paths: usize,
    /// How long clients act and faults strike, in milliseconds.
    pub active: u64,
    /// Between two asks, at most.
    pub pause: u64,
    /// Between two strikes, at most.
    pub strike_pause: u64,
    /// What may strike.
    pub strikes: Vec<Kind>,
    /// Calls that go wrong, in a thousand.
    pub calls: u64,
    /// Frames that take long, in a thousand.
    pub delayed: u64,
    /// Frames that come twice, in a thousand.
    pub doubled: u64,
    /// Losses that nobody hears, in a thousand.
    pub untold: u64,
    /// How often operators act on agents, in a thousand of all asks.
    pub operators: u64,
    /// How many bytes of haves or wants go into a frame.
    pub budget: usize,
    /// Whether definitions are so large that commits take several records.
    pub fat: bool,
    /// Whether apps behave badly.
    pub unruly: bool,
    /// Whether apps are so large that they do not all fit.
    pub crowded: bool,
    /// Whether clients are quiet for long, so that a time-out or a window is met.
    pub strangers: bool,
    /// Whether an agent stays away in the end.
    pub stays_away: bool,
    /// Whether the clocks differ.
    pub clocks: bool,
    /// What it has of devices, if it is about them.
    pub gpus: Option<Gpus>,
}

/// How often each kind was met.
#[derive(Clone, Debug, Default)]
pub struct Seen(pub BTreeMap<Kind, u64>);

// === impl Kind ===

impl Kind {
    /// Every kind.
    pub fn all() -> Vec<Kind> {
        let mut all = vec![
            Kind::FrameDelayed,
            Kind::FrameDoubled,
            Kind::FrameStale,
            Kind::AgentKilledOpening,
            Kind::AgentStaysAway,
            Kind::AgentDrained,
            Kind::DrainOverdue,
            Kind::DrainLost,
            Kind::DrainTakenBack,
            Kind::AgentForgotten,
            Kind::ForgottenReturns,
            Kind::BrakeHeld,
            Kind::BrakeReleased,
            Kind::LossUntold,
            Kind::OldLeaderOpens,
            Kind::ServerKilledCommitTorn,
            Kind::ClockJumpedAhead,
            Kind::ClockJumpedBack,
            Kind::ClockSkewed,
            Kind::ExitsAtOnce,
            Kind::ExitsLater,
            Kind::NeverStarts,
            Kind::NeverPrepares,
            Kind::PortForeign,
            Kind::IgnoresTerm,
            Kind::SurvivesKill,
            Kind::Foreign,
            Kind::DeviceLost,
            Kind::DeviceBack,
            Kind::DeviceJoins,
            Kind::ProbeFails,
            Kind::ProbeSlow,
            Kind::ProbeUnknown,
            Kind::AppSickens,
            Kind::HealthKill,
            Kind::HealthBrakeHeld,
        ];
        all.extend(STRIKES);
        all.extend(APPEND_STRIKES);
        for point in CrashPoint::ALL {
            for fault in CallFault::ALL {
                all.push(Kind::Call(point, fault));
            }
        }
        all.sort_unstable();
        all
    }

    /// Whether it strikes the server in its next append.
    pub fn is_of_append(self) -> bool {
        APPEND_STRIKES.contains(&self)
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Call(point, fault) => f.pad(&format!("{fault:?}{point:?}")),
            other => f.pad(&format!("{other:?}")),
        }
    }
}

// === impl CallFault ===

impl CallFault {
    /// Every one.
    pub const ALL: [CallFault; 3] = [CallFault::Crash, CallFault::Unknown, CallFault::Hang];
}

impl From<CallFault> for Fault {
    fn from(fault: CallFault) -> Fault {
        match fault {
            CallFault::Crash => Fault::Crash,
            CallFault::Unknown => Fault::Unknown,
            CallFault::Hang => Fault::Hang,
        }
    }
}

// === impl Plan ===

impl Plan {
    /// What a seed has: some have no fault at all, most have several kinds.
    pub fn draw(rng: &mut Rng) -> Plan {
        let calm = rng.chance(40);
        let share = rng.between(200, 800);
        let strikes = STRIKES.into_iter().chain(APPEND_STRIKES);
        let strikes = strikes.filter(|_| !calm && rng.chance(share)).collect();
        let of = |rng: &mut Rng, share: u64, most: u64| {
            if calm || !rng.chance(share) { 0 } else { rng.between(1, most) }
        };
        let agents = *rng.pick(&[1, 1, 1, 2, 2, 2, 3, 3, 5, 8]);
        let fat = !calm && rng.chance(80);
        let fewest = if fat { 3 } else { 1 };
        Plan {
            agents,
            paths: usize::try_from(rng.between(fewest, 6)).expect("small"),
            active: rng.between(20_000, 80_000),
            pause: rng.between(300, 4_000),
            strike_pause: rng.between(800, 8_000),
            strikes,
            calls: of(rng, 500, 80),
            delayed: of(rng, 400, 60),
            doubled: of(rng, 400, 200),
            untold: of(rng, 400, 700),
            operators: *rng.pick(&[0, 100, 100, 250]),
            budget: *rng.pick(&[200, 2_000, 64 * 1024]),
            fat,
            unruly: !calm && rng.chance(600),
            crowded: rng.chance(300),
            strangers: rng.chance(300),
            stays_away: agents > 1 && rng.chance(250),
            clocks: !calm && rng.chance(500),
            gpus: None,
        }
    }
}

// === impl Seen ===

impl Seen {
    /// One more was met.
    pub fn met(&mut self, kind: Kind) {
        *self.0.entry(kind).or_default() += 1;
    }
}
