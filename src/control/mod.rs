//! What turns the crank: the brain's thread, the store's writer, the fleet's links, the view. No decision lives here.
//!
//! - [`server`]: what readers and askers hold.
//! - [`leader`]: from an opened log to a running server.
//! - [`turn`]: the brain's thread; [`writer`]: the store's writer; [`fleet`]: the agents.
//! - [`audience`]: those who balance, who are told before an instance is asked to end.
//! - [`operator`]: the operator's socket in the data directory.
//! - [`events`]: the newest events, for whoever follows.
//! - [`analysis`]: what deploys ask Prometheus.
//! - [`clock`]: the only clock; [`gauges`]: figures that no row holds.

pub mod analysis;
pub mod audience;
pub mod clock;
pub mod events;
pub mod fleet;
pub mod gauges;
pub mod history;
pub mod leader;
pub mod operator;
pub mod server;
pub mod turn;
pub mod writer;
