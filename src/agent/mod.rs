//! What runs things on a host: a pure mind, and its hands.

pub mod docker;
pub mod runtime;
