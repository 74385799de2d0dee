//! Rules of a session, each on its own, by whose half they are; `agree` throws everything at both ends at once.

mod agent;
mod agree;
mod leader;
mod rig;

use std::collections::BTreeSet;

use crate::model::condition::Condition;
use crate::model::fact::{Fact, Loss, Ticket};
use crate::model::have::{SpecKey, WantGoal};
use crate::model::id::{ClusterId, Epoch, Incarnation, Rev, RunId, Seq};
use crate::model::instance::{Goal, StopWhy};
use crate::model::row::{Key, Write};
use crate::model::time::{Span, Timestamp};
use crate::wire::link::agent::{AgentLink, Session};
use crate::wire::link::leader::{ATTACH, LeaderLink, Over, open_for};
use crate::wire::link::liveness::Liveness;
use crate::wire::link::want::{needs, want_in, want_of};
use crate::wire::link::{MAX_BATCH, WINDOW, encoded_size};
use crate::wire::message::{Down, Leaving, Open, PROTOCOLS, Refused, Up};
use rig::{
    AGENT, CLUSTER, KEY, RUN, absent, agent, exited, id, instance, key, open, preparing, running,
    version, world,
};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// A session of an agent that has told all its host has.
fn session(agent: &mut AgentLink) -> Session {
    agent.complete();
    let stored = agent.open(&open(1)).expect("a new leader");
    agent.opened(at(0), stored).expect("still the newest")
}

fn pull_all(agent: &mut AgentLink, session: Session) -> Vec<Up> {
    std::iter::from_fn(|| agent.pull(at(0), session, MAX_BATCH)).collect()
}

/// A leader's link that has its key.
fn attached(world: &crate::model::world::World) -> LeaderLink {
    let mut leader = LeaderLink::new(AGENT, RUN, at(0));
    leader.up(at(0), Up::Inventory(Seq(1), Box::new(rig::inventory())));
    leader.attached(KEY, world.instances.iter().map(|(key, _)| *key).collect());
    leader.facts();
    leader
}

fn send_all(leader: &mut LeaderLink, world: &crate::model::world::World) -> Vec<Down> {
    std::iter::from_fn(|| leader.pull(at(0), world, MAX_BATCH)).collect()
}
