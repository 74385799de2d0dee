//! What is remembered, on disk: a fenced log of commits.
//!
//! A log and nothing else. A commit is one record, or several that count when the last is there; the world is what is
//! left when every record is applied in order, newest row wins. There is no key per app or task, no checkpoint format
//! and no second path for readers: a follower, a start and an offline tool all read the same records.
//!
//! [`log`] says what a store is; [`memory`], [`embedded`] and [`etcd`] are its bodies, held to it by one suite of tests,
//! and [`open`] opens the one at an [`address`]. [`codec`] turns commits into records and back, [`replay`] turns a log
//! into a world, [`ledger`] keeps the writer's books, [`member`] is who a server is to others at the same store, and
//! [`offline`] reads stores that nobody runs.

pub mod access;
pub mod address;
pub mod any;
pub mod codec;
pub mod embedded;
pub mod etcd;
pub mod expect;
mod follow;
pub mod identity;
pub mod ledger;
pub mod log;
pub mod member;
pub mod memory;
pub mod offline;
pub mod open;
pub mod record;
pub mod replay;

#[cfg(test)]
mod contract_tests;
#[cfg(test)]
pub(crate) mod testing;
