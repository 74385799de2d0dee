//! What asks for a deploy, its faults and their places, and what Prometheus says.

use serde_json::{Value, json};

use super::{Asked, read, read_within, values};
use crate::contract::app::read_app;
use crate::contract::fault::{Fault, Options, Problem, Read};
use crate::model::colour::{ALT_PORT, GROUP};
use crate::model::deploy::{Amount, Measure, Strategy};
use crate::model::deployment::OnFailure;
use crate::model::path::AppPath;
use crate::model::spec::Spec;
use crate::model::time::Span;
use crate::model::unit::Ratio;

fn options() -> Options {
    Options { default_role: "*".to_owned(), ..Options::default() }
}

fn app(value: &Value) -> Result<Read<Spec>, Fault> {
    read_app(value, &AppPath::root(), &options())
}

fn asked(value: &Value) -> Result<(Asked, Read<Spec>), Fault> {
    read(value, &options(), app)
}

fn body(more: Value) -> Value {
    let mut body = json!({"app": {"id": "/web", "cmd": "sleep 1"}, "strategy": "canary"});
    let Value::Object(more) = more else { panic!("members: {more}") };
    body.as_object_mut().expect("written above").extend(more);
    body
}

fn told(fault: Fault) -> Vec<String> {
    match fault {
        Fault::Type(problems) | Fault::Invalid(problems) => {
            problems.into_iter().map(|Problem { path, .. }| path).collect()
        }
        other @ (Fault::Syntax(_) | Fault::Empty | Fault::Illegal(_)) => panic!("{other:?}"),
    }
}

#[test]
fn what_is_not_said_has_its_default() {
    let (canary, read) = asked(&body(json!({}))).expect("fine");
    let percent = |share: u64| Amount::Share(Ratio::micro(share * 10_000));
    assert_eq!(canary.plan.steps, [percent(5), percent(25), percent(100)]);
    assert_eq!(canary.plan.hold, Span::secs(60));
    assert_eq!(canary.plan.deadline, Span::secs(600));
    assert_eq!((canary.plan.max_failures, canary.plan.on_failure), (0, OnFailure::Rollback));
    assert!(!canary.counted);
    assert_eq!(read.value.path.as_str(), "/web");
    assert_eq!(canary.warnings.len(), 1, "no load balancer follows");

    let (blue, _) = asked(&body(json!({"strategy": "blue-green"}))).expect("fine");
    assert_eq!(blue.plan.steps, [Amount::Count(1), percent(50), percent(100)]);
    assert_eq!(blue.plan.hold, Span::ZERO);
    let (rolling, _) = asked(&body(json!({"strategy": "rolling"}))).expect("fine");
    assert_eq!((rolling.plan.strategy, rolling.warnings), (Strategy::Rolling, vec![]));
}

#[test]
fn steps_and_times_have_several_forms() {
    let (asked, _) = asked(&body(json!({
        "steps": [1, "2", "12.5%", "100%"], "hold": "5m", "deadlineSeconds": 30, "maxFailures": 2, "onFailure": "pause",
        "app": {"id": "/web", "cmd": "sleep 1", "instances": 4},
    })))
    .expect("fine");
    let share = |micro| Amount::Share(Ratio::micro(micro));
    assert_eq!(
        asked.plan.steps,
        [Amount::Count(1), Amount::Count(2), share(125_000), share(1_000_000)]
    );
    assert_eq!((asked.plan.hold, asked.plan.deadline), (Span::secs(300), Span::secs(30)));
    assert!(asked.counted);
    for (hold, seconds) in
        [(json!(90), 90), (json!("90s"), 90), (json!("90"), 90), (json!("1h"), 3_600)]
    {
        let (asked, _) = super::read(&body(json!({"hold": hold})), &options(), app).expect("fine");
        assert_eq!(asked.plan.hold, Span::secs(seconds));
    }
}

#[test]
fn every_fault_of_type_is_told_with_its_place() {
    let fault = asked(&json!({
        "app": {"id": "/web", "cmd": "sleep 1", "mem": "much"},
        "strategy": "yolo",
        "steps": ["5%", "many", 0, "101%", -1, true],
        "hold": "soon",
        "analysis": {"query": 5, "max": "a lot"},
        "deadlineSeconds": 0,
        "onFailure": "pray",
    }))
    .expect_err("nothing fits");
    let mut places = told(fault);
    places.sort();
    let mut expected = vec![
        "/strategy",
        "/steps(1)",
        "/steps(2)",
        "/steps(3)",
        "/steps(4)",
        "/steps(5)",
        "/hold",
        "/analysis/prometheus",
        "/analysis/query",
        "/analysis/max",
        "/deadlineSeconds",
        "/onFailure",
        "/app/mem",
    ];
    expected.sort_unstable();
    assert_eq!(places, expected);
    assert_eq!(told(asked(&json!({})).expect_err("nothing")), ["/app", "/strategy"]);
    assert!(matches!(asked(&json!([])), Err(Fault::Type(_))));
}

#[test]
fn every_broken_rule_is_told_with_its_place() {
    let fault = asked(&body(json!({
        "app": {"id": "/web", "cmd": "sleep 1", "labels": {GROUP: "web", ALT_PORT: "none"}, "container": {"type": "DOCKER"}},
        "steps": ["25%", "25%", "10%"],
        "analysis": {"prometheus": "ftp://p", "query": "up"},
    })))
    .expect_err("rules are broken");
    let places = told(fault);
    for place in ["/steps(1)", "/steps(2)", "/analysis", "/analysis/prometheus"] {
        assert!(places.iter().any(|it| it == place), "{place} in {places:?}");
    }
    assert!(places.iter().any(|it| it.starts_with("/app/")), "the app's too: {places:?}");

    let labels = |labels: Value| {
        let app = json!({"id": "/web", "cmd": "sleep 1", "labels": labels});
        asked(&body(json!({"app": app})))
    };
    let port = format!("/app/labels/{ALT_PORT}");
    assert_eq!(told(labels(json!({GROUP: "web"})).expect_err("no port")), [&*port]);
    let bad = labels(json!({GROUP: "web", ALT_PORT: "70000"})).expect_err("no port");
    assert_eq!(told(bad), [&*port]);
    let (fine, _) = labels(json!({GROUP: "web", ALT_PORT: "10001"})).expect("fine");
    assert_eq!(fine.warnings, []);
    let rolling = body(json!({"strategy": "rolling", "steps": ["100%"]}));
    assert_eq!(told(asked(&rolling).expect_err("one step")), ["/steps"]);
    let bounds = json!({"prometheus": "http://p", "query": "up", "min": 2, "max": 1});
    let bounds = body(json!({"analysis": bounds}));
    assert_eq!(told(asked(&bounds).expect_err("the wrong way")), ["/analysis/min"]);
}

#[test]
fn an_id_too_long_for_a_colour_is_refused() {
    let id = format!("/{}", "a".repeat(252));
    let long = body(json!({"app": {"id": id, "cmd": "sleep 1"}}));
    assert_eq!(told(asked(&long).expect_err("too long")), ["/app/id"]);
    let rolling = json!({"app": {"id": id, "cmd": "sleep 1"}, "strategy": "rolling"});
    assert!(asked(&rolling).is_ok());
}

#[test]
fn a_deploy_within_an_app_is_the_same() {
    let value = json!({"id": "/web", "cmd": "sleep 1", "instances": 3,
        "deploy": {"strategy": "canary", "hold": 5, "stesp": []}});
    let (asked, read) = read_within(&value, &options(), app).expect("fine");
    assert_eq!((asked.plan.hold, asked.counted, read.value.instances), (Span::secs(5), true, 3));
    assert!(asked.warnings[0].0.contains("did you mean \"steps\"?"), "{:?}", asked.warnings);
    let wrong = json!({"id": "/web", "cmd": "sleep 1", "mem": [], "deploy": {"strategy": 1}});
    let fault = read_within(&wrong, &options(), app).expect_err("wrong");
    assert_eq!(told(fault), ["/deploy/strategy", "/mem"]);
    let none = json!({"id": "/web", "cmd": "sleep 1", "deploy": 5});
    assert_eq!(told(read_within(&none, &options(), app).expect_err("no object")), ["/deploy"]);
}

/// Where it cannot be carried out it is never ignored.
#[test]
fn a_deploy_among_many_apps_is_refused() {
    let value = json!({"id": "/web", "cmd": "sleep 1", "deploy": {"strategy": "canary"}});
    assert_eq!(told(app(&value).expect_err("one at a time")), ["/deploy"]);
}

#[test]
fn prometheus_answers_are_read() {
    let vector = |samples: &str| {
        let text = format!(
            r#"{{"status":"success","data":{{"resultType":"vector","result":[{samples}]}}}}"#
        );
        values(text.as_bytes())
    };
    assert_eq!(vector(""), Ok(vec![]));
    assert_eq!(
        vector(r#"{"metric":{},"value":[1,"0.02"]},{"metric":{},"value":[1,"NaN"]}"#),
        Ok(vec![Measure(20_000)])
    );
    assert_eq!(vector(r#"{"metric":{},"value":[1,"+Inf"]}"#), Ok(vec![Measure(i64::MAX)]));
    assert_eq!(vector(r#"{"metric":{},"value":[1,"-1e-3"]}"#), Ok(vec![Measure(-1_000)]));
    assert!(vector(r#"{"metric":{},"value":[1,"much"]}"#).is_err());
    let scalar = br#"{"status":"success","data":{"resultType":"scalar","result":[1,"5"]}}"#;
    assert_eq!(values(scalar), Ok(vec![Measure(5_000_000)]));
    let refused = br#"{"status":"error","errorType":"bad_data","error":"parse error at char 1"}"#;
    assert_eq!(values(refused), Err("parse error at char 1".to_owned()));
    assert!(values(b"<html>").is_err());
    assert!(values(b"{}").is_err());
    let matrix = br#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    assert!(values(matrix).is_err());
}
