//! What every request meets before and after its handler (contract 1, reliability §4.4, §5.3).

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::json;

use super::rig::Rig;

const WEB: &str = r#"{"id":"/web","cmd":"sleep 1000"}"#;
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[tokio::test]
async fn every_answer_carries_the_headers_of_1_2_and_1_3() {
    let rig = Rig::new();
    for path in ["/v2/apps", "/v2/apps/nope", "/nonsense"] {
        let answer = rig.get(path).await;
        assert_eq!(answer.header("cache-control"), "no-cache, no-store, must-revalidate", "{path}");
        assert_eq!(answer.header("x-marathon-leader"), "http://m1:8080");
        assert_eq!(answer.header("x-frame-options"), "DENY");
        assert_eq!(answer.header("access-control-allow-origin"), "");
        assert_eq!(answer.header("content-type"), "application/json");
    }
}

#[tokio::test]
async fn routes_verbs_and_types_are_refused_as_1_7_says() {
    let rig = Rig::new();
    let unknown = rig.get("/v2/eventSubscriptions").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    assert_eq!(unknown.json(), json!({"message": "URI not found"}));
    let verb = rig.post("/v2/apps/web", WEB).await;
    assert_eq!(verb.status, StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(verb.json(), json!({"message": "Method Not Allowed"}));
    assert_eq!(verb.header("allow"), "GET, HEAD, PUT, PATCH, DELETE, OPTIONS");
    let options = rig.ask(Method::OPTIONS, "/v2/tasks/delete", "").await;
    assert_eq!((options.status, options.header("allow")), (StatusCode::OK, "POST, OPTIONS"));
    let xml = [("accept", "application/xml")];
    let refused = rig.ask_with(Method::GET, "/v2/apps", "", &xml).await;
    assert_eq!(refused.status, StatusCode::NOT_ACCEPTABLE);
    assert_eq!(refused.json(), json!({"message": "Not Acceptable"}));
    let text = [("content-type", "text/plain")];
    let refused = rig.ask_with(Method::POST, "/v2/apps", WEB, &text).await;
    assert_eq!(refused.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(refused.json()["message"], "Unsupported Media Type");
    assert_eq!(rig.ask_with(Method::GET, "/v2/apps", "", &text).await.status, 415);
    assert!(rig.asked().is_empty());
}

#[tokio::test]
async fn plain_curl_is_taken_and_a_page_is_not() {
    let rig = Rig::new();
    let curl = rig.ask_with(Method::POST, "/v2/apps", WEB, &[FORM]).await;
    assert_eq!(curl.status, StatusCode::CREATED, "{}", curl.text);
    let own_page = [FORM, ("origin", "http://localhost:8080"), ("sec-fetch-site", "same-origin")];
    let form = rig.ask_with(Method::POST, "/v2/apps", WEB, &own_page).await;
    assert_eq!(form.status, StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let hint = form.json()["hint"].as_str().expect("a hint").to_owned();
    assert!(hint.contains("origin") || hint.contains("sec-fetch-site"), "{hint}");
    for header in [
        ("origin", "http://evil.example"),
        ("origin", "null"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-site", "same-site"),
        ("host", "evil.example"),
    ] {
        let json = ("content-type", "application/json");
        let page = rig.ask_with(Method::POST, "/v2/apps", WEB, &[json, header]).await;
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{header:?}");
        assert!(page.json()["message"].is_string());
    }
    assert_eq!(rig.asked().len(), 1, "only curl's");
    let named = Rig::with(|config| config.allow_hosts.push("stayer.example".to_owned()));
    let host = [("host", "stayer.example")];
    assert_eq!(named.ask_with(Method::GET, "/v2/apps", "", &host).await.status, 200);
}

#[tokio::test]
async fn bodies_have_their_limits() {
    let rig = Rig::new();
    let big = format!(r#"{{"id":"/web","cmd":"{}"}}"#, "x".repeat(2 << 20));
    let one = rig.post("/v2/apps", &big).await;
    assert_eq!(one.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(one.json(), json!({"message": "the body is larger than 2 MiB"}));
    let part = |id: &str| format!(r#"{{"id":"/{id}","cmd":"{}"}}"#, "x".repeat(750_000));
    let many = rig.put("/v2/apps", &format!("[{},{},{}]", part("a"), part("b"), part("c"))).await;
    assert_eq!(many.status, StatusCode::OK, "{}", &many.text[..many.text.len().min(300)]);
    // What is declared too long is not even read.
    let declared = Request::builder()
        .method(Method::PUT)
        .uri("/v2/apps")
        .header("host", "localhost")
        .header("content-length", (33 << 20).to_string())
        .body(Body::from_stream(futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>()))
        .expect("a request");
    assert_eq!(rig.send(declared).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    let deep = "[".repeat(200);
    assert_eq!(rig.post("/v2/apps", &deep).await.status, StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn slashes_count_for_nothing() {
    let rig = Rig::new();
    rig.app(WEB);
    for path in ["//v2/apps", "/v2/apps/", "/v2//apps//"] {
        assert_eq!(rig.get(path).await.json()["apps"][0]["id"], "/web", "{path}");
    }
    for path in ["/v2/apps//web", "/v2/apps/web/", "/v2/apps/%2Fweb"] {
        assert_eq!(rig.get(path).await.json()["app"]["id"], "/web", "{path}");
    }
}

#[tokio::test]
async fn a_head_says_how_long_the_body_would_be() {
    let rig = Rig::new();
    rig.app(WEB);
    let whole = rig.get("/v2/apps/web").await;
    let head = rig.ask(Method::HEAD, "/v2/apps/web", "").await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
    assert_eq!(head.header("content-length"), whole.text.len().to_string());
    assert_eq!((whole.header("vary"), head.header("vary")), ("accept-encoding", "accept-encoding"));
}

#[tokio::test]
async fn long_answers_are_compressed_for_who_asks() {
    let rig = Rig::new();
    rig.app(WEB);
    let gzip = [("accept-encoding", "gzip")];
    let list = rig.ask_with(Method::GET, "/v2/apps", "", &gzip).await;
    assert_eq!(list.header("content-encoding"), "gzip");
    assert_eq!(rig.get("/v2/apps").await.header("content-encoding"), "");
    let id = rig.task("/web", 1, crate::model::condition::Condition::Running);
    let logs = format!("/v2/tasks/web.instance-{id}._app.1/logs");
    let logs = rig.ask_with(Method::GET, &logs, "", &gzip).await;
    assert_eq!((logs.status, logs.header("content-encoding")), (StatusCode::OK, ""));
}

#[tokio::test]
async fn a_panic_is_a_500_that_says_nothing() {
    let rig = Rig::new();
    rig.app(WEB);
    // An app without its definition is a broken row, which handlers rightly take for impossible.
    rig.edit(|world| {
        let key = *world.versions.iter().next().expect("one").0;
        world.versions.remove(&key);
    });
    let answer = rig.get("/v2/apps/web").await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.json(), json!({"message": "Internal Server Error"}));
    assert_eq!(answer.header("x-frame-options"), "DENY");
}
