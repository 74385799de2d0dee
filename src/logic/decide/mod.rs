//! What should happen next, from rows and time alone: total, deterministic, idempotent.
//!
//! A message never reaches this folder. It works on dirty subjects, which [`round`](crate::logic::round) takes one after
//! another; looking at everything at rest changes nothing.
//!
//! - [`app`]: one app: what time alone changes, then its count and configuration, then its launches.
//! - [`rollout`]: how many to start and which to stop, without memory.
//! - [`kill_order`]: who goes first.
//! - [`launch`]: what waits is placed; [`backoff`] holds it back.
//! - [`deployment`]: steps of a deployment, one after another; [`limits`]: when it counts as failed.
//! - [`health`]: who is killed since its checks fail, and when too many would be.
//! - [`agent`] and [`drain`]: what must leave an agent; [`brake`]: when nothing that was lost is replaced.

pub mod agent;
pub mod app;
pub mod backoff;
pub mod brake;
pub mod deployment;
pub mod drain;
pub mod health;
pub mod kill_order;
pub mod launch;
pub mod limits;
pub mod rollout;
