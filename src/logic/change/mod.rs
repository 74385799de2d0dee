//! The one door for clients' writes: a change is refused with its reason, or accepted as a deployment.
//!
//! A change first works out what it would do to each app (an [`Effect`](plan::Effect)), reading only; then
//! [`plan::carry_out`] checks locks and writes everything in one go. Nothing is half done.

pub mod agent;
pub mod cancel;
pub mod delay;
pub mod dependencies;
pub mod deploy;
pub mod fail;
pub mod kill;
pub mod plan;
pub mod put;
pub mod remove;
pub mod restart;
pub mod service_ports;

use crate::logic::draft::Draft;
use crate::model::fact::{Answer, Caller, Change, How, Refusal};

/// Makes a change, or says why not.
pub fn apply(draft: &mut Draft<'_>, who: &Caller, change: Change, how: How) -> Answer {
    let result = match change {
        Change::Put { apps, announce } => put::put(draft, who, apps, announce, how),
        Change::Remove { path } => remove::remove(draft, &path, how),
        Change::Restart { path } => restart::restart(draft, &path, how),
        Change::Kill { instances, how: follows } => kill::kill(draft, &instances, follows, how),
        Change::Cancel { deployment } => cancel::cancel(draft, deployment, how),
        Change::Resume { deployment } => fail::resume(draft, deployment),
        Change::Deploy(proposal) => deploy::begin(draft, who, *proposal, how.force),
        Change::Steer { deploy, how } => deploy::steer(draft, deploy, how),
        Change::ResetDelay { path } => delay::reset(draft, &path),
        Change::Drain { agent, deadline } => agent::drain(draft, agent, deadline),
        Change::Undrain { agent } => agent::undrain(draft, agent),
        Change::Forget { agent } => agent::forget(draft, agent),
        Change::ReleaseBrake => Ok(agent::release_brake(draft)),
    };
    result.unwrap_or_else(|refusal: Refusal| Answer::Refused(refusal))
}
