//! The one door for clients' writes: a change is refused with its reason, or accepted as a deployment.
//!
//! A change first works out what it would do to each app (an [`Effect`](plan::Effect)), reading only; then
//! [`plan::carry_out`] checks locks and writes everything in one go. Nothing is half done.

pub mod agent;
pub mod cancel;
pub mod delay;
pub mod dependencies;
pub mod deploy;
pub mod kill;
pub mod plan;
pub mod put;
pub mod remove;
pub mod restart;
pub mod service_ports;

use crate::logic::draft::Draft;
use crate::model::fact::{Answer, Caller, Change, Refusal};

/// Makes a change, or says why not.
pub fn apply(draft: &mut Draft<'_>, who: &Caller, change: Change, force: bool) -> Answer {
    let result = match change {
        Change::Put { apps, announce } => put::put(draft, who, apps, announce, force),
        Change::Remove { path } => remove::remove(draft, &path, force),
        Change::Restart { path } => restart::restart(draft, &path, force),
        Change::Kill { instances, how } => kill::kill(draft, &instances, how, force),
        Change::Cancel { deployment } => cancel::cancel(draft, deployment, force),
        Change::Deploy(proposal) => deploy::begin(draft, who, *proposal, force),
        Change::Steer { deploy, how } => deploy::steer(draft, deploy, how),
        Change::ResetDelay { path } => delay::reset(draft, &path),
        Change::Drain { agent, deadline } => agent::drain(draft, agent, deadline),
        Change::Undrain { agent } => agent::undrain(draft, agent),
        Change::Forget { agent } => agent::forget(draft, agent),
        Change::ReleaseBrake => Ok(agent::release_brake(draft)),
    };
    result.unwrap_or_else(|refusal: Refusal| Answer::Refused(refusal))
}
