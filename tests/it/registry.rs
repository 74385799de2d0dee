//! A registry on loopback with one image, taken from the engine; engines ask there without TLS.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::docker_rig::Engine;

/// Serves one image; what was pulled is untagged at the end.
pub struct Registry {
    address: String,
    name: String,
    pulls: Arc<AtomicUsize>,
    engine: Engine,
}

/// Bytes with what names them.
struct Blob {
    digest: String,
    bytes: Vec<u8>,
}

// === impl Registry ===

impl Registry {
    /// Serves an image of the engine under the same name.
    pub async fn of(engine: &Engine, name: &str) -> Registry {
        let blobs = blobs(engine, name);
        let pulls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&pulls);
        let router = Router::new().fallback(move |request: Request| {
            let path = request.uri().path().to_owned();
            if path.contains("/manifests/") {
                counted.fetch_add(1, Ordering::Relaxed);
            }
            std::future::ready(answer(&path, &blobs))
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Registry { address, name: name.to_owned(), pulls, engine: engine.clone() }
    }

    /// How its image is asked for.
    pub fn image(&self) -> String {
        format!("{}/{}", self.address, self.name)
    }

    /// How often it was asked which image that is.
    pub fn pulls(&self) -> usize {
        self.pulls.load(Ordering::Relaxed)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _best_effort = self.engine.attempt(&["rmi", "--force", &self.image()]);
    }
}

// === impl Blob ===

impl Blob {
    fn new(bytes: Vec<u8>) -> Blob {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), &bytes).expect("written");
        let summed = Command::new("sha256sum").arg(file.path()).output().expect("sha256sum runs");
        let text = String::from_utf8(summed.stdout).expect("text");
        let digest = format!("sha256:{}", text.split(' ').next().expect("a sum"));
        Blob { digest, bytes }
    }
}

/// Manifest first, then configuration and layers.
fn blobs(engine: &Engine, name: &str) -> Arc<Vec<Blob>> {
    let dir = tempfile::tempdir().expect("a directory");
    let archive = dir.path().join("image.tar");
    engine.docker(&["save", "--output", &archive.display().to_string(), name]);
    let unpacked = Command::new("tar").arg("-C").arg(dir.path()).arg("-xf").arg(&archive).status();
    assert!(unpacked.expect("tar runs").success());
    let read = |name: &Value| {
        let path = dir.path().join(name.as_str().expect("a name"));
        Blob::new(std::fs::read(path).expect("it is in the archive"))
    };
    let list = std::fs::read(dir.path().join("manifest.json")).expect("a list");
    let list: Value = serde_json::from_slice(&list).expect("JSON");
    let config = read(&list[0]["Config"]);
    let layers: Vec<Blob> =
        list[0]["Layers"].as_array().expect("layers").iter().map(read).collect();
    let kind = |rest: &str| format!("application/vnd.docker.{rest}");
    let described = |blob: &Blob, of: &str| json!({"mediaType": kind(of), "size": blob.bytes.len(), "digest": blob.digest});
    let manifest = json!({
        "schemaVersion": 2, "mediaType": kind("distribution.manifest.v2+json"),
        "config": described(&config, "container.image.v1+json"),
        "layers": layers.iter().map(|it| described(it, "image.rootfs.diff.tar")).collect::<Vec<_>>(),
    });
    let mut all = vec![Blob::new(manifest.to_string().into_bytes()), config];
    all.extend(layers);
    Arc::new(all)
}

fn answer(path: &str, blobs: &[Blob]) -> Response {
    if path == "/v2/" {
        return StatusCode::OK.into_response();
    }
    let is_manifest = path.contains("/manifests/");
    let named = blobs.iter().find(|blob| path.ends_with(&blob.digest));
    let Some(blob) = named.or(blobs.first().filter(|_| is_manifest)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = if is_manifest {
        "application/vnd.docker.distribution.manifest.v2+json"
    } else {
        "application/octet-stream"
    };
    let headers = [("content-type", kind), ("docker-content-digest", &*blob.digest)];
    (headers, blob.bytes.clone()).into_response()
}
