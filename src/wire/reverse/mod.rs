//! HTTP/2 the other way round: the agent dials and then serves, so that no host has an open port and the leader drives
//! every agent through endpoints.
//!
//! `GET /v1/hello` tells who the agent is, `POST /v1/dismissal` tells it why it is not taken, `POST /v1/session` carries
//! frames both ways for as long as the session lasts, `GET /v1/instances/{life}/logs` streams a log beside it, and
//! `GET /v1/instances/{life}/autopsy` gives the evidence of a life that failed. HTTP/2's own keep-alive is off: beats do it. What is
//! not read is not sent (flow control), and readers of logs cannot use up the window of the session: the connection's
//! window holds that of every stream there may be.
//!
//! No decision is made here; see [`link`](crate::wire::link).

mod frames;
mod peer;
mod serve;
mod tasks;

#[cfg(test)]
mod tests;

pub use frames::{FrameReceiver, FrameSender, Permit, SenderGone, StreamError};
pub use peer::{ByteStream, CallError, Peer, accept};
pub use serve::{Endpoints, LogSink, Opening, Served, serve};

use std::time::Duration;

/// The longest wait for the answer to any request, streams that follow aside.
const DEADLINE: Duration = Duration::from_secs(5);

/// How many logs are read through one connection at a time.
const MAX_LOGS: u32 = 32;

/// How many requests are served at a time: logs, a session, the one that replaces it, and hellos.
const MAX_STREAMS: u32 = MAX_LOGS + 8;

/// How much is sent on one stream before it is read.
const STREAM_WINDOW: u32 = 128 * 1024;

/// Room for every stream.
const CONNECTION_WINDOW: u32 = MAX_STREAMS * STREAM_WINDOW;

/// How much waits for the socket on one stream.
const SEND_BUFFER: usize = 128 * 1024;
