//! What things are: ids, units, rows, facts and commits.
//!
//! Everything here is plain data with its own invariants and no rules about other things; what should happen lives in
//! `logic`, how Marathon's JSON speaks lives in `contract`. Pure: no I/O, no clock, no randomness, no logging.

pub mod agent;
pub mod app;
pub mod autopsy;
pub mod brake;
pub mod check;
pub mod colour;
pub mod commit;
pub mod condition;
pub mod constraint;
pub mod deploy;
pub mod deployment;
pub mod end;
pub mod event;
pub mod evidence;
pub mod fact;
pub mod findings;
pub mod have;
pub mod id;
pub mod instance;
pub mod meta;
pub mod network;
pub mod outcome;
pub mod path;
pub mod pin;
pub mod policy;
pub mod reason;
pub mod row;
pub mod spec;
pub mod table;
pub mod text;
pub mod time;
pub mod unit;
pub mod view;
pub mod volume;
pub mod world;
