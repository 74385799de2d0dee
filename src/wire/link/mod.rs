//! Both ends of a session as plain structs: input with `now` in, frames and facts out, `next_wake()`.
//!
//! # Why it is safe
//! A session is a pair of streams that deliver a prefix of what was sent, or end. What a frame says is a state and not
//! an order: the leader reads it from the durable world when there is room to send it, the agent keeps the newest.
//! Whatever a cut session lost is said again by the next one, which begins with all that either side has. A frame that
//! is doubled or comes from an earlier session changes nothing; a hole in the batches of haves ends the session.
//!
//! Pure: no async, no clock, no logging. Sockets are in [`reverse`](crate::wire::reverse).

pub mod absence;
pub mod agent;
mod haves;
pub mod leader;
pub mod liveness;
pub mod want;

#[cfg(test)]
mod tests;

/// The most bytes of wants or haves in one frame; one that is larger by itself travels alone.
pub const MAX_BATCH: usize = 64 * 1024;

/// How many batches of haves an agent sends ahead of their acknowledgement. Beyond it haves coalesce at the agent.
pub const WINDOW: usize = 8;

/// How many bytes `value` takes in a frame.
fn encoded_size<T: serde::Serialize>(value: &T) -> usize {
    // What cannot be encoded is refused by the frame, where there is somebody to tell.
    postcard::experimental::serialized_size(value).unwrap_or(MAX_BATCH)
}
