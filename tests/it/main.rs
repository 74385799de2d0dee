//! Stayer from outside: the real binary, real HTTP, real processes, real Docker.
//!
//! One binary, so that everything is linked once. Each test has a server of its own with a data directory of its own, and
//! waits for conditions, never for time.

mod docker;
mod docker_rig;
mod engine;
mod faults;
mod image;
mod registry;
mod rig;
mod seeds;
