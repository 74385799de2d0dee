//! Pulls by the real engine from a registry of the test's making, on loopback, where engines ask without TLS.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use futures::StreamExt;

use bollard::query_parameters::{RemoveImageOptionsBuilder, TagImageOptionsBuilder};

use crate::agent::docker::auth::Keyring;
use crate::agent::docker::rig::{Rig, docker, only, progress, runtime, spec};
use crate::agent::machine::Nowhere;
use crate::agent::runtime::{Runtime, RuntimeError};
use crate::model::end::End;
use crate::model::reason::Reason;

type Asked = Arc<Mutex<Vec<(String, Option<String>)>>>;

/// A registry that answers what `answer` says, and keeps what it was asked.
async fn registry(
    answer: impl Fn(&str) -> Response + Clone + Send + Sync + 'static,
) -> (String, Asked) {
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
    let nowhere = Nowhere::hold();
    let detail = refusal(&rig, &format!("{nowhere}/app:1"), false).await;
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

/// A blob with its digest.
#[derive(Clone)]
struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

impl Blob {
    fn new(bytes: Vec<u8>) -> Blob {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &bytes).expect("written");
        let summed = std::process::Command::new("sha256sum").arg(file.path()).output();
        let text = String::from_utf8(summed.expect("sha256sum runs").stdout).expect("text");
        let digest = format!("sha256:{}", text.split(' ').next().expect("a sum"));
        Blob { digest, bytes }
    }
}

/// The blobs of an image with one file: manifest, configuration, layer.
fn image() -> [Blob; 3] {
    let mut archive = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    // Incompressible, so that its bytes are worth telling.
    let content = std::fs::read(std::env::current_exe().expect("this test")).expect("its bytes");
    let content = &content[..content.len().min(1 << 20)];
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "file", content).expect("appended");
    let plain = Blob::new(archive.into_inner().expect("an archive"));
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut packed, &plain.bytes).expect("packed");
    let layer = Blob::new(packed.finish().expect("packed"));
    let json = |value: serde_json::Value| Blob::new(value.to_string().into_bytes());
    let config = json(serde_json::json!({
        "architecture": "amd64", "os": "linux", "config": {"Cmd": ["/file"]},
        "rootfs": {"type": "layers", "diff_ids": [plain.digest]},
    }));
    let kind = |rest: &str| format!("application/vnd.docker.{rest}");
    let manifest = json(serde_json::json!({
        "schemaVersion": 2, "mediaType": kind("distribution.manifest.v2+json"),
        "config": {
            "mediaType": kind("container.image.v1+json"),
            "size": config.bytes.len(), "digest": config.digest,
        },
        "layers": [{
            "mediaType": kind("image.rootfs.diff.tar.gzip"),
            "size": layer.bytes.len(), "digest": layer.digest,
        }],
    }));
    [manifest, config, layer]
}

/// Some engines tell how far they are a few times a second, and nothing of what is there before.
fn slowly(bytes: &[u8]) -> Body {
    const PIECES: usize = 8;
    let pieces: Vec<_> = bytes.chunks(bytes.len() / PIECES + 1).map(<[u8]>::to_vec).collect();
    Body::from_stream(futures::stream::iter(pieces).then(|piece| async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        Ok::<_, std::convert::Infallible>(piece)
    }))
}

#[tokio::test]
async fn instances_that_start_together_pull_their_image_once() {
    let rig = Rig::new().await;
    let blobs = image();
    let digest = blobs[0].digest.clone();
    let (address, asked) = registry(move |path| {
        if path == "/v2/" {
            return StatusCode::OK.into_response();
        }
        let found = blobs.iter().find(|blob| path.ends_with(&blob.digest));
        let is_manifest = path.contains("/manifests/");
        let Some(blob) = found.or(blobs.first().filter(|_| is_manifest)) else {
            return fault(StatusCode::NOT_FOUND, "BLOB_UNKNOWN");
        };
        let kind = if is_manifest {
            "application/vnd.docker.distribution.manifest.v2+json"
        } else {
            "application/octet-stream"
        };
        let length = blob.bytes.len().to_string();
        let headers = [
            ("content-type", kind),
            ("content-length", &length),
            ("docker-content-digest", &blob.digest),
        ];
        (headers, slowly(&blob.bytes)).into_response()
    })
    .await;
    let image = format!("{address}/app");
    let (one, two) = (rig.launch(spec(&image)), rig.launch(spec(&image)));
    let (first, second) = (progress(), progress());
    let (left, right) =
        tokio::join!(rig.runtime.prepare(&one, &first), rig.runtime.prepare(&two, &second));
    assert_eq!((left, right), (Ok(()), Ok(())));
    let told = (*first.borrow()).max(*second.borrow());
    // Podman tells of layers alone, and so does containerd's store where they are small.
    let counts = rig.runtime.facts().storage.as_deref() == Some("overlay2");
    assert!(told > 0 || !counts, "the bytes were told");
    let manifests = asked
        .lock()
        .expect("not poisoned")
        .iter()
        .filter(|(path, _)| path.ends_with("/manifests/latest"))
        .count();
    assert!(manifests <= 2, "asked for {manifests} times: a look and a pull at most");
    assert_eq!(rig.runtime.list().await.expect("a list").len(), 2);

    let pinned = format!("{image}@{digest}");
    rig.runtime.prepare(&rig.launch(spec(&pinned)), &progress()).await.expect("by its digest");
    let (runtime, engine) = (rig.runtime.list().await.expect("a list"), rig.engine.clone());
    for found in runtime {
        rig.runtime.remove(found.id).await.expect("removed");
    }
    let options = RemoveImageOptionsBuilder::default().force(true).build();
    engine.remove_image(&image, Some(options), None).await.expect("removed");
    rig.clear().await;
}
