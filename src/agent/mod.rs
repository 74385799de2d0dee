//! What runs things on a host: a pure mind, and its hands.
//!
//! - [`mind`]: wants and what the host shows → one next step per life. Pure.
//! - [`shell`]: brings the mind its clock, its hands and the leader's words; [`desk`] is where the leader's words come in.
//! - [`runtime`]: what is asked of a hand; [`docker`] and [`process`] are the hands, [`contained`] adds sandbox and record
//!   to the first, [`hands`] holds both; [`fake`] plays a host for tests and benches.
//! - [`probe`]: what checks ask over the network.
//! - [`fetch`], [`logs`], [`policy`], [`ports`]: what both hands need.
//! - [`autopsy`]: what is kept of lives that failed.
//! - [`doctor`]: what is wrong on a host.
//! - [`gpu`]: the GPUs of the host, what the driver says of them and what a task sees of them.
//! - [`identity`], [`inventory`], [`clock`]: who the agent is, what it offers, what time it is.

pub mod autopsy;
pub mod clock;
pub mod contained;
pub mod desk;
pub mod docker;
pub mod doctor;
pub mod fake;
pub mod fetch;
pub mod gpu;
pub mod hands;
pub mod identity;
pub mod inventory;
pub mod journal;
pub mod logs;
#[cfg(test)]
pub mod machine;
pub mod mind;
pub mod policy;
pub mod ports;
pub mod probe;
pub mod process;
pub mod runtime;
pub mod shell;
pub mod start;
