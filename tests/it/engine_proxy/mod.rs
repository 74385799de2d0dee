//! Stands between an agent and an engine: gives the engine another shape, and loses, delays and fails calls.
//!
//! What no package gives is played here (engines.md §2). The engine behind it is a real one and does real work; tests ask
//! it directly. It runs on a thread of its own, so that a test that waits for a program does not hold it up.

mod fault;
mod forward;
mod profile;
mod shape;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;

pub use fault::{Fault, Faults};
use forward::{Answer, Api, Broken, Call};
pub use profile::Profile;

/// A shape in front of an engine, behind a socket of its own.
pub struct Proxy {
    /// What goes wrong.
    pub faults: Faults,
    /// The shape; another one means that the engine was exchanged.
    pub profile: Arc<Mutex<Profile>>,
    dir: tempfile::TempDir,
    end: Option<oneshot::Sender<()>>,
}

/// What every connection needs.
struct Front {
    profile: Arc<Mutex<Profile>>,
    engine: PathBuf,
    /// The newest API of the engine itself.
    newest: Api,
    faults: Faults,
}

// === impl Proxy ===

impl Proxy {
    /// Plays `profile` before the engine behind a socket.
    pub fn new(profile: Profile, engine: &Path) -> Proxy {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = dir.path().join("engine.sock");
        let (end, ended) = oneshot::channel();
        let faults = Faults::default();
        let profile = Arc::new(Mutex::new(profile));
        let (for_front, shape) = (faults.clone(), Arc::clone(&profile));
        let engine = engine.to_owned();
        let (bound, is_bound) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let builder = tokio::runtime::Builder::new_current_thread().enable_all().build();
            builder.expect("a runtime").block_on(async {
                let listener = UnixListener::bind(&socket).expect("a socket");
                let newest = forward::newest(&engine).await.expect("the engine answers");
                bound.send(()).expect("it is waited for");
                let front = Front { profile: shape, engine, newest, faults: for_front };
                tokio::select! {
                    () = serve(listener, Arc::new(front)) => {}
                    _ = ended => {}
                }
            });
        });
        is_bound.recv().expect("it listens");
        Proxy { faults, profile, dir, end: Some(end) }
    }

    /// Where it listens, as `DOCKER_HOST` has it.
    pub fn host(&self) -> String {
        format!("unix://{}", self.dir.path().join("engine.sock").display())
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ended = self.end.take().map(|end| end.send(()));
    }
}

// === impl Front ===

impl Front {
    /// The answer to one request; none means that the connection just ends.
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>, Broken> {
        let mut call = Call::read(request).await?;
        let profile = *self.profile.lock().expect("not poisoned");
        let line = call.line();
        if let Err(refusal) = gate(&profile, &call) {
            return Ok(said(StatusCode::BAD_REQUEST, &refusal));
        }
        let fault = self.faults.next(&line);
        match &fault {
            Some(Fault::NeverAsked) => return Err(Broken),
            Some(Fault::Says(status, text)) => {
                let status = StatusCode::from_u16(*status).expect("a status");
                return Ok(said(status, text));
            }
            Some(Fault::HeldBack(delay)) => tokio::time::sleep(*delay).await,
            Some(Fault::AnswerLost | Fault::Half | Fault::Late(_)) | None => {}
        }
        if let Err((status, text)) = shape::request(&profile, &mut call) {
            return Ok(said(status, &text));
        }
        call.speak(self.newest);
        if let Some(path) = call.of_start() {
            let inspected = forward::look(&self.engine, &path).await?;
            if let Some(text) = shape::refused_port(&profile, &inspected) {
                return Ok(said(StatusCode::INTERNAL_SERVER_ERROR, &text));
            }
        }
        let answer = shaped(&profile, &call, forward::send(&self.engine, &call).await?).await?;
        match fault {
            Some(Fault::AnswerLost | Fault::HeldBack(_)) => Err(Broken),
            Some(Fault::Half) => Ok(forward::half(answer)),
            Some(Fault::Late(delay)) => {
                tokio::time::sleep(delay).await;
                Ok(answer)
            }
            Some(Fault::NeverAsked | Fault::Says(..)) | None => Ok(answer),
        }
    }
}

async fn serve(listener: UnixListener, front: Arc<Front>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, Arc::clone(&front)));
    }
}

async fn connection(stream: UnixStream, front: Arc<Front>) {
    let service = service_fn(move |request| {
        let front = Arc::clone(&front);
        // On a task of its own: an engine goes on with what it was asked, also when the asker has gone.
        let answer = tokio::spawn(async move { front.answer(request).await });
        async move { answer.await.expect("no panic") }
    });
    let connection = hyper::server::conn::http1::Builder::new();
    let _ended = connection.serve_connection(TokioIo::new(stream), service).await;
}

fn said(status: StatusCode, message: &str) -> Response<Answer> {
    let body = whole(json!({ "message": message }).to_string());
    let response = Response::builder().status(status).header("content-type", "application/json");
    response.body(body).expect("a response")
}

fn whole(text: String) -> Answer {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
}

/// Whether the version that is asked for is one that this engine speaks, in the words of real ones.
fn gate(profile: &Profile, call: &Call) -> Result<(), String> {
    let Profile { floor, newest, .. } = profile;
    match call.api {
        Some(api) if api < *floor => Err(format!(
            "client version {api} is too old. Minimum supported API version is {floor}, please upgrade your client to a newer version"
        )),
        Some(api) if api > *newest => Err(format!(
            "client version {api} is too new. Maximum supported API version is {newest}"
        )),
        Some(_) | None => Ok(()),
    }
}

/// An answer as this engine would give it. What comes as a stream goes on as one.
async fn shaped(
    profile: &Profile,
    call: &Call,
    response: Response<Incoming>,
) -> Result<Response<Answer>, Broken> {
    let (mut parts, body) = response.into_parts();
    let kind = parts.headers.get("content-type").and_then(|it| it.to_str().ok());
    let is_json = kind.is_some_and(|kind| kind.starts_with("application/json"));
    if !is_json || call.is_streamed() {
        return Ok(Response::from_parts(parts, body.map_err(|_| Broken).boxed()));
    }
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
    let shaped = lines.map(|line| match serde_json::from_slice::<Value>(line) {
        Ok(mut value) => {
            shape::answer(profile, call, parts.status, &mut value);
            value.to_string()
        }
        Err(_) => String::from_utf8_lossy(line).into_owned(),
    });
    let text = shaped.collect::<Vec<_>>().join("\n");
    parts.headers.remove("content-length");
    parts.headers.remove("transfer-encoding");
    Ok(Response::from_parts(parts, whole(text)))
}
