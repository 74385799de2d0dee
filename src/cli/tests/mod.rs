//! Every verb against a server that stands in: what is sent, what is said, what the process ends with.

mod agents;
mod changes;
mod deploys;
mod reads;
pub(super) mod stand;
mod stores;
mod tree;
