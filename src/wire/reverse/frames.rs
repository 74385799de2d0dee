//! Streams of frames as bodies of requests and answers.

use std::convert::Infallible;
use std::marker::PhantomData;

use bytes::Bytes;
use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use crate::wire::frame::{Decoder, FrameError, encode};

/// How many frames wait for the socket.
const WAITING: usize = 4;

/// A body of ours.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Sends frames; dropping it ends the stream.
#[derive(Debug)]
pub struct FrameSender<T> {
    pieces: mpsc::Sender<Bytes>,
    kind: PhantomData<fn(T)>,
}

/// Room for one frame: what is said is looked up after there is room, not before.
#[derive(Debug)]
pub struct Permit<'a, T> {
    permit: mpsc::Permit<'a, Bytes>,
    kind: PhantomData<fn(T)>,
}

/// Receives frames.
#[derive(Debug)]
pub struct FrameReceiver<T> {
    body: Incoming,
    decoder: Decoder,
    kind: PhantomData<fn() -> T>,
}

/// The other side reads no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the other side reads no more")]
pub struct SenderGone;

/// Why a stream of frames ended other than by its end.
#[derive(Debug, thiserror::Error)]
pub enum StreamError {
    /// The connection or the stream was cut.
    #[error("the stream was cut")]
    Cut(#[source] hyper::Error),
    /// What came is not understood.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

// === impl FrameSender ===

impl<T: Serialize> FrameSender<T> {
    /// Waits for room. May be given up at any time.
    ///
    /// # Errors
    /// When nobody reads any more.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SenderGone> {
        let permit = self.pieces.reserve().await.map_err(|_| SenderGone)?;
        Ok(Permit { permit, kind: PhantomData })
    }
}

impl<T> FrameSender<T> {
    /// The same stream, from where it is, with frames of another kind.
    pub(super) fn retyped<U>(self) -> FrameSender<U> {
        FrameSender { pieces: self.pieces, kind: PhantomData }
    }
}

// === impl Permit ===

impl<T: Serialize> Permit<'_, T> {
    /// Sends one frame.
    ///
    /// # Errors
    /// When it is too long for a frame.
    pub fn send(self, message: &T) -> Result<(), FrameError> {
        self.permit.send(encode(message)?);
        Ok(())
    }
}

// === impl FrameReceiver ===

impl<T: DeserializeOwned> FrameReceiver<T> {
    /// The next frame, none at the end. May be given up at any time without losing anything.
    ///
    /// # Errors
    /// When the stream is cut, or what comes is not understood.
    pub async fn recv(&mut self) -> Result<Option<T>, StreamError> {
        loop {
            if let Some(message) = self.decoder.take()? {
                return Ok(Some(message));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(piece) = frame.data_ref() {
                        self.decoder.push(piece);
                    }
                }
                Some(Err(error)) => return Err(StreamError::Cut(error)),
                None => {
                    self.decoder.finish()?;
                    return Ok(None);
                }
            }
        }
    }
}

impl<T> FrameReceiver<T> {
    pub(super) fn new(body: Incoming) -> FrameReceiver<T> {
        FrameReceiver { body, decoder: Decoder::default(), kind: PhantomData }
    }

    /// The same stream, from where it is, with frames of another kind.
    pub(super) fn retyped<U>(self) -> FrameReceiver<U> {
        FrameReceiver { body: self.body, decoder: self.decoder, kind: PhantomData }
    }
}

/// A body and the sender of its frames.
pub(super) fn frames<T>() -> (FrameSender<T>, Body) {
    let (pieces, body) = pieces();
    (FrameSender { pieces, kind: PhantomData }, body)
}

/// A body and the sender of its pieces.
pub(super) fn pieces() -> (mpsc::Sender<Bytes>, Body) {
    let (sender, mut receiver) = mpsc::channel::<Bytes>(WAITING);
    let pieces = stream::poll_fn(move |context| receiver.poll_recv(context));
    let frames = futures::StreamExt::map(pieces, |piece| Ok(Frame::data(piece)));
    (sender, BodyExt::boxed_unsync(StreamBody::new(frames)))
}

/// A body that is all there.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    BodyExt::boxed_unsync(Full::new(bytes.into()))
}
