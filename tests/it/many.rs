//! Many at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use crate::rig::{Stayer, sleeper};

async fn all(stayer: &Stayer) -> BTreeSet<String> {
    let list = stayer.get("/v2/apps").await.expect(200).json();
    let apps = list["apps"].as_array().cloned().expect("a list");
    apps.iter().map(|app| app["id"].as_str().expect("an id").to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn three_hundred_posts_at_once_are_three_hundred_apps_also_after_a_crash() {
    let stayer = Arc::new(Stayer::bare().await);
    let clients: Vec<_> = (0..100)
        .map(|client| {
            let stayer = stayer.clone();
            tokio::spawn(async move {
                for no in 0..3 {
                    // Every tenth runs something; what is to be shown is that none is lost.
                    let instances = u8::from(client % 10 == 0);
                    let app =
                        sleeper(&format!("/many/a{client}-{no}"), json!({"instances": instances}));
                    let created = stayer.post("/v2/apps", &app).await.expect(201).json();
                    assert!(created["version"].is_string());
                }
            })
        })
        .collect();
    for client in clients {
        client.await.expect("all are taken");
    }
    let mut stayer = Arc::into_inner(stayer).expect("the clients are gone");
    let before = all(&stayer).await;
    assert_eq!(before.len(), 300);
    stayer.kill();
    stayer.restart().await;
    assert_eq!(all(&stayer).await, before);
    stayer
        .until("all that shall run do", |stayer| async {
            let list = stayer.get("/v2/tasks?status=running").await.json();
            list["tasks"].as_array().map(Vec::len) == Some(30)
        })
        .await;
    stayer.at_rest().await;
    stayer.finish().await;
}
