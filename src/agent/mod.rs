//! What runs things on a host: a pure mind, and its hands.

pub mod docker;
pub mod fetch;
pub mod logs;
pub mod process;
pub mod runtime;
