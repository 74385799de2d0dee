//! What becomes of an agent's tasks when it is told to end: they go on, unless they are to be stopped.

use std::sync::Arc;
use std::time::Duration;

use crate::agent::mind::Hand;
use crate::agent::runtime::{FoundState, SandboxId};
use crate::agent::start::AgentHands;
use crate::model::spec::Spec;

/// The longest look at what goes on.
const LOOK: Duration = Duration::from_secs(2);

/// How many tasks of this agent run; none when the host does not say so in time.
pub async fn count_running(hands: &AgentHands) -> Option<usize> {
    tokio::time::timeout(LOOK, running(hands)).await.ok().map(|found| found.len())
}

/// Ends every task of this agent: asks first, and kills after the grace that Mesos gives. How many have ended.
pub async fn stop_tasks(hands: &Arc<AgentHands>) -> usize {
    let mut ending = tokio::task::JoinSet::new();
    for (hand, id) in running(hands).await {
        ending.spawn(stop_one(hands.clone(), hand, id));
    }
    ending.join_all().await.into_iter().filter(|ended| *ended).count()
}

async fn running(hands: &AgentHands) -> Vec<(Hand, SandboxId)> {
    let mut all = Vec::new();
    for hand in hands.present() {
        let Ok(found) = hands.list(hand).await else { continue };
        let runs = found.into_iter().filter(|one| matches!(one.state, FoundState::Running(_)));
        all.extend(runs.map(|one| (hand, one.id)));
    }
    all
}

/// Whether it ended.
async fn stop_one(hands: Arc<AgentHands>, hand: Hand, id: SandboxId) -> bool {
    // What cannot be asked is killed; what cannot be killed is found again by the next start.
    let _asked = hands.terminate(hand, id).await;
    let grace = Spec::DEFAULT_GRACE.into();
    if let Ok(Ok(_)) = tokio::time::timeout(grace, hands.ended(hand, id)).await {
        return true;
    }
    hands.kill(hand, id).await.is_ok()
}
