//! Golden texts of events: fields, their order and formats as contract 11.2 to 11.4 and 19.5 have them.

use serde_json::Value;

use super::{Notice, Plans, frame, name, notice, write};
use crate::contract::show::rig::{AGENT, DEPLOYMENT, Rig, UUID, at, spec, stored};
use crate::model::check::{HealthCheck, HealthProtocol};
use crate::model::condition::Condition;
use crate::model::event::{Event, EventId, Plan, PlanAction, PlanStep, StatusUpdate};
use crate::model::id::{APP_TASK, AgentId, AppKey, CommitNo, Incarnation, InstanceId, Version};
use crate::model::path::AppPath;

const VERSION: &str = "2021-07-01T10:00:00.123Z";
const TAIL: &str = r#""timestamp":"2021-07-01T10:00:09.001Z"}"#;

fn line(event: &Event, plans: Plans) -> String {
    let mut out = String::new();
    write(&mut out, event, at(9_001), None, plans);
    assert!(!out.contains(['\n', '\r']), "one line: {out}");
    let value: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(value["eventType"], name(event), "11.1");
    out
}

fn light(event: &Event) -> String {
    line(event, Plans::Light)
}

fn path(text: &str) -> AppPath {
    AppPath::parse(text).expect("a path")
}

fn instance() -> InstanceId {
    InstanceId(UUID.parse().expect("a UUID"))
}

fn agent() -> (AgentId, String) {
    (AgentId(AGENT.parse().expect("a UUID")), "10.0.0.5".to_owned())
}

fn version() -> Version {
    Version(at(123))
}

fn plan() -> Plan {
    let start = vec![(PlanAction::Start, path("/x"))];
    let scale = vec![(PlanAction::Scale, path("/x")), (PlanAction::Restart, path("/y"))];
    Plan { id: Rig::deployment_id(), version: version(), steps: vec![start, scale] }
}

const STEPS: &str = r#""steps":[{"actions":[{"action":"StartApplication","app":"/x"}]},{"actions":[{"action":"ScaleApplication","app":"/x"},{"action":"RestartApplication","app":"/y"}]}]"#;

/// 11.2 `status_update_event`: `message` is empty if there is none, `ipAddresses` and `ports` are always there.
#[test]
fn a_status_update() {
    let mut update = StatusUpdate {
        instance: instance(),
        task: APP_TASK.into(),
        incarnation: Incarnation(2),
        path: path("/a/b"),
        version: version(),
        condition: Condition::Running,
        message: String::new(),
        agent: Some(agent()),
        ips: vec!["10.0.0.5".parse().expect("v4"), "fe80::1".parse().expect("v6")],
        ports: vec![31_412, 31_413],
    };
    assert_eq!(
        light(&Event::Status(update.clone())),
        format!(
            r#"{{"slaveId":"{AGENT}","taskId":"a_b.instance-{UUID}._app.2","taskStatus":"TASK_RUNNING","message":"","appId":"/a/b","host":"10.0.0.5","ipAddresses":[{{"ipAddress":"10.0.0.5","protocol":"IPv4"}},{{"ipAddress":"fe80::1","protocol":"IPv6"}}],"ports":[31412,31413],"version":"{VERSION}","eventType":"status_update_event",{TAIL}"#
        )
    );
    update.condition = Condition::Failed;
    update.message = "exit\n\"1\"".to_owned();
    (update.ips, update.ports, update.agent) = (Vec::new(), Vec::new(), None);
    assert_eq!(
        light(&Event::Status(update)),
        format!(
            r#"{{"slaveId":"","taskId":"a_b.instance-{UUID}._app.2","taskStatus":"TASK_FAILED","message":"exit\n\"1\"","appId":"/a/b","host":"","ipAddresses":[],"ports":[],"version":"{VERSION}","eventType":"status_update_event",{TAIL}"#
        )
    );
}

/// 11.2 `instance_changed_event`: no agent is an explicit null; no task is `Scheduled`.
#[test]
fn a_changed_instance() {
    let changed = |condition, agent| Event::InstanceChanged {
        instance: instance(),
        path: path("/web"),
        version: version(),
        condition,
        agent,
    };
    assert_eq!(
        light(&changed(Some(Condition::UnreachableInactive), Some(agent()))),
        format!(
            r#"{{"instanceId":"web.instance-{UUID}","condition":"UnreachableInactive","runSpecId":"/web","agentId":"{AGENT}","host":"10.0.0.5","runSpecVersion":"{VERSION}","eventType":"instance_changed_event",{TAIL}"#
        )
    );
    assert_eq!(
        light(&changed(None, None)),
        format!(
            r#"{{"instanceId":"web.instance-{UUID}","condition":"Scheduled","runSpecId":"/web","agentId":null,"host":null,"runSpecVersion":"{VERSION}","eventType":"instance_changed_event",{TAIL}"#
        )
    );
}

/// 11.2 `instance_health_changed_event`, `unknown_instance_terminated_event`, `app_terminated_event`.
#[test]
fn health_strangers_and_ends() {
    let health = |healthy| Event::HealthChanged {
        instance: instance(),
        path: path("/web"),
        version: version(),
        healthy,
    };
    for (healthy, text) in [(Some(true), "true"), (Some(false), "false"), (None, "null")] {
        assert_eq!(
            light(&health(healthy)),
            format!(
                r#"{{"instanceId":"web.instance-{UUID}","runSpecId":"/web","healthy":{text},"runSpecVersion":"{VERSION}","eventType":"instance_health_changed_event",{TAIL}"#
            )
        );
    }
    let condition = Condition::Failed;
    let stranger = Event::UnknownTerminated { instance: instance(), path: path("/web"), condition };
    assert_eq!(
        light(&stranger),
        format!(
            r#"{{"instanceId":"web.instance-{UUID}","runSpecId":"/web","condition":"Failed","eventType":"unknown_instance_terminated_event",{TAIL}"#
        )
    );
    assert_eq!(
        light(&Event::AppTerminated { path: path("/web") }),
        format!(r#"{{"appId":"/web","eventType":"app_terminated_event",{TAIL}"#)
    );
}

/// What Marathon does not know.
#[test]
fn agents_and_the_brake() {
    let (agent, host) = agent();
    let cases = [
        (
            Event::AgentLost { agent, host: host.clone(), instances: 2 },
            format!(
                r#""agentId":"{AGENT}","host":"10.0.0.5","instances":2,"eventType":"agent_lost_event""#
            ),
        ),
        (
            Event::AgentReturned { agent, host },
            format!(r#""agentId":"{AGENT}","host":"10.0.0.5","eventType":"agent_returned_event""#),
        ),
        (
            Event::BrakeHeld { lost: 3, agents: 8 },
            r#""lost":3,"agents":8,"eventType":"brake_held_event""#.to_owned(),
        ),
        (
            Event::BrakeReleased { by_operator: true },
            r#""reason":"an operator released it","eventType":"brake_released_event""#.to_owned(),
        ),
        (
            Event::BrakeReleased { by_operator: false },
            r#""reason":"enough agents are back","eventType":"brake_released_event""#.to_owned(),
        ),
    ];
    for (event, text) in cases {
        assert_eq!(light(&event), format!("{{{text},{TAIL}"));
        assert!(event.is_ours());
    }
}

/// 11.2 `group_change_success`, `group_change_failed`.
#[test]
fn changes_of_groups() {
    let (group, version) = (path("/shop"), version());
    assert_eq!(
        light(&Event::GroupChanged { group: group.clone(), version }),
        format!(
            r#"{{"groupId":"/shop","version":"{VERSION}","eventType":"group_change_success",{TAIL}"#
        )
    );
    assert_eq!(
        light(&Event::GroupChangeFailed { group, version, reason: "locked".to_owned() }),
        format!(
            r#"{{"groupId":"/shop","version":"{VERSION}","reason":"locked","eventType":"group_change_failed",{TAIL}"#
        )
    );
}

/// 11.4 and 19.5: the light form has ids alone.
#[test]
fn light_plans() {
    let plan_text = format!(r#""plan":{{"id":"{DEPLOYMENT}",{STEPS},"version":"{VERSION}"}}"#);
    let second = r#""currentStep":{"actions":[{"action":"ScaleApplication","app":"/x"},{"action":"RestartApplication","app":"/y"}]}"#;
    let step = PlanStep { plan: plan(), step: 1 };
    assert_eq!(
        light(&Event::StepBegan(step.clone())),
        format!(r#"{{{plan_text},{second},"eventType":"deployment_info",{TAIL}"#)
    );
    assert_eq!(
        light(&Event::StepDone(step)),
        format!(r#"{{{plan_text},{second},"eventType":"deployment_step_success",{TAIL}"#)
    );
    assert_eq!(
        light(&Event::DeploymentDone(plan())),
        format!(r#"{{"id":"{DEPLOYMENT}",{plan_text},"eventType":"deployment_success",{TAIL}"#)
    );
    let reason = "The upgrade has been cancelled".to_owned();
    assert_eq!(
        light(&Event::DeploymentFailed { plan: plan(), reason }),
        format!(
            r#"{{"id":"{DEPLOYMENT}",{plan_text},"reason":"The upgrade has been cancelled","eventType":"deployment_failed",{TAIL}"#
        )
    );
}

/// 11.4: without `plan-format=light` there are `original` and `target`, as objects with what marathon-python indexes.
#[test]
fn heavy_plans() {
    let text = line(&Event::DeploymentDone(plan()), Plans::Heavy);
    let group =
        format!(r#"{{"id":"/","apps":[],"groups":[],"dependencies":[],"version":"{VERSION}"}}"#);
    assert_eq!(
        text,
        format!(
            r#"{{"id":"{DEPLOYMENT}","plan":{{"id":"{DEPLOYMENT}","original":{group},"target":{group},{STEPS},"version":"{VERSION}"}},"eventType":"deployment_success",{TAIL}"#
        )
    );
}

fn post(submitted: Option<Vec<u16>>) -> Event {
    Event::ApiPost {
        client: "10.0.0.9".to_owned(),
        uri: "/v2/apps".to_owned(),
        app: AppKey(1),
        path: path("/web"),
        version: version(),
        submitted,
    }
}

fn definition(event: &Event) -> Value {
    let mut row = stored(spec("/web"));
    row.spec.port_definitions.iter_mut().flatten().for_each(|port| port.port = 10_004);
    let mut out = String::new();
    write(&mut out, event, at(9_001), Some(&row), Plans::Light);
    let begins = r#"{"clientIp":"10.0.0.9","uri":"/v2/apps","appDefinition":{"id":"/web","#;
    assert!(out.starts_with(begins), "{out}");
    assert!(out.ends_with(&format!(r#"}},"eventType":"api_post_event",{TAIL}"#)), "{out}");
    serde_json::from_str::<Value>(&out).expect("JSON")["appDefinition"].take()
}

/// 11.2 `api_post_event`: a PUT shows what is stored, a POST what was submitted; 18.29: doubles without `.0`.
#[test]
fn a_posted_definition() {
    let stored = definition(&post(None));
    assert_eq!(stored["portDefinitions"][0]["port"], 10_004);
    assert_eq!(stored["versionInfo"]["lastScalingAt"], VERSION);
    assert_eq!(stored["mem"].to_string(), "32");
    let submitted = definition(&post(Some(vec![0])));
    assert_eq!(submitted["portDefinitions"][0]["port"], 0);
    assert!(submitted.get("versionInfo").is_none());
    assert_eq!(submitted["version"], VERSION);
    // Of a definition that is gone the id is left.
    let gone: Value = serde_json::from_str(&light(&post(None))).expect("JSON");
    assert_eq!(gone["appDefinition"], serde_json::json!({"id": "/web"}));
}

/// 11.1 framing with the id that Marathon lacks.
#[test]
fn frames() {
    let mut out = String::new();
    let id = EventId { commit: CommitNo(12), index: 3 };
    frame(&mut out, Some(id), "x", |out| out.push_str("{}"));
    assert_eq!(out, "id: 12.3\r\nevent: x\r\ndata: {}\r\n\r\n");
    let mut shown = |given: Notice| {
        out.clear();
        notice(&mut out, None, &given, at(9_001));
        out.clone()
    };
    let remote = "10.0.0.9".to_owned();
    assert_eq!(
        shown(Notice::Attached { remote }),
        format!(
            "event: event_stream_attached\r\ndata: {{\"remoteAddress\":\"10.0.0.9\",\"eventType\":\"event_stream_attached\",{TAIL}\r\n\r\n"
        )
    );
    let gap = Notice::Gap { last: "a\nb".to_owned(), reason: "unknown", next: Some(id) };
    let gap = shown(gap);
    assert!(
        gap.contains(r#""lastEventId":"a\nb","reason":"unknown","nextEventId":"12.3""#),
        "{gap}"
    );
    assert!(shown(Notice::Overflow { last: id }).contains(r#"{"lastEventId":"12.3","#));
}

/// 11.2: the events of checks, HC-6, HC-7, HC-12, and of the brake on kills.
#[test]
fn what_checks_say() {
    let (instance, path, version) = (instance(), path("/web"), version());
    let check = Box::new(HealthCheck {
        protocol: HealthProtocol::Tcp,
        path: None,
        port: None,
        port_index: Some(0),
        command: None,
        grace_period_seconds: 300,
        interval_seconds: 60,
        timeout_seconds: 20,
        max_consecutive_failures: 3,
        ignore_http_1xx: false,
        ipv6: false,
        delay_seconds: 15,
    });
    assert_eq!(
        light(&Event::CheckFailed { instance, path: path.clone(), check }),
        format!(
            r#"{{"appId":"/web","taskId":"web.instance-{UUID}","healthCheck":{{"gracePeriodSeconds":300,"intervalSeconds":60,"maxConsecutiveFailures":3,"portIndex":0,"protocol":"TCP","ipProtocol":"IPv4","timeoutSeconds":20,"delaySeconds":15}},"eventType":"failed_health_check_event",{TAIL}"#
        )
    );
    assert_eq!(
        light(&Event::AliveChanged { instance, path: path.clone(), version, alive: false }),
        format!(
            r#"{{"appId":"/web","instanceId":"web.instance-{UUID}","version":"{VERSION}","alive":false,"eventType":"health_status_changed_event",{TAIL}"#
        )
    );
    let kill = Event::UnhealthyKill {
        instance,
        task: "_app".into(),
        incarnation: Incarnation(2),
        path: path.clone(),
        version,
        reason: "HTTP status 503".to_owned(),
        agent: Some(agent()),
    };
    assert_eq!(
        light(&kill),
        format!(
            r#"{{"appId":"/web","taskId":"web.instance-{UUID}._app.2","instanceId":"web.instance-{UUID}","version":"{VERSION}","reason":"HTTP status 503","host":"10.0.0.5","slaveId":"{AGENT}","eventType":"unhealthy_instance_kill_event",{TAIL}"#
        )
    );
    assert_eq!(
        light(&Event::HealthBrake { path, held: true, unhealthy: 4, instances: 10 }),
        format!(
            r#"{{"appId":"/web","held":true,"unhealthy":4,"instances":10,"eventType":"health_brake_event",{TAIL}"#
        )
    );
}
