//! The operator's socket in the data directory: what needs the account of the server rather than a right of the API.
//!
//! `GET /backup` streams all rows as one portable file; see [`store::offline`](crate::store::offline).

use std::convert::Infallible;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixListener;
use tokio_util::sync::CancellationToken;

use crate::control::server::Server;
use crate::store::offline::backup;

/// Answers until told to end.
pub async fn serve(listener: UnixListener, server: Server, shutdown: CancellationToken) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shutdown.cancelled() => return,
        };
        let Ok((stream, _)) = accepted else { continue };
        let server = server.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |request| answer(request, server.clone()));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), answer);
            if let Err(error) = connection.await {
                tracing::info!(%error, "the operator's connection broke");
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    server: Server,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if request.method() != Method::GET || request.uri().path() != "/backup" {
        return Ok(reply(StatusCode::NOT_FOUND, "there is GET /backup and nothing else"));
    }
    let view = server.view();
    let written = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        backup(&view, &mut bytes).map(|_| bytes)
    });
    Ok(match written.await {
        Ok(Ok(bytes)) => reply(StatusCode::OK, bytes),
        Ok(Err(error)) => reply(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
        Err(error) => reply(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    })
}

fn reply(status: StatusCode, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response
}
