//! How Marathon's JSON speaks, pure: only this folder knows the dialect.

pub mod env;
pub mod error;
pub mod fault;
pub mod query;
pub mod selector;
pub mod show;
