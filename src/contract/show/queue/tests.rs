//! Tests of the queue's items.

use super::*;
use crate::contract::show::rig::{Rig, at};
use crate::model::instance::StopWhy;
use serde_json::{Value, json};

fn shown(rig: &Rig, now: Timestamp) -> Option<Value> {
    shown_with(rig, None::<[UnusedOffer<'_>; 0]>, now)
}

fn shown_with<'a>(
    rig: &Rig,
    unused: Option<impl IntoIterator<Item = UnusedOffer<'a>>>,
    now: Timestamp,
) -> Option<Value> {
    let text = item(&rig.view(), rig.app(), r#"{"id":"/web"}"#, unused, now)?;
    Some(serde_json::from_str(&text).expect("JSON"))
}

#[test]
fn waiting_and_unconfirmed_instances_make_an_item_and_nothing_else_does() {
    let mut rig = Rig::new();
    assert_eq!(shown(&rig, at(0)), None);
    rig.instance(1, Condition::Running);
    rig.instance(2, Condition::Staging);
    rig.instance(3, Condition::Provisioned);
    rig.stop(3, StopWhy::Surplus);
    rig.backoff(5, 300);
    assert_eq!(shown(&rig, at(0)), None);
    rig.waiting(4);
    rig.instance(5, Condition::Failed);
    rig.instance(6, Condition::Provisioned);
    rig.change(4, |instance| instance.since = at(-7_000));
    let item = shown(&rig, at(0)).expect("an item");
    assert_eq!(item["count"], 3);
    assert_eq!(item["since"], "2021-07-01T09:59:53.000Z");
    assert_eq!(item["app"], json!({"id": "/web"}));
    assert_eq!(item.get("lastUnusedOffers"), None);
}

#[test]
fn the_role_shows_when_it_says_something() {
    let mut rig = Rig::new();
    rig.waiting(1);
    assert_eq!(shown(&rig, at(0)).expect("an item").get("role"), None);
    rig.change_spec(|spec| spec.role = "prod".into());
    assert_eq!(shown(&rig, at(0)).expect("an item")["role"], "prod");
}

#[test]
fn a_delay_counts_down_and_is_overdue_a_second_after_it_is_due() {
    // BO-9.
    let mut rig = Rig::new();
    rig.waiting(1);
    let delay = |rig: &Rig, now| shown(rig, at(now)).expect("an item")["delay"].clone();
    assert_eq!(delay(&rig, 0), json!({"timeLeftSeconds": 0, "overdue": true}));
    rig.backoff(5, 300);
    for (now, left, overdue) in [
        (0, 5, false),
        (1, 4, false),
        (4_500, 0, false),
        (5_000, 0, false),
        (5_999, 0, false),
        (6_000, 0, true),
        (400_000, 0, true),
    ] {
        let expected = json!({"timeLeftSeconds": left, "overdue": overdue});
        assert_eq!(delay(&rig, now), expected, "{now}");
    }
    // The delay of another configuration is not this one's.
    rig.change_app(|app| app.backoffs[0].config = Version(at(-1)));
    assert_eq!(delay(&rig, 0), json!({"timeLeftSeconds": 0, "overdue": true}));
}

#[test]
fn both_funnels_have_ten_rows_that_add_up() {
    // OM-8.
    let mut rig = Rig::new();
    rig.waiting(1);
    let summary = shown(&rig, at(0)).expect("an item")["processedOffersSummary"].clone();
    assert_eq!(summary["processedOffersCount"], 0);
    assert_eq!(summary["rejectSummaryLastOffers"].as_array().map(Vec::len), Some(10));
    assert_eq!(summary.get("lastUnusedOfferAt"), None);
    assert_eq!(summary.get("lastUsedOfferAt"), None);
    rig.verdict(Verdict { tried: Some((at(3_000), 4)), ..Verdict::default() });
    let taken = shown(&rig, at(0)).expect("an item")["processedOffersSummary"].clone();
    assert_eq!(taken.get("lastUnusedOfferAt"), None);
    rig.verdict(Verdict {
        tried: Some((at(3_000), 4)),
        refused: [0, 1, 0, 0, 2, 0, 0, 0, 0, 0],
        processed: 20,
        refused_in_all: [0, 5, 0, 0, 10, 0, 0, 0, 1, 0],
        placed: Some(at(2_000)),
        ..Verdict::default()
    });
    let summary = shown(&rig, at(0)).expect("an item")["processedOffersSummary"].clone();
    assert_eq!(summary["processedOffersCount"], 20);
    assert_eq!(summary["unusedOffersCount"], 16);
    assert_eq!(summary["lastUnusedOfferAt"], "2021-07-01T10:00:03.000Z");
    assert_eq!(summary["lastUsedOfferAt"], "2021-07-01T10:00:02.000Z");
    let column = |list: &str, key: &str| -> Vec<u64> {
        let rows = summary[list].as_array().expect("a list");
        rows.iter().map(|row| row[key].as_u64().expect("a number")).collect()
    };
    assert_eq!(column("rejectSummaryLastOffers", "processed"), [3, 3, 2, 2, 2, 0, 0, 0, 0, 0]);
    let attempt = "rejectSummaryLaunchAttempt";
    assert_eq!(column(attempt, "declined"), [0, 5, 0, 0, 10, 0, 0, 0, 1, 0]);
    assert_eq!(column(attempt, "processed"), [20, 20, 15, 15, 15, 5, 5, 5, 5, 4]);
    assert_eq!(summary[attempt][4]["reason"], "InsufficientCpus");
}

#[test]
fn an_unused_offer_tells_what_the_agent_has_and_all_reasons_once() {
    // OM-9.
    let mut rig = Rig::new();
    rig.waiting(1);
    rig.attribute("load", AttributeValue::Scalar(-1_250));
    rig.attribute("disks", AttributeValue::Set(["a".to_owned(), "b".to_owned()].into()));
    rig.attribute("slots", AttributeValue::Ranges(vec![(1, 4)]));
    let agent = rig.agent();
    let free = Free {
        cpus: Cpus::micro(500_000),
        mem: Mem::whole(64),
        ports: vec![PortRange { first: 31_000, last: 32_000 }],
        ..Free::default()
    };
    let reasons = vec![
        Reason::Ports { wanted: 2, free: 0 },
        Reason::AgentDraining,
        Reason::Policy { what: "privileged".into() },
    ];
    let unused = UnusedOffer { agent, free, reasons, at: at(1_000) };
    let item = shown_with(&rig, Some([unused]), at(0)).expect("an item");
    let entry = &item["lastUnusedOffers"][0];
    // PL-24: ports are told to people, and to Marathon's clients only when they are all that is missing.
    assert_eq!(entry["reason"], json!(["UnfulfilledConstraint", "AgentMaintenance"]));
    assert_eq!(entry["details"][0], "needs 2 ports, 0 free");
    assert_eq!(entry["timestamp"], "2021-07-01T10:00:01.000Z");
    let offer = &entry["offer"];
    assert_eq!(offer["hostname"], "10.0.0.5");
    assert_eq!(offer["resources"][0], json!({"name": "cpus", "role": "*", "scalar": 0.5}));
    let ports = json!({"name": "ports", "role": "*", "ranges": [{"begin": 31000, "end": 32000}]});
    assert_eq!(offer["resources"][4], ports);
    assert_eq!(
        offer["attributes"],
        json!([
            {"name": "disks", "set": ["a", "b"]},
            {"name": "load", "scalar": -1.25},
            {"name": "region", "text": "aws"},
            {"name": "slots", "ranges": [{"begin": 1, "end": 4}]},
            {"name": "zone", "text": "a"},
        ])
    );
}
