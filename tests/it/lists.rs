//! Lists and their filters, in both forms.

use reqwest::Method;
use serde_json::{Value, json};

use crate::rig::{Stayer, reply, sleeper};

async fn found(stayer: &Stayer, query: &str) -> Vec<String> {
    let list = stayer.get(&format!("/v2/apps?{query}")).await.expect(200).json();
    let apps = list["apps"].as_array().cloned().expect("a list");
    let mut ids: Vec<String> =
        apps.iter().map(|app| app["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort_unstable();
    ids
}

#[tokio::test(flavor = "multi_thread")]
async fn apps_are_found_by_label_command_and_id() {
    let stayer = Stayer::bare().await;
    let none = json!({"instances": 0});
    stayer
        .launch(&sleeper(
            "/shop/front",
            json!({"instances": 0, "labels": {"tier": "web", "a": "1"}}),
        ))
        .await;
    stayer
        .launch(&sleeper("/shop/back", json!({"instances": 0, "labels": {"tier": "data"}})))
        .await;
    stayer.launch(&sleeper("/tool", json!({"instances": 0, "cmd": "echo Tool"}))).await;
    stayer.launch(&sleeper("/bare", none)).await;
    for (query, ids) in [
        ("label=tier", &["/shop/back", "/shop/front"][..]),
        ("label=tier==web", &["/shop/front"]),
        ("label=tier!=web", &["/shop/back"]),
        ("label=tier+in+(web,data),a", &["/shop/front"]),
        ("cmd=tool", &["/tool"]),
        ("id=shop", &["/shop/back", "/shop/front"]),
        ("id=front&label=tier==data", &[]),
        ("", &["/bare", "/shop/back", "/shop/front", "/tool"]),
    ] {
        assert_eq!(found(&stayer, query).await, ids, "{query}");
    }
    stayer.get("/v2/apps?label=in+in+in").await.expect(422);
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_are_listed_for_people_and_for_machines() {
    // Contract 18.4: old HAProxy bridges read the text.
    let stayer = Stayer::bare().await;
    let port = stayer.ports.port(7);
    let app = json!({
        "instances": 1, "requirePorts": true,
        "portDefinitions": [{"port": port, "name": "http", "protocol": "tcp"}],
    });
    stayer.launch(&sleeper("/shop/front", app)).await;
    let task = stayer.running("/shop/front", 1).await.remove(0);
    let host = task["host"].as_str().expect("a host");
    assert_eq!(task["ports"], json!([port]));
    for path in ["/v2/tasks", "/v2/apps/shop/front/tasks"] {
        let text = reply(stayer.request(Method::GET, path).header("accept", "text/plain")).await;
        assert!(text.header("content-type").starts_with("text/plain"), "{text:?}");
        assert_eq!(text.text, format!("shop_front\t{port}\t{host}:{port}\t\n"));
        let any =
            reply(stayer.request(Method::GET, path).header("accept", "*/*")).await.expect(200);
        assert_eq!(any.json()["tasks"][0]["id"], task["id"]);
    }
    let of = async |status: &str| {
        let list = stayer.get(&format!("/v2/tasks?status={status}")).await.json();
        list["tasks"].as_array().map(Vec::len)
    };
    assert_eq!((of("running").await, of("staging").await), (Some(1), Some(0)));
    stayer.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_embedded_is_there_under_both_names() {
    let stayer = Stayer::bare().await;
    stayer.launch(&sleeper("/app", json!({"cmd": "exit 1", "backoffSeconds": 60}))).await;
    stayer.launch(&sleeper("/runs", json!({}))).await;
    stayer.running("/runs", 1).await;
    stayer
        .until("a failure is told", |stayer| async {
            let list = stayer.get("/v2/apps?embed=apps.failures").await.json();
            list["apps"].to_string().contains("lastTaskFailure")
        })
        .await;
    for prefix in ["app", "apps"] {
        let list = stayer
            .get(&format!("/v2/apps?embed={prefix}.tasks&embed={prefix}.counts"))
            .await
            .json();
        let apps = list["apps"].as_array().expect("a list");
        let runs: &Value = apps.iter().find(|app| app["id"] == "/runs").expect("it is there");
        assert_eq!(runs["tasks"].as_array().map(Vec::len), Some(1), "{prefix}: {runs}");
        assert_eq!(runs["tasksRunning"], 1);
    }
    for path in ["/v2/apps/", "/v2//apps", "/v2/apps//runs", "/v2/apps/runs/"] {
        stayer.get(path).await.expect(200);
    }
    stayer.get("/v2/nonsense").await.expect(404);
    stayer.finish().await;
}
