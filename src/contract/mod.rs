//! How Marathon's JSON speaks, pure: only this folder knows the dialect.
//!
//! The reading half turns a body into a [`Spec`](crate::model::spec::Spec) or a [`fault::Fault`] that names *every*
//! fault of a stage at once: text ([`json`]) → types ([`app`] over the shared reader) → legacy forms → defaults → rules.
//! The writing half ([`show`]) turns rows into Marathon's objects, [`error`] turns faults and refusals into answers.
//! [`deploy`] reads what asks for a deploy. [`query`] and [`selector`] read what stands behind a `?`; [`mod@env`] is the environment of a task.

pub mod app;
pub mod deploy;
pub mod env;
pub mod error;
pub mod fault;
pub mod json;
pub mod query;
mod read;
pub mod selector;
pub mod show;
