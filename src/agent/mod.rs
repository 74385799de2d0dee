//! What runs things on a host: a pure mind, and its hands.

pub mod clock;
pub mod fake;
pub mod identity;
pub mod inventory;
pub mod mind;
pub mod policy;
pub mod runtime;
