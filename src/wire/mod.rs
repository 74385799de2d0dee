//! How server and agent talk: messages, both ends of a session as pure state machines, and the sockets beside them.
//!
//! Everything that orders, repeats, acknowledges or gives up is in [`link`], which the simulator runs as it is. The
//! sockets move frames and nothing else.

pub mod autopsy;
pub mod dial;
pub mod frame;
pub mod link;
pub mod logs;
pub mod message;
pub mod reverse;
