//! Tests of the catalogue of errors (contract 2, 19.3).

use super::*;
use crate::model::id::TaskRef;
use crate::model::time::Timestamp;
use uuid::Uuid;

fn path(text: &str) -> AppPath {
    AppPath::parse(text).expect("a path")
}

fn deployment() -> DeploymentId {
    DeploymentId(Uuid::from_u128(7))
}

fn shown(reply: &Reply) -> (u16, &str) {
    (reply.status, &reply.body)
}

#[test]
fn bodies_that_are_refused() {
    let missing_comma = Fault::Syntax(SyntaxFault {
        details: "Unexpected character ('\"' (code 34))".into(),
        offset: 86,
        line: 1,
        column: 87,
        near: "…\"redis\" ▶\"instances\"…".into(),
        hint: Some("missing ',' after \"id\"".into()),
    });
    let problems = vec![
        Problem::new("/cpus", "error.expected.jsnumber"),
        Problem::new("/id", "error.pattern"),
        Problem::new("/cpus", "error.min"),
    ];
    let details = r#""details":[{"path":"/cpus","errors":["error.expected.jsnumber","error.min"]},{"path":"/id","errors":["error.pattern"]}]"#;
    for (fault, status, body) in [
        (
            missing_comma,
            400,
            r#"{"message":"Invalid JSON","details":"Unexpected character ('\"' (code 34))","location":{"offset":86,"line":1,"column":87},"near":"…\"redis\" ▶\"instances\"…","hint":"missing ',' after \"id\""}"#
                .to_owned(),
        ),
        (
            Fault::Empty,
            400,
            r#"{"message":"Please specify data in JSON format","details":"No content to map due to end-of-input"}"#
                .to_owned(),
        ),
        (Fault::Type(problems.clone()), 422, format!(r#"{{"message":"Invalid JSON",{details}}}"#)),
        (Fault::Invalid(problems), 422, format!(r#"{{"message":"Object is not valid",{details}}}"#)),
        (Fault::Illegal("no \"x\"".into()), 422, r#"{"message":"no \"x\""}"#.to_owned()),
    ] {
        assert_eq!(shown(&Reply::fault(&fault)), (status, body.as_str()), "{fault:?}");
    }
}

#[test]
fn changes_that_the_core_refuses() {
    let web = || path("/shop/web");
    let id = deployment();
    for (refusal, status, body) in [
        (
            Refusal::Exists { path: web() },
            409,
            r#"{"message":"An app with id [/shop/web] already exists.","hint":"use PUT /v2/apps/shop/web to change it"}"#.to_owned(),
        ),
        (Refusal::NoApp { path: web() }, 404, r#"{"message":"App '/shop/web' does not exist"}"#.to_owned()),
        (
            Refusal::NoDeployment { deployment: id },
            404,
            format!(r#"{{"message":"DeploymentPlan {id} does not exist","details":[]}}"#),
        ),
        (
            Refusal::NotQueued { path: web() },
            404,
            r#"{"message":"Application /shop/web not found in tasks queue.","details":[]}"#.to_owned(),
        ),
        (
            Refusal::Locked { deployments: vec![id] },
            409,
            format!(
                r#"{{"message":"App is locked by one or more deployments. Override with the option '?force=true'. View details at '/v2/deployments/<DEPLOYMENT_ID>'.","deployments":[{{"id":"{id}"}}]}}"#
            ),
        ),
        (
            Refusal::Cycle,
            422,
            r#"{"message":"Object is not valid","details":[{"path":"/","errors":["Dependency graph has cyclic dependencies."]}]}"#.to_owned(),
        ),
        (
            Refusal::AmbiguousGpu {
                member: "/env/NV_GPU".to_owned(),
                wanted: "GPU-1".to_owned(),
                devices: vec!["GPU-11".to_owned(), "GPU-12".to_owned()],
            },
            422,
            r#"{"message":"Object is not valid","details":[{"path":"/env/NV_GPU","errors":["GPU-1 means several GPUs: GPU-11, GPU-12"]}]}"#.to_owned(),
        ),
        (
            Refusal::NoServicePort,
            422,
            r#"{"message":"All ports in the range [10000-20000) are already in use"}"#.to_owned(),
        ),
    ] {
        assert_eq!(shown(&Reply::refused(&refusal)), (status, body.as_str()), "{refusal:?}");
    }
    let many = Reply::refused(&Refusal::TooMany { limit: 3 });
    assert_eq!(many.status, 403);
    assert!(many.body.contains("Max number (3) of running deployments"), "{}", many.body);
    assert!(many.body.contains("cancel oneusing force=true"), "{}", many.body);
    let stale = Reply::refused(&Refusal::Stale);
    assert!(stale.status == 409 && !stale.body.contains("deployments"), "{stale:?}");
}

#[test]
fn who_may_come_back_is_told_when() {
    let reply = Reply::refused(&Refusal::Unavailable { detail: "no leader".into() });
    assert_eq!(shown(&reply), (503, r#"{"message":"no leader"}"#));
    assert_eq!(reply.headers, [("Retry-After", "1".to_owned())]);
}

#[test]
fn reads_list_details_and_changes_do_not() {
    // Contract 2.4.
    let (shop, version) = (path("/shop"), Version(Timestamp::from_millis(0)));
    for (missing, message, details) in [
        (Missing::App(&shop), "App '/shop' does not exist", true),
        (Missing::AppToChange(&shop), "App '/shop' does not exist", false),
        (
            Missing::AppVersion(&shop, version),
            "App '/shop' does not exist in version 1970-01-01T00:00:00.000Z",
            true,
        ),
        (Missing::Group(&shop), "Group '/shop' does not exist", true),
        (Missing::Path(&shop), "Path '/shop' does not exist", false),
        (Missing::Task("a.b"), "Task 'a.b' does not exist", true),
        (Missing::Deployment("x"), "DeploymentPlan x does not exist", true),
        (Missing::Queued(&shop), "Application /shop not found in tasks queue.", true),
        (Missing::Leader, "There is no leader", true),
        (Missing::Plugin("p"), "No plugin with this pluginId: p", true),
    ] {
        let tail = if details { r#","details":[]"# } else { "" };
        let body = format!(r#"{{"message":"{message}"{tail}}}"#);
        assert_eq!(shown(&Reply::missing(&missing)), (404, body.as_str()));
    }
    assert_eq!(shown(&Reply::unknown_route()), (404, r#"{"message":"URI not found"}"#));
}

#[test]
fn texts_that_are_no_task_ids() {
    // Contract 3.3 and 3.7.
    let no_shape = TaskRef::parse("foo").expect_err("no id");
    let no_uuid = TaskRef::parse("foo.bar").expect_err("no id");
    let uuid = (422, r#"{"message":"Invalid UUID string: bar"}"#);
    assert_eq!(
        shown(&Reply::no_task_id("foo", &no_shape)),
        (404, r#"{"message":"Task 'foo' does not exist","details":[]}"#)
    );
    assert_eq!(shown(&Reply::no_task_id("foo.bar", &no_uuid)), uuid);
    assert_eq!(
        shown(&Reply::no_task_id_in_list("foo", &no_shape)),
        (
            400,
            r#"{"message":"Invalid task id 'foo'. [taskId foo no valid identifier (of class java.lang.String)]"}"#
        )
    );
    assert_eq!(shown(&Reply::no_task_id_in_list("foo.bar", &no_uuid)), uuid);
}

#[test]
fn plain_messages() {
    for (reply, status, message) in [
        (Reply::scale_and_wipe(), 400, "You cannot use scale and wipe at the same time."),
        (
            Reply::no_timestamp("x"),
            422,
            "Invalid timestamp provided 'x'. Expecting ISO-8601 datetime string.",
        ),
        (Reply::reason_phrase(405), 405, "Method Not Allowed"),
        (Reply::reason_phrase(406), 406, "Not Acceptable"),
        (Reply::reason_phrase(415), 415, "Unsupported Media Type"),
    ] {
        assert_eq!(shown(&reply), (status, format!(r#"{{"message":"{message}"}}"#).as_str()));
    }
}

#[test]
fn headers_name_the_deployment_and_what_was_odd() {
    let id = deployment();
    let version = Version(Timestamp::from_millis(0));
    let warnings =
        [Warning("coerced /cpus".into()), Warning("unknown /\"mü\"\n taken as mem".into())];
    let reply = Reply::deployed(200, id, version).warned(&[]).warned(&warnings);
    assert_eq!(
        reply.headers,
        [
            ("Marathon-Deployment-Id", id.to_string()),
            ("Warning", r#"299 - "coerced /cpus; unknown /\"m?\"? taken as mem""#.to_owned())
        ]
    );
}
