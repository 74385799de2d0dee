//! What the mind says to the hands, and what the hands say back.
//!
//! A step is begun when it is handed out; its outcome comes back as a sight. Nothing here decides.

use std::sync::Arc;

use crate::agent::mind::checks::probe::{Probe, ProbeId, Reply};
use crate::agent::runtime::{Found, Running, RuntimeError, SandboxId};
use crate::model::end::End;
use crate::model::evidence::Evidence;
use crate::model::have::SpecKey;
use crate::model::id::InstanceKey;
use crate::model::instance::Place;
use crate::model::spec::Spec;
use crate::model::time::Timestamp;

/// What runs a sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hand {
    /// The container engine, for definitions with an image.
    Docker,
    /// The host itself.
    Process,
}

/// All that the mind knows about a launch. The shell adds the environment, the directory and who we are.
#[derive(Clone, Debug)]
pub struct LaunchPlan {
    /// The life.
    pub id: SandboxId,
    /// The instance's key.
    pub key: InstanceKey,
    /// Which definition.
    pub spec_key: SpecKey,
    /// The definition.
    pub spec: Arc<Spec>,
    /// What it may use.
    pub place: Place,
}

/// Something to begin now.
#[derive(Clone, Debug)]
pub enum Step {
    /// Ask for every sandbox of this cluster and agent.
    List(Hand),
    /// Fetch, pull, create.
    Prepare(Hand, LaunchPlan),
    /// Give up the preparation in flight; it answers that its outcome is unknown.
    Cancel(Hand, SandboxId),
    /// Start what is prepared.
    Start(Hand, LaunchPlan),
    /// Wait until it ends; takes the place of an earlier watch of the same sandbox.
    Watch(Hand, SandboxId),
    /// Ask it to end.
    Terminate(Hand, SandboxId),
    /// End it.
    Kill(Hand, SandboxId),
    /// Remove what is left of it.
    Remove(Hand, SandboxId),
    /// Ask one of its checks.
    Probe(Hand, Probe),
    /// Add what is left of a life that failed to what is known of it, and keep that.
    Examine(Hand, Box<Evidence>),
}

/// What the hands saw: the outcome of a step, or something that happened by itself.
#[derive(Clone, Debug)]
pub enum Sight {
    /// The complete list of one hand.
    Listed(Hand, Result<Vec<Found>, RuntimeError>),
    /// A preparation is over.
    Prepared(SandboxId, Result<(), RuntimeError>),
    /// A start is over.
    Started(SandboxId, Result<Running, RuntimeError>),
    /// A watch is over.
    Ended(SandboxId, Result<(Timestamp, End), RuntimeError>),
    /// It was asked to end.
    Terminated(SandboxId, Result<(), RuntimeError>),
    /// It was killed.
    Killed(SandboxId, Result<(), RuntimeError>),
    /// It was removed.
    Removed(SandboxId, Result<(), RuntimeError>),
    /// So many bytes were pulled and fetched so far.
    Pulled(SandboxId, u64),
    /// A probe is over.
    Probed(ProbeId, Reply),
    /// The evidence of a life is kept, or not to be had.
    Examined(SandboxId),
    /// A hand does not answer.
    HandDown(Hand),
    /// A hand answers again.
    HandUp(Hand),
}

// === impl Hand ===

impl Hand {
    /// Both.
    pub const ALL: [Hand; 2] = [Hand::Docker, Hand::Process];

    /// What runs this definition.
    pub fn of(spec: &Spec) -> Hand {
        if spec.container().image().is_some() { Hand::Docker } else { Hand::Process }
    }
}
