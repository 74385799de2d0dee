//! Tests of the Task object and of lists of tasks.

use super::*;
use crate::contract::query::Query;
use crate::contract::show::rig::{AGENT, Rig, UUID, found};
use crate::model::condition::Condition;
use crate::model::findings::{CheckResult, Findings};
use serde_json::{Value, json};

fn tasks(rig: &Rig) -> Value {
    serde_json::from_str(&list(&rig.world, rig.app())).expect("JSON")
}

fn running() -> Rig {
    let mut rig = Rig::new();
    rig.instance(1, Condition::Running);
    rig
}

#[test]
fn the_task_of_19_2() {
    let expected = format!(
        r#"[{{"appId":"/web","healthCheckResults":[],"host":"10.0.0.5","id":"web.instance-{UUID}._app.1","ipAddresses":[{{"ipAddress":"10.0.0.5","protocol":"IPv4"}}],"ports":[31412],"servicePorts":[],"slaveId":"{AGENT}","state":"TASK_RUNNING","stagedAt":"2021-07-01T10:00:01.000Z","startedAt":"2021-07-01T10:00:02.250Z","version":"2021-07-01T10:00:00.123Z","localVolumes":[],"region":"aws","zone":"a","role":"*"}}]"#
    );
    let rig = running();
    assert_eq!(list(&rig.world, rig.app()), expected);
}

#[test]
fn times_and_ports_show_while_a_task_is_active_alone() {
    // SD-9, contract 8.1 and 8.3.
    for condition in Condition::ALL {
        let mut rig = Rig::new();
        rig.instance(1, condition);
        let task = &tasks(&rig)[0];
        let active = condition.is_active();
        assert_eq!(task["state"], condition.task_state());
        for key in ["stagedAt", "startedAt", "version"] {
            assert_eq!(task.get(key).is_some(), active, "{key} of {condition:?}");
        }
        assert_eq!(task["ports"], if active { json!([31412]) } else { json!([]) });
    }
    let mut rig = Rig::new();
    rig.instance(1, Condition::Staging);
    rig.change(1, |instance| instance.tasks[0].started_at = None);
    assert_eq!(tasks(&rig)[0].get("startedAt"), None);
}

#[test]
fn what_is_unknown_of_the_agent_is_absent() {
    let mut rig = running();
    rig.change_agent(|agent| agent.inventory.attributes.clear());
    rig.change_agent(|agent| agent.inventory.address = Some("h1.example".to_owned()));
    let task = tasks(&rig)[0].clone();
    assert_eq!((task.get("region"), task.get("zone")), (None, None));
    assert_eq!(task["ipAddresses"], json!([]));
}

#[test]
fn a_tasks_own_addresses_come_before_its_hosts() {
    let mut rig = running();
    let ips = ["172.17.0.2", "fd00::2"].map(|ip| ip.parse().expect("ip"));
    rig.change(1, |instance| instance.tasks[0].ips = ips.to_vec());
    let expected = json!([
        {"ipAddress": "172.17.0.2", "protocol": "IPv4"},
        {"ipAddress": "fd00::2", "protocol": "IPv6"},
    ]);
    assert_eq!(tasks(&rig)[0]["ipAddresses"], expected);
}

#[test]
fn mappings_without_host_port_leave_no_gap() {
    let mut rig = running();
    rig.ports(1, &[None, Some(31_000), None, Some(31_001)]);
    assert_eq!(tasks(&rig)[0]["ports"], json!([31000, 31001]));
}

#[test]
fn an_instance_that_waits_shows_the_task_that_ended() {
    // Contract 8.1: what is no longer placed is still known by the app's last failure.
    let mut rig = Rig::new();
    rig.waiting(2);
    assert_eq!(tasks(&rig), json!([]));
    rig.instance(1, Condition::Failed);
    rig.change(1, |instance| instance.place = None);
    assert_eq!(tasks(&rig)[0]["host"], "");
    assert_eq!(tasks(&rig)[0].get("slaveId"), None);
    rig.fail();
    let task = tasks(&rig)[0].clone();
    assert_eq!(task["state"], "TASK_FAILED");
    assert_eq!((&task["host"], &task["slaveId"]), (&json!("10.0.0.5"), &json!(AGENT)));
    assert_eq!(task["ports"], json!([]));
}

#[test]
fn an_instance_that_is_given_up_is_listed_for_who_killed_it_alone() {
    for (why, listed) in [
        (StopWhy::Killed, true),
        (StopWhy::Surplus, true),
        (StopWhy::Upgrade, true),
        (StopWhy::Removed, true),
        (StopWhy::Unhealthy, true),
        (StopWhy::Overdue, true),
        (StopWhy::Wiped, false),
        (StopWhy::Replaced, false),
    ] {
        let mut rig = running();
        rig.stop(1, why);
        assert_eq!(tasks(&rig).as_array().map(Vec::len), Some(usize::from(listed)), "{why:?}");
        let key = InstanceKey { app: rig.app().key, no: 1 };
        assert!(of_instances(&rig.world, &[key]).starts_with(r#"{"tasks":[{"appId":"/web""#));
        assert!(
            of_instance(&rig.world, key).is_some_and(|text| text.starts_with(r#"{"task":{"a"#))
        );
    }
}

#[test]
fn service_ports_are_in_the_list_of_all_alone() {
    let mut rig = running();
    rig.instance(2, Condition::Staging);
    rig.change_spec(|spec| {
        spec.port_definitions.as_mut().expect("ports")[0].port = 10_007;
    });
    let all = |filter| -> Value {
        let text = of_all(&rig.world, rig.world.live_apps(), filter);
        serde_json::from_str(&text).expect("JSON")
    };
    let both = all(TaskFilter::default());
    assert_eq!(both["tasks"].as_array().map(Vec::len), Some(2));
    assert_eq!(both["tasks"][0]["servicePorts"], json!([10007]));
    let staging = all(TaskFilter { staging: true, running: false });
    assert_eq!(staging["tasks"].as_array().map(Vec::len), Some(1));
    assert_eq!(staging["tasks"][0]["state"], "TASK_STAGING");
    let apps: Value = serde_json::from_str(&of_apps(&rig.world, [rig.app()])).expect("JSON");
    assert_eq!(apps["tasks"][1]["servicePorts"], json!([]));
    assert_eq!(of_all(&rig.world, [], TaskFilter::default()), r#"{"tasks":[]}"#);
}

#[test]
fn a_task_has_no_key_that_a_strict_client_does_not_know() {
    // Contract 18.3.
    let known = "appId healthCheckResults host id ports servicePorts slaveId stagedAt startedAt version ipAddresses \
                 state localVolumes region zone role";
    let rig = running();
    for key in tasks(&rig)[0].as_object().expect("an object").keys() {
        assert!(known.split_whitespace().any(|name| name == key), "{key}");
    }
}

#[test]
fn a_status_must_be_the_very_condition() {
    // SD-9.
    let mut rig = Rig::new();
    let taken = |rig: &mut Rig, text: &str, condition| {
        rig.instance(1, condition);
        let instance = rig.world.instances_of(rig.app().key).next().expect("an instance");
        Query::parse(text).task_filter().takes(instance)
    };
    for condition in Condition::ALL {
        let running = condition == Condition::Running;
        let staging = condition == Condition::Staging;
        assert!(taken(&mut rig, "", condition));
        assert!(taken(&mut rig, "status=odd", condition));
        assert_eq!(taken(&mut rig, "status=running", condition), running);
        assert_eq!(taken(&mut rig, "status[]=staging&status=odd", condition), staging);
        let either = "status=running&status%5B%5D=staging";
        assert_eq!(taken(&mut rig, either, condition), running || staging);
    }
}

/// HC-10, contract 8.2: one entry a check, none before its first result.
#[test]
fn what_checks_have_found() {
    let mut rig = running();
    for (alive, expected) in [
        (None, json!([])),
        (
            Some(true),
            json!([{"alive": true, "consecutiveFailures": 0, "firstSuccess": "2021-07-01T10:00:03.000Z",
                "lastSuccess": "2021-07-01T10:00:03.000Z",
                "instanceId": format!("instance [web.instance-{UUID}]")}]),
        ),
        (
            Some(false),
            json!([{"alive": false, "consecutiveFailures": 1, "firstSuccess": "2021-07-01T10:00:03.000Z",
                "lastSuccess": "2021-07-01T10:00:03.000Z", "lastFailure": "2021-07-01T10:00:04.000Z",
                "lastFailureCause": "HTTP status 503",
                "instanceId": format!("instance [web.instance-{UUID}]")}]),
        ),
    ] {
        rig.change(1, |instance| instance.tasks[0].findings = Some(Box::new(found(alive))));
        let task = tasks(&rig)[0].clone();
        assert_eq!((&task["healthCheckResults"], task.get("checkResult")), (&expected, None));
    }
}

/// HC-15, contract 8.1: the result of a plain check, once there is one.
#[test]
fn what_a_plain_check_has_found() {
    let mut rig = running();
    for (result, expected) in [
        (CheckResult::Http(503), json!({"http": {"statusCode": 503}})),
        (CheckResult::Tcp(false), json!({"tcp": {"succeeded": false}})),
        (CheckResult::Command(3), json!({"command": {"exitCode": 3}})),
    ] {
        let findings = Findings { check: Some(result), ..Findings::default() };
        rig.change(1, |instance| instance.tasks[0].findings = Some(Box::new(findings)));
        assert_eq!(tasks(&rig)[0]["checkResult"], expected);
    }
}
