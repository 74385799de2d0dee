//! What follows a deployment that passed its limits, and going on with one that waits for somebody.

use crate::logic::change::cancel;
use crate::logic::decide::deployment as running;
use crate::logic::draft::Draft;
use crate::model::deployment::{Cause, FailurePolicy, OnFailure, State};
use crate::model::fact::{Answer, How, Refusal};
use crate::model::id::DeploymentId;
use crate::model::outcome::Ending;

/// Does what the deployment's policy says. One that takes another back is never taken back itself, nor given up: there is
/// nothing else to go back to, so it is said to be stuck and goes on.
pub fn fail(draft: &mut Draft<'_>, id: DeploymentId, cause: Cause) {
    let Some(deployment) = draft.world().deployments.get(&id) else { return };
    let policy = deployment.policy;
    if deployment.reverts.is_some() {
        return running::hold(draft, id, State::Stuck(cause));
    }
    match policy.on_failure.unwrap_or(OnFailure::None) {
        OnFailure::None => running::abandon(draft, id, &Ending::Failed(cause)),
        OnFailure::Pause => running::hold(draft, id, State::Paused(cause)),
        OnFailure::Rollback => take_back(draft, id, policy, &cause),
    }
}

/// Goes on with a deployment that waits for somebody, with its limits counted anew.
///
/// # Errors
/// When there is no such deployment, or it does not wait.
pub fn resume(draft: &mut Draft<'_>, id: DeploymentId) -> Result<Answer, Refusal> {
    let Some(mut deployment) = draft.world().deployments.get(&id).cloned() else {
        return Err(Refusal::NoDeployment { deployment: id });
    };
    if !deployment.is_paused() {
        return Err(Refusal::NotPaused { deployment: id });
    }
    deployment.counted_from = draft.now();
    deployment.failures = 0;
    draft.put_deployment(deployment);
    running::hold(draft, id, State::Going);
    Ok(Answer::Done)
}

/// The rollback has the same limits, so that somebody is told when it does not come to an end either. What cannot be taken
/// back waits for somebody.
fn take_back(draft: &mut Draft<'_>, id: DeploymentId, policy: FailurePolicy, cause: &Cause) {
    let how = How { force: false, policy: FailurePolicy { on_failure: None, ..policy } };
    if cancel::take_back(draft, id, how, Some(cause)).is_err() {
        let message = format!("{cause}; and what was before it can no longer be put back");
        running::hold(draft, id, State::Paused(Cause { message, ..cause.clone() }));
    }
}
