//! Asks for changes on the strength of a view, and looks again when the app changed meanwhile.
//!
//! Merging needs the definition that is merged into, and the brain alone knows which one counts. So the asker says what it
//! saw; if that is no longer so, nothing was done, and the change is made anew from a newer view.

use crate::api::call::{Api, Call};
use crate::contract::error::Reply;
use crate::model::fact::{Answer, Change, How, Refusal};
use crate::model::id::{DeployId, DeploymentId, InstanceKey, Version};
use crate::model::path::AppPath;
use crate::model::view::View;

/// How often an app may change under one request.
const MAX_TRIES: u32 = 50;

/// A change that was accepted as a deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deployed {
    /// Its id.
    pub deployment: DeploymentId,
    /// The version of what changed.
    pub version: Version,
    /// Apps that did not exist before.
    pub created: Vec<AppPath>,
}

/// What a change came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// A deployment.
    Deployed(Deployed),
    /// A deploy is on its way.
    Deploying(DeployId),
    /// Instances are being ended.
    Killed(Vec<InstanceKey>),
    /// A deployment is over.
    Cancelled,
    /// A delay is gone.
    DelayReset,
    /// It is so.
    Plainly,
}

/// Asks for what `make` makes of the newest view until it is no longer stale. What `make` noted beside the change comes
/// back with the answer.
///
/// # Errors
/// What `make` says, and every refusal but staleness.
pub async fn ask<T>(
    api: &Api,
    call: &Call,
    how: How,
    mut make: impl FnMut(&View) -> Result<(Change, T), Reply>,
) -> Result<(Done, T), Reply> {
    for _ in 0..MAX_TRIES {
        let (change, noted) = make(&api.view())?;
        match api.server().ask(call.caller(), change, how).await {
            Answer::Refused(Refusal::Stale) => {}
            Answer::Refused(refusal) => return Err(Reply::refused(&refusal)),
            Answer::Deployed { deployment, version, created } => {
                return Ok((Done::Deployed(Deployed { deployment, version, created }), noted));
            }
            Answer::Deploying { deploy } => return Ok((Done::Deploying(deploy), noted)),
            Answer::Killed { instances } => return Ok((Done::Killed(instances), noted)),
            Answer::Cancelled => return Ok((Done::Cancelled, noted)),
            Answer::DelayReset => return Ok((Done::DelayReset, noted)),
            Answer::Done => return Ok((Done::Plainly, noted)),
            answer @ (Answer::Attached(_) | Answer::Noted) => return Err(unexpected(&answer)),
        }
    }
    Err(Reply::refused(&Refusal::Stale))
}

/// As [`ask`], for changes that are deployments.
///
/// # Errors
/// As [`ask`].
pub async fn deploy<T>(
    api: &Api,
    call: &Call,
    how: How,
    make: impl FnMut(&View) -> Result<(Change, T), Reply>,
) -> Result<(Deployed, T), Reply> {
    match ask(api, call, how, make).await? {
        (Done::Deployed(deployed), noted) => Ok((deployed, noted)),
        (
            done @ (Done::Deploying(_)
            | Done::Killed(_)
            | Done::Cancelled
            | Done::DelayReset
            | Done::Plainly),
            _,
        ) => Err(unexpected(&done)),
    }
}

/// An answer that does not belong to its question: a fault of ours.
pub fn unexpected(answer: &impl std::fmt::Debug) -> Reply {
    tracing::error!(?answer, "an answer does not belong to its question");
    Reply::message(500, "the answer does not belong to the question")
}
