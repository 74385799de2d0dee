//! Deploys: several deployments one after another, by a strategy.
//!
//! A deploy is decided as an app or a deployment is, from rows and time alone. [`look`] says how its apps stand, [`next`]
//! what follows from that, and [`moves`] makes the change by the door that clients use. There is no second way to change
//! an app, and nothing is remembered outside rows: a new leader goes on where the old one stopped.
//!
//! - [`colour`]: the names and labels of the second app, as marathon-lb's tools write them.
//! - [`sides`]: which app serves now, and which one comes.
//!
//! Who may begin, resume or take back a deploy is `change::deploy`'s.

pub mod colour;
pub mod look;
pub mod moves;
pub mod next;
pub mod sides;

use crate::logic::deploy::look::Sight;
use crate::logic::deploy::moves::Refused;
use crate::logic::deploy::next::Next;
use crate::logic::draft::Draft;
use crate::model::deploy::{
    Cause, Deploy, Ending, Finding, MAX_OVER, MAX_TEXT, Phase, State, Undo,
};
use crate::model::id::DeployId;
use crate::model::row::Key;
use crate::model::text::cut;

/// Goes on with a deploy as far as the rows allow now.
pub fn decide(draft: &mut Draft<'_>, id: DeployId) {
    while let Some(deploy) = draft.world().deploys.get(&id).cloned() {
        if deploy.is_over() {
            forget_some(draft);
            return;
        }
        let sight = Sight::of(draft.world(), draft.index(), &deploy);
        if let Some(counted) = next::count_failure(&deploy, &sight) {
            draft.put_deploy(counted);
            continue;
        }
        match next::next(&deploy, &sight, draft.now()) {
            Next::Wait => return,
            Next::Be(state) => put(draft, deploy, state),
            Next::Do(act, state) => {
                let mut deploy = deploy;
                match moves::carry_out(draft, &mut deploy, act) {
                    Ok(()) => put(draft, deploy, state),
                    Err(Refused::Later) => return,
                    Err(Refused::Never(why)) => {
                        let cause = Cause::Refused(cut(&why, MAX_TEXT).to_owned());
                        put(draft, deploy, State::Over(Ending::Failed(cause)));
                    }
                }
            }
        }
    }
}

/// Takes what an analysis found, if it is still waited for.
pub fn analysed(draft: &mut Draft<'_>, id: DeployId, step: u32, asking: u32, finding: Finding) {
    let Some(mut deploy) = draft.world().deploys.get(&id).cloned() else { return };
    let waits = matches!(
        deploy.state,
        State::Going(Phase::Judging { step: at, asking: no, .. }) if (at, no) == (step, asking)
    );
    if waits {
        let state = next::judged(&deploy, &finding, draft.now());
        deploy.last = Some(finding);
        put(draft, deploy, state);
    }
}

/// Puts a deploy in another state.
pub fn put(draft: &mut Draft<'_>, deploy: Deploy, state: State) {
    let grows = |state: &State| match state {
        State::Going(Phase::Growing { step, .. }) => Some(*step),
        State::Going(_) | State::Paused { .. } | State::RollingBack { .. } | State::Over(_) => None,
    };
    let step_begins = grows(&state).is_some() && grows(&state) != grows(&deploy.state);
    let failures = if step_begins { 0 } else { deploy.failures };
    draft.put_deploy(Deploy { failures, state, at: draft.now(), ..deploy });
}

/// A new leadership gives each step its whole time again: while nobody led nobody saw what was reached.
pub fn resume(draft: &mut Draft<'_>) {
    let live: Vec<DeployId> = draft.index().deploys.live().collect();
    for id in live {
        let Some(deploy) = draft.world().deploys.get(&id).cloned() else { continue };
        let fresh = draft.now() + deploy.plan.deadline;
        let state = match deploy.state.clone() {
            State::Going(phase) => State::Going(match phase {
                Phase::Growing { step, ready, .. } => {
                    Phase::Growing { step, deadline: fresh, ready }
                }
                Phase::Shrinking { step, .. } => Phase::Shrinking { step, deadline: fresh },
                Phase::Judging { step, asking, .. } => {
                    Phase::Judging { step, asking, due: draft.now(), deadline: fresh }
                }
                Phase::Passed { step, .. } => Phase::Passed { step, deadline: fresh },
                Phase::Holding { .. } | Phase::Finishing => phase,
            }),
            State::RollingBack { cause, undo } => State::RollingBack {
                cause,
                undo: match undo {
                    Undo::Restoring { .. } => Undo::Restoring { deadline: fresh, stuck: false },
                    Undo::Reverting { .. } => Undo::Reverting { deadline: fresh, stuck: false },
                    Undo::Begun | Undo::Removing => undo,
                },
            },
            state @ (State::Paused { .. } | State::Over(_)) => state,
        };
        draft.put_deploy(Deploy { state, ..deploy });
    }
}

/// Keeps the number of deploys that are over bounded.
fn forget_some(draft: &mut Draft<'_>) {
    let surplus = draft.index().deploys.over().len().saturating_sub(MAX_OVER);
    let gone: Vec<DeployId> = draft.index().deploys.over().take(surplus).collect();
    for id in gone {
        draft.remove(Key::Deploy(id));
    }
}

#[cfg(test)]
mod tests;
