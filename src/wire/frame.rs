//! Frames on a stream: a length in four bytes, little endian, then that many bytes of postcard.
//!
//! What a frame may hold is the business of [`message`](crate::wire::message). A message read from a frame may be
//! shorter than the frame: what a newer program added at its end is skipped.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// The longest definition that travels. More than twice what a user may post as one app.
pub const MAX_SPEC: usize = 4 * 1024 * 1024;

/// The longest frame: a definition and its name.
pub const MAX_FRAME: usize = MAX_SPEC + 64;

const PREFIX: usize = size_of::<u32>();

/// Takes frames out of a stream that arrives in pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: BytesMut,
}

/// Why a stream of frames cannot go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Longer than any frame may be.
    #[error("a frame of {0} bytes, the most is {MAX_FRAME}")]
    TooLong(usize),
    /// Not what it should be.
    #[error("a frame that is not understood: {0}")]
    Malformed(postcard::Error),
    /// The stream ends within a frame.
    #[error("the stream ends within a frame")]
    Torn,
}

// === impl Decoder ===

impl Decoder {
    /// Adds what has arrived.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next frame, if all of it has arrived.
    ///
    /// # Errors
    /// When the frame is too long or is no `T`. The stream is of no use afterwards.
    pub fn take<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FrameError> {
        let Some(prefix) = self.buffer.first_chunk::<PREFIX>() else {
            return Ok(None);
        };
        let length = usize::try_from(u32::from_le_bytes(*prefix)).unwrap_or(usize::MAX);
        if length > MAX_FRAME {
            return Err(FrameError::TooLong(length));
        }
        if self.buffer.len() < PREFIX + length {
            return Ok(None);
        }
        self.buffer.advance(PREFIX);
        let body = self.buffer.split_to(length);
        postcard::from_bytes(&body).map(Some).map_err(FrameError::Malformed)
    }

    /// The stream has ended.
    ///
    /// # Errors
    /// When that was within a frame.
    pub fn finish(&self) -> Result<(), FrameError> {
        if self.buffer.is_empty() { Ok(()) } else { Err(FrameError::Torn) }
    }
}

/// A message as a frame.
///
/// # Errors
/// When it is too long.
pub fn encode<T: Serialize>(message: &T) -> Result<Bytes, FrameError> {
    let mut frame = BytesMut::with_capacity(256);
    frame.put_bytes(0, PREFIX);
    let frame = postcard::to_extend(message, frame).map_err(FrameError::Malformed)?;
    finish_frame(frame)
}

fn finish_frame(mut frame: BytesMut) -> Result<Bytes, FrameError> {
    let length = frame.len() - PREFIX;
    let Some(prefix) = u32::try_from(length).ok().filter(|_| length <= MAX_FRAME) else {
        return Err(FrameError::TooLong(length));
    };
    frame[..PREFIX].copy_from_slice(&prefix.to_le_bytes());
    Ok(frame.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Seq;
    use crate::wire::message::Down;

    #[test]
    fn frames_survive_any_cut_of_the_stream() {
        let sent = [Down::Ack(Seq(300)), Down::Beat, Down::Want(Vec::new()), Down::Synced];
        let stream: Vec<u8> =
            sent.iter().flat_map(|frame| encode(frame).expect("short").to_vec()).collect();
        for size in 1..=stream.len() {
            let mut decoder = Decoder::default();
            let mut read = Vec::new();
            for piece in stream.chunks(size) {
                decoder.push(piece);
                while let Some(frame) = decoder.take::<Down>().expect("frames") {
                    read.push(frame);
                }
            }
            assert_eq!(read, sent, "in pieces of {size}");
            assert_eq!(decoder.finish(), Ok(()));
        }
    }

    #[test]
    fn what_is_no_frame_is_told_by_kind() {
        let mut decoder = Decoder::default();
        decoder.push(&u32::MAX.to_le_bytes());
        let length = usize::try_from(u32::MAX).expect("64 bits");
        assert_eq!(decoder.take::<Down>(), Err(FrameError::TooLong(length)));

        let mut decoder = Decoder::default();
        decoder.push(&[1, 0, 0, 0, 99]);
        assert!(matches!(decoder.take::<Down>(), Err(FrameError::Malformed(_))));

        let mut decoder = Decoder::default();
        decoder.push(&[9, 0, 0, 0, 1]);
        assert_eq!(decoder.take::<Down>(), Ok(None));
        assert_eq!(decoder.finish(), Err(FrameError::Torn));

        let long = Bytes::from(vec![0; MAX_FRAME + 1]);
        assert!(matches!(encode(&long), Err(FrameError::TooLong(_))));
    }

    #[test]
    fn what_a_newer_program_added_is_skipped() {
        let mut decoder = Decoder::default();
        decoder.push(&encode(&(5_u8, "new")).expect("short"));
        assert_eq!(decoder.take::<u8>(), Ok(Some(5)));
    }
}
