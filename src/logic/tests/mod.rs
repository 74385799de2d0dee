//! The core as a whole: facts in, rows out, with agents that do as they are told.

mod autopsies;
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
mod rehearsals;
pub mod rig;
mod upgrades;
