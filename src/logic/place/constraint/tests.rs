//! One table for each operator, and its odd cases (PL-17 to PL-21).

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::logic::tests::rig::{Rig, app, bound, inventory, path, with_cmd};
use crate::model::agent::Inventory;
use crate::model::fact::{Fact, Loss};
use crate::model::id::Version;
use crate::model::spec::{Spec, UnreachableStrategy};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::Cpus;

/// Whether a constraint on the attribute `rack` accepts an agent with this value, when nothing is placed.
fn accepts(operator: Operator, value: &str, has: Option<AttributeValue>) -> bool {
    let mut rig = Rig::new();
    let attributes = has.into_iter().map(|has| ("rack".to_owned(), has)).collect();
    rig.attach_as(1, Inventory { attributes, ..inventory(1) });
    let at = Timestamp::from_millis(0);
    let row = AppVersion {
        spec: bound(app("/web", 1), "rack", operator, value),
        version: Version(at),
        last_scaling_at: at,
        last_config_change_at: at,
        config: Version(at),
    };
    let index = Index::build(rig.brain.world());
    !Rules::of(rig.brain.world(), &index, AppKey(1), &row).bars(0)
}

fn text(text: &str) -> AttributeValue {
    AttributeValue::Text(text.to_owned())
}

#[test]
fn what_asks_for_a_value_alone() {
    // PL-18, PL-20.
    use Operator::{Cluster, Is, Like, Unlike};
    let number = |thousandths| Some(AttributeValue::Scalar(thousandths));
    let ranges = || Some(AttributeValue::Ranges(vec![(5, 9), (1, 3)]));
    let set = || Some(AttributeValue::Set(["b", "a"].map(str::to_owned).into()));
    for (operator, value, has, accepted) in [
        (Cluster, "rack-1", Some(text("rack-1")), true),
        (Cluster, "rack-1", Some(text("rack-10")), false),
        (Cluster, "rack-1", Some(text("Rack-1")), false),
        (Cluster, "rack-1", None, false),
        (Cluster, "1.50", number(1_500), false),
        (Cluster, "[1-3,5-9]", ranges(), true),
        (Cluster, "{a,b}", set(), true),
        (Is, "rack-1", Some(text("rack-1")), true),
        (Is, "rack-1", Some(text("rack-2")), false),
        (Is, "0.8001", number(800), true),
        (Is, "0.80", number(800), true),
        (Is, "1", number(1_000), true),
        (Is, "1.00051", number(1_001), true),
        // The value is a number and becomes `1`, the text stays what it is.
        (Is, "1.0", Some(text("1.0")), false),
        (Is, "1.0", Some(text("1")), true),
        (Is, "", Some(text("rack-1")), false),
        (Is, "-", Some(text("rack-1")), false),
        (Is, "rack-1", None, false),
        (Like, "rack-[1-3]", Some(text("rack-2")), true),
        (Like, "rack-[1-3]", Some(text("rack-10")), false),
        (Like, "rack", Some(text("my-rack")), false),
        (Like, "a|ab", Some(text("ab")), true),
        (Like, "0\\.8", number(800), true),
        (Like, "", Some(text("rack-1")), false),
        (Like, ".*", None, false),
        (Unlike, "rack-[1-3]", Some(text("rack-2")), false),
        (Unlike, "rack-[1-3]", Some(text("rack-10")), true),
        (Unlike, "", Some(text("rack-1")), false),
        (Unlike, ".*", None, true),
    ] {
        assert_eq!(accepts(operator, value, has.clone()), accepted, "{operator:?} {value} {has:?}");
    }
}

#[test]
fn an_agent_without_the_field_is_refused_by_all_but_unlike() {
    // PL-20.
    use Operator::{Cluster, GroupBy, MaxPer, Unique};
    for (operator, value) in [(Unique, "-"), (Cluster, "-"), (MaxPer, "2"), (GroupBy, "-")] {
        assert!(!accepts(operator, value, None), "{operator:?}");
        assert!(accepts(operator, value, Some(text("rack-1"))), "{operator:?}");
    }
}

/// An app on agents of which each has an attribute `rack`; how many instances each rack then has.
fn on_racks(racks: &[&str], spec: Spec) -> (Rig, BTreeMap<String, usize>) {
    let mut rig = Rig::new();
    for (number, rack) in (1..).zip(racks) {
        rig.attach_in(number, "rack", rack);
    }
    let id = spec.path.to_string();
    rig.put(spec);
    let spread = rig.spread(&id, "rack");
    (rig, spread)
}

fn spread<const N: usize>(of: [(&str, usize); N]) -> BTreeMap<String, usize> {
    of.map(|(value, count)| (value.to_owned(), count)).into()
}

#[test]
fn unique_max_per_and_cluster_count_what_is_placed() {
    // PL-20.
    use Operator::{Cluster, MaxPer, Unique};
    let racks = ["a", "b", "b"];
    for (operator, value, expected) in [
        (Unique, "-", spread([("a", 1), ("b", 1)])),
        (MaxPer, "2", spread([("a", 2), ("b", 2)])),
        // Less than one is one.
        (MaxPer, "0", spread([("a", 1), ("b", 1)])),
        (MaxPer, "-3", spread([("a", 1), ("b", 1)])),
        (Cluster, "-", spread([("a", 5)])),
        (Cluster, "", spread([("a", 5)])),
        (Cluster, "b", spread([("b", 5)])),
    ] {
        let (_, found) = on_racks(&racks, bound(app("/web", 5), "rack", operator, value));
        assert_eq!(found, expected, "{operator:?} {value}");
    }
}

#[test]
fn all_constraints_must_hold_and_region_and_zone_are_attributes() {
    // PL-17, PL-22.
    let mut rig = Rig::new();
    for (number, (region, zone)) in (1..).zip([("eu", "a"), ("eu", "b"), ("us", "c"), ("eu", "b")])
    {
        let value = |text: &str| AttributeValue::Text(text.to_owned());
        let attributes =
            [("region".to_owned(), value(region)), ("zone".to_owned(), value(zone))].into();
        rig.attach_as(number, Inventory { attributes, ..inventory(number) });
    }
    let spec = bound(app("/web", 4), "@zone", Operator::GroupBy, "2");
    let spec = bound(spec, "@region", Operator::Is, "eu");
    rig.put(bound(spec, "@hostname", Operator::Unlike, "host-4"));
    assert_eq!(rig.spread("/web", "zone"), spread([("a", 2), ("b", 2)]));
    assert_eq!(rig.spread("/web", "hostname"), spread([("host-1", 2), ("host-2", 2)]));
}

#[test]
fn group_by_uses_values_evenly() {
    // PL-21 b, worked examples.
    let group = |count, value: &str| bound(app("/web", count), "rack", Operator::GroupBy, value);
    let three = ["a", "b", "c"];
    for (racks, spec, expected) in [
        (&three[..], group(8, "3"), spread([("a", 3), ("b", 3), ("c", 2)])),
        (&three[..], group(8, "-"), spread([("a", 3), ("b", 3), ("c", 2)])),
        (&three[..], group(3, "3"), spread([("a", 1), ("b", 1), ("c", 1)])),
        // Only two values: exactly two are placed, and the rest waits.
        (&["a", "b", "b"], group(8, "3"), spread([("a", 1), ("b", 1)])),
        // More values than asked for may be used.
        (
            &["a", "b", "c", "d", "e"],
            group(5, "3"),
            spread([("a", 1), ("b", 1), ("c", 1), ("d", 1), ("e", 1)]),
        ),
        (&["a", "a", "a", "b"], group(4, "0"), spread([("a", 2), ("b", 2)])),
    ] {
        let (_, found) = on_racks(racks, spec.clone());
        assert_eq!(found, expected, "{racks:?} {:?}", spec.constraints);
    }
}

#[test]
fn a_value_that_appears_later_gets_the_next_ones_and_nothing_is_moved() {
    // PL-21, the documentation's example.
    let spec = bound(app("/web", 8), "rack", Operator::GroupBy, "-");
    let (mut rig, found) = on_racks(&["a", "b"], spec.clone());
    assert_eq!(found, spread([("a", 4), ("b", 4)]));
    rig.run();
    rig.attach_in(9, "rack", "c");
    rig.put(Spec { instances: 9, ..spec });
    assert_eq!(rig.spread("/web", "rack"), spread([("a", 4), ("b", 4), ("c", 1)]));
}

#[test]
fn what_waits_for_another_value_goes_on_as_soon_as_there_is_one() {
    // PL-21: the third value also lets the used ones be used again, without anything else happening.
    let (mut rig, found) =
        on_racks(&["a", "b"], bound(app("/web", 5), "rack", Operator::GroupBy, "3"));
    assert_eq!(found, spread([("a", 1), ("b", 1)]));
    rig.attach_in(9, "rack", "c");
    assert_eq!(rig.spread("/web", "rack"), spread([("a", 2), ("b", 2), ("c", 1)]));
}

#[test]
fn a_value_where_nothing_fits_holds_up_nobody() {
    // U18: a full agent must not starve the rest.
    let mut rig = Rig::new();
    rig.attach_in(1, "rack", "a");
    rig.attach_in(2, "rack", "b");
    let attributes = [("rack".to_owned(), AttributeValue::Text("full".to_owned()))].into();
    rig.attach_as(3, Inventory { attributes, cpus: Cpus::micro(250_000), ..inventory(3) });
    rig.put(bound(app("/web", 8), "rack", Operator::GroupBy, "-"));
    assert_eq!(rig.spread("/web", "rack"), spread([("a", 3), ("b", 3), ("full", 2)]));
    let told = rig.explain("/web");
    let left_out: Vec<String> = told.left_out.iter().map(ToString::to_string).collect();
    assert_eq!(left_out, ["rack=full, none of its 1 agents takes one more"]);
}

#[test]
fn several_group_by_hold_together() {
    let mut rig = Rig::new();
    let value = |text: &str| AttributeValue::Text(text.to_owned());
    for (number, (zone, rack)) in (1..).zip([("x", "1"), ("x", "2"), ("y", "1"), ("y", "2")]) {
        let attributes =
            [("zone".to_owned(), value(zone)), ("rack".to_owned(), value(rack))].into();
        rig.attach_as(number, Inventory { attributes, ..inventory(number) });
    }
    let spec = bound(app("/web", 8), "zone", Operator::GroupBy, "-");
    rig.put(bound(spec, "rack", Operator::GroupBy, "2"));
    assert_eq!(rig.spread("/web", "zone"), spread([("x", 4), ("y", 4)]));
    assert_eq!(rig.spread("/web", "rack"), spread([("1", 4), ("2", 4)]));
}

#[test]
fn instances_of_the_same_configuration_count_whatever_their_version() {
    // PL-19: scaling makes a version, not a configuration.
    let unique = bound(app("/web", 1), "hostname", Operator::Unique, "-");
    let mut rig = Rig::with_agents(3);
    rig.put(unique.clone());
    rig.run();
    rig.put(Spec { instances: 3, ..unique });
    rig.run();
    assert_eq!(rig.spread("/web", "hostname").len(), 3);
}

#[test]
fn an_upgrade_does_not_stumble_over_what_it_replaces() {
    // PL-19: three hosts, three instances, the default strategy; old ones do not count.
    let mut rig = Rig::with_agents(3);
    let unique = bound(app("/web", 3), "hostname", Operator::Unique, "-");
    rig.put(unique.clone());
    rig.run();
    rig.put(with_cmd(unique.clone(), "sleep 2000"));
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.deployments().len()), (3, 0));
    let one_each = spread([("host-1", 1), ("host-2", 1), ("host-3", 1)]);
    assert_eq!(rig.spread("/web", "hostname"), one_each);
    // Back to what it was before: instances of that very configuration would count again.
    rig.put(unique);
    rig.run();
    assert_eq!((rig.healthy("/web"), rig.spread("/web", "hostname")), (3, one_each));
}

/// Two agents in one rack, an app with one instance to a rack, and the agent that has it is lost.
fn on_a_lost_agent(inactive_seconds: u64) -> (Rig, Spec) {
    let strategy = UnreachableStrategy::After { inactive_seconds, expunge_seconds: 1_000 };
    let spec = Spec { unreachable: strategy, ..app("/web", 1) };
    let spec = bound(spec, "rack", Operator::Unique, "-");
    let (mut rig, _) = on_racks(&["a", "a"], spec.clone());
    rig.run();
    let agent = rig.instances("/web")[0].place.clone().expect("placed").agent;
    rig.tell(Fact::Lost { agent, why: Loss::Silence });
    (rig, spec)
}

#[test]
fn an_unreachable_instance_counts_only_once_it_is_given_up() {
    // PL-19.
    let (mut rig, spec) = on_a_lost_agent(500);
    rig.put(Spec { instances: 2, ..spec });
    assert_eq!(rig.spread("/web", "rack"), spread([("a", 2)]), "the lost one does not count");
    let (mut rig, _) = on_a_lost_agent(5);
    rig.pass(Span::secs(6));
    let waiting = rig.instances("/web").into_iter().filter(Instance::is_scheduled).count();
    assert_eq!(waiting, 1, "its replacement waits, since the inactive one counts");
}

#[test]
fn values_are_those_of_the_launch() {
    // PL-19: the agent's attribute changes, what was placed there keeps its own.
    let unique = bound(app("/web", 1), "rack", Operator::Unique, "-");
    let (mut rig, _) = on_racks(&["a", "a", "b"], unique.clone());
    rig.run();
    let key = rig.instances("/web")[0].place.clone().expect("placed").agent;
    let number = u128::from(key.0);
    let attributes = [("rack".to_owned(), AttributeValue::Text("c".to_owned()))].into();
    rig.attach_as(number, Inventory { attributes, ..inventory(number) });
    rig.put(Spec { instances: 4, ..unique });
    // b and c are free; a is not, although no agent where something is placed has it any more.
    let mut racks: Vec<String> =
        rig.instances("/web").into_iter().filter_map(|one| one.place).map(launched_in).collect();
    racks.sort();
    assert_eq!(racks, ["a", "b", "c"]);
}

fn launched_in(place: Place) -> String {
    let value = place.fields.into_iter().find(|field| &*field.name == "rack");
    value.and_then(|field| field.value).as_deref().unwrap_or_default().to_owned()
}

#[test]
fn placed_instances_without_the_field_are_one_more_group() {
    // PL-21: the only agent loses its attribute after the launch of the first; the launch of it had none.
    let mut rig = Rig::with_agents(1);
    rig.put(app("/web", 1));
    rig.run();
    let world = rig.brain.world();
    let key = world.app(&path("/web")).expect("there").key;
    let index = Index::build(world);
    let current = world.current(world.apps.get(&key).expect("there")).expect("there");
    let row = AppVersion {
        spec: bound(current.spec.clone(), "rack", Operator::GroupBy, "2"),
        ..current.clone()
    };
    let rules = Rules::of(world, &index, key, &row);
    assert_eq!(rules.groups().next().and_then(Rule::spread), Some((1, 2)));
}

proptest! {
    /// GROUP_BY is even wherever there is room, and leaves no instance waiting that has room (PL-21, U18).
    #[test]
    fn group_by_is_even_where_there_is_room(
        rooms in proptest::collection::vec((0_u64..4, 0_usize..4), 1..9),
        wanted in 1_u32..20,
    ) {
        let mut rig = Rig::new();
        for (number, (cpus, rack)) in (1..).zip(&rooms) {
            let rack = AttributeValue::Text(format!("rack-{rack}"));
            let attributes = [("rack".to_owned(), rack)].into();
            rig.attach_as(number, Inventory { attributes, cpus: Cpus::whole(*cpus), ..inventory(number) });
        }
        let mut spec = bound(app("/web", wanted), "rack", Operator::GroupBy, "-");
        spec.containers[0].cpus = Cpus::whole(1);
        rig.put(spec);
        let found = rig.spread("/web", "rack");
        let mut room: BTreeMap<String, usize> = BTreeMap::new();
        for (cpus, rack) in &rooms {
            *room.entry(format!("rack-{rack}")).or_default() += usize::try_from(*cpus).expect("small");
        }
        let placed: usize = found.values().sum();
        prop_assert_eq!(placed, (wanted as usize).min(room.values().sum()));
        let most = found.values().copied().max().unwrap_or(0);
        for (rack, room) in room {
            let count = found.get(&rack).copied().unwrap_or(0);
            prop_assert!(count == room || count + 1 >= most, "{}: {:?}", rack, found);
        }
    }
}
