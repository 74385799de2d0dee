//! Launches: backoff, placement, waiting, lost agents, ports.

use crate::logic::brain::Brain;
use crate::logic::draft::Limits;
use crate::logic::place::explain::explain;
use crate::logic::tests::rig::{Rig, app, inventory, path};
use crate::model::agent::Inventory;
use crate::model::end::End;
use crate::model::fact::{Answer, Change, Fact, Loss, Refusal};
use crate::model::have::Phase;
use crate::model::id::{CommitNo, Epoch};
use crate::model::instance::Goal;
use crate::model::network::PortDefinition;
use crate::model::reason::Reason;
use crate::model::time::Span;
use crate::model::unit::{Cpus, Mem};

const LABEL: &str = "STAYER_LAUNCH_TIMEOUT_SECONDS";

/// BO-3, BO-8: 1, 1.15, 1.3225 seconds; visible and resettable.
#[test]
fn a_crash_loop_grows_its_delay_and_can_be_reset() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/crash", 1));
    rig.run();
    let mut delays = Vec::new();
    for _ in 0..4 {
        let instance = rig.instances("/crash")[0].clone();
        rig.have(&instance, Phase::Exited { at: rig.now, end: End::Code(1) });
        let backoff = rig.brain.world().app(&path("/crash")).expect("there").backoffs[0];
        delays.push(backoff.delay.as_millis());
        assert!(!rig.instances("/crash")[0].is_live(), "it waits");
        rig.pass(backoff.delay);
        assert!(rig.instances("/crash")[0].is_live(), "it is launched again");
        rig.run();
    }
    assert_eq!(delays, [1_000, 1_150, 1_322, 1_520]);

    let instance = rig.instances("/crash")[0].clone();
    assert_eq!(instance.incarnation.0, 5);
    rig.have(&instance, Phase::Exited { at: rig.now, end: End::Code(1) });
    assert_eq!(rig.ask(Change::ResetDelay { path: path("/crash") }, false), Answer::DelayReset);
    assert!(rig.instances("/crash")[0].is_live(), "launched at once");
    let again = rig.ask(Change::ResetDelay { path: path("/crash") }, false);
    assert_eq!(again, Answer::Refused(Refusal::NotQueued { path: path("/crash") }));
}

/// What does not fit waits with every reason, and is placed when room comes.
#[test]
fn what_does_not_fit_waits_with_its_reasons() {
    let mut rig = Rig::new();
    rig.put(app("/big", 1));
    let mut big = app("/big", 1);
    big.containers[0].cpus = Cpus::whole(4);
    big.containers[0].mem = Mem::whole(1_024);
    rig.put_forced(big, true);
    rig.attach(1, 2, 512);
    let world = rig.brain.world();
    let told = explain(world, world.app(&path("/big")).expect("there"), rig.now);
    let kinds: Vec<&str> = told.agents[0].reasons.iter().map(Reason::kind).collect();
    assert_eq!(kinds, ["cpus", "mem"]);
    assert_eq!(told.help, ["would fit on host-1 with 2 cpus less and with 512 MiB less"]);
    let verdict = rig.brain.view().verdicts.iter().map(|(_, verdict)| verdict.clone()).next();
    assert_eq!(verdict.expect("a verdict").refused[4], 1, "InsufficientCpus");
    rig.attach(2, 8, 4_096);
    rig.run();
    assert_eq!(rig.healthy("/big"), 1);
}

/// PL-13, 0-8: a fixed host port is held by one; the other waits and is told by whom.
#[test]
fn a_fixed_port_has_one_holder() {
    let mut rig = Rig::with_agents(1);
    let fixed = |id: &str| {
        let mut spec = app(id, 1);
        spec.require_ports = true;
        spec.port_definitions =
            Some(vec![PortDefinition { port: 11_211, ..PortDefinition::default() }]);
        spec
    };
    rig.put(fixed("/first"));
    rig.run();
    rig.put(fixed("/second"));
    rig.run();
    assert_eq!((rig.healthy("/first"), rig.healthy("/second")), (1, 0));
    let world = rig.brain.world();
    let told = explain(world, world.app(&path("/second")).expect("there"), rig.now);
    assert!(
        matches!(&told.agents[0].reasons[..], [Reason::PortTaken { port: 11_211, holder }] if holder.contains("/first"))
    );
    rig.ask(Change::Remove { path: path("/first") }, true);
    rig.run();
    assert_eq!(rig.healthy("/second"), 1);
}

/// A port held by a stranger is not tried again for a while, and named.
#[test]
fn a_strangers_port_is_named_and_tried_again_later() {
    let mut rig = Rig::with_agents(1);
    let mut spec = app("/web", 1);
    spec.require_ports = true;
    spec.port_definitions = Some(vec![PortDefinition { port: 8_081, ..PortDefinition::default() }]);
    rig.put(spec);
    let instance = rig.instances("/web")[0].clone();
    let reason = Reason::PortForeign { port: 8_081, holder: "nginx (pid 7)".to_owned() };
    rig.have(&instance, Phase::Exited { at: rig.now, end: End::Refused(reason) });
    rig.pass(Span::secs(3));
    let world = rig.brain.world();
    let told = explain(world, world.app(&path("/web")).expect("there"), rig.now);
    assert!(matches!(&told.agents[0].reasons[..], [Reason::PortForeign { port: 8_081, .. }]));
    rig.pass(Span::secs(30));
    assert!(rig.instances("/web")[0].is_live(), "tried again");
}

/// SM-9 with 0/0: what was on a lost agent is replaced at once, and ends when that agent returns.
#[test]
fn a_lost_agent_is_replaced_and_its_leftovers_end() {
    let mut rig = Rig::with_agents(2);
    rig.put(app("/web", 2));
    rig.run();
    let lost = rig.instances("/web")[0].place.clone().expect("placed").agent;
    let other = rig
        .instances("/web")
        .iter()
        .filter(|one| one.place.as_ref().expect("placed").agent != lost)
        .count();
    assert_eq!(other, 1, "an app is spread over agents");
    rig.tell(Fact::Lost { agent: lost, why: Loss::Silence });
    let there: Vec<_> =
        rig.brain.world().agents.iter().map(|(_, agent)| agent.is_heard()).collect();
    assert_eq!(there.iter().filter(|heard| **heard).count(), 1);
    let replacement =
        rig.instances("/web").into_iter().find(|one| one.is_wanted() && !one.is_healthy());
    let replacement = replacement.expect("a replacement is placed");
    rig.have(&replacement, rig.running());
    assert_eq!(rig.healthy("/web"), 2);
    let leftover = rig
        .instances("/web")
        .into_iter()
        .find(|one| !one.is_wanted())
        .expect("kept until confirmed");
    rig.attach(u128::from(lost.0), 64, 65_536);
    rig.have(&leftover, rig.running());
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.instances("/web").len()), (2, 2));
}

/// SM-12, BETTER: a launch that makes no progress is begun anew.
#[test]
fn an_overdue_launch_is_begun_anew() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/slow", 1));
    let instance = rig.instances("/slow")[0].clone();
    rig.have(&instance, Phase::Preparing { pulled: 1 });
    rig.pass(Span::secs(200));
    rig.have(&instance, Phase::Preparing { pulled: 2 });
    rig.pass(Span::secs(200));
    assert!(rig.instances("/slow")[0].is_wanted(), "progress counts");
    rig.pass(Span::secs(101));
    rig.run();
    assert_eq!(rig.instances("/slow")[0].incarnation.0, 2);
    let failure = rig.brain.world().app(&path("/slow")).expect("there").last_failure.clone();
    let told = failure.map(|failure| failure.message).unwrap_or_default();
    assert!(told.starts_with("the launch took too long: Staging for "), "{told}");
}

/// SM-12, BETTER: an app may ask for another time; a label that is no number counts for nothing.
#[test]
fn a_label_sets_how_long_a_launch_may_take() {
    for (label, first, second) in [("2", 1, 2), ("900", 400, 600), ("soon", 200, 101)] {
        let mut rig = Rig::with_agents(1);
        let mut spec = app("/slow", 1);
        spec.labels.insert(LABEL.to_owned(), label.to_owned());
        rig.put(spec);
        let instance = rig.instances("/slow")[0].clone();
        rig.have(&instance, Phase::Starting);
        rig.pass(Span::secs(first));
        assert!(rig.instances("/slow")[0].goal == Goal::Run, "{label}");
        rig.pass(Span::secs(second));
        assert!(rig.instances("/slow")[0].goal != Goal::Run, "{label}");
    }
}

/// SM-12, seeds.md 4-2: an agent may say another time, and an app's own comes first.
#[test]
fn an_agent_sets_how_long_a_launch_there_may_take() {
    for (label, first, second) in [(None, 4, 2), (Some("10"), 9, 2)] {
        let mut rig = Rig::with_agents(0);
        rig.attach_as(1, Inventory { launch_seconds: Some(5), ..inventory(1) });
        let mut spec = app("/slow", 1);
        let label = label.map(|label: &str| (LABEL.to_owned(), label.to_owned()));
        spec.labels.extend(label);
        rig.put(spec);
        let instance = rig.instances("/slow")[0].clone();
        rig.have(&instance, Phase::Starting);
        rig.pass(Span::secs(first));
        assert_eq!(rig.instances("/slow")[0].goal, Goal::Run);
        rig.pass(Span::secs(second));
        assert_ne!(rig.instances("/slow")[0].goal, Goal::Run);
    }
}

/// SD-1: zeros are replaced by the lowest free ports and stay over updates.
#[test]
fn service_ports_are_given_out_and_kept() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/a", 1));
    rig.put(app("/b", 1));
    rig.run();
    let port = |rig: &Rig, id: &str| {
        let world = rig.brain.world();
        world.current(world.app(&path(id)).expect("there")).expect("there").spec.service_ports()[0]
    };
    assert_eq!((port(&rig, "/a"), port(&rig, "/b")), (10_000, 10_001));
    let version = rig.brain.world().app(&path("/a")).expect("there").version;
    rig.put(app("/a", 1));
    assert_eq!(
        rig.brain.world().app(&path("/a")).expect("there").version,
        version,
        "nothing differs"
    );
}

/// A definition that could not be read is no licence to kill: what runs is left alone until another is put.
#[test]
fn an_unreadable_definition_kills_nothing() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 2));
    rig.run();
    let mut world = rig.brain.world().clone();
    let lost = world.app(&path("/web")).expect("there").clone();
    world.versions.remove(&(lost.key, lost.version));
    let mut brain = Brain::load(world, Epoch(2), CommitNo(1_000), rig.now, Limits::default());
    let mut facts = std::collections::VecDeque::new();
    while brain.step(rig.now, &mut facts).is_some() {}
    let instances: Vec<_> = brain.world().instances_of(lost.key).collect();
    assert!(
        instances.len() == 2 && instances.iter().all(|one| one.is_wanted() && one.is_healthy())
    );
}

/// A new leader gives what was pending its whole time again: nobody listened while nobody led.
#[test]
fn a_new_leader_concludes_nothing_from_time_that_nobody_led() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 1));
    let instance = rig.instances("/web")[0].clone();
    rig.have(&instance, Phase::Starting);
    let later = rig.now + Span::secs(3_600);
    let world = rig.brain.world().clone();
    let mut brain = Brain::load(world, Epoch(2), CommitNo(1_000), later, Limits::default());
    let mut facts = std::collections::VecDeque::new();
    while brain.step(later, &mut facts).is_some() {}
    let (_, after) = brain.world().instances.iter().next().expect("there");
    assert!(after.goal == Goal::Run && after.incarnation == instance.incarnation);
}
