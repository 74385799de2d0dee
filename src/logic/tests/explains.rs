//! What people are told of an app that waits, and what the queue counts.

use crate::logic::tests::rig::{Rig, app, bound, inventory, path};
use crate::model::agent::{AttributeValue, Inventory, PortRange};
use crate::model::constraint::Operator;
use crate::model::end::End;
use crate::model::fact::{Fact, Loss};
use crate::model::have::Phase;
use crate::model::network::PortDefinition;
use crate::model::reason::{Funnel, Reason};
use crate::model::spec::Spec;
use crate::model::time::Span;
use crate::model::unit::{Cpus, Mem};
use crate::model::view::Verdict;

fn on_racks(racks: &[&str], spec: Spec) -> Rig {
    let mut rig = Rig::new();
    for (number, rack) in (1..).zip(racks) {
        rig.attach_in(number, "rack", rack);
    }
    rig.put(spec);
    rig.run_launches();
    rig
}

fn texts(reasons: &[Reason]) -> Vec<String> {
    reasons.iter().map(ToString::to_string).collect()
}

fn verdict(rig: &Rig, id: &str) -> Verdict {
    let key = rig.brain.world().app(&path(id)).expect("there").key;
    rig.brain.view().verdicts.get(&key).cloned().expect("a verdict")
}

fn refused(rig: &Rig, id: &str) -> Vec<(&'static str, u32)> {
    let counts = Funnel::ALL.into_iter().zip(verdict(rig, id).refused);
    counts.filter(|(_, count)| *count > 0).map(|(word, count)| (word.as_str(), count)).collect()
}

#[test]
fn help_names_what_no_agent_can_give() {
    // Seeds 4-12, 4-13; the issue, item 5.
    use Operator::{Cluster, GroupBy, Is, Like, MaxPer, Unique, Unlike};
    let racks = ["rack-1", "rack-2"];
    for (field, operator, value, help) in [
        ("rack", Cluster, "rack-9", "no agent has rack=rack-9; known: rack-1, rack-2"),
        ("rack", Is, "rack-9", "no agent has rack=rack-9; known: rack-1, rack-2"),
        ("rack", Like, "x.*", "no agent has a rack like x.*; known: rack-1, rack-2"),
        ("rack", Unlike, "rack-.", "every rack is like rack-.; known: rack-1, rack-2"),
        ("@zone", Cluster, "a", "no agent has an attribute zone"),
        ("@zone", GroupBy, "-", "no agent has an attribute zone"),
        ("hostname", Unique, "-", "all 2 values of hostname are taken; add an agent or scale to 2"),
        (
            "rack",
            MaxPer,
            "2",
            "all 2 values of rack are taken; add an agent with another rack or scale to 4",
        ),
        ("rack", GroupBy, "3", "rack GROUP_BY 3 needs 3 values, agents have 2: rack-1, rack-2"),
    ] {
        let rig = on_racks(&racks, bound(app("/web", 9), field, operator, value));
        assert_eq!(rig.explain("/web").help, [help], "{operator:?}");
    }
}

#[test]
fn reasons_of_constraints_say_what_the_agent_has_and_who_is_in_the_way() {
    let rig = on_racks(&["rack-1"], bound(app("/web", 2), "hostname", Operator::Unique, "-"));
    let task = rig.instances("/web").into_iter().find(|one| one.place.is_some()).expect("placed");
    let told = rig.explain("/web");
    let id = task.id.task(&path("/web"), "_app", task.incarnation);
    assert_eq!(
        texts(&told.agents[0].reasons),
        [format!("hostname UNIQUE: host-1 is taken by /web ({id})")]
    );
    assert_eq!(told.help, ["the only value of hostname is taken; add an agent or scale to 1"]);

    let told = |field: &str, operator, value: &str| {
        let rig = on_racks(&["rack-1", "rack-2"], bound(app("/web", 3), field, operator, value));
        let told = rig.explain("/web");
        texts(&told.agents[1].reasons)
    };
    assert_eq!(told("rack", Operator::Like, "rack-1"), ["rack LIKE rack-1: the agent has rack-2"]);
    assert_eq!(told("zone", Operator::Is, "a"), ["zone IS a: the agent has no attribute zone"]);
    assert_eq!(told("rack", Operator::MaxPer, "1"), ["rack MAX_PER 1: rack-2 has 1 already"]);
    assert_eq!(
        told("rack", Operator::Cluster, "-"),
        ["rack CLUSTER: the agent has rack-2, the app is on rack-1"]
    );
    assert_eq!(
        told("rack", Operator::GroupBy, "3"),
        ["rack GROUP_BY 3: rack-2 has 1 already, and only 2 of 3 values are used"]
    );
}

#[test]
fn a_value_that_has_more_than_others_waits_for_them() {
    let mut rig =
        on_racks(&["rack-1", "rack-2"], bound(app("/web", 2), "rack", Operator::GroupBy, "-"));
    let one = rig.instances("/web").remove(0);
    rig.have(&one, Phase::Exited { at: rig.now, end: End::Code(1) });
    let told = rig.explain("/web");
    assert_eq!(
        texts(&told.agents[1].reasons),
        ["rack GROUP_BY: rack-2 has 1 already, others where it fits have 0"]
    );
    assert_eq!(texts(&told.agents[0].reasons), Vec::<String>::new());
}

#[test]
fn agents_are_counted_by_their_strongest_reason_and_told_with_all() {
    // PL-24, PL-25.
    let mut rig = Rig::new();
    let role = |role: &str, number| Inventory { role: role.to_owned(), ..inventory(number) };
    rig.attach_as(1, Inventory { cpus: Cpus::ZERO, ..role("other", 1) });
    rig.attach(2, 1, 16);
    rig.attach(3, 4, 16);
    let lost = rig.attach(4, 64, 65_536);
    rig.tell(Fact::Lost { agent: lost, why: Loss::Silence });
    let mut spec = bound(app("/web", 1), "hostname", Operator::Unlike, "host-2");
    spec.containers[0].cpus = Cpus::whole(2);
    rig.put(spec);
    let told = rig.explain("/web");
    let kinds =
        |slot: usize| -> Vec<&str> { told.agents[slot].reasons.iter().map(Reason::kind).collect() };
    assert_eq!(kinds(0), ["role", "cpus"]);
    assert_eq!(kinds(1), ["constraint", "cpus", "mem"]);
    assert_eq!(kinds(2), ["mem"]);
    assert_eq!(kinds(3), ["agent-lost"]);
    assert_eq!(
        refused(&rig, "/web"),
        [("UnfulfilledRole", 1), ("UnfulfilledConstraint", 2), ("InsufficientMemory", 1)]
    );
    assert_eq!(told.help[0], "would fit on host-3 with 16 MiB less");
}

#[test]
fn what_a_class_took_itself_is_counted_as_what_it_lacks() {
    // PL-25: the first instances leave too little for the last; neither ports nor the index before them is the reason.
    let mut rig = Rig::new();
    rig.attach(1, 2, 65_536);
    let mut spec = app("/cpus", 3);
    spec.containers[0].cpus = Cpus::whole(1);
    rig.put(spec);
    assert_eq!(refused(&rig, "/cpus"), [("InsufficientCpus", 1)]);

    let mut rig = Rig::new();
    let ports = vec![PortRange { first: 31_000, last: 31_001 }];
    rig.attach_as(1, Inventory { ports, ..inventory(1) });
    rig.put(app("/ports", 3));
    assert_eq!(refused(&rig, "/ports"), [("InsufficientPorts", 1)]);

    let rig = on_racks(&["a"], bound(app("/unique", 2), "rack", Operator::Unique, "-"));
    assert_eq!(refused(&rig, "/unique"), [("UnfulfilledConstraint", 1)]);
    let rig = on_racks(&["a"], bound(app("/group", 2), "rack", Operator::GroupBy, "2"));
    assert_eq!(refused(&rig, "/group"), [("UnfulfilledConstraint", 1)]);
}

#[test]
fn roles_decide_where_an_app_may_go() {
    // PL-4, PL-6, seeds 1-4.
    let accepted = |roles: Option<&[&str]>, role: &str| {
        let mut rig = Rig::new();
        for (number, role) in (1..).zip(["*", "slave_public", "own"]) {
            let attributes = [("role".to_owned(), AttributeValue::Text(role.to_owned()))].into();
            rig.attach_as(
                number,
                Inventory { role: role.to_owned(), attributes, ..inventory(number) },
            );
        }
        let mut spec = app("/web", 6);
        spec.role = role.to_owned();
        spec.accepted_roles =
            roles.map(|roles| roles.iter().map(|&role| role.to_owned()).collect());
        rig.put(spec);
        rig.spread("/web", "role").into_keys().collect::<Vec<_>>()
    };
    assert_eq!(accepted(None, "*"), ["*"]);
    assert_eq!(accepted(None, "own"), ["*", "own"]);
    assert_eq!(accepted(Some(&["slave_public", "*"]), "*"), ["*", "slave_public"]);
    assert_eq!(accepted(Some(&["slave_public"]), "*"), ["slave_public"]);
    let mut rig = Rig::new();
    rig.attach_as(1, Inventory { role: "slave_public".to_owned(), ..inventory(1) });
    rig.put(app("/web", 1));
    let told = rig.explain("/web");
    assert_eq!(
        texts(&told.agents[0].reasons),
        ["the agent has role slave_public, the app accepts *"]
    );
    assert_eq!(told.help, ["would fit on host-1 if acceptedResourceRoles named slave_public"]);
}

#[test]
fn earlier_lives_and_launches_on_their_way_are_told() {
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 1));
    rig.pass(Span::secs(2));
    let told = rig.explain("/web");
    assert_eq!((told.launching.len(), told.last_end), (1, None));
    let instance = rig.instances("/web").remove(0);
    rig.have(&instance, Phase::Exited { at: rig.now, end: End::Code(0) });
    let end = rig.explain("/web").last_end.expect("it ended");
    assert_eq!((end.kind, &*end.message), (Some("finished"), "Container exited with status 0"));
    rig.pass(Span::secs(20));
    let instance = rig.instances("/web").remove(0);
    let oom = End::Oom { peak: Some(Mem::whole(32)) };
    rig.have(&instance, Phase::Exited { at: rig.now, end: oom });
    let end = rig.explain("/web").last_end.expect("it ended");
    assert_eq!((end.kind, end.host.as_deref()), (Some("oom"), Some("host-1")));
    rig.pass(Span::secs(20));
    let told = rig.explain("/web");
    assert_eq!(told.launching.len(), 1);
    let end = told.last_end.expect("still told while the next life begins");
    assert_eq!(end.message, "Memory limit exceeded: killed by the kernel, peak 32 MiB");
}

#[test]
fn a_holder_of_a_device_and_of_a_port_is_named() {
    let mut rig = Rig::new();
    let device = |no| crate::model::agent::Device {
        id: crate::model::agent::DeviceId(format!("gpu-{no}").into()),
        model: String::new(),
        index: no,
        mem: None,
        minor: None,
        trouble: None,
    };
    rig.attach_as(1, Inventory { devices: vec![device(0), device(1)], ..inventory(1) });
    let gpu = |id: &str, gpus| {
        let mut spec = app(id, 1);
        spec.containers[0].gpus = gpus;
        spec.require_ports = true;
        spec.port_definitions =
            Some(vec![PortDefinition { port: 80, ..PortDefinition::default() }]);
        spec
    };
    rig.put(gpu("/holder", 2));
    rig.put(gpu("/waits", 1));
    let told = texts(&rig.explain("/waits").agents[0].reasons);
    let holder = rig.instances("/holder").remove(0);
    let id = holder.id.task(&path("/holder"), "_app", holder.incarnation);
    assert_eq!(
        told,
        [
            format!("needs 1 gpus, 0 of 2 free (held by /holder ({id}))"),
            format!("port 80 taken by /holder ({id})"),
        ]
    );
}
