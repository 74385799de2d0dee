//! What Marathon's API answers, written from rows: one file per kind of object.
//!
//! Texts are written key by key in Marathon's order, without a tree of values: lists of ten thousand apps are joins of
//! cached definitions and a few numbers. Reading requests is not here.

pub mod app;
pub mod autopsy;
mod checks;
mod container;
pub mod counts;
pub mod deploy;
pub mod deployment;
pub mod diff;
pub mod event;
pub mod extras;
pub mod failure;
pub mod info;
pub mod outcome;
pub mod queue;
#[cfg(test)]
pub(crate) mod rig;
mod stats;
pub mod task;
pub mod task_lines;
pub mod text;
pub mod version;
