//! The core as a whole: facts in, rows out, with agents that do as they are told.

mod deployments;
mod explains;
mod gpus;
mod launches;
pub mod rig;
mod upgrades;
