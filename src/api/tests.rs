//! The whole API over a fake brain: routes, statuses, headers, bodies, and who is let in.

mod agents;
mod apps;
mod deploys;
mod document;
mod events;
mod failures;
mod front;
mod plans;
mod reads;
mod rig;
mod rows;
mod tasks;
