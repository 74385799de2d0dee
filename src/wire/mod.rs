//! How server and agent talk: messages, both ends of a session as pure state machines, and the sockets beside them.

pub mod message;
