//! What runs things on a host: a pure mind, and its hands.

pub mod clock;
pub mod contained;
pub mod fake;
pub mod hands;
pub mod identity;
pub mod inventory;
pub mod mind;
pub mod policy;
pub mod runtime;
pub mod shell;
