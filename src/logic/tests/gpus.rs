//! Devices: exclusive, by name, unhealthy ones, and agents that are kept for apps that ask for some.

use crate::logic::brain::Brain;
use crate::logic::draft::Limits;
use crate::logic::place::account::Explanation;
use crate::logic::place::explain::explain;
use crate::logic::tests::rig::{Rig, app, path};
use crate::model::agent::{Device, DeviceId, GpuScheduling};
use crate::model::fact::{Answer, Change, Refusal};
use crate::model::id::{AgentKey, CommitNo, Epoch};
use crate::model::pin::NV_GPU;
use crate::model::reason::Reason;
use crate::model::spec::{EnvValue, Spec};
use crate::model::world::World;

fn device(index: u32, id: &str) -> Device {
    Device {
        id: DeviceId(id.into()),
        model: "T4".to_owned(),
        index,
        mem: None,
        minor: Some(index),
        trouble: None,
    }
}

/// A rig whose agents have these devices.
fn with(hosts: &[&[&str]]) -> (Rig, Vec<AgentKey>) {
    let mut rig = Rig::new();
    let keys = (1..).zip(hosts).map(|(number, ids)| {
        let key = rig.attach(number, 64, 65_536);
        rig.change_agent(key, |inventory| {
            inventory.devices = (0..).zip(*ids).map(|(index, id)| device(index, id)).collect();
        });
        key
    });
    let keys = keys.collect();
    (rig, keys)
}

fn gpus(id: &str, instances: u32, count: u32) -> Spec {
    let mut spec = app(id, instances);
    spec.containers[0].gpus = count;
    spec
}

fn pinned(id: &str, count: u32, pin: &str) -> Spec {
    let mut spec = gpus(id, 1, count);
    spec.containers[0].env.insert(NV_GPU.to_owned(), EnvValue::Plain(pin.to_owned()));
    spec
}

fn told(rig: &Rig, id: &str) -> Explanation {
    let world = rig.brain.world();
    explain(world, world.app(&path(id)).expect("there"), rig.now)
}

fn reasons(rig: &Rig, id: &str) -> Vec<String> {
    let agents = told(rig, id).agents;
    agents.iter().flat_map(|agent| &agent.reasons).map(Reason::to_string).collect()
}

fn holds(rig: &Rig, id: &str) -> Vec<String> {
    let held = rig.instances(id).into_iter().filter_map(|one| one.place);
    let mut ids: Vec<String> =
        held.flat_map(|place| place.devices).map(|device| device.0.to_string()).collect();
    ids.sort();
    ids
}

/// 1-1: two devices, three instances; the third waits and is told who holds them.
#[test]
fn a_third_instance_of_two_devices_waits_and_names_the_holders() {
    let (mut rig, _) = with(&[&["GPU-a", "GPU-b"]]);
    rig.put(gpus("/gpu", 3, 1));
    rig.run();
    assert_eq!(
        (rig.healthy("/gpu"), holds(&rig, "/gpu")),
        (2, vec!["GPU-a".into(), "GPU-b".into()])
    );
    let why = reasons(&rig, "/gpu");
    assert!(why[0].starts_with("needs 1 gpus, 0 of 2 free (held by /gpu ("), "{why:?}");
}

/// reliability §4.3: a bad device is given to nobody, its task is left alone, and it is back when it is healthy.
#[test]
fn an_unhealthy_device_is_not_given_out_and_one_that_is_held_is_missing_once() {
    let (mut rig, agents) = with(&[&["GPU-a", "GPU-b"]]);
    rig.put(gpus("/first", 1, 1));
    rig.run();
    assert_eq!(holds(&rig, "/first"), ["GPU-a"]);
    let falls = |rig: &mut Rig, index: usize, trouble: Option<&str>| {
        let trouble = trouble.map(str::to_owned);
        rig.change_agent(agents[0], |inventory| inventory.devices[index].trouble = trouble);
    };
    falls(&mut rig, 0, Some("it fell off the bus"));
    rig.put(gpus("/second", 1, 1));
    rig.run();
    assert_eq!((holds(&rig, "/second"), rig.healthy("/first")), (vec!["GPU-b".into()], 1));
    rig.ask(Change::Remove { path: path("/first") }, true);
    rig.put(gpus("/third", 1, 1));
    rig.run();
    let why = reasons(&rig, "/third");
    assert!(why[0].ends_with("(not given out: GPU-a: it fell off the bus)"), "{why:?}");
    falls(&mut rig, 0, None);
    rig.run();
    assert_eq!(holds(&rig, "/third"), ["GPU-a"]);
}

/// 1-6, 1-7: by index, and by as much of a UUID as means one device.
#[test]
fn an_app_gets_the_devices_that_it_names_wherever_they_are() {
    let (mut rig, agents) = with(&[&["GPU-11", "GPU-12"], &["GPU-836c0c09-7", "GPU-b78a60a-1"]]);
    rig.put(pinned("/named", 2, "GPU-836c0c09,GPU-b78a60a"));
    rig.put(pinned("/counted", 1, "1"));
    rig.run();
    let place = |rig: &Rig, id: &str| rig.instances(id)[0].place.clone().expect("placed");
    assert_eq!(place(&rig, "/named").agent, agents[1]);
    assert_eq!(holds(&rig, "/named"), ["GPU-836c0c09-7", "GPU-b78a60a-1"]);
    assert_eq!(
        (place(&rig, "/counted").agent, holds(&rig, "/counted")),
        (agents[0], vec!["GPU-12".into()])
    );
    rig.put(pinned("/late", 1, "GPU-12"));
    rig.put(pinned("/absent", 1, "GPU-9"));
    rig.run();
    let why = reasons(&rig, "/late");
    assert!(why[0].starts_with("needs gpu GPU-12, GPU-12 is held by /counted ("), "{why:?}");
    assert!(
        told(&rig, "/late").help[0].contains("lets go of GPU-12"),
        "{:?}",
        told(&rig, "/late").help
    );
    let why = reasons(&rig, "/absent");
    assert_eq!(why[0], "needs gpu GPU-9, and the agent has GPU-11, GPU-12");
    rig.ask(Change::Remove { path: path("/counted") }, true);
    rig.run();
    assert_eq!(holds(&rig, "/late"), ["GPU-12"]);
}

/// F10: ambiguous is refused, better than nvidia-docker 1.0, where the first won silently.
#[test]
fn a_name_that_means_several_devices_is_refused() {
    let (mut rig, agents) = with(&[&["GPU-11"], &["GPU-12"]]);
    let Answer::Refused(Refusal::AmbiguousGpu { member, wanted, devices }) =
        rig.put(pinned("/vague", 1, "GPU-1"))
    else {
        panic!("taken")
    };
    assert_eq!((member.as_str(), wanted.as_str()), ("/env/NV_GPU", "GPU-1"));
    assert_eq!(devices, ["GPU-11", "GPU-12"]);
    rig.put(pinned("/whole", 1, "GPU-2"));
    // It comes to mean several, and a device of which it is the whole name is meant alone.
    rig.change_agent(agents[0], |inventory| {
        inventory.devices = vec![device(0, "GPU-21"), device(1, "GPU-22")];
    });
    let why = reasons(&rig, "/whole");
    assert_eq!(why[0], "needs gpu GPU-2, which means GPU-21, GPU-22");
    rig.change_agent(agents[1], |inventory| {
        inventory.devices = vec![device(0, "GPU-2"), device(1, "GPU-23")];
    });
    rig.run();
    assert_eq!(holds(&rig, "/whole"), ["GPU-2"]);
}

/// I5: two agents of one host see the same devices, and no two tasks may.
#[test]
fn a_device_that_two_agents_of_one_host_see_is_offered_by_the_first() {
    let (mut rig, agents) = with(&[&["GPU-a"], &["GPU-a", "GPU-b"]]);
    rig.put(gpus("/gpu", 3, 1));
    rig.run();
    assert_eq!(holds(&rig, "/gpu"), ["GPU-a", "GPU-b"]);
    let why = reasons(&rig, "/gpu").concat();
    assert!(why.contains("GPU-a: another agent of this host offers it: host-1 "), "{why}");
    // Of another host it is another device, whatever its name.
    rig.change_agent(agents[1], |inventory| {
        inventory.boot = "another".to_owned();
        inventory.devices = vec![device(0, "GPU-a"), device(1, "GPU-b")];
    });
    rig.run();
    assert_eq!(holds(&rig, "/gpu"), ["GPU-a", "GPU-a", "GPU-b"]);
}

/// PL-12: hosts with devices are kept, unless the flag of the server or the label of the app says otherwise.
#[test]
fn agents_with_devices_are_kept_for_apps_that_ask_for_some() {
    let (mut rig, _) = with(&[&["GPU-a"]]);
    rig.put(app("/plain", 1));
    let mut open = app("/open", 1);
    open.labels.insert("GPU_SCHEDULING_BEHAVIOR".to_owned(), "unrestricted".to_owned());
    rig.put(open);
    let mut odd = app("/odd", 1);
    odd.labels.insert("GPU_SCHEDULING_BEHAVIOR".to_owned(), "undefined".to_owned());
    rig.put(odd);
    rig.put(gpus("/gpu", 1, 1));
    rig.run();
    let run = |rig: &Rig| ["/plain", "/open", "/odd", "/gpu"].map(|id| rig.healthy(id));
    assert_eq!(run(&rig), [0, 1, 0, 1]);
    assert_eq!(reasons(&rig, "/plain"), ["the agent's 1 gpus are kept for apps that ask for gpus"]);
    let refused = rig.brain.view().verdicts.iter().map(|(_, it)| it.refused[9]).collect::<Vec<_>>();
    assert_eq!(refused, [1, 1], "DeclinedScarceResources");
    assert!(told(&rig, "/plain").help[0].contains("--gpu-scheduling unrestricted"));
    // The next server is told otherwise; what waits needs no other reason to be looked at.
    let limits = Limits { gpu_scheduling: GpuScheduling::Unrestricted, ..Limits::default() };
    let world: World = rig.brain.world().clone();
    rig.brain = Brain::load(world, Epoch(2), CommitNo(1_000), rig.now, limits);
    rig.settle();
    rig.run();
    assert_eq!(run(&rig), [1, 1, 1, 1]);
}
