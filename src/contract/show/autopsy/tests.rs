//! Chains of causes, and what is said of evidence.

use super::*;
use crate::contract::show::rig::Rig;
use crate::model::autopsy::{AutopsyKey, During, Locus};
use crate::model::condition::Condition;
use crate::model::event::PlanAction;
use crate::model::evidence::Stopped;
use crate::model::id::{AgentId, AgentKey, DeploymentId, Incarnation, InstanceId};
use crate::model::row::{Key, Row, Write};
use crate::model::time::{Span, Timestamp};
use crate::model::unit::Mem;

const DEPLOYMENT: &str = "00000000-0000-0000-0000-0000000000d0";

fn unhealthy() -> Fault {
    Fault::Unhealthy { check: "/health".into(), failures: 3, cause: "HTTP status 503".into() }
}

fn autopsy(rig: &Rig, fault: Fault, exit: Option<Exit>) -> Autopsy {
    let (app, start) = (rig.app(), Timestamp::from_millis(1_625_133_600_000));
    Autopsy {
        key: AutopsyKey { app: app.key, no: 0 },
        slot: 1,
        instance: InstanceId(uuid::Uuid::from_u128(7)),
        task: "_app".into(),
        incarnation: Incarnation(2),
        version: app.version,
        during: Some(During {
            deployment: DeploymentId(uuid::Uuid::from_u128(0xD0)),
            brings: true,
        }),
        agent: Some(Locus {
            key: AgentKey(1),
            id: AgentId(uuid::Uuid::from_u128(0xA)),
            host: "a2".into(),
        }),
        at: start + Span::secs(9),
        started_at: Some(start),
        condition: Condition::Killed,
        fault,
        message: "the image cannot be had".into(),
        exit,
    }
}

fn tail(rig: &Rig, autopsy: &Autopsy, evidence: Option<&Evidence>) -> Vec<String> {
    let chain =
        chain(&rig.world, deployment(&rig.world, &rig.app().path, autopsy), autopsy, evidence);
    let version = format!("version {}", autopsy.version);
    assert_eq!(chain[0], format!("deployment {DEPLOYMENT}"));
    assert_eq!(chain[1], version);
    chain[2..].to_vec()
}

fn evidence(autopsy: &Autopsy, stop: Option<Stopped>) -> Evidence {
    Evidence {
        app: autopsy.key.app,
        instance: autopsy.instance,
        incarnation: autopsy.incarnation,
        at: autopsy.at,
        ended: None,
        stop,
        pulled: 0,
        image: None,
        asked_since: None,
        replies: vec![Reply {
            at: autopsy.at,
            check: "health /health".to_owned(),
            answer: Answer::Http { status: 503, body: "no\"".to_owned(), cut: false },
        }],
        stdout: Output { lines: vec!["last".to_owned()], more: true, ..Output::default() },
        stderr: Output::default(),
    }
}

#[test]
fn a_chain_leads_from_the_deployment_to_the_exit() {
    let rig = Rig::new();
    let ran = "ran on a2 for 9.000 s";
    let failed = "health check /health failed 3 times: HTTP status 503";
    let overdue = Fault::Overdue { condition: Condition::Staging, after: Span::secs(300) };
    let rows = [
        (
            unhealthy(),
            Some(Exit::Signal(9)),
            vec![failed, "killed after its grace period of 5.000 s", "exit 137 (signal 9)"],
        ),
        (unhealthy(), Some(Exit::Signal(15)), vec![failed, "asked to end", "exit 143 (signal 15)"]),
        (unhealthy(), Some(Exit::Code(0)), vec![failed, "asked to end", "exit 0"]),
        (unhealthy(), None, vec![failed, "is being ended"]),
        (Fault::Ended, Some(Exit::Code(7)), vec!["exit 7"]),
        (
            Fault::Ended,
            Some(Exit::Oom { peak: Some(Mem::whole(16)) }),
            vec!["killed by the kernel for its memory, peak 16 MiB: exit 137"],
        ),
        (Fault::Lost, Some(Exit::Unknown), vec!["its agent lost it", "the image cannot be had"]),
        (
            overdue,
            Some(Exit::Never),
            vec!["the launch took too long: Staging for 300.000 s", "given up", "it never ran"],
        ),
    ];
    for (fault, exit, expected) in rows {
        let autopsy = autopsy(&rig, fault, exit);
        let expected: Vec<String> =
            std::iter::once(ran).chain(expected).map(str::to_owned).collect();
        assert_eq!(tail(&rig, &autopsy, None), expected);
    }
    let never = Autopsy { started_at: None, ..autopsy(&rig, Fault::Ended, Some(Exit::Never)) };
    assert_eq!(tail(&rig, &never, None), ["on a2", "the image cannot be had"]);
}

/// Who killed it is the agent's to know: a signal 9 that it did not send came from elsewhere.
#[test]
fn evidence_knows_who_killed() {
    let rig = Rig::new();
    let autopsy = autopsy(&rig, unhealthy(), Some(Exit::Signal(9)));
    let asked = Some(autopsy.at);
    let not_by_us = evidence(&autopsy, Some(Stopped { asked, killed: None }));
    assert_eq!(tail(&rig, &autopsy, Some(&not_by_us))[2], "asked to end");
    let by_us = evidence(&autopsy, Some(Stopped { asked, killed: asked }));
    assert!(tail(&rig, &autopsy, Some(&by_us))[2].starts_with("killed after"));
}

#[test]
fn an_older_configuration_is_not_blamed_on_the_deployment() {
    let mut rig = Rig::new();
    let mut autopsy = autopsy(&rig, Fault::Ended, Some(Exit::Code(1)));
    autopsy.during.iter_mut().for_each(|during| during.brings = false);
    let first =
        chain(&rig.world, deployment(&rig.world, &rig.app().path, &autopsy), &autopsy, None)
            .remove(0);
    assert_eq!(first, format!("while deployment {DEPLOYMENT} was at work"));
    autopsy.during = None;
    assert!(
        chain(&rig.world, deployment(&rig.world, &rig.app().path, &autopsy), &autopsy, None)[0]
            .starts_with("version")
    );
    // One that failed later is told with the deployment that had brought it, and what became of that.
    let path = rig.app().path.clone();
    let by = DeploymentId(uuid::Uuid::from_u128(0xD1));
    let outcome = Outcome {
        id: DeploymentId(uuid::Uuid::from_u128(0xD0)),
        version: autopsy.version,
        since: autopsy.at,
        at: autopsy.at,
        reverts: None,
        failures: 1,
        ending: Ending::RolledBack { cause: None, by },
        apps: vec![(PlanAction::Start, path.clone())],
        more_apps: 0,
    };
    let (key, row) = (Key::Outcome(outcome.key()), Some(Row::Outcome(outcome.into())));
    rig.world.apply(&Write { key, row });
    let first =
        chain(&rig.world, deployment(&rig.world, &path, &autopsy), &autopsy, None).remove(0);
    assert_eq!(first, format!("deployment {DEPLOYMENT} (rolled back by {by})"));
    let shown = one(&rig.world, &path, &autopsy, Found::None);
    assert!(shown.contains(r#""brings":true,"state":"rolledBack","by":""#), "{shown}");
}

#[test]
fn evidence_is_shown_or_said_to_be_elsewhere() {
    let rig = Rig::new();
    let autopsy = autopsy(&rig, unhealthy(), Some(Exit::Signal(9)));
    let path = &rig.app().path;
    let taken = evidence(&autopsy, None);
    let read = |found| -> serde_json::Value {
        let text = one(&rig.world, path, &autopsy, found);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    let here = read(Found::Here(&taken));
    let failure = &here["failure"];
    assert_eq!(failure["exitCode"], 137);
    assert_eq!(failure["signal"], 9);
    assert_eq!(failure["kind"], "unhealthy");
    assert_eq!(failure["healthCheck"]["failures"], 3);
    assert_eq!(failure["deployment"]["id"], DEPLOYMENT);
    assert_eq!(failure["evidence"]["probes"][0]["body"], "no\"");
    assert_eq!(failure["evidence"]["probes"][0]["good"], false);
    assert_eq!(failure["evidence"]["stdout"]["lines"][0], "last");
    assert_eq!(failure["evidence"]["stdout"]["more"], true);
    for (found, state, detail) in [
        (Found::None, "none", "agent a2 has no evidence of it, or not any more"),
        (Found::Away("gone"), "away", "on agent a2, which is not heard: gone"),
        (Found::Forgotten, "forgotten", "on agent a2, which was forgotten"),
    ] {
        let evidence = read(found)["failure"]["evidence"].take();
        assert_eq!((&evidence["state"], &evidence["detail"]), (&state.into(), &detail.into()));
    }
}
