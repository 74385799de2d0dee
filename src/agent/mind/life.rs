//! One life of one instance, as the mind knows it, and what is reported of it.
//!
//! What the host shows and what was concluded are two things: an end, once concluded, stays (one terminal report a
//! life), even if the host shows the sandbox alive again.

use crate::agent::mind::backoff::Backoff;
use crate::agent::mind::step::Hand;
use crate::agent::mind::witness::{Exam, Replies};
use crate::agent::runtime::{FoundState, Running};
use crate::model::end::End;
use crate::model::findings::Findings;
use crate::model::have::{Phase, SpecKey};
use crate::model::id::InstanceKey;
use crate::model::instance::StopWhy;
use crate::model::reason::Reason;
use crate::model::time::Timestamp;

/// One life of one instance.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own, all combinations occur"
)]
pub(super) struct Life {
    /// The instance's key.
    pub(super) key: InstanceKey,
    /// Its definition.
    pub(super) spec_key: SpecKey,
    /// What runs it.
    pub(super) hand: Hand,
    /// What the host shows.
    pub(super) host: Host,
    /// How it ended, once that is concluded.
    pub(super) end: Option<(Timestamp, End)>,
    /// The step in flight.
    pub(super) busy: Option<Busy>,
    /// The outcome of the last step is unknown.
    pub(super) doubt: bool,
    /// The host no longer shows what may have been started.
    pub(super) missing: bool,
    /// A start was begun at least once.
    pub(super) start_tried: bool,
    /// A watch is under way.
    pub(super) watched: bool,
    /// How its stop goes.
    pub(super) stop: Stop,
    /// Its end, or its absence, is durable at the leader.
    pub(super) acked: bool,
    /// It makes room for others.
    pub(super) discard: bool,
    /// Bytes pulled, and when that was last taken over.
    pub(super) pulled: (u64, Option<Timestamp>),
    /// Between failed steps.
    pub(super) backoff: Backoff,
    /// The tick of its last step's begin or end.
    pub(super) touched: u64,
    /// Since when it runs, by our own clock.
    pub(super) since: Option<Timestamp>,
    /// What its checks have found, since they are performed.
    pub(super) findings: Option<Box<Findings>>,
    /// The last answers to its checks.
    pub(super) replies: Replies,
    /// How far the taking of evidence is, should it have failed.
    pub(super) exam: Exam,
    /// What was last reported.
    pub(super) said: Option<Said>,
}

/// What was reported of a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    /// What it does.
    pub(super) phase: Phase,
    /// What its checks have found.
    pub(super) findings: Option<Box<Findings>>,
}

/// What the host shows of a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// Nothing.
    Nothing,
    /// A preparation that was cut short.
    Partial,
    /// Ready to start.
    Prepared,
    /// It runs.
    Running(Running),
    /// It ended.
    Exited,
}

/// A step in flight. A watch is none: it goes beside all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    Prepare { cancelled: bool },
    Start,
    Terminate,
    Kill,
    Remove,
}

/// How the stop of a life goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Stop {
    /// Since when it shall end.
    pub(super) wanted: Option<Timestamp>,
    /// Why, as it was first said of this very life.
    pub(super) why: Option<StopWhy>,
    /// When it was first asked to end.
    pub(super) asked: Option<Timestamp>,
    /// Whether that is certain to have reached it.
    pub(super) heard: bool,
    /// When it was last killed.
    pub(super) killed: Option<Timestamp>,
}

// === impl Life ===

impl Life {
    /// One of which the host shows nothing yet.
    pub(super) fn new(key: InstanceKey, spec_key: SpecKey, hand: Hand, tick: u64) -> Life {
        Life {
            key,
            spec_key,
            hand,
            host: Host::Nothing,
            end: None,
            busy: None,
            doubt: false,
            missing: false,
            start_tried: false,
            watched: false,
            stop: Stop::default(),
            acked: false,
            discard: false,
            pulled: (0, None),
            backoff: Backoff::default(),
            touched: tick,
            since: None,
            findings: None,
            replies: Replies::default(),
            exam: Exam::None,
            said: None,
        }
    }

    /// Whether it runs, or something could still make it run: as long as it is prepared, a call of an agent process
    /// that died may be on its way to start it.
    pub(super) fn is_alive(&self) -> bool {
        self.end.is_none() || matches!(self.host, Host::Running(_))
    }

    /// Whether nothing of it can run any more, and nothing is being done about it.
    pub(super) fn is_over(&self) -> bool {
        !self.is_alive() && self.busy.is_none()
    }

    /// Whether it was made, never ran, and nothing is being done about it.
    pub(super) fn is_idle(&self) -> bool {
        let quiet = self.busy.is_none() && !self.doubt;
        matches!(self.host, Host::Partial | Host::Prepared) && self.end.is_none() && quiet
    }

    /// Whether it was never made, and nothing is on its way to make it.
    pub(super) fn is_nothing(&self) -> bool {
        let quiet = self.busy.is_none() && !self.doubt && !self.missing;
        self.host == Host::Nothing && self.end.is_none() && quiet
    }

    /// Takes over what a list shows.
    pub(super) fn found(&mut self, state: FoundState) {
        self.doubt = false;
        match state {
            FoundState::Exited { at, end } => self.ended(at, end),
            FoundState::Running(running) => {
                self.missing = false;
                self.start_tried = true;
                self.host = Host::Running(running);
            }
            // It ran, so what is there now is not what was started.
            FoundState::Partial | FoundState::Prepared if self.has_run() => self.vanished(),
            FoundState::Partial if self.start_tried => self.vanished(),
            FoundState::Partial => self.host = Host::Partial,
            FoundState::Prepared => {
                self.missing = false;
                self.host = Host::Prepared;
            }
        }
    }

    /// Takes over that a complete list lacks it.
    pub(super) fn not_found(&mut self) {
        self.doubt = false;
        if self.start_tried { self.vanished() } else { self.host = Host::Nothing }
    }

    /// It ended. The first end stays.
    pub(super) fn ended(&mut self, at: Timestamp, end: End) {
        self.host = Host::Exited;
        self.missing = false;
        self.watched = false;
        self.end.get_or_insert((at, end));
    }

    /// It cannot be made or started.
    pub(super) fn refused(&mut self, now: Timestamp, reason: Reason) {
        self.end.get_or_insert((now, End::Refused(reason)));
    }

    /// Concludes that it is gone.
    pub(super) fn conclude_gone(&mut self, now: Timestamp) {
        let detail = "the host shows nothing of it any more".to_owned();
        self.missing = false;
        self.end.get_or_insert((now, End::Gone(Reason::Vanished { detail })));
    }

    /// What is reported of it.
    pub(super) fn phase(&self) -> Phase {
        if let Some((at, end)) = &self.end {
            return Phase::Exited { at: *at, end: end.clone() };
        }
        if let Some(at) = self.stop.wanted {
            return Phase::Stopping { at };
        }
        match &self.host {
            Host::Running(running) => Phase::Running {
                at: running.at,
                ips: running.ips.clone(),
                handle: running.handle.clone(),
            },
            Host::Nothing | Host::Partial | Host::Prepared | Host::Exited if self.start_tried => {
                Phase::Starting
            }
            Host::Nothing | Host::Partial | Host::Prepared | Host::Exited => {
                Phase::Preparing { pulled: self.pulled.0 }
            }
        }
    }

    /// Whether it runs, or ran when it was last seen and vanished.
    pub(super) fn has_run(&self) -> bool {
        matches!(self.host, Host::Running(_)) || self.missing
    }

    fn vanished(&mut self) {
        self.watched = false;
        self.host = Host::Nothing;
        self.missing = self.end.is_none();
    }
}
