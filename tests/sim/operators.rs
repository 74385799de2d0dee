//! What must hold of agents that are emptied, given up or lost in numbers: nothing new comes to one that is emptied, what
//! is moved leaves enough behind, what is not heard is not moved (I4, I6), only who is gone is given up (I9), too many
//! losses hold all replacement (I19), and no loss goes unnoticed.

use stayer::agent::runtime::SandboxId;
use stayer::model::agent::{Agent, AgentState};
use stayer::model::commit::Commit;
use stayer::model::condition::Condition;
use stayer::model::id::AgentKey;
use stayer::model::instance::{Goal, Instance, StopWhy, Then};
use stayer::model::row::{Key, Row};
use stayer::model::spec::UnreachableStrategy;
use stayer::model::time::{Span, Timestamp};
use stayer::model::world::World;

use crate::faults::Kind;
use crate::sim::Sim;

/// Losses within so long count as one event, as people are told.
const AT_ONCE: Span = Span::secs(60);
/// A loss is known after so long at the latest: a new leader's grace, and once more if it was not heard.
const NOTICED: Span = Span::secs(26);

type Law = Result<(), (&'static str, String)>;

// === impl Sim: before a commit is durable ===

impl Sim {
    /// What a commit does to agents, and because of them.
    pub fn check_operations(&mut self, before: &World, commit: &Commit) {
        let after = &commit.world;
        let laws = [
            self.drains_are_taken_back_by_people(before, after),
            forgets_only_what_is_gone(before, commit),
            places_and_moves(before, commit),
            absences_have_their_time(before, commit),
            self.brake_holds(before, commit),
        ];
        if let Some((law, text)) = laws.into_iter().find_map(Result::err) {
            self.fail(law, text);
        }
    }

    fn drains_are_taken_back_by_people(&self, before: &World, after: &World) -> Law {
        for (key, was) in before.agents.iter().filter(|(_, was)| was.is_draining()) {
            let ended = after.agents.get(key).is_some_and(|is| !is.is_draining());
            if ended && !self.client.undrained.contains(key) {
                let text = format!("agent {} was emptied and is not any more", was.key);
                return Err(("drain", text));
            }
        }
        Ok(())
    }

    /// I19: more than a third, and at least three, within a minute.
    fn brake_holds(&self, before: &World, commit: &Commit) -> Law {
        let after = &commit.world;
        let forgiven = after.meta.as_ref().and_then(|meta| meta.brake.forgiven);
        let working =
            || after.agents.iter().map(|(_, agent)| agent).filter(|one| !one.is_draining());
        let lost = working().filter(|agent| match agent.state {
            AgentState::Up => false,
            AgentState::Lost { since } => {
                since > commit.at - AT_ONCE && forgiven.is_none_or(|forgiven| since > forgiven)
            }
        });
        let lost = lost.count();
        let heard = working().filter(|agent| agent.is_heard()).count();
        let held = held(after);
        if held.is_none() && lost >= 3 && lost * 3 > lost + heard {
            return Err(("I19", format!("{lost} of {} are lost, nothing is held", lost + heard)));
        }
        if forgiven.is_some() && self.client.released.is_none() {
            return Err(("I19", "nobody has released the brake".to_owned()));
        }
        if held.is_none() || self::held(before) != held {
            return Ok(());
        }
        for (row, was) in changed(before, commit) {
            let given_up = row.condition() == Some(Condition::UnreachableInactive)
                && was.condition() == Some(Condition::Unreachable);
            let moved =
                why(row).is_some_and(|why| matches!(why, StopWhy::Replaced | StopWhy::Drained));
            if given_up || (moved && was.goal == Goal::Run) {
                let text = format!("{:?} is replaced while the brake holds", row.key);
                return Err(("I19", text));
            }
        }
        Ok(())
    }

    /// An agent that is gone is known to be, whatever went wrong while that was told.
    pub fn check_absences(&mut self) {
        let Some(up) = &self.server.up else { return };
        let listened =
            self.now.as_millis() - up.fine_since.as_millis().max(up.started_at().as_millis());
        let world = &up.view.world;
        let unnoticed = self.agents.iter().find(|agent| {
            let row = world.agent_ids.get(&agent.id).and_then(|key| world.agents.get(key));
            let since = agent.down_since.max(agent.graced_until);
            let gone =
                agent.down_since.is_some() && since.is_some_and(|since| self.now > since + NOTICED);
            gone && row.is_some_and(Agent::is_heard)
        });
        let enough = i64::try_from(NOTICED.as_millis()).expect("small");
        if let Some(agent) = unnoticed.filter(|_| listened > enough) {
            let text = format!(
                "{} is gone since {:?}, and is said to be heard",
                agent.id, agent.down_since
            );
            self.fail("I14", text);
        }
    }
}

// === impl Sim: when a commit is durable ===

impl Sim {
    /// A commit has become durable; the history is that before it.
    pub fn observe_agents(&mut self, commit: &Commit) {
        let before = self.history.world.clone();
        if held(&before).is_none() && held(&commit.world).is_some() {
            self.seen.met(Kind::BrakeHeld);
        }
        let forgiven = |world: &World| world.meta.as_ref().and_then(|meta| meta.brake.forgiven);
        if forgiven(&before) != forgiven(&commit.world) {
            self.seen.met(Kind::BrakeReleased);
        }
        for (row, was) in changed(&before, commit) {
            if why(row) == Some(StopWhy::Drained) && was.goal == Goal::Run {
                let overdue = is_overdue(&before, &commit.world, was, commit.at);
                self.seen.met(if overdue { Kind::DrainOverdue } else { Kind::AgentDrained });
            }
        }
        for write in &commit.writes {
            let Key::Agent(key) = write.key else { continue };
            let was = before.agents.get(&key);
            match &write.row {
                None => self.forgotten(&before, key),
                Some(Row::Agent(row)) => self.agent_changed(&before, was, row),
                Some(_) => {}
            }
        }
    }

    fn agent_changed(&mut self, before: &World, was: Option<&Agent>, row: &Agent) {
        let left = || {
            let mut rows = before.instances.iter().map(|(_, one)| one);
            rows.any(|one| one.place.as_ref().is_some_and(|place| place.agent == row.key))
        };
        if was.is_some_and(|was| was.is_heard() && !row.is_heard()) && row.is_draining() {
            self.seen.met(Kind::DrainLost);
        }
        if was.is_some_and(Agent::is_draining) && !row.is_draining() && left() {
            self.seen.met(Kind::DrainTakenBack);
        }
        let strays = self.agents.iter().find(|agent| agent.id == row.id).is_some_and(|agent| {
            agent.host.sandboxes().into_iter().any(|(id, _)| agent.host.is_disowned(id))
        });
        if was.is_none() && strays {
            self.seen.met(Kind::ForgottenReturns);
        }
    }

    /// What an agent that was given up had is nobody's any more.
    fn forgotten(&mut self, before: &World, key: AgentKey) {
        let Some(row) = before.agents.get(&key) else { return };
        let had = before.instances.iter().map(|(_, one)| one);
        let had = had.filter(|one| one.place.as_ref().is_some_and(|place| place.agent == key));
        let lives: Vec<SandboxId> =
            had.map(|one| SandboxId { instance: one.id, incarnation: one.incarnation }).collect();
        if !lives.is_empty() {
            self.seen.met(Kind::AgentForgotten);
        }
        if let Some(agent) = self.agents.iter_mut().find(|agent| agent.id == row.id) {
            agent.host.disown(lives);
        }
    }
}

/// I9: an agent that is heard and has something is not given up.
fn forgets_only_what_is_gone(before: &World, commit: &Commit) -> Law {
    for write in commit.writes.iter().filter(|write| write.row.is_none()) {
        let Key::Agent(key) = write.key else { continue };
        let heard = before.agents.get(&key).is_some_and(Agent::is_heard);
        let mut had = before.instances.iter().map(|(_, one)| one);
        let runs = |one: &Instance| {
            let here = one.place.as_ref().is_some_and(|place| place.agent == key);
            here && one.condition() == Some(Condition::Running)
        };
        // It may have been lost, or emptied, in this very commit.
        let told = |one: &Instance| commit.world.instances.get(&one.key).is_some();
        if heard && had.any(|one| runs(one) && !told(one)) && !lost_first(commit, key) {
            return Err(("I9", format!("agent {key} is heard, runs something, and is forgotten")));
        }
    }
    Ok(())
}

/// Whether statuses of this commit say that what was on the agent was not heard.
fn lost_first(commit: &Commit, _key: AgentKey) -> bool {
    commit.events.iter().any(|event| {
        matches!(event, stayer::model::event::Event::Status(update)
            if update.condition.is_unreachable())
    })
}

/// Nothing new comes to an agent that is emptied; what is not heard is not moved (I6).
fn places_and_moves(before: &World, commit: &Commit) -> Law {
    let draining = |world: &World, row: &Instance| {
        let agent = row.place.as_ref().and_then(|place| world.agents.get(&place.agent));
        agent.is_some_and(Agent::is_draining)
    };
    for write in &commit.writes {
        let Some(Row::Instance(row)) = &write.row else { continue };
        let was = before.instances.get(&row.key);
        let launched =
            was.map(|was| was.incarnation) < Some(row.incarnation) && row.place.is_some();
        if launched && draining(before, row) && draining(&commit.world, row) {
            return Err(("drain", format!("{:?} is placed on an agent that is emptied", row.key)));
        }
        if launched && !hears(before, row) && !hears(&commit.world, row) {
            return Err(("I6", format!("{:?} is placed on an agent that is not heard", row.key)));
        }
    }
    for (row, was) in changed(before, commit) {
        let moved = why(row) == Some(StopWhy::Drained) && was.goal == Goal::Run;
        if moved && row.condition().is_some_and(Condition::is_unreachable) {
            return Err(("I6", format!("{:?} is moved and is not heard", row.key)));
        }
    }
    Ok(())
}

/// I14: what is not heard is given up when its strategy says so and not before, and never once its agent is heard again.
fn absences_have_their_time(before: &World, commit: &Commit) -> Law {
    for (row, was) in changed(before, commit) {
        // SC-9: what is not heard cannot end soon, so nothing waits for it to be launched again.
        let again = matches!(row.goal, Goal::Stop { then: Then::Relaunch, .. });
        let is_lost = |row: &Instance| row.condition().is_some_and(Condition::is_unreachable);
        if again && was.goal == Goal::Run && is_lost(was) && is_lost(row) {
            return Err((
                "I16",
                format!("{:?} is lost, and is to end before it is replaced", row.key),
            ));
        }
        let lost = was.tasks.iter().find(|task| task.condition.is_unreachable());
        let replaceable = row.condition() == Some(Condition::UnreachableInactive)
            && was.condition() == Some(Condition::Unreachable);
        let given_up = why(row) == Some(StopWhy::Replaced) && was.goal == Goal::Run;
        let Some(lost) = lost.filter(|_| replaceable || given_up) else { continue };
        if hears(before, was) && hears(&commit.world, was) {
            return Err(("I14", format!("{:?} is replaced while its agent is heard", row.key)));
        }
        let version = before.versions.get(&(row.key.app, was.version));
        let time = match version.map(|version| version.spec.unreachable) {
            Some(UnreachableStrategy::After { inactive_seconds, .. }) if !given_up => {
                Span::secs(inactive_seconds)
            }
            Some(UnreachableStrategy::After { expunge_seconds, .. }) => Span::secs(expunge_seconds),
            Some(UnreachableStrategy::Disabled) | None => Span::ZERO,
        };
        if commit.at < lost.since + time {
            let text =
                format!("{:?} is given up {} after its loss", row.key, commit.at.since(lost.since));
            return Err(("I14", text));
        }
    }
    Ok(())
}

/// Whether the agent of an instance is heard.
fn hears(world: &World, row: &Instance) -> bool {
    let agent = row.place.as_ref().and_then(|place| world.agents.get(&place.agent));
    agent.is_some_and(Agent::is_heard)
}

/// Whether an instance is on an agent whose time to be emptied in order is over.
pub fn is_overdue(before: &World, after: &World, row: &Instance, now: Timestamp) -> bool {
    let agent = row.place.as_ref().map(|place| place.agent);
    let due = |world: &World| {
        let row = agent.and_then(|agent| world.agents.get(&agent));
        let deadline = row.and_then(|row| row.drain).and_then(|drain| drain.deadline);
        deadline.is_some_and(|deadline| now >= deadline)
    };
    due(before) || due(after)
}

/// Why an instance is told to end, if it is.
pub fn why(row: &Instance) -> Option<StopWhy> {
    match row.goal {
        Goal::Run => None,
        Goal::Stop { why, .. } => Some(why),
    }
}

/// The instances that a commit writes, with what they were.
fn changed<'w>(
    before: &'w World,
    commit: &'w Commit,
) -> impl Iterator<Item = (&'w Instance, &'w Instance)> {
    commit.writes.iter().filter_map(|write| match &write.row {
        Some(Row::Instance(row)) => Some((row.as_ref(), before.instances.get(&row.key)?)),
        Some(_) | None => None,
    })
}

fn held(world: &World) -> Option<Timestamp> {
    world.meta.as_ref().and_then(|meta| meta.brake.held)
}
