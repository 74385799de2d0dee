//! The agent's side of a connection that it dialled: it answers.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::logs::{LogRequest, NoLog};
use crate::wire::message::{Dismissal, Down, Hello, Open, Refused, Up};
use crate::wire::reverse::frames::{Body, FrameReceiver, FrameSender, frames, pieces, whole};
use crate::wire::reverse::tasks::Tasks;
use crate::wire::reverse::{CONNECTION_WINDOW, DEADLINE, MAX_STREAMS, SEND_BUFFER, STREAM_WINDOW};

/// A server asks who dialled at once; what asks nothing for so long is none.
const GREETING: Duration = Duration::from_secs(30);

/// The longest dismissal that is read.
const MAX_DISMISSAL: usize = 4 * 1024;

/// Takes the bytes of a log; dropping it ends the log. Waits while nobody reads.
pub type LogSink = mpsc::Sender<Bytes>;

/// What an agent answers.
///
/// # Guarantees
/// Nothing is called for a connection that has ended.
///
/// # Assumptions
/// `session` and `logs` return once it is clear whether there is a stream; what feeds it goes on in a task of theirs,
/// until the sender's other end is gone.
pub trait Endpoints: Send + Sync + 'static {
    /// Who the agent is.
    fn hello(&self) -> impl Future<Output = Hello> + Send;

    /// Whether the agent has said farewell: then nothing is dialled any more.
    fn has_left(&self) -> bool;

    /// A server takes the agent no further; it hangs up.
    fn dismissed(&self, why: Dismissal) -> impl Future<Output = ()> + Send;

    /// A leader opens a session.
    fn session(&self, opening: Opening) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Somebody reads a log.
    fn logs(
        &self,
        request: LogRequest,
        sink: LogSink,
    ) -> impl Future<Output = Result<(), NoLog>> + Send;

    /// Somebody reads the evidence of a life that failed, as JSON.
    fn autopsy(
        &self,
        request: AutopsyRequest,
    ) -> impl Future<Output = Result<Bytes, NoEvidence>> + Send;
}

/// A session that a leader opens.
#[derive(Debug)]
pub struct Opening {
    /// What the leader says of itself.
    pub open: Open,
    /// To the leader; dropping it ends the session.
    pub up: FrameSender<Up>,
    /// From the leader.
    pub down: FrameReceiver<Down>,
    /// Closes the connection, so that it is dialled anew: for a leader that is not heard.
    pub hang_up: CancellationToken,
}

/// How a connection that was dialled has ended.
#[derive(Debug)]
pub struct Served {
    /// Whether anything was asked on it; what never asks is no server's port for agents.
    pub asked: bool,
    /// Why it broke, if it did.
    pub broke: Option<hyper::Error>,
}

/// Answers on a connection that was dialled, until it ends.
pub async fn serve<S, E>(stream: S, endpoints: Arc<E>) -> Served
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Endpoints,
{
    let hang_up = CancellationToken::new();
    let _ends_tasks = hang_up.clone().drop_guard();
    let asked = AtomicBool::new(false);
    let service = service_fn(|request| {
        let (endpoints, hang_up) = (endpoints.clone(), hang_up.clone());
        asked.store(true, Ordering::Relaxed);
        async move { Ok::<_, Infallible>(answer(request, endpoints.as_ref(), hang_up).await) }
    });
    let connection = http2::Builder::new(Tasks { hang_up: hang_up.clone() })
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    let ended = hang_up.run_until_cancelled(connection);
    let silent = async {
        tokio::time::sleep(GREETING).await;
        if asked.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    };
    let broke = tokio::select! {
        ended = ended => ended.and_then(Result::err),
        () = silent => None,
    };
    Served { asked: asked.load(Ordering::Relaxed), broke }
}

async fn answer<E: Endpoints>(
    request: Request<Incoming>,
    endpoints: &E,
    hang_up: CancellationToken,
) -> Response<Body> {
    let path = request.uri().path();
    if *request.method() == Method::GET && path == "/v1/hello" {
        return encoded(StatusCode::OK, &endpoints.hello().await);
    }
    if *request.method() == Method::POST && path == "/v1/dismissal" {
        return dismissal(request, endpoints).await;
    }
    if *request.method() == Method::POST && path == "/v1/session" {
        return session(request, endpoints, hang_up).await;
    }
    if *request.method() == Method::GET
        && let Some(asked) = AutopsyRequest::parse(path)
    {
        return autopsy(asked, endpoints).await;
    }
    let log = LogRequest::parse(path, request.uri().query().unwrap_or_default());
    match log.filter(|_| *request.method() == Method::GET) {
        Some(log) => logs(log, endpoints).await,
        None => response(StatusCode::NOT_FOUND, whole("no such endpoint")),
    }
}

async fn dismissal<E: Endpoints>(request: Request<Incoming>, endpoints: &E) -> Response<Body> {
    let body = Limited::new(request.into_body(), MAX_DISMISSAL).collect();
    let told = tokio::time::timeout(DEADLINE, body).await.ok().and_then(Result::ok);
    match told.and_then(|body| postcard::from_bytes(&body.to_bytes()).ok()) {
        Some(why) => {
            endpoints.dismissed(why).await;
            response(StatusCode::NO_CONTENT, whole(Bytes::new()))
        }
        None => response(StatusCode::BAD_REQUEST, whole("this dismissal is not understood")),
    }
}

async fn session<E: Endpoints>(
    request: Request<Incoming>,
    endpoints: &E,
    hang_up: CancellationToken,
) -> Response<Body> {
    let mut opening = FrameReceiver::<Open>::new(request.into_body());
    let Ok(Ok(Some(open))) = tokio::time::timeout(DEADLINE, opening.recv()).await else {
        return response(StatusCode::BAD_REQUEST, whole("a session begins with its opening"));
    };
    let (up, body) = frames();
    let opening = Opening { open, up, down: opening.retyped(), hang_up };
    match endpoints.session(opening).await {
        Ok(()) => response(StatusCode::OK, body),
        Err(refused) => encoded(StatusCode::CONFLICT, &refused),
    }
}

async fn logs<E: Endpoints>(request: LogRequest, endpoints: &E) -> Response<Body> {
    let (sink, body) = pieces();
    match endpoints.logs(request, sink).await {
        Ok(()) => response(StatusCode::OK, body),
        Err(NoLog::Unknown) => response(StatusCode::NOT_FOUND, whole(NoLog::Unknown.to_string())),
        Err(NoLog::Unable(why)) => response(StatusCode::SERVICE_UNAVAILABLE, whole(why)),
    }
}

async fn autopsy<E: Endpoints>(request: AutopsyRequest, endpoints: &E) -> Response<Body> {
    match endpoints.autopsy(request).await {
        Ok(json) => response(StatusCode::OK, whole(json)),
        Err(none @ NoEvidence::Unknown) => response(StatusCode::NOT_FOUND, whole(none.to_string())),
        Err(NoEvidence::Unable(why)) => response(StatusCode::SERVICE_UNAVAILABLE, whole(why)),
    }
}

fn encoded<T: serde::Serialize>(status: StatusCode, value: &T) -> Response<Body> {
    match postcard::to_allocvec(value) {
        Ok(bytes) => response(status, whole(bytes)),
        Err(error) => response(StatusCode::INTERNAL_SERVER_ERROR, whole(error.to_string())),
    }
}

fn response(status: StatusCode, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response
}
