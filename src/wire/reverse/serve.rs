//! The agent's side of a connection that it dialled: it answers.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::wire::logs::{LogRequest, NoLog};
use crate::wire::message::{Down, Hello, Open, Refused, Up};
use crate::wire::reverse::frames::{Body, FrameReceiver, FrameSender, frames, pieces, whole};
use crate::wire::reverse::tasks::Tasks;
use crate::wire::reverse::{CONNECTION_WINDOW, DEADLINE, MAX_STREAMS, SEND_BUFFER, STREAM_WINDOW};

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

    /// A leader opens a session.
    fn session(&self, opening: Opening) -> impl Future<Output = Result<(), Refused>> + Send;

    /// Somebody reads a log.
    fn logs(
        &self,
        request: LogRequest,
        sink: LogSink,
    ) -> impl Future<Output = Result<(), NoLog>> + Send;
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

/// Answers on a connection that was dialled, until it ends.
///
/// # Errors
/// When it breaks.
pub async fn serve<S, E>(stream: S, endpoints: Arc<E>) -> Result<(), hyper::Error>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    E: Endpoints,
{
    let hang_up = CancellationToken::new();
    let _ends_tasks = hang_up.clone().drop_guard();
    let service = service_fn(|request| {
        let (endpoints, hang_up) = (endpoints.clone(), hang_up.clone());
        async move { Ok::<_, Infallible>(answer(request, endpoints.as_ref(), hang_up).await) }
    });
    let connection = http2::Builder::new(Tasks { hang_up: hang_up.clone() })
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(MAX_STREAMS)
        .max_send_buf_size(SEND_BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    hang_up.run_until_cancelled(connection).await.unwrap_or(Ok(()))
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
    if *request.method() == Method::POST && path == "/v1/session" {
        return session(request, endpoints, hang_up).await;
    }
    let log = LogRequest::parse(path, request.uri().query().unwrap_or_default());
    match log.filter(|_| *request.method() == Method::GET) {
        Some(log) => logs(log, endpoints).await,
        None => response(StatusCode::NOT_FOUND, whole("no such endpoint")),
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
