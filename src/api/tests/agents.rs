//! `/v2/agents` and `/v2/brake`.

use std::sync::Arc;

use axum::http::StatusCode;
use serde_json::json;
use uuid::Uuid;

use super::rig::{Rig, START};
use crate::model::agent::{Agent, AgentState, Drain, GpuScheduling};
use crate::model::brake::Brake;
use crate::model::condition::Condition;
use crate::model::fact::{Change, Refusal};
use crate::model::have::{Have, Phase, TaskHave};
use crate::model::id::{
    AgentId, AgentKey, AppKey, ClusterId, Incarnation, InstanceId, InstanceKey, Rev,
};
use crate::model::meta::Meta;
use crate::model::time::{Span, Timestamp};
use crate::model::world::World;

const AGENT: &str = "00000000-0000-0000-0000-000000000007";

fn rig() -> Rig {
    let rig = Rig::new();
    rig.app(r#"{"id": "/web", "cmd": "sleep 9", "instances": 1}"#);
    rig.task("/web", 1, Condition::Running);
    rig
}

fn edit_agent(world: &mut World, edit: impl FnOnce(&mut Agent)) {
    let mut agent = world.agents.get(&AgentKey(1)).expect("there").clone();
    edit(&mut agent);
    world.agents.put(agent.key, Arc::new(agent));
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(START + 1_000 * seconds)
}

#[tokio::test]
async fn agents_are_listed_with_what_they_offer_and_what_is_left_of_it() {
    let rig = rig();
    let body = rig.get("/v2/agents").await.json();
    let agent = &body["agents"][0];
    assert_eq!((&agent["id"], &agent["hostname"]), (&json!(AGENT), &json!("10.0.0.5")));
    assert_eq!((&agent["state"], &agent["tasks"]), (&json!("up"), &json!(1)));
    let total = json!({"cpus": 0.5, "mem": 1024.0, "disk": 0.0, "gpus": 0});
    assert_eq!((&agent["total"], &agent["free"]), (&total, &total));
    assert_eq!(agent["ports"], json!(["31000-32000"]));
    assert_eq!(agent.get("taskList"), None, "only for one agent");
    assert_eq!(body["brake"], json!({"held": false}));
}

#[tokio::test]
async fn one_agent_is_named_by_its_id_or_a_host_name_of_its_own() {
    let rig = rig();
    for name in [AGENT, "10.0.0.5"] {
        let agent = rig.get(&format!("/v2/agents/{name}")).await.json();
        assert_eq!(agent["taskList"][0]["appId"], "/web", "{name}");
    }
    let missing = rig.get("/v2/agents/nobody").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
    assert_eq!(missing.json()["message"], "Agent 'nobody' does not exist");
    rig.edit(|world| {
        let twin = world.agents.get(&AgentKey(1)).expect("there").clone();
        let twin = Agent { key: AgentKey(2), id: AgentId(Uuid::from_u128(8)), ..twin };
        world.agents.put(twin.key, Arc::new(twin));
    });
    assert_eq!(rig.get("/v2/agents/10.0.0.5").await.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn a_sign_of_life_and_strays_are_shown_though_no_row_has_them() {
    let rig = rig();
    let sign = rig.signs.of(AgentId(Uuid::from_u128(7)));
    sign.heard(at(50));
    let stray = InstanceId(Uuid::from_u128(0xF));
    let tasks = vec![TaskHave { task: "_app".to_owned(), phase: Phase::Starting, findings: None }];
    let (key, incarnation) = (InstanceKey { app: AppKey(1), no: 9 }, Incarnation(3));
    sign.has(&[Have { instance: stray, key, incarnation, rev_seen: Rev::default(), tasks }]);
    let agent = rig.get("/v2/agents/10.0.0.5").await.json();
    assert_eq!(agent["lastHeard"], "2021-07-01T10:00:50.000Z");
    assert_eq!(agent["strays"], 1);
    assert_eq!(agent["strayList"], json!([{"id": format!("web.instance-{stray}._app.3")}]));
    sign.begins();
    assert_eq!(rig.get("/v2/agents/10.0.0.5").await.json()["strays"], 0);
}

#[tokio::test]
async fn a_drain_says_what_is_left_and_what_it_waits_for() {
    let rig = rig();
    rig.edit(|world| {
        let deadline = Some(at(3_600));
        edit_agent(world, |agent| agent.drain = Some(Drain { since: at(0), deadline }));
    });
    let agent = rig.get("/v2/agents/10.0.0.5").await.json();
    assert_eq!(agent["state"], "draining");
    assert_eq!(agent["drain"]["deadline"], "2021-07-01T11:00:00.000Z");
    assert_eq!(
        (&agent["drain"]["left"], &agent["drain"]["waitsFor"][0]["kind"]),
        (&json!(1), &json!("health"))
    );
    rig.edit(|world| edit_agent(world, |agent| agent.state = AgentState::Lost { since: at(9) }));
    let agent = rig.get("/v2/agents/10.0.0.5").await.json();
    assert_eq!(
        (&agent["state"], &agent["lostSince"]),
        (&json!("lost"), &json!("2021-07-01T10:00:09.000Z"))
    );
    assert_eq!(agent["drain"]["waitsFor"][0]["kind"], "agent");
}

#[tokio::test]
async fn changes_of_agents_are_asked_for_by_key() {
    let rig = rig();
    let drain = "/v2/agents/10.0.0.5/drain";
    assert_eq!(rig.post(drain, "").await.status, StatusCode::OK);
    assert_eq!(rig.post(drain, r#"{"deadlineSeconds": 60}"#).await.status, StatusCode::OK);
    assert_eq!(rig.delete(drain).await.status, StatusCode::OK);
    assert_eq!(rig.delete("/v2/agents/10.0.0.5").await.status, StatusCode::NO_CONTENT);
    assert_eq!(rig.delete("/v2/brake").await.json(), json!({"held": false}));
    let agent = AgentKey(1);
    let asked: Vec<Change> = rig.asked().into_iter().map(|(change, _)| change).collect();
    let expected = [
        Change::Drain { agent, deadline: None },
        Change::Drain { agent, deadline: Some(Span::secs(60)) },
        Change::Undrain { agent },
        Change::Forget { agent },
        Change::ReleaseBrake,
    ];
    assert_eq!(asked, expected);
    for (body, status) in [
        ("{", 400),
        ("[]", 400),
        (r#"{"deadlineSeconds": -1}"#, 422),
        (r#"{"deadlineSeconds": 1.5}"#, 422),
        (r#"{"deadline": 1}"#, 422),
    ] {
        assert_eq!(rig.post(drain, body).await.status.as_u16(), status, "{body}");
    }
    rig.refuse(Refusal::AgentInUse { hostname: "10.0.0.5".to_owned(), instances: 3 });
    let refused = rig.delete("/v2/agents/10.0.0.5").await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    assert!(refused.text.contains("has 3 instances"), "{}", refused.text);
}

#[tokio::test]
async fn a_held_brake_says_for_how_many() {
    let rig = rig();
    rig.edit(|world| {
        let row = world.agents.get(&AgentKey(1)).expect("there").clone();
        for number in 2..=5_u32 {
            let state = AgentState::Lost { since: at(10) };
            let id = AgentId(Uuid::from_u128(0x10 + u128::from(number)));
            let row = Agent { key: AgentKey(number), id, state, ..row.clone() };
            world.agents.put(row.key, Arc::new(row));
        }
        world.meta = Some(Meta {
            cluster: ClusterId(Uuid::from_u128(7)),
            next_app: AppKey(9),
            next_agent: AgentKey(9),
            next_id: 0,
            brake: Brake { held: Some(at(10)), ..Brake::default() },
            gpu_scheduling: GpuScheduling::default(),
        });
    });
    let brake = rig.get("/v2/brake").await.json();
    assert_eq!((&brake["lost"], &brake["agents"]), (&json!(4), &json!(5)));
    assert_eq!(rig.get("/v2/agents").await.json()["brake"], brake);
    let metrics = rig.get("/metrics").await.text;
    assert!(
        metrics.contains("stayer_replacement_held 1") && metrics.contains("stayer_agents_lost 4")
    );
}
