//! The core as a whole: facts in, rows out, with agents that do as they are told.

mod deployments;
mod drained;
mod drains;
mod events;
mod explains;
mod gates;
mod gpus;
mod health;
mod launches;
mod limits;
mod losses;
pub mod rig;
mod upgrades;
