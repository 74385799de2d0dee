//! The server's side of a connection that an agent dialled: it asks.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::Stream;
use http_body_util::{BodyExt, Limited};
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http2::{self, SendRequest};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::wire::autopsy::{AutopsyRequest, NoEvidence};
use crate::wire::frame::FrameError;
use crate::wire::logs::{LogRequest, NoLog};
use crate::wire::message::{Dismissal, Down, Hello, Open, Refused, Up};
use crate::wire::reverse::frames::{Body, FrameReceiver, FrameSender, frames, whole};
use crate::wire::reverse::tasks::Tasks;
use crate::wire::reverse::{CONNECTION_WINDOW, DEADLINE, MAX_LOGS, SEND_BUFFER, STREAM_WINDOW};

/// The longest answer that is read as a whole.
const MAX_ANSWER: usize = 64 * 1024;

/// A connection that an agent dialled. Copies share it; it is closed with the last of them.
#[derive(Clone, Debug)]
pub struct Peer {
    requests: SendRequest<Body>,
    logs: Arc<Semaphore>,
    connection: Arc<Connection>,
}

/// The bytes of a log as they come.
#[derive(Debug)]
pub struct ByteStream {
    body: Incoming,
    /// One of the logs that are read at a time.
    _permit: OwnedSemaphorePermit,
}

/// Why an agent's answer is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The connection is gone.
    #[error("the connection to the agent is gone")]
    Gone(#[source] hyper::Error),
    /// It did not answer in time.
    #[error("the agent does not answer")]
    Late,
    /// It does not open a session.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// It has no such log.
    #[error(transparent)]
    NoLog(#[from] NoLog),
    /// It has no such evidence.
    #[error(transparent)]
    NoEvidence(#[from] NoEvidence),
    /// As many logs of this agent are read as are allowed.
    #[error("too many logs of this agent are being read")]
    Busy,
    /// It answers something that is not understood.
    #[error("the agent's answer {0} is not understood")]
    Strange(StatusCode),
    /// The first frame could not be made.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// Ends the connection's task when the last copy goes.
#[derive(Debug)]
struct Connection {
    hang_up: CancellationToken,
    gone: CancellationToken,
}

// === impl Peer ===

/// Takes a connection that an agent dialled.
///
/// # Errors
/// When it is gone already.
pub async fn accept<S>(stream: S) -> Result<Peer, CallError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection =
        Connection { hang_up: CancellationToken::new(), gone: CancellationToken::new() };
    let (hang_up, gone) = (connection.hang_up.clone(), connection.gone.clone());
    let handshake = http2::Builder::new(Tasks { hang_up: hang_up.clone() })
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .handshake(TokioIo::new(stream));
    let (requests, driver) = in_time(handshake).await?.map_err(CallError::Gone)?;
    tokio::spawn(async move {
        let _gone = gone.drop_guard();
        if let Some(Err(error)) = hang_up.run_until_cancelled(driver).await {
            tracing::debug!(%error, "connection to an agent broke");
        }
    });
    let logs = Arc::new(Semaphore::new(MAX_LOGS as usize));
    Ok(Peer { requests, logs, connection: Arc::new(connection) })
}

impl Peer {
    /// Who the agent is.
    ///
    /// # Errors
    /// When it does not answer, or not as it should.
    pub async fn hello(&self) -> Result<Hello, CallError> {
        let response = self.call(Method::GET, "/v1/hello", whole(Bytes::new())).await?;
        let status = response.status();
        if status != StatusCode::OK {
            return Err(CallError::Strange(status));
        }
        let body = read(response).await?;
        postcard::from_bytes(&body).map_err(|_| CallError::Strange(status))
    }

    /// Tells the agent why it is not taken, then hangs up. An agent too old to understand it only meets the end.
    pub async fn dismiss(&self, why: &Dismissal) {
        let told = postcard::to_allocvec(why).expect("a dismissal is small and plain");
        if let Err(error) = self.call(Method::POST, "/v1/dismissal", whole(told)).await {
            tracing::debug!(%error, "an agent that is not taken was not told why");
        }
        self.hang_up();
    }

    /// Opens a session: what the agent says comes out of the receiver until either side ends it.
    ///
    /// # Errors
    /// When the agent refuses, or does not answer.
    pub async fn session(
        &self,
        open: &Open,
    ) -> Result<(FrameSender<Down>, FrameReceiver<Up>), CallError> {
        let (opening, body) = frames::<Open>();
        if let Ok(permit) = opening.reserve().await {
            permit.send(open)?;
        }
        let response = self.call(Method::POST, "/v1/session", body).await?;
        let status = response.status();
        if status == StatusCode::OK {
            return Ok((opening.retyped(), FrameReceiver::new(response.into_body())));
        }
        if status == StatusCode::CONFLICT
            && let Ok(refused) = postcard::from_bytes::<Refused>(&read(response).await?)
        {
            return Err(refused.into());
        }
        Err(CallError::Strange(status))
    }

    /// Reads a log.
    ///
    /// # Errors
    /// When there is none, or too many are being read, or the agent does not answer.
    pub async fn logs(&self, request: &LogRequest) -> Result<ByteStream, CallError> {
        let (status, body) = self.get_stream(&request.to_string()).await?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::NOT_FOUND => Err(NoLog::Unknown.into()),
            StatusCode::SERVICE_UNAVAILABLE => {
                let text = collect(body.body).await?;
                Err(NoLog::Unable(String::from_utf8_lossy(&text).into_owned()).into())
            }
            other => Err(CallError::Strange(other)),
        }
    }

    /// Reads the evidence of a life that failed. An agent too old to keep any has none.
    ///
    /// # Errors
    /// When there is none, or the agent does not answer.
    pub async fn autopsy(&self, request: AutopsyRequest) -> Result<Bytes, CallError> {
        let response = self.call(Method::GET, &request.to_string(), whole(Bytes::new())).await?;
        let status = response.status();
        match status {
            StatusCode::OK => read(response).await,
            StatusCode::NOT_FOUND => Err(NoEvidence::Unknown.into()),
            StatusCode::SERVICE_UNAVAILABLE => {
                let text = read(response).await?;
                Err(NoEvidence::Unable(String::from_utf8_lossy(&text).into_owned()).into())
            }
            other => Err(CallError::Strange(other)),
        }
    }

    /// Gets whatever is at `path`, as it comes.
    ///
    /// # Errors
    /// When too many are being read, or the agent does not answer.
    pub async fn get_stream(&self, path: &str) -> Result<(StatusCode, ByteStream), CallError> {
        let permit = self.logs.clone().try_acquire_owned().map_err(|_| CallError::Busy)?;
        let response = self.call(Method::GET, path, whole(Bytes::new())).await?;
        let status = response.status();
        Ok((status, ByteStream { body: response.into_body(), _permit: permit }))
    }

    /// Closes the connection, whoever else holds a copy.
    pub fn hang_up(&self) {
        self.connection.hang_up.cancel();
    }

    /// Waits until the connection is gone.
    pub async fn gone(&self) {
        self.connection.gone.cancelled().await;
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        body: Body,
    ) -> Result<Response<Incoming>, CallError> {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://agent{path}"))
            .body(body)
            .expect("paths are made by this program and hold what a path may hold");
        let mut requests = self.requests.clone();
        in_time(requests.send_request(request)).await?.map_err(CallError::Gone)
    }
}

// === impl Connection ===

impl Drop for Connection {
    fn drop(&mut self) {
        self.hang_up.cancel();
    }
}

// === impl ByteStream ===

impl Stream for ByteStream {
    type Item = Result<Bytes, hyper::Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match ready!(Pin::new(&mut self.body).poll_frame(context)) {
                Some(Ok(frame)) => {
                    if let Ok(piece) = frame.into_data() {
                        return Poll::Ready(Some(Ok(piece)));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
    }
}

async fn in_time<F: Future>(call: F) -> Result<F::Output, CallError> {
    tokio::time::timeout(DEADLINE, call).await.map_err(|_| CallError::Late)
}

async fn read(response: Response<Incoming>) -> Result<Bytes, CallError> {
    collect(response.into_body()).await
}

async fn collect(body: Incoming) -> Result<Bytes, CallError> {
    let body = in_time(Limited::new(body, MAX_ANSWER).collect()).await?;
    let body = body.map_err(|_| CallError::Strange(StatusCode::PAYLOAD_TOO_LARGE))?;
    Ok(body.to_bytes())
}
