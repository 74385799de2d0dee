//! Pulls by the real engine from a registry of the test's making, on loopback, where engines ask without TLS.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};

use crate::agent::docker::auth::Keyring;
use crate::agent::docker::rig::{Rig, docker, only, progress, runtime, spec};
use crate::agent::runtime::{Runtime, RuntimeError};
use crate::model::have::End;
use crate::model::reason::Reason;

type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A registry that answers what `answer` says, and keeps what it was asked.
async fn registry(answer: fn(&str) -> Response) -> (String, Asked) {
    let asked = Asked::default();
    let log = Arc::clone(&asked);
    let app = Router::new().fallback(move |request: Request| {
        let path = request.uri().path().to_owned();
        let auth = request.headers().get("authorization").and_then(|value| value.to_str().ok());
        log.lock().expect("not poisoned").push((path.clone(), auth.map(str::to_owned)));
        std::future::ready(answer(&path))
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, asked)
}

fn fault(status: StatusCode, code: &str) -> Response {
    let body = format!(r#"{{"errors": [{{"code": "{code}", "message": "{code} it is"}}]}}"#);
    (status, [("content-type", "application/json")], body).into_response()
}

async fn refusal(rig: &Rig, image: &str, force: bool) -> String {
    let mut spec = spec(image);
    docker(&mut spec).force_pull = force;
    let outcome = rig.runtime.prepare(&rig.launch(spec), &progress()).await;
    match outcome {
        Err(RuntimeError::Refused(Reason::Image { image: named, detail })) => {
            assert_eq!(named, image);
            detail
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_registry_that_is_not_there_is_told_quickly_and_clearly() {
    let rig = Rig::new().await;
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    drop(listener);
    let detail = refusal(&rig, &format!("{address}/app:1"), false).await;
    assert!(detail.contains("connection refused"), "{detail}");
    rig.clear().await;
}

#[tokio::test]
async fn an_unknown_image_without_a_tag_gets_the_hint() {
    let rig = Rig::new().await;
    let (address, _) = registry(|path| match path {
        "/v2/" => StatusCode::OK.into_response(),
        _ => fault(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
    })
    .await;
    let untagged = refusal(&rig, &format!("{address}/app"), false).await;
    assert!(untagged.contains("no tag given") && untagged.contains(":latest"), "{untagged}");
    let tagged = refusal(&rig, &format!("{address}/app:7"), false).await;
    assert!(!tagged.contains("no tag given"), "{tagged}");
    rig.clear().await;
}

#[tokio::test]
async fn a_broken_registry_s_status_reaches_the_user() {
    let rig = Rig::new().await;
    let (address, _) = registry(|path| match path {
        "/v2/" => StatusCode::OK.into_response(),
        _ => fault(StatusCode::INTERNAL_SERVER_ERROR, "UNKNOWN"),
    })
    .await;
    let detail = refusal(&rig, &format!("{address}/app:1"), false).await;
    assert!(detail.contains("500") || detail.contains("it is"), "{detail}");
    rig.clear().await;
}

#[tokio::test]
async fn credentials_of_the_docker_configuration_reach_the_registry() {
    let rig = Rig::new().await;
    let (address, asked) = registry(|_| {
        let challenge = [("www-authenticate", "Basic realm=\"test\"")];
        (StatusCode::UNAUTHORIZED, challenge).into_response()
    })
    .await;
    let dir = tempfile::tempdir().expect("a directory");
    let config = dir.path().join("config.json");
    // "me:s3cret"
    let text = format!(r#"{{"auths": {{"http://{address}": {{"auth": "bWU6czNjcmV0"}}}}}}"#);
    std::fs::write(&config, text).expect("written");
    let keyring = Keyring { config: Some(config), helpers: None };
    let runtime = runtime(rig.owner, keyring).await;
    let launch = rig.launch(spec(&format!("{address}/app:1")));
    let outcome = runtime.prepare(&launch, &progress()).await;
    assert!(matches!(outcome, Err(RuntimeError::Refused(Reason::Image { .. }))), "{outcome:?}");
    let asked = asked.lock().expect("not poisoned").clone();
    assert!(
        asked.iter().any(|(_, auth)| auth.as_deref() == Some("Basic bWU6czNjcmV0")),
        "{asked:?}"
    );
    rig.clear().await;
}

#[tokio::test]
async fn an_image_that_is_there_is_pulled_only_when_forced() {
    // CT-2.
    let rig = Rig::new().await;
    let (address, asked) = registry(|path| match path {
        "/v2/" => StatusCode::OK.into_response(),
        _ => fault(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
    })
    .await;
    let image = format!("{address}/local");
    let tag = TagImageOptionsBuilder::default().repo(&image).tag("1").build();
    rig.engine.tag_image("busybox:local", Some(tag)).await.expect("tagged");
    let image = format!("{image}:1");

    let mut spec = spec(&image);
    only(&mut spec).cmd = Some("exit 0".to_owned());
    assert_eq!(rig.end_of(&rig.launch(spec)).await, End::Code(0));
    assert_eq!(asked.lock().expect("not poisoned").len(), 0, "the registry was not asked");

    let detail = refusal(&rig, &image, true).await;
    assert!(detail.contains("manifest unknown") || detail.contains("not found"), "{detail}");
    assert!(!asked.lock().expect("not poisoned").is_empty(), "now it was");
    let options = RemoveImageOptionsBuilder::default().build();
    rig.engine.remove_image(&image, Some(options), None).await.expect("untagged");
    rig.clear().await;
}
