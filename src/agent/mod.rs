//! What runs things on a host: a pure mind, and its hands.

pub mod clock;
pub mod docker;
pub mod fake;
pub mod fetch;
pub mod logs;
pub mod mind;
pub mod process;
pub mod runtime;
