//! Stayer keeps services running.

pub mod agent;
pub mod api;
pub mod cli;
pub mod contract;
pub mod control;
pub mod logic;
pub mod model;
pub mod store;
pub mod wire;
