//! What is told of a change: which events, in which order, with what (contract 11.2, 11.3).

use crate::logic::tests::rig::{Rig, app, path};
use crate::model::condition::Condition;
use crate::model::end::End;
use crate::model::event::Event;
use crate::model::fact::{Announce, Change, Expect, Fact, KillHow, Loss, Put, Ticket};
use crate::model::have::Phase;
use crate::model::id::{AgentId, AgentKey, InstanceId, InstanceKey, RunId, Seq};
use crate::model::spec::{Spec, UnreachableStrategy};
use crate::model::time::Span;

fn announced(rig: &mut Rig, spec: Spec, announce: Announce) {
    let current = rig.brain.world().app(&spec.path);
    let expect = current.map_or(Expect::Absent, |app| Expect::Version(app.version));
    rig.ask(Change::Put { apps: vec![Put { spec, expect }], announce }, false);
}

/// A word for each event, in order.
pub(super) fn told(rig: &Rig) -> Vec<String> {
    let word = |event: &Event| match event {
        Event::ApiPost { path, submitted, .. } => format!("post {path} {submitted:?}"),
        Event::GroupChanged { group, .. } => format!("group {group}"),
        Event::GroupChangeFailed { group, .. } => format!("group failed {group}"),
        Event::StepBegan(step) => format!("step {} began", step.step),
        Event::StepDone(step) => format!("step {} done", step.step),
        Event::DeploymentDone(_) => "done".to_owned(),
        Event::DeploymentFailed { .. } => "failed".to_owned(),
        Event::DeploymentStands(stands) => stands.state.as_str().to_owned(),
        Event::AppTerminated { path } => format!("terminated {path}"),
        Event::Status(update) => format!("task {}", update.condition.as_str()),
        Event::InstanceChanged { condition, .. } => {
            format!("instance {}", condition.map_or("Scheduled", Condition::as_str))
        }
        Event::HealthChanged { healthy, .. } => format!("health {healthy:?}"),
        Event::CheckFailed { check, .. } => format!("failed {}", check.protocol.as_str()),
        Event::AliveChanged { alive, .. } => format!("alive {alive}"),
        Event::UnhealthyKill { reason, .. } => format!("kill {reason}"),
        Event::HealthBrake { held, unhealthy, .. } => format!("brake {held} {unhealthy}"),
        Event::UnknownTerminated { path, .. } => format!("unknown {path}"),
        Event::AgentLost { host, instances, .. } => format!("{host} lost with {instances}"),
        Event::AgentReturned { host, .. } => format!("{host} returned"),
        Event::BrakeHeld { lost, agents } => format!("brake held, {lost} of {agents}"),
        Event::BrakeReleased { by_operator } => format!("brake released {by_operator}"),
    };
    rig.events.iter().map(word).collect()
}

/// Contract 11.3, and 11.2: a POST shows the service ports as submitted, a PUT what is stored.
#[test]
fn a_posted_app_is_told_from_its_change_to_its_end() {
    let mut rig = Rig::with_agents(1);
    announced(&mut rig, app("/shop/web", 1), Announce::Submitted);
    rig.run();
    assert_eq!(
        told(&rig),
        [
            "group /shop",
            "post /shop/web Some([0])",
            "step 0 began",
            "step 0 done",
            "step 1 began",
            "instance Scheduled",
            "instance Provisioned",
            "task Running",
            "instance Running",
            "step 1 done",
            "done",
        ]
    );
    rig.events.clear();
    announced(&mut rig, app("/shop/web", 0), Announce::Stored);
    rig.run();
    assert_eq!(told(&rig)[..2], ["group /shop", "post /shop/web None"]);
    rig.events.clear();
    rig.ask(Change::Remove { path: path("/shop/web") }, false);
    rig.run();
    assert_eq!(told(&rig).last().map(String::as_str), Some("terminated /shop/web"));
}

/// DP-12, contract 9.4: what a lock refuses is told too, and without a post.
#[test]
fn a_locked_change_fails_for_all_to_see() {
    let mut rig = Rig::with_agents(1);
    announced(&mut rig, app("/web", 1), Announce::Submitted);
    rig.events.clear();
    announced(&mut rig, app("/web", 2), Announce::Stored);
    assert_eq!(told(&rig), ["group failed /", "failed"]);
}

/// 11.2: an instance's goal that changes is told also where its condition stays.
#[test]
fn a_goal_that_changes_is_told_of_a_lost_instance() {
    let mut rig = Rig::with_agents(1);
    let mut spec = app("/web", 1);
    spec.unreachable = crate::model::spec::UnreachableStrategy::Disabled;
    rig.put(spec);
    rig.run();
    let agent = rig.instances("/web")[0].place.as_ref().expect("it is placed").agent;
    rig.tell(Fact::Lost { agent, why: Loss::Silence });
    rig.events.clear();
    let key = rig.instances("/web")[0].key;
    rig.ask(Change::Kill { instances: vec![key], how: KillHow::Restart }, false);
    let told = told(&rig);
    assert_eq!(told[0], "instance Unreachable", "{told:?}");
    assert!(!told.iter().any(|event| event.starts_with("task")), "{told:?}");
}

/// SM-8: the end of something that no row knows is told with its app as long as that is known.
#[test]
fn a_strangers_end_names_its_app() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 1));
    rig.run();
    rig.events.clear();
    let mut stranger = rig.instances("/web").remove(0);
    stranger.id = InstanceId(uuid::Uuid::from_u128(99));
    stranger.key = InstanceKey { no: 99, ..stranger.key };
    let exited = Phase::Exited { at: rig.now, end: End::Code(1) };
    rig.have(&stranger, exited);
    assert_eq!(told(&rig), ["unknown /web"]);
}

/// 11.2 `ipAddresses`: on the host's network a task has the agent's address, as in 8.1.
#[test]
fn a_running_task_on_the_hosts_network_has_the_agents_address() {
    let mut rig = Rig::with_agents(1);
    let mut inventory = {
        let world = rig.brain.world();
        world.agents.iter().next().expect("an agent").1.inventory.clone()
    };
    inventory.address = Some("10.0.0.5".to_owned());
    let (agent, run) = (AgentId(uuid::Uuid::from_u128(1)), RunId(uuid::Uuid::from_u128(1)));
    let ticket = Ticket::Agent(agent, run, Seq(7));
    rig.tell(Fact::Attached { ticket, agent, run, inventory });
    rig.put(app("/web", 1));
    rig.run();
    let running = rig.events.iter().find_map(|event| match event {
        Event::Status(update) if update.condition == Condition::Running => Some(update.ips.clone()),
        _ => None,
    });
    assert_eq!(running, Some(vec!["10.0.0.5".parse().expect("an address")]));
}

/// Ours: a loss and a return, and the brake with its two ends.
#[test]
fn losses_returns_and_the_brake_are_told() {
    let mut rig = Rig::with_agents(4);
    let mut stays = app("/web", 4);
    stays.unreachable = UnreachableStrategy::Disabled;
    announced(&mut rig, stays, Announce::Submitted);
    rig.run();
    let lose_three = |rig: &mut Rig| {
        for agent in (1..=3).map(AgentKey) {
            rig.tell(Fact::Lost { agent, why: Loss::Silence });
        }
    };
    let of_ours = |rig: &mut Rig| {
        let mut all = told(rig);
        all.retain(|word| word.contains("host-") || word.contains("brake"));
        rig.events.clear();
        all
    };
    of_ours(&mut rig);
    lose_three(&mut rig);
    let lost = ["host-1 lost with 1", "host-2 lost with 1", "host-3 lost with 1"];
    assert_eq!(of_ours(&mut rig), [&lost[..], &["brake held, 3 of 4"]].concat());
    (1..=3).for_each(|agent| {
        rig.attach(agent, 64, 65_536);
    });
    rig.pass(Span::secs(10));
    let back = ["host-1 returned", "host-2 returned", "host-3 returned", "brake released false"];
    assert_eq!(of_ours(&mut rig), back);
    lose_three(&mut rig);
    of_ours(&mut rig);
    rig.ask(Change::ReleaseBrake, false);
    assert_eq!(of_ours(&mut rig), ["brake released true"]);
}
